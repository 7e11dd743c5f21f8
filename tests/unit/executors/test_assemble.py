"""Putting images together from archives that are made on the spot."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import py_compile
import tarfile
from pathlib import Path
from typing import Any

import pytest

from penstock.executors import assemble
from penstock.executors.image_layers import AssembleError

EPOCH = 315532800


def layer_of(content: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info = tarfile.TarInfo("base.txt")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def base(path: Path, *, kind: str = "docker", packed: bool = False, wrong: bool = False) -> Path:
    """An archive of an image with one layer, as `docker save` writes it or as an OCI layout."""
    layer = layer_of(b"base")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin", "OWN=1"]},
        "rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(layer + b'x' * wrong).hexdigest()}"]},
        "history": [{"created_by": "somebody"}],
    }
    stored = gzip.compress(layer) if packed else layer
    files = {"c.json": json.dumps(config).encode(), "l/layer.tar": stored}
    if kind == "docker":
        files["manifest.json"] = json.dumps([{"Config": "c.json", "Layers": ["l/layer.tar"]}]).encode()
    else:
        blobs = {name: hashlib.sha256(files.pop(name)).hexdigest() for name in list(files)}
        contents = {blobs["c.json"]: json.dumps(config).encode(), blobs["l/layer.tar"]: stored}
        manifest = {
            "config": {"digest": f"sha256:{blobs['c.json']}"},
            "layers": [{"digest": f"sha256:{blobs['l/layer.tar']}"}],
        }
        text = json.dumps(manifest).encode()
        contents[hashlib.sha256(text).hexdigest()] = text
        files = {f"blobs/sha256/{name}": data for name, data in contents.items()}
        entry = {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}"}
        files["index.json"] = json.dumps({"manifests": [entry]}).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def environment(root: Path) -> Path:
    """Something like a virtual environment."""
    top = root / "env"
    (top / "bin").mkdir(parents=True)
    (top / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.1.2\n")
    (top / "module.py").write_text("answer = 42\n")
    py_compile.compile(str(top / "module.py"), cfile=str(top / "module.pyc"), dfile="module.py")
    (top / "bin/tool").write_text("#!/bin/sh\n")
    (top / "bin/tool").chmod(0o700)
    (top / "bin/python").symlink_to("/usr/bin/python3")
    return top


def made(root: Path, source: Path, archive: Path) -> dict[str, Any]:
    package = root / "package"
    package.mkdir(exist_ok=True)
    (package / "model.txt").write_text("weights")
    prepared = root / "prepared"
    assemble.prepare(base=archive, environment=source, at="/penstock/env", epoch=EPOCH, prepared=prepared)
    return assemble.finish(
        prepared=prepared,
        package=package,
        at="/penstock/model",
        config={"Env": ["PATH=/penstock/env/bin:/bin"], "User": "10001:10001"},
        epoch=EPOCH,
        repository="penstock-serving",
        target=root / "image.tar",
    )


def packed(source: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(source, "env")
    return target


@pytest.mark.parametrize("kind", ["docker", "oci"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_equal_parts_make_equal_images_whatever_they_come_in(
    tmp_path: Path, kind: str, *, is_packed: bool
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    wanted = made(first, environment(first), base(first / "base.tar"))
    source = environment(second)
    for path in (source, *source.rglob("*")):
        os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    # the time of its source is in compiled Python too
    py_compile.compile(str(source / "module.py"), cfile=str(source / "module.pyc"), dfile="module.py")
    (source / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9.9\n")
    (source / "bin/activate.fish").write_text("# another version of uv")
    (source / "_virtualenv.py").write_text("# as above")
    (source / "bin/python").unlink()
    (source / "bin/python").symlink_to("/usr/bin/python")
    archive = base(second / "base.tar", kind=kind, packed=is_packed)
    assert made(second, packed(source, second / "env.tar"), archive) == wanted
    assert (first / "image.tar").read_bytes() == (second / "image.tar").read_bytes()


def test_an_image_is_configured_over_what_its_base_says(tmp_path: Path) -> None:
    facts = made(tmp_path, environment(tmp_path), base(tmp_path / "base.tar"))
    with tarfile.open(tmp_path / "image.tar") as image:
        (entry,) = json.load(image.extractfile("manifest.json"))  # type: ignore[arg-type] # it is there
        config = json.load(image.extractfile(entry["Config"]))  # type: ignore[arg-type] # as above
    assert entry["RepoTags"] == [facts["name"]]
    assert config["config"]["Env"] == ["OWN=1", "PATH=/penstock/env/bin:/bin"]
    assert [each.get("comment") for each in config["history"]] == [None, "the environment", "the model"]
    assert config["rootfs"]["diff_ids"] == [each["diff_id"] for each in facts["layers"]]


def test_what_is_added_is_roots_and_of_one_moment(tmp_path: Path) -> None:
    facts = made(tmp_path, environment(tmp_path), base(tmp_path / "base.tar"))
    with tarfile.open(tmp_path / "image.tar") as image:
        blob = image.extractfile(f"blobs/{facts['layers'][1]['digest'].replace(':', '/')}")
        with tarfile.open(fileobj=blob) as layer:
            found = {each.name: each for each in layer}
            assert layer.extractfile("penstock/env/pyvenv.cfg").read() == b"home = /usr/bin\n"  # type: ignore[union-attr]
            compiled = layer.extractfile("penstock/env/module.pyc").read()  # type: ignore[union-attr] # it is there
    assert {(each.uid, each.gid, each.mtime) for each in found.values()} == {(0, 0, EPOCH)}
    assert found["penstock/env/bin/tool"].mode == 0o755
    assert found["penstock/env/module.py"].mode == 0o644
    assert found["penstock/env/bin/python"].linkname == "/usr/bin/python3"
    assert int.from_bytes(compiled[8:12], "little") == EPOCH  # so Python takes it for that of its source


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"wrong": True}, "the base's layers are not those that its configuration names"),
        ({"kind": "nothing"}, "the base is no archive of an image"),
    ],
)
def test_a_damaged_base_is_refused(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    archive = tmp_path / "base.tar"
    if content.get("kind") == "nothing":
        tarfile.open(archive, "w").close()
    else:
        base(archive, **content)
    with pytest.raises(AssembleError, match=said):
        made(tmp_path, environment(tmp_path), archive)


def test_a_prepared_layer_that_was_changed_is_refused(tmp_path: Path) -> None:
    made(tmp_path, environment(tmp_path), base(tmp_path / "base.tar"))
    file = tmp_path / "prepared/environment"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(AssembleError, match=r"environment: a layer is damaged"):
        assemble.finish(
            prepared=tmp_path / "prepared",
            package=tmp_path / "package",
            at="/m",
            config={"Env": []},
            epoch=EPOCH,
            repository="r",
            target=tmp_path / "again.tar",
        )
