"""Files that are no YAML, or YAML that is refused: bombs, tricks, accidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from penstock.errors import PipelineError
from penstock.plan.yaml_file import parse, parse_value

S = b"stages: {a: {run: x}}\n"
H = b"version: 1\nname: x\n"
DOCUMENTS = {
    "an empty file": b"",
    "only a comment": b"# nothing\n",
    "a list": b"- version: 1\n",
    "a number": b"42\n",
    "a text": b"hello\n",
    "two documents": H + S + b"---\nversion: 1\n",
    "an alias": H + b"stages: {a: &s {run: x}, b: *s}\n",
    "an alias that is not defined": H + b"stages: *s\n",
    "an anchor alone": H + b"stages: &s {a: {run: x}}\n",
    "an anchor on a scalar": H + b"root: &r .\n" + S,
    "an anchor on a key": H + b"&k stages: {a: {run: x}}\n",
    "an alias bomb": b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\n",
    "a merge key": H + b"stages: {a: {<<: {run: x}}}\n",
    "a Python tag": H + b"root: !!python/object/apply:os.system [id]\n" + S,
    "a Python name tag": H + b"root: !!python/name:os.system\n" + S,
    "an own tag": H + b"root: !secret x\n" + S,
    "a binary": H + b"root: !!binary aGk=\n" + S,
    "a set": H + b"stages: !!set {a}\n",
    "a timestamp tag": H + b"root: !!timestamp 2024-01-01\n" + S,
    "a tag that does not fit": H + b"root: !!int x\n" + S,
    "a map tag on a list": H + b"ignore: !!map [a]\n" + S,
    "a duplicate key": H + b"name: y\n" + S,
    "a duplicate stage": H + b"stages:\n  a: {run: x}\n  a: {run: y}\n",
    "a duplicate key in flow style": H + b"stages: {a: {run: x, run: y}}\n",
    "a duplicate key, once quoted": H + b'"name": y\n' + S,
    "NaN": H + b"params: {a: .nan}\n" + S,
    "infinity": H + b"params: {a: .inf}\n" + S,
    "minus infinity": H + b"params: {a: -.INF}\n" + S,
    "a float that overflows": H + b"params: {a: 1e999}\n" + S,
    "an integer of 65 bits": H + b"params: {a: 18446744073709551616}\n" + S,
    "an integer of 100,000 digits": H + b"params: {a: " + b"9" * 100_000 + b"}\n" + S,
    "a hexadecimal of 10,000 digits": H + b"params: {a: 0x" + b"f" * 10_000 + b"}\n" + S,
    "a Norwegian": H + b"params: {country: no}\n" + S,
    "on as a key": H + b"params: {on: 1}\n" + S,
    "an octal": H + b"params: {mode: 0644}\n" + S,
    "a YAML 1.2 octal": H + b"params: {mode: 0o644}\n" + S,
    "a sexagesimal": H + b"params: {at: 12:30}\n" + S,
    "a date": H + b"params: {day: 2024-01-31}\n" + S,
    "underscores in a number": H + b"params: {n: 1_000}\n" + S,
    "a binary number": H + b"params: {n: 0b11}\n" + S,
    "a number as a key": H + b"params: {1: a}\n" + S,
    "null as a key": H + b"params: {~: a}\n" + S,
    "a boolean as a key": H + b"params: {true: a}\n" + S,
    "a list as a key": H + b"params: {[a]: b}\n" + S,
    "a mapping as a key": H + b"params: {{a: b}: c}\n" + S,
    "a deep list": H + b"params: {a: " + b"[" * 1000 + b"]" * 1000 + b"}\n" + S,
    "a deep list without an end": H + b"params: " + b"[" * 500_000,
    "a deep mapping": H + b"params: " + b"{a: " * 1000 + b"1" + b"}" * 1000 + b"\n" + S,
    "a deep block list": H + b"params:\n  a: " + b"- " * 100_000 + b"x\n" + S,
    "a deep block mapping": H + b"params:\n" + b"".join(b" " * (n + 1) + b"a:\n" for n in range(500)) + S,
    "question marks": H + b"? " * 100_000 + b"\n",
    "a million flow openings": b"{" * (1 << 20),
    "more than a mebibyte": H + S + b"#" * (1 << 20),
    "many values": H + b"ignore: [" + b"a," * 400_000 + b"]\n" + S,
    "many keys": H + b"params:\n" + b"".join(b"  k%d: 1\n" % n for n in range(60_000)) + S,
    "many empty lists": H + b"ignore: [" + b"[]," * 300_000 + b"]\n" + S,
    "one text of a mebibyte": H + b"root: " + b"a" * ((1 << 20) - 100) + b"\n" + S,
    "one key of 100,000 characters": H + b"a" * 100_000 + b": 1\n" + S,
    "one quoted key of 100,000 characters": H + b'"' + b"a" * 100_000 + b'": 1\n' + S,
    "Latin-1": H + b"description: caf\xe9\n" + S,
    "UTF-16": (H + S).decode().encode("utf-16"),
    "UTF-16 without a mark": (H + S).decode().encode("utf-16-le"),
    "an overlong encoding": H + b"root: \xc0\xaf\n" + S,
    "a lone surrogate in bytes": H + b"root: \xed\xa0\x80\n" + S,
    "a lone surrogate as an escape": H + b'root: "\\ud800"\n' + S,
    "a NUL": H + b"root: a\x00b\n" + S,
    "a NUL as an escape": H + b'root: "a\\0b"\n' + S,
    "an escape sequence for terminals": H + b'root: "\\e[2J"\n' + S,
    "a raw escape sequence": H + b"root: \x1b[2J\n" + S,
    "a bell": H + b"root: \x07\n" + S,
    "a carriage return in a text": H + b'root: "a\\rb"\n' + S,
    "a C1 control character": H + b"root: \xc2\x9b\n" + S,
    "a tab as indentation": H + b"stages:\n\ta: {run: x}\n",
    "a list without an end": H + b"ignore: [a, b\n" + S,
    "a mapping without an end": H + b"stages: {a: {run: x}\n",
    "a quote without an end": H + b"root: 'abc\n" + S,
    "a double quote without an end": H + b'root: "abc\n' + S,
    "a colon in a plain text": H + b"root: a: b\n" + S,
    "a wrong indentation": H + b"stages:\n  a:\n    run: x\n   b:\n    run: y\n",
    "an unknown escape": H + b'root: "\\q"\n' + S,
    "a reserved character": H + b"root: @x\n" + S,
    "a backtick": H + b"root: `x`\n" + S,
    "a percent sign": H + b"root: %x\n" + S,
    "an unknown directive": b"%FOO bar\n---\n" + H + S,
    "a YAML version of the future": b"%YAML 3.0\n---\n" + H + S,
    "text after the document": H + S + b"...\nmore: 1\n",
    "a closing bracket alone": H + b"]\n",
    "JSON with a trailing brace": b'{"version": 1}}\n',
    "a key without a colon": H + b"stages\n",
    "a block scalar with a wrong indicator": H + b"root: |z\n  a\n" + S,
    "random bytes": bytes(range(256)),
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "a gzip": b"\x1f\x8b\x08\x00" + bytes(range(64)),
    "an ELF": b"\x7fELF\x02\x01\x01" + bytes(64),
    "HTML": b"<!DOCTYPE html><html><body>{{7*7}}</body></html>",
    "a shell script": b"#!/bin/sh\nrm -rf /\n",
    "TOML": b'[project]\nname = "x"\n',
}


def test_every_hostile_file_is_refused_with_its_line(
    assert_refused: Callable[[Mapping[str, bytes], str], None],
) -> None:
    assert_refused(DOCUMENTS, "yaml.txt")


def test_the_same_files_are_refused_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    slow = {"many values", "many keys", "many empty lists", "one text of a mebibyte"}
    no_mapping = {"an empty file", "only a comment", "a list", "a number", "a text"}
    for title in DOCUMENTS.keys() - slow - no_mapping - {"HTML", "a shell script", "an unknown directive"}:
        with pytest.raises(PipelineError, match=r"^p\.yaml"):
            parse(DOCUMENTS[title], "p.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0", 0),
        ("+7", 7),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("2.", 2.0),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'no'", "no"),
        ('"1_000"', "1_000"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("y", "y"),
        ("1.2.3", "1.2.3"),
        ("3 m", "3 m"),
        ("[1, a, [b]]", [1, "a", ["b"]]),
        ("{a: 1, b: {c: null}}", {"a": 1, "b": {"c": None}}),
        ("-9223372036854775808", -(1 << 63)),
    ],
)
def test_a_scalar_is_what_both_versions_of_yaml_read(text: str, value: object) -> None:
    found = parse_value(text, "--set")
    assert found == value
    assert type(found) is type(value)


def test_every_value_has_its_line() -> None:
    document = parse(b"a:\n  b:\n    - x\n    - {c: 1,\n       d: 2}\n", "f")
    assert {place: line for place, line in document.lines.items() if place} == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4,
        ("a", "b", 1, "d"): 5,
    }


def test_what_is_not_in_the_file_has_the_line_of_what_is_around_it() -> None:
    document = parse(b"a:\n  b: 1\n", "f")
    assert document.line("a", "x", 3) == 1
    assert document.line("a", "b", "c") == 2


def test_a_byte_order_mark_and_windows_line_ends_are_harmless() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "f").value == {"a": 1, "b": 2}


def test_newlines_and_tabs_in_a_text_are_kept() -> None:
    assert parse(b"run: |\n  a\tb\n  c\n", "f").value == {"run": "a\tb\nc\n"}
