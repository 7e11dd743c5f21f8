"""The recipe `uses: security`: its program reads the project where it lies, with its repository's history.

The stage works outside of a workspace and is never reused: what is known against a package, and what a
baseline accepts, changes from one day to the next, and no input says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import get_args

from penstock.plan import carrying
from penstock.plan.model import Environment
from penstock.plan.reads import Reads
from penstock.plan.recipes import REPORTS, Recipe, equipped
from penstock.plan.schema_security import SecurityCheck
from penstock.plan.schema_stages import SecurityStage

_DOCUMENTS = (
    ("result", "security.json", "security"),
    ("sarif", "sarif", "sarif"),
    ("code_quality", "gl-code-quality-report.json", "gl-code-quality"),
    ("secret_detection", "gl-secret-detection-report.json", "gl-secret-detection"),
)
"""(field of the request, end of the name, role) of what it writes."""


def security(
    stage: SecurityStage,
    name: str,
    *,
    locks: Iterable[str],
    pipeline: str,
    environment: Environment,
    reads: Reads,
) -> Recipe:
    """A scan of the whole project; what it finds is for a gate, not a failure.

    Args:
        stage: With what is asked.
        name: Of the stage.
        locks: Lock files of the pipeline, which are audited if the stage names none.
        pipeline: The pipeline file, relative to the root.
        environment: Its lock file does not count: the scan has tools of its own.
        reads: Notes what was looked at.
    """
    options = stage.model_dump(include={"history", "paths", "exclude", "database", "service", "baseline"})
    outputs = {field: (f"{REPORTS}/{name}.{end}", role) for field, end, role in _DOCUMENTS}
    request = {
        **options,
        "checks": list(stage.checks or get_args(SecurityCheck)),
        "service_url": stage.service_url,
        "requirements": stage.requirements or sorted({_lock(each) for each in locks}),
        "pipeline": pipeline,
        **{field: path for field, (path, _) in outputs.items()},
    }
    return Recipe(
        run=f"{carrying.command('security')}\n",
        inputs=(),
        outputs=tuple(sorted(outputs.values())),
        files=carrying.files("security", request),
        environment=equipped(
            Environment(python=environment.python, image=environment.image), "security", reads
        ),
        outside=True,
        passes=("PENSTOCK_GIT",),
    )


def _lock(path: str) -> str:
    """The lock file of an environment: that of a project lies beside its pyproject.toml."""
    pure = PurePosixPath(path)
    return str(pure.with_name("uv.lock")) if pure.name == "pyproject.toml" else path
