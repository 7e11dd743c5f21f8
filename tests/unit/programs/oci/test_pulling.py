"""Pulling and reading back: all of it and right, or nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import oci_samples
from docker_registry import Registry
from oci_samples import Asked, Workspace
from penstock.programs.common import digests
from penstock.programs.common.program import RefusedError
from penstock.programs.oci import manifests

Document = dict[str, Any]


@pytest.fixture
def pushed(registry: Registry, name: str, ran: Workspace, asked: Asked) -> Document:
    """The request that pushed an artifact, as one that pulls it."""
    request = ran.request(0, repository=f"127.0.0.1:{registry.port}/{name}")
    assert asked(ran, request)[0] == 0
    return request | {"action": "pull", "reference": "latest", "to": "got", "patience_s": 2}


def test_what_was_judged_comes_back(ran: Workspace, asked: Asked, pushed: Document) -> None:
    digest = ran.receipt()["facts"]["manifest"]
    for reference in ("latest", "1.4.0", digest):
        assert (
            asked(ran, pushed | {"reference": reference, "to": f"got/{reference}", "evidence": True})[0] == 0
        )
        for each in ran.contents:
            assert digests.of_path(ran.root / "got" / reference / each["path"]).digest == each["digest"]
        assert ran.receipt()["facts"]["manifest"] == digest
        assert (ran.root / "got" / reference / "penstock/1/run/run.json").exists()


def test_an_empty_directory_is_filled_and_any_other_left_alone(
    ran: Workspace, asked: Asked, pushed: Document
) -> None:
    (ran.root / "got").mkdir()
    assert asked(ran, pushed)[0] == 0
    assert asked(ran, pushed) == (
        2,
        "got: holds something already; name a directory that is empty or not there\n",
    )
    (ran.root / "linked").symlink_to("elsewhere")
    assert asked(ran, pushed | {"to": "linked"})[0] == 2


def test_more_than_is_allowed_is_not_even_fetched(ran: Workspace, asked: Asked, pushed: Document) -> None:
    code, said = asked(ran, pushed | {"limit_bytes": 100_000})
    assert (code, "100,000 are allowed" in said, (ran.root / "got").exists()) == (3, True, False)


@pytest.mark.parametrize("action", ["pull", "verify"])
@pytest.mark.parametrize("reference", ["2.0.0", "sha256:" + "0" * 64, "a/../b", "sha256:0", "latest@x"])
def test_a_reference_to_nothing_is_named(
    ran: Workspace, asked: Asked, pushed: Document, action: str, reference: str
) -> None:
    assert asked(ran, pushed | {"action": action, "reference": reference})[0] == 2
    assert not (ran.root / "got").exists()


@pytest.mark.parametrize("action", ["pull", "verify"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "extend", "swap", "empty", "remove"])
def test_a_blob_that_a_registry_has_damaged_is_refused(
    registry: Registry, ran: Workspace, asked: Asked, *, pushed: Document, action: str, damage: str
) -> None:
    layers = {each["path"]: registry.blob_file(each["digest"]) for each in ran.receipt()["facts"]["layers"]}
    file, other = layers["build/model"], layers["build/metrics.json"]
    whole = file.read_bytes()
    with restored(file, whole):
        match damage:
            case "flip":
                file.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
            case "truncate":
                file.write_bytes(whole[:-1])
            case "extend":
                file.write_bytes(whole + b"\0")
            case "swap":
                file.write_bytes(other.read_bytes())
            case "empty":
                file.write_bytes(b"")
            case _:
                file.unlink()
        code, said = asked(ran, pushed | {"action": action, "patience_s": 5})
    assert code == (5 if damage == "remove" else 3), said
    assert not (ran.root / "got").exists()
    assert not list(ran.root.glob(".got*"))


@contextlib.contextmanager
def restored(file: Path, data: bytes) -> Iterator[None]:
    try:
        yield
    finally:
        file.write_bytes(data)


def test_a_push_on_top_of_a_damaged_blob_is_refused_and_tags_nothing(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    request = ran.request(0, repository=f"127.0.0.1:{registry.port}/{name}", tags=["1.0.0"], patience_s=5)
    one = ran.contents[:1]
    assert asked(ran, request | {"contents": one, "alias": None})[0] == 0
    file = registry.blob_file(ran.receipt()["facts"]["layers"][0]["digest"])
    with restored(file, file.read_bytes()):
        file.write_bytes(b"x" * file.stat().st_size)
        code, said = asked(ran, request | {"tags": ["1.1.0"]})
        assert (code, "bytes of the digest" in said) == (3, True)
    assert "1.1.0" not in registry.sound(name)
    assert "latest" not in registry.tags(name)


def test_an_image_is_no_model(
    registry: Registry, name: str, ran: Workspace, asked: Asked, pushed: Document
) -> None:
    data = registry.manifest(name, "latest")
    assert data is not None
    manifest = json.dumps({k: v for k, v in json.loads(data).items() if k != "artifactType"})
    assert oci_samples.put(registry, name, "image", manifest.encode()) == 201
    code, said = asked(ran, pushed | {"reference": "image"})
    assert (code, "no model that Penstock pushed" in said) == (3, True)


HOSTILE_PATHS = ("../evil", "/etc/evil", "build/../../evil", "", ".", "build//x", "penstock/1/run", "build/metrics.json", "build/model/x", "build")  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_a_manifest_whose_layers_go_elsewhere_is_refused(
    registry: Registry, name: str, ran: Workspace, asked: Asked, *, pushed: Document, path: str
) -> None:
    """Anyone who may push can push such a manifest: its digest is right."""
    data = registry.manifest(name, "latest")
    assert data is not None
    manifest = json.loads(data)
    (last,) = [each for each in manifest["layers"] if each["annotations"]["penstock.role"] == "run"]
    last["annotations"] = {"org.cncf.model.filepath": path}
    assert oci_samples.put(registry, name, "hostile", json.dumps(manifest).encode()) == 201
    code, said = asked(ran, pushed | {"reference": "hostile"})
    assert (code, (ran.root / "got").exists()) == (3, False), said
    assert not (ran.root.parent / "evil").exists()


def test_an_output_that_is_not_what_its_annotation_says_is_refused(
    registry: Registry, name: str, ran: Workspace, asked: Asked, pushed: Document
) -> None:
    data = registry.manifest(name, "latest")
    assert data is not None
    manifest = json.loads(data)
    for each in manifest["layers"]:
        each["annotations"]["penstock.content"] = "sha256:" + "0" * 64
    assert oci_samples.put(registry, name, "hostile", json.dumps(manifest).encode()) == 201
    code, said = asked(ran, pushed | {"reference": "hostile"})
    assert (code, "not what was judged" in said) == (3, True)


GOOD: Document = {
    "schemaVersion": 2,
    "mediaType": manifests.MANIFEST,
    "config": {"mediaType": "c", "digest": "sha256:" + "0" * 64, "size": 1},
    "layers": [],
}
LAYER = GOOD["config"]
HOSTILE_MANIFESTS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "bytes that are no text": b"\xff\xfe",
    "a key twice": b'{"schemaVersion": 2, "schemaVersion": 2}',
    "a number that is none": b'{"schemaVersion": NaN}',
    "too deep": b"[" * 200_000,
    "the first version": json.dumps(GOOD | {"schemaVersion": 1}).encode(),
    "an unknown kind": json.dumps(GOOD | {"mediaType": "text/html"}).encode(),
    "both kinds at once": json.dumps(GOOD | {"manifests": []}).encode(),
    "an index of layers": json.dumps(GOOD | {"mediaType": manifests.INDEX}).encode(),
    "no configuration": json.dumps({k: v for k, v in GOOD.items() if k != "config"}).encode(),
    "no list of layers": json.dumps(GOOD | {"layers": {}}).encode(),
    "too many layers": json.dumps(GOOD | {"layers": [LAYER] * 10_001}).encode(),
    "a layer that is none": json.dumps(GOOD | {"layers": ["x"]}).encode(),
    "a weak digest": json.dumps(GOOD | {"layers": [LAYER | {"digest": "md5:" + "0" * 32}]}).encode(),
    "a path for a digest": json.dumps(GOOD | {"layers": [LAYER | {"digest": "sha256:../../x"}]}).encode(),
    "a negative size": json.dumps(GOOD | {"layers": [LAYER | {"size": -1}]}).encode(),
    "a size that is true": json.dumps(GOOD | {"layers": [LAYER | {"size": True}]}).encode(),
    "an endless size": json.dumps(GOOD | {"layers": [LAYER | {"size": 1 << 60}]}).encode(),
    "a layer elsewhere": json.dumps(GOOD | {"layers": [LAYER | {"urls": ["http://x"]}]}).encode(),
    "annotations that are no text": json.dumps(GOOD | {"annotations": {"a": 1}}).encode(),
}


@pytest.mark.parametrize("what", HOSTILE_MANIFESTS)
def test_a_manifest_that_cannot_be_trusted_is_refused(what: str) -> None:
    with pytest.raises(RefusedError, match=r"^here"):
        manifests.parsed(HOSTILE_MANIFESTS[what], "here")


def test_a_manifest_that_is_served_as_another_kind_is_refused() -> None:
    data = json.dumps(GOOD).encode()
    assert manifests.parsed(data, "here", manifests.MANIFEST).media_type == manifests.MANIFEST
    with pytest.raises(RefusedError, match="is served as"):
        manifests.parsed(data, "here", manifests.INDEX)
