"""Building environments with `uv`: finding a Python, turning lock files into requirements, installing."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from penstock.errors import ExecutorError, StoreError
from penstock.executors.bench import remove_tree
from penstock.executors.environments import RECORD, Interpreter
from penstock.executors.process import run_process
from penstock.executors.requirements import Requirements
from penstock.plan.model import Environment

if TYPE_CHECKING:
    from penstock.executors.environments import Environments

VARIABLE = "PENSTOCK_UV"
_LAST_LINES = 12
_POLL_S = 0.1
_ASK = (
    "import sys; print(sys.implementation.name, '.'.join(map(str, sys.version_info[:3])), sep='-');"
    "print(sys.executable); print(sys.base_prefix)"
)
# they would make `uv`, or a Python that is asked for its version, look at Penstock's own environment
_UNWANTED = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "UV_PYTHON",
    "UV_PROJECT",
)
_OFFLINE = ("network was disabled", "dns error", "client error", "error sending request", "Failed to fetch")
_FROM_PIP = (
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
    ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
    ("PIP_NO_INDEX", "UV_NO_INDEX"),
    ("PIP_CERT", "SSL_CERT_FILE"),
)


def find_uv() -> str:
    """The path of `uv`.

    Raises:
        ExecutorError: It is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise ExecutorError(
                f"{named!r} is no program", where=VARIABLE, notes=("correct it, or remove the variable",)
            )
        return found
    with suppress(ImportError, FileNotFoundError):
        import uv

        return uv.find_uv_bin()
    found = shutil.which("uv")
    if found is None:
        raise ExecutorError(
            "uv is not installed, and environments are built by it",
            notes=("pip install uv, or name it in PENSTOCK_UV",),
        )
    return found


def find_python(environments: Environments, request: str) -> Interpreter:
    """The Python for a request, such as `3.12`; none is downloaded.

    Raises:
        ExecutorError: There is none on this machine.
    """
    argv = [find_uv(), "python", "find", "--system", "--no-project", request]
    ended = _ask(argv, environments.home)
    path = ended.stdout.strip()
    if ended.returncode == 0 and path:
        answer = _ask([path, "-I", "-S", "-c", _ASK], environments.home)
        lines = answer.stdout.splitlines()
        if answer.returncode == 0 and len(lines) == 3:  # noqa: PLR2004 - as `_ASK` prints
            return Interpreter(lines[1], lines[0], lines[2])
    there = installed(environments.home)
    said = ended.stderr.strip().splitlines()
    if not there and said:  # not even the Python that runs this was found, so uv could not look
        raise ExecutorError(
            f"uv cannot look for python {request!r}: {said[-1].strip()}",
            where="environment.python",
            notes=("HOME must be a directory that can be written, or set PENSTOCK_HOME to one",),
        )
    raise ExecutorError(
        f"python {request!r} is not on this machine",
        where="environment.python",
        notes=(
            f"there are: {', '.join(there)}" if there else "no other Python was found either",
            f"install it (uv python install {request}), or change environment.python in the pipeline file",
        ),
    )


def installed(home: Path | None) -> list[str]:
    """Versions of Python on this machine, newest first; empty if `uv` cannot be asked."""
    try:
        ended = _ask([find_uv(), "python", "list", "--only-installed", "--output-format", "json"], home)
        entries = json.loads(ended.stdout)
        return list(dict.fromkeys(f"{each['implementation']}-{each['version']}" for each in entries))
    except (ExecutorError, ValueError, KeyError, TypeError):
        return []


def resolve(environments: Environments, path: Path, name: str, python: Interpreter | None) -> str:
    """The requirements that a `uv.lock` or `pyproject.toml` comes to.

    Args:
        python: That they are for; absent if there is a lock file, which fits any.

    Raises:
        ExecutorError: `uv` cannot tell.
    """
    if path.name not in ("uv.lock", "pyproject.toml"):
        raise ExecutorError(
            f"{name!r} is of no kind that can be installed",
            where="environment.requirements",
            notes=("name a requirements file, a uv.lock or a pyproject.toml",),
        )
    if python is None:
        argv = ["export", "--frozen", "--no-emit-workspace", "--no-header", "--no-annotate", "--quiet"]
        argv += ["--directory", str(path.parent)]
    else:
        argv = ["pip", "compile", "--python", python.executable, "--generate-hashes", "--no-header"]
        argv += ["--no-annotate", "--quiet", str(path)]
    ended = _ask([find_uv(), *argv], environments.home, cwd=path.parent if path.parent.is_dir() else None)
    if ended.returncode:
        raise failed(f"{name!r} cannot be turned into requirements", ended.stderr.splitlines())
    return ended.stdout


async def build(
    environments: Environments, environment: Environment, place: Path, on_wait: Callable[[str], None]
) -> None:
    """Install an environment at its place; of several processes one does it, and the others wait.

    Raises:
        ExecutorError: It cannot be built.
    """
    async with alone(place, on_wait):
        if not environments.is_ready(place):
            on_wait(f"installing its environment, {named(environment)}")
            await _build(environments, environment, place)


def named(environment: Environment) -> str:
    """What an environment is called in messages."""
    return environment.requirements or environment.python or "tools"


