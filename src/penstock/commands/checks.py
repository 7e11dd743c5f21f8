"""What `penstock doctor` looks at: each check is a function that gives findings, in groups by executor."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import penstock
from penstock.cache.store import Store, default_home
from penstock.commands import packages
from penstock.digest import PREFIX
from penstock.errors import PenstockError

LOW_BYTES = 1 << 30
_FICLONE = 0x40049409
_TIMEOUT_S = 10


class State(StrEnum):
    """What a check came to."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table.

    Attributes:
        found: What is there, or what is wrong.
        remedy: What to type, or what to do, line by line.
        needed: Whether the executor cannot run without it.
    """

    name: str
    state: State
    found: str
    remedy: tuple[str, ...] = ()
    needed: bool = False

    @property
    def stops(self) -> bool:
        """Whether the executor cannot run because of it."""
        return self.needed and self.state in (State.MISSING, State.BROKEN)


@dataclass(slots=True, kw_only=True)
class Machine:
    """What the checks look at.

    Attributes:
        root: Of the project, if there is a pipeline file; else where one is.
        system: The kind of operating system, see `packages.family`.
        pipeline: The file to look at, if one was named or found.
    """

    root: Path
    environ: Mapping[str, str]
    system: str
    pipeline: Path | None = None
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(default_home(self.environ))

    def install(self, package: str) -> tuple[str, ...]:
        """How to get a package here."""
        typed = packages.command(package, self.system)
        return (typed,) if typed else ()


Check = Callable[[Machine], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that belong together.

    Attributes:
        executor: Whose; every executor needs the others.
    """

    title: str
    checks: tuple[Check, ...]
    executor: str | None = None


def version(machine: Machine) -> Iterator[Finding]:
    """Penstock itself and the Python that runs it."""
    found = f"{penstock.__version__}, on Python {platform.python_version()} ({platform.system()})"
    yield Finding(name="penstock", state=State.OK, found=found)


def git(machine: Machine) -> Iterator[Finding]:
    """Git, which tells a report its commit."""
    program = shutil.which("git")
    if program is None:
        found = "not on the PATH; reports will name no commit"
        yield Finding(name="git", state=State.MISSING, found=found, remedy=machine.install("git"))
    else:
        words = output("git", "--version")
        yield Finding(name="git", state=State.OK, found=words.removeprefix("git version ") or program)


def store(machine: Machine) -> Iterator[Finding]:
    """Where results are kept, whether one can write there, and how."""
    from penstock.cache.maintenance import shown_bytes, stats

    home = machine.store.home
    place = nearest_directory(home)
    remedy = ("set PENSTOCK_HOME to a directory that you can write",)
    if place is None or not os.access(place, os.W_OK | os.X_OK):
        what = f"{shown(home)} cannot be written"
        yield Finding(name="store", state=State.BROKEN, found=what, remedy=remedy, needed=True)
        return
    try:
        machine.store.recall(PREFIX + "0" * 64)  # refused by a store of another format
        size = sum(size for _, size in stats(machine.store).entries.values()) if home.is_dir() else 0
    except PenstockError as error:
        yield Finding(name="store", state=State.BROKEN, found=error.what, remedy=error.notes, needed=True)
        return
    held = f"holds {shown_bytes(size)}" if home.is_dir() else "will be made"
    yield Finding(name="store", state=State.OK, found=f"{shown(home)}, {held}", needed=True)
    yield _room("store room", place)
    if reflinks(place):
        yield Finding(name="store copies", state=State.OK, found="share their blocks (reflinks)")
    else:
        found = "are whole: this file system cannot share blocks, as Btrfs and XFS can"
        yield Finding(name="store copies", state=State.NOTE, found=found)


def project_room(machine: Machine) -> Iterator[Finding]:
    """What the project's own directory takes and has."""
    from penstock.cache.maintenance import shown_bytes

    place = machine.root / ".penstock"
    if not os.access(machine.root, os.W_OK):
        found = f"{shown(machine.root)} cannot be written, so no run can be kept"
        yield Finding(name=".penstock", state=State.BROKEN, found=found, needed=True)
    elif place.is_dir():
        yield Finding(name=".penstock", state=State.OK, found=f"{shown(place)}, {shown_bytes(_size(place))}")
        yield _room("project room", place)


