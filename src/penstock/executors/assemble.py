"""Puts a serving image together: the layers of its base, one with the environment, one with the model.

Nothing of the machine or of the day gets into what is added: files are sorted and root's, their times are one
given moment, also within compiled Python. So equal parts make equal layers, whichever engine made them.

It is standard library only, for under Dagger it runs within the engine (`carried`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

_BLOCK_BYTES = 1 << 20
_LEVEL = 5  # nearly as small as 9, in a third of the time
_PYC_HEADER_BYTES = 16
_MTIME = slice(8, 12)
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Member(NamedTuple):
    """A file, directory or link of a layer; only a file has content."""

    path: str
    mode: int
    link: str = ""
    size: int = 0
    content: Callable[[], IO[bytes]] | None = None


class AssembleError(Exception):
    """The base or another part is of no kind that an image can be made of; the message is one line."""


def main(arguments: list[str]) -> int:
    """`REQUEST FACTS`: put together as a JSON file says; 0, or 1 with one line on standard error."""
    request = json.loads(Path(arguments[0]).read_bytes())
    try:
        facts = assemble(**{**request, **{key: Path(request[key]) for key in ("base", "target")}})
    except AssembleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    Path(arguments[1]).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return 0


def assemble(
    *,
    base: Path,
    parts: list[dict[str, str]],
    config: Mapping[str, Any],
    epoch: int,
    repository: str,
    target: Path,
) -> dict[str, Any]:
    """Write an image as an archive that `docker load` takes and that is an OCI layout as well.

    Args:
        base: Archive of the base image, in either form.
        parts: Of each layer: `source` (a directory, or a tar archive), `strip` (what paths in an archive
            begin with), `at` (where it goes), `comment` (for the history).
        config: What the image is configured as, over what its base says; `Env` is added to the base's.
        epoch: Seconds since 1970: the time of all that is added.
        repository: What `docker load` calls it, with a part of its digest as the tag.
        target: The archive to write.

    Returns:
        `name`, `config` and `manifest` (digests), `size_bytes` (of the archive), `layers` (of each: digest,
        diff_id, size_bytes).

    Raises:
        AssembleError: The base is no such archive, or damaged.
    """
    folder = target.with_suffix(".parts")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(base) as archive, ExitStack() as files:
        based, layers = _base(archive, folder)
        for number, part in enumerate(parts):
            members = _members(part, files)
            layers.append(_layer(folder / f"added-{number}", partial(_pack, members, epoch=epoch)))
    document = _configured(based, config, epoch, [part["comment"] for part in parts], layers)
    content = _json(document)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _about(_CONFIG, content),
            "layers": [
                {"mediaType": _LAYER, "digest": each["digest"], "size": each["size_bytes"]} for each in layers
            ],
        }
    )
    name = f"{repository}:{_digest(content)[7:19]}"
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as written:
        for path, data in _documents(content, manifest, layers, name).items():
            _add(written, path, io.BytesIO(data), len(data), epoch)
        for layer in {each["digest"]: each for each in layers}.values():
            with Path(layer["file"]).open("rb") as file:
                _add(written, _blob(layer), file, layer["size_bytes"], epoch)
    for layer in layers:
        Path(layer.pop("file")).unlink()
    folder.rmdir()
    return {
        "name": name,
        "config": _digest(content),
        "manifest": _digest(manifest),
        "size_bytes": target.stat().st_size,
        "layers": layers,
    }


def _base(archive: tarfile.TarFile, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The base's configuration and its layers, each checked against what the configuration says."""
    try:
        config, paths = _described(archive)
        wanted = config["rootfs"]["diff_ids"]
        found = [
            _layer(folder / f"base-{number}", _unpacked(archive, path)) for number, path in enumerate(paths)
        ]
    except (KeyError, ValueError, TypeError, tarfile.TarError) as error:
        raise AssembleError(f"the base is no archive of an image: {error!r}") from None
    if [each["diff_id"] for each in found] != wanted:
        raise AssembleError("the base's layers are not those that its configuration names")
    return config, found


