from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio
import pytest

from penstock.errors import ExecutorError, InputError
from penstock.executors import layout
from penstock.executors.workspace import Binding, Workspace
from stage_samples import MODES, Bench, found


@pytest.fixture(params=MODES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    found(request.param)
    return Bench(tmp_path / "project", request.param)


@pytest.fixture
def copies(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "project", "none")


def write(bench: Bench, *paths: str, text: str = "x\n") -> None:
    for path in paths:
        (bench.root / path).parent.mkdir(parents=True, exist_ok=True)
        (bench.root / path).write_text(text)


def binding(bench: Bench, path: str, *masked: str) -> Binding:
    return Binding(path, bench.root / path, masked)


def seen(bench: Bench, *bindings: Binding, outputs: tuple[str, ...] = ()) -> list[str]:
    """Files that a stage with these inputs sees, and directories that hold nothing."""
    # a stage that fails, so that nobody looks for its outputs
    find = "find . -mindepth 1 \\( ! -type d -o -empty \\) | LC_ALL=C sort; exit 1"
    bench.output.clear()
    anyio.run(partial(bench.go, bench.stage(find, outputs), bindings))
    return [line.removeprefix("./") for line in bench.text.splitlines()]


def test_a_stage_sees_its_inputs_and_nothing_else(bench: Bench) -> None:
    write(bench, "src/a.py", "src/deep/b.py", "params.yaml", "undeclared.py")
    assert seen(bench, binding(bench, "src"), binding(bench, "params.yaml")) == [
        "params.yaml",
        "src/a.py",
        "src/deep/b.py",
    ]


def test_what_is_masked_is_not_there_not_even_by_name(bench: Bench) -> None:
    write(
        bench, "src/a.py", "src/pkg/__pycache__/a.pyc", "src/pkg/b.py", "src/pkg/c.log", "src/pkg/deep/d.py"
    )
    masked = ("src/pkg/__pycache__", "src/pkg/c.log")
    assert seen(bench, binding(bench, "src", *masked)) == ["src/a.py", "src/pkg/b.py", "src/pkg/deep/d.py"]


def test_many_masks_are_no_matter(bench: Bench) -> None:
    write(bench, "d/keep", *(f"d/sub{number}/{name}" for number in range(40) for name in ("a", "b.log")))
    masked = [f"d/sub{number}/b.log" for number in range(40)]
    assert seen(bench, binding(bench, "d", *masked)) == ["d/keep", *sorted(f"d/sub{n}/a" for n in range(40))]


def test_in_a_directory_of_very_many_files_what_is_masked_holds_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "_MOST_TAKEN_APART", 3)
    write(bench, "d/1", "d/2", "d/3", "d/secret", "d/cache/secret", text="hidden\n")
    bench.run("cat d/secret d/cache/secret || :", [binding(bench, "d", "d/secret", "d/cache")])
    assert "hidden" not in bench.text


def test_a_selection_of_files_is_all_that_there_is(bench: Bench) -> None:
    write(bench, "a/1.csv", "a/2.txt", "b/c/3.csv")
    chosen = Binding("**/*.csv", bench.root, members=("a/1.csv", "b/c/3.csv"))
    assert seen(bench, chosen) == ["a/1.csv", "b/c/3.csv"]


def test_a_selection_may_lie_in_a_directory_that_is_an_input_too(bench: Bench) -> None:
    write(bench, "a/1.csv", "a/2.txt")
    chosen = Binding("**/*.csv", bench.root, members=("a/1.csv",))
    assert seen(bench, chosen, binding(bench, "a")) == ["a/1.csv", "a/2.txt"]


def test_an_output_of_another_stage_may_lie_in_a_source_directory(bench: Bench) -> None:
    write(bench, "data/raw.csv", "data/features.csv", "data/old")
    (bench.root / "store").write_text("fresh\n")
    inner = Binding("data/features.csv", bench.root / "store")
    assert seen(bench, binding(bench, "data", "data/features.csv"), inner) == [
        "data/features.csv",
        "data/old",
        "data/raw.csv",
    ]
    bench.run("cat data/features.csv", [binding(bench, "data", "data/features.csv"), inner])
    assert bench.text.endswith("fresh\n")


def test_an_input_below_another_one_is_part_of_it(bench: Bench) -> None:
    write(bench, "data/raw.csv", "data/more/x.csv")
    assert seen(bench, binding(bench, "data"), binding(bench, "data/more")) == [
        "data/more/x.csv",
        "data/raw.csv",
    ]


def test_an_output_may_lie_in_an_input_directory(bench: Bench) -> None:
    write(bench, "src/a.py", "src/gen/old.py", "src/lib/c.py")
    stage = bench.stage("echo new > src/gen/new.py", ["src/gen/new.py"])
    ended = anyio.run(partial(bench.go, stage, [binding(bench, "src")]))
    assert (ended.exit_code, bench.changed) == (0, [])
    assert bench.kept["src/gen/new.py"].read_text() == "new\n"


