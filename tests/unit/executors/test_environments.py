from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from penstock.errors import ExecutorError, PipelineError, StoreError
from penstock.executors import building
from penstock.executors.environments import RECORD, Environments, Interpreter, Prepared, installed_pythons
from penstock.plan.model import Environment
from stage_samples import MODES, Bench, found
from wheels import wheel

OWN = ".".join(str(number) for number in sys.version_info[:3])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    root = tmp_path / "project"
    wheel(root / "wheels")
    (root / "requirements.txt").write_text("--no-index\n--find-links ./wheels\ntiny==1.0\n")
    return Environments(tmp_path / "home", root)


def again(environments: Environments) -> Environments:
    """The same, as another process would see it."""
    return Environments(environments.home, environments.root)


def prepare(environments: Environments, environment: Environment, waits: list[str] | None = None) -> Prepared:
    told = waits.append if waits is not None else lambda _what: None
    return anyio.run(partial(environments.prepare, environment, told))


LOCKED = Environment(requirements="requirements.txt")


def test_nothing_declared_is_nothing_built(place: Environments) -> None:
    assert list(place.identity(Environment())) == ["platform"]
    assert place.identity(Environment())["platform"].startswith("linux-")
    assert prepare(place, Environment()) == Prepared(hidden=(place.home,))
    assert not place.home.exists()


def test_what_a_lock_file_says_is_installed_and_what_it_installs_can_be_run(place: Environments) -> None:
    waits: list[str] = []
    ready = prepare(place, LOCKED, waits)
    assert waits == ["installing its environment, requirements.txt"]
    program = subprocess.run([ready.bin_dirs[0] / "tiny"], check=True, capture_output=True, text=True)
    assert program.stdout == "tiny 1.0\n"
    assert place.identity(LOCKED)["python"] == f"cpython-{OWN}"
    assert place.identity(LOCKED)["requirements"].startswith("sha256:")


