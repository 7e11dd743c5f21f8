"""Business rules: what rows must keep, and what is no rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.programs.validate.rules import RuleError, parse
from penstock.programs.validate.schema_file import Column
from validation_runs import Runs, failures, said

SCHEMA = """\
columns:
- {name: n, type: integer, nullable: true}
- {name: x, type: number, nullable: true}
- {name: t, type: string, nullable: true}
- {name: f, type: boolean, nullable: true}
- {name: d, type: date, nullable: true}
- {name: two words, type: number, nullable: true}
"""
DATA = """\
n,x,t,f,d,two words
1,0.5,Yes,true,2024-01-31,1
2,-3,no,false,2023-12-31T23:00-02:00,2
0,,,,,
10,1e3,été,TRUE,2024-02-29,-7.5
"""
COLUMNS = [Column.model_validate({"name": name, "type": kind}) for name, kind in (
    ("n", "integer"), ("x", "number"), ("t", "string"), ("f", "boolean"), ("d", "date"), ("two words", "number"))]  # fmt: skip


def broken(runs: Runs, rule: str) -> list[int | None]:
    """The rows that break a rule."""
    written = rule.replace("\n", "\n    ")
    result = runs(DATA, SCHEMA + f"rules:\n- name: r\n  rule: |-\n    {written}\n")
    return failures(result).get("rule: r", [])


@pytest.mark.parametrize(("rule", "rows"), [
    ("n > 0", [3]),
    ("n >= 1 and n <= 2", [3, 4]),
    ("0 < n < 10", [3, 4]),
    ("n == 1 or n == 2", [3, 4]),
    ("not n == 1", [1]),
    ("n != 2", [2]),
    ("n in [1, 2]", [3, 4]),
    ("n not in (0, 10)", [3, 4]),
    ("-n < 0", [3]),
    ("n + 1 == 2 or n - 1 == 1 or n * 2 == 0 or n / 4 == 2.5", []),
    ("n % 3 == 1", [2, 3]),
    ("n // 3 == 3", [1, 2, 3]),
    # what is missing is unknown, and a row fails only where the rule is false
    ("x > 0", [2]),
    ("x is not null", [3]),
    ("x is not null and x > 0", [2, 3]),
    ("x is null or x > 0", [2]),
    ("x > 0 or n == 0", [2]),
    ("x > 0 and n > 0", [2, 3]),
    ("not (x > 0)", [1, 4]),
    ("x is null", [1, 2, 4]),
    ("(x > 0) is null", [1, 2, 4]),
    # what cannot be computed is missing
    ("1 / n > 0", []),
    ("n % n == 1", [1, 2, 4]),
    ("(1 / n) is not null", [3]),
    ("x * 1e307 < 0", [1]),
    # texts
    ("t == 'Yes'", [2, 4]),
    ("t in ['Yes', 'no']", [4]),
    ("lower(t) == 'yes' or t == \"été\"", [2]),
    ("upper(t) == 'ÉTÉ'", [1, 2]),
    ("len(t) == 3", [2]),
    ("t < 'a'", [2, 4]),
    ("startswith(t, 'Y') or endswith(t, 'o') or contains(t, 't')", []),
    ("matches(t, '[A-Za-z]+')", [4]),
    ("strip(t) == t", []),
    # truth values, dates, functions
    ("f", [2]),
    ("not f", [1, 4]),
    ("f == (n > 2)", [1]),
    ("f in [true]", [2]),
    ("d < date('2024-02-01')", [4]),
    ("year(d) == 2024", []),
    ("month(d) == 1 and day(d) == 31", [2, 4]),
    ("d - date('2024-01-01') < 31", [4]),
    ("date('2024-01-01T01:00') == d", [1, 4]),
    ("abs(x) < 5", [4]),
    ("min(n, x) < 1", [4]),
    ("max(n, x, 5) <= 10", [4]),
    ("round(x) == 0 or floor(x) == -3", [4]),
    ("column('two words') > 0", [4]),
    ("n >= 0 and\n  x < 1000", [4]),
])  # fmt: skip
def test_a_rule_holds_or_is_broken(runs: Runs, rule: str, rows: list[int]) -> None:
    assert broken(runs, rule) == rows


def test_a_broken_rule_shows_what_it_looked_at(runs: Runs) -> None:
    result = runs(DATA, SCHEMA + "rules: ['n > 5 or x > 0']")
    assert said(result, "rule: n > 5 or x > 0") == ["n=2, x=-3"]


def test_a_value_of_the_wrong_type_breaks_no_rule(runs: Runs) -> None:
    result = runs(
        "a,b\nx,1\n", "columns: [{name: a, type: integer}, {name: b, type: integer}]\nrules: [a > 0]"
    )
    assert failures(result) == {"a type": [1]}


def test_a_rule_about_a_column_that_is_not_there_is_left_to_that_finding(runs: Runs) -> None:
    result = runs(
        "b\n1\n", "columns: [{name: a, type: integer}, {name: b, type: integer}]\nrules: [a > 0, b > 1]"
    )
    assert failures(result) == {"a present": [None], "rule: b > 1": [1]}


@pytest.mark.parametrize(("rule", "message"), [
    ("m > 0", "position 1: no column is called 'm'"),
    ("n > 0 and Tt == 'a'", "position 11: no column is called 'Tt'"),
    ("truw", "position 1: no column is called 'truw'; did you mean 'true'?"),
    ("n > t", "position 5: a number is compared with a text"),
    ("'é' == t and n > t", "position 18: a number is compared with a text"),
    ("n + t > 0", "position 5: 't' is a text, and a number belongs here"),
    ("d + 1 > d", "position 1: 'd' is a date, and a number belongs here"),
    ("f < f", "position 5: truth values have no order"),
    ("n", "a rule is true or false, and this is a number"),
    ("1 < 2", "names no column"),
    ("n and f", "position 1: 'n' is a number, and a truth value belongs here"),
    ("not n", "position 5: 'n' is a number, and a truth value belongs here"),
    ("n ** 2 > 0", "position 1: 'n ** 2': there are + - * / // % and no other operators"),
    ("n >", "position 4: no rule: invalid syntax"),
    ("n > 0)", "position 6: no rule: unmatched ')'"),
    ("n = 0", "position 3: no rule: invalid syntax"),
    ("(n := 3) > 0", "position 2: '(n := 3)' means nothing in a rule"),
    ("~n > 0", "position 1: '~n' means nothing in a rule"),
    ("n.real > 0", "position 1: 'n.real' means nothing in a rule"),
    ("n[0] > 0", "position 1: 'n[0]' means nothing in a rule"),
    ("[n for n in 'ab'] == n", 'position 1: "[n for n in \'ab\']" means nothing in a rule'),
    ("(lambda: n)() > 0", "position 1: 'lambda: n' is no function of rules"),
    ("__import__('os').system('x') == 0", 'position 1: "__import__(\'os\').system" is no function of rules'),
    ("eval('n') > 0", "position 1: 'eval' is no function of rules"),
    ("lenght(t) > 0", "position 1: 'lenght' is no function of rules"),
    ("lowe(t) == t", "position 1: 'lowe' is no function of rules; did you mean 'lower'?"),
    ("len(n) > 0", "position 5: 'n' is a number, and a text belongs here"),
    ("len(t, t) > 0", "position 1: len takes 1 values, not 2"),
    ("len(x=t) > 0", "position 1: 'len' is no function of rules"),
    ("min(n) > 0", "position 1: min takes 2 values, not 1"),
    ("matches(t, t)", "position 12: what matches looks for must be written down"),
    ("matches(t, '(')", "position 12: no regular expression: missing ), unterminated subpattern at position 0"),
    ("n in []", "position 6: after `in` stands a list of values: ['a', 'b']"),
    ("n in t", "position 6: after `in` stands a list of values: ['a', 'b']"),
    ("n in [1, n]", "position 10: a list after `in` holds values that are written down"),
    ("n in [1, 'a']", 'position 10: "\'a\'" is a text, and a number belongs here'),
    ("n is 0", "position 6: only null stands after `is` and `is not`"),
    ("n == null", "position 6: null stands only after `is` and `is not`"),
    ("column('m') > 0", "position 8: no column is called 'm'"),
    ("column(t) > 0", "position 1: column takes one text that is written down"),
    ("d > date('soon')", "position 10: 'soon' is no date"),
    ("f'{n}' == t", "position 1: \"f'{n}'\" means nothing in a rule"),
    ("b'a' == t", "position 1: b'a' means nothing in a rule"),
    ("n > 1e999", "position 5: inf means nothing in a rule"),
    ("n > 1j", "position 5: 1j means nothing in a rule"),
    ("n > 0 if f else f", "position 1: 'n > 0 if f else f' means nothing in a rule"),
    ("n > " + "9" * 1900, "position 5: "),
    ("n" + " + 1" * 60 + " > 0", "position 1: nested more than 50 deep"),
    ("(" * 300 + "n" + ")" * 300 + " > 0", "position "),
    ("n > 0 " + " " * 2000, "longer than 2,000 characters"),
])  # fmt: skip
def test_what_is_no_rule_is_refused_with_its_place(rule: str, message: str) -> None:
    with pytest.raises(RuleError) as error:
        parse(rule, COLUMNS)
    assert str(error.value).startswith(message)


def test_a_wrong_rule_is_refused_with_its_line(refused: Callable[..., str]) -> None:
    schema = SCHEMA + "rules:\n- n > 0\n- name: second\n  rule: n >> 1\n"
    assert refused(DATA, schema).startswith("t.yaml:11: rules.1: position 1: 'n >> 1'")
    schema = SCHEMA + "rules: [{name: x}]\n"
    assert refused(DATA, schema) == "t.yaml:8: rules.0.rule: field required"


@given(st.text("ntfdx()[]'\"+-*/<>=! andorisu0123.,:_\\\n", max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        part = parse(text, COLUMNS)
    except RuleError:
        return
    assert part.columns
