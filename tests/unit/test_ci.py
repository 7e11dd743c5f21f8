from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.ci import Provider, Section, System, detect, release, summary_path

HOSTILE = (
    "epoch 1\n::set-output name=x::y\n::endgroup::\n##[endgroup]\n"
    "\x1b[0Ksection_end:1:penstock_x\r\x1b[0K\n::add-mask::a\nno end of line"
)
SECTION = Section(title="train: ran\nin 3 s", body=HOSTILE, started_s=100.4, ended_s=103.6)


@pytest.mark.parametrize(
    ("environ", "system"),
    [
        ({}, System.NONE),
        ({"CI": ""}, System.NONE),
        ({"CI": "false"}, System.NONE),
        ({"CI": "true"}, System.OTHER),
        ({"CI": "1", "JENKINS_URL": "x"}, System.OTHER),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, System.GITHUB),
        ({"CI": "true", "GITLAB_CI": "true"}, System.GITLAB),
    ],
)
def test_the_system_is_told_from_its_variables(environ: dict[str, str], system: System) -> None:
    provider = detect(environ)
    assert provider.system is system
    assert provider.in_ci is (system is not System.NONE)


def test_only_github_has_a_file_for_a_summary() -> None:
    variables = {"GITHUB_STEP_SUMMARY": "/tmp/summary.md"}
    assert summary_path({**variables, "GITHUB_ACTIONS": "true"}) == Path("/tmp/summary.md")
    assert summary_path({"GITHUB_ACTIONS": "true"}) is None
    assert summary_path(variables) is None


def test_on_github_output_is_between_a_random_token_and_commands_in_it_are_inert() -> None:
    lines = Provider(System.GITHUB).fold(SECTION).splitlines()
    assert lines[0] == "::group::train: ran in 3 s"
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[1])
    assert token is not None
    assert lines[-2:] == [f"::{token[1]}::", "::endgroup::"]
    inside = lines[2:-2]
    assert "epoch 1" in inside
    assert "no end of line" in inside
    assert not [line for line in inside if line.lstrip().startswith("::") or "##[" in line]
    assert Provider(System.GITHUB).fold(SECTION).splitlines()[1] != lines[1]


def test_a_title_on_github_cannot_hold_a_command() -> None:
    section = Section(title="a%0A::error::b\n::error::c", body="", started_s=0, ended_s=0)
    first, _, rest = Provider(System.GITHUB).fold(section).partition("\n")
    assert first == "::group::a%250A::error::b : :error::c"
    assert "error" not in rest


def test_on_gitlab_a_section_begins_and_ends_once_with_the_same_name() -> None:
    text = Provider(System.GITLAB).fold(SECTION)
    marks = re.findall(r"section_(start|end):(\d+):(\w+)(\[collapsed=true\])?\r\x1b\[0K", text)
    assert [mark[:2] for mark in marks] == [("start", "100"), ("end", "104")]
    assert marks[0][2] == marks[1][2]
    assert marks[0][3]
    assert text.count("\x1b") == 4
    shown = Section(title="train: failed", body="x", started_s=0, ended_s=1, folded=False)
    assert "collapsed" not in Provider(System.GITLAB).fold(shown)


def test_elsewhere_a_section_is_a_title_and_indented_lines() -> None:
    section = Section(title="lint: ran", body="a\nb\n", started_s=0, ended_s=1)
    assert Provider(System.OTHER).fold(section) == "lint: ran\n  a\n  b\n"


def test_an_error_is_marked_on_github_only() -> None:
    line = Provider(System.GITHUB).error("stage a:b,c", "100 % wrong\n::error::forged")
    assert line == "::error title=stage a%3Ab%2Cc::100 %25 wrong%0A: :error::forged\n"
    assert Provider(System.GITLAB).error("stage", "wrong") == ""


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"GITHUB_REF": "refs/tags/v1.2"}, "v1.2"),
        ({"GITHUB_REF": "refs/heads/main"}, None),
        ({"CI_COMMIT_TAG": "v1.2"}, "v1.2"),
        ({"BUILD_SOURCEBRANCH": "refs/tags/v1.2"}, "v1.2"),
        ({"CI_COMMIT_TAG": "v1.2", "PENSTOCK_RELEASE": "2026-11"}, "2026-11"),
        ({"TAG_NAME": ""}, None),
    ],
)
def test_a_release_is_called_as_the_tag_unless_somebody_says_otherwise(
    environ: dict[str, str], expected: str | None
) -> None:
    assert release(environ) == expected
