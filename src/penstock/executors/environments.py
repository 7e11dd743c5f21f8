"""Environments of stages: a Python and what a lock file says, built once per digest by `uv`.

`identity` is on the path of a run that finds nothing to do, so nothing heavy is imported here; `building` has
what installs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from penstock import digest
from penstock.executors.requirements import Requirements, read
from penstock.plan.model import Environment
from penstock.record import Record, field, replace

RECORD = "penstock-env.json"


class Prepared(Record, kw_only=False):
    """An environment that is ready.

    Attributes:
        bin_dirs: Searched for programs first.
        read_only: What the environment needs of the file system, as absolute paths.
        variables: Of the process's environment.
        hidden: Directories that no stage must see, but for what is in `read_only`.
    """

    bin_dirs: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[Path, ...] = ()


class Interpreter(Record, kw_only=False):
    """A Python that is installed here.

    Attributes:
        version: Such as `cpython-3.12.1`.
        prefix: Where its library is.
    """

    executable: str
    version: str
    prefix: str


class Environments(Record, frozen=False, kw_only=False):
    """The environments of a store, for one project.

    Args:
        home: Of the store.
        root: Of the project.
    """

    home: Path
    root: Path
    _requirements: dict[Environment, Requirements] = field(default_factory=dict)
    _interpreters: dict[str, Interpreter] = field(default_factory=dict)
    _held: dict[Path, int] = field(default_factory=dict)
    """Environments in use, each by a shared lock on its directory."""

    @property
    def place(self) -> Path:
        """Holds every environment, by digest."""
        return self.home / "envs"

    def identity(self, environment: Environment) -> Mapping[str, str]:
        """What of an environment can change a stage's outputs; starts no process if all is known.

        Raises:
            PipelineError: A requirements file is missing, or does not determine what is installed.
            ExecutorError: The Python that is asked for is not on this machine.
        """
        known = {"platform": _platform()}
        if not environment.declared:
            return known
        known["python"] = self.interpreter(environment.python).version
        if environment.requirements or environment.extra_requirements:
            known["requirements"] = self.requirements(environment).digest
        return known

    def interpreter(self, request: str | None) -> Interpreter:
        """The Python for a request; for none, the one that runs Penstock.

        Raises:
            ExecutorError: There is none on this machine.
        """
        if request is None:
            return _own()
        if request not in self._interpreters:
            self._interpreters[request] = self._recalled(request) or self._found(request)
        return self._interpreters[request]

    def requirements(self, environment: Environment) -> Requirements:
        """What is to be installed.

        Raises:
            PipelineError: A requirements file is missing, or does not determine what is installed.
            ExecutorError: A lock file cannot be turned into requirements.
        """
        if environment not in self._requirements:
            bare = replace(environment, extra_requirements="", image=None)
            if environment == bare:
                wanted = self._locked(environment)
            else:  # stages with other tools share what was read of the lock
                wanted = self.requirements(bare).copy()
                where = "tools of the recipe"
                wanted.add_text(environment.extra_requirements, where=where, directory=self.root)
            self._requirements[environment] = wanted
        return self._requirements[environment]

    async def prepare(self, environment: Environment, on_wait: Callable[[str], None]) -> Prepared:
        """Build an environment unless it is there.

        Args:
            on_wait: Told what is waited for, before it takes time.

        Raises:
            PipelineError: A requirements file is missing, or does not determine what is installed.
            ExecutorError: It cannot be built; the last lines of `uv` say why.
        """
        if not environment.declared:
            return Prepared(hidden=(self.home,))
        name = digest.of_json(self.identity(environment)).removeprefix(digest.PREFIX)
        ready = self._take(self.place / name)
        if ready is None:
            from penstock.executors import building

            await building.build(self, environment, self.place / name, on_wait)
            ready = self._take(self.place / name)
            if ready is None:
                raise building.vanished(self.place / name)
        return ready

    def _take(self, place: Path) -> Prepared | None:
        """An environment that is ready, which `gc` leaves alone from now to the end of this process."""
        if place not in self._held:
            import fcntl

            try:
                descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:  # not there, or building it will say what is wrong
                return None
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            ready = self._ready(place)
            # it may be half built, or have been collected while we waited for the lock
            if ready is None or not os.path.samestat(os.fstat(descriptor), place.stat()):
                os.close(descriptor)
                return None
            self._held[place] = descriptor
            with suppress(OSError):
                os.utime(place / RECORD)
        return self._ready(place)

    def is_ready(self, place: Path) -> bool:
        """Whether an environment has been built, and its Python is still there."""
        return self._ready(place) is not None

    def _ready(self, place: Path) -> Prepared | None:
        record = _load(place / RECORD)
        venv = place / "venv"
        if record is None or not os.access(venv / "bin" / "python", os.X_OK):
            return None
        if not (venv / "pyvenv.cfg").is_file():
            return None
        prefix = str(record.get("prefix", ""))
        real = os.path.realpath(venv / "bin" / "python")
        needed = dict.fromkeys((str(place), prefix, os.path.realpath(prefix), str(Path(real).parent.parent)))
        return Prepared(
            bin_dirs=(venv / "bin",),
            read_only=tuple(Path(path) for path in needed if path not in ("", "/")),
            variables={"VIRTUAL_ENV": str(venv)},
            hidden=(self.home,),
        )

    def _locked(self, environment: Environment) -> Requirements:
        wanted = Requirements()
        if environment.requirements is not None:
            path = self.root / environment.requirements
            text = self._text(path, environment)
            wanted.add_text(text, where=environment.requirements, directory=path.parent)
        return wanted

    def _text(self, path: Path, environment: Environment) -> str:
        name = environment.requirements or ""
        if path.suffix != ".toml" and path.name != "uv.lock":
            return read(path, name, name)
        from penstock.executors import building

        lock = path.with_name("uv.lock")
        sources = [each for each in (path.with_name("pyproject.toml"), lock) if each.is_file()]
        # what a lock file comes to depends on no Python, so none has to be here for it
        python = None if lock in sources else self.interpreter(environment.python)
        asked = [read(each, name, name) for each in sources] + ([] if python is None else [python.version])
        kept = self.place / "resolved" / f"{digest.of_json(asked).removeprefix(digest.PREFIX)}.txt"
        with suppress(OSError):
            return kept.read_text("utf-8")
        text = building.resolve(self, path, name, python)
        building.keep(kept, text)
        return text

    def _memory(self, request: str) -> Path:
        return self.place / "pythons" / f"{digest.of_json(request).removeprefix(digest.PREFIX)}.json"

    def _recalled(self, request: str) -> Interpreter | None:
        record = _load(self._memory(request))
        if record is None or record.get("seen") != _seen(str(record.get("executable"))):
            return None
        return Interpreter(str(record["executable"]), str(record["version"]), str(record["prefix"]))

    def _found(self, request: str) -> Interpreter:
        from penstock.executors import building

        found = building.find_python(self, request)
        record = {
            "executable": found.executable,
            "version": found.version,
            "prefix": found.prefix,
            "seen": _seen(found.executable),
        }
        building.keep(self._memory(request), json.dumps(record))
        return found


def installed_pythons(home: Path | None = None) -> list[str]:
    """Versions of Python on this machine, newest first; empty if `uv` cannot be asked."""
    from penstock.executors import building

    return building.installed(home)


def _platform() -> str:
    try:
        libc = (os.confstr("CS_GNU_LIBC_VERSION") or "other").split()[0]
    except (ValueError, OSError):
        libc = "musl"
    return f"linux-{os.uname().machine}-{libc}"


def _own() -> Interpreter:
    version = ".".join(str(number) for number in sys.version_info[:3])
    executable = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(executable, f"{sys.implementation.name}-{version}", sys.base_prefix)


def _load(path: Path) -> dict[str, object] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _seen(executable: str) -> list[int] | None:
    try:
        about = Path(executable).stat()
    except OSError:
        return None
    return [about.st_size, about.st_mtime_ns, about.st_ino]
