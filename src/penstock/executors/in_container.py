"""Runs a stage's command inside its container, and writes down what became of it.

It is carried into containers of any image, together with the few modules that it needs (`carried`), so it is
standard library only and knows neither the plan nor an engine. It puts the inputs where the stage expects
them, runs the command with its output passed on, ends everything that the command started, and looks at
inputs and outputs. What it finds is a JSON file; it ends with 0 whatever the stage did, for an engine keeps
no result of a command that fails.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock import digest
from penstock.cache.members import demand_file, place_of, refusing, show, walk
from penstock.digest import EXECUTABLE, FILE, LINK, Entry
from penstock.errors import EXIT_TIMEOUT, InputError
from penstock.executors.log import Log
from penstock.executors.stage_init import adopt_orphans, sweep
from penstock.redact import Redactor

TIMEOUT = "PENSTOCK_TIMEOUT_S"
"""The variable that says how long the command may take; a variable because it must not enter a key."""
RUN = "PENSTOCK_RUN"
"""The variable that names the run, so that a result can be told from one of an earlier run."""
TRY = "PENSTOCK_TRY"
"""The variable that changes when a command must run again although nothing that it sees has changed."""
_OWN = frozenset({TIMEOUT, RUN, TRY})
ATTEMPT = "attempt.json"

_CHUNK_BYTES = 1 << 16
_TICK_S = 0.2
_MOST_WRITTEN = 100

Seen = dict[str, tuple[int, int, int, int]]


def main(arguments: list[str]) -> int:
    """`run SPEC RESULT COMMAND...`, or `part ARCHIVE PATH TARGET`; 0 unless this program itself failed."""
    action, *rest = arguments
    if action == "part":
        part(*rest)
        return 0
    spec, result = json.loads(Path(rest[0]).read_bytes()), Path(rest[1])
    result.mkdir(parents=True, exist_ok=True)
    adopt_orphans()
    (result / ATTEMPT).write_bytes(digest.canonical_json(Container(spec, rest[2:], result).run()))
    return 0


def part(archive: str, path: str, target: str) -> None:
    """Archive a directory that lies in another one's archive."""
    with tarfile.open(archive) as whole, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as chosen:
        for member in whole:
            if member.name.startswith(f"{path}/"):
                content = whole.extractfile(member) if member.isreg() else None
                member.name = member.name[len(path) + 1 :]
                chosen.addfile(member, content)


