from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import digest
from penstock.cache import hashing
from penstock.cache.stat_index import Scan, StatIndex
from penstock.cache.state import State
from penstock.errors import InputError
from penstock.results import PartKind
from store_samples import write_tree

ODD_NAMES = [b"new\nline", b"\xff\xfe", b"-rf", b" ", b"x" * 255, "é".encode(), b"a\\b"]


class Project:
    """A root with an index that is opened anew for every scan, as every run does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read = 0
        self.warning: str | None = None

    @property
    def database(self) -> Path:
        return self.root / ".penstock" / "state.sqlite"

    def write(self, files: dict[str, bytes]) -> None:
        write_tree(self.root, files)
        self.settle()

    def settle(self) -> None:
        time.sleep(0.04)  # longer than what is too fresh to be remembered

    def scan(
        self, path: str, *, ignore: tuple[str, ...] = (), excluding: tuple[str, ...] = ()
    ) -> Scan | None:
        index = StatIndex(self.root, self.database, ignore)
        try:
            return index.scan(path, excluding=frozenset(excluding))
        finally:
            index.close()
            self.read = index.reader.files
            self.warning = index.state.warning

    def found(self, path: str, *, ignore: tuple[str, ...] = (), excluding: tuple[str, ...] = ()) -> Scan:
        scan = self.scan(path, ignore=ignore, excluding=excluding)
        assert scan is not None
        return scan


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "root"
    root.mkdir()
    return Project(root)


def paths(scan: Scan) -> list[bytes]:
    assert scan.manifest is not None
    return [entry.path for entry in digest.decode_manifest(scan.manifest)]


def test_a_file_is_read_once_and_has_the_digest_of_its_content(project: Project) -> None:
    project.write({"data/a.csv": b"1,2\n"})
    for reads in (1, 0, 0):
        part = project.found("data/a.csv").part
        assert project.read == reads
        assert (part.kind, part.digest, part.size_bytes, part.files) == (
            PartKind.FILE, digest.of_bytes(b"1,2\n"), 4, 1
        )  # fmt: skip


def test_a_directory_is_read_once_and_its_digest_stays(project: Project) -> None:
    project.write({"src/a.py": b"a", "src/b/c.py": b"cc", "other": b"o"})
    first = project.found("src")
    assert (project.read, paths(first), first.part.size_bytes, first.part.files) == (
        2,
        [b"a.py", b"b/c.py"],
        3,
        2,
    )
    assert first.part.digest == digest.of_bytes(first.manifest or b"")
    again = project.found("src")
    assert (project.read, again.part, again.manifest) == (0, first.part, None)


def test_only_the_file_that_changed_is_read_again(project: Project) -> None:
    project.write({f"src/{number}": b"x" for number in range(20)})
    before = project.found("src").part
    project.write({"src/7": b"y"})
    after = project.found("src")
    assert project.read == 1
    assert after.part.digest != before.digest
    project.write({"src/7": b"x"})
    assert project.found("src").part == before


def test_a_file_that_is_touched_is_read_once_more_and_its_digest_stays(project: Project) -> None:
    project.write({"big": b"x" * 2_000_000})
    before = project.found("big").part
    (project.root / "big").touch()
    project.settle()
    assert (project.found("big").part, project.read) == (before, 1)
    assert (project.found("big").part, project.read) == (before, 0)


def test_a_change_that_keeps_size_and_mtime_is_noticed(project: Project) -> None:
    project.write({"src/a": b"1"})
    before = project.found("src").part
    about = (project.root / "src/a").stat()
    (project.root / "src/a").write_bytes(b"2")
    os.utime(project.root / "src/a", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert project.found("src").part != before


def test_a_file_that_changed_just_now_is_not_trusted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"src/a": b"1", "b": b"1"})
    just_now = (project.root / "b").stat().st_ctime_ns
    monkeypatch.setattr(State, "clock", lambda _state: (just_now + 5_000_000, project.root.stat().st_dev))
    for path in ("src", "b"):
        for _ in range(2):
            project.found(path)
            assert project.read == 1


def test_a_file_on_another_file_system_is_trusted_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"a": b"1"})
    just_now = (project.root / "a").stat().st_ctime_ns
    monkeypatch.setattr(State, "clock", lambda _state: (just_now + 1_000_000_000, -1))
    for _ in range(2):
        project.found("a")
        assert project.read == 1


@pytest.mark.parametrize("pattern", ["[", "a[--b]", "a[[b]", "[^a]x", "[&&b]", "***/*"])
def test_an_odd_pattern_is_read_without_a_complaint(project: Project, pattern: str) -> None:
    project.write({"a": b""})
    assert project.scan(pattern) is None


@pytest.mark.parametrize("pattern", ["data/[z-a]", "a[]b", "a[!]"])
def test_a_pattern_that_is_none_is_refused(project: Project, pattern: str) -> None:
    with pytest.raises(InputError, match="is no pattern: ") as caught:
        project.scan(pattern)
    assert repr(pattern) in str(caught.value)


def test_a_racy_change_is_seen_whatever_the_clock_shows(project: Project) -> None:
    for number in range(60):
        write_tree(project.root, {"src/a": b"%d" % (number % 10)})
        part = project.found("src").part
        expected = digest.encode_manifest(
            [digest.Entry("f", 1, b"a", digest.of_bytes(b"%d" % (number % 10))[7:].encode())]
        )
        assert part.digest == digest.of_bytes(expected)


def test_a_renamed_a_new_and_a_removed_file_change_a_directory(project: Project) -> None:
    project.write({"src/a": b"1", "src/b": b"2"})
    seen = {project.found("src").part.digest}
    (project.root / "src/b").rename(project.root / "src/c")
    seen.add(project.found("src").part.digest)
    project.write({"src/d": b""})
    seen.add(project.found("src").part.digest)
    (project.root / "src/d").chmod(0o755)
    project.settle()
    seen.add(project.found("src").part.digest)
    (project.root / "src/a").unlink()
    seen.add(project.found("src").part.digest)
    assert len(seen) == 5


def test_the_same_content_elsewhere_has_the_same_digest(project: Project, tmp_path: Path) -> None:
    files = {"src/z": b"1", "src/a/b": b"2", "src/a.b": b"3"}
    project.write(files)
    write_tree(tmp_path / "clone", dict(reversed(files.items())))
    assert project.found("src").part == Project(tmp_path / "clone").found("src").part


def test_nothing_there_is_none(project: Project) -> None:
    assert project.scan("nothing") is None
    assert project.scan("nothing/below") is None
    assert project.scan("*.csv") is None
    assert project.scan("nothing/*.csv") is None
    project.write({"file": b""})
    assert project.scan("file/below") is None


def test_what_is_ignored_is_masked_and_never_read(project: Project) -> None:
    project.write(
        {
            "src/a.py": b"1",
            "src/__pycache__/a.pyc": b"2",
            "src/b.pyc": b"3",
            "src/x.egg-info/y": b"4",
            "src/notes.tmp": b"5",
            "src/sub/secret/k": b"6",
            "src/sub/file1": b"7",
        }
    )
    ignore = ("*.tmp", "src/sub/sec*", "file[0-9]")
    scan = project.found("src", ignore=ignore)
    assert paths(scan) == [b"a.py"]
    assert sorted(scan.masked) == [
        "src/__pycache__",
        "src/b.pyc",
        "src/notes.tmp",
        "src/sub/file1",
        "src/sub/secret",
        "src/x.egg-info",
    ]
    project.write({"src/__pycache__/a.pyc": b"other"})
    again = project.found("src", ignore=ignore)
    assert (again.part, again.masked, project.read) == (scan.part, scan.masked, 0)


def test_what_stages_write_is_no_source(project: Project) -> None:
    project.write({"build/in": b"1", "build/out/x": b"2", "build/out.json": b"3"})
    scan = project.found("build", excluding=("build/out", "build/out.json"))
    assert (paths(scan), sorted(scan.masked)) == ([b"in"], ["build/out", "build/out.json"])
    assert paths(project.found("build")) == [b"in", b"out.json", b"out/x"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("data/*.csv", ["data/a.csv", "data/b.csv"]),
        ("data/?.csv", ["data/a.csv", "data/b.csv"]),
        ("data/[!a].csv", ["data/b.csv"]),
        ("data/[a-c].*", ["data/a.csv", "data/b.csv"]),
        ("data/**/*.csv", ["data/a.csv", "data/b.csv", "data/x/c.csv", "data/x/y/d.csv"]),
        ("**/*.csv", ["data/a.csv", "data/b.csv", "data/x/c.csv", "data/x/y/d.csv"]),
        ("data/**", ["data/a.csv", "data/b.csv", "data/x/c.csv", "data/x/y/d.csv", "data/x/y/e.txt"]),
        ("data/*/*.csv", ["data/x/c.csv"]),
        ("*/x/*/d.csv", ["data/x/y/d.csv"]),
        ("*", ["top.txt"]),
    ],
)
def test_a_pattern_selects_files_as_a_shell_would(
    project: Project, pattern: str, expected: list[str]
) -> None:
    names = ["data/a.csv", "data/b.csv", "data/x/c.csv", "data/x/y/d.csv", "data/x/y/e.txt", "top.txt"]
    project.write({name: name.encode() for name in names})
    scan = project.found(pattern)
    assert scan.members == tuple(expected)
    assert (scan.part.kind, scan.part.files) == (PartKind.DIRECTORY, len(expected))
    assert paths(scan) == [name.encode() for name in expected]
    again = project.found(pattern)
    assert (again.members, again.part, project.read) == (scan.members, scan.part, 0)


def test_a_pattern_without_a_double_star_does_not_descend_further(project: Project) -> None:
    project.write({"data/a.csv": b"1", "data/deep/b.csv": b"2"})
    os.mkfifo(project.root / "data/deep/pipe")
    (project.root / "data/deep").chmod(0o000)
    try:
        assert project.found("data/*.csv").members == ("data/a.csv",)
    finally:
        (project.root / "data/deep").chmod(0o755)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_can_be_an_input(project: Project, name: bytes) -> None:
    text = os.fsdecode(name)
    project.write({f"src/{text}": b"1"})
    assert paths(project.found("src")) == [name]
    assert project.found(f"src/{text}").part.digest == digest.of_bytes(b"1")
    assert project.found("src/*").members == (f"src/{text}",)


def test_a_link_that_stays_inside_is_an_entry(project: Project) -> None:
    project.write({"src/a": b"1"})
    (project.root / "src/b").mkdir()
    (project.root / "src/b/link").symlink_to("../a")
    scan = project.found("src")
    assert [tuple(entry) for entry in digest.decode_manifest(scan.manifest or b"")][1] == (
        "l",
        0,
        b"b/link",
        b"../a",
    )
    (project.root / "src/b/link").unlink()
    (project.root / "src/b/link").symlink_to("../b")
    assert project.found("src").part != scan.part


@pytest.mark.parametrize("target", ["/etc/passwd", "../top", "b/../../top"])
def test_a_link_that_leads_out_of_the_input_is_refused(project: Project, target: str) -> None:
    project.write({"src/a": b"1", "top": b""})
    (project.root / "src/link").symlink_to(target)
    with pytest.raises(InputError, match="input 'src': the link src/link leads out of it, to ") as caught:
        project.scan("src")
    assert target in str(caught.value)
    assert "ignore:" in str(caught.value)


def test_an_input_that_is_a_link_into_the_root_is_followed(project: Project) -> None:
    project.write({"v2/data": b"2", "v2/deep/x": b"3"})
    (project.root / "file").symlink_to("v2/data")
    (project.root / "dir").symlink_to("v2")
    assert project.found("file").part.digest == digest.of_bytes(b"2")
    assert project.found("dir").part.digest == project.found("v2").part.digest
    assert project.found("dir/deep/x").part.digest == digest.of_bytes(b"3")


def test_an_input_that_is_a_link_out_of_the_root_or_to_nothing_is_refused(
    project: Project, tmp_path: Path
) -> None:
    write_tree(tmp_path, {"outside/a": b"1"})
    (project.root / "out").symlink_to(tmp_path / "outside")
    (project.root / "dangling").symlink_to("nowhere")
    (project.root / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="input 'out' leads out of the root, to "):
        project.scan("out")
    with pytest.raises(InputError, match="input 'out/a' leads out of the root"):
        project.scan("out/a")
    with pytest.raises(InputError, match="input 'dangling' is a link to 'nowhere', where nothing is"):
        project.scan("dangling")
    with pytest.raises(InputError, match="input 'loop' is a link to 'loop'"):
        project.scan("loop")


@pytest.mark.timeout(10)
def test_what_is_no_file_is_refused_by_name_and_never_waited_for(project: Project) -> None:
    os.mkfifo(project.root / "pipe")
    with pytest.raises(InputError, match="input 'pipe': pipe is a FIFO"):
        project.scan("pipe")
    (project.root / "src").mkdir()
    (project.root / "pipe").rename(project.root / "src/pipe")
    with pytest.raises(InputError, match="input 'src': src/pipe is a FIFO"):
        project.scan("src")
    (project.root / "src/pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(project.root / "src/s"))
    with pytest.raises(InputError, match="src/s is a socket"):
        project.scan("src")
    with pytest.raises(InputError, match="src/s is a socket"):
        project.scan("src/*")


def test_a_file_that_cannot_be_read_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"src/a": b"1"})

    def deny(*_arguments: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(InputError, match="input 'src' cannot be read: src/a: Permission denied"):
        project.scan("src")


def test_a_file_that_vanishes_meanwhile_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"src/a": b"1"})

    def vanish(*_arguments: object, **_options: object) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "open", vanish)
    with pytest.raises(InputError, match="input 'src' changed while it was read: src/a"):
        project.scan("src")


def test_a_file_that_never_stands_still_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"src/a": b"1"})
    read = os.read

    def read_and_change(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        with (project.root / "src/a").open("ab") as file:
            file.write(b"x")
        return data

    monkeypatch.setattr(os, "read", read_and_change)
    with pytest.raises(InputError, match="input 'src' changed while it was read: src/a"):
        project.scan("src")


def test_a_file_that_changes_once_while_it_is_read_has_its_new_digest(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"src/a": b"1"})
    read = os.read
    changes = iter([b"22"])

    def read_and_change(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        for content in changes:
            (project.root / "src/a").write_bytes(content)
        return data

    monkeypatch.setattr(os, "read", read_and_change)
    scan = project.found("src")
    assert scan.part.size_bytes == 2
    (entry,) = digest.decode_manifest(scan.manifest or b"")
    assert (entry.size, entry.value) == (2, digest.of_bytes(b"22")[7:].encode())


def test_an_output_is_scanned_as_it_was_taken(project: Project) -> None:
    project.write({"out/__pycache__/x.pyc": b"1", "out/.git/y": b"2"})
    (project.root / "out/empty").mkdir()
    index = StatIndex(project.root, project.database)
    scan = index.scan("out", output=True)
    assert scan is not None
    assert (paths(scan), scan.masked) == ([b".git/y", b"__pycache__/x.pyc", b"empty"], ())
    source = index.scan("out")
    assert source is not None
    assert source.part.files == 0
    (project.root / "link").symlink_to("out")
    with pytest.raises(InputError, match="input 'link': link is a symbolic link"):
        index.scan("link", output=True)
    index.close()


def test_progress_is_told_for_large_files_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "PROGRESS_BYTES", 1 << 20)
    project.write({"big": b"x" * 5_000_000, "small": b"x" * 1000})
    told: list[tuple[str, int, int]] = []
    index = StatIndex(project.root, project.database, progress=lambda *each: told.append(each))
    index.scan("small")
    assert told == []
    index.scan("big")
    index.close()
    assert [each[0] for each in told] == ["big"] * 4
    assert [each[1] for each in told] == sorted(each[1] for each in told)
    assert {each[2] for each in told} == {5_000_000}


def damages(database: Path) -> Iterator[str]:
    data = database.read_bytes()
    for at in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        database.write_bytes(bytes(damaged))
        yield f"byte {at} flipped"
    for end in range(0, len(data), 512):
        database.write_bytes(data[:end])
        yield f"cut at {end}"
    database.write_bytes(b"no database at all" * 400)
    yield "something else"


def test_a_damaged_database_never_changes_a_digest(project: Project) -> None:
    project.write({f"src/{name}": name.encode() for name in "abc"} | {"file": b"1"})
    expected = project.found("src").part, project.found("file").part
    count = 0
    for what in damages(project.database):
        count += 1
        assert (project.found("src").part, project.found("file").part) == expected, what
    assert count > 100
    assert project.warning is None
    assert project.database.with_name("state.sqlite.damaged").exists()


def test_without_a_place_to_write_everything_is_read_each_time(project: Project) -> None:
    project.write({"src/a": b"1", ".penstock": b"a file where a directory belongs"})
    for _ in range(2):
        assert project.found("src").part.files == 1
        assert project.read == 1
    assert project.warning is not None
