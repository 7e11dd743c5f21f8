"""The check `code`: ruff's rules about security (`S`, those of bandit), whatever the project has set."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .findings import Check, Finding
from .tree import File

_SUFFIXES = (".py", ".pyi", ".ipynb")
_HIGH = frozenset({
    "S102", "S105", "S106", "S107", "S302", "S307", "S401", "S501", "S502", "S503", "S505", "S506", "S507",
    "S508", "S509", "S601", "S602", "S604", "S605", "S609", "S610", "S611", "S612", "S701", "S702",
})  # fmt: skip
_LOW = frozenset(
    {"S101", "S103", "S110", "S112", "S113", "S311", "S403", "S404", "S603", "S606", "S607", "S704"}
)
_CODES_AT_ONCE = 500


def code(root: Path, files: Sequence[File]) -> Check:
    """What ruff finds; lines that the project excuses with `# noqa: S...` are not told."""
    check = Check("code", f"ruff {version('ruff')}, rules S")
    paths = [file.path for file in files if file.path.endswith(_SUFFIXES)]
    check.examined = f"{len(paths):,} files"
    lines: dict[str, list[str]] = {}
    for start in range(0, len(paths), _CODES_AT_ONCE):
        for each in _ruff(root, paths[start : start + _CODES_AT_ONCE], check):
            _take(check, root, each, lines)
    return check


def _ruff(root: Path, paths: Sequence[str], check: Check) -> list[Mapping[str, Any]]:
    ignored = (
        'lint.per-file-ignores={"**/tests/**"=["S101"],"**/test_*.py"=["S101"],"**/conftest.py"=["S101"]}'
    )
    done = subprocess.run(  # noqa: S603 - no shell
        [
            sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--select", "S",
            "--output-format", "json", "--config", ignored, "--", *(f"./{path}" for path in paths),
        ],
        capture_output=True, check=False, cwd=root,
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        check.problems.append(f"ruff looked at nothing and said: {said[-1][:200]}")
        return []
    return list(found)


def _take(check: Check, root: Path, each: Mapping[str, Any], lines: dict[str, list[str]]) -> None:
    path = Path(each["filename"]).relative_to(root.resolve()).as_posix()
    line, rule = int(each["location"]["row"]), each.get("code")
    if rule is None or not str(rule).startswith("S"):
        check.problems.append(f"{path}:{line}: ruff cannot read it: {str(each['message'])[:100]}")
        return
    if path not in lines:
        lines[path] = (root / path).read_text(encoding="utf-8", errors="replace").splitlines()
    text = lines[path][line - 1].strip() if line <= len(lines[path]) else ""
    check.findings.append(
        Finding(
            check="code",
            rule=str(rule),
            severity="high" if rule in _HIGH else "low" if rule in _LOW else "medium",
            path=path,
            line=line,
            message=str(each["message"]),
            remedy=f"see {each.get('url')}",
            subject=f"{rule} {text}",
        )
    )