class Container:
    """One attempt.

    Args:
        spec: `work`, `variables`, `path` (directories searched first), `archives` (path of an input directory
            to its archive), `files` (path to text), `outputs`, `secrets` (names of variables); `inputs` if
            not all that was there must stay as it was (paths).
        command: The stage's.
        result: Where archives of outputs are put.
    """

    def __init__(self, spec: Mapping[str, Any], command: Sequence[str], result: Path) -> None:
        self.spec = spec
        self.argv = list(command)
        self.work = Path(spec["work"])
        self.result = result
        values = {name: os.environb.get(os.fsencode(name), b"") for name in spec["secrets"]}
        self.redactor = Redactor({name: value for name, value in values.items() if value})

    def run(self) -> dict[str, Any]:
        """What became of it, as JSON values."""
        self.prepare()
        before = self.seen()
        made_at, began = time.time(), time.monotonic()
        log = Log(self.redactor, self.say)
        exit_code, timed_out = self.command(log)
        wall_s, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        after = self.seen()
        record: dict[str, Any] = {
            "run": os.environ.get(RUN),
            "made_at": made_at,
            "wall_s": wall_s,
            "cpu_s": used.ru_utime + used.ru_stime,
            "peak_memory_bytes": used.ru_maxrss * 1024,
            "exit_code": exit_code,
            "timed_out": timed_out,
            "log": log.close(),
            # inputs that are not as they were
            "changed": sorted(
                path for path, about in before.items() if after.get(path) != about and self.counts(path)
            ),
            "missing": [path for path in self.spec["outputs"] if not os.path.lexists(self.work / path)],
            "outputs": [],
            "problem": None,
        }
        if exit_code or record["changed"]:
            return record
        if record["missing"]:
            return record | {"written": self.written(after.keys() - before.keys())}
        try:
            record["outputs"] = [self.output(at, path) for at, path in enumerate(self.spec["outputs"])]
        except InputError as error:
            record["problem"] = str(error)
        return record

    def prepare(self) -> None:
        """Put inputs that come as archives, and files, where the stage expects them."""
        self.work.mkdir(parents=True, exist_ok=True)
        for path, at in self.spec["archives"].items():
            target = self.work / path
            target.mkdir(parents=True, exist_ok=True)
            with tarfile.open(at) as archive:
                # made by `output`, of what it had looked at; Python before 3.11.4 knows no filters
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                archive.extractall(target)  # noqa: S202 - as above
        for path in self.spec["outputs"]:
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
        for path, text in self.spec["files"].items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode("utf-8", "surrogateescape"))

    def command(self, log: Log) -> tuple[int, bool]:
        """Exit code, and whether the time was up."""
        limit = os.environ.get(TIMEOUT)
        deadline = time.monotonic() + float(limit) if limit else None
        process = subprocess.Popen(  # noqa: S603 - the stage's own command
            self.argv,
            cwd=self.work,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            process_group=0,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        pipe = process.stdout.fileno()
        while process.poll() is None:
            left = _TICK_S if deadline is None else min(_TICK_S, deadline - time.monotonic())
            if left <= 0:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                sweep()
                self.drain(pipe, log)
                return EXIT_TIMEOUT, True
            if select.select([pipe], [], [], left)[0]:
                data = os.read(pipe, _CHUNK_BYTES)
                if data:
                    log.feed(data)
                else:  # closed by the command, which still runs
                    time.sleep(min(left, _TICK_S / 10))
        sweep()
        self.drain(pipe, log)
        code = process.returncode
        return (128 - code if code < 0 else code), False

    @staticmethod
    def drain(pipe: int, log: Log) -> None:
        """Take what is left in the pipe; nobody is there any more who could write."""
        while select.select([pipe], [], [], 0)[0] and (data := os.read(pipe, _CHUNK_BYTES)):
            log.feed(data)

    def variables(self) -> dict[str, str]:
        """The image's own variables, then those that a stage has everywhere, then its own."""
        secrets = {name: os.environ[name] for name in self.spec["secrets"]}
        known = {name: value for name, value in os.environ.items() if name not in _OWN}
        path = ":".join((*self.spec["path"], known.get("PATH", os.defpath)))
        return {**known, "PATH": path, **self.spec["variables"], **secrets}

    @staticmethod
    def say(text: str) -> None:
        """Pass on what the command prints."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def seen(self) -> Seen:
        """What `stat` says of every input; directories that an output is expected in are left out."""
        expected = {parent for path in self.spec["outputs"] for parent in Path(path).parents}
        found: Seen = {}
        for folder, folders, files in os.walk(self.work):
            for name in (*folders, *files):
                place = Path(folder, name)
                path = place.relative_to(self.work)
                about = place.lstat()
                if path not in expected and str(path) not in self.spec["files"]:
                    found[str(path)] = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
        return found

    def counts(self, path: str) -> bool:
        """Whether something that was there must stay as it was: all, unless it is said what (`inputs`)."""
        inputs = self.spec.get("inputs")
        return inputs is None or any(path == each or path.startswith(f"{each}/") for each in inputs)

    def written(self, new: Iterable[str]) -> list[str]:
        """Of what was not there before, the files."""
        return sorted(path for path in new if not (self.work / path).is_dir())[:_MOST_WRITTEN]

    def output(self, at: int, path: str) -> dict[str, Any]:
        """An output: what it is, by digest; a directory is also put into an archive."""
        place = place_of(path, self.work)
        if place.is_dir() and not place.is_symlink():
            return self.directory(at, path, place)
        demand_file(place.lstat().st_mode, place, path)
        self.inspect(place, path, None)
        about = place.stat()
        kind = "executable" if about.st_mode & 0o100 else "file"
        return {
            "path": path,
            "kind": kind,
            "digest": digest.of_file(place),
            "size_bytes": about.st_size,
            "files": 1,
        }

    def directory(self, at: int, path: str, place: Path) -> dict[str, Any]:
        """As `output`, for a directory."""
        members = sorted(walk(os.fsencode(place), path), key=lambda entry: entry.path)
        self.inspect(place, path, members)
        entries = [_digested(os.fsencode(place), entry) for entry in members]
        manifest = digest.encode_manifest(entries)
        _pack(place, entries, self.result / f"{at}.tar")
        return {
            "path": path,
            "kind": "directory",
            "digest": digest.of_bytes(manifest),
            "size_bytes": sum(entry.size for entry in entries),
            "files": sum(entry.kind in (FILE, EXECUTABLE) for entry in entries),
            "manifest": manifest.decode("latin-1"),
            "archive": f"{at}.tar",
        }

    def inspect(self, place: Path, path: str, members: list[Entry] | None) -> None:
        """Refuse an output that holds a secret."""
        if self.redactor:
            show(refusing(self.redactor), place, path, members)


def _digested(top: bytes, entry: Entry) -> Entry:
    if entry.kind not in (FILE, EXECUTABLE):
        return entry
    place = top + b"/" + entry.path
    value = digest.of_file(place).removeprefix(digest.PREFIX).encode()
    return entry._replace(size=os.stat(place).st_size, value=value)  # noqa: PTH116 - the path is bytes


def _pack(place: Path, entries: Iterable[Entry], target: Path) -> None:
    """Archive a directory: the same content gives the same bytes."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for entry in entries:
            info = tarfile.TarInfo(os.fsdecode(entry.path))
            info.mtime = 0
            info.mode = 0o755 if entry.kind in (EXECUTABLE, digest.DIRECTORY) else 0o644
            if entry.kind == LINK:
                info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(entry.value)
                archive.addfile(info)
            elif entry.kind == digest.DIRECTORY:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = entry.size
                with (place / info.name).open("rb") as file:
                    archive.addfile(info, file)
