"""Whether rows keep the rules of the schema file."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.program import UnusableError
from .cells import Chunk
from .findings import Finding
from .lines import Document
from .rules import Part, RuleError, parse
from .schema_file import Schema


class RuleCheck:
    """One rule and what breaks it.

    Attributes:
        finding: What was found.
    """

    def __init__(self, name: str, part: Part) -> None:
        self.finding = Finding(name)
        self._part = part

    def see(self, chunk: Chunk) -> None:
        """Take further rows into account."""
        found = self._part.evaluate(chunk)

        def show(place: int) -> str:
            texts = ((name, chunk.texts[name][place].as_py()) for name in sorted(self._part.columns))
            return ", ".join(f"{name}={text}" for name, text in texts)

        self.finding.add(~found.data & ~found.unknown, chunk.first, show)


def rule_checks(path: str, schema: Schema, document: Document, present: Sequence[str]) -> list[RuleCheck]:
    """The rules of a schema file that ask for no column that is not there.

    Raises:
        UnusableError: A text is no rule; names the line and the place.
    """
    checks = []
    for index, rule in enumerate(schema.rules):
        try:
            part = parse(rule.rule, schema.columns)
        except RuleError as error:
            line = document.line(("rules", index, "rule"))
            raise UnusableError(f"{path}:{line}: rules.{index}: {error}") from None
        if part.columns.issubset(present):
            checks.append(RuleCheck(f"rule: {rule.name or rule.rule}", part))
    return checks