def test_outputs_of_an_earlier_run_are_not_in_the_way(bench: Bench) -> None:
    write(bench, "src/a.py", "src/out/metrics.json")
    assert seen(bench, binding(bench, "src"), outputs=("src/out/metrics.json",)) == ["src/a.py", "src/out"]


def test_the_directories_of_outputs_are_there(bench: Bench) -> None:
    stage = bench.stage(
        "echo 1 > build/deep/m.json; mkdir build/model; echo 2 > build/model/w",
        ["build/deep/m.json", "build/model"],
    )
    ended = anyio.run(partial(bench.go, stage))
    assert ended.exit_code == 0, bench.text
    assert bench.kept["build/deep/m.json"].read_text() == "1\n"
    assert (bench.kept["build/model"] / "w").read_text() == "2\n"


def test_a_stage_cannot_write_into_the_project_and_fails_by_name_if_it_changes_an_input(bench: Bench) -> None:
    write(bench, "src/a.py", "one.txt")
    script = "echo changed > src/a.py || echo refused; echo changed > one.txt || echo refused"
    bench.run(script, [binding(bench, "src"), binding(bench, "one.txt")])
    assert (bench.root / "src/a.py").read_text() == (bench.root / "one.txt").read_text() == "x\n"
    if bench.mode == "none":
        assert bench.changed == ["one.txt", "src/a.py"]
    else:
        assert "src/a.py: Read-only file system" in bench.text
        assert bench.changed == []


@pytest.mark.parametrize(
    "change",
    ["rm src/a.py", "chmod 700 src/a.py", "touch -d 2001-01-01 src/a.py", "mv src/a.py src/b.py", "touch src/new", "ln src/a.py here", "cp src/a.py t; mv t src/a.py"],
)  # fmt: skip
def test_every_change_of_a_copy_is_seen(copies: Bench, change: str) -> None:
    write(copies, "src/a.py")
    copies.run(change, [binding(copies, "src")])
    assert copies.changed[0] in ("src", "src/a.py")


def test_reading_is_no_change(bench: Bench) -> None:
    write(bench, "src/a.py", "src/pkg/__init__.py", "one.txt", text="1\n")
    script = "cat src/a.py one.txt > all; find src; PYTHONPATH=src python3 -c 'import pkg'"
    ended = bench.run(script, [binding(bench, "src", "src/none"), binding(bench, "one.txt")])
    assert ended.exit_code == 0, bench.text
    assert (bench.changed, bench.written) == ([], ["all"])


def test_a_file_of_the_project_is_safe_from_writing_through_its_copy(copies: Bench) -> None:
    write(copies, "big.bin", text="0123456789abcdef" * 40_000)
    before = (copies.root / "big.bin").read_bytes()
    copies.run("printf XX | dd of=big.bin conv=notrunc 2>/dev/null", [binding(copies, "big.bin")])
    assert (copies.root / "big.bin").read_bytes() == before
    assert copies.changed == ["big.bin"]


def test_a_large_file_arrives_whole(bench: Bench) -> None:
    text = "0123456789abcdef" * 400_000
    write(bench, "d/big.bin", "d/masked", text=text)
    bench.run("md5sum < d/big.bin", [binding(bench, "d", "d/masked")])
    import hashlib

    assert bench.text.split()[0] == hashlib.md5(text.encode()).hexdigest()
    assert bench.changed == []


def test_links_and_execute_bits_are_kept(bench: Bench) -> None:
    write(bench, "bin/tool", text="#!/bin/sh\necho ran\n")
    (bench.root / "bin/tool").chmod(0o755)
    (bench.root / "bin/link").symlink_to("tool")
    (bench.root / "bin/dangling").symlink_to("nowhere")
    bench.run("bin/link; readlink bin/dangling", [binding(bench, "bin", "bin/masked")])
    assert bench.text == "ran\nnowhere\n"


def test_an_input_that_is_a_link_is_what_it_leads_to(bench: Bench) -> None:
    write(bench, "real/f", "file")
    (bench.root / "dir").symlink_to("real")
    (bench.root / "alias").symlink_to("file")
    assert seen(bench, binding(bench, "dir"), binding(bench, "alias")) == ["alias", "dir/f"]
    bench.run("[ ! -L alias ] && [ ! -L dir ]", [binding(bench, "dir"), binding(bench, "alias")])


ODD = ("new\nline", "-rf", "quo'te\"", os.fsdecode(b"\xff\xfe"), "ü" * 127, "x" * 255, " ", "$(touch z)", "*")


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_names(bench: Bench, name: str) -> None:
    path = f"d/{name}"
    write(bench, f"in/{name}/{name}", f"in/{name}/masked", name, text="odd\n")
    run = 'cat "in/$N/$N" "./$N"; mkdir -p d; cp "./$N" "d/$N"; echo "$(ls -A "in/$N")" > seen; test "$(cat seen)" = "$N"'
    stage = bench.stage(run, [path], variables=(("N", name),))
    bindings = [binding(bench, "in", f"in/{name}/masked"), binding(bench, name)]
    ended = anyio.run(partial(bench.go, stage, bindings))
    assert ended.exit_code == 0, bench.text
    assert bench.text.splitlines()[:2] == ["odd", "odd"]
    assert (bench.changed, bench.kept[path].read_text()) == ([], "odd\n")


