"""The validator as a program: files in, a result file or one line out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from validation_runs import Runs, failures, start

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "examples" / "churn" / "data"

Validate = Callable[[bytes | str, str], dict[str, Any]]


def column(options: str, name: str = "a") -> str:
    return f"columns: [{{name: {name}, {options}}}]\n"


@pytest.fixture
def checked(runs: Runs) -> Validate:
    """Validates data against a schema and gives the result."""
    return runs


@pytest.fixture
def complaint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a file which cannot be used ends with, without the directory's name."""

    def run(data: bytes | str, schema: bytes | str, name: str = "t.csv") -> str:
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        (tmp_path / "t.yaml").write_bytes(schema if isinstance(schema, bytes) else schema.encode())
        assert start(tmp_path / name, tmp_path / "t.yaml", tmp_path / "r.json") == 2
        assert not (tmp_path / "r.json").exists()
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line.strip().replace(f"{tmp_path}/", "")

    return run


# Values by type: the text, and whether it is one

INTEGERS = ["0", "-5", "+7", "007", "9223372036854775807", "-9223372036854775808"]
NO_INTEGERS = [
    "1.0",
    "1e3",
    " 1",
    "1 ",
    "0x10",
    "1_000",
    "1,000",
    "٣",
    "True",
    "nan",
    "inf",
    "-",
    "9223372036854775808",
    "9" * 5000,
]
NUMBERS = ["0", "-1.5", "+.5", "3.", "1e-9", "1E5", "99999999999999999999999"]
NO_NUMBERS = [
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "1e999",
    "-1e999",
    "1,5",
    "0x1p3",
    "1_0.5",
    "1.2.3",
    ".",
    "e5",
    "$5",
    "5%",
    " 1",
    "٣.1",
    "1e9999999999",
]
BOOLEANS = ["true", "True", "FALSE"]
NO_BOOLEANS = ["0", "1", "yes", "No", "t", "tRUE", "true "]
DATES = [
    "2024-02-29",
    "2024-01-01T10:00",
    "2024-01-01 10:00:59.123",
    "2024-01-01T10:00:00Z",
    "2024-01-01T10:00+02:00",
]
NO_DATES = [
    "2023-02-29",
    "2024-13-01",
    "2024-00-10",
    "01.02.2024",
    "2024-1-1",
    "20240101",
    "2024-01-01T25:00",
    "2024-W01-1",
    "today",
    "0000-01-01",
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kind, text)
        for kind, texts in (
            ("integer", INTEGERS),
            ("number", NUMBERS),
            ("boolean", BOOLEANS),
            ("date", DATES),
        )
        for text in texts
    ],
)
def test_a_value_of_its_type_passes(checked: Validate, kind: str, text: str) -> None:
    result = checked(f'a\n"{text}"\n', column(f"type: {kind}"))
    assert result["passed"]
    assert failures(result) == {}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kind, text)
        for kind, texts in (
            ("integer", NO_INTEGERS),
            ("number", NO_NUMBERS),
            ("boolean", NO_BOOLEANS),
            ("date", NO_DATES),
        )
        for text in texts
    ],
)
def test_a_value_of_another_type_fails_with_its_row(checked: Validate, kind: str, text: str) -> None:
    good = {"integer": "1", "number": "1", "boolean": "true", "date": "2024-01-01"}[kind]
    result = checked(f'a\n{good}\n"{text}"\n{good}\n', column(f"type: {kind}"))
    assert failures(result) == {"a type": [2]}
    shown = next(check for check in result["checks"] if check["name"] == "type")["examples"][0]["value"]
    assert shown == (text if len(text) <= 80 else text[:79] + "…")


def test_text_stays_as_it_is_written(checked: Validate) -> None:
    schema = column("type: category, allowed: ['007', NA, 'null', ' x ', '1.0']")
    assert checked("a\n007\nNA\nnull\n x \n1.0\n", schema)["passed"]
    assert failures(checked("a\n7\n", schema)) == {"a allowed": [1]}


