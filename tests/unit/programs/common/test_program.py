"""What a program ends with, and what it says then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from penstock.programs.common.program import ProgramError, RefusedError, UnavailableError, UnusableError, main


@pytest.mark.parametrize(("kind", "code"), [(UnusableError, 2), (RefusedError, 3), (UnavailableError, 5)])
def test_each_kind_of_error_is_one_line_and_an_exit_code_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: type[ProgramError], code: int
) -> None:
    def work(_request: Mapping[str, Any]) -> NoReturn:
        raise kind("model.sig: signed by another key")

    request = tmp_path / "request.json"
    request.write_text("{}", encoding="utf-8")
    assert main([str(request)], work) == code
    assert capfd.readouterr() == ("", "model.sig: signed by another key\n")


def test_an_error_stays_one_line_whatever_names_are_in_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(_request: Mapping[str, Any]) -> NoReturn:
        raise RefusedError("model/a\nall is well\r\u2028: changed")

    request = tmp_path / "request.json"
    request.write_text("{}", encoding="utf-8")
    assert main([str(request)], work) == 3
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_work_that_is_done_says_what_came_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"model": "churn"}', encoding="utf-8")
    assert main([str(request)], lambda asked: f"published {asked['model']}") == 0
    assert capfd.readouterr() == ("published churn\n", "")
