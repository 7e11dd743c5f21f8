"""What is accepted: with a reason, until a day, and no other finding with it."""

from __future__ import annotations

import pytest

from security_samples import PASSWORD, TODAY, Document, Project, named

KEY = "0123456789abcdef" * 2


def accept(project: Project, *entries: str, key: str | None = KEY) -> None:
    """Write the baseline."""
    head = f"version: 1\n{f'key: {key}' if key else '# no key'}\naccept:\n"
    project.write("security.yaml", head + "".join(f"- {each}\n" for each in entries))


def entry(fingerprint: str, reason: str = "of the test system", expires: str = "2027-01-31") -> str:
    return f"{{fingerprint: {fingerprint}, reason: {reason}, expires: {expires}}}"


def scan(project: Project, *checks: str) -> Document:
    return project.scan(*checks, baseline="security.yaml")


def fingerprint(project: Project, *checks: str) -> str:
    """That of the only finding."""
    accept(project)
    (found,) = scan(project, *checks)["findings"]
    return str(found["fingerprint"])


def test_an_accepted_finding_is_told_as_such(project: Project) -> None:
    project.write(".env", f"DB_PASSWORD={PASSWORD}")
    accept(project, entry(fingerprint(project)))
    document = scan(project)
    (found,) = document["findings"]
    assert found["accepted"] == {"reason": "of the test system", "expires": "2027-01-31"}
    counts = named(document, "secrets")["counts"]
    assert (counts["open"]["high"], counts["accepted"]["high"]) == (0, 1)
    assert document["baseline"] == {"path": "security.yaml", "entries": 1, "used": 1, "problems": []}


def test_an_entry_that_is_over_does_not_count_and_is_told_with_its_line(project: Project) -> None:
    project.write(".env", f"DB_PASSWORD={PASSWORD}")
    own = fingerprint(project)
    accept(project, entry("ab" * 12), entry(own, expires="2026-11-20"))
    document = scan(project)
    assert document["findings"][0]["accepted"] is None
    (problem,) = document["baseline"]["problems"]
    assert problem.startswith("security.yaml:5: what was accepted until 2026-11-20 is over")
    accept(project, entry(own, expires=TODAY))
    assert scan(project)["findings"][0]["accepted"] is not None


def test_an_entry_that_fits_nothing_any_more_is_told(project: Project) -> None:
    project.write("a.txt", "1")
    accept(project, entry("ab" * 12))
    assert scan(project)["warnings"][-1].startswith("security.yaml:4: fits no finding")