@asynccontextmanager
async def alone(place: Path, on_wait: Callable[[str], None]) -> AsyncIterator[None]:
    """Held while an environment is built: of several processes one builds, and the others wait.

    Raises:
        StoreError: Nothing can be written there.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unwritable(error, place) from error
    try:
        await _locked(lock, on_wait)
        yield
    finally:
        os.close(lock)


async def _locked(lock: int, on_wait: Callable[[str], None]) -> None:
    told = False
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if not told:
            on_wait("waiting while its environment is installed")
            told = True
        await anyio.sleep(_POLL_S)


async def _build(environments: Environments, environment: Environment, place: Path) -> None:
    python = environments.interpreter(environment.python)
    wanted = environments.requirements(environment)
    name = environment.requirements or "environment"
    # what a build that was killed has left; whoever has the lock may remove it
    remove_tree(place)
    _begin(place, wanted)
    uv, venv = find_uv(), place / "venv"
    cwd = (environments.root / (environment.requirements or "")).parent
    home = environments.home
    argv = [uv, "venv", "--quiet", "--no-project", "--relocatable", "--python", python.executable, str(venv)]
    await _uv(argv, cwd, home, name)
    if wanted.lines:
        # copied, never linked: a stage that changes a file must not change it for everybody
        argv = [uv, "pip", "install", "--link-mode", "copy", "--compile-bytecode", "--no-progress"]
        argv += ["--python", str(venv / "bin" / "python"), "-r", str(place / "requirements.txt")]
        argv += ["-c", str(place / "constraints.txt")] if wanted.constraints else []
        await _uv(argv, cwd, home, name)
    _finish(environments, environment, place, python)


def _begin(place: Path, wanted: Requirements) -> None:
    try:
        place.mkdir(parents=True)
        (place / "requirements.txt").write_text("\n".join((*wanted.installable, "")), "utf-8")
        (place / "constraints.txt").write_text("\n".join((*wanted.constraints, "")), "utf-8")
    except OSError as error:
        raise _unwritable(error, place) from error


def _finish(environments: Environments, environment: Environment, place: Path, python: Interpreter) -> None:
    record = {
        "identity": dict(environments.identity(environment)),
        "executable": python.executable,
        "prefix": python.prefix,
    }
    try:
        for path in _everything(place / "venv"):
            path.chmod(path.stat().st_mode & ~0o222)
        # the record says that all is there, so all must be on the disk before it
        with suppress(OSError):
            argv = ["sync", "-f", str(place)]
            subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True)  # noqa: S603 - fixed
        _write_durably(place / RECORD, json.dumps(record, indent=1).encode())
    except OSError as error:
        raise _unwritable(error, place) from error


def keep(path: Path, text: str) -> None:
    """Write something that can be found out again; a store that cannot be written does without."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_durably(path, text.encode())


def vanished(place: Path) -> ExecutorError:
    """For an environment that is gone although it has just been built."""
    return ExecutorError(
        "the environment was removed while it was being used", where=str(place), notes=("run again",)
    )


async def _uv(argv: Sequence[str], cwd: Path, home: Path, named: str) -> None:
    said = bytearray()
    ended = await run_process(argv, cwd=cwd, env=uv_variables(home), timeout_s=None, on_output=said.extend)
    if ended.exit_code:
        raise failed(
            f"the environment for {named!r} cannot be built", said.decode("utf-8", "replace").splitlines()
        )


def failed(what: str, said: Iterable[str]) -> ExecutorError:
    """For a `uv` that failed: its last lines, and what to do."""
    lines = [line for line in said if line.strip() and not line.startswith("Using Python ")][-_LAST_LINES:]
    offline = any(sign in line for line in lines for sign in _OFFLINE)
    remedy = (
        "the index could not be reached: connect once, or name a mirror in UV_DEFAULT_INDEX or UV_FIND_LINKS"
        if offline
        else "correct the requirements as uv says, and run again"
    )
    return ExecutorError(what, where="uv", notes=(*lines, remedy))


def _ask(argv: Sequence[str], home: Path | None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - `uv`, or a Python that it found
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd or "/",
            env=uv_variables(home),
        )
    except OSError as error:
        raise ExecutorError(f"it does not run: {error.strerror or error}", where=argv[0]) from error


def uv_variables(home: Path | None) -> dict[str, str]:
    """What `uv` is started with: the caller's own variables, as indexes, proxies and caches are set there."""
    variables = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    variables["UV_PYTHON_DOWNLOADS"] = "never"
    variables["UV_NO_PROGRESS"] = "1"
    for theirs, ours in _FROM_PIP:
        if theirs in variables and ours not in variables:
            # uv separates directories by commas, and indexes by spaces as pip does
            value = variables[theirs]
            variables[ours] = ",".join(value.split()) if ours == "UV_FIND_LINKS" else value
    if home is not None and not any(
        variables.get(name) for name in ("UV_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    ):
        variables["UV_CACHE_DIR"] = str(home / "uv-cache")
    # a shim of pyenv only runs the versions that are switched on; these are installed all the same
    pyenv = Path(variables.get("PYENV_ROOT") or Path(variables.get("HOME") or "/") / ".pyenv") / "versions"
    path = variables.get("PATH", os.defpath)
    variables["PATH"] = ":".join((path, *(str(each) for each in sorted(pyenv.glob("*/bin")))))
    return variables


def _everything(top: Path) -> Iterator[Path]:
    for directory, _, files in os.walk(top, topdown=False):
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                yield path
        yield Path(directory)


def _write_durably(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _unwritable(error: OSError, place: Path) -> StoreError:
    return StoreError(
        f"the environment cannot be written: {error.strerror or error}",
        where=error.filename or str(place),
        notes=("free room (penstock cache gc), or choose another place with PENSTOCK_HOME",),
    )
