"""Puts a serving image together: the layers of its base, one with the environment, one with the model.

Equal parts make equal layers and an equal configuration, whichever engine made them.

It is standard library only, for under Dagger it runs within the engine (`carried`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from penstock.executors.image_layers import AssembleError, Sink, added, layer

_BLOCK_BYTES = 1 << 20
PREPARED = "prepared.json"
_PATHS = ("base", "environment", "prepared", "package", "target")
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def main(arguments: list[str]) -> int:
    """`prepare|finish REQUEST`: do so, as a JSON file says; 0, or 1 with one line on standard error."""
    action, request = arguments
    asked = json.loads(Path(request).read_bytes())
    paths = {key: Path(asked[key]) for key in _PATHS if key in asked}
    try:
        if action == "prepare":
            prepare(**{**asked, **paths})
        else:
            facts = asked.pop("facts")
            Path(facts).write_text(json.dumps(finish(**{**asked, **paths})), encoding="utf-8")
    except AssembleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def prepare(*, base: Path, environment: Path, at: str, epoch: int, prepared: Path) -> None:
    """Make the layers that many models share: those of the base, and one with the environment.

    Args:
        base: Archive of the base image, as `docker save` writes it or an OCI layout.
        environment: The environment's directory, or an archive of it whose names begin with the directory's.
        at: Where it goes in the image.
        epoch: Seconds since 1970: the time of all that is added.
        prepared: A directory for the layers and what is known of them.

    Raises:
        AssembleError: The base is no such archive, or damaged.
    """
    prepared.mkdir(parents=True, exist_ok=True)
    with tarfile.open(base) as archive:
        config, layers = _base(archive, prepared)
    layers.append(added(environment, at, epoch, prepared / "environment", as_environment=True))
    (prepared / PREPARED).write_bytes(_json({"config": config, "layers": layers}))


def finish(
    *,
    prepared: Path,
    package: Path,
    at: str,
    config: Mapping[str, Any],
    epoch: int,
    repository: str,
    target: Path,
) -> dict[str, Any]:
    """Write an image as an archive that `docker load` takes and that is an OCI layout as well.

    Args:
        prepared: As `prepare` has left it.
        package: Directory with the model.
        at: Where it goes in the image.
        config: What the image is configured as, over what its base says; `Env` is added to the base's.
        epoch: As for `prepare`.
        repository: What `docker load` calls it, with a part of its digest as the tag.
        target: The archive to write.

    Returns:
        `name`, `config` and `manifest` (digests), `size_bytes` (of the archive), `layers` (of each: digest,
        diff_id, size_bytes).

    Raises:
        AssembleError: A prepared layer is damaged.
    """
    known = json.loads((prepared / PREPARED).read_bytes())
    scratch = target.with_suffix(".layer")
    layers = [{**each, "file": str(prepared / each["file"])} for each in known["layers"]]
    layers.append({**added(package, at, epoch, scratch), "file": str(scratch)})
    content = _json(_configured(known["config"], config, epoch, ["the environment", "the model"], layers))
    manifest = _manifest(content, layers)
    name = f"{repository}:{_digest(content)[7:19]}"
    _write(target, _documents(content, manifest, layers, name), layers, epoch)
    scratch.unlink()
    for each in layers:
        del each["file"]
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
            layer(folder / f"base-{number}", _unpacked(archive, path)) for number, path in enumerate(paths)
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


def _unpacked(archive: tarfile.TarFile, path: str) -> Callable[[Sink], None]:
    """Copies a layer of the base, without its compression."""

    def copy(to: Sink) -> None:
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


def _manifest(config: bytes, layers: list[dict[str, Any]]) -> bytes:
    listed = [{"mediaType": _LAYER, "digest": each["digest"], "size": each["size_bytes"]} for each in layers]
    about = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _about(_CONFIG, config), "layers": listed}
    return _json(about)


def _write(target: Path, documents: Mapping[str, bytes], layers: list[dict[str, Any]], epoch: int) -> None:
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for path, data in documents.items():
            _add(archive, path, io.BytesIO(data), len(data), epoch)
        for each in {each["digest"]: each for each in layers}.values():
            with Path(each["file"]).open("rb") as file:
                if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != each["digest"]:
                    raise AssembleError(f"{each['file']}: a layer is damaged")
                file.seek(0)
                _add(archive, _blob(each), file, each["size_bytes"], epoch)


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
