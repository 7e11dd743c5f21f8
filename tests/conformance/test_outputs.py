"""What can be an output, and what it is called where it cannot."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePath

import pytest

from conformance.conftest import Bench, pipeline, stage, states
from penstock.results import RunReport, Verdict

NAMES = (
    *("a b", "it's", 'a "quote"', "-rf", "[x]", "*", "?", "!x", "#x", "back\\slash", "ü", "日本", "$HOME"),
    *(
        "`id`",
        "new\nline",
        "tab\t",
        "{a,b}",
        "~",
        "%41",
        "a;b",
        "&",
        "\u202e",
        " ",
        "e\u0301",
        "\x1b[31m",
        "n" * 255,
    ),
)
PATHS = (
    " a",
    "a ",
    "a b",
    "it's",
    '"',
    "-rf",
    "x]",
    "!x",
    "#x",
    "back\\slash",
    "ü",
    "$HOME",
    "{a,b}",
    "~x",
    "%41",
    "a;b",
)


def problem(report: RunReport, name: str = "s") -> str:
    """Why a stage failed."""
    assert states(report)[name] == "failed"
    return stage(report, name).attempts[-1].problem or ""


def test_a_missing_output_names_what_was_written_instead(isolated: Bench) -> None:
    isolated.write({"in/a": "1"})
    report = isolated.run(
        pipeline(
            {
                "s": {
                    "run": "mkdir -p build/deep; : > build/modle.bin; : > build/deep/x; : > y",
                    "inputs": ["in"],
                    "outputs": ["build/model.bin", "other"],
                }
            }
        )
    )
    assert problem(report) == (
        "declared output 'build/model.bin' was not written (nor 1 more)\n"
        "  it wrote build/deep/x, build/modle.bin, y"
    )


def test_a_missing_output_of_a_stage_that_writes_nothing_says_so(isolated: Bench) -> None:
    isolated.write({"in/a": "1", "params.yaml": "a: 1\n"})
    report = isolated.run(
        pipeline(
            {"s": {"run": "true", "inputs": ["in"], "params": ["a"], "outputs": ["b/c"]}},
            params="params.yaml",
        )
    )
    assert problem(report) == "declared output 'b/c' was not written\n  it wrote nothing"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo > x; ln -s x out", "output 'out' is a link to 'x'\n  write the file itself there"),
        ("ln -s none out", "output 'out' is a link to 'none'\n  write the file itself there"),
        ("ln -s /etc out", "output 'out' is a link to '/etc'\n  write the file itself there"),
        ("mkfifo out", "output 'out' is a FIFO\n  an output is a file or a directory"),
        ("mkdir out; mkfifo out/f", "output 'out/f' is a FIFO\n  an output is a file or a directory"),
        (
            "mkdir out; ln -s /etc/passwd out/l",
            "output 'out': the link 'l' leads out of it, to '/etc/passwd'",
        ),
        ("mkdir out; ln -s ../in out/l", "output 'out': the link 'l' leads out of it, to '../in'"),
    ],
)
def test_what_can_be_no_output_is_refused(isolated: Bench, command: str, said: str) -> None:
    report = isolated.run(pipeline({"s": {"run": command, "outputs": ["out"]}}))
    assert problem(report).startswith(said)


def test_an_output_behind_a_link_is_refused(isolated: Bench) -> None:
    command = "rmdir build; mkdir real; ln -s real build; echo > build/out"
    report = isolated.run(pipeline({"s": {"run": command, "outputs": ["build/out"]}}))
    assert problem(report) == (
        "declared output 'build/out' lies behind the link 'real'\n  write a directory there, not a link to one"
    )


def test_a_directory_keeps_links_empty_directories_and_modes(isolated: Bench) -> None:
    make = (
        "mkdir -p out/empty out/deep/er out/full; echo 1 > out/full/file; printf '#!/bin/sh\\necho ran\\n' > out/run;"
        "chmod 755 out/run; chmod 600 out/full/file; ln -s full/file out/link; ln -s full out/folder;"
        "ln -s ../run out/deep/up; ln -s gone out/dangling"
    )
    use = (
        "./out/run; test -d out/empty; test -d out/deep/er; test -L out/link; test -L out/folder;"
        "test ! -x out/full/file; readlink out/dangling out/deep/up; cat out/link out/folder/file"
    )
    report = isolated.run(
        pipeline({"make": {"run": make, "outputs": ["out"]}, "use": {"run": use, "inputs": ["out"]}})
    )
    assert states(report) == {"make": "ran", "use": "ran"}
    assert stage(report, "use").attempts[-1].log == "ran\ngone\n../run\n1\n1\n"
    (part,) = stage(report, "make").outputs
    assert part.digest == "sha256:c0b5a20d27e8e83ca24a1018029cb6550b13385a458e230e9ffe415398328a20"
    out = isolated.root / "out"
    assert (out / "empty").is_dir()
    assert (out / "link").readlink() == Path("full/file")
    assert os.access(out / "run", os.X_OK)


def test_names_of_all_kinds_survive_in_a_directory(isolated: Bench) -> None:
    isolated.write({"names": "\0".join(NAMES)})
    # by way of a file: the command itself must hold no such name
    make = (
        "mkdir out; cat names | tr '\\n\\000' '\\001\\n' > list; echo >> list;"
        'while IFS= read -r name; do real=$(printf %s. "$name" | tr "\\001" "\\n"); real=${real%.};'
        'printf %s "$real" > "out/$real"; done < list'
    )
    use = 'for f in out/*; do test "$(printf %s. "${f#out/}")" = "$(cat "$f"; printf .)" || exit 9; done'
    report = isolated.run(
        pipeline(
            {
                "make": {"run": make, "inputs": ["names"], "outputs": ["out"]},
                "use": {"run": use, "inputs": ["out"]},
            }
        )
    )
    assert states(report) == {"make": "ran", "use": "ran"}, stage(report, "make").attempts
    (part,) = stage(report, "make").outputs
    assert part.files == len(NAMES)
    assert part.digest == "sha256:20c27e988a4048f6a975f4eee39d00b364afcf9cccaa2e2e6d76f48e6fba9370"
    assert sorted(path.name for path in (isolated.root / "out").iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert isolated.read(f"out/{name}") == name.encode()


def test_names_that_are_no_text_survive_in_a_directory(isolated: Bench) -> None:
    make = 'mkdir out; name=$(printf \'a\\377b\'); echo 1 > "out/$name"; ln -s "$name" out/l'
    report = isolated.run(
        pipeline(
            {
                "make": {"run": make, "outputs": ["out"]},
                "use": {"run": 'cat "out/$(printf "a\\377b")" out/l', "inputs": ["out"]},
            }
        )
    )
    assert states(report) == {"make": "ran", "use": "ran"}
    assert stage(report, "use").attempts[-1].log == "1\n1\n"
    names = [os.fsencode(path.name) for path in (isolated.root / "out").iterdir()]
    assert sorted(names) == [b"a\xffb", b"l"]


def test_declared_paths_of_all_kinds_are_outputs_and_inputs(isolated: Bench) -> None:
    outputs = [f"build/{name}" for name in PATHS]
    write = {
        "run": "cat list > /dev/null; " + "; ".join(f"echo {n} > {quoted(p)}" for n, p in enumerate(outputs))
    }
    read = {"run": "; ".join(f"cat {quoted(path)}" for path in outputs), "inputs": outputs}
    isolated.write({"list": "x"})
    report = isolated.run(
        pipeline({"write": {**write, "inputs": ["list"], "outputs": outputs}, "read": read})
    )
    assert states(report) == {"write": "ran", "read": "ran"}
    assert stage(report, "read").attempts[-1].log == "".join(f"{n}\n" for n in range(len(PATHS)))
    for number, path in enumerate(outputs):
        assert isolated.read(path) == f"{number}\n".encode()


def quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"


def test_an_output_may_lie_in_a_directory_that_is_an_input(isolated: Bench) -> None:
    isolated.write({"data/a.csv": "1\n"})
    text = pipeline(
        {
            "make": {
                "run": "cat data/a.csv data/a.csv > data/b.csv",
                "inputs": ["data/a.csv"],
                "outputs": ["data/b.csv"],
            },
            "all": {"run": "cat data/*.csv", "inputs": ["data"]},
        }
    )
    report = isolated.run(text)
    assert states(report) == {"make": "ran", "all": "ran"}
    assert stage(report, "all").attempts[-1].log == "1\n1\n1\n"
    assert states(isolated.run()) == {"make": "cached", "all": "cached"}


def test_part_of_a_directory_with_odd_names_can_be_an_input(isolated: Bench) -> None:
    make = "mkdir -p 'out/#a b/x' 'out/!c'; echo 1 > 'out/#a b/x/y'; ln -s x/y 'out/#a b/l'; echo 2 > 'out/!c/-d'; mkdir 'out/#a b/e'"
    use = "cat 'out/#a b/l' 'out/!c/-d'; test -d 'out/#a b/e'; ls out"
    report = isolated.run(
        pipeline(
            {
                "make": {"run": make, "outputs": ["out"]},
                "use": {"run": use, "inputs": ["out/#a b", "out/!c/-d"]},
                "deep": {"run": "cat 'out/#a b/x/y'; test ! -e 'out/#a b/l'", "inputs": ["out/#a b/x"]},
            }
        )
    )
    assert states(report) == {"make": "ran", "use": "ran", "deep": "ran"}
    assert stage(report, "use").attempts[-1].log == "1\n2\n!c\n#a b\n"


@pytest.mark.parametrize("content", ["\\377\\376\\000\\001", '{"a": 1}\\377', "", "[", "\\000"])
def test_a_metrics_file_that_is_none_decides_nothing(isolated: Bench, content: str) -> None:
    report = isolated.run(
        pipeline(
            {"s": {"run": f"printf '{content}' > m.json", "outputs": {"metrics": "m.json"}}},
            gates=[{"gate": "threshold", "metric": "a", "min": 0}],
        )
    )
    (gate,) = report.gates
    assert gate.verdict is Verdict.FAIL
    assert gate.sentence.startswith("m.json")
    assert report.exit_code == 3


def test_a_publication_holds_bytes_that_are_no_text(isolated: Bench) -> None:
    command = "mkdir model; head -c 100000 /dev/zero > model/zero; printf '\\377\\376' > model/bytes; printf '\\377' > one"
    report = isolated.run(
        pipeline(
            {"s": {"run": command, "outputs": {"model": "model", "other": "one"}}},
            publish={"archive": {"path": "dist", "contents": ["model", "one"]}},
        )
    )
    assert [each.state.value for each in report.publications] == ["written"]
    (place,) = (isolated.root / "dist").iterdir()
    with tarfile.open(place) as archive:
        held = {PurePath(name).name: archive.extractfile(name) for name in archive.getnames()}
        contents = {name: file.read() for name, file in held.items() if file is not None}
    assert contents["zero"] == bytes(100000)
    assert contents["bytes"] == b"\xff\xfe"
    assert contents["one"] == b"\xff"
