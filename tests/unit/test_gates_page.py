"""docs/gates.md says what the schema of pipeline files knows, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from penstock.plan import schema_gates

PAGE = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
CLASSES: dict[str, Any] = {
    get_args(each.model_fields["gate"].annotation)[0]: each
    for each in get_args(get_args(schema_gates.GateFile)[0])
}
SECTIONS = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def table(text: str) -> list[list[str]]:
    """The cells of all table rows but the headings."""
    rows = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r" \| ", row)] for row in rows if row.startswith("`")]


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_-]+)`", cell))


def part(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def options(gate: str) -> set[str]:
    """All that the page says a gate takes."""
    everyone, _, some = part("What every gate takes").partition("in common:")
    shared = {name for cells in table(some) if gate in named(cells[1]) for name in named(cells[0])}
    own = {name for cells in table(SECTIONS[gate]) for name in named(cells[0])}
    return {name for cells in table(everyone) for name in named(cells[0])} | shared | own


def test_every_gate_has_a_section_and_no_other_has_one() -> None:
    assert set(SECTIONS) == set(CLASSES) == set(schema_gates.GATES)


@pytest.mark.parametrize("gate", schema_gates.GATES)
def test_every_option_of_a_gate_is_on_the_page_and_no_other(gate: str) -> None:
    assert options(gate) == set(CLASSES[gate].model_fields)


def test_every_key_of_the_policy_is_on_the_page_with_its_default() -> None:
    rows = {next(iter(named(cells[0]))): cells[1] for cells in table(part("Policy"))}
    assert set(rows) == set(schema_gates.Policy.model_fields)
    for name, field in schema_gates.Policy.model_fields.items():
        assert str(field.default) in rows[name]


def test_every_criterion_of_fairness_is_on_the_page() -> None:
    literal = get_args(schema_gates.FairnessGate.model_fields["criterion"].annotation)[0]
    for criterion in get_args(literal):
        assert f"`{criterion}`" in SECTIONS["fairness"]
