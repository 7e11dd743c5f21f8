"""Whatever a name holds, it comes out of the YAML as it went in."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from penstock.plan.yaml_file import parse
from penstock.scaffold.draft import Draft, Item, StageDraft
from penstock.scaffold.render import printable, render, scalar

TEXT = strategies.text(
    strategies.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1
)


@given(TEXT)
def test_a_text_is_read_back_as_it_was(text: str) -> None:
    assert parse(f"a: {scalar(text)}\nb: [{scalar(text)}]\n".encode(), "x").value == {"a": text, "b": [text]}


@pytest.mark.parametrize(
    "text", ["no", "Yes", "null", "3.10", "1e3", "~", "a: b", "a #b", "- a", "{a}", "", ".5", "0x1"]
)
def test_what_yaml_would_read_otherwise_is_quoted(text: str) -> None:
    assert scalar(text).startswith('"')
    assert parse(f"a: {scalar(text)}".encode(), "x").value == {"a": text}


@pytest.mark.parametrize("text", ["src/train.py", "build", "a-b_c.d/e"])
def test_an_ordinary_path_is_plain(text: str) -> None:
    assert scalar(text) == text


@given(strategies.text())
def test_a_comment_is_one_line_without_controls(text: str) -> None:
    assert printable(text).isprintable()


@given(strategies.text(strategies.characters(exclude_categories=["Cs"])))
def test_no_name_can_add_anything_to_the_file(text: str) -> None:
    stage = StageDraft("a", run="true", about=[text], inputs=[Item("b", why=text)], refused=text)
    draft = Draft("p", stages=[stage], notes=[text], data_files=["x.csv"], environment_notes=[text])
    value = parse(str(render(draft)).encode(), "x").value
    assert isinstance(value, dict)
    assert set(value) == {"version", "name", "stages"}
    assert set(value["stages"]) <= {"a", "example"}


@given(
    strategies.text(
        strategies.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), min_size=1
    )
)
def test_a_command_is_read_back_as_it_was(text: str) -> None:
    if any((ord(sign) < 32 and sign not in "\t\n") or 127 <= ord(sign) < 160 for sign in text):
        return
    stage = StageDraft("a", run=text, outputs=[Item("x", role="model"), Item("y")])
    value = parse(str(render(Draft("p", stages=[stage]))).encode(), "x").value
    assert isinstance(value, dict)
    assert value["stages"]["a"] == {"run": text, "outputs": {"model": "x", "y": "y"}}
