"""`publish: archive`: the outputs that were judged, the run that judged them and their digests, in a tar.

The same inputs give the same bytes, on any machine: entries are sorted, owned by nobody and dated 1980, the
run is stored without what differs from one run to the next (times, the run's id, the commit, numbers that
were measured by the clock), and nothing is compressed, because zlib's output differs between its versions.
The archive's name holds the digest of its manifest, so an archive is never replaced by another one.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from penstock import digest
from penstock.errors import CorruptError, StoreError
from penstock.record import Record
from penstock.results import CLOCKED_GATES, GateResult, Part, PartKind, RunReport, Verdict

if TYPE_CHECKING:
    import tarfile

MANIFEST_VERSION = 1
# 1980-01-01, the oldest date that every archive format can hold
EPOCH = 315_532_800


class Contents(Record):
    """What goes into an archive.

    Attributes:
        parts: Of the tree of outputs, sorted by path.
        manifest: `manifest.json`: what is in the archive, by digest.
        run: `run.json`: plan, keys, inputs and verdicts, without what differs between equal runs.
    """

    name: str
    parts: tuple[Part, ...]
    manifest: bytes
    run: bytes


def contents(report: RunReport, parts: Sequence[Part]) -> Contents:
    """What the archive of a run holds; needs no file to be read."""
    run = stable_text(report)
    ordered = tuple(sorted(parts, key=lambda part: part.path))
    manifest = _readable(
        {
            "version": MANIFEST_VERSION,
            "pipeline": report.pipeline,
            "plan": report.plan,
            "run": digest.of_bytes(run),
            "parts": [
                {
                    "path": part.path,
                    "kind": part.kind.value,
                    "digest": part.digest,
                    "size_bytes": part.size_bytes,
                    "files": part.files,
                }
                for part in ordered
            ],
        }
    )
    short = digest.of_bytes(manifest).removeprefix(digest.PREFIX)[:12]
    return Contents(name=f"{report.pipeline}-{short}.tar", parts=ordered, manifest=manifest, run=run)


def stable_text(report: RunReport) -> bytes:
    """A run without what differs between two runs of the same inputs, as a document: its digest names it."""
    return _readable(stable_run(report))


def stable_run(report: RunReport) -> dict[str, object]:
    """A run without what differs between two runs of the same inputs."""
    return {
        "version": report.version,
        "pipeline": report.pipeline,
        "plan": report.plan,
        "profile": report.profile,
        "params": report.params,
        "stages": [
            {
                "name": stage.name,
                "run": stage.run,
                "key": stage.key,
                "inputs": {part.path: part.digest for part in stage.inputs},
                "outputs": {
                    part.path: part.digest for part in stage.outputs if part.path not in report.clocked
                },
            }
            for stage in report.stages
        ],
        "gates": [
            _stable_gate(gate, report.clocked) for gate in report.gates if gate.verdict is not Verdict.SKIP
        ],
    }


def _stable_gate(gate: GateResult, clocked: frozenset[str]) -> dict[str, object]:
    by_the_clock = gate.gate in CLOCKED_GATES
    return {
        "name": gate.name,
        "gate": gate.gate,
        "required": gate.required,
        "verdict": gate.verdict.value,
        "sentence": None if by_the_clock else gate.sentence,
        "value": None if by_the_clock else gate.value,
        "minimum": gate.minimum,
        "maximum": gate.maximum,
        "interval": None if by_the_clock else gate.interval,
        "confidence": gate.confidence,
        "method": gate.method,
        "sample_size": gate.sample_size,
        "evidence": {each.path: each.digest for each in gate.evidence if each.path not in clocked},
    }


def write(contents: Contents, staging: Path, destination: Path) -> str:
    """Write an archive, whole or not at all; gives its digest.

    Args:
        staging: Holds the parts at their paths. Every file is hashed again on its way into the archive.
        destination: The file to write; an older one of this name is replaced.

    Raises:
        CorruptError: A file in `staging` is not what its part's digest says.
        StoreError: The archive cannot be written.
    """
    import tarfile

    partial = destination.with_name(f".{destination.name}.{os.getpid()}.partial")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
                _fill(archive, contents, staging, destination.name.removesuffix(".tar"))
            file.flush()
            os.fsync(file.fileno())
        made = digest.of_file(partial)
        partial.replace(destination)
        _sync_directory(destination.parent)
    except OSError as error:
        raise StoreError(
            f"the archive cannot be written: {error.strerror or error}",
            where=str(destination),
            notes=("free room or choose another directory with publish.archive.path",),
        ) from error
    finally:
        with suppress(OSError):  # its directory may be what could not be made
            partial.unlink()
    return made


def _fill(archive: tarfile.TarFile, contents: Contents, staging: Path, top: str) -> None:
    for name, data in (("manifest.json", contents.manifest), ("run.json", contents.run)):
        _add(archive, f"{top}/{name}", len(data), io.BytesIO(data), executable=False)
    for part in contents.parts:
        if part.kind is PartKind.DIRECTORY:
            _add_directory(archive, staging, part, top)
        else:
            executable = part.kind is PartKind.EXECUTABLE
            made = _add_file(archive, staging / part.path, f"{top}/{part.path}", executable=executable)
            _demand(made, part)


def _add_directory(archive: tarfile.TarFile, staging: Path, part: Part, top: str) -> None:
    entries = []
    for relative, path in _walk(os.fsencode(staging / part.path)):
        name = f"{top}/{part.path}/{os.fsdecode(relative)}"
        if os.path.islink(path):  # noqa: PTH114 - bytes
            target = os.readlink(path)  # noqa: PTH115 - bytes
            entries.append(digest.Entry(digest.LINK, 0, relative, target))
            _add_member(archive, name, b"2", linkname=os.fsdecode(target))
        elif os.path.isdir(path):  # noqa: PTH112 - bytes
            entries.append(digest.Entry(digest.DIRECTORY, 0, relative, b""))
            _add_member(archive, name, b"5", mode=0o755)
        else:
            status = os.stat(path)  # noqa: PTH116 - bytes
            executable = bool(status.st_mode & 0o100)
            made = _add_file(archive, path, name, executable=executable)
            kind = digest.EXECUTABLE if executable else digest.FILE
            value = made.removeprefix(digest.PREFIX).encode()
            entries.append(digest.Entry(kind, status.st_size, relative, value))
    _demand(digest.of_bytes(digest.encode_manifest(entries)), part)


def _walk(top: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Files, links and empty directories below a directory as (relative path, path), sorted by path."""
    found = []
    for folder, folders, files in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118 - bytes
        names = files + links
        if not names and not folders and folder != top:
            found.append(folder)
        found.extend(os.path.join(folder, name) for name in names)  # noqa: PTH118 - bytes
    return iter(sorted((path[len(top) + 1 :], path) for path in found))