def test_it_is_found_offline_and_without_any_process_once_it_is_built(
    place: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(
        python=f"{sys.version_info[0]}.{sys.version_info[1]}", requirements="requirements.txt"
    )
    ready, identity = prepare(place, environment), place.identity(environment)

    def forbidden(*_args: object, **_more: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    waits: list[str] = []
    assert again(place).identity(environment) == identity
    assert prepare(again(place), environment, waits) == ready
    assert waits == []


@pytest.mark.parametrize("mode", MODES)
def test_a_stage_runs_in_it_and_cannot_change_it_for_others(place: Environments, mode: str) -> None:
    found(mode)
    ready = prepare(place, LOCKED)
    bench = Bench(place.root, mode)
    script = (
        "tiny; python -c 'import tiny, sys; print(sys.prefix, sys.version_info[:2])';"
        "site=$(python -c 'import tiny; print(tiny.__file__)'); ls -ld $site | cut -c1-10; ls $VIRTUAL_ENV/.. | wc -l"
    )
    ended = bench.run(script, prepared=ready)
    assert ended.exit_code == 0, bench.text
    lines = bench.text.splitlines()
    assert lines[:2] == ["tiny 1.0", f"{ready.bin_dirs[0].parent} {sys.version_info[:2]}"]
    assert lines[2] == "-r--r--r--"


def test_a_stage_in_a_sandbox_sees_no_other_environment_and_no_store(place: Environments) -> None:
    found("bubblewrap")
    ready = prepare(place, LOCKED)
    (place.home / "blobs").mkdir()
    bench = Bench(place.root, "bubblewrap")
    bench.run(f"ls {place.home} {place.home}/envs; ls {place.root} 2>&1 | grep -c 'No such'", prepared=ready)
    name = ready.bin_dirs[0].parents[1].name
    assert bench.text.split() == [f"{place.home}:", "envs", f"{place.home}/envs:", name, "1"]


def test_compiled_files_are_there_already(place: Environments) -> None:
    ready = prepare(place, LOCKED)
    assert list(ready.bin_dirs[0].parent.glob("lib/*/site-packages/__pycache__/tiny.*.pyc"))


def test_nothing_in_it_shares_its_bytes_with_the_cache_of_uv(place: Environments) -> None:
    ready = prepare(place, LOCKED)
    (module,) = ready.bin_dirs[0].parent.glob("lib/*/site-packages/tiny.py")
    assert module.stat().st_nlink == 1


def test_another_lock_is_another_environment(place: Environments) -> None:
    first = prepare(place, LOCKED)
    wheel(place.root / "wheels", "2.0")
    (place.root / "requirements.txt").write_text("--no-index\n--find-links ./wheels\ntiny==2.0\n")
    second = prepare(again(place), LOCKED)
    assert first.bin_dirs != second.bin_dirs
    assert all((ready.bin_dirs[0] / "tiny").exists() for ready in (first, second))


def test_tools_of_a_recipe_are_added_to_the_lock(place: Environments) -> None:
    wheel(place.root / "wheels", "2.0")
    (place.root / "empty.txt").write_text("--no-index\n--find-links wheels\n")
    ready = prepare(place, Environment(requirements="empty.txt", extra_requirements="tiny==2.0  # tool\n"))
    program = subprocess.run([ready.bin_dirs[0] / "tiny"], check=True, capture_output=True, text=True)
    assert program.stdout == "tiny 2.0\n"


def test_a_python_alone_is_an_environment(place: Environments) -> None:
    environment = Environment(python=OWN)
    ready = prepare(place, environment)
    assert place.identity(environment) == {
        "platform": place.identity(Environment())["platform"],
        "python": f"cpython-{OWN}",
    }
    ended = subprocess.run(
        [ready.bin_dirs[0] / "python", "-c", "import sys; print(sys.version.split()[0])"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == f"{OWN}\n"


def test_the_store_may_be_moved(place: Environments) -> None:
    prepare(place, LOCKED)
    moved = place.home.with_name("elsewhere")
    place.home.rename(moved)
    waits: list[str] = []
    ready = prepare(Environments(moved, place.root), LOCKED, waits)
    assert waits == []
    program = subprocess.run([ready.bin_dirs[0] / "tiny"], check=True, capture_output=True, text=True)
    assert program.stdout == "tiny 1.0\n"


@pytest.mark.parametrize("damage", ["python", "record", "half"])
def test_a_damaged_environment_is_built_again(place: Environments, damage: str) -> None:
    ready = prepare(place, LOCKED)
    top = ready.bin_dirs[0].parents[1]
    for path in (ready.bin_dirs[0], top):
        path.chmod(0o755)
    if damage == "python":
        (ready.bin_dirs[0] / "python").unlink()
    elif damage == "record":
        (top / RECORD).write_text('{"identity": ')
    else:  # as a kill leaves it
        (top / RECORD).unlink()
        (ready.bin_dirs[0] / "tiny").unlink()
    waits: list[str] = []
    assert prepare(again(place), LOCKED, waits) == ready
    assert waits == ["installing its environment, requirements.txt"]
    assert (ready.bin_dirs[0] / "tiny").exists()


def test_of_several_at_a_time_one_builds_and_the_others_wait(place: Environments) -> None:
    waits: list[str] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(again(place).prepare, LOCKED, waits.append)

    anyio.run(main)
    assert sorted(set(waits)) == [
        "installing its environment, requirements.txt",
        "waiting while its environment is installed",
    ]
    assert waits.count("installing its environment, requirements.txt") == 1


def test_of_several_processes_one_builds_and_the_others_wait(place: Environments) -> None:
    code = (
        "import anyio, sys; from functools import partial; from pathlib import Path\n"
        "from penstock.executors.environments import Environments; from penstock.plan.model import Environment\n"
        "waits = []\n"
        "e = Environments(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "r = anyio.run(partial(e.prepare, Environment(requirements='requirements.txt'), waits.append))\n"
        "print(sum(w.startswith('installing') for w in waits), (r.bin_dirs[0] / 'tiny').exists())\n"
    )
    argv = [sys.executable, "-c", code, str(place.home), str(place.root)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = sorted(process.communicate()[0] for process in running)
    assert said == ["0 True\n", "0 True\n", "0 True\n", "1 True\n"]


def test_a_cancelled_build_is_no_environment(place: Environments) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.02):
            await place.prepare(LOCKED, lambda _what: None)

    anyio.run(main)
    assert not list(place.place.glob(f"*/{RECORD}"))
    assert (prepare(place, LOCKED).bin_dirs[0] / "tiny").exists()


def test_a_package_that_is_nowhere_is_reported_in_the_words_of_uv(place: Environments) -> None:
    (place.root / "requirements.txt").write_text("--no-index\n--find-links wheels\ntiny==3.0\n")
    with pytest.raises(
        ExecutorError,
        match=r"(?s)uv: the environment for 'requirements.txt' cannot be built\n.*no version of tiny==3.0.*run again",
    ):
        prepare(place, LOCKED)


def test_an_index_that_cannot_be_reached_is_said_to_be_that(place: Environments) -> None:
    (place.root / "requirements.txt").write_text("tiny==3.0\n")
    with pytest.raises(
        ExecutorError, match=r"(?s)cannot be built.*the index could not be reached: connect once"
    ):
        prepare(place, LOCKED)


def test_a_lock_that_is_not_there_is_the_pipelines_fault(place: Environments) -> None:
    with pytest.raises(PipelineError, match=r"requirements file 'lock.txt' cannot be read: No such file"):
        place.identity(Environment(requirements="lock.txt"))


def test_a_python_that_is_not_there_is_an_error_that_names_those_that_are(place: Environments) -> None:
    with pytest.raises(
        ExecutorError,
        match=r"environment.python: python '3.99' is not on this machine\n  there are: .*cpython-3\.\d+\.\d+.*\n"
        r"  install it \(uv python install 3.99\), or change environment.python",
    ):
        place.identity(Environment(python="3.99"))


def test_a_python_that_was_found_is_remembered_until_it_changes(
    place: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = f"{sys.version_info[0]}.{sys.version_info[1]}"
    known = place.interpreter(request)
    asked: list[str] = []

    def find(_environments: Environments, what: str) -> Interpreter:
        asked.append(what)
        return known

    monkeypatch.setattr(building, "find_python", find)
    assert again(place).interpreter(request) == known
    assert asked == []
    (record,) = (place.place / "pythons").iterdir()
    record.write_text(record.read_text().replace('"seen": [', '"seen": [1'))
    assert again(place).interpreter(request) == known
    assert asked == [request]


def test_uv_is_what_the_variable_names_or_what_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Path(building.find_uv()).name == "uv"
    monkeypatch.setenv("PENSTOCK_UV", str(tmp_path / "none"))
    with pytest.raises(ExecutorError, match=r"PENSTOCK_UV: '.*/none' is no program\n  correct it"):
        building.find_uv()
    monkeypatch.setenv("PENSTOCK_UV", "/bin/true")
    assert building.find_uv() == "/bin/true"
    monkeypatch.delenv("PENSTOCK_UV")
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorError, match=r"uv is not installed.*\n  pip install uv"):
        building.find_uv()


def test_settings_of_pip_reach_uv_unless_uv_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/a /b")
    monkeypatch.setenv("UV_FIND_LINKS", "/own")
    monkeypatch.setenv("VIRTUAL_ENV", "/penstocks/own")
    for name in ("HOME", "XDG_CACHE_HOME", "UV_CACHE_DIR", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    variables = building.uv_variables(Path("/store"))
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert variables["UV_FIND_LINKS"] == "/own"
    assert variables["UV_CACHE_DIR"] == "/store/uv-cache"
    assert variables["UV_PYTHON_DOWNLOADS"] == "never"
    assert "VIRTUAL_ENV" not in variables


def test_a_store_that_cannot_be_written_is_said_to_be_that(place: Environments) -> None:
    place.home.write_text("a file")
    with pytest.raises(StoreError, match=r"the environment cannot be written: Not a directory\n  free room"):
        prepare(place, LOCKED)


def test_a_lock_of_uv_is_turned_into_requirements_once(
    place: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = (
        '[project]\nname = "user"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["tiny==1.0"]\n'
    )
    (place.root / "pyproject.toml").write_text(
        project + '[tool.uv]\nno-index = true\nfind-links = ["wheels"]\npackage = false\n'
    )
    uv = building.find_uv()
    subprocess.run([uv, "lock", "--quiet", "--python", sys.executable], cwd=place.root, check=True)
    environment = Environment(requirements="uv.lock")
    identity = place.identity(environment)
    ready = prepare(place, environment)
    assert (ready.bin_dirs[0] / "tiny").exists()
    monkeypatch.setattr(building, "find_uv", lambda: pytest.fail("uv was asked again"))
    assert again(place).identity(environment) == identity
    assert again(place).identity(Environment(requirements="pyproject.toml")) == identity


def test_a_project_without_a_lock_is_resolved_once(place: Environments) -> None:
    (place.root / "pyproject.toml").write_text(
        '[project]\nname = "user"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["tiny"]\n'
        '[tool.uv]\nno-index = true\nfind-links = ["wheels"]\n'
    )
    environment = Environment(requirements="pyproject.toml")
    identity = place.identity(environment)
    wheel(place.root / "wheels", "2.0")
    assert again(place).identity(environment) == identity
    (kept,) = (place.place / "resolved").iterdir()
    assert "tiny==1.0" in kept.read_text()


def test_a_kind_of_file_that_nobody_can_install_is_refused(place: Environments) -> None:
    (place.root / "environment.toml").write_text("x = 1\n")
    with pytest.raises(
        ExecutorError, match=r"'environment.toml' is of no kind that can be installed\n  name a"
    ):
        place.identity(Environment(requirements="environment.toml"))


def test_pythons_on_this_machine_are_listed(tmp_path: Path) -> None:
    assert f"cpython-{OWN}" in installed_pythons(tmp_path)


def test_the_record_says_what_was_built(place: Environments) -> None:
    ready = prepare(place, LOCKED)
    record = json.loads((ready.bin_dirs[0].parents[1] / RECORD).read_text())
    assert record["identity"] == dict(place.identity(LOCKED))


def test_identity_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from penstock.executors.environments import Environments; from penstock.plan.model import Environment\n"
        "Environments(Path('/nowhere'), Path('/nowhere')).identity(Environment(extra_requirements='a==1'))\n"
        "print(sorted({'subprocess', 'anyio', 'asyncio', 'shutil', 'yaml', 'tempfile', 'logging'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(Path(building.__file__).parents[2])!r}); {code}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "[]\n"