@pytest.mark.parametrize(
    ("options", "good", "bad"),
    [
        ("type: integer, min: 0", ["0", "5"], ["-1"]),
        ("type: integer, max: 10", ["10", "-5"], ["11"]),
        ("type: integer, max: 9007199254740992", ["9007199254740992"], ["9007199254740993"]),
        ("type: number, min: 0.5, max: 1", ["0.5", "1.0"], ["0.49999", "1.0000001"]),
        ("type: date, min: 2024-01-01", ["2024-01-01", "2024-01-01T00:00"], ["2023-12-31T23:59"]),
        ("type: date, max: 2024-01-01", ["2024-01-01T01:00+02:00"], ["2024-01-01T00:01"]),
        ("type: integer, allowed: [0, 1]", ["0", "01"], ["2"]),
        ("type: number, allowed: [0.5]", ["0.50", "5e-1"], ["0.51"]),
        ("type: boolean, allowed: [true]", ["TRUE"], ["false"]),
        ("type: date, allowed: [2024-01-01]", ["2024-01-01"], ["2024-01-02"]),
        ("type: category, allowed: [x, y z]", ["x", "y z"], ["X", "y", "x y z"]),
        ("type: string, pattern: '[a-z]+'", ["abc"], ["Abc", "abc1", "ab c"]),
        ("type: string, unique: true", ["p", "q"], ["p"]),
    ],
)
def test_a_value_out_of_bounds_fails_with_its_row(
    checked: Validate, options: str, good: list[str], bad: list[str]
) -> None:
    rows = "".join(f"{text}\n" for text in [*good, *bad])
    found = failures(checked(f"a\n{rows}", column(options)))
    assert sorted(row for rows_of_check in found.values() for row in rows_of_check if row) == list(
        range(len(good) + 1, len(good) + len(bad) + 1)
    )


def test_a_pattern_must_match_to_the_very_end(checked: Validate) -> None:
    assert failures(checked('a\n"abc\n"\n', column("type: string, pattern: '[a-z]+$'"))) == {"a pattern": [1]}


def test_a_value_of_the_wrong_type_is_not_also_out_of_bounds(checked: Validate) -> None:
    result = checked("a\nx\n", column("type: integer, min: 0, max: 9, allowed: [1]"))
    assert failures(result) == {"a type": [1]}


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "date", "string"])
def test_a_missing_value_fails_unless_it_may_be_missing(checked: Validate, kind: str) -> None:
    data = 'a,b\n"",1\n'
    schema = f"columns: [{{name: a, type: {kind}, nullable: %s}}, {{name: b, type: integer}}]"
    assert failures(checked(data, schema % "false")) == {"a not nullable": [1]}
    assert checked(data, schema % "true")["passed"]


def test_white_space_is_missing_only_if_the_schema_says_so(checked: Validate) -> None:
    data = "a,b\n ,1\n\t,2\n"
    schema = "columns: [{name: a, type: number, nullable: true%s}, {name: b, type: integer}]"
    assert failures(checked(data, schema % "")) == {"a type": [1, 2]}
    assert checked(data, schema % ", blank_as_null: true")["passed"]


def test_missing_values_do_not_repeat_each_other(checked: Validate) -> None:
    schema = "columns: [{name: a, type: string, nullable: true, unique: true}, {name: b, type: integer}]"
    assert checked("a,b\n,1\n,2\nx,3\n", schema)["passed"]


def test_a_column_of_nothing_but_missing_values_is_judged(checked: Validate) -> None:
    options = "type: date, min: 2024-01-01, nullable: true, unique: true"
    schema = f"columns: [{{name: a, {options}}}, {{name: b, type: integer}}]"
    assert checked("a,b\n,1\n,2\n", schema)["passed"]


# The table's shape

TWO = "columns: [{name: a, type: integer}, {name: b, type: integer}]\n"


def test_a_missing_column_fails_and_the_nearest_is_named(checked: Validate) -> None:
    schema = "columns: [{name: tenure, type: integer}]\n"
    result = checked("tenur\n1\n", schema)
    assert failures(result) == {"tenure present": [None], "no extra columns": [None]}
    notes = [check["examples"][0]["value"] for check in result["checks"] if not check["passed"]]
    assert notes == ["no such column; did you mean 'tenur'?", "'tenur'"]