def _room(name: str, place: Path) -> Finding:
    from penstock.cache.maintenance import shown_bytes

    free = shutil.disk_usage(place).free
    low = free < LOW_BYTES
    return Finding(
        name=name,
        state=State.NOTE if low else State.OK,
        found=f"{shown_bytes(free)} free",
        remedy=("penstock cache gc --older-than 30d",) if low else (),
    )


def sandbox(machine: Machine) -> Iterator[Finding]:
    """Whether stages get namespaces of their own, and what they get otherwise."""
    from penstock.executors.sandbox import VARIABLE, detect

    try:
        found = detect()
    except PenstockError as error:
        yield Finding(name="sandbox", state=State.BROKEN, found=error.what, remedy=error.notes, needed=True)
        return
    if found.sandbox is not None:
        text = f"{found.sentence}: each stage sees its inputs only"
        yield Finding(name="sandbox", state=State.OK, found=text)
        return
    without = "stages run on copies, in the machine's own namespaces"
    if machine.environ.get(VARIABLE) == "none":
        yield Finding(name="sandbox", state=State.NOTE, found=f"switched off by {VARIABLE}=none; {without}")
    elif shutil.which("bwrap", path=machine.environ.get("PATH")) is None:
        remedy = machine.install("bubblewrap")
        text = f"bubblewrap is not on the PATH; {without}"
        yield Finding(name="sandbox", state=State.MISSING, found=text, remedy=remedy)
    else:
        text = f"{found.sentence}; {without}"
        yield Finding(name="sandbox", state=State.BROKEN, found=text, remedy=_namespaces())


def _namespaces() -> tuple[str, ...]:
    """What makes the kernel refuse namespaces, and how to allow them."""
    for path, refusing in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
    ):
        try:
            value = Path("/proc/sys", path).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if value == refusing:
            allowed = {"1": "0", "0": "1"}[refusing] if "max" not in path else "15000"
            return (f"sudo sysctl -w {path.replace('/', '.')}={allowed}",)
    return ("in a container: start it with --security-opt seccomp=unconfined, or do without",)


def gpu(machine: Machine) -> Iterator[Finding]:
    """GPUs, for stages that declare an accelerator."""
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    if shutil.which("nvidia-smi"):
        said = output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
        names = [line.strip() for line in said.splitlines() if line.strip()]
        if names:
            yield Finding(name="gpu", state=State.OK, found="; ".join(names))
        else:
            found = "nvidia-smi is here, but cannot reach a GPU"
            yield Finding(name="gpu", state=State.BROKEN, found=found, remedy=("nvidia-smi",))
    elif devices:
        found = f"{', '.join(devices)} in /dev, but no nvidia-smi: the driver's programs are not installed"
        yield Finding(name="gpu", state=State.NOTE, found=found)
    else:
        yield Finding(name="gpu", state=State.NOTE, found="none, so no stage can run with --accelerator cuda")


def output(*command: str) -> str:
    """What a program prints; nothing if it fails or takes too long."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if not done.returncode else ""


def nearest_directory(path: Path) -> Path | None:
    """The directory itself, or the nearest one above that is there."""
    for each in (path, *path.parents):
        if each.is_dir():
            return each
        if os.path.lexists(each):
            return None
    return None


def reflinks(directory: Path) -> bool:
    """Whether two files in a directory can share blocks; tried on files that have no name."""
    try:
        flags = os.O_TMPFILE | os.O_RDWR
        source, target = os.open(directory, flags), os.open(directory, flags)
    except (AttributeError, OSError):
        return False
    try:
        os.write(source, b"\0" * 4096)
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    finally:
        os.close(source)
        os.close(target)
    return True


def shown(path: Path) -> str:
    """A path as short as it can be told."""
    home = os.environ.get("HOME", "")
    text = os.fspath(path)
    return f"~{text[len(home) :]}" if home and text.startswith(f"{home}/") else text


def _size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files
            except OSError:
                continue  # removed meanwhile
    return total
