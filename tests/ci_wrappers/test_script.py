"""`penstock-ci.sh`, beside a Penstock and a Dagger that only say what they were told."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wrapper_samples import RECORDER, StandIns, commit, repository

SHELLS = [name for name in ("sh", "bash", "busybox") if shutil.which(name)]
GITHUB = {"GITHUB_ACTIONS": "true", "PENSTOCK_DEFAULT_BRANCH": "main"}
GITLAB = {"GITLAB_CI": "true", "CI_DEFAULT_BRANCH": "main"}
CIRCLE = {"CIRCLECI": "true"}
AZURE = {"TF_BUILD": "True"}
BUILDKITE = {
    "BUILDKITE": "true",
    "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main",
    "BUILDKITE_PULL_REQUEST": "false",
}
JENKINS = {"JENKINS_URL": "https://x"}
EVENTS = [
    (GITHUB | {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/3/merge"}, "pull-request"),
    (GITHUB | {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_REF": "refs/heads/gh-queue/x"}, "pull-request"),
    (GITHUB | {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}, "main"),
    (GITHUB | {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/other"}, None),
    (GITHUB | {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/x/main"}, None),
    (GITHUB | {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/tags/main"}, "tag"),
    (GITHUB | {"GITHUB_EVENT_NAME": "schedule", "GITHUB_REF": "refs/heads/main"}, "schedule"),
    (GITHUB | {"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REF": "refs/heads/main"}, "manual"),
    (GITLAB | {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "4"}, "pull-request"),
    (GITLAB | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}, "main"),
    (GITLAB | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "other"}, None),
    (GITLAB | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1"}, "tag"),
    (GITLAB | {"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "main"}, "schedule"),
    (GITLAB | {"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": "main"}, "manual"),
    (CIRCLE | {"CIRCLE_PULL_REQUEST": "https://x/pull/3", "CIRCLE_BRANCH": "x"}, "pull-request"),
    (CIRCLE | {"CIRCLE_BRANCH": "main"}, "main"),
    (CIRCLE | {"CIRCLE_TAG": "v1"}, "tag"),
    (CIRCLE | {"CIRCLE_BRANCH": "main", "PENSTOCK_TRIGGER": "scheduled_pipeline"}, "schedule"),
    (AZURE | {"BUILD_REASON": "PullRequest", "SYSTEM_PULLREQUEST_PULLREQUESTID": "3"}, "pull-request"),
    (AZURE | {"BUILD_REASON": "IndividualCI", "BUILD_SOURCEBRANCH": "refs/heads/main"}, "main"),
    (AZURE | {"BUILD_REASON": "IndividualCI", "BUILD_SOURCEBRANCH": "refs/tags/v1"}, "tag"),
    (AZURE | {"BUILD_REASON": "Schedule", "BUILD_SOURCEBRANCH": "refs/heads/main"}, "schedule"),
    (AZURE | {"BUILD_REASON": "Manual", "BUILD_SOURCEBRANCH": "refs/heads/main"}, "manual"),
    (BUILDKITE | {"BUILDKITE_PULL_REQUEST": "3", "BUILDKITE_BRANCH": "x"}, "pull-request"),
    (BUILDKITE | {"BUILDKITE_BRANCH": "main"}, "main"),
    (BUILDKITE | {"BUILDKITE_TAG": "v1", "BUILDKITE_BRANCH": "v1"}, "tag"),
    (BUILDKITE | {"BUILDKITE_SOURCE": "schedule", "BUILDKITE_BRANCH": "main"}, "schedule"),
    (BUILDKITE | {"BUILDKITE_SOURCE": "ui", "BUILDKITE_BRANCH": "main"}, "manual"),
    (JENKINS | {"CHANGE_ID": "3", "BRANCH_NAME": "PR-3"}, "pull-request"),
    (JENKINS | {"BRANCH_IS_PRIMARY": "true", "BRANCH_NAME": "main"}, "main"),
    (JENKINS | {"TAG_NAME": "v1"}, "tag"),
    (JENKINS | {"BRANCH_IS_PRIMARY": "true", "PENSTOCK_TRIGGER": "Schedule"}, "schedule"),
    ({}, None),
    (GITHUB | {"GITHUB_EVENT_NAME": "push", "PENSTOCK_EVENT": "manual"}, "manual"),
]


@pytest.fixture
def stand_ins(tmp_path: Path) -> StandIns:
    return StandIns(tmp_path)


def script(
    stand_ins: StandIns, *words: str, shell: str = "sh", **environ: str
) -> subprocess.CompletedProcess[str]:
    command = [shell, *(["sh"] if shell == "busybox" else [])]
    return subprocess.run(
        [*command, str(stand_ins.source / "ci-wrappers" / "penstock-ci.sh"), *(words or ("run",))],
        cwd=stand_ins.work,
        env=stand_ins.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("environ", "event"), EVENTS)
def test_the_event_is_told_from_what_the_system_says(
    stand_ins: StandIns, environ: dict[str, str], event: str | None
) -> None:
    done = script(stand_ins, **environ)
    assert done.returncode == 0, done.stderr
    ((_, *arguments),) = [call for call in stand_ins.calls() if call[0] == "dagger"]
    assert [each for each in arguments if each.startswith("--event")] == (
        [f"--event={event}"] if event else []
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_dagger_is_called_with_what_was_asked_for(stand_ins: StandIns, shell: str) -> None:
    asked = {
        "PENSTOCK_EXECUTOR": "dagger",
        "PENSTOCK_PIPELINE": "my pipelines/p.yaml",
        "PENSTOCK_PROFILE": "quick",
        "PENSTOCK_EVENT": "main",
        "PENSTOCK_ACCELERATOR": "cuda",
        "PENSTOCK_REPORT": "my report",
        "PENSTOCK_SECRETS": "HF_TOKEN, MLFLOW_TOKEN",
    }
    done = script(stand_ins, shell=shell, **asked)
    assert done.returncode == 0, done.stderr
    assert stand_ins.calls()[1:] == [
        [
            *("dagger", "-m", str(stand_ins.source), "call", "--source=."),
            *("--pipeline=my pipelines/p.yaml", "--profile=quick", "--event=main", "--accelerator=cuda"),
            *("--secrets=env://HF_TOKEN", "--secrets=env://MLFLOW_TOKEN"),
            *("run", "report", "export", "--path=my report"),
        ]
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_embedded_executor_is_set_up_and_called_with_what_was_asked_for(
    stand_ins: StandIns, shell: str
) -> None:
    asked = {
        "PENSTOCK_EXECUTOR": "local",
        "PENSTOCK_PIPELINE": "my pipelines/p.yaml",
        "PENSTOCK_PROFILE": "quick",
        "PENSTOCK_EVENT": "main",
        "PENSTOCK_ACCELERATOR": "cpu",
        "PENSTOCK_REPORT": "my report",
    }
    done = script(stand_ins, shell=shell, **asked)
    assert done.returncode == 0, done.stderr
    assert stand_ins.calls() == [
        ["dev", "penstock", "version"],
        [
            *("penstock", "run", "--report", "my report", "--pipeline", "my pipelines/p.yaml"),
            *("--profile", "quick", "--event", "main", "--accelerator", "cpu"),
        ],
    ]


@pytest.mark.parametrize("executor", ["dagger", "local"])
@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "5", "124", "130"])
def test_the_job_ends_with_the_code_of_the_run(stand_ins: StandIns, executor: str, code: str) -> None:
    output = stand_ins.base / "output"
    done = script(stand_ins, PENSTOCK_EXECUTOR=executor, LEAVE_CODE=code, GITHUB_OUTPUT=str(output))
    assert done.returncode == int(code)
    assert output.read_text() == f"exit-code={code}\n"


def test_the_script_says_whether_there_is_a_sarif_log_of_this_run(stand_ins: StandIns) -> None:
    output, report = stand_ins.base / "output", stand_ins.work / "penstock-report"
    report.mkdir()
    (report / "security.sarif").write_text("of an earlier run")
    script(stand_ins, PENSTOCK_EXECUTOR="local", LEAVE_CODE="0", GITHUB_OUTPUT=str(output))
    assert output.read_text() == "exit-code=0\n"
    stand_ins.programs.joinpath("dagger").write_text(
        f"#!{sys.executable}\nimport pathlib\nreport = pathlib.Path('penstock-report')\n"
        "(report / 'exit-code').write_text('0')\n(report / 'security.sarif').touch()\n"
    )
    script(stand_ins, PENSTOCK_EXECUTOR="dagger", LEAVE_CODE="0", GITHUB_OUTPUT=str(output))
    assert output.read_text().endswith("exit-code=0\nsarif=true\n")


@pytest.mark.parametrize(
    ("executor", "ended", "code"), [("local", 2, 2), ("local", 5, 5), ("dagger", 2, 2), ("dagger", 1, 5)]
)
def test_a_run_without_a_report_ends_with_its_own_code(
    stand_ins: StandIns, executor: str, ended: int, code: int
) -> None:
    done = script(stand_ins, PENSTOCK_EXECUTOR=executor, LEAVE_CODE="", END_WITH=str(ended))
    assert done.returncode == code


def test_the_report_of_an_earlier_run_is_never_taken_for_this_one(stand_ins: StandIns) -> None:
    report = stand_ins.work / "penstock-report"
    report.mkdir()
    (report / "exit-code").write_text("0\n")
    assert script(stand_ins, PENSTOCK_EXECUTOR="local", LEAVE_CODE="", END_WITH="2").returncode == 2


@pytest.mark.parametrize("text", ["", "x", "0; touch pwned", "-1", "1234", "$(touch pwned)", "0\n0"])
def test_an_exit_code_that_is_none_is_no_success(stand_ins: StandIns, text: str) -> None:
    stand_ins.programs.joinpath("dagger").write_text(
        f"#!{sys.executable}\nimport pathlib\n"
        f"report = pathlib.Path('penstock-report'); report.mkdir()\n"
        f"(report / 'exit-code').write_text({text!r})\n"
    )
    done = script(stand_ins)
    assert done.returncode == 5
    assert "holds no exit code" in done.stderr
    assert not (stand_ins.work / "pwned").exists()


def test_an_unknown_executor_is_refused(stand_ins: StandIns) -> None:
    done = script(stand_ins, PENSTOCK_EXECUTOR="kubernetes")
    assert (done.returncode, stand_ins.calls()) == (2, [])
    assert "there is no executor kubernetes" in done.stderr


def test_pull_request_target_is_refused(stand_ins: StandIns) -> None:
    done = script(stand_ins, **GITHUB, GITHUB_EVENT_NAME="pull_request_target")
    assert (done.returncode, stand_ins.calls()) == (2, [])
    assert "use pull_request" in done.stderr


def test_the_summary_is_shown_where_the_system_shows_one(stand_ins: StandIns) -> None:
    summary = stand_ins.base / "summary"
    summary.write_text("before\n")
    script(stand_ins, **GITHUB, GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text() == "before\n## passed\n"
    shown = f"## passed\n##vso[task.uploadsummary]{stand_ins.work}/penstock-report/summary.md\n"
    assert script(stand_ins, **AZURE).stdout == shown
    (stand_ins.programs / "buildkite-agent").write_text(RECORDER)
    (stand_ins.programs / "buildkite-agent").chmod(0o755)
    stand_ins.calls()
    script(stand_ins, **BUILDKITE)
    assert stand_ins.calls()[-1] == ["buildkite-agent", "annotate", "--context", "penstock"]


@pytest.mark.parametrize("executor", ["dagger", "local"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_ends_the_run_and_waits_for_it(
    stand_ins: StandIns, executor: str, sent: signal.Signals
) -> None:
    slow = (
        f"#!{sys.executable}\nimport signal, sys, time, pathlib\n"
        "def end(*_):\n    time.sleep(0.5)\n    pathlib.Path('tidied').touch()\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\npathlib.Path('started').touch()\ntime.sleep(60)\n"
    )
    for path in (stand_ins.programs / "dagger", stand_ins.source / ".venv" / "bin" / "penstock"):
        path.write_text(slow)
    process = subprocess.Popen(
        ["sh", str(stand_ins.source / "ci-wrappers" / "penstock-ci.sh"), "run"],
        cwd=stand_ins.work,
        env=stand_ins.environ | {"PENSTOCK_EXECUTOR": executor},
    )
    deadline = time.monotonic() + 30
    while not (stand_ins.work / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, sent)
    assert process.wait(30) == 143
    assert (stand_ins.work / "tidied").exists()


@pytest.mark.parametrize(
    ("environ", "called"),
    [
        ({"GITHUB_REF": "refs/pull/3/merge", "GITHUB_TOKEN": "t"}, 1),
        ({"CI_MERGE_REQUEST_IID": "3", "PENSTOCK_COMMENT_TOKEN": "t"}, 1),
        ({"GITHUB_REF": "refs/pull/3/merge"}, 0),
        ({"CI_MERGE_REQUEST_IID": "3"}, 0),
        ({"GITHUB_REF": "refs/heads/main", "GITHUB_TOKEN": "t"}, 0),
        ({"PENSTOCK_COMMENT_TOKEN": "t"}, 0),
    ],
)
def test_a_comment_is_tried_only_where_there_is_a_request_and_a_token(
    stand_ins: StandIns, environ: dict[str, str], called: int
) -> None:
    report = stand_ins.work / "penstock-report"
    report.mkdir()
    (report / "summary.md").write_text("x")
    done = script(stand_ins, "comment", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert stand_ins.calls() == ([["python", "-m", "penstock", "comment", str(report)]] * called)


def test_a_comment_that_fails_changes_nothing(stand_ins: StandIns) -> None:
    environ = {"GITHUB_REF": "refs/pull/3/merge", "GITHUB_TOKEN": "t", "END_WITH": "5"}
    assert script(stand_ins, "comment", **environ).returncode == 0  # there is no report
    assert stand_ins.calls() == []
    (stand_ins.work / "penstock-report").mkdir()
    (stand_ins.work / "penstock-report" / "summary.md").write_text("x")
    done = script(stand_ins, "comment", **environ)
    assert done.returncode == 0
    assert "the comment was not written" in done.stderr


def test_a_word_that_is_no_command_is_refused(stand_ins: StandIns) -> None:
    assert script(stand_ins, "install_dagger").returncode == 2


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a place that offers a Dagger CLI, and the SHA-256 of its archive."""
    folder = tmp_path / "mirror" / "0.21.8"
    folder.mkdir(parents=True)
    program = (RECORDER.replace("${0##*/}", "fetched")).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, mode in (("LICENSE", 0o644), ("dagger", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(program), mode
            archive.addfile(entry, io.BytesIO(program))
    for architecture in ("amd64", "arm64"):
        (folder / f"dagger_v0.21.8_linux_{architecture}.tar.gz").write_bytes(packed.getvalue())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "mirror")))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", hashlib.sha256(packed.getvalue()).hexdigest()
    server.shutdown()
    thread.join()
    server.server_close()


