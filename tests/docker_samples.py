"""A Docker daemon for tests, and images of it that are made on the spot, of this machine's own programs."""

from __future__ import annotations

import fcntl
import functools
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from penstock.digest import of_json
from penstock.errors import ExecutorError
from penstock.executors.building import find_uv
from penstock.executors.docker_daemon import Daemon, connect

REPOSITORY = "penstock-test"
FORMAT = 2
PROGRAMS = (
    *(
        "sh",
        "cat",
        "grep",
        "sed",
        "chmod",
        "cp",
        "date",
        "dd",
        "env",
        "head",
        "id",
        "kill",
        "ln",
        "ls",
        "mkdir",
        "mv",
        "od",
    ),
    *("find", "mkfifo", "readlink", "rmdir"),
    *("rm", "seq", "setsid", "sleep", "sort", "stat", "tail", "test", "touch", "tr", "true", "wc"),
)


@functools.cache
def daemon() -> Daemon | str:
    """The daemon of this machine, or why there is none."""
    try:
        return connect(os.environ)
    except ExecutorError as error:
        return f"{error.what}; apt-get install docker.io, and start dockerd"


def demand_daemon() -> Daemon:
    """The daemon; the test is skipped where there is none."""
    found = daemon()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@functools.cache
def image() -> str:
    """An image with a shell and a few programs."""
    return _imported("programs", (_program(name) for name in PROGRAMS))


@functools.cache
def python_image() -> str:
    """An image that has this Python too, bare, and in which `uv` runs."""
    library = Path(sysconfig.get_path("stdlib"))
    base = Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    skipped = {"test", "tests", "__pycache__", "site-packages", "dist-packages", "idlelib", "turtledemo"}
    modules = []
    for folder, folders, names in os.walk(library):
        folders[:] = sorted({*folders} - skipped)
        modules += [Path(folder, name) for name in names if not name.endswith(".a")]
    uv = Path(find_uv())
    of_uv = [each for each in _with_libraries([uv]) if each != uv]
    files = [*modules, base, *of_uv, *(_program(name) for name in PROGRAMS)]
    return _imported("python", files, links={"/usr/local/bin/python3": str(base)})


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no program {name!r} to put into an image")
    return Path(found)


def _imported(kind: str, files: Iterable[Path], links: dict[str, str] | None = None) -> str:
    held = demand_daemon()
    wanted = sorted({*_with_libraries(files)})
    facts = [FORMAT, *([str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in wanted)]
    name = f"{REPOSITORY}:{kind}-{of_json([facts, links]).removeprefix('sha256:')[:12]}"
    # or two test processes would make two images of one name
    with Path(tempfile.gettempdir(), f"{REPOSITORY}-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if held.find(name) is not None:
            return name
        tar = _archive(wanted, {"/bin/sh": str(_program("sh")), **(links or {})})
        held.api.import_image_from_data(tar, repository=REPOSITORY, tag=name.partition(":")[2])
    return name


def _with_libraries(files: Iterable[Path]) -> Iterator[Path]:
    """Files, and what the loader needs for those that are programs or libraries."""
    seen: set[str] = set()
    for path in files:
        yield path
        if ".so" in path.name or os.access(path, os.X_OK):
            listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
            for library in re.findall(r"(/\S+) \(0x", listed):
                if library not in seen:
                    seen.add(library)
                    yield Path(library)


def _archive(files: Iterable[Path], links: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in ("tmp", "etc", "usr/local/bin"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(folder)
        for path in files:
            archive.add(os.path.realpath(path), arcname=str(path).lstrip("/"), recursive=False)
        for name, to in links.items():
            if name not in {str(path) for path in files}:
                link = tarfile.TarInfo(name.lstrip("/"))
                link.type, link.linkname = tarfile.SYMTYPE, to
                archive.addfile(link)
    return target.getvalue()
