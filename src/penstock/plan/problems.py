"""Everything that is wrong with a pipeline file, told at once and in the order of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from penstock.errors import PipelineError
from penstock.record import Record, field

MAX_SHOWN = 10
_MAX_VALUE_CHARS = 60


class Line(int):
    """A line of another file than the one that a message is about.

    Attributes:
        file: As messages name it.
    """

    file: str

    def __new__(cls, number: int, file: str) -> Self:
        """A line of a file."""
        line = super().__new__(cls, number)
        line.file = file
        return line


def file_of(line: int, file: str = "") -> str:
    """The file that a line is of; `file` unless it says otherwise."""
    return line.file if isinstance(line, Line) else file


class PipelineErrors(PipelineError):  # noqa: N818 - several of them
    """One or more problems, each with its own place; `where`, `what` and `notes` are the first one's."""

    def __init__(self, problems: Sequence[PipelineError], more: int = 0) -> None:
        self.problems = tuple(problems)
        self.more = more
        first = self.problems[0]
        super().__init__(first.what, where=first.where, notes=first.notes)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.more:
            lines.append(f"and {self.more} more")
        return "\n".join(lines)


class Problems(Record, frozen=False, kw_only=False):
    """Collects what is wrong, so that one run of the command shows all of it."""

    _found: list[tuple[str, int, PipelineError]] = field(default_factory=list)

    def add(self, file: str, line: int, what: str, notes: Iterable[str] = ()) -> None:
        """Note a problem at a line of a file; the same one twice counts once."""
        file = file_of(line, file)
        problem = PipelineError(what, where=f"{file}:{line}", notes=tuple(notes))
        if all(str(problem) != str(other) for _, _, other in self._found[-MAX_SHOWN:]):
            self._found.append((file, line, problem))

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """End here if anything was noted.

        Raises:
            PipelineErrors: With at most `MAX_SHOWN` of the problems, by line.
        """
        if not self._found:
            return
        ordered = [problem for _, _, problem in sorted(self._found, key=lambda found: found[:2])]
        raise PipelineErrors(ordered[:MAX_SHOWN], more=max(0, len(ordered) - MAX_SHOWN)) from None


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, without control characters, not too long."""
    text = repr(value) if isinstance(value, str) else _plain(value)
    return text if len(text) <= _MAX_VALUE_CHARS else text[: _MAX_VALUE_CHARS - 3] + "..."


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """A note with the known name that is most like this one; nothing if none is."""
    from difflib import get_close_matches

    matches = get_close_matches(name[:100], list(known)[:1000], 1)
    return tuple(f"nearest: {match!r}" for match in matches)


def listing(kind: str, names: Iterable[str], limit: int = 12) -> str:
    """A note that names what there is."""
    names = list(names)
    if not names:
        return f"there are no {kind}"
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"the {kind} are {', '.join(names[:limit])}{rest}"


def _plain(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return f"a mapping ({', '.join(map(str, value))})" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return repr(value)