def test_parameters_and_files_of_a_recipe_are_in_the_workspace(bench: Bench) -> None:
    stage = bench.stage(
        "cat params.yaml .recipe/run.py",
        params={"train": {"rate": 1e-05, "name": "Zürich", "layers": [1, 2], "on": True, "none": None}},
        params_file="params.yaml",
        files=((".recipe/run.py", "print('ü')\n"),),
    )
    anyio.run(partial(bench.go, stage))
    assert bench.text == (
        "train:\n  layers:\n  - 1\n  - 2\n  name: Zürich\n  none: null\n  'on': true\n  rate: 1.0e-05\nprint('ü')\n"
    )
    assert (bench.changed, bench.written) == ([], [])


def test_the_parameters_of_the_plan_stand_where_the_file_was(bench: Bench) -> None:
    write(bench, "conf/params.yaml", "conf/other.yaml")
    stage = bench.stage("cat conf/params.yaml; ls conf", params={"a": 1}, params_file="conf/params.yaml")
    anyio.run(partial(bench.go, stage, [binding(bench, "conf")]))
    assert bench.text == "a: 1\nother.yaml\nparams.yaml\n"


def test_what_a_stage_wrote_is_told_without_its_inputs(bench: Bench) -> None:
    write(bench, "src/a.py", "src/m")
    bench.run("mkdir b; touch b/2 1 src.txt", [binding(bench, "src", "src/m")])
    assert bench.written == ["1", "b/2", "src.txt"]


def test_an_output_behind_a_link_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/m.json").write_text("{}")
    stage = bench.stage(f"rm -r build; ln -s {tmp_path}/private build", ["build/m.json"])
    with pytest.raises(
        InputError, match=r"'build/m.json' lies behind the link '.*/private'\n  write a directory"
    ):
        anyio.run(partial(bench.go, stage))


def test_an_input_that_is_gone_is_an_input_error(bench: Bench) -> None:
    write(bench, "src/a.py")
    with pytest.raises(InputError, match=r"input 'data' cannot be read: No such file"):
        bench.make(bench.stage("true"), [binding(bench, "src"), binding(bench, "data")])


def test_a_place_that_cannot_be_written_is_an_executor_error(tmp_path: Path) -> None:
    (tmp_path / ".penstock").write_text("a file")
    with pytest.raises(ExecutorError, match=r"the workspace cannot be made: Not a directory"):
        Bench(tmp_path, "none").make(Bench(tmp_path, "none").stage("true"))


def test_removing_follows_no_link_and_stops_at_no_permission(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/keep").write_text("x")
    bench.run(
        f"ln -s {tmp_path}/outside out; mkdir -p ro/deep; touch ro/deep/f; chmod 0 ro/deep ro; touch $HOME/x"
    )
    Workspace.close(bench.work)
    assert (tmp_path / "outside/keep").read_text() == "x"
    assert list(bench.work.iterdir()) == []


def test_a_directory_too_deep_for_python_is_removed(copies: Bench) -> None:
    code = "import os\nfor i in range(3000): os.mkdir('d'); os.chdir('d')"
    copies.run(f'python3 -c "{code}"')
    Workspace.close(copies.work)
    assert list(copies.work.iterdir()) == []


def test_secrets_and_variables_are_in_the_environment(bench: Bench) -> None:
    stage = bench.stage(
        "echo $A $TOKEN $TZ $PYTHONHASHSEED; pwd -P >/dev/null", variables=(("A", "a b"), ("TZ", "CET"))
    )
    anyio.run(partial(bench.go, stage, secrets={"TOKEN": "t=\n"}))
    assert bench.text == "a b t= CET 0\n"


def test_an_environment_that_is_not_the_systems_comes_first(bench: Bench, tmp_path: Path) -> None:
    from penstock.executors.environments import Prepared

    tool = tmp_path / "env/bin/tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho from the environment\n")
    tool.chmod(0o755)
    bench.run("tool", prepared=Prepared((tool.parent,), (tmp_path / "env",), {}, (tmp_path,)))
    assert bench.text == "from the environment\n"


def test_very_many_single_files_are_inputs_like_few(bench: Bench) -> None:
    paths = [f"parts/{number:03}" for number in range(100)]
    write(bench, *paths, text="1\n")
    bindings = [binding(bench, path) for path in paths]
    assert seen(bench, *bindings) == paths
    bench.output.clear()
    bench.run("for f in parts/*; do (echo 2 > $f) 2>/dev/null || :; done; cat parts/* | wc -l", bindings)
    assert int(bench.text) == 100
    assert (bench.root / "parts/099").read_text() == "1\n"
    assert bench.changed[-1] == "parts/099"