def _described(archive: tarfile.TarFile) -> tuple[dict[str, Any], list[str]]:
    if "manifest.json" in archive.getnames():
        (image,) = _load(archive, "manifest.json")
        return _load(archive, image["Config"]), image["Layers"]
    (entry,) = _load(archive, "index.json")["manifests"]
    manifest = _load(archive, _blob(entry))
    if "manifests" in manifest:
        (entry,) = manifest["manifests"]
        manifest = _load(archive, _blob(entry))
    return _load(archive, _blob(manifest["config"])), [_blob(each) for each in manifest["layers"]]


def _blob(entry: Mapping[str, str]) -> str:
    return f"blobs/{entry['digest'].replace(':', '/')}"


def _load(archive: tarfile.TarFile, path: str) -> Any:
    file = archive.extractfile(path)
    if file is None:
        raise ValueError(path)
    return json.load(file)


def _unpacked(archive: tarfile.TarFile, path: str) -> Callable[[IO[bytes]], None]:
    """Copies a layer of the base, without its compression."""

    def copy(to: IO[bytes]) -> None:
        file = archive.extractfile(path)
        if file is None:
            raise ValueError(path)
        head = file.read(4)
        file.seek(0)
        if head == _ZSTD:
            raise AssembleError("the base's layers are compressed with zstd; name another base")
        source = gzip.GzipFile(fileobj=file) if head.startswith(_GZIP) else file
        while block := source.read(_BLOCK_BYTES):
            to.write(block)

    return copy


class _Hashed(io.RawIOBase):
    """Hashes what is written, and passes it on."""

    def __init__(self, to: IO[bytes]) -> None:
        self.to, self.hash, self.size = to, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += len(data)
        self.to.write(data)
        return len(data)

    def digest(self) -> str:
        return f"sha256:{self.hash.hexdigest()}"


def _layer(place: Path, write: Callable[[IO[bytes]], None]) -> dict[str, Any]:
    """A compressed layer: its file, digests of what it is with and without compression, and its size."""
    with place.open("wb") as file:
        packed = _Hashed(file)
        with gzip.GzipFile("", "wb", _LEVEL, packed, mtime=0) as compressed:  # type: ignore[arg-type] # it writes
            plain = _Hashed(compressed)  # type: ignore[arg-type] # it writes
            write(plain)  # type: ignore[arg-type] # it writes
    return {
        "file": str(place),
        "digest": packed.digest(),
        "diff_id": plain.digest(),
        "size_bytes": packed.size,
    }


def _members(part: Mapping[str, str], files: ExitStack) -> list[Member]:
    """What goes into a layer, sorted, the directories above it included."""
    source, at = Path(part["source"]), part["at"].strip("/")
    if source.is_dir():
        found = list(_of_directory(source))
    else:
        archive = files.enter_context(tarfile.open(source))  # noqa: SIM115 - the stack closes it
        found = list(_of_archive(archive, part.get("strip", "")))
    above = at.split("/")
    parents = [Member("/".join(above[: depth + 1]), stat.S_IFDIR) for depth in range(len(above))]
    placed = (each._replace(path=f"{at}/{each.path}") for each in found)
    return parents + sorted(placed, key=lambda each: each.path)


def _of_directory(top: Path) -> Iterator[Member]:
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            place = Path(folder, name)
            path, about = place.relative_to(top).as_posix(), place.lstat()
            if stat.S_ISLNK(about.st_mode):
                yield Member(path, about.st_mode, link=str(place.readlink()))
            elif stat.S_ISDIR(about.st_mode):
                yield Member(path, about.st_mode)
            elif stat.S_ISREG(about.st_mode):
                yield Member(
                    path, about.st_mode, size=about.st_size, content=lambda place=place: place.open("rb")
                )


