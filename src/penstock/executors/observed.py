"""Having a command observed (`observe`), on this machine or in a container, and what came of it."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from penstock.cache.observations import READ, SEEN, Look, Observation, unobserved
from penstock.executors.observe import LAUNCH
from penstock.executors.observe_paths import READ as WHOLLY
from penstock.record import Record, replace

IN_CONTAINER = "/penstock/observed"
_REQUEST, _REPORT = "request.json", "report.json"
_HOME = Path(__file__).parent.parent.parent
_CARRIED = tuple(f"penstock/executors/{name}.py" for name in ("observe", "observe_calls", "observe_paths"))
"""With the packages around them, empty, all that observes."""

# The image's own Python observes, for what is mounted brings none.
_CHOOSE = f"""\
for penstock_python in python3 python; do
if "$penstock_python" -I -S -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
exec "$penstock_python" -I -S -c '{LAUNCH}' {IN_CONTAINER} {IN_CONTAINER}/{_REQUEST} -- "$@"
fi
done
exec "$@"
"""


class Observed(Record):
    """Where it is written down what a command is to be observed for, and what it looked at.

    Attributes:
        folder: On this machine.
        top: The workspace, as the command sees it.
        declared: Paths that its looks are counted at as one: inputs, outputs, files of a recipe.
        obstacle: Why the command cannot be observed, if that is known beforehand.
    """

    folder: Path
    top: str
    declared: frozenset[str]
    obstacle: str | None = None

    def here(self, argv: Sequence[str], *, execs: int = 0) -> list[str]:
        """The command line of a process of this machine.

        Args:
            execs: Programs that are started, one by the other, before the command is.

        Raises:
            OSError: The request cannot be written.
        """
        if self.obstacle is not None:
            return list(argv)
        self._ask(self.folder, execs)
        python = getattr(sys, "_base_executable", None) or sys.executable
        return [python, "-I", "-S", "-c", LAUNCH, str(_HOME), str(self.folder / _REQUEST), "--", *argv]

    def in_container(self, argv: Sequence[str]) -> list[str]:
        """The command line in a container that has the folder at `IN_CONTAINER`.

        Raises:
            OSError: The request cannot be written.
        """
        self._ask(Path(IN_CONTAINER), 0)
        for name in _CARRIED:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((_HOME / name).read_bytes())
        for package in ("penstock", "penstock/executors"):
            (self.folder / package / "__init__.py").touch()
        return ["/bin/sh", "-c", _CHOOSE, "sh", *argv]

    def _ask(self, seen_at: Path, execs: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        request = {
            "top": self.top,
            "declared": sorted(self.declared),
            "execs": execs,
            "report": str(seen_at / _REPORT),
        }
        (self.folder / _REQUEST).write_text(json.dumps(request), "ascii")

    def result(self, mask: Callable[[str], str]) -> Observation:
        """What the command looked at, once it has ended.

        Args:
            mask: Takes secrets out of what commands are called.
        """
        if self.obstacle is not None:
            return unobserved(self.obstacle)
        try:
            report = json.loads((self.folder / _REPORT).read_bytes())
        except (OSError, ValueError):
            if (self.folder / "penstock").exists():
                return unobserved("its image has no Python (3.8 or newer), which is what observes there")
            return unobserved("it was not observed to its end")
        return observation(report, self.declared, mask)


def observation(
    report: dict[str, object], declared: Iterable[str], mask: Callable[[str], str]
) -> Observation:
    """What `observe` wrote down, told apart into what was declared and what was not."""
    own = frozenset(declared)
    looks = report["looks"]
    assert isinstance(looks, dict)  # noqa: S101 - as `observe` writes it
    found = unobserved(str(report["why"])) if report["why"] is not None else Observation()
    known = tuple(
        Look(path, READ if how == WHOLLY else SEEN, mask(by))
        for path, (how, by) in sorted(looks.items())
        if path not in own
    )
    return replace(found, looks=(*found.looks, *known), touched=tuple(sorted(own & looks.keys())))


def obstacle_in(program: str) -> str | None:
    """Why what a sandbox runs cannot be observed, if it cannot."""
    about = os.stat(program)  # noqa: PTH116 - a path that is str
    if about.st_mode & stat.S_ISUID and os.geteuid() != 0:
        return f"{program} is set-uid, and would lose its rights if it were observed (PENSTOCK_SANDBOX=none)"
    return None
