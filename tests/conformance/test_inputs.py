"""What a stage sees of the source, and what it may do with it."""

from __future__ import annotations

import os

import pytest

from conformance.conftest import Bench, pipeline, stage, states
from conformance.test_outputs import NAMES, PATHS, quoted
from penstock.errors import InputError


def said(bench: Bench, command: str, inputs: list[str], **more: object) -> str:
    """What a stage prints that must succeed."""
    report = bench.run(pipeline({"s": {"run": command, "inputs": inputs}}, **more))
    attempt = stage(report, "s").attempts[-1]
    assert states(report) == {"s": "ran"}, (attempt.log, attempt.problem)
    return attempt.log


def digests(bench: Bench) -> dict[str, str]:
    """Digest of every input of the stage, by path."""
    report = bench.run()
    return {part.path: part.digest for part in stage(report, "s").inputs}


@pytest.mark.parametrize(
    "command", ["echo 2 > in/a", "rm in/a", "echo 2 > in/b", "mv in/a in/c", "chmod +x in/a", "echo 2 > one"]
)
def test_a_stage_that_changes_an_input_fails_and_harms_nothing(isolated: Bench, command: str) -> None:
    isolated.write({"in/a": "1", "one": "1"})
    report = isolated.run(
        pipeline({"s": {"run": f"{command}; echo > out", "inputs": ["in", "one"], "outputs": ["out"]}})
    )
    assert states(report) == {"s": "failed"}
    attempt = stage(report, "s").attempts[-1]
    if attempt.exit_code:  # inputs that cannot be written at all
        assert "Read-only file system" in attempt.log or "busy" in attempt.log
    else:
        assert "changed its input" in (attempt.problem or "")
        assert "write to a declared output instead" in (attempt.problem or "")
    assert (isolated.root / "in/a").read_text() == "1"
    assert (isolated.root / "one").read_text() == "1"
    assert [path.name for path in (isolated.root / "in").iterdir()] == ["a"]


def test_a_stage_that_changes_what_another_made_fails_too(isolated: Bench) -> None:
    report = isolated.run(
        pipeline(
            {
                "make": {"run": "mkdir out; echo 1 > out/a", "outputs": ["out"]},
                "spoil": {"run": "echo 2 > out/a; echo > x", "inputs": ["out"], "outputs": ["x"]},
            }
        )
    )
    assert states(report) == {"make": "ran", "spoil": "failed"}
    report = isolated.run(
        pipeline(
            {
                "make": {"run": "mkdir out; echo 1 > out/a", "outputs": ["out"]},
                "read": {"run": "cat out/a", "inputs": ["out"]},
            }
        )
    )
    assert stage(report, "read").attempts[-1].log == "1\n"


def test_patterns_select_files_and_keep_their_places(isolated: Bench) -> None:
    isolated.write({"data/a.csv": "1", "data/b.csv": "2", "data/c.txt": "3", "data/deep/d.csv": "4"})
    assert said(isolated, "find . -type f | sort", ["data/*.csv"]) == "./data/a.csv\n./data/b.csv\n"


def test_two_stars_select_files_in_all_directories(isolated: Bench) -> None:
    isolated.write({"a.py": "1", "src/b.py": "2", "src/deep/er/c.py": "3", "src/d.txt": "4"})
    shown = said(isolated, "find . -type f | sort", ["**/*.py"])
    assert shown == "./a.py\n./src/b.py\n./src/deep/er/c.py\n"


def test_a_pattern_follows_what_it_selects(isolated: Bench) -> None:
    isolated.write({"data/a.csv": "1", "data/c.txt": "3"})
    text = pipeline({"s": {"run": "cat data/*.csv > out", "inputs": ["data/*.csv"], "outputs": ["out"]}})
    assert states(isolated.run(text)) == {"s": "ran"}
    isolated.write({"data/c.txt": "4"})
    assert states(isolated.run()) == {"s": "cached"}
    isolated.write({"data/b.csv": "2"})
    assert states(isolated.run()) == {"s": "ran"}
    assert isolated.read("out") == b"12"
    (isolated.root / "data/a.csv").unlink()
    assert states(isolated.run()) == {"s": "ran"}
    assert isolated.read("out") == b"2"


