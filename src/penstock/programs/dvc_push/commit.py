"""What a commit needs of outputs that were pushed: `.dvc` files, and that git ignores the outputs."""

from __future__ import annotations

import os
import posixpath
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.program import UnusableError


@dataclass(slots=True)
class Pointer:
    """A `.dvc` file for an output.

    Attributes:
        output: Relative to the project's root.
        file: Likewise.
        text: What it says, once that is known.
    """

    output: str
    file: str
    text: str = ""

    def relocated(self, text: str) -> str:
        """The text of a `.dvc` file that stands beside the output, as it must be where this one stands."""
        here, there = posixpath.dirname(self.file), posixpath.dirname(self.output)
        return text if here == there else f"wdir: {posixpath.relpath(there or '.', here or '.')}\n{text}"


def pointer(output: str, directory: str | None) -> Pointer:
    """The `.dvc` file for an output: beside it, or below a directory that was named."""
    file = (
        f"{output}.dvc"
        if directory is None
        else posixpath.join(directory, f"{posixpath.basename(output)}.dvc")
    )
    return Pointer(output, file)


def refuse_unfit(pointer: Pointer, others: Sequence[Pointer], home: Path | None) -> None:
    """Refuse what could not be committed.

    Raises:
        UnusableError: Git ignores the `.dvc` file, or has the output itself; or another output has that file.
    """
    same = [each.output for each in others if each.file == pointer.file]
    if len(same) > 1:
        raise UnusableError(f"{pointer.file}: would stand for {' and '.join(same)}; leave `path` out")
    if home is None or not _is_git(home):
        return
    rule = _git(home, "check-ignore", "--verbose", "--no-index", pointer.file)
    if rule:
        source = rule.partition("\t")[0]
        raise UnusableError(
            f"{pointer.file}: git ignores it ({source}), so it could not be committed;"
            " name a directory that git does not ignore: `publish: {dvc: {path: models}}`"
        )
    if _git(home, "ls-files", "--", pointer.output):
        raise UnusableError(
            f"{pointer.output}: git has it already, and DVC keeps only what git does not;"
            f" run: git rm -r --cached {pointer.output}"
        )


def write(pointers: Sequence[Pointer], result: Path, home: Path | None) -> list[str]:
    """Write the `.dvc` files into a directory and, where it is, into the project; gives what is new there."""
    written = []
    for each in pointers:
        _replace(result / each.file, each.text)
        if home is None:
            continue
        place = home / each.file
        if not place.is_file() or place.read_text(encoding="utf-8", errors="replace") != each.text:
            written.append(each.file)
            _ignore(each.output, home)
            _replace(place, each.text)
    return written


def ignore_files(pointers: Sequence[Pointer], home: Path | None) -> list[str]:
    """The files by which git ignores the outputs, and which a commit needs."""
    found = []
    for each in pointers:
        rule = _git(home, "check-ignore", "--verbose", "--no-index", each.output) if home else ""
        source = rule.partition(":")[0]
        if home and source.endswith(".gitignore") and _git(home, "status", "--porcelain", "--", source):
            found.append(source)
    return found


def _ignore(output: str, home: Path) -> None:
    """Have git ignore an output, as `dvc add` does, unless it does so already."""
    if not _is_git(home) or _git(home, "check-ignore", "--no-index", output):
        return
    file = home / posixpath.dirname(output) / ".gitignore"
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    gap = "" if not before or before.endswith("\n") else "\n"
    _replace(file, f"{before}{gap}/{posixpath.basename(output)}\n")


def _replace(place: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".penstock-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _is_git(home: Path) -> bool:
    return bool(_git(home, "rev-parse", "--git-dir"))


def _git(home: Path, *arguments: str) -> str:
    """What git prints; nothing if it is not there or says no."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ["git", "-C", str(home), *arguments],  # noqa: S607 - whichever git the user has
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # a look must not write the index
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
