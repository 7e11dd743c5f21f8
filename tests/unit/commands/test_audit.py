"""`penstock audit`: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock import cli
from penstock.commands import models
from penstock.publish import audit

Cli = Callable[..., tuple[int, str, str]]
ENVIRON = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "lena"}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a project with three entries; commands are given below it."""
    path = tmp_path / ".penstock" / audit.NAME
    for number in range(1, 4):
        subject, why = f"models:/churn/{number}", "better \x1b[31mrecall\n::error::x"
        audit.append(
            path, what="promote", subject=subject, why=why, environ=ENVIRON, evidence="sha256:" + 64 * "a"
        )
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    monkeypatch.delenv(audit.VARIABLE, raising=False)
    return path


@pytest.fixture
def penstock(capsys: pytest.CaptureFixture[str]) -> Cli:
    def penstock(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["audit", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return penstock


def test_the_log_is_shown_with_its_head_and_inert(log: Path, penstock: Cli) -> None:
    code, out, _ = penstock("show")
    assert code == 0
    for text in ("promote models:/churn/3", "lena, from", "better recall", str(audit.head(log))):
        assert text in out
    assert "\x1b" not in out
    assert "\n::" not in out
    assert "models:/churn/1" not in penstock("show", "--last", "1")[1]


def test_the_log_is_shown_as_lines_of_json(log: Path, penstock: Cli) -> None:
    code, out, _ = penstock("show", "--json")
    assert code == 0
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [1, 2, 3]


def test_a_sound_log_is_said_to_be_so_and_what_cannot_be_known(log: Path, penstock: Cli) -> None:
    code, out, _ = penstock("verify")
    assert code == 0
    assert "3 entries" in out
    assert "--anchor" in out
    code, out, _ = penstock("verify", "--anchor", str(audit.head(log)))
    assert code == 0
    assert "--anchor" not in out


def test_a_changed_log_ends_with_three_and_names_the_line(log: Path, penstock: Cli) -> None:
    log.write_bytes(log.read_bytes().replace(b"churn/2", b"churn/9"))
    code, out, _ = penstock("verify")
    assert code == 3
    assert f"{log}:2: " in out
    assert "no entry" in penstock("show")[1]
    code, out, _ = penstock("verify", "--json")
    assert code == 3
    assert [each["line"] for each in json.loads(out)["findings"]] == [2]


def test_a_cut_log_ends_with_three_where_an_anchor_is_given(log: Path, penstock: Cli) -> None:
    anchor = str(audit.head(log))
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    assert penstock("verify")[0] == 0
    code, out, _ = penstock("verify", "--anchor", anchor)
    assert code == 3
    assert "the end was cut off" in out


def test_the_anchor_may_lie_in_the_registry(
    log: Path, penstock: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: dict[str, str | None] = {"churn": str(audit.head(log)), "other": None}

    def asked(request: Mapping[str, Any]) -> Mapping[str, Any]:
        assert request["action"] == "read-anchor"
        return {"facts": {"model": request["model"], "head": noted[request["model"]]}}

    monkeypatch.setattr(models, "asked", asked)
    assert penstock("verify", "--registry", "churn")[0] == 0
    log.unlink()
    assert penstock("verify", "--registry", "churn")[0] == 3
    code, _, error = penstock("verify", "--registry", "other")
    assert code == 2
    assert "no head of an audit log is noted there" in error


def test_an_empty_log_is_no_error(tmp_path: Path, penstock: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(audit.VARIABLE, raising=False)
    code, out, _ = penstock("show")
    assert code == 0
    assert "nothing is recorded" in out
    assert penstock("verify")[0] == 0


def test_another_log_can_be_named(
    log: Path, penstock: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.jsonl"
    audit.append(other, what="rollback", subject="models:/risk/1", why="w", environ=ENVIRON)
    assert "models:/risk/1" in penstock("show", "--log", str(other))[1]
    monkeypatch.setenv(audit.VARIABLE, str(other))
    assert "models:/risk/1" in penstock("show")[1]
    code, _, error = penstock("verify", "--log", "nowhere")
    assert code == 2
    assert "there is no such file" in error


@pytest.mark.parametrize("anchor", ["x", "3", "3:sha256:zz"])
def test_what_is_no_anchor_is_said(log: Path, penstock: Cli, anchor: str) -> None:
    code, _, error = penstock("verify", "--anchor", anchor)
    assert code == 2
    assert "no anchor" in error
