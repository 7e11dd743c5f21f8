from __future__ import annotations

import random
import re

import pytest

from penstock.inert import one_line, printable


@pytest.mark.parametrize(
    ("text", "inert"),
    [
        ("plain é text\n\ttabbed", "plain é text\n\ttabbed"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("\x1bPdevice\x1b\\x", "x"),
        ("\x1b\x1b[0m[31m", "[31m"),
        ("10 %\r20 %\r\ndone\r", "20 %\ndone"),
        ("a\0b\x08c\x7fd\x85e", "abcde"),
        ("a\u202eb\u2066c\ufeff", "abc"),
        ("a\u2028::error::b", "a\n: :error::b"),
        ("\ud800x", "\ufffdx"),
        ("::set-output name=a::b", ": :set-output name=a::b"),
        (" \t::error::x\n::y", " \t: :error::x\n: :y"),
        ("\x1b[0m::add-mask::x", ": :add-mask::x"),
        ("std::vector", "std::vector"),
        ("##[error]x #\0#[group]", "## [error]x ## [group]"),
        ("##vso[task.setvariable]x", "## vso[task.setvariable]x"),
        ("section_start:1:a\r\x1b[0Kx", "x"),
        ("section_end:1:a", "section_end :1:a"),
    ],
)
def test_foreign_text_is_made_inert(text: str, inert: str) -> None:
    assert printable(text) == inert


def test_no_random_text_survives_as_a_command_or_an_escape() -> None:
    rng = random.Random(3)
    parts = [
        "::",
        "#",
        "#[",
        "[",
        "\x1b",
        "\x1b[",
        "m",
        "\r",
        "\n",
        " ",
        "section_start:",
        "1:a",
        "\0",
        "\x9b",
        "x",
    ]
    for _ in range(5000):
        shown = printable("".join(rng.choices(parts, k=12)))
        assert not re.search(r"(?m)^\s*::|##\w*\[|section_start:|[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
        assert printable(shown) == shown


def test_one_line_has_no_line_breaks() -> None:
    assert one_line(" a\n\tb \x1b[1mc\u2028d ") == "a b c d"
