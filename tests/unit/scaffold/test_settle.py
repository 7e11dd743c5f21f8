"""A draft gives way until nothing of it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.scaffold.draft import Draft, Item, Setting, StageDraft
from penstock.scaffold.settle import Complaint, settle


def test_a_refused_line_takes_its_stage_with_it() -> None:
    draft = Draft(
        "p", stages=[StageDraft("good", run="true"), StageDraft("bad", run="true", inputs=[Item("x")])]
    )

    def judge(text: str) -> Sequence[Complaint]:
        lines = text.split("\n")
        return (
            [Complaint("no", line=lines.index("    inputs: [x]") + 1)] if "    inputs: [x]" in lines else []
        )

    text = settle(draft, judge)
    assert "  good:" in text.split("\n")
    assert "  # bad:" in text.split("\n")
    assert draft.left_out == ["stage 'bad': no"]


def test_a_refused_parameter_file_becomes_an_input() -> None:
    draft = Draft("p", params=Setting("params.yaml"), stages=[StageDraft("a", run="true", params=["x"])])

    def judge(text: str) -> Sequence[Complaint]:
        return [Complaint("no", file="params.yaml")] if "\nparams:" in text else []

    text = settle(draft, judge)
    assert "# params: params.yaml" in text
    assert "- params.yaml" in text


def test_a_complaint_about_nothing_in_particular_leaves_a_bare_file() -> None:
    draft = Draft("p", stages=[StageDraft("a", run="true")], requirements=Setting("r.lock"))

    def judge(text: str) -> Sequence[Complaint]:
        return [] if "  example:" in text else [Complaint("who knows")]

    text = settle(draft, judge)
    assert "# requirements: r.lock" in text
    assert "  # a:" in text
    assert draft.left_out == ["who knows"]