WRONG = {
    "no reason": ("- {fingerprint: abababababababababababab, expires: 2027-01-31}", 4, "`reason` is missing"),
    "an empty reason": (
        "- {fingerprint: abababababababababababab, reason: ' ', expires: 2027-01-31}",
        4,
        "no reason",
    ),
    "a reason of signs": (
        "- {fingerprint: abababababababababababab, reason: '...', expires: 2027-01-31}",
        4,
        "no reason",
    ),
    "no date": ("- {fingerprint: abababababababababababab, reason: x}", 4, "`expires` is missing"),
    "no such date": (
        "- {fingerprint: abababababababababababab, reason: x, expires: 2027-02-31}",
        4,
        "must be a day",
    ),
    "never": ("- {fingerprint: abababababababababababab, reason: x, expires: never}", 4, "must be a day"),
    "no fingerprint": ("- {fingerprint: abc, reason: x, expires: 2027-01-31}", 4, "24 hexadecimal digits"),
    "twice": (
        "- {fingerprint: abababababababababababab, reason: x, expires: 2027-01-31}\n" * 2,
        5,
        "line 4 already",
    ),
    "a key too many": ("- {fingerprint: a, reason: x, expires: 2027-01-31, path: '*'}", 4, "no key 'path'"),
    "a key twice": ("- {reason: x, reason: y, fingerprint: a, expires: 2027-01-31}", 4, "stands there twice"),
    "a list of texts": ("- abababababababababababab", 4, "must be a mapping"),
    "no YAML": ("- {", 5, "no YAML"),
    "an alias": ("- &a {reason: x}\n- *a", 4, "`fingerprint` is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_baseline_that_is_wrong_ends_the_scan_with_its_line(
    project: Project, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text, line, what = WRONG[name]
    project.write("a.txt", "1")
    project.write("security.yaml", f"version: 1\nkey: {KEY}\naccept:\n{text}\n")
    assert project.start(baseline="security.yaml") == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"security.yaml:{line}: ")
    assert what in said
    assert not (project.out / "result").exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("version: 2\n", "`version` must be 1"),
        ("version: 1\nkey: abc\n", "hexadecimal"),
        ("version: 1\naccept: all\n", "`accept` must be a list"),
        ("accept: []\n", "`version` is missing"),
        ("- 1\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("version: " + "[" * 2000, "no YAML"),
    ],
)
def test_a_file_that_is_no_baseline_ends_the_scan(
    project: Project, capsys: pytest.CaptureFixture[str], text: str, what: str
) -> None:
    project.write("security.yaml", text)
    assert project.start(baseline="security.yaml") == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert what in said


def test_a_baseline_that_is_not_there_ends_the_scan(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("a.txt", "1")
    assert project.start(baseline="gone.yaml") == 2
    assert "gone.yaml: No such file" in capsys.readouterr().err


def test_another_secret_in_the_place_of_an_accepted_one_is_not_accepted(project: Project) -> None:
    project.write(".env", f"DB_PASSWORD={PASSWORD}")
    accept(project, entry(fingerprint(project)))
    project.write(".env", f"DB_PASSWORD=pr0d{PASSWORD}")
    assert scan(project)["findings"][0]["accepted"] is None


def test_a_secret_cannot_be_accepted_by_a_file_without_a_key(project: Project) -> None:
    project.write(".env", f"DB_PASSWORD={PASSWORD}")
    accept(project, key=None)
    (found,) = scan(project)["findings"]
    accept(project, entry(found["fingerprint"]), key=None)
    document = scan(project)
    assert document["findings"][0]["accepted"] is None
    (problem,) = document["baseline"]["problems"]
    assert problem.startswith("security.yaml:4: accepts a secret, and the file has no `key`")


def test_a_fingerprint_without_a_key_says_nothing_of_the_secret(project: Project) -> None:
    found = []
    for value in (PASSWORD, f"0ther{PASSWORD}"):
        project.write(".env", f"DB_PASSWORD={value}")
        found += [each["fingerprint"] for each in project.scan()["findings"]]
    assert len(set(found)) == 1


def test_a_fingerprint_with_a_key_depends_on_it(project: Project) -> None:
    project.write(".env", f"DB_PASSWORD={PASSWORD}")
    found = set()
    for key in (KEY, "ff" * 16):
        accept(project, key=key)
        found |= {each["fingerprint"] for each in scan(project)["findings"]}
    assert len(found) == 2


def test_fingerprints_stay_when_lines_move_and_findings_come_and_go(project: Project) -> None:
    code = 'import subprocess\nsubprocess.run("ls", shell=True)\n'
    project.write("a.py", code)
    project.write("b.env", f"DB_PASSWORD={PASSWORD}\n")
    accept(project)
    checks = ("secrets", "code", "pins")
    before = {(each["rule"], each["fingerprint"]) for each in scan(project, *checks)["findings"]}
    project.write("a.py", '"""Moved."""\n\n\n' + code + 'exec("1")\n')
    project.write("b.env", f"# moved\nA=1\n\n   DB_PASSWORD={PASSWORD}\nAPI_TOKEN=n3w{PASSWORD}\n")
    after = scan(project, *checks)["findings"]
    assert before < {(each["rule"], each["fingerprint"]) for each in after}
    assert len(after) > len(before)


def test_the_same_secret_twice_in_a_file_has_two_fingerprints(project: Project) -> None:
    project.write("a.env", f"DB_PASSWORD={PASSWORD}\nB=1\nDB_PASSWORD={PASSWORD}\n")
    accept(project)
    assert len({each["fingerprint"] for each in scan(project)["findings"]}) == 2


def test_the_key_of_the_baseline_is_no_finding(project: Project) -> None:
    project.write("a.txt", "1")
    accept(project)
    assert scan(project)["findings"] == []