TOOLS = ["sh", "uname", "cut", "cat", "mktemp", "rm", "tar", "gzip", "sha256sum", "dirname", "mkdir", "tr"]


@pytest.mark.parametrize(
    ("client", "box"), [("curl", ""), ("wget", ""), ("wget", "busybox")], ids=["curl", "wget", "busybox"]
)
def test_dagger_is_fetched_checked_and_run(
    stand_ins: StandIns, mirror: tuple[str, str], client: str, box: str
) -> None:
    address, sha256 = mirror
    path = stand_ins.base / "only"
    path.mkdir()
    for name in (*TOOLS, client):
        found = shutil.which(box or name)
        if not found:
            pytest.skip(f"{box or name} is not here: apt-get install {box or name}")
        (path / name).symlink_to(found)
    done = script(
        stand_ins,
        shell=str(path / "sh"),
        PATH=str(path),
        TMPDIR=str(stand_ins.base),
        PENSTOCK_DAGGER="",
        PENSTOCK_DAGGER_URL=address,
        PENSTOCK_DAGGER_SHA256=sha256,
    )
    assert done.returncode == 0, done.stderr
    assert [call[0] for call in stand_ins.calls()] == ["fetched"]
    assert not [each for each in stand_ins.base.iterdir() if each.name.startswith("tmp")]