def test_a_pattern_that_selects_nothing_is_a_mistake(isolated: Bench) -> None:
    isolated.write({"data/a.csv": "1"})
    with pytest.raises(InputError, match=r"input 'data/\*\.parquet' is produced by no stage"):
        said(isolated, "true", ["data/*.parquet"])


def test_what_is_ignored_is_not_there(isolated: Bench) -> None:
    isolated.write(
        {
            "src/a.py": "1",
            "src/__pycache__/a.pyc": "2",
            "src/.venv/x": "3",
            "src/b.log": "4",
            "src/tmp/c": "5",
            "src/deep/tmp/d": "6",
            "src/x.pyc": "7",
        }
    )
    shown = said(isolated, "find . -type f | sort", ["src"], ignore=["*.log", "src/tmp"])
    assert shown == "./src/a.py\n./src/deep/tmp/d\n"


def test_what_is_ignored_is_not_there_behind_a_link_either(isolated: Bench) -> None:
    isolated.write({"real/a": "1", "real/deep/b.log": "2", "real/__pycache__/c": "3"})
    (isolated.root / "folder").symlink_to("real")
    shown = said(isolated, "find folder/ -type f", ["folder"], ignore=["*.log"])
    assert shown == "folder/a\n"


def test_a_link_within_the_project_is_what_it_leads_to(isolated: Bench) -> None:
    isolated.write({"real/a": "1", "other/b": "2"})
    (isolated.root / "folder").symlink_to("real")
    (isolated.root / "file").symlink_to("other/b")
    shown = said(isolated, "cat folder/a file; test ! -e real", ["folder", "file"])
    assert shown == "12"
    assert digests(isolated) == {
        "file": "sha256:d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35",
        "folder": "sha256:cae56eb330d6aaf381be809680ed95d5dc5c2506fe6c7bb343ce3d36efa1ae55",
    }


def test_links_in_a_directory_stay_links(isolated: Bench) -> None:
    isolated.write({"in/a": "1", "in/deep/b": "2"})
    (isolated.root / "in/l").symlink_to("a")
    (isolated.root / "in/deep/up").symlink_to("../a")
    (isolated.root / "in/gone").symlink_to("nowhere")
    command = "test -L in/l; test -L in/deep/up; test -L in/gone; cat in/l in/deep/up"
    assert said(isolated, command, ["in"]) == "11"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "in/../../outside"])
def test_a_link_that_leads_out_is_refused(isolated: Bench, target: str) -> None:
    (isolated.root.parent / "outside").write_text("x")
    isolated.write({"in/a": "1"})
    (isolated.root / "l").symlink_to(target)
    with pytest.raises(InputError, match="input 'l' leads out of the root"):
        said(isolated, "cat l", ["l"])


def test_a_link_in_a_directory_that_leads_out_is_refused(isolated: Bench) -> None:
    isolated.write({"in/a": "1", "b": "2"})
    (isolated.root / "in/l").symlink_to("../b")
    with pytest.raises(InputError, match=r"input 'in': the link in/l leads out of it, to '\.\./b'"):
        said(isolated, "true", ["in"])


def test_empty_directories_and_executable_bits_of_the_source(isolated: Bench) -> None:
    isolated.write({"in/run": "#!/bin/sh\necho ran\n", "tool": "#!/bin/sh\necho tool\n", "in/plain": "x"})
    (isolated.root / "in/run").chmod(0o755)
    (isolated.root / "tool").chmod(0o700)
    (isolated.root / "in/empty/deep").mkdir(parents=True)
    assert said(isolated, "./in/run; ./tool; test ! -x in/plain", ["in", "tool"]) == "ran\ntool\n"


def test_a_changed_executable_bit_is_a_change(isolated: Bench) -> None:
    isolated.write({"tool": "x", "in/a": "y"})
    said(isolated, "true", ["tool", "in"])
    (isolated.root / "tool").chmod(0o755)
    assert states(isolated.run()) == {"s": "ran"}
    (isolated.root / "in/a").chmod(0o755)
    assert states(isolated.run()) == {"s": "ran"}
    (isolated.root / "in/a").chmod(0o644)
    (isolated.root / "tool").chmod(0o644)
    assert states(isolated.run()) == {"s": "cached"}


