"""A table out of what Penstock published or reported, provided that it is still what was judged.

The layouts are those of `publish: archive` (a tar, or the folder it was unpacked to: `manifest.json`,
`run.json` and the outputs), and a folder that holds a run's `run.json` and its outputs.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..common import digests

MANIFEST, RUN = "manifest.json", "run.json"
_NAMED = 10


class BaselineError(Exception):
    """A baseline cannot be compared with; the message is one line for a user."""


def table(path: Path, member: str, scratch: Path) -> Path:
    """The output `member` of an archive or a folder, as a file.

    Args:
        member: As the pipeline calls it, `build/predictions.csv`; it may lie in an output directory.
        scratch: An empty folder, for what is taken out of an archive.

    Raises:
        BaselineError: It is not there, or its digest is not the one on record.
    """
    folder = path if path.is_dir() else _unpacked(path, member, scratch)
    parts = _parts(folder, path)
    part = _holder(member, parts)
    if part is None:
        known = ", ".join(sorted(parts)[:_NAMED]) or "none"
        raise BaselineError(f"{path} holds no output {member!r}; its outputs are: {known}")
    found = folder / member
    if not found.is_file() or found.resolve() != folder.resolve() / member:  # a link may lead anywhere
        raise BaselineError(f"{path}: {member} is on record, but there is no such file")
    made = digests.of_path(folder / part).digest
    if made != parts[part]:
        raise BaselineError(
            f"{path}: {part} is {made[:19]}…, but {parts[part][:19]}… was judged: it was changed or damaged"
        )
    return found


def _unpacked(path: Path, member: str, scratch: Path) -> Path:
    """Take the records and `member`'s output out of an archive."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = {each.name.partition("/")[2]: each for each in archive.getmembers()}
            for name in (MANIFEST, RUN):
                if name not in members:
                    raise BaselineError(f"{path} holds no {name}: it is no archive of Penstock")
                _write(archive, members[name], scratch / name)
            part = _holder(member, _parts(scratch, path))
            inside = [name for name in members if part and (name == part or name.startswith(f"{part}/"))]
            # links last, so that nothing is written through one
            for name in sorted(inside, key=lambda name: members[name].issym()):
                if ".." in PurePosixPath(name).parts:
                    raise BaselineError(f"{path} holds {name!r}, which leads out of it")
                _write(archive, members[name], scratch / name)
    except (KeyError, OSError, tarfile.TarError) as error:
        raise BaselineError(f"{path} cannot be read as an archive: {error}") from None
    return scratch


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        destination.mkdir(exist_ok=True)
    elif member.issym():
        destination.symlink_to(member.linkname)
    elif file := archive.extractfile(member):
        with file, destination.open("xb") as copy:
            shutil.copyfileobj(file, copy)
        destination.chmod(0o755 if member.mode & 0o100 else 0o644)


def _holder(member: str, parts: Mapping[str, str]) -> str | None:
    if ".." in PurePosixPath(member).parts:
        return None
    return next((part for part in parts if member == part or member.startswith(f"{part}/")), None)


def _parts(folder: Path, path: Path) -> Mapping[str, str]:
    """The outputs on record: path → digest."""
    run = _document(folder / RUN, path)
    if not (folder / MANIFEST).exists():
        stages = run.get("stages")
        outputs = [stage.get("outputs") for stage in stages] if isinstance(stages, list) else []
        return {each: digest for output in outputs for each, digest in _digests(output, path).items()}
    manifest = _document(folder / MANIFEST, path)
    if manifest.get("run") != f"sha256:{hashlib.sha256((folder / RUN).read_bytes()).hexdigest()}":
        raise BaselineError(f"{path}: {RUN} is not the one that {MANIFEST} names: it was changed or damaged")
    return _digests(manifest.get("parts"), path)


def _digests(parts: Any, path: Path) -> dict[str, str]:
    try:
        return {str(part["path"]): str(part["digest"]) for part in parts}
    except (KeyError, TypeError):
        raise BaselineError(f"{path} does not say which outputs it holds") from None


def _document(file: Path, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except OSError:
        raise BaselineError(
            f"{path} holds no {file.name}: name an archive or a run's folder of Penstock"
        ) from None
    except (ValueError, RecursionError):
        raise BaselineError(f"{path}: {file.name} is no JSON") from None
    if not isinstance(document, dict):
        raise BaselineError(f"{path}: {file.name} holds no JSON object")
    return document
