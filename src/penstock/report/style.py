"""What a terminal, or whatever stands in its place, can show: width, colour, symbols."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import TextIO

from penstock.inert import printable
from penstock.record import Record

MIN_COLUMNS, MAX_COLUMNS, PIPE_COLUMNS = 60, 120, 80

GREEN, RED, YELLOW, CYAN, DIM, BOLD = "32", "31", "33", "36", "2", "1"
_PLAIN = str.maketrans({"✓": "+", "✗": "x", "·": "-", "…": "~", "≥": ">=", "≤": "<=", "│": "|", "─": "-"})


class Style(Record, kw_only=False):
    """How text is put on a stream.

    Attributes:
        width: Columns.
        colour: Whether ANSI colours are understood.
        unicode: Whether more than ASCII can be written.
    """

    width: int = PIPE_COLUMNS
    colour: bool = False
    unicode: bool = True

    def paint(self, text: str, *codes: str) -> str:
        """The text in a colour, where there are colours."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.colour and codes and text else text

    def write(self, text: str) -> str:
        """The text in characters that can be written; not wider than with all of them, but for `≥`."""
        if self.unicode or text.isascii():
            return text
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode()

    def cell(self, text: str, columns: int) -> str:
        """Foreign text made inert, on one line, and cut or filled to exactly so many columns."""
        text = self.fit(text, columns)
        return text + " " * (columns - columns_of(text))

    def fit(self, text: str, columns: int) -> str:
        """Foreign text made inert, on one line and no wider than so many columns."""
        return self.fit_line(" ".join(printable(text).split()), columns)

    def fit_line(self, line: str, columns: int) -> str:
        """A printable line, spaces kept, no wider than so many columns."""
        line = self.write(line.expandtabs(4))
        if columns_of(line) <= columns:
            return line
        kept = ""
        room = columns - 1
        for character in line:
            room -= columns_of(character)
            if room < 0:
                break
            kept += character
        return kept.rstrip() + self.write("…")


def style_of(stream: TextIO, environ: Mapping[str, str]) -> Style:
    """What a stream can show.

    `NO_COLOR` and `FORCE_COLOR` are heeded, `COLUMNS` too; a pipe gets 80 columns without colour.
    """
    terminal = stream.isatty() and environ.get("TERM") != "dumb"
    colour = terminal or environ.get("FORCE_COLOR", "") not in ("", "0")
    if environ.get("NO_COLOR"):
        colour = False
    return Style(width=_width(stream, environ), colour=colour, unicode=can_encode(stream, "✓≥│"))


def can_encode(stream: TextIO, text: str) -> bool:
    """Whether a stream's encoding has these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    columns = int(environ["COLUMNS"]) if environ.get("COLUMNS", "").isdecimal() else 0
    if not columns and stream.isatty():
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
    return min(max(columns, MIN_COLUMNS), MAX_COLUMNS) if columns else PIPE_COLUMNS


def columns_of(text: str) -> int:
    """How many columns a terminal gives to printable text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def wrap(text: str, columns: int) -> list[str]:
    """Lines of whole words; a word that fits no line, such as a path, is broken where the line ends."""
    columns = max(columns, 20)
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".lstrip()
        if columns_of(joined) <= columns or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
        while columns_of(lines[-1]) > columns:
            cut = columns
            while columns_of(lines[-1][:cut]) > columns:
                cut -= 1
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    return lines if lines[0] else []