def test_names_of_all_kinds_are_there_with_their_directory(isolated: Bench) -> None:
    folder = isolated.root / "in"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(name)
    shown = said(
        isolated,
        'for f in in/*; do test "$(printf "%s." "${f#in/}")" = "$(cat "$f"; printf .)" || exit 9; done;'
        "set -- in/*; echo $#",
        ["in"],
    )
    assert shown == f"{len(NAMES)}\n"


def test_names_of_all_kinds_are_selected_by_a_pattern(isolated: Bench) -> None:
    folder = isolated.root / "in"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(name)
    (isolated.root / "in/deep").mkdir()
    isolated.write({"in/deep/no": "x"})
    shown = said(isolated, "set -- in/*; echo $#; test ! -e in/deep", ["in/*"])
    assert shown == f"{len(NAMES)}\n"


def test_declared_paths_of_all_kinds_are_there_one_by_one(isolated: Bench) -> None:
    for number, name in enumerate(PATHS):
        isolated.write({f"in/{name}": f"{number}\n", f"{name}/x": f"{number}\n"})
    one = [f"in/{name}" for name in PATHS]
    deep = list(PATHS)
    command = "cat " + " ".join(quoted(f"./{path}") for path in (*one, *(f"{path}/x" for path in deep)))
    isolated.write({"in/other": "x", "in/x": "y"})
    shown = said(isolated, f"{command}; test ! -e in/other; test ! -e in/x", [*one, *deep])
    assert shown == 2 * "".join(f"{number}\n" for number in range(len(PATHS)))


def test_names_that_are_no_text_are_there_with_their_directory(isolated: Bench) -> None:
    (isolated.root / "in").mkdir()
    with open(os.fsencode(isolated.root / "in") + b"/a\xffb", "w") as file:  # noqa: PTH123 - the path is bytes
        file.write("1")
    assert said(isolated, 'cat "in/$(printf "a\\377b")"', ["in"]) == "1"


def test_a_source_of_some_megabytes_arrives_whole(isolated: Bench) -> None:
    (isolated.root / "big").write_bytes(bytes(range(256)) * 16384)
    assert (
        said(isolated, "wc -c < big | tr -d ' '; tail -c 1 big | od -An -tu1 | tr -d ' '", ["big"])
        == "4194304\n255\n"
    )


def test_a_missing_input_names_what_is_like_it(isolated: Bench) -> None:
    isolated.write({"data/train.csv": "1"})
    with pytest.raises(InputError, match=r"nearest file: 'data/train\.csv'"):
        said(isolated, "true", ["data/trian.csv"])


def test_an_undeclared_file_that_a_stage_wants_is_named(isolated: Bench) -> None:
    isolated.write({"data/train.csv": "1", "other": "2"})
    report = isolated.run(pipeline({"s": {"run": "cat data/train.csv", "inputs": ["other"]}}))
    assert stage(report, "s").attempts[-1].problem == (
        "exit code 1\n  'data/train.csv' is in the project, but no input of the stage: add it to its inputs"
    )


def test_parameters_are_a_file_with_what_was_declared(isolated: Bench) -> None:
    isolated.write({"params.yaml": "train: {epochs: 3, name: 'ü: #'}\nother: {x: 1}\nwide: true\n"})
    report = isolated.run(
        pipeline(
            {"s": {"run": "cat params.yaml", "params": ["train", "wide"]}, "n": {"run": "ls -A"}},
            params="params.yaml",
        )
    )
    assert stage(report, "s").attempts[-1].log == "train:\n  epochs: 3\n  name: 'ü: #'\nwide: true\n"
    assert stage(report, "n").attempts[-1].log == ""


def test_the_surroundings_are_the_same(isolated: Bench) -> None:
    names = "TZ LANG LC_ALL PYTHONHASHSEED SOURCE_DATE_EPOCH A B"
    command = (
        f'pwd; for n in {names}; do eval echo "$n=\\$$n"; done; test -w "$HOME"; test -w "$TMPDIR"; ls -A'
    )
    report = isolated.run(
        pipeline({"s": {"run": command, "variables": {"B": "it's $HOME"}}}, variables={"A": "1", "B": "2"})
    )
    assert stage(report, "s").attempts[-1].log.splitlines()[1:] == [
        "TZ=UTC",
        "LANG=C.UTF-8",
        "LC_ALL=C.UTF-8",
        "PYTHONHASHSEED=0",
        "SOURCE_DATE_EPOCH=315532800",
        "A=1",
        "B=it's $HOME",
    ]
