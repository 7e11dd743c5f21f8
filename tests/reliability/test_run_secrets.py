"""A declared secret in whatever a run writes, in the encodings that it turns up in."""

from __future__ import annotations

import base64
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability.runs import Project, spread
from stage_samples import MODES, found

SECRET = 's3cr3t/of+the "house"=&%\u00fc-77'
RAW = SECRET.encode()
SCRIPT = """\
import base64, json, os, sys, urllib.parse
raw = os.environb[b"TOKEN"]
forms = [raw, base64.b64encode(raw), base64.b64encode(b"x" + raw), base64.b64encode(b"xy" + raw),
         base64.urlsafe_b64encode(raw), base64.b64encode(base64.b64encode(raw)), raw.hex().encode(),
         raw.hex().upper().encode(), urllib.parse.quote(raw).encode(), urllib.parse.quote_plus(raw).encode(),
         json.dumps(raw.decode()).encode(), json.dumps(raw.decode(), ensure_ascii=False).encode()]
for form in forms:
    os.write(1, b"begin " + form + b" end\\n")
    os.write(2, form)
    for at in range(len(form)):
        os.write(1, form[at:at + 1])
    os.write(1, b"\\n")
if len(sys.argv) > 1:
    os.write(os.open("out", os.O_CREAT | os.O_WRONLY), b"before" + forms[int(sys.argv[1])] + b"after")
else:
    print("harmless", file=open("out", "w"))
"""


def _canaries() -> Iterator[bytes]:
    """What must be found nowhere; the middle of each form, as its ends depend on what stands beside it."""
    yield RAW
    yield RAW.hex().encode()
    yield RAW.hex().upper().encode()
    yield urllib.parse.quote(RAW).encode()
    yield urllib.parse.quote_plus(RAW).encode()
    yield json.dumps(SECRET).encode()[1:-1]
    yield base64.b64encode(base64.b64encode(RAW))[:-4]
    yield base64.urlsafe_b64encode(RAW)[:-4]
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + RAW)[4:-4]


def _found_in(project: Project, said: str) -> list[str]:
    """The places that hold a canary."""
    places = [("terminal", said.encode())]
    for top in (project.root, project.home):
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                places.append((str(path), os.fsencode(name) + path.read_bytes()))
    return [
        f"{place}: {canary!r}" for place, content in places for canary in _canaries() if canary in content
    ]


def _project(tmp_path: Path, mode: str, arguments: str = "", more: str = "") -> Project:
    found(mode)
    pipeline = (
        "secrets: {TOKEN: {}}\n"
        "stages:\n"
        f"  leak: {{run: 'python3 leak.py {arguments}', inputs: [leak.py], outputs: [out],"
        f" secrets: [TOKEN]{more}}}\n"
    )
    project = Project.at(tmp_path, pipeline, sandbox=mode, environ={"TOKEN": SECRET})
    project.write("leak.py", SCRIPT.encode())
    return project


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ci", spread([{"GITHUB_ACTIONS": "true"}, {}, {"GITLAB_CI": "true"}], 1))
def test_a_printed_secret_is_written_nowhere(tmp_path: Path, mode: str, ci: dict[str, str]) -> None:
    project = _project(tmp_path, mode)
    project.environ |= ci
    summary = tmp_path / "step-summary.md"
    if "GITHUB_ACTIONS" in ci:
        project.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    first = project.run("-v")
    assert first.code == 0, first.said
    assert "begin *** end" in first.err
    again = project.run("-v")
    shown = project.command("explain", "leak", "-f", "p.yaml")
    assert _found_in(project, first.said + again.said + shown.said) == []
    assert not summary.exists() or not any(canary in summary.read_bytes() for canary in _canaries())


@pytest.mark.parametrize("form", spread(range(12), 2))
def test_an_output_that_holds_a_secret_is_refused_and_kept_nowhere(tmp_path: Path, form: int) -> None:
    project = _project(tmp_path, MODES[form % 2], str(form))
    done = project.run()
    assert done.code == 1, done.said
    assert "output 'out' holds the value of secret 'TOKEN'" in done.said
    assert not (project.root / "out").exists()
    assert _found_in(project, done.said) == []
    assert project.leftovers() == []


@pytest.mark.parametrize("deed", spread(["exit 3", "sleep 60", "kill -9 $$"], 1))
def test_a_secret_printed_before_a_failure_is_written_nowhere(tmp_path: Path, deed: str) -> None:
    project = _project(tmp_path, "auto", f"; {deed}", ", timeout: 2, retries: 1")
    done = project.run("-v")
    assert done.code in (1, 124), done.said
    assert _found_in(project, done.said) == []


def test_a_secret_in_a_path_or_a_link_of_an_output_is_refused(tmp_path: Path) -> None:
    pipeline = (
        "secrets: {TOKEN: {}}\n"
        "stages:\n"
        "  name: {run: 'mkdir out; touch out/$TOKEN', outputs: [out], secrets: [TOKEN]}\n"
        "  link: {run: 'mkdir out2; ln -s $TOKEN out2/l', outputs: [out2], secrets: [TOKEN]}\n"
    )
    project = Project.at(tmp_path, pipeline, environ={"TOKEN": "plain-canary-1234"})
    done = project.run("--keep-going")
    assert done.code == 1, done.said
    assert project.states() == {"name": "failed", "link": "failed"}
    assert "plain-canary" not in done.said
    left = [path for top in (project.root, project.home) for path in top.rglob("*") if "canary" in str(path)]
    assert left == []
    held = [
        path
        for top in (project.root, project.home)
        for path in top.rglob("*")
        if path.is_file() and b"plain-canary" in path.read_bytes()
    ]
    assert held == []