def test_extra_columns_fail_unless_they_are_allowed(checked: Validate) -> None:
    assert failures(checked("a,b,c\n1,2,3\n", TWO)) == {"no extra columns": [None]}
    assert checked("a,b,c\n1,2,3\n", TWO + "extra_columns: allow\n")["passed"]


def test_columns_in_another_order_fail_unless_order_does_not_matter(checked: Validate) -> None:
    assert failures(checked("b,a\n1,2\n", TWO)) == {"column order": [None]}
    assert checked("b,a\n1,2\n", TWO + "ordered: false\n")["passed"]


def test_a_missing_column_does_not_make_the_order_wrong(checked: Validate) -> None:
    schema = "columns: [{name: a, type: integer}, {name: b, type: integer}, {name: c, type: integer}]"
    assert failures(checked("a,c\n1,2\n", schema)) == {"b present": [None]}


def test_names_of_columns_are_compared_letter_by_letter(checked: Validate) -> None:
    assert set(failures(checked("A, b\n1,2\n", TWO))) == {"a present", "b present", "no extra columns"}


def test_a_table_without_rows_is_evidence_of_nothing(checked: Validate) -> None:
    assert failures(checked("a,b\n", TWO)) == {"rows": [None]}
    assert checked("a,b\n", TWO + "rows: {min: 0}\n")["passed"]


@pytest.mark.parametrize(("rows", "passed"), [(1, False), (2, True), (3, True), (4, False)])
def test_the_number_of_rows_is_bounded_on_both_sides(checked: Validate, rows: int, *, passed: bool) -> None:
    result = checked("a,b\n" + "1,2\n" * rows, TWO + "rows: {min: 2, max: 3}\n")
    assert result["passed"] is passed
    assert result["rows"] == rows


def test_values_of_several_columns_together_may_not_repeat(checked: Validate) -> None:
    schema = TWO + "unique: [[a, b]]\n"
    assert checked("a,b\n1,2\n2,1\n1,1\n", schema)["passed"]
    assert failures(checked("a,b\n1,2\n2,1\n1,2\n", schema)) == {"unique: a, b": [3]}


def test_no_column_of_the_schema_is_there(checked: Validate) -> None:
    assert set(failures(checked("x;y\n1;2\n", TWO))) == {"a present", "b present", "no extra columns"}


# Texts that are CSV although they are odd


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2",
        b"a,b\r\n1,2\r\n",
        b"\xef\xbb\xbfa,b\n1,2\n",
        b'"a","b"\n"1","2"\n',
        b"a,b\n\n1,2\n\n\n",
    ],
    ids=["no newline at the end", "Windows", "byte order mark", "quoted", "blank lines"],
)
def test_an_odd_but_sound_file_is_read(checked: Validate, data: bytes) -> None:
    result = checked(data, TWO)
    assert result["passed"]
    assert (result["rows"], len(result["columns"])) == (1, 2)


def test_a_value_may_hold_line_breaks_and_delimiters(checked: Validate) -> None:
    result = checked('a\n"x,\n""y"""\n', column("type: category, allowed: [z]"))
    assert result["rows"] == 1
    assert result["checks"][-1]["examples"] == [{"row": 1, "value": 'x,\n"y"'}]


def test_another_delimiter_can_be_declared(checked: Validate) -> None:
    assert checked("a;b\n1;2\n", TWO + "delimiter: ';'\n")["passed"]
    assert checked("a\tb\n1\t2\n", TWO + 'delimiter: "\\t"\n')["passed"]


