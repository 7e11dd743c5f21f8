from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import digest
from penstock.cache.members import stays_inside
from penstock.cache.store import Store
from penstock.cache.trees import build_tree, ingest, restore_tree, subtree
from penstock.digest import DIRECTORY, EXECUTABLE, FILE, LINK, Entry
from penstock.errors import CorruptError, InputError, StoreError
from penstock.results import PartKind
from store_samples import commit_tree, contents, write_tree

ODD_NAMES = [b"new\nline", b"\xff\xfe", b"-rf", b".hidden", b" ", b"x" * 255, "é".encode(), b"a\\b", b"*[?]"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


def entries(manifest: bytes | None) -> dict[bytes, tuple[str, bytes]]:
    assert manifest is not None
    return {entry.path: (entry.kind, entry.value) for entry in digest.decode_manifest(manifest)}


def test_a_file_is_taken_with_its_execute_bit(store: Store, workspace: Path) -> None:
    (workspace / "tool").write_bytes(b"#!")
    (workspace / "tool").chmod(0o755)
    part, manifest = ingest(store, workspace / "tool", "bin/tool")
    assert (part.path, part.kind, part.size_bytes, part.files) == ("bin/tool", PartKind.EXECUTABLE, 2, 1)
    assert manifest is None
    assert store.read(part.digest) == b"#!"


def test_a_directory_comes_back_whole(store: Store, workspace: Path, tmp_path: Path) -> None:
    out = write_tree(workspace / "out", {"a/b/c": b"1", "d": b"22", "__pycache__/x.pyc": b""})
    (out / "d").chmod(0o755)
    (out / "empty" / "inner").mkdir(parents=True)
    (out / "a" / "link").symlink_to("../d")
    part, manifest = ingest(store, out, "out")
    assert (part.kind, part.size_bytes, part.files) == (PartKind.DIRECTORY, 3, 3)
    assert entries(manifest) == {
        b"__pycache__/x.pyc": (FILE, digest.EMPTY_DIGEST.removeprefix("sha256:").encode()),
        b"a/b/c": (FILE, digest.of_bytes(b"1").removeprefix("sha256:").encode()),
        b"a/link": (LINK, b"../d"),
        b"d": (EXECUTABLE, digest.of_bytes(b"22").removeprefix("sha256:").encode()),
        b"empty/inner": (DIRECTORY, b""),
    }
    restore_tree(store, store.manifest(part.digest), tmp_path / "back")
    assert ingest(store, tmp_path / "back", "out") == (part, manifest)
    assert os.access(tmp_path / "back" / "d", os.X_OK)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_comes_back(store: Store, workspace: Path, tmp_path: Path, name: bytes) -> None:
    out = workspace / "out"
    (out / os.fsdecode(name)).mkdir(parents=True)
    (out / os.fsdecode(name) / os.fsdecode(name)).write_bytes(b"1")
    part, manifest = ingest(store, out, "out")
    restore_tree(store, store.manifest(part.digest), tmp_path / "back")
    assert entries(manifest).keys() == {name + b"/" + name}
    assert contents(tmp_path / "back") == contents(out)


def test_an_empty_directory_is_an_output(store: Store, workspace: Path, tmp_path: Path) -> None:
    part, manifest = ingest(store, workspace, "out")
    assert (part.files, entries(manifest)) == (0, {})
    restore_tree(store, store.manifest(part.digest), tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "a/../../../secret", "a/../b"])
def test_a_link_that_may_lead_out_is_refused(store: Store, workspace: Path, target: str) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "link").symlink_to(target)
    with pytest.raises(InputError, match="output 'out': the link 'sub/link' leads out of it, to "):
        ingest(store, workspace, "out")
    assert not store.home.exists()


def test_an_output_that_is_a_link_is_refused(store: Store, workspace: Path) -> None:
    (workspace / "a").write_bytes(b"")
    (workspace / "out").symlink_to("a")
    with pytest.raises(InputError, match="output 'out' is a link to 'a'"):
        ingest(store, workspace / "out", "out")


