"""What of Penstock is carried into containers: some modules, by path and text.

A result is kept under everything that its container held, these modules included, so those that run beside a
stage are few and change seldom.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

STAGE = (
    "cache/members.py",
    "digest.py",
    "errors.py",
    "executors/in_container.py",
    "executors/log.py",
    "executors/stage_init.py",
    "redact.py",
    "secret_forms.py",
)
"""For `in_container`."""
SURVEY = (
    "cache/hashing.py",
    "cache/members.py",
    "cache/rows.py",
    "cache/scan.py",
    "cache/stat_index.py",
    "cache/state.py",
    "digest.py",
    "errors.py",
    "executors/survey.py",
    "record.py",
    "results.py",
)
"""For `survey`."""
ASSEMBLE = ("executors/assemble.py", "executors/image_layers.py")
"""For `assemble`."""
LAUNCH = "launch"
"""The program in that directory; a Python is mounted at `RUNTIME`, whatever the image has itself."""
RUNTIME = "/penstock/runtime"

_LAUNCHER = """\
#!/bin/sh
# Runs what lies beside this file, by a Python that was mounted together with its own C library.
at=RUNTIME
for loader in $at/usr/lib/*-linux-gnu/ld-linux-*.so.*; do  # /lib64 may lead to the one of the image
  libraries=$at/usr/local/lib:${loader%/*}
  exec "$loader" --library-path "$libraries" "$at/usr/local/bin/python3" -I -S "${0%/*}" "$@"
done
""".replace("RUNTIME", RUNTIME)
_PROGRAMS = frozenset({"executors/assemble.py", "executors/in_container.py", "executors/survey.py"})
_PACKAGES = ("__init__.py", "cache/__init__.py", "executors/__init__.py")


@cache
def carried(modules: tuple[str, ...]) -> Mapping[str, str]:
    """Path to text of a directory that `python -I -S DIRECTORY` runs: the `main` of its last executor."""
    home = Path(__file__).parent.parent
    (program,) = _PROGRAMS.intersection(modules)
    module = f"penstock.{program.removesuffix('.py').replace('/', '.')}"
    return {
        LAUNCH: _LAUNCHER,
        "__main__.py": f"import sys\n\nfrom {module} import main\n\nsys.exit(main(sys.argv[1:]))\n",
        # without the version, which would make every release run every stage anew
        **{f"penstock/{name}": "" for name in _PACKAGES},
        **{f"penstock/{name}": (home / name).read_text("utf-8") for name in modules},
    }
