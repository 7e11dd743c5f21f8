"""What every executor that runs stages in containers does alike: which image, and where things are in it."""

from __future__ import annotations

from penstock.plan.model import Stage

DAGGER = "v0.21.8"
"""The engine that the module is made for, as `dagger.json` says."""
DEFAULT_PYTHON = "3.12"
RUNTIME_IMAGE = f"python:{DEFAULT_PYTHON}-slim"
"""For what Penstock itself does in containers."""
WORK = "/penstock/work"
"""The workspace; the same path as in the sandbox of the embedded executor."""
ENVIRONMENT = "/penstock/env"
"""The virtual environment that is made from the lock file."""


def image_of(stage: Stage) -> str:
    """The image that a stage runs in: its accelerator's, else its environment's, else Python's own."""
    environment = stage.environment
    if stage.accelerator is not None and stage.accelerator.image is not None:
        return stage.accelerator.image
    version = environment.python or DEFAULT_PYTHON
    # bounds are no tag of an image: there, too, Python's own is used if it is within them
    tag = version if version[0].isdigit() else DEFAULT_PYTHON
    return environment.image or f"python:{tag}-slim"
