"""`penstock doctor`: what is said of a machine, and what the exit code promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import main
from penstock.commands import packages, readiness
from penstock.commands.checks import Finding, State, nearest_directory, reflinks
from penstock.commands.doctor import GROUPS
from penstock.errors import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, ExecutorError
from penstock.executors import building, sandbox

PIPELINE = """
version: 1
name: p
secrets: {TOKEN: {}, KEY: {file: key.txt}}
stages:
  a: {run: "true", secrets: [TOKEN, KEY]}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to stand in, with a store beside it."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST", f"unix://{tmp_path}/no-engine.sock")
    for name in ("PENSTOCK_SANDBOX", "PENSTOCK_UV", "PENSTOCK_PIPELINE", "TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # asking every Python of this machine takes seconds where they are behind shims
    monkeypatch.setattr(readiness, "installed_pythons", lambda home: ["cpython-3.12.1"])
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def document(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Runs the command and gives its exit code and its document."""

    def run(*options: str) -> tuple[int, dict[str, Any]]:
        code = main(["doctor", "--json", *options])
        return code, json.loads(capsys.readouterr().out)

    return run


def finding(document: dict[str, Any], name: str, nth: int = 0) -> dict[str, Any]:
    found = [each for group in document["groups"] for each in group["findings"] if each["name"] == name]
    result: dict[str, Any] = found[nth]
    return result


Run = Callable[..., tuple[int, dict[str, Any]]]


def test_a_machine_with_uv_can_run_stages(document: Run) -> None:
    code, found = document()
    assert code == EXIT_OK
    assert found["executors"]["local"] == {"can_run": True, "stopped_by": []}
    assert found["executors"]["docker"] == {"can_run": False, "stopped_by": ["docker"]}
    assert found["executors"]["dagger"]["can_run"] is False
    assert finding(found, "uv")["state"] == "ok"
    assert finding(found, "penstock")["state"] == "ok"
    assert finding(found, "file")["remedy"] == ["penstock init"]


def test_nothing_is_written_by_looking(document: Run, here: Path) -> None:
    document()
    assert [path.name for path in here.parent.rglob("*")] == ["here"]


def test_without_uv_no_environment_can_be_built(document: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise ExecutorError("uv is gone", notes=("get it",))

    monkeypatch.setattr(building, "find_uv", gone)
    code, found = document()
    assert code == EXIT_UNAVAILABLE
    assert found["executors"]["local"]["stopped_by"] == ["uv"]
    assert finding(found, "uv") == {
        "name": "uv",
        "state": "missing",
        "found": "uv is gone",
        "remedy": ["get it"],
        "needed": True,
    }


def test_a_store_that_cannot_be_written_stops_everything(
    document: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("PENSTOCK_HOME", str(here / "file/below"))
    code, found = document()
    assert code == EXIT_UNAVAILABLE
    assert finding(found, "store")["state"] == "broken"
    assert "PENSTOCK_HOME" in finding(found, "store")["remedy"][0]


def test_a_store_of_another_format_is_broken(document: Run, here: Path) -> None:
    home = here.parent / "home"
    home.mkdir()
    (home / "version").write_text("something else\n")
    code, found = document()
    assert code == EXIT_UNAVAILABLE
    assert "something else" in finding(found, "store")["found"]


def test_without_bubblewrap_the_way_to_get_it_is_told_and_stages_still_run(
    document: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(here))
    code, found = document()
    assert code == EXIT_OK
    row = finding(found, "sandbox")
    assert row["state"] == "missing"
    assert "copies" in row["found"]
    assert row["remedy"] == [packages.command("bubblewrap", packages.this_family())]
    assert finding(found, "git")["state"] == "missing"


def test_a_kernel_that_refuses_namespaces_is_told(document: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = sandbox.Finding(None, "bubblewrap cannot make a sandbox here: Permission denied")
    monkeypatch.setattr(sandbox, "detect", lambda: refused)
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"/usr/bin/{name}")
    row = finding(document()[1], "sandbox")
    assert row["state"] == "broken"
    assert "Permission denied" in row["found"]
    assert row["remedy"]


def test_a_sandbox_that_is_switched_off_is_a_note(document: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SANDBOX", "none")
    assert finding(document()[1], "sandbox")["state"] == "note"


def test_a_wrong_choice_of_sandbox_stops_the_executor(document: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SANDBOX", "nonsense")
    code, found = document()
    assert code == EXIT_UNAVAILABLE
    assert found["executors"]["local"]["stopped_by"] == ["sandbox"]


def test_secrets_that_are_not_set_are_named_without_a_value(
    document: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "p.yaml").write_text(PIPELINE)
    code, found = document("-f", "p.yaml")
    assert code == EXIT_OK
    assert [finding(found, "secret", nth)["state"] for nth in (0, 1)] == ["missing", "missing"]
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    (here / "key.txt").write_text("hunter3hunter3")
    found = document("-f", "p.yaml")[1]
    assert [finding(found, "secret", nth)["state"] for nth in (0, 1)] == ["ok", "ok"]
    assert "hunter" not in json.dumps(found)


def test_a_pipeline_file_that_does_not_load_is_broken(document: Run, here: Path) -> None:
    (here / "p.yaml").write_text("version: 1\nname: p\n")
    code, found = document("-f", "p.yaml")
    assert code == EXIT_OK
    assert finding(found, "file")["state"] == "broken"
    assert "stages" in finding(found, "file")["found"]


def test_a_python_that_is_not_here_stops_the_executor(document: Run, here: Path) -> None:
    (here / "p.yaml").write_text(
        'version: 1\nname: p\nenvironment: {python: "3.99"}\nstages: {a: {run: "true"}}\n'
    )
    code, found = document("-f", "p.yaml")
    assert code == EXIT_UNAVAILABLE
    row = finding(found, "environment")
    assert row["state"] == "missing"
    assert "uv python install 3.99" in row["remedy"][0]


def test_an_environment_that_is_not_built_is_a_note(document: Run, here: Path) -> None:
    (here / "r.lock").write_text("six==1.17.0\n")
    (here / "p.yaml").write_text(
        "version: 1\nname: p\nenvironment: {requirements: r.lock}\nstages: {a: {run: 'true'}}\n"
    )
    row = finding(document("-f", "p.yaml")[1], "environment")
    assert row["state"] == "note"
    assert "will be built" in row["found"]


def test_a_pipeline_file_that_is_not_there_is_an_error(here: Path) -> None:
    assert main(["doctor", "-f", "gone.yaml"]) == EXIT_USAGE


def test_the_table_fits_a_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if str(here.parent) not in line) <= 80
    states = {line.split()[1] for line in lines if line.startswith("  ") and not line.startswith("   ")}
    assert states <= {"ok", "note", "missing", "broken", "room", "copies"}
    assert lines[-3:-1] == ["the local executor can run", "the docker executor cannot run: see docker"]
    assert lines[-1].startswith("the dagger executor cannot run: see dagger")


@pytest.mark.parametrize(
    ("os_release", "platform", "expected"),
    [
        ("ID=debian\n", "linux", "apt-get install git"),
        ("ID=ubuntu\nID_LIKE=debian\n", "linux", "apt-get install git"),
        ('ID="linuxmint"\nID_LIKE="ubuntu debian"\n', "linux", "apt-get install git"),
        ("ID=fedora\n", "linux", "dnf install git"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "linux", "dnf install git"),
        ("ID=alpine\n", "linux", "apk add git"),
        ("ID=opensuse-leap\n", "linux", "zypper install git"),
        ("ID=somethingelse\n", "linux", "install the package git"),
        ("", "darwin", "xcode-select --install"),
    ],
)
def test_the_command_is_the_one_of_the_system(os_release: str, platform: str, expected: str) -> None:
    assert packages.command("git", packages.family(os_release, platform), root=True) == expected


def test_who_is_not_root_needs_sudo() -> None:
    assert packages.command("git", "alpine", root=False) == "sudo apk add git"


def test_only_a_needed_check_stops_an_executor() -> None:
    for state in State:
        assert not Finding(name="x", state=state, found="").stops
    assert Finding(name="x", state=State.BROKEN, found="", needed=True).stops
    assert not Finding(name="x", state=State.NOTE, found="", needed=True).stops


def test_sharing_blocks_is_tried_and_leaves_nothing(tmp_path: Path) -> None:
    reflinks(tmp_path)
    assert not list(tmp_path.iterdir())
    assert not reflinks(tmp_path / "gone")


def test_the_nearest_directory_is_not_looked_for_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert nearest_directory(tmp_path / "a/b") == tmp_path
    assert nearest_directory(tmp_path / "file/b") is None


def test_every_group_of_an_executor_has_checks() -> None:
    assert all(group.checks for group in GROUPS)
    assert {group.executor for group in GROUPS} == {None, "local", "docker", "dagger"}
