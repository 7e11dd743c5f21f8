"""The unpacker: what `packing` wrote comes out as it was, and of anything else nothing comes out at all."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oci_samples
from penstock.programs.common import digests
from penstock.programs.common.program import RefusedError
from penstock.programs.oci import blobs, packing, unpacking

TOP = "build/model"
LIMIT_BYTES = 1 << 22


def member(
    name: bytes | str,
    data: bytes = b"",
    *,
    kind: bytes = b"0",
    mode: int | None = None,
    target: bytes = b"",
    magic: bytes = b"ustar\x0000",
    size: bytes | None = None,
    checksum: bytes | None = None,
    prefix: bytes = b"",
    device: bytes = b"",
) -> bytes:
    """An entry, header and content, with whatever is asked for in it."""
    name = name.encode() if isinstance(name, str) else name
    usual = {b"2": 0o777, b"5": 0o755}.get(kind, 0o644)
    fields = [
        name.ljust(100, b"\0"),
        b"%07o\0" % (usual if mode is None else mode),
        b"0000000\0" * 2,
        (b"%011o\0" % len(data)) if size is None else size.ljust(12, b"\0"),
        b"02264064000\0",
        b" " * 8,
        kind,
        target.ljust(100, b"\0"),
        magic,
        bytes(64),
        device.ljust(16, b"\0"),
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    header = b"".join(fields)
    assert len(header) == 512
    right = b"%06o\0 " % sum(header)
    return header[:148] + (checksum or right) + header[156:] + data + bytes(-len(data) % 512)


def pax(*records: tuple[str, bytes], kind: bytes = b"x") -> bytes:
    lines = b""
    for key, value in records:
        body = b" %b=%b\n" % (key.encode(), value)
        length = len(body)
        while length != len(b"%d" % length) + len(body):
            length = len(b"%d" % length) + len(body)
        lines += b"%d%b" % (length, body)
    return raw_pax(lines, kind)


def raw_pax(lines: bytes, kind: bytes = b"x") -> bytes:
    return member("PaxHeader", lines, kind=kind)


END = bytes(1024)
FINE = member(f"{TOP}/a", b"1")
DEEP = "/".join(["d"] * 200)


def link(name: str, target: bytes) -> bytes:
    return member(f"{TOP}/{name}", kind=b"2", target=target)


def gnu_sparse() -> bytes:
    made = tarfile.TarInfo(f"{TOP}/sparse")
    made.type, made.size = tarfile.GNUTYPE_SPARSE, 512
    return made.tobuf(tarfile.GNU_FORMAT) + bytes(512)


HOSTILE: dict[str, bytes] = {
    # paths
    "an absolute path": member("/etc/evil", b"x"),
    "a path upwards": member("../evil", b"x"),
    "a path upwards within": member(f"{TOP}/../../evil", b"x"),
    "a path upwards at its end": member(f"{TOP}/..", kind=b"5"),
    "a path with a dot": member(f"{TOP}/./a", b"x"),
    "a path with an empty name": member(f"{TOP}//a", b"x"),
    "a path that ends in a slash": member(f"{TOP}/a/", b"x"),
    "no path": member("", b"x"),
    "a path beside its directory": member("build/models/a", b"x"),
    "a path above its directory": member("build/a", b"x"),
    "a path that begins alike": member(f"{TOP}x", b"x"),
    "a prefix upwards": member("evil", b"x", prefix=b"../../tmp"),
    "a prefix from the root": member("evil", b"x", prefix=b"/tmp"),
    "an extended path upwards": pax(("path", b"../../evil")) + FINE,
    "an extended path from the root": pax(("path", b"/tmp/evil")) + FINE,
    "an extended path with NUL": pax(("path", f"{TOP}/a".encode() + b"\0.txt")) + FINE,
    "an empty extended path": pax(("path", b"")) + FINE,
    "too deep a path": pax(("path", f"{TOP}/{DEEP}".encode())) + FINE,
    "too long a name": pax(("path", f"{TOP}/{'n' * 256}".encode())) + FINE,
    "too long a path": pax(("path", f"{TOP}/".encode() + b"/".join([b"n" * 250] * 20))) + FINE,
    # links
    "a link upwards": link("l", b"../../../etc"),
    "a link to the root": link("l", b"/"),
    "a link to a file of the system": link("l", b"/etc/passwd"),
    "a link beside its directory": link("l", b"../models"),
    "a link upwards behind a name": link("l", b"a/../../../x"),
    "a link through another link": link("l", b"sub") + link("m", b"l/../../.."),
    "a link that leads nowhere": link("l", b""),
    "an extended link upwards": pax(("linkpath", b"../../../etc/passwd")) + link("l", b"a"),
    "a link with a content": member(f"{TOP}/l", b"x" * 10, kind=b"2", target=b"a"),
    "a link in the place of its directory": member(TOP, kind=b"2", target=b"../elsewhere"),
    "a file below a link": link("l", b"sub") + member(f"{TOP}/l/a", b"x"),
    "a link, then a file of its name": link("l", b"a") + member(f"{TOP}/l", b"x"),
    "a hard link": member(f"{TOP}/h", kind=b"1", target=b"/etc/passwd"),
    "a hard link within": FINE + member(f"{TOP}/h", kind=b"1", target=f"{TOP}/a".encode()),
    # devices and other kinds
    "a character device": member(f"{TOP}/null", kind=b"3", device=b"0000001\x000000003\0"),
    "a block device": member(f"{TOP}/sda", kind=b"4", device=b"0000010\x000000000\0"),
    "a named pipe": member(f"{TOP}/pipe", kind=b"6"),
    "a contiguous file": member(f"{TOP}/c", b"x", kind=b"7"),
    "a sparse file of GNU": gnu_sparse(),
    "a sparse file of pax": pax(("GNU.sparse.size", b"99999999999"), ("GNU.sparse.major", b"1")) + FINE,
    "a long name of GNU": member("././@LongLink", b"../evil\0", kind=b"L") + FINE,
    "a long link of GNU": member("././@LongLink", b"/etc\0", kind=b"K") + FINE,
    "a label": member("label", kind=b"V"),
    "another volume": member(f"{TOP}/m", b"x", kind=b"M"),
    "an unknown kind": member(f"{TOP}/z", b"x", kind=b"Z"),
    "a header for all that follows": pax(("path", b"../evil"), kind=b"g") + FINE,
    "a set-user-id file": member(f"{TOP}/s", b"x", mode=0o4755),
    "a file that anyone may write": member(f"{TOP}/w", b"x", mode=0o777),
    # twice
    "a file twice": FINE + FINE,
    "a directory twice": member(f"{TOP}/d", kind=b"5") * 2,
    "a file below a file": FINE + member(f"{TOP}/a/b", b"x"),
    "a directory in a file's place": FINE + member(f"{TOP}/a", kind=b"5"),
    "a link twice": link("l", b"a") * 2,
    "a file in its directory's place": FINE + member(TOP, b"x"),
    "a file twice, differently written": FINE + pax(("path", f"{TOP}/a".encode())) + member("b", b"x"),
    # sizes
    "more than may be": member(f"{TOP}/big", bytes(LIMIT_BYTES + 1)),
    "more than may be, in many files": b"".join(member(f"{TOP}/{n}", bytes(1 << 20)) for n in range(5)),
    "a size beyond the end": member(f"{TOP}/a", size=b"77777777777"),
    "a negative size": member(f"{TOP}/a", size=b"-0000000001"),
    "a size in another base": member(f"{TOP}/a", size=b"\x80" + bytes(10) + b"\x01"),
    "a negative size in another base": member(f"{TOP}/a", size=b"\xff" * 12),
    "no size": member(f"{TOP}/a", size=b""),
    "an extended size beyond the end": pax(("size", b"9" * 15)) + FINE,
    "an extended size that is none": pax(("size", b"-1")) + FINE,
    "a directory with a content": member(f"{TOP}/d", b"x" * 600, kind=b"5"),
    # headers
    "a wrong checksum": member(f"{TOP}/a", b"x", checksum=b"000001\0 "),
    "a checksum that is none": member(f"{TOP}/a", b"x", checksum=b"xxxxxxxx"),
    "the format of GNU": member(f"{TOP}/a", b"x", magic=b"ustar  \0"),
    "the oldest format": member(f"{TOP}/a", b"x", magic=bytes(8)),
    "no number for a mode": member(f"{TOP}/a", b"x").replace(b"0000644\0", b"rw-r--r-", 1),
    "two extended headers": pax(("path", b"x")) * 2 + FINE,
    "an extended header at the end": FINE + pax(("path", b"x")),
    "an extended header of a wrong length": raw_pax(b"99 path=x\n") + FINE,
    "an extended header without a length": raw_pax(b"path=x\n") + FINE,
    "an extended header of length 0": raw_pax(b"0 path=x\n") + FINE,
    "an extended header that is cut": raw_pax(b"12 path=abcd") + FINE,
    "an extended key twice": pax(("path", b"a"), ("path", b"../b")) + FINE,
    "an unknown extended key": pax(("SCHILY.xattr.security.capability", b"x")) + FINE,
    "too long an extended header": pax(("path", b"x" * 70_000)) + FINE,
    # the end
    "nothing at all": b"",
    "no end": FINE,
    "half an end": FINE + bytes(512),
    "half a header": FINE + FINE[:200],
    "a content that is cut": member(f"{TOP}/a", bytes(5_000))[:2_000],
    "something after the end": FINE + END + FINE,
    "zeros after the end": FINE + END + bytes(512),
    "something between the entries": FINE[:-1] + b"x" + END,
    "random bytes": os.urandom(4_096),
    "a compressed archive": b"\x1f\x8b\x08" + bytes(2_000),
}
WITHOUT_END = {"nothing at all", "no end", "half an end", "half a header", "a content that is cut", "something after the end", "zeros after the end", "something between the entries", "random bytes", "a compressed archive"}  # fmt: skip


def unpacked(folder: Path, data: bytes, limit_bytes: int = LIMIT_BYTES) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpacking.Target(handle, limit_bytes).unpack(io.BytesIO(data), "layer", len(data), TOP)
    finally:
        os.close(handle)


def everything(folder: Path) -> dict[str, str]:
    """All paths below a folder, and what they are."""
    return {str(path.relative_to(folder)): str(path.lstat().st_mode) for path in folder.rglob("*")}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused_and_writes_nothing_outside(tmp_path: Path, what: str) -> None:
    (tmp_path / "secret").write_text("untouched")
    target = tmp_path / "a" / "b" / "target"
    target.mkdir(parents=True)
    before = {path: mode for path, mode in everything(tmp_path).items() if "target" not in path}
    data = HOSTILE[what] + (b"" if what in WITHOUT_END else END)
    with pytest.raises(RefusedError, match=r"layer|not unpacked|nothing was kept"):
        unpacked(target, data)
    assert {path: mode for path, mode in everything(tmp_path).items() if "target" not in path} == before
    assert (tmp_path / "secret").read_text() == "untouched"
    kinds = [path.lstat() for path in target.rglob("*")]
    assert not any(oci_samples.is_odd(about.st_mode) for about in kinds)


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


def test_what_lies_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (target / "build").symlink_to("../outside")
    with pytest.raises(RefusedError, match="below a file or a link"):
        unpacked(target, FINE + END)
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_was_packed_comes_out_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = oci_samples.workspace(tmp_path / "w")
    long = "n" * 200
    (made.root / TOP / long / long).mkdir(parents=True)
    (made.root / TOP / long / long / "file").write_text("deep")
    (made.root / TOP / os.fsdecode(b"\xff\xfe")).write_bytes(b"no UTF-8")
    (made.root / TOP / "up").symlink_to(f"sub/{'x' * 150}")
    (made.root / TOP / "new\nline").write_text("")
    monkeypatch.chdir(made.root)
    layer = packing.layer(TOP, "model", "directory")
    (tmp_path / "target").mkdir()
    unpacked(tmp_path / "target", layer.blob.read())
    assert digests.of_path(tmp_path / "target" / TOP) == digests.of_path(Path(TOP))
    # and other programs read the same
    with tarfile.open(fileobj=io.BytesIO(layer.blob.read())) as archive:
        assert {each.mtime for each in archive} == {packing.EPOCH}
        assert f"{TOP}/{long}/{long}/file" in archive.getnames()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_archive_is_refused_or_holds_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    archive = bytearray(
        FINE
        + link("l", b"a")
        + member(f"{TOP}/d", kind=b"5")
        + pax(("path", f"{TOP}/ä".encode()))
        + FINE
        + END
    )
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("changed")
    (root / "target").mkdir()
    with contextlib.suppress(RefusedError):
        unpacked(root / "target", bytes(archive))
    assert [path.name for path in root.iterdir()] == ["target"]
    assert all(
        str(path.relative_to(root / "target")).startswith("build") for path in (root / "target").rglob("*")
    )


@pytest.mark.parametrize("target", [b"sub/run.sh", b"../model/a", b".", b"a/b/c"])
def test_links_that_stay_inside_are_kept(tmp_path: Path, target: bytes) -> None:
    unpacked(tmp_path, link("l", target) + END)
    assert os.fsencode((tmp_path / TOP / "l").readlink()) == target


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(10))
    piece = blobs.of_file(tmp_path / "f")
    (tmp_path / "f").write_bytes(bytes(9))
    with pytest.raises(RefusedError, match="became shorter"):
        blobs.blob("f", [piece])
