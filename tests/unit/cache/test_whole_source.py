"""What stands at paths of the source, for stages that are observed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.cache.observations import (
    MOST_VARIANTS,
    READ,
    SEEN,
    WHOLE,
    Look,
    Observation,
    decode,
    encode,
    unobserved,
    with_newest,
)
from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store
from penstock.cache.whole_source import Facts, WholeSource
from penstock.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    return place


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def source(root: Path, *outputs: str, ignore: tuple[str, ...] = ()) -> WholeSource:
    return WholeSource(StatIndex(root, root / ".penstock" / "state.sqlite", ignore), outputs)


def facts(root: Path, *paths: str, how: str = READ, outputs: tuple[str, ...] = ()) -> Facts:
    return source(root, *outputs).facts([Look(path, how) for path in paths])


def shown(root: Path, *outputs: str) -> list[str]:
    return sorted(
        os.path.join(folder, name)  # noqa: PTH118 - names
        for folder, entries in source(root, *outputs).walk()
        for name, entry in entries.items()
        if entry.kind != "d"
    )


def test_a_file_is_known_by_its_content_and_by_whether_it_is_executable(root: Path) -> None:
    write(root, a="1")
    one = facts(root, "a")
    assert one["a"].startswith("file sha256:6b86b273")
    (root / "a").chmod(0o755)
    assert facts(root, "a")["a"] == one["a"].replace("file", "executable")
    assert facts(root, "a", how=SEEN) == {"a": "executable 1 bytes"}


def test_a_directory_is_known_by_the_names_in_it(root: Path) -> None:
    write(root, d__b="1", d__a="2", d__deep__c="3", out__x="4")
    (root / "d/empty").mkdir()
    assert facts(root, "d", outputs=("out",)) == {"d": "directory of a, b, deep/"}
    assert facts(root, "d", how=SEEN) == {"d": "directory"}
    assert facts(root, "", outputs=("out",)) == {".": "directory of d/"}
    write(root, **{f"many__f{number}": "" for number in range(50)})
    assert facts(root, "many")["many"].startswith("directory of 50 names sha256:")


def test_nothing_is_known_too(root: Path) -> None:
    write(root, a="1")
    (root / "empty/deep").mkdir(parents=True)
    assert set(facts(root, "b", "a/below", "empty", "c/d").values()) == {"absent"}


def test_what_nobody_is_shown_is_no_fact(root: Path) -> None:
    write(root, out__x="1", env__lib="2", pkg__a="3")
    write(root, **{"env__pyvenv.cfg": "", ".git__config": "4", "pkg____pycache____a.pyc": ""})
    assert facts(root, "out", "out/x", ".git/config", "pkg/__pycache__/a.pyc", outputs=("out",)) == {}
    assert facts(root, "env/lib") == {"env/lib": "absent"}
    assert shown(root, "out") == ["pkg/a"]


def test_links_are_followed_and_say_where_they_lead(root: Path) -> None:
    write(root, real__a="1", other__a="1")
    (root / "link").symlink_to("real")
    (root / "up").symlink_to("real/../other/a")
    (root / "loop").symlink_to("loop")
    (root / "out").symlink_to("/etc/passwd")
    before = facts(root, "link/a", "loop", "out", "real/a")
    assert before["link/a"] == f"{before['real/a']} at real/a"
    assert (before["loop"], before["out"]) == ("absent", "absent")
    (root / "link").unlink()
    (root / "link").symlink_to("other")
    assert facts(root, "link/a")["link/a"] != before["link/a"]


def test_special_files_are_not_shown(root: Path) -> None:
    write(root, a="1")
    os.mkfifo(root / "fifo")
    assert shown(root) == ["a"]


def test_everything_changes_with_anything(root: Path) -> None:
    write(root, a="1", d__b="2")
    found = {facts(root, "", how=WHOLE)["**"]}
    for name, text in (("a", "3"), ("d__c", "4"), ("e", "")):
        write(root, **{name: text})
        found.add(facts(root, "", how=WHOLE)["**"])
    (root / "link").symlink_to("a")
    found.add(facts(root, "", how=WHOLE)["**"])
    assert len(found) == 5


def test_a_file_that_changes_meanwhile_is_refused(root: Path) -> None:
    write(root, a="1")
    whole = source(root)
    list(whole.walk())
    (root / "a").write_text("22")
    with pytest.raises(InputError, match="input 'a' changed while it was read"):
        whole.facts([Look("a", READ)])
    assert whole.facts([Look("a", SEEN)]) == {"a": "file 1 bytes"}


def _observation(*paths: str) -> Observation:
    return Observation(looks=tuple(Look(path, READ, "sh") for path in paths), touched=("x",), wrote=("y",))


def test_observations_come_back_from_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    key = "sha256:" + "1" * 64
    assert store.observations(key) == ()
    found = (_observation("a", "b\udcff"), unobserved("because"))
    store.put_observations(key, found)
    assert store.observations(key) == found


@pytest.mark.parametrize("damage", [b"", b"{}", b"00000000\n[]\n", b"x" * 40])
def test_damaged_observations_are_none(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path / "home")
    key = "sha256:" + "1" * 64
    store.put_observations(key, (_observation("a"),))
    Path(store.place("observed", key)).write_bytes(damage)
    assert store.observations(key) == ()
    assert not Path(store.place("observed", key)).exists()


def test_every_flipped_byte_of_observations_is_found() -> None:
    data = encode((_observation("a"),))
    for at in range(len(data) - 1):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ValueError, match=r"."):
            decode(flipped)


def test_the_newest_observations_are_kept_each_set_of_paths_once() -> None:
    known: tuple[Observation, ...] = ()
    for number in range(20):
        known = with_newest(known, _observation(str(number % 10)))
    assert [each.looks[0].path for each in known] == [
        str(number) for number in range(9, 9 - MOST_VARIANTS, -1)
    ]
