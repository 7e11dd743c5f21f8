"""`./dev`, the way in: what it does before anything of Penstock is installed."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DEV = ROOT / "dev"
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module that believes to live in an empty project."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in INDEX_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    loader = SourceFileLoader("dev", str(DEV))
    spec = spec_from_loader("dev", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "uv.lock").write_text(
        '[[package]]\nname = "uv"\nversion = "1.2.3"\nwheels = []\n', encoding="utf-8"
    )
    monkeypatch.setattr(module, "ROOT", str(root))
    monkeypatch.setattr(module, "VENV", str(root / ".venv"))
    monkeypatch.setattr(module, "TOOLS", str(root / ".tools"))
    monkeypatch.setattr(module, "STAMP", str(root / ".venv" / "stamp"))
    return module


def fake_uv(directory: Path, body: str) -> Path:
    """A uv that writes its arguments to `calls` beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "uv"
    program.write_text(f'#!/bin/sh\necho "$@" >> {directory}/calls\n{body}\n', encoding="utf-8")
    program.chmod(0o755)
    return program


SYNCS = 'case "$1" in --version) echo "uv 9.9.9 (x)";; sync) mkdir -p "$UV_PROJECT_ENVIRONMENT";; esac'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a uv that is on the PATH and makes an empty environment."""
    fake_uv(tmp_path / "bin", SYNCS)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "bin" / "calls"


def syncs(calls: Path) -> list[str]:
    lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
    return [line for line in lines if line.startswith("sync")]


# Old Pythons


def test_every_python_from_3_6_can_parse_it() -> None:
    ast.parse(DEV.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_python_is_told_what_is_wrong() -> None:
    versions = Path.home() / ".pyenv" / "versions"
    old = [path for minor in (6, 7, 8, 9, 10) for path in versions.glob(f"3.{minor}.*/bin/python")]
    old += [
        Path(found)
        for minor in (6, 7, 8, 9, 10)
        if (found := shutil.which(f"python3.{minor}", path="/usr/bin"))
    ]
    if not old:
        pytest.skip("no Python older than 3.11 is on this machine")
    for python in old:
        done = subprocess.run([python, DEV, "run"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("dev: this is Python 3.")
        assert "3.11 or newer is needed" in done.stderr
        assert done.stderr.count("\n") == 2


# Commands


def test_without_a_command_it_says_what_there_is(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main([]) == 0
    assert "./dev run" in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["bild"]) == 2
    assert "no command is called 'bild'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["run", "--profile", "release"], ["penstock", "run", "--profile", "release"]),
        (["penstock", "explain", "train"], ["penstock", "explain", "train"]),
        (["test", "-k", "x"], ["python", "-m", "pytest", "-k", "x"]),
    ],
)
def test_a_command_becomes_the_program_with_its_options(
    dev: ModuleType, calls: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], program: list[str]
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(dev, "execute", seen.append)
    monkeypatch.chdir(Path.cwd())
    dev.main(arguments)
    assert seen == [[f"{dev.VENV}/bin/{program[0]}", *program[1:]]]
    assert ("--no-dev" in syncs(calls)[0]) == (arguments[0] != "test")


def test_every_check_runs_although_the_first_fails(
    dev: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    tools = Path(dev.VENV) / "bin"
    tools.mkdir(parents=True)
    for name, code in (("ruff", 1), ("mypy", 0), ("lint-imports", 0)):
        (tools / name).write_text(f"#!/bin/sh\necho ran {name}\nexit {code}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    assert dev.check() == 1
    out = capfd.readouterr()
    assert out.out.split() == ["ran", "ruff", "ran", "ruff", "ran", "mypy", "ran", "lint-imports"]
    assert out.err.endswith("dev: failed: ruff check . dev; ruff format --check . dev\n")


def test_a_missing_program_is_one_line(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.execute([f"{dev.VENV}/bin/penstock"]) == 5
    assert "No such file or directory; remove" in capsys.readouterr().err


# When the environment is made again


def test_what_is_current_is_left_alone(dev: ModuleType, calls: Path) -> None:
    dev.set_up(with_tools=False)
    dev.set_up(with_tools=False)
    assert len(syncs(calls)) == 1


def test_the_tools_are_added_when_they_are_needed_and_stay(dev: ModuleType, calls: Path) -> None:
    dev.set_up(with_tools=False)
    dev.set_up(with_tools=True)
    dev.set_up(with_tools=False)
    assert ["--no-dev" in line for line in syncs(calls)] == [True, False]
    (Path(dev.ROOT) / "uv.lock").write_text("changed", encoding="utf-8")
    dev.set_up(with_tools=False)
    assert ["--no-dev" in line for line in syncs(calls)] == [True, False, False]


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed(dev: ModuleType, calls: Path, name: str) -> None:
    dev.set_up(with_tools=False)
    (Path(dev.ROOT) / name).write_text("something else", encoding="utf-8")
    dev.set_up(with_tools=False)
    assert len(syncs(calls)) == 2


def test_an_environment_of_another_place_is_made_anew(
    dev: ModuleType, calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dev.set_up(with_tools=False)
    moved = tmp_path / "moved"
    Path(dev.ROOT).rename(moved)
    (moved / ".venv" / "left-over").touch()
    for name, path in (("ROOT", moved), ("VENV", moved / ".venv"), ("STAMP", moved / ".venv" / "stamp")):
        monkeypatch.setattr(dev, name, str(path))
    dev.set_up(with_tools=False)
    assert len(syncs(calls)) == 2
    assert not (moved / ".venv" / "left-over").exists()


def test_a_failed_installation_is_tried_again(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv(tmp_path / "bin", 'case "$1" in --version) echo "uv 9.9.9";; sync) exit 2;; esac')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for _ in range(2):
        with pytest.raises(dev.SetupError, match="could not be installed"):
            dev.set_up(with_tools=False)
    assert len(syncs(tmp_path / "bin" / "calls")) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_named(dev: ModuleType, calls: Path) -> None:
    Path(dev.ROOT).chmod(0o500)
    with pytest.raises(dev.SetupError, match="cannot be written"):
        dev.set_up(with_tools=False)
    assert not syncs(calls)


def test_the_environment_uses_this_python_and_fetches_none(dev: ModuleType, calls: Path) -> None:
    dev.set_up(with_tools=False)
    assert f"--python {dev.interpreter()}" in syncs(calls)[0]
    assert Path(dev.interpreter()).is_file()
    assert not dev.interpreter().startswith(sys.prefix) or sys.prefix == sys.base_prefix


# Where uv comes from


@pytest.mark.parametrize(
    ("said", "version"),
    [("echo uv 0.13.8 '(x 2026)'", (0, 13, 8)), ("echo nonsense", (0,)), ("echo uv 1.2.3; exit 1", (0,))],
)
def test_a_uv_says_its_version_or_does_not_count(
    dev: ModuleType, tmp_path: Path, said: str, version: tuple[int, ...]
) -> None:
    assert dev.uv_version(str(fake_uv(tmp_path / "bin", said))) == version


def test_an_old_uv_is_passed_over_for_the_locked_one(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv(tmp_path / "bin", "echo uv 0.4.30")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    kept = Path(dev.TOOLS) / "uv-1.2.3" / "uv"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert dev.find_uv() == str(kept)


WHEELS = [
    {"url": f"https://files.example/uv-1.2.3-py3-none-{tags}.whl"}
    for tags in (
        "linux_armv6l",
        "macosx_11_0_arm64",
        "manylinux_2_28_aarch64",
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "musllinux_1_1_x86_64",
        "win_amd64",
    )
]


@pytest.mark.parametrize(
    ("system", "machine", "index"),
    [
        ("manylinux", "x86_64", 4),
        ("musllinux", "x86_64", 5),
        ("manylinux", "aarch64", 3),
        ("musllinux", "aarch64", 3),
        ("macosx", "arm64", 1),
    ],
)
def test_the_wheel_fits_the_machine(dev: ModuleType, system: str, machine: str, index: int) -> None:
    assert dev.choose_wheel(WHEELS, system, machine) == WHEELS[index]


def test_a_machine_that_has_no_wheel_is_named(dev: ModuleType) -> None:
    with pytest.raises(dev.SetupError, match="there is no uv for manylinux on riscv128; install uv"):
        dev.choose_wheel(WHEELS, "manylinux", "riscv128")


def test_the_lock_file_of_this_repository_has_a_wheel_for_every_linux(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "ROOT", str(ROOT))
    monkeypatch.setenv("PATH", "")
    chosen: list[tuple[str, str]] = []
    monkeypatch.setattr(dev, "fetch", lambda *asked: chosen.append(asked))
    monkeypatch.setattr(dev, "unpack", lambda wheel: wheel)
    for system in ("manylinux", "musllinux"):
        for machine in ("x86_64", "aarch64"):
            monkeypatch.setattr(dev, "platform_tag", lambda tag=(system, machine): tag)
            monkeypatch.setattr(dev, "TOOLS", f"{dev.TOOLS}x")
            monkeypatch.setattr(dev, "keep", lambda _program, _path: None)
            dev.find_uv()
    assert len(chosen) == 4
    assert all(url.startswith("https://") and len(sha256) == 64 for url, sha256 in chosen)


def wheel() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("uv/__init__.py", "")
        archive.writestr("uv-1.2.3.data/scripts/uvx", "no")
        archive.writestr("uv-1.2.3.data/scripts/uv", "#!/bin/sh\necho it\n")
    return content.getvalue()


def test_a_fetched_uv_can_run(dev: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "uv.whl").write_bytes(wheel())
    url = (tmp_path / "uv.whl").as_uri()
    kept = tmp_path / "tools" / "uv-1.2.3" / "uv"
    dev.keep(dev.unpack(dev.fetch(url, hashlib.sha256(wheel()).hexdigest())), str(kept))
    assert subprocess.run([kept], capture_output=True, text=True, check=True).stdout == "it\n"
    assert [path.name for path in kept.parent.iterdir()] == ["uv"]


def test_a_wheel_that_is_not_the_locked_one_is_not_used(dev: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "uv.whl").write_bytes(wheel() + b"x")
    with pytest.raises(
        dev.SetupError, match=r"has the SHA-256 [0-9a-f]{64}; uv.lock says 0{64}; it was not used"
    ):
        dev.fetch((tmp_path / "uv.whl").as_uri(), "0" * 64)


def test_another_index_is_asked_for_the_same_file(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    page = (
        b"<a href=\"../../files/other.whl\">x</a> <A class=y HREF='../../files/uv-1.2.3.whl#sha256=0'>uv</A>"
    )

    def read(url: str) -> bytes:
        asked.append(url)
        return page if url.endswith("/uv/") else wheel()

    monkeypatch.setattr(dev, "read", read)
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@index.example/simple")
    assert dev.fetch("https://files.example/uv-1.2.3.whl", hashlib.sha256(wheel()).hexdigest()) == wheel()
    assert asked == [
        "https://me:secret@index.example/simple/uv/",
        "https://me:secret@index.example/files/uv-1.2.3.whl",
    ]


def test_an_index_without_the_file_is_named_without_its_password(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "read", lambda _url: b"<html></html>")
    with pytest.raises(dev.SetupError, match=r"^https://index\.example/uv/ does not offer uv-1\.whl$"):
        dev.link_in("https://me:secret@index.example/uv/", "uv-1.whl")


def test_a_password_goes_to_no_other_host(dev: ModuleType) -> None:
    page = "https://me:secret@index.example/uv/"
    assert dev.with_login("https://files.example/a", page) == "https://files.example/a"
    assert dev.with_login("https://index.example/a", page) == "https://me:secret@index.example/a"


def test_without_a_network_it_says_what_would_help(dev: ModuleType) -> None:
    with pytest.raises(
        dev.SetupError, match=r"(?s)^http://127\.0\.0\.1:9/uv cannot be read: .*HTTPS_PROXY.*on the PATH$"
    ):
        dev.read("http://me:secret@127.0.0.1:9/uv")


def test_a_place_that_cannot_be_written_is_one_line(dev: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tools").write_text("a file", encoding="utf-8")
    with pytest.raises(dev.SetupError, match="cannot be written: "):
        dev.keep(b"", str(tmp_path / "tools" / "uv-1.2.3" / "uv"))