def _add_file(archive: tarfile.TarFile, path: Path | bytes, name: str, *, executable: bool) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - bytes
        reader = _Hashing(file)
        _add(archive, name, os.fstat(file.fileno()).st_size, reader, executable=executable)
        return reader.digest


def _add(
    archive: tarfile.TarFile, name: str, size: int, file: IO[bytes] | _Hashing, *, executable: bool
) -> None:
    _add_member(archive, name, b"0", mode=0o755 if executable else 0o644, size=size, file=file)


def _add_member(
    archive: tarfile.TarFile,
    name: str,
    kind: bytes,
    *,
    mode: int = 0o777,
    size: int = 0,
    linkname: str = "",
    file: IO[bytes] | _Hashing | None = None,
) -> None:
    import tarfile

    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname, member.mtime = kind, mode, size, linkname, EPOCH
    archive.addfile(member, file)


class _Hashing:
    """A file that remembers the digest of what was read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        import hashlib

        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data

    @property
    def digest(self) -> str:
        return digest.PREFIX + self._hash.hexdigest()


def _demand(made: str, part: Part) -> None:
    if made != part.digest:
        raise CorruptError(
            f"holds {made[:19]}…, but {part.digest[:19]}… was judged",
            where=part.path,
            notes=("nothing was published; run again",),
        )


def _readable(document: object) -> bytes:
    text = json.dumps(document, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
