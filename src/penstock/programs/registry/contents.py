"""What of a run goes to MLflow, and where each file of it lies there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..common import digests
from ..common.program import RefusedError, UnusableError
from . import names

LIST = "penstock/contents.json"
"""What belongs to the run; it is sent last, so a run that has it has everything."""
RUN_FILES = Path(".penstock-recipe/run")
RECORDS, EVIDENCE, MODEL, OUTPUTS = "penstock", "evidence", "model", "outputs"
"""Folders of a run's artifacts."""


@dataclass(frozen=True, slots=True)
class Part:
    """An output that was judged.

    Attributes:
        path: In the workspace.
        at: Below the run's artifacts.
        digest: As the run has it.
    """

    path: str
    at: str
    role: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class File:
    """A file below the run's artifacts.

    Attributes:
        at: Its path there.
        digest: SHA-256 of its bytes, with `sha256:` before it.
    """

    at: str
    digest: str
    size_bytes: int
    executable: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything of a run that goes to MLflow.

    Attributes:
        run: Digest of the run.
        records: Folder of the run's report.
        empty: Directories without a file, which count in a directory's digest.
    """

    run: str
    records: str
    parts: tuple[Part, ...]
    files: tuple[File, ...]
    empty: tuple[str, ...]

    @classmethod
    def parse(cls, text: bytes) -> Contents:
        """What a contents.json says.

        Raises:
            RefusedError: It is none, or names a path that leads elsewhere.
        """
        try:
            found = json.loads(text)
            return cls(
                run=str(found["run"]),
                records=names.path(found["records"]),
                parts=tuple(_part(each) for each in found["parts"]),
                files=tuple(_file(each) for each in found["files"]),
                empty=tuple(names.path(each) for each in found["empty"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RefusedError(f"{LIST} of the version is damaged: {error!r}") from None
        except UnusableError as error:
            raise RefusedError(f"{LIST} of the version is not Penstock's: {error}") from None

    def text(self) -> bytes:
        """As JSON, the same for the same contents."""
        document = {
            "version": 1,
            "kind": "contents",
            "run": self.run,
            "records": self.records,
            "parts": [{name: getattr(each, name) for name in Part.__slots__} for each in self.parts],
            "files": [{name: getattr(each, name) for name in File.__slots__} for each in self.files],
            "empty": self.empty,
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    def below(self, folder: str) -> Sequence[File]:
        """The files at a path or below it."""
        return [each for each in self.files if each.at == folder or each.at.startswith(f"{folder}/")]

    @property
    def model(self) -> tuple[Part, ...]:
        """The parts that are the model."""
        return tuple(each for each in self.parts if each.at == MODEL or each.at.startswith(f"{MODEL}/"))

    def recorded_at(self, records: str) -> Contents:
        """The same with the run's report in another folder."""
        files = tuple(replace(each, at=moved(each.at, self.records, records)) for each in self.files)
        return replace(self, records=records, files=files)


def moved(at: str, before: str, after: str) -> str:
    """A path, in the folder `after` if it was in `before`."""
    return after + at.removeprefix(before) if at.startswith(f"{before}/") else at


def _part(found: Mapping[str, Any]) -> Part:
    return Part(names.path(found["path"]), names.path(found["at"]), found["role"], str(found["digest"]))


def _file(found: Mapping[str, Any]) -> File:
    executable = found["executable"] is True
    return File(names.path(found["at"]), str(found["digest"]), int(found["size_bytes"]), executable)


def gather(request: Mapping[str, Any]) -> tuple[Contents, Mapping[str, Path]]:
    """What a run has to send, and where each file lies; everything is hashed again.

    Raises:
        RefusedError: An output is not what was judged.
        UnusableError: A file cannot be kept by MLflow.
    """
    package = request.get("package")
    # a packed model holds the files of the model that it was made of
    asked = [each for each in request["contents"] if not package or each.get("role") != "model"]
    parts = tuple(_judged(each, package) for each in asked)
    sources = {part.at: Path(part.path) for part in parts}
    if not any(part.at.split("/")[0] == MODEL for part in parts):
        raise UnusableError("no model is among what is published: give an output the role `model`")
    sources |= {f"{RECORDS}/{each.name}": each for each in sorted(RUN_FILES.iterdir())}
    if request.get("evidence"):
        sources[EVIDENCE] = Path(request["evidence"])
    files, empty = {}, []
    for at, place in sorted(sources.items()):
        for path, inside in _walk(place):
            name = names.path(f"{at}/{inside}" if inside else at)
            if path.is_dir():
                empty.append(name)
            else:
                files[name] = path
    described = tuple(_described(at, path) for at, path in sorted(files.items()))
    return Contents(request["run"]["digest"], RECORDS, parts, described, tuple(sorted(empty))), files


def _judged(content: Mapping[str, Any], package: str | None) -> Part:
    path, role = names.path(content["path"]), content.get("role")
    made = digests.of_path(Path(path)).digest
    if made != content["digest"]:
        raise RefusedError(
            f"{path} holds {made[:19]}…, but {content['digest'][:19]}… was judged;"
            " nothing was published, run again"
        )
    if path == package:
        return Part(path, MODEL, role, made)
    return Part(path, f"{MODEL if role == 'model' else OUTPUTS}/{path}", role, made)


def _walk(place: Path) -> Iterator[tuple[Path, str]]:
    """Files and empty directories at a place, with their paths below it."""
    if place.is_symlink():
        raise UnusableError(f"{place} is a link, which MLflow cannot keep")
    if not place.is_dir():
        yield place, ""
        return
    for folder, folders, files in os.walk(place):
        here = Path(folder)
        for name in sorted((*folders, *files)):
            if (here / name).is_symlink():
                raise UnusableError(f"{here / name} is a link, which MLflow cannot keep")
        if not folders and not files and here != place:
            yield here, here.relative_to(place).as_posix()
        for name in files:
            yield here / name, (here / name).relative_to(place).as_posix()


def _described(at: str, path: Path) -> File:
    status = path.stat()
    return File(at, of_file(path), status.st_size, bool(status.st_mode & 0o100))


def of_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
