"""Checks a table against a schema file, between splits, against a reference, and writes what was found.

The recipe `validate-data` carries it into a stage. It ends with 0 whether the data pass or not (gates read
the result), and with 2 and one line when a file cannot be used at all. The same files give the same bytes.

Values are judged by the text as it is written. Left to guess, a reader takes `007` for 7, `NA` for nothing,
and a column of integers with one blank for floats; by then there is nothing left to check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import program
from .document import document


def main(arguments: Sequence[str]) -> int:
    """Validate and write; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    found = document(request)
    program.write_document(request["result"], found)
    return str(found["summary"])