def test_a_dagger_of_another_content_is_not_used(stand_ins: StandIns, mirror: tuple[str, str]) -> None:
    address, _ = mirror
    done = script(stand_ins, PENSTOCK_DAGGER="", PENSTOCK_DAGGER_URL=address)
    assert done.returncode == 5
    assert "is pinned: it was not used" in done.stderr
    assert stand_ins.calls() == []


def test_a_dagger_that_cannot_be_fetched_says_what_to_do(stand_ins: StandIns) -> None:
    done = script(stand_ins, PENSTOCK_DAGGER="", PENSTOCK_DAGGER_URL="http://127.0.0.1:9")
    assert done.returncode == 5
    assert "set PENSTOCK_DAGGER_URL to a mirror, or PENSTOCK_EXECUTOR to local" in done.stderr


def test_the_commit_is_told_to_the_module_which_does_not_get_the_history(stand_ins: StandIns) -> None:
    (stand_ins.programs / "git").unlink()
    made = commit(repository(stand_ins.work, {"a": "b"}))
    script(stand_ins)
    ((_, *arguments),) = stand_ins.calls()
    assert f"--commit={made}" in arguments


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"GITHUB_REF": "refs/tags/v1.2"}, ["--release=v1.2"]),
        ({"GITHUB_REF": "refs/heads/main"}, []),
        ({"CI_COMMIT_TAG": "v1.2"}, ["--release=v1.2"]),
        ({"BUILD_SOURCEBRANCH": "refs/tags/v1.2"}, ["--release=v1.2"]),
        ({"CI_COMMIT_TAG": "v1.2", "PENSTOCK_RELEASE": "2026-11"}, ["--release=2026-11"]),
        ({"CI_COMMIT_TAG": "a$(touch${IFS}x)"}, []),
        ({"CI_COMMIT_TAG": "--secrets=env://HOME"}, []),
        ({"CI_COMMIT_TAG": "v1\n--pipeline=x"}, []),
    ],
)
def test_the_module_is_told_what_a_release_is_called(
    stand_ins: StandIns, environ: dict[str, str], expected: list[str]
) -> None:
    script(stand_ins, **environ)
    words = [each for call in stand_ins.calls() for each in call]
    assert [each for each in words if each.startswith("--release")] == expected
