"""What stages read undeclared, in words."""

from __future__ import annotations

import json

import report_samples as samples
from penstock.record import replace
from penstock.report import console, markdown, observed_text
from penstock.report.document import encode, from_document
from penstock.report.style import Style
from penstock.results import Observed, RunReport, StageState, Undeclared

READ = Undeclared(path="src/a.py", how="read", by="python train.py")
MADE = Undeclared(path="build/x", how="read", stage="prepare")
LISTED = Undeclared(path="data", how="listed", by="ls data")
MANY = Undeclared(path="lib", how="read", by="python", files=7)


def report(observed: Observed, state: StageState = StageState.RAN) -> RunReport:
    return samples.report(replace(samples.stage("train", state), observed=observed))


def told(observed: Observed, state: StageState = StageState.RAN) -> str:
    return console.render(report(observed, state), place="here", style=Style(width=100))


def test_the_lines_to_add_are_named() -> None:
    text = told(Observed(where="p.yaml:7: stage 'train'", undeclared=(READ, MADE, LISTED, MANY)))
    assert (
        "  train read 3 paths that it does not declare, now part of its key; p.yaml:7, inputs:\n"
        "    - src/a.py\n"
        "    - build/x  # of stage 'prepare'\n"
        "    - lib  # 7 files\n"
    ) in text
    assert "- data\n" not in text


def test_in_a_file_of_dvc_they_are_called_deps() -> None:
    text = told(Observed(where="sub/dvc.yaml:7: stage 'train'", undeclared=(READ,)))
    assert "sub/dvc.yaml:7, deps:" in text


def test_many_are_cut_short_on_a_terminal_and_whole_elsewhere() -> None:
    many = tuple(Undeclared(path=f"f{number}", how="read") for number in range(20))
    observed = Observed(where="p.yaml:7: stage 'train'", undeclared=many)
    assert "and 12 more" in told(observed)
    assert len(list(observed_text.facts(report(observed).stages[0]))) == 20


def test_what_did_not_run_is_counted_only() -> None:
    text = told(Observed(undeclared=(READ,)), StageState.CACHED)
    assert "1 cached stage reads what is not declared: penstock explain STAGE" in text
    assert "src/a.py" not in text
    assert "declared" not in told(Observed(undeclared=(LISTED,)), StageState.CACHED)


def test_what_could_not_be_observed_or_is_not_kept_or_not_needed_is_told() -> None:
    text = told(Observed(whole="no Python", unkept="it looks at 'x'", unread=("a", "b")))
    assert "train could not be observed, so the whole source is its input: no Python" in text
    assert "train is not kept: it looks at 'x'" in text
    assert "train never read what it declares: a, b" in text


def test_the_summary_and_run_json_have_it_all() -> None:
    observed = Observed(where="p.yaml:7: stage 'train'", undeclared=(READ, MADE, LISTED), unread=("z",))
    whole = report(observed)
    text = markdown.render(whole)
    for part in (
        "src/a.py, by python train.py",
        "inputs: [src/a.py]",
        "which stage 'prepare' makes",
        "never: z",
    ):
        assert part in text
    assert from_document(json.loads(encode(whole))) == whole