def _of_archive(archive: tarfile.TarFile, strip: str) -> Iterator[Member]:
    for member in archive:
        path = member.name.removeprefix(strip).strip("/")
        if not path:
            continue
        if member.issym():
            yield Member(path, stat.S_IFLNK, link=member.linkname)
        elif member.isdir():
            yield Member(path, stat.S_IFDIR)
        elif member.isreg() or member.islnk():  # another name of a file becomes a file
            named = archive.getmember(member.linkname) if member.islnk() else member
            mode = stat.S_IFREG | named.mode
            yield Member(path, mode, size=named.size, content=partial(_opened, archive, named))


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise AssembleError(f"{member.name}: no file")
    return file


def _pack(members: list[Member], to: IO[bytes], epoch: int) -> None:
    with tarfile.open(fileobj=to, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.mtime = epoch
            info.mode = 0o755 if member.mode & 0o100 or stat.S_ISDIR(member.mode) else 0o644
            if stat.S_ISLNK(member.mode):
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, member.link, 0o777
                archive.addfile(info)
            elif member.content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                with member.content() as file:
                    content = _timeless(member.path, file, epoch)
                    info.size = member.size if content is file else content.seek(0, os.SEEK_END)
                    content.seek(0)
                    archive.addfile(info, content)


def _timeless(path: str, file: IO[bytes], epoch: int) -> IO[bytes]:
    """A file without the day on which it was installed, or by which version of uv."""
    if path.endswith("/pyvenv.cfg"):
        return io.BytesIO(b"".join(line for line in file if not line.startswith(b"uv =")))
    if path.endswith(".pyc"):
        data = file.read()
        if len(data) >= _PYC_HEADER_BYTES and not any(data[4:8]):
            # flags of 0: it says the time of its source, which is now another one
            data = data[: _MTIME.start] + (epoch & 0xFFFFFFFF).to_bytes(4, "little") + data[_MTIME.stop :]
        return io.BytesIO(data)
    return file


def _configured(
    base: Mapping[str, Any],
    config: Mapping[str, Any],
    epoch: int,
    comments: list[str],
    layers: list[dict[str, Any]],
) -> dict[str, Any]:
    """The image's configuration: the base's platform and variables, and what is asked for."""
    known = {line.partition("=")[0]: line for line in base.get("config", {}).get("Env") or ()}
    known |= {line.partition("=")[0]: line for line in config["Env"]}
    created = _moment(epoch)
    added = [{"created": created, "created_by": "penstock", "comment": comment} for comment in comments]
    platform = {key: base[key] for key in ("architecture", "os", "variant", "os.version") if base.get(key)}
    history = base.get("history") or []
    if sum(not each.get("empty_layer") for each in history) != len(layers) - len(comments):
        history = []  # it is about other layers; one that is wrong is refused
        added = []
    return {
        **platform,
        "created": created,
        "config": {**config, "Env": sorted(known.values())},
        "rootfs": {"type": "layers", "diff_ids": [each["diff_id"] for each in layers]},
        "history": [*history, *added],
    }


def _moment(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _documents(config: bytes, manifest: bytes, layers: list[dict[str, Any]], name: str) -> dict[str, bytes]:
    """All of an archive but its layers: what `docker load` reads, and what OCI demands."""
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [
            {**_about(_MANIFEST, manifest), "annotations": {"org.opencontainers.image.ref.name": name}}
        ],
    }
    paths = [_blob(each) for each in layers]
    docker = [{"Config": _blob({"digest": _digest(config)}), "RepoTags": [name], "Layers": paths}]
    return {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index),
        "manifest.json": _json(docker),
        _blob({"digest": _digest(config)}): config,
        _blob({"digest": _digest(manifest)}): manifest,
    }


def _add(archive: tarfile.TarFile, path: str, file: IO[bytes], size: int, epoch: int) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size, epoch, 0o644
    archive.addfile(info, file)


def _about(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
