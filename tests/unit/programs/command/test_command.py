"""The gate's command as a program: whatever it does, how it ended is written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.programs.command import main as command

Said = Callable[[str], dict[str, Any]]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """Runs a command as the gate does; gives the document."""

    def said(run: str) -> dict[str, Any]:
        request = tmp_path / "request.json"
        request.write_text(json.dumps({"run": run, "result": str(tmp_path / "o" / "r.json")}))
        assert command.main([str(request)]) == 0
        document: dict[str, Any] = json.loads((tmp_path / "o" / "r.json").read_text())
        return document

    return said


@pytest.mark.parametrize(("run", "code"), [("true", 0), ("exit 4", 4), ("exit 3", 3), ("kill -9 $$", 137)])
def test_how_a_command_ended_is_written_down(said: Said, run: str, code: int) -> None:
    document = said(run)
    assert (document["version"], document["kind"], document["exit_code"]) == (1, "command", code)
    assert (document["result"], document["problem"]) == (None, None)


def test_what_a_command_prints_is_kept_from_its_end(said: Said) -> None:
    document = said("seq 1 5000; echo last >&2")
    assert document["output"].endswith("5000\nlast\n")
    assert len(document["output"]) == 2_000


def test_a_verdict_with_a_number_is_kept(said: Said) -> None:
    document = said(
        """echo '{"value": 0.5, "interval": [0.4, 0.6], "rows": 9}' > "$PENSTOCK_VERDICT"; exit 4"""
    )
    assert document["exit_code"] == 4
    assert document["result"] == {"value": 0.5, "interval": [0.4, 0.6], "rows": 9, "sentence": None}


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no JSON object"),
        ('{"valeu": 1}', "has an unknown key 'valeu'"),
        ('{"value": true}', "has a 'value' that it cannot have: true"),
        ('{"value": NaN}', "has a 'value' that it cannot have: NaN"),
        ('{"value": 1e999}', "has a 'value'"),
        ('{"interval": [2, 1]}', "has a 'interval'"),
        ('{"interval": [1]}', "has a 'interval'"),
        ('{"rows": -1}', "has a 'rows'"),
        ('{"sentence": 3}', "has a 'sentence'"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_verdict_that_cannot_be_one_is_a_problem(
    said: Said, tmp_path: Path, verdict: str, problem: str
) -> None:
    (tmp_path / "v.json").write_text(verdict)
    document = said(f'cp {tmp_path}/v.json "$PENSTOCK_VERDICT"')
    assert document["result"] is None
    assert problem in document["problem"]


def test_a_verdict_without_end_is_not_read(said: Said) -> None:
    document = said('head -c 2000000 /dev/zero > "$PENSTOCK_VERDICT"')
    assert document["problem"] == "$PENSTOCK_VERDICT has more than 1,048,576 bytes"