# Data that cannot be used


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "t.csv: empty; there is not even a header"),
        (b"\n\n", "t.csv: empty; there is not even a header"),
        (b"\xef\xbb\xbf", "t.csv: empty; there is not even a header"),
        (b"a,a\n1,2\n", "t.csv:1: 2 columns are called 'a'"),
        (b"a,b,,\n1,2,3,4\n", "t.csv:1: 2 columns are called ''"),
        (b"a,b\n1,2\n1\n", "t.csv:3: 1 values, but the header names 2 columns"),
        (b"a,b\n1,2,3\n", "t.csv:2: 3 values, but the header names 2 columns"),
        (b"a,b\n1,2,\n", "t.csv:2: 3 values, but the header names 2 columns"),
        (b'a,b\n1,"2\n', "t.csv:2: no CSV: unexpected end of data"),
        (b'a,b\n"1"x,2\n', "t.csv:2: no CSV: ',' expected after '\"'"),
        (b"a,b\n1,\xff\n", "t.csv:2: not UTF-8: byte 0xff at offset 6"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv:1: not UTF-8: byte 0xff at offset 0"),
        ("a,b\n1,é\n".encode("latin-1"), "t.csv:2: not UTF-8: byte 0xe9 at offset 6"),
        (b"a,b\n1,\0\n", "t.csv: holds NUL characters; it is no CSV file"),
        (b"PAR1\0\0", "t.csv: holds NUL characters; it is no CSV file"),
        (
            b'a,b\n"' + b"x" * (1 << 24) + b'x",1\n',
            "t.csv:2: no CSV: field larger than field limit (16777216)",
        ),
    ],
)
def test_data_that_are_no_table_are_refused_in_one_line(
    complaint: Callable[..., str], data: bytes, message: str
) -> None:
    assert complaint(data, TWO) == message


def test_the_line_of_a_broken_row_counts_line_breaks_in_values(complaint: Callable[..., str]) -> None:
    assert complaint('a,b\n"1\n\n",2\n1\n', TWO).startswith("t.csv:5: 1 values")


def test_a_file_of_another_format_is_refused_by_name(complaint: Callable[..., str]) -> None:
    assert complaint("a,b\n", TWO, "t.xlsx") == "t.xlsx: neither .csv nor .parquet"


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.csv"
    assert start(missing, missing, tmp_path / "r") == 2
    assert capsys.readouterr().err == f"{missing}: No such file or directory\n"


# Schemas that cannot be used


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("", "1: a schema is a mapping that names the columns"),
        ("[]", "1: a schema is a mapping that names the columns"),
        ("a: [", "1: expected the node content, but found '<stream end>'"),
        ("a: b: c", "1: mapping values are not allowed here"),
        ("\tcolumns: []", "1: found character '\\t' that cannot start any token"),
        ("--- {}\n--- {}\n", "2: but found another document"),
        ("columns: []\n", "1: columns: list should have at least 1 item after validation, not 0"),
        ("rows: {min: 1}\n", "1: columns: field required"),
        ("columns: &x []\nunique: *x\n", "1: aliases are not allowed"),
        ("columns: []\ncolumns: []\n", "2: 'columns' is given twice"),
        (TWO + "row: {}\n", "2: unknown key 'row'; did you mean 'rows'?"),
        (TWO + "rows: {minimum: 1}\n", "2: unknown key 'rows.minimum'"),
        (TWO + "rows: {min: -1}\n", "2: rows.min: input should be greater than or equal to 0"),
        (TWO + "rows: {min: 5, max: 4}\n", "2: rows: min 5 is greater than max 4"),
        (TWO + "rows: 5\n", "2: rows: input should be a valid dictionary or instance of Rows"),
        (TWO + "ordered: 1\n", "2: ordered: input should be a valid boolean"),
        (TWO + "extra_columns: drop\n", "2: extra_columns: input should be 'forbid' or 'allow'"),
        (TWO + "unique: [[a, c]]\n", "1: unique: no column is called 'c'"),
        (TWO + "delimiter: ';;'\n", "2: delimiter: string should match pattern '^[^\"\\r\\n]$'"),
        ("columns:\n- {name: a}\n", "2: columns.0.type: field required"),
        ("columns:\n- {type: string}\n", "2: columns.0.name: field required"),
        (
            "columns:\n- {name: '', type: string}\n",
            "2: columns.0.name: string should have at least 1 character",
        ),
        ("columns:\n- {name: Yes, type: string}\n", "2: columns.0.name: input should be a valid string"),
        ("columns:\n- a\n", "2: columns.0: input should be a valid dictionary or instance of Column"),
        (
            "columns:\n- name: a\n  type: string\n  nulable: true\n",
            "4: unknown key 'columns.0.nulable'; did you mean 'nullable'?",
        ),
        (
            "columns:\n- name: a\n  type: int\n",
            "3: columns.0.type: input should be 'integer', 'number', 'boolean', 'date'",
        ),
        (
            "columns:\n- {name: a, type: string}\n- {name: a, type: string}\n",
            "1: column 'a' is declared 2 times",
        ),
        (column("type: string, min: 1"), "1: columns.0: min and max mean nothing for type string"),
        (column("type: integer, min: 1.5"), "1: columns.0: min: 1.5 is no integer"),
        (column("type: integer, min: true"), "1: columns.0: min: True is no integer"),
        (column("type: number, max: .nan"), "1: columns.0: max: nan is no number"),
        (column("type: number, max: .inf"), "1: columns.0: max: inf is no number"),
        (column("type: number, min: 2, max: 1"), "1: columns.0: min 2 is greater than max 1"),
        (column("type: date, min: 5"), "1: columns.0: min: 5 is no date"),
        (column("type: date, min: 2024-02-30"), "1: no YAML: day is out of range for month"),
        (column("type: integer, pattern: x"), "1: columns.0: a pattern means nothing for type integer"),
        (
            column("type: string, pattern: '('"),
            "1: columns.0.pattern: no regular expression: missing ), unterminated subpattern at position 0",
        ),
        (column("type: category"), "1: columns.0: a category needs the values that are allowed"),
        (
            column("type: category, allowed: [Yes]"),
            "1: columns.0: allowed: True is no category; quote it to make it text",
        ),
        (
            column("type: category, allowed: [[x]]"),
            "1: columns.0: allowed: ['x'] is no category; quote it to make it text",
        ),
        (
            column("type: integer, allowed: []"),
            "1: columns.0.allowed: list should have at least 1 item after validation, not 0",
        ),
        (column("type: integer, allowed: [~]"), "1: columns.0: allowed: None is no integer"),
        (
            column("type: !!python/name:os.system x"),
            "1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
        ("? [a]\n: 1\n", "1: unknown key"),
        ("columns: " + "[" * 2000, "1: no YAML"),
        (b"columns: \xff", "1: not UTF-8: byte 0xff at offset 9"),
        (b"columns: \x01", "1: no YAML: unacceptable character"),
        ("#" * (1 << 20) + "\n", " larger than 1048576 bytes"),
    ],
)
def test_a_schema_that_is_wrong_is_refused_with_its_line(
    complaint: Callable[..., str], schema: str | bytes, message: str
) -> None:
    assert complaint("a,b\n1,2\n", schema).startswith(f"t.yaml:{message}")


