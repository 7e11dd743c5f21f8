"""Requirements files, with all that they include, as one text that says what is installed.

The text has a digest, so nothing is let through whose content the text does not determine: paths on this
machine, and branches of repositories.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from penstock import digest
from penstock.errors import PipelineError
from penstock.record import Record, field

_INCLUDE = re.compile(r"(-r|-c|--requirement|--constraint)(?:\s+|=|(?<=-[rc]))(\S.*)")
_FIND_LINKS = re.compile(r"(-f|--find-links)(?:\s+|=)(\S+)")
_COMMENT = re.compile(r"(^|\s)#.*")
_LOCAL = re.compile(r"(\S+\s*@\s*)?(file:|[./~])|[^\s:@;]+\.(whl|zip|tar\.gz)(\s|;|$)")
_REPOSITORY = re.compile(r"(?:^|@\s*)((?:git|hg|svn|bzr)\+\S+)")
_COMMIT = re.compile(r"git\+[^@\s]*(?:@[^@\s]*)?@[0-9a-f]{40,64}(#|$)")


class Requirements(Record, frozen=False, kw_only=False):
    """What is to be installed.

    Attributes:
        lines: Requirements and options as written, without comments; includes in place of their lines.
        constraints: Of the files that are included as such.
        installable: `lines` with paths that work from any directory.
    """

    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    installable: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Changes when something else may be installed, and not when a comment does."""
        return digest.of_json([self.lines, self.constraints])

    def copy(self) -> Requirements:
        """The same, to which other lines can be added."""
        return Requirements(self.lines[:], self.constraints[:], self.installable[:])

    def add_text(self, text: str, *, where: str, directory: Path) -> None:
        """Add the lines of a requirements file.

        Args:
            where: The file, for messages.
            directory: What its paths are relative to.

        Raises:
            PipelineError: A line does not determine what is installed, or an included file is not there.
        """
        self._add(text, where, directory, seen=set(), constraint=False)

    def _add(self, text: str, where: str, directory: Path, *, seen: set[Path], constraint: bool) -> None:
        for number, line in _logical(text):
            at = f"{where}:{number}"
            include = _INCLUDE.fullmatch(line)
            if include is not None:
                limits = constraint or include[1] in ("-c", "--constraint")
                self._include(include[2], at, directory, seen=seen, constraint=limits)
                continue
            _demand_determined(line, at)
            if constraint:
                self.constraints.append(line)
                continue
            self.lines.append(line)
            self.installable.append(_anywhere(line, directory))

    def _include(self, name: str, at: str, directory: Path, *, seen: set[Path], constraint: bool) -> None:
        if "://" in name:
            raise PipelineError(
                f"{name!r} is not on this machine, so what it asks for can change unseen",
                where=at,
                notes=("copy the file into the project and include the copy",),
            )
        path = directory / name
        if path in seen:
            return
        seen.add(path)
        self._add(read(path, name, at), str(path), path.parent, seen=seen, constraint=constraint)


def read(path: Path, name: str, where: str) -> str:
    """The text of a requirements file.

    Raises:
        PipelineError: It is not there, or no text.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise PipelineError(
            f"requirements file {name!r} cannot be read: {error.strerror}",
            where=where,
            notes=("add the file, or change the path",),
        ) from error
    except UnicodeDecodeError as error:
        raise PipelineError(
            f"requirements file {name!r} is not UTF-8 (byte {error.start})",
            where=where,
            notes=("save it as UTF-8",),
        ) from error


def _logical(text: str) -> Iterator[tuple[int, str]]:
    pending, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = (_COMMENT.sub("", raw) if "#" in raw else raw).rstrip()
        first = first if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = " ".join((pending + line).split())
        pending = ""
        if whole:
            yield first, whole
    if pending.strip():
        yield first, " ".join(pending.split())


def _demand_determined(line: str, at: str) -> None:
    if line.startswith(("-e", "--editable")):
        raise PipelineError(
            f"{line!r} installs a directory of this machine, whose content no key would hold",
            where=at,
            notes=(
                "leave it out and declare the package's source as an input, with PYTHONPATH in variables",
            ),
        )
    if line.startswith("-"):
        return
    if _LOCAL.match(line):
        raise PipelineError(
            f"{line!r} is a path on this machine, whose content no key would hold",
            where=at,
            notes=("name a version, and the directory of the file with --find-links, or declare an input",),
        )
    repository = _REPOSITORY.search(line) if "+" in line else None
    if repository is not None and not _COMMIT.match(repository[1]):
        raise PipelineError(
            f"{repository[1]!r} names no commit, so what it installs can change",
            where=at,
            notes=("name one: git+https://...@<40 hex digits>",),
        )


def _anywhere(line: str, directory: Path) -> str:
    links = _FIND_LINKS.fullmatch(line)
    if links is None or "://" in links[2]:
        return line
    return f"--find-links {directory / links[2]}"
