"""What the project holds that somebody may have meant: undeclared inputs, and paths that were misspelt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_TAIL_CHARACTERS = 16_384
_COMPLAINT = re.compile(
    r"no such file|not found|can't open|cannot open|no module named|cannot import name|does not exist",
    re.IGNORECASE,
)
_READ_ONLY = re.compile(r"read-only file system", re.IGNORECASE)
_MODULE = re.compile(r"No module named '?([\w.]+)'?")
_NAME = re.compile(r"[\w./@+=,~%-]+")
MAX_HINTS = 3


def undeclared_inputs(
    log: str, root: Path, declared: Sequence[str], variables: Mapping[str, str]
) -> tuple[str, ...]:
    """Paths in the project that a log complains about and that the stage did not declare.

    Args:
        log: What the stage printed.
        declared: Its inputs.
        variables: Of its environment; `PYTHONPATH` says where its modules are.
    """
    found: dict[str, None] = {}
    for line in log[-_TAIL_CHARACTERS:].splitlines():
        if not _COMPLAINT.search(line):
            continue
        for path in (*_modules(line, variables), *_names(line)):
            if _is_project_file(root, path) and not _is_declared(path, declared):
                found[path] = None
    return tuple(found)[:MAX_HINTS]


def inputs_written(log: str, declared: Sequence[str]) -> tuple[str, ...]:
    """Inputs that a stage has tried to change where they are read-only, as its log complains."""
    found: dict[str, None] = {}
    for line in log[-_TAIL_CHARACTERS:].splitlines():
        if _READ_ONLY.search(line):
            found |= dict.fromkeys(path for path in _names(line) if _is_below(path, declared))
    return tuple(found)[:MAX_HINTS]


def nearest_file(root: Path, path: str) -> tuple[str, ...]:
    """A line that names the `.dvc` file of a path, or else the file most like it, if there is one."""
    from difflib import get_close_matches

    for each in (path, *map(str, Path(path).parents)):
        if (root / f"{each}.dvc").is_file():
            return (f"DVC keeps it: declare a data set, `data: {{name: {{dvc: {each}.dvc}}}}`",)
    folder, _, name = path.rpartition("/")
    try:
        names = [entry.name for entry in (root / folder).iterdir()]
    except OSError:
        return ()
    found = get_close_matches(name, names, 1)
    return (f"nearest file: {(f'{folder}/' if folder else '') + found[0]!r}",) if found else ()


def _modules(line: str, variables: Mapping[str, str]) -> Iterator[str]:
    matched = _MODULE.search(line)
    if matched is None:
        return
    relative = matched[1].replace(".", "/")
    for folder in (".", *variables.get("PYTHONPATH", "").split(":")):
        for path in (f"{relative}.py", f"{relative}/__init__.py", relative):
            yield str(Path(folder, path))


def _names(line: str) -> Iterator[str]:
    for name in _NAME.findall(line):
        # a workspace's own absolute path ends in the project's relative one
        _, _, inside = name.partition("/work/")
        yield str(Path((inside or name).rstrip(",.:")))


def _is_project_file(root: Path, path: str) -> bool:
    if path in (".", "") or path.startswith(("/", "..", ".penstock", ".git/")) or len(path) > 255:  # noqa: PLR2004
        return False
    try:
        return (root / path).exists()
    except OSError:
        return False


def _is_declared(path: str, declared: Sequence[str]) -> bool:
    return _is_below(path, declared) or any(each.startswith(f"{path}/") for each in declared)


def _is_below(path: str, declared: Sequence[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in declared)
