from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.commands import errands
from penstock.errors import ExecutorError, PenstockError, RefusedError, UsageError
from penstock.plan import carrying, exchange

PROGRAM = """\
import json, os, sys
request = json.load(open(sys.argv[1]))
print("working", flush=True)
if "code" in request:
    print(request["says"])
    sys.exit(request["code"])
receipt = {"state": os.environ["PENSTOCK_STATE"], "token": os.environ.get("A_TOKEN"), "url": os.environ.get("A_URL")}
print("the token is", receipt["token"])
os.makedirs(os.path.dirname(request["receipt"]), exist_ok=True)
json.dump({**receipt, "token": bool(receipt["token"])}, open(request["receipt"], "w"))
"""


@pytest.fixture(autouse=True)
def small_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program that needs no environment."""

    def files(_program: str, request: object) -> tuple[tuple[str, str], ...]:
        return (("program.py", PROGRAM), (exchange.REQUEST, json.dumps(request)))

    monkeypatch.setattr(carrying, "files", files)
    monkeypatch.setattr(carrying, "command", lambda _: f"python3 program.py {exchange.REQUEST}")
    monkeypatch.setattr("penstock.plan.errands._lock", lambda _: "")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    (tmp_path / "project" / "pipelines").mkdir(parents=True)
    (tmp_path / "project" / "pipelines" / "default.yaml").touch()
    monkeypatch.chdir(tmp_path / "project" / "pipelines")


def test_an_errand_gives_its_receipt_and_works_for_the_project_from_here(tmp_path: Path) -> None:
    receipt = errands.perform("any", {}, tools="any")
    assert receipt["state"] == str(tmp_path / "project" / ".penstock")


def test_an_errand_leaves_nothing_in_the_project(tmp_path: Path) -> None:
    errands.perform("any", {}, tools="any")
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == [".penstock", "pipelines"]


def test_variables_are_passed_on_and_tokens_masked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_TOKEN", "token-of-somebody")
    monkeypatch.setenv("A_URL", "http://127.0.0.1:1")
    receipt = errands.perform("any", {}, tools="any", passes=("A_TOKEN", "A_URL"))
    assert (receipt["token"], receipt["url"]) == (True, "http://127.0.0.1:1")
    shown = capfd.readouterr().err
    assert "the token is ***" in shown
    assert "token-of-somebody" not in shown


@pytest.mark.parametrize(
    ("code", "error"), [(1, PenstockError), (2, UsageError), (3, RefusedError), (5, ExecutorError)]
)
def test_an_errand_that_fails_says_so_in_one_sentence(
    code: int, error: type[PenstockError], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=r"^nothing is at that address$") as raised:
        errands.perform("any", {"code": code, "says": "nothing is at that address"}, tools="any")
    assert type(raised.value) is error
    shown = capfd.readouterr().err
    assert "working" in shown
    assert "nothing is at" not in shown


def test_an_errand_is_done_again_each_time(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        errands.perform("any", {}, tools="any")
        assert "working" in capfd.readouterr().err
