"""Images: what was saved is what is pushed, layer by layer, from every kind of archive."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docker_registry import Registry
from oci_samples import Asked, Files, Workspace, layers, layout, saved, sha256, tar

PLATFORMS = ("amd64", "arm64")


def request(
    ran: Workspace, registry: Registry, name: str, files: Files | bytes, **more: Any
) -> dict[str, Any]:
    (ran.root / "image.tar").write_bytes(files if isinstance(files, bytes) else tar(files))
    wanted = {
        "action": "push-image",
        "archive": "image.tar",
        "repository": f"127.0.0.1:{registry.port}/{name}",
    }
    return ran.request(registry.port, **wanted, tags=["1.4.0", "c0ffee", "{digest}"], **more)


def document(registry: Registry, name: str, reference: str) -> dict[str, Any]:
    data = registry.manifest(name, reference)
    assert data is not None
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.mark.parametrize("linked", [False, True])
def test_what_docker_saved_is_pushed_as_it_is(
    registry: Registry, name: str, ran: Workspace, asked: Asked, *, linked: bool
) -> None:
    made = layers(2)
    made = [*made, made[0]] if linked else made
    code, said = asked(ran, request(ran, registry, name, saved(made, linked=linked), digest_file="d/digest"))
    assert code == 0, said
    found = document(registry, name, "latest")
    assert [layer["digest"] for layer in found["layers"]] == [f"sha256:{sha256(each)}" for each in made]
    digest = (ran.root / "d/digest").read_text().strip()
    tags = registry.sound(name)
    assert tags == dict.fromkeys(["1.4.0", "c0ffee", f"sha256-{digest[7:19]}", "latest"], digest)


def test_an_image_of_a_layout_keeps_its_digest(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    files = layout("amd64")
    wanted = json.loads(files["index.json"])["manifests"][0]["digest"]
    for state in ("written", "unchanged"):
        assert asked(ran, request(ran, registry, name, files))[0] == 0
        (publication,) = ran.receipt()["publications"]
        assert (publication["kind"], publication["digest"], publication["state"]) == ("image", wanted, state)
    assert registry.sound(name)["latest"] == wanted


def test_images_for_several_machines_are_pushed_under_one_tag(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    assert asked(ran, request(ran, registry, name, layout(*PLATFORMS)))[0] == 0
    registry.sound(name)
    machines = [each["platform"]["architecture"] for each in document(registry, name, "1.4.0")["manifests"]]
    assert machines == list(PLATFORMS)
    assert (
        asked(
            ran,
            ran.request(
                0, repository=f"127.0.0.1:{registry.port}/{name}", action="verify", reference="1.4.0"
            ),
        )[0]
        == 0
    )
    assert ran.receipt()["facts"]["parts"] == 11


def without(files: Files, part: str) -> Files:
    return {name: content for name, content in files.items() if part not in name}


def other(files: Files, part: str) -> Files:
    """The same with another byte in one of its files."""
    (name,) = [name for name in files if part in name][:1]
    content = files[name]
    assert isinstance(content, bytes)
    return files | {name: content[:-1] + bytes([content[-1] ^ 1])}


def largest(files: Files) -> str:
    return max((name for name in files if name.startswith("blobs")), key=lambda name: len(files[name]))


ONE = layout("amd64")
TWO = {
    **ONE,
    "index.json": json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                *json.loads(ONE["index.json"])["manifests"],
                *json.loads(layout("arm64")["index.json"])["manifests"],
            ],
        }
    ).encode(),
}
BROKEN: dict[str, tuple[int, str, Files | bytes]] = {
    "another layer": (3, "its layers are not those", other(saved(), "layer.tar")),
    "a layer too few": (2, "is not in it", without(saved(), f"{1:064}")),
    "no manifest": (2, "holds no image", without(saved(), "manifest")),
    "a manifest of nothing": (2, "more or less than one image", saved() | {"manifest.json": b"[]"}),
    "a manifest without layers": (2, "names no configuration", saved() | {"manifest.json": b'[{"Config": "x"}]'}),
    "a manifest that is no JSON": (2, "is no JSON", saved() | {"manifest.json": b"["}),
    "links in a circle": (2, "is not in it", saved() | {f"{0:064}/layer.tar": f"-> ../{0:064}/layer.tar"}),
    "another blob": (3, "another digest than its name says", other(ONE, largest(ONE))),
    "a blob too few": (2, "is not in it", without(ONE, largest(ONE))),
    "an index without manifests": (3, "neither a manifest nor an index", ONE | {"index.json": b'{"schemaVersion": 2}'}),
    "an index that is no JSON": (3, "no JSON", ONE | {"index.json": b"{"}),
    "several images": (2, "holds 2 images", TWO),
    "a compressed archive": (2, "no tar", gzip.compress(tar(ONE))),
    "nothing": (2, "no tar", b""),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_archive_is_named_before_anything_is_pushed(
    registry: Registry, name: str, ran: Workspace, asked: Asked, what: str
) -> None:
    code, complaint, files = BROKEN[what]
    found, said = asked(ran, request(ran, registry, name, files))
    assert (found, complaint in said, registry.tags(name)) == (code, True, []), said


def test_an_archive_that_is_not_there_is_named(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    wanted = request(ran, registry, name, ONE) | {"archive": "other.tar"}
    assert asked(ran, wanted) == (2, "other.tar: No such file or directory\n")


def test_skopeo_reads_what_was_pushed(
    registry: Registry, name: str, ran: Workspace, asked: Asked, tmp_path: Path
) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo (apt-get install skopeo)")
    for number, files in enumerate((saved(), layout("amd64"))):
        repository = f"{name}-{number}"
        assert asked(ran, request(ran, registry, repository, files))[0] == 0
        source = f"docker://127.0.0.1:{registry.port}/{repository}:latest"
        command = [
            "skopeo",
            "--insecure-policy",
            "copy",
            "--src-tls-verify=false",
            source,
            f"dir:{tmp_path / str(number)}",
        ]
        subprocess.run(command, check=True, capture_output=True)


def test_docker_runs_what_docker_saved(
    registry: Registry, name: str, ran: Workspace, asked: Asked, tmp_path: Path
) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run(
            [docker, "image", "inspect", "python:3.12-slim"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs a Docker daemon with the image python:3.12-slim (`docker pull python:3.12-slim`)")

    def said(*words: str) -> str:
        return subprocess.run([docker, *words], check=True, capture_output=True, text=True).stdout.strip()

    said("save", "--output", str(ran.root / "image.tar"), "python:3.12-slim")
    data = (ran.root / "image.tar").read_bytes()
    assert asked(ran, request(ran, registry, name, data))[0] == 0
    place = f"127.0.0.1:{registry.port}/{name}@{ran.receipt()['facts']['manifest']}"
    try:
        said("pull", "--quiet", place)
        identity = "--format={{.Id}}"
        assert said("image", "inspect", identity, place) == said(
            "image", "inspect", identity, "python:3.12-slim"
        )
    finally:
        subprocess.run([docker, "image", "rm", place], check=False, capture_output=True)