def test_a_fifo_and_a_socket_are_refused_by_name(store: Store, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    with pytest.raises(InputError, match="output 'out/pipe' is a FIFO"):
        ingest(store, workspace, "out")
    (workspace / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(workspace / "s"))
    with pytest.raises(InputError, match="output 'out/s' is a socket"):
        ingest(store, workspace, "out")


def test_an_output_that_is_not_there_is_told(store: Store, workspace: Path) -> None:
    with pytest.raises(InputError, match="output 'out' cannot be read: No such file"):
        ingest(store, workspace / "out", "out")


def test_a_refused_secret_comes_nowhere_near_the_store(store: Store, workspace: Path) -> None:
    store.put_bytes(b"something")
    before = contents(store.home)
    write_tree(workspace, {"a": b"harmless", "b/c": b"the canary is here"})
    seen: list[str] = []

    def inspect(path: str, chunks: Iterable[bytes]) -> None:
        seen.append(path)
        if b"canary" in b"".join(chunks):
            raise InputError(f"{path} holds a secret")

    with pytest.raises(InputError, match="out/b/c holds a secret"):
        ingest(store, workspace, "out", inspect=inspect)
    assert contents(store.home) == before
    assert set(seen) == {"out", "out/a", "out/b/c"}


def test_names_and_link_targets_are_inspected_too(store: Store, workspace: Path) -> None:
    write_tree(workspace, {"canary-1": b""})
    (workspace / "link").symlink_to("canary-2")
    shown: dict[str, bytes] = {}
    ingest(store, workspace, "out", inspect=lambda path, chunks: shown.update({path: b"".join(chunks)}))
    assert b"canary-1" in shown["out"]
    assert b"canary-2" in shown["out"]


def test_a_subtree_is_what_a_scan_of_it_would_say(store: Store, workspace: Path) -> None:
    write_tree(workspace, {"a/b/c": b"1", "a/b/d": b"22", "a/bb": b"", "e": b"3"})
    (workspace / "a" / "b" / "link").symlink_to("c")
    (workspace / "a" / "empty").mkdir()
    part, manifest = ingest(store, workspace, "out")
    assert manifest is not None
    assert subtree(part, manifest, "out") == (part, manifest)
    assert subtree(part, manifest, "out/a/b") == ingest(store, workspace / "a" / "b", "out/a/b")
    assert subtree(part, manifest, "out/a/b/c") == ingest(store, workspace / "a" / "b" / "c", "out/a/b/c")
    assert subtree(part, manifest, "out/a/empty") == ingest(store, workspace / "a" / "empty", "out/a/empty")
    assert subtree(part, manifest, "out/a/nothing") is None
    with pytest.raises(InputError, match="is a link to 'c'"):
        subtree(part, manifest, "out/a/b/link")


def test_a_subtree_with_a_link_that_leaves_it_is_refused(store: Store, workspace: Path) -> None:
    write_tree(workspace, {"a/b": b"", "c": b""})
    (workspace / "a" / "link").symlink_to("../c")
    part, manifest = ingest(store, workspace, "out")
    assert manifest is not None
    with pytest.raises(InputError, match="the link 'a/link' leads out of it"):
        subtree(part, manifest, "out/a")


@pytest.mark.parametrize("before", ["nothing", "file", "directory", "link"])
def test_what_was_there_before_is_replaced_and_nothing_is_left_beside_it(
    store: Store, workspace: Path, tmp_path: Path, before: str
) -> None:
    part, manifest = ingest(store, write_tree(workspace / "out", {"a": b"1"}), "out")
    assert manifest is not None
    place = tmp_path / "place"
    elsewhere = write_tree(tmp_path / "elsewhere", {"kept": b"k"})
    place.mkdir()
    if before == "file":
        (place / "out").write_bytes(b"old")
    elif before == "directory":
        write_tree(place / "out", {"old/er": b"old"})
    elif before == "link":
        (place / "out").symlink_to(elsewhere)
    restore_tree(store, store.manifest(part.digest), place / "out")
    assert contents(place) == {"out/a": b"1"}
    assert not (place / "out").is_symlink()
    assert [path.name for path in place.iterdir()] == ["out"]
    assert contents(elsewhere) == {"kept": b"k"}


def test_a_directory_with_a_damaged_file_leaves_what_was_there_and_is_a_miss(
    store: Store, workspace: Path, tmp_path: Path
) -> None:
    record, manifest = commit_tree(store, workspace, "stage", {"a": b"1", "b": b"2"})
    blob = Path(store.place("blobs/sha256", digest.of_bytes(b"2")))
    blob.chmod(0o644)
    blob.write_bytes(b"3")
    place = write_tree(tmp_path / "place", {"out/old": b"old"})
    with pytest.raises(CorruptError, match="damaged"):
        restore_tree(store, manifest, place / "out")
    assert contents(place) == {"out/old": b"old"}
    assert [path.name for path in place.iterdir()] == ["out"]
    assert store.recall(record.key) is None


def test_a_place_that_cannot_be_written_is_told(store: Store, workspace: Path, tmp_path: Path) -> None:
    _, manifest = ingest(store, write_tree(workspace / "out", {"a": b"1"}), "out")
    assert manifest is not None
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        restore_tree(store, manifest, tmp_path / "missing" / "out")


@pytest.mark.parametrize(
    "entry",
    [
        Entry(FILE, 0, b"../out", digest.EMPTY_DIGEST[7:].encode()),
        Entry(FILE, 0, b"/etc/out", digest.EMPTY_DIGEST[7:].encode()),
        Entry(FILE, 0, b"a/../../out", digest.EMPTY_DIGEST[7:].encode()),
        Entry(DIRECTORY, 0, b"..", b""),
        Entry(LINK, 0, b"link", b"/etc"),
        Entry(LINK, 0, b"link", b"../.."),
    ],
)
def test_a_forged_manifest_writes_nothing_outside(store: Store, tmp_path: Path, entry: Entry) -> None:
    store.put_bytes(b"")
    top = tmp_path / "top"
    top.mkdir()
    with pytest.raises(CorruptError, match="a manifest "):
        build_tree(store, digest.encode_manifest([entry]), top)
    assert list(top.iterdir()) == []


def test_a_forged_manifest_cannot_write_through_its_own_link(store: Store, tmp_path: Path) -> None:
    store.put_bytes(b"")
    (tmp_path / "victim").mkdir()
    (tmp_path / "top").mkdir()
    forged = [
        Entry(LINK, 0, b"a", b"victim"),
        Entry(FILE, 0, b"a/b", digest.EMPTY_DIGEST[7:].encode()),
    ]
    with pytest.raises(OSError, match="File exists"):
        build_tree(store, digest.encode_manifest(forged), tmp_path / "top")
    assert list((tmp_path / "victim").iterdir()) == []


NAMES = st.sampled_from([b"a", b"b", b"..", b".", b""])


@given(st.lists(st.sampled_from([b"a", b"b"]), max_size=3), st.lists(NAMES, min_size=1, max_size=6))
def test_a_link_that_stays_inside_resolves_inside(above: list[bytes], names: list[bytes]) -> None:
    target = b"/".join(names)
    inside = stays_inside(b"/".join([*above, b"link"]), target)
    resolved = os.path.normpath(b"/".join([b"/top", *above, target]))
    if target.startswith(b"/") or not resolved.startswith(b"/top"):
        assert not inside
    elif inside:
        assert resolved == b"/top" or resolved.startswith(b"/top/")
