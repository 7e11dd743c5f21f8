"""Make foreign text inert: what a stage printed or a file is called is shown and never obeyed."""

from __future__ import annotations

import re
from functools import cache


@cache
def _unprintable() -> dict[int, str | None]:
    controls = (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))  # all but tab and newline
    directions = (0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
    return {
        **dict.fromkeys((*controls, *directions)),
        **dict.fromkeys((0x2028, 0x2029), "\n"),
        **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    }


_ESCAPE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]"
)
_COMMAND = r"(?m)^[^\S\n]*:(?=:)|##(?=\w*\[)|section_(?:start|end)(?=:)"


def printable(text: str) -> str:
    """Text that is inert wherever it is shown: on a terminal, in a CI log, in a report.

    Escape sequences, control characters and those that turn the direction of writing are gone; of a line that
    was written over (a progress bar), the last state is kept; nothing in it is a command of a CI system.
    """
    # compiling these expressions would be a tenth of a run that has nothing to do
    if not (text.isascii() and text.isprintable()):
        if "\x1b" in text or not text.isascii():
            text = re.sub(_ESCAPE, "", text)
        if "\r" in text:
            text = re.sub(r"[^\n]*\r(?=[^\r\n])", "", re.sub(r"\r+\n", "\n", text))
        text = text.translate(_unprintable())
    if "::" in text or "##" in text or "section_" in text:
        text = re.sub(_COMMAND, lambda found: found[0] + " ", text)
    return text


def one_line(text: str) -> str:
    """Printable text without line breaks, words one space apart."""
    return " ".join(printable(text).split())