# The result


def test_the_same_files_give_the_same_bytes(checked: Validate, tmp_path: Path) -> None:
    data = "a,b\n" + "".join(f"{number % 7},x{number}\n" for number in range(50))
    first = checked(data, TWO + "unique: [[a, b]]\n")
    content = (tmp_path / "out" / "r.json").read_bytes()
    assert checked(data, TWO + "unique: [[a, b]]\n") == first
    assert (tmp_path / "out" / "r.json").read_bytes() == content


def test_the_result_names_digests_counts_and_the_first_failures(checked: Validate) -> None:
    result = checked("a,b\n" + "x,1\n" * 8, TWO)
    assert (result["version"], result["kind"]) == (2, "validation")
    assert result["data"]["digest"].startswith("sha256:")
    assert len(result["schema"]["digest"]) == 71
    assert result["summary"] == "8 rows, 2 columns: 1 of 9 checks failed: a type (8 failures)"
    check = next(check for check in result["checks"] if not check["passed"])
    assert check["failures"] == 8
    assert check["examples"] == [{"row": row, "value": "x"} for row in (1, 2, 3, 4, 5)]


def test_what_the_data_hold_is_text_in_the_result_and_nothing_else(checked: Validate) -> None:
    result = checked('a\n"\x1b[31m<b>::error::"\n', column("type: integer"))
    assert "\x1b[31m<b>::error::" in [
        item["value"] for check in result["checks"] for item in check["examples"]
    ]


def test_the_example_data_pass_their_schema(tmp_path: Path) -> None:
    assert start(EXAMPLE / "telco-churn.csv", EXAMPLE / "churn.schema.yaml", tmp_path / "r.json") == 0
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (result["passed"], result["rows"], len(result["columns"])) == (True, 7043, 21)
