"""The comment, against a server that answers as GitHub's and GitLab's REST interfaces do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import report_samples as samples
from comment_service import MARKER, OTHER, TOKEN, Service, running
from penstock.cli import main
from penstock.errors import ExecutorError, UsageError
from penstock.publish.comment import MAX_CHARACTERS, marker_for
from penstock.report import keep


@pytest.fixture(params=["github", "gitlab"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with running(request.param) as made:
        yield made


def test_the_first_run_writes_a_comment_and_the_next_ones_update_it(service: Service) -> None:
    service.add("looks good")
    assert service.write("first").created
    assert not service.write("second").created
    assert not service.write("third").created
    assert [each["body"] for each in service.comments] == ["looks good", f"{MARKER}\nthird"]


def test_the_comment_is_found_on_a_later_page(service: Service) -> None:
    for number in range(230):
        service.add(f"comment {number}")
    service.add(f"{MARKER}\nbefore")
    service.add("after")
    assert not service.write("now").created
    assert service.comments[230]["body"] == f"{MARKER}\nnow"
    assert len([each for each in service.requests if each == f"GET {service.list_path}"]) == 3


def test_each_pipeline_has_its_own_comment(service: Service) -> None:
    service.write("a")
    assert service.write("b", marker=marker_for("churn-2")).created
    assert len(service.comments) == 2


def test_a_copy_of_the_marker_in_the_comment_of_another_is_left_alone(service: Service) -> None:
    service.add(f"{MARKER}\n✅ passed", author=OTHER)
    assert service.write("❌ failed").created
    assert service.comments[0]["body"].endswith("✅ passed")
    assert not service.write("again").created
    assert len(service.comments) == 2


@pytest.mark.parametrize("service", ["github"], indirect=True)  # every token of GitLab is a user's
def test_an_application_takes_only_the_comment_of_a_bot_for_its_own(service: Service) -> None:
    service.application = True
    service.add(f"{MARKER}\n✅ passed", author=OTHER)
    assert service.write("first").created
    assert not service.write("second").created
    assert [each["body"] for each in service.comments] == [f"{MARKER}\n✅ passed", f"{MARKER}\nsecond"]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(service: Service, code: int) -> None:
    service.failures = [(code, {}), (code, {})]
    assert service.write("text").created
    assert service.slept == [1.0, 3.0]


def test_a_service_is_waited_for_as_it_asks_but_not_for_ever(service: Service) -> None:
    service.failures = [(429, {"Retry-After": "20"}), (503, {"Retry-After": "86400"})]
    service.write("text")
    assert service.slept == [20.0, 60.0]


def test_a_service_that_stays_away_is_given_up_with_exit_code_5(service: Service) -> None:
    service.failures = [(503, {})] * 50
    with pytest.raises(ExecutorError, match=r"cannot be reached: HTTP 503\n  tried 4 times") as caught:
        service.write("text")
    assert caught.value.exit_code == 5


def test_a_comment_whose_answer_was_lost_is_not_written_twice(service: Service) -> None:
    service.lost = 1
    assert not service.write("text").created
    assert len(service.comments) == 1


def test_no_service_at_all_is_exit_code_5() -> None:
    service = Service("github", "http://127.0.0.1:9")
    with pytest.raises(
        ExecutorError, match=r"127\.0\.0\.1:9/repos/o/r/issues/12/comments.*cannot be reached"
    ):
        service.write("text")


@pytest.mark.parametrize(("code", "words"), [(401, "not valid"), (403, "may not write"), (404, "no such")])
def test_a_refusal_says_what_to_do_and_is_not_repeated(service: Service, code: int, words: str) -> None:
    service.failures = [(code, {})]
    with pytest.raises(ExecutorError, match=f"refuses with HTTP {code}\n.*{words}") as caught:
        service.write("text")
    assert len(service.requests) == 1
    assert TOKEN not in str(caught.value)


def test_a_token_that_may_only_read_changes_nothing(service: Service) -> None:
    service.read_only = True
    with pytest.raises(ExecutorError, match="403"):
        service.write("text")
    assert service.comments == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirection_is_followed_because_the_token_would_go_along(service: Service, code: int) -> None:
    service.failures = [(code, {"Location": f"{service.address}/user"})]
    with pytest.raises(ExecutorError, match=f"refuses with HTTP {code}"):
        service.write("text")
    assert len(service.requests) == 1


def test_an_answer_that_is_no_json_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "answer", lambda *_: (200, b"<html>", {}))
    with pytest.raises(ExecutorError, match="does not answer with JSON"):
        service.write("text")


def test_an_answer_that_is_no_list_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "answer", lambda *_: (200, {"a": 1}, {}))
    with pytest.raises(ExecutorError, match="list of comments"):
        service.write("text")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"api": "file:///etc/passwd"}, "no address"),
        ({"api": "https://name:word@x"}, "no address"),
        ({"token": ""}, "no usable token"),
        ({"token": "a\nHost: x"}, "no usable token"),
        ({"number": 0}, "no request 0"),
        ({"body": "x" * MAX_CHARACTERS}, "65,536 are allowed"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    service: Service, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        service.write(**({"body": "text"} | wrong))
    assert service.requests == []


@pytest.mark.parametrize("repository", ["o", "../x", "o/..", "o/r/../x", "o/r?x", "o/r#x", "o/ r", ""])
def test_a_repository_cannot_lead_elsewhere(repository: str) -> None:
    with pytest.raises(UsageError):
        Service("github", "http://127.0.0.1:9").write("text", repository=repository)


@pytest.mark.parametrize("name", ["churn", "a -->\n@everyone <b>", "--", "", "x" * 500, "é\u202e`"])
def test_a_marker_is_one_hidden_line(name: str) -> None:
    assert re.fullmatch(r"<!-- penstock: [\w. -]{0,100} -->", marker_for(name), re.ASCII)
    assert "--" not in marker_for(name)[4:-3]


@pytest.mark.parametrize("service", ["github"], indirect=True)
def test_the_command_takes_the_request_from_the_job_and_the_name_from_the_report(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = samples.refused()
    keep.copy(report, tmp_path / "report")
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": service.address,
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["comment", str(tmp_path / "report")]) == 0
    assert main(["comment", str(tmp_path / "report")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["wrote", "updated"]
    summary = keep.files(report)["summary.md"].decode()
    assert [each["body"] for each in service.comments] == [f"{marker_for(report.pipeline)}\n{summary}"]


@pytest.mark.parametrize("service", ["gitlab"], indirect=True)
def test_the_command_finds_the_merge_request_of_a_gitlab_job(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep.copy(samples.passed(), tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    for name, value in {
        "CI_API_V4_URL": service.address,
        "CI_PROJECT_ID": "group/project",
        "CI_MERGE_REQUEST_IID": "12",
        "PENSTOCK_COMMENT_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["comment", str(tmp_path)]) == 0
    assert len(service.comments) == 1


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "no CI job of a pull or merge request\n  name the request: --provider"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main"}, "no CI job"),
        (
            {
                "CI_API_V4_URL": "https://x",
                "CI_PROJECT_ID": "1",
                "CI_MERGE_REQUEST_IID": "1",
            },
            "no token",
        ),
    ],
)
def test_the_command_says_what_it_lacks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    words: str,
) -> None:
    keep.copy(samples.passed(), tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_REF", "GITHUB_TOKEN", "PENSTOCK_COMMENT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["comment", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_a_directory_without_a_report_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--provider", "github", "--api", "https://x", "--repository", "o/r", "--number", "1"]
    assert main(["comment", str(tmp_path), *where]) == 2
    assert "summary.md: cannot be read" in capsys.readouterr().err
