"""Stages that see the whole source and are observed: what they read undeclared is in their key."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import docker_samples
from conformance.conftest import Bench, stage, states
from conformance.docker_bench import in_image
from penstock.plan.model import Output, Plan, Produced, Stage
from penstock.results import RunReport
from penstock.runner.run import Options
from penstock.runner.selection import select


def made(name: str, run: str, *outputs: str, reads: Mapping[str, str] | None = None, **more: object) -> Stage:
    """An observed stage; `reads` are declared inputs: path → who writes it, or nothing."""
    declared = reads or {}
    return Stage(
        name=name,
        run=run,
        outputs=tuple(Output(path) for path in sorted(outputs)),
        sources=tuple(sorted(path for path, owner in declared.items() if not owner)),
        produced=tuple(Produced(path, owner, path) for path, owner in sorted(declared.items()) if owner),
        observe=True,
        **more,  # type: ignore[arg-type] # checked where used
    )


def run(bench: Bench, *stages: Stage, only: tuple[str, ...] = ()) -> RunReport:
    plan = Plan(name="try", pipeline_file="p.yaml", profile=None, stages=stages, digest="sha256:0")
    return bench.perform(plan, Options(selection=select(plan, only=only), environ=bench.environ))


def undeclared(report: RunReport, name: str = "s") -> list[str]:
    observed = stage(report, name).observed
    assert observed is not None
    assert observed.whole is None
    return [each.path for each in observed.undeclared]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    if bench.kind == "dagger":
        pytest.skip("under Dagger the whole source is the input")
    if bench.kind == "docker":
        bench.adapt = in_image(docker_samples.python_image())
    return bench


def test_a_file_that_is_read_undeclared_is_found_and_enters_the_key(bench: Bench) -> None:
    bench.write({"a.txt": "1", "b.txt": "2", "src/c.txt": "3"})
    one = made("s", "cat b.txt > out", "out")
    report = run(bench, one)
    assert (states(report), undeclared(report)) == ({"s": "ran"}, ["b.txt"]), stage(report, "s").attempts
    bench.write({"a.txt": "changed", "src/c.txt": "changed"})
    report = run(bench, one)
    assert (states(report), undeclared(report)) == ({"s": "cached"}, ["b.txt"])
    bench.write({"b.txt": "new"})
    report = run(bench, one)
    assert states(report) == {"s": "ran"}
    assert stage(report, "s").reason.sentence == "undeclared input b.txt changed"
    assert bench.read("out") == b"new"
    bench.write({"b.txt": "2"})
    report = run(bench, one)
    assert states(report) == {"s": "cached"}
    assert bench.read("out") == b"2"


def settled(bench: Bench, *stages: Stage) -> RunReport:
    """A run that all must succeed in, after which nothing has to run."""
    report = run(bench, *stages)
    failed = [each for each in report.stages if each.state not in ("ran", "cached")]
    assert not failed, (failed[0].reason, [(each.problem, each.log) for each in failed[0].attempts])
    again = run(bench, *stages)
    assert set(states(again).values()) == {"cached"}, [each.reason for each in again.stages]
    return report


def test_a_file_that_was_looked_for_and_absent_is_in_the_key_too(bench: Bench) -> None:
    bench.write({"a.txt": "1"})
    one = made("s", "if test -e maybe.txt; then cp maybe.txt out; else echo none > out; fi", "out")
    assert undeclared(settled(bench, one)) == []
    bench.write({"maybe.txt": "here"})
    report = run(bench, one)
    assert stage(report, "s").reason.sentence == "undeclared input maybe.txt appeared"
    assert (bench.read("out"), undeclared(report)) == (b"here", ["maybe.txt"])


def test_a_directory_that_is_listed_is_known_by_its_names(bench: Bench) -> None:
    bench.write({"data/a": "1", "data/b": "2", "else/c": "3"})
    one = made("s", "ls data > out", "out")
    report = settled(bench, one)
    assert undeclared(report) == ["data"]
    bench.write({"data/a": "changed", "else/d": "new"})
    assert states(run(bench, one)) == {"s": "cached"}
    bench.write({"data/c": "new"})
    assert states(run(bench, one)) == {"s": "ran"}
    assert bench.read("out") == b"a\nb\nc\n"


def test_of_a_file_that_is_only_looked_at_the_size_counts(bench: Bench) -> None:
    bench.write({"flag": "12"})
    one = made("s", "if test -s flag; then echo yes > out; else echo no > out; fi", "out")
    assert undeclared(settled(bench, one)) == []
    bench.write({"flag": "34"})
    assert states(run(bench, one)) == {"s": "cached"}
    bench.write({"flag": ""})
    assert states(run(bench, one)) == {"s": "ran"}
    assert bench.read("out") == b"no\n"


def test_what_a_stage_wrote_itself_does_not_count(bench: Bench) -> None:
    bench.write({"a": "1"})
    command = (
        "mkdir -p tmp/deep; echo 1 > tmp/deep/x; mv tmp moved; cat moved/deep/x a > out; cat out; rm -r moved"
    )
    one = made("s", command, "out")
    assert undeclared(settled(bench, one)) == ["a"]


def test_directories_of_outputs_and_new_files_in_them_do_not_disturb(bench: Bench) -> None:
    bench.write({"a": "1"})
    one = made("s", "mkdir -p build/x; ls build; cat a > build/x/out; ls build/x", "build/x/out")
    two = made("t", "mkdir -p build; echo > build/other", "build/other")
    settled(bench, one, two)


def test_an_undeclared_output_of_another_stage_is_waited_for_and_in_the_key(bench: Bench) -> None:
    bench.write({"a": "1"})
    late = made("a-reader", "cat made > out", "out")
    maker = made("maker", "sleep 0.3; cat a > made", "made")
    report = settled(bench, late, maker)
    assert bench.read("out") == b"1"
    observed = stage(report, "a-reader").observed
    assert observed is not None
    assert [(each.path, each.stage) for each in observed.undeclared] == [("made", "maker")]
    bench.write({"a": "2"})
    report = run(bench, late, maker)
    assert states(report) == {"a-reader": "ran", "maker": "ran"}
    assert stage(report, "a-reader").reason.sentence == "made changed"
    assert bench.read("out") == b"2"


def test_the_output_of_a_stage_that_comes_after_is_never_there(bench: Bench) -> None:
    first = made("first", "test ! -e second; echo 1 > first", "first")
    second = made("second", "cat first > second", "second", reads={"first": "first"})
    settled(bench, first, second)
    assert bench.read("second") == b"1\n"


def test_one_stage_alone_finds_what_it_reads_of_others(bench: Bench) -> None:
    bench.write({"a": "1"})
    stages = (made("maker", "cat a > made", "made"), made("reader", "cat made > out", "out"))
    settled(bench, *stages)
    report = run(bench, *stages, only=("reader",))
    assert states(report) == {"maker": "skipped", "reader": "cached"}


def test_several_ways_through_a_stage_are_remembered(bench: Bench) -> None:
    bench.write({"mode": "a", "a": "1", "b": "2"})
    one = made("s", 'cat "$(cat mode)" > out', "out")
    run(bench, one)
    bench.write({"mode": "b"})
    assert undeclared(run(bench, one)) == ["b", "mode"]
    bench.write({"mode": "a"})
    report = run(bench, one)
    assert (states(report), undeclared(report), bench.read("out")) == ({"s": "cached"}, ["a", "mode"], b"1")
    bench.write({"b": "changed"})
    assert states(run(bench, one)) == {"s": "cached"}


def test_declared_inputs_are_not_reported_and_still_count(bench: Bench) -> None:
    bench.write({"in/a": "1", "in/deep/b": "2", "x.csv": "3", "c": "4", "never": "5"})
    reads = {"in": "", "*.csv": "", "c": "", "never": ""}
    one = made("s", "cat in/a in/deep/b x.csv c > out; ls in", "out", reads=reads)
    assert undeclared(settled(bench, one)) == []
    bench.write({"never": "6"})
    assert states(run(bench, one)) == {"s": "ran"}
    plan = Plan(name="try", pipeline_file="p.yaml", profile=None, stages=(one,), digest="sha256:0")
    report = bench.perform(plan, Options(selection=select(plan), observe=True))
    observed = stage(report, "s").observed
    assert observed is not None
    assert observed.unread == ("never",)


def test_links_and_ways_around_lead_to_what_is_read(bench: Bench) -> None:
    if bench.kind == "memory":
        pytest.skip("trees in memory have no links")
    bench.write({"real/deep/a": "1", "b": "2", "c": "3"})
    (bench.root / "link").symlink_to("real/deep")
    (bench.root / "real/up").symlink_to("../b")
    command = "cat link/a real/up > out; cd link; cat ../../c; ln -s /proc/self/cwd here; cat here/../../b"
    one = made("s", command, "out")
    report = settled(bench, one)
    assert {"link/a", "real/up", "c"} <= set(undeclared(report))
    bench.write({"real/deep/a": "new"})
    assert states(run(bench, one)) == {"s": "ran"}
    assert bench.read("out") == b"new2"
    bench.write({"c": "new"})
    assert states(run(bench, one)) == {"s": "ran"}


def test_a_link_that_the_stage_makes_hides_nothing(bench: Bench) -> None:
    bench.write({"data/a": "1"})
    one = made(
        "s",
        'ln -s "$PWD/data" "${TMPDIR:-.}/one"; ln -s data two; cat "${TMPDIR:-.}/one/a" > out',
        "out",
    )
    assert undeclared(settled(bench, one)) == ["data/a"]
    two = made("s", "ln -s data short; cat short/a > out", "out")
    assert undeclared(settled(bench, two)) == ["data/a"]


def test_a_stage_may_change_what_it_did_not_declare_and_harms_nothing(isolated: Bench) -> None:
    isolated.write({"log/run.log": "old\n", "src/a.py": "1"})
    one = made("s", "echo new >> log/run.log; cat log/run.log > out; echo > src/new.py; rm src/a.py", "out")
    settled(isolated, one)
    assert isolated.read("out") == b"old\nnew\n"
    assert (isolated.root / "log/run.log").read_text() == "old\n"
    assert [path.name for path in (isolated.root / "src").iterdir()] == ["a.py"]


def test_what_is_ignored_is_not_there_and_not_reported(isolated: Bench) -> None:
    isolated.write({"a": "1", ".venv/x": "2", "env/pyvenv.cfg": "", "env/lib": "3", ".dvc/cache/x": "4"})
    one = made("s", "ls -A > out; test ! -e .venv; test ! -e env; test ! -e .dvc; cat a", "out")
    if isolated.kind == "docker":
        isolated.adapt = in_image(docker_samples.python_image())
    if isolated.kind == "dagger":
        pytest.skip("under Dagger the whole source is the input")
    assert undeclared(settled(isolated, one)) == [".", "a"]
    assert isolated.read("out") == b"a\nout\n"


def test_what_cannot_be_observed_makes_the_whole_source_an_input(bench: Bench) -> None:
    if bench.kind == "docker":
        bench.adapt = in_image(docker_samples.image())  # without a Python
    bench.write({"a": "1", "b": "2"})
    escape = (
        "python3 -c 'import os; os.chroot(\"/nowhere\")' 2>/dev/null || true; "
        if bench.kind != "docker"
        else ""
    )
    one = made("s", f"{escape}cat a > out", "out")
    report = run(bench, one)
    observed = stage(report, "s").observed
    assert observed is not None
    assert observed.whole is not None
    assert states(run(bench, one)) == {"s": "cached"}
    bench.write({"b": "changed"})
    report = run(bench, one)
    assert states(report) == {"s": "ran"}
    assert stage(report, "s").reason.sentence.startswith("undeclared input ** changed")


@pytest.mark.dagger
def test_where_nothing_is_observed_the_whole_source_is_an_input(isolated: Bench) -> None:
    if isolated.kind != "dagger":
        pytest.skip("it is observed here")
    isolated.write({"a": "1", "b": "2", "deep/c": "3"})
    one = made("s", "cat a deep/c > out; echo > deep/new; rm b", "out", reads={"a": ""})
    settled(isolated, one)
    isolated.write({"b": "changed"})
    report = run(isolated, one)
    assert states(report) == {"s": "ran"}
    assert stage(report, "s").observed is not None


def test_a_failure_is_told_as_ever(bench: Bench) -> None:
    one = made("s", "kill -KILL $$", "out")
    report = run(bench, one)
    assert states(report) == {"s": "failed"}
    assert stage(report, "s").attempts[-1].exit_code == 137
    assert stage(run(bench, made("s", "exit 3", "out")), "s").attempts[-1].exit_code == 3
    limited = run(bench, made("s", "sleep 30 & sleep 30", "out", timeout_s=1.0))
    assert states(limited) == {"s": "timed-out"}


def test_what_another_stage_writes_undeclared_is_never_taken_from_the_project(bench: Bench) -> None:
    bench.write({"a": "1", "scratch": "stale"})
    writer = made("writer", "cp a scratch; cp a made", "made")
    reader = made("reader", "cat scratch > out", "out", reads={"made": "writer"})
    first = run(bench, writer, reader)
    assert states(first) == {"writer": "ran", "reader": "ran"}
    again = run(bench, writer, reader)
    assert states(again)["reader"] == "ran"
    for report in (first, again):
        observed = stage(report, "reader").observed
        assert observed is not None
        assert "it looks at 'scratch', which stage 'writer' writes without declaring it" in (
            observed.unkept or ""
        )
    mended = made("writer", "cp a scratch; cp a made", "made", "scratch")
    (bench.root / "scratch").unlink()
    settled(bench, mended, reader)
    assert bench.read("out") == b"1"
