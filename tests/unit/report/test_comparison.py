from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest

import report_samples as samples
from penstock import digest
from penstock.errors import PipelineError
from penstock.record import Record, fields, replace
from penstock.report.comparison import Comparison, compare_runs
from penstock.report.comparison_text import Side, render
from penstock.report.style import Style, columns_of
from penstock.results import (
    Accelerator,
    Attempt,
    Change,
    Evidence,
    GateResult,
    Holdout,
    Judged,
    Observed,
    Part,
    PartKind,
    Publication,
    PublicationState,
    Reason,
    RunReport,
    StageResult,
    StageState,
    Undeclared,
    Usage,
    Verdict,
)

OTHER = "sha256:" + "9" * 64
SEEN = Observed(where="x:1", whole="x", undeclared=(Undeclared(path="x", how="read"),), unread=("x",))
REPORT = replace(
    samples.report(
        samples.stage("prepare"),
        samples.stage("train", StageState.CACHED),
        samples.stage("lint", StageState.FAILED, samples.attempt(1, "no\n", problem="no")),
    ),
    warnings=("one",),
)


def unknown(_name: str) -> None:
    return None


def compare(one: RunReport, two: RunReport, *manifests: bytes) -> Comparison:
    return compare_runs(one, two, {digest.of_bytes(each): each for each in manifests}.get)


def with_stage(at: int = 0, **changes: Any) -> RunReport:
    stages = list(REPORT.stages)
    stages[at] = replace(stages[at], **changes)
    return replace(REPORT, stages=tuple(stages))


def with_part(field: str, **changes: Any) -> RunReport:
    (part,) = getattr(REPORT.stages[0], field)
    parts: dict[str, Any] = {field: (replace(part, **changes),)}
    return with_stage(**parts)


def with_gate(**changes: Any) -> RunReport:
    return replace(REPORT, gates=(REPORT.gates[0], replace(REPORT.gates[1], **changes)))


def with_judged(**changes: Any) -> RunReport:
    part = Judged(label="recall, gender Female", verdict=Verdict.PASS, value=0.5, interval=(0.4, 0.6))
    return with_gate(parts=(replace(part, **changes),))


def with_publication(**changes: Any) -> RunReport:
    return replace(REPORT, publications=(replace(REPORT.publications[0], **changes),))


def with_attempt(**changes: Any) -> RunReport:
    return with_stage(2, attempts=(replace(REPORT.stages[2].attempts[0], **changes),))


def with_usage(**changes: Any) -> RunReport:
    return with_attempt(usage=replace(REPORT.stages[2].attempts[0].usage, **changes))


def with_reason(**changes: Any) -> RunReport:
    return with_stage(reason=replace(REPORT.stages[0].reason, **changes))


def with_holdout(**changes: Any) -> RunReport:
    holdout = Holdout(evaluation_set=samples.DIGEST, rows=9, decisions=2, budget=3)
    return replace(REPORT, holdouts=(replace(holdout, **changes),))


PARTS, PLAN, NOTED, NOTHING = "the runs part", "the plans differ", "a note", "it cannot matter"

MUTATIONS: dict[tuple[type[Record], str], tuple[str, Callable[[], RunReport]]] = {
    (RunReport, "version"): (NOTHING, lambda: replace(REPORT, version=2)),  # a reader refuses any other
    (RunReport, "penstock"): (NOTHING, lambda: replace(REPORT, penstock="9")),
    (RunReport, "run_id"): (NOTHING, lambda: replace(REPORT, run_id="x")),
    (RunReport, "pipeline"): (PLAN, lambda: replace(REPORT, pipeline="x")),
    # as somebody named it who stood somewhere; the plan's digest holds it as seen from the root
    (RunReport, "pipeline_file"): (NOTHING, lambda: replace(REPORT, pipeline_file="x")),
    (RunReport, "plan"): (PLAN, lambda: replace(REPORT, plan=OTHER)),
    (RunReport, "profile"): (PLAN, lambda: replace(REPORT, profile="release")),
    (RunReport, "commit"): (NOTHING, lambda: replace(REPORT, commit=None)),  # the inputs are what counts
    (RunReport, "executor"): (NOTHING, lambda: replace(REPORT, executor="dagger")),
    (RunReport, "started_at"): (NOTHING, lambda: replace(REPORT, started_at="x")),
    (RunReport, "wall_s"): (NOTHING, lambda: replace(REPORT, wall_s=0.0)),
    (RunReport, "exit_code"): (NOTED, lambda: replace(REPORT, exit_code=5)),
    (RunReport, "stages"): (PARTS, lambda: replace(REPORT, stages=REPORT.stages[1:])),
    (RunReport, "gates"): (PARTS, lambda: replace(REPORT, gates=REPORT.gates[:1])),
    (RunReport, "publications"): (NOTED, lambda: replace(REPORT, publications=())),
    (RunReport, "params"): (PLAN, lambda: replace(REPORT, params={"train": {"max_iter": 201, "rate": 0.1}})),
    (RunReport, "holdouts"): (NOTHING, with_holdout),  # what a machine remembers of other runs
    (Holdout, "evaluation_set"): (NOTHING, lambda: with_holdout(evaluation_set=OTHER)),
    (Holdout, "rows"): (NOTHING, lambda: with_holdout(rows=1)),
    (Holdout, "decisions"): (NOTHING, lambda: with_holdout(decisions=1)),
    (Holdout, "budget"): (NOTHING, lambda: with_holdout(budget=1)),
    (RunReport, "warnings"): (NOTHING, lambda: replace(REPORT, warnings=())),
    (StageResult, "name"): (PARTS, lambda: with_stage(name="x")),
    (StageResult, "state"): (PARTS, lambda: with_stage(state=StageState.TIMED_OUT)),
    (StageResult, "reason"): (NOTHING, lambda: with_stage(reason=Reason(code="forced", sentence="--force"))),
    (StageResult, "run"): (PLAN, lambda: with_stage(run="x")),
    (StageResult, "uses"): (PLAN, lambda: with_stage(uses="lint")),
    (StageResult, "key"): (NOTED, lambda: with_stage(key=OTHER)),
    (StageResult, "environment"): (NOTED, lambda: with_stage(environment={"platform": "x"})),
    (StageResult, "accelerator"): (NOTED, lambda: with_stage(accelerator=Accelerator(kind="cuda"))),
    (Accelerator, "kind"): (NOTED, lambda: with_stage(accelerator=Accelerator(kind="x"))),
    (Accelerator, "image"): (NOTED, lambda: with_stage(accelerator=Accelerator(kind="cuda", image="x"))),
    (Accelerator, "gpus"): (NOTED, lambda: with_stage(accelerator=Accelerator(kind="cuda", gpus=2))),
    (StageResult, "needs"): (PLAN, lambda: with_stage(needs=("x",))),
    (StageResult, "inputs"): (NOTED, lambda: with_stage(inputs=())),
    (StageResult, "outputs"): (PARTS, lambda: with_stage(outputs=())),
    (StageResult, "attempts"): (PARTS, lambda: with_stage(2, attempts=())),
    (StageResult, "made_at"): (NOTHING, lambda: with_stage(made_at="x")),
    (StageResult, "wall_s"): (NOTHING, lambda: with_stage(wall_s=0.0)),
    (StageResult, "started_s"): (NOTHING, lambda: with_stage(started_s=9.0)),
    (StageResult, "observed"): (NOTHING, lambda: with_stage(observed=SEEN)),
    **{
        (kind, name): (NOTHING, lambda: with_stage(observed=SEEN))
        for kind in (Observed, Undeclared)
        for name in fields(kind)
    },
    (Part, "path"): (PARTS, lambda: with_part("outputs", path="x")),
    (Part, "kind"): (PARTS, lambda: with_part("outputs", kind=PartKind.FILE)),
    (Part, "digest"): (PARTS, lambda: with_part("outputs", digest=OTHER)),
    (Part, "size_bytes"): (NOTHING, lambda: with_part("outputs", size_bytes=1)),  # follows from the digest
    (Part, "files"): (NOTHING, lambda: with_part("outputs", files=1)),  # the same
    (Reason, "code"): (NOTHING, lambda: with_reason(code="forced")),
    (Reason, "sentence"): (NOTHING, lambda: with_reason(sentence="x")),
    (Reason, "changes"): (NOTHING, lambda: with_reason(changes=())),
    (Change, "what"): (NOTHING, lambda: with_reason(changes=(Change(what="x", name="y"),))),
    (Change, "name"): (NOTHING, lambda: with_reason(changes=(Change(what="input", name="y"),))),
    (Change, "before"): (NOTHING, lambda: with_reason(changes=(Change(what="x", name="y", before="z"),))),
    (Change, "after"): (NOTHING, lambda: with_reason(changes=(Change(what="x", name="y", after="z"),))),
    (Attempt, "number"): (NOTHING, lambda: with_attempt(number=2)),  # a retry on the way to the same end
    (Attempt, "exit_code"): (PARTS, lambda: with_attempt(exit_code=137)),
    (Attempt, "usage"): (
        NOTHING,
        lambda: with_attempt(usage=Usage(wall_s=0.0, cpu_s=0.0, peak_memory_bytes=0)),
    ),
    (Attempt, "log"): (NOTHING, lambda: with_attempt(log="x")),
    (Attempt, "problem"): (NOTHING, lambda: with_attempt(problem="x")),  # the exit code, in words
    (Usage, "wall_s"): (NOTHING, lambda: with_usage(wall_s=0.0)),
    (Usage, "cpu_s"): (NOTHING, lambda: with_usage(cpu_s=0.0)),
    (Usage, "peak_memory_bytes"): (NOTHING, lambda: with_usage(peak_memory_bytes=0)),
    (GateResult, "gate"): (PARTS, lambda: with_gate(gate="x")),
    (GateResult, "name"): (PARTS, lambda: with_gate(name="x")),
    (GateResult, "verdict"): (PARTS, lambda: with_gate(verdict=Verdict.FAIL)),
    (GateResult, "required"): (PARTS, lambda: with_gate(required=False)),
    (GateResult, "sentence"): (NOTHING, lambda: with_gate(sentence="x")),  # the numbers, in words
    (GateResult, "evidence"): (PARTS, lambda: with_gate(evidence=(Evidence(path="x", digest=OTHER),))),
    (GateResult, "value"): (PARTS, lambda: with_gate(value=0.8412300000000001)),
    (GateResult, "minimum"): (PARTS, lambda: with_gate(minimum=None)),
    (GateResult, "maximum"): (PARTS, lambda: with_gate(maximum=1.0)),
    (GateResult, "interval"): (PARTS, lambda: with_gate(interval=(0.8, 0.9))),
    (GateResult, "sample_size"): (PARTS, lambda: with_gate(sample_size=1)),
    (GateResult, "confidence"): (PARTS, lambda: with_gate(confidence=0.9)),
    (GateResult, "method"): (PARTS, lambda: with_gate(method="wilson")),
    (GateResult, "rows_to_decide"): (NOTHING, lambda: with_gate(rows_to_decide=9)),  # follows from the rest
    (GateResult, "reason"): (PARTS, lambda: with_gate(reason="first-version")),
    (GateResult, "parts"): (PARTS, with_judged),
    (Judged, "label"): (PARTS, lambda: with_judged(label="x")),
    (Judged, "verdict"): (PARTS, lambda: with_judged(verdict=Verdict.FAIL)),
    (Judged, "value"): (PARTS, lambda: with_judged(value=0.1)),
    (Judged, "interval"): (PARTS, lambda: with_judged(interval=(0.1, 0.2))),
    (Judged, "minimum"): (PARTS, lambda: with_judged(minimum=0.1)),
    (Judged, "maximum"): (PARTS, lambda: with_judged(maximum=0.1)),
    (Judged, "sample_size"): (PARTS, lambda: with_judged(sample_size=1)),
    (GateResult, "details"): (NOTHING, lambda: with_gate(details=())),  # the same
    (Evidence, "path"): (
        PARTS,
        lambda: with_gate(evidence=(Evidence(path="x", digest=samples.DIGEST),)),
    ),
    (Evidence, "digest"): (
        PARTS,
        lambda: with_gate(evidence=(Evidence(path="build/metrics.json", digest=OTHER),)),
    ),
    (Publication, "kind"): (NOTED, lambda: with_publication(kind="x")),
    (Publication, "state"): (NOTED, lambda: with_publication(state=PublicationState.FAILED)),
    (Publication, "sentence"): (NOTHING, lambda: with_publication(sentence="x")),
    (Publication, "target"): (NOTHING, lambda: with_publication(target="x")),  # a place; the digest counts
    (Publication, "digest"): (NOTED, lambda: with_publication(digest=OTHER)),
    (Publication, "size_bytes"): (NOTHING, lambda: with_publication(size_bytes=1)),
}


def record_types(kind: Any, found: set[type[Record]]) -> set[type[Record]]:
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and issubclass(each, Record) and each not in found:
            found.add(each)
            for hint in get_type_hints(each).values():
                record_types(hint, found)
        elif each is not kind:
            record_types(each, found)
    return found


def test_every_field_of_a_report_is_compared_or_on_the_list_of_what_cannot_matter() -> None:
    kinds = record_types(RunReport, set())
    assert {(kind, name) for kind in kinds for name in fields(kind)} == MUTATIONS.keys()


@pytest.mark.parametrize(
    ("expected", "mutate"),
    [pytest.param(*case, id=f"{kind.__name__}.{name}") for (kind, name), case in MUTATIONS.items()],
)
@pytest.mark.parametrize("turned", [False, True], ids=["A to B", "B to A"])
def test_a_changed_field_is_noticed_where_it_matters(
    expected: str, mutate: Callable[[], RunReport], *, turned: bool
) -> None:
    pair = (mutate(), REPORT) if turned else (REPORT, mutate())
    assert pair[0] != pair[1]
    found = compare(*pair)
    assert bool(found.partings) is (expected == PARTS)
    assert bool(found.plan) is (expected == PLAN)
    assert bool(found.notes) is (expected == NOTED)
    assert found.same() is (expected in (NOTED, NOTHING))
    assert found.same(strict=True) is (expected == NOTHING)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_a_run_is_the_same_as_itself(kind: str) -> None:
    report = samples.KINDS[kind]()
    assert compare(report, report) == Comparison(plan=(), partings=(), notes=())


def test_a_result_from_the_cache_is_as_good_as_one_that_was_made() -> None:
    assert compare(samples.passed(), samples.unchanged()).same(strict=True)


def manifest(**files: bytes) -> bytes:
    return digest.encode_manifest(
        digest.Entry(digest.FILE, len(data), name.encode(), digest.of_bytes(data)[7:].encode())
        for name, data in files.items()
    )


def test_the_first_file_of_a_directory_is_named_where_both_manifests_are_known() -> None:
    one, two = manifest(a=b"1", b=b"2", c=b"3"), manifest(a=b"1", b=b"4", d=b"3")
    runs = [with_part("outputs", digest=digest.of_bytes(each)) for each in (one, two)]
    (parting,) = compare(runs[0], runs[1], one, two).partings
    assert [change.name for change in parting.changes] == [f"build/prepare/{name}" for name in "bcd"]
    assert parting.changes[0].before == digest.of_bytes(b"2")
    assert parting.changes[1].after is None
    (parting,) = compare(runs[0], runs[1], one).partings
    assert [change.name for change in parting.changes] == ["build/prepare"]


def test_an_execute_bit_is_a_difference() -> None:
    one, two = (with_part("outputs", kind=kind) for kind in (PartKind.FILE, PartKind.EXECUTABLE))
    (parting,) = compare(one, two).partings
    (change,) = parting.changes
    assert change.before == f"{samples.DIGEST} (file)"
    assert change.after == f"{samples.DIGEST} (executable)"


def test_what_differs_above_the_first_parting_is_named() -> None:
    two = with_stage(
        key=OTHER,
        outputs=(replace(REPORT.stages[0].outputs[0], digest=OTHER),),
        inputs=(replace(REPORT.stages[0].inputs[0], digest=OTHER),),
        environment={**REPORT.stages[0].environment, "python": "3.12.9"},
        run="other",
    )
    (parting,) = compare(REPORT, replace(two, params={"train": {"max_iter": 9, "rate": 0.1}})).partings
    assert [(each.what, each.name) for each in parting.above] == [
        ("input", "src/churn/prepare.py"),
        ("command", "run"),
        ("environment", "python"),
        ("parameter", "train.max_iter"),
    ]
    assert parting.sentence == ""


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "nothing that its key holds: this stage is not deterministic"),
        (
            {"reason": Reason(code="no-cache", sentence="cache: false")},
            "nothing that its key holds: this stage is not deterministic (the pipeline file says `cache: false`)",
        ),
        ({"key": OTHER}, "something in its key that run.json does not hold: variables, files of a recipe"),
    ],
)
def test_a_parting_without_a_visible_cause_says_what_that_means(
    changes: dict[str, Any], sentence: str
) -> None:
    two = with_stage(outputs=(replace(REPORT.stages[0].outputs[0], digest=OTHER),), **changes)
    (parting,) = compare(REPORT, two).partings
    assert parting.above == ()
    assert parting.sentence == sentence


def test_a_stage_that_did_not_run_says_why() -> None:
    two = with_stage(
        state=StageState.SKIPPED,
        key=None,
        inputs=(),
        outputs=(),
        environment={},
        reason=Reason(code="not-selected", sentence="not selected on the command line"),
    )
    (parting,) = compare(REPORT, replace(two, stages=(two.stages[0], *REPORT.stages[1:]))).partings
    assert (parting.changes[0].before, parting.changes[0].after) == ("ran", "skipped")
    assert [each.what for each in parting.above] == ["input"]


def test_partings_are_in_the_order_of_the_plan_and_say_whose_outputs_they_read() -> None:
    def run(name: str) -> RunReport:
        chain = [
            replace(samples.stage(each), needs=needs)
            for each, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ()))
        ]
        return samples.report(
            *(replace(each, outputs=(replace(each.outputs[0], digest=name),)) for each in chain[1:]),
            *chain[:1],
        )

    found = compare(run(samples.DIGEST), run(OTHER)).partings
    assert [(each.name, each.follows) for each in found] == [("b", ()), ("c", ("b",)), ("d", ())]


def test_a_stage_that_only_the_second_run_has_comes_where_its_plan_has_it() -> None:
    names = [("a", "c"), ("x", "a", "b", "c", "y")]
    one, two = (samples.report(*map(samples.stage, each)) for each in names)
    assert [each.name for each in compare(one, two).partings] == ["x", "b", "y"]
    assert [each.name for each in compare(two, one).partings] == ["x", "b", "y"]


def test_notes_of_several_stages_are_one() -> None:
    one = samples.report(*map(samples.stage, "abcde"))
    stages = (replace(each, environment={"platform": "other"}, key=OTHER) for each in one.stages)
    notes = compare(one, replace(one, stages=tuple(stages))).notes
    assert [(note.change.name, note.stages) for note in notes] == [
        ("platform", tuple("abcde")),
        ("python", tuple("abcde")),
    ]


@pytest.mark.parametrize(
    "report",
    [
        replace(REPORT, stages=REPORT.stages * 2),
        replace(REPORT, gates=REPORT.gates * 2),
        with_stage(outputs=REPORT.stages[0].outputs * 2),
    ],
    ids=["stages", "gates", "outputs"],
)
def test_a_report_that_has_something_twice_is_refused(report: RunReport) -> None:
    for pair in ((REPORT, report), (report, REPORT)):
        with pytest.raises(PipelineError, match="twice; no run has"):
            compare(*pair)


HOSTILE = "\x1b[31mred\x1b[0m\n::error::\u202eevil\udce9 " + "x" * 200


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("strict", [False, True])
def test_no_line_is_wider_than_the_terminal_and_nothing_in_it_is_obeyed(
    columns: int, *, strict: bool
) -> None:
    two = replace(
        REPORT,
        plan=HOSTILE,
        profile=HOSTILE,
        executor=HOSTILE,
        run_id=HOSTILE,
        commit=HOSTILE,
        params={HOSTILE: HOSTILE},
        stages=tuple(
            replace(each, name=each.name + HOSTILE, run=HOSTILE, environment={HOSTILE: HOSTILE}, key=HOSTILE)
            for each in REPORT.stages
        ),
        gates=tuple(replace(each, gate=HOSTILE) for each in REPORT.gates),
    )
    mixed = replace(two, stages=(*REPORT.stages[:2], replace(two.stages[2], name=REPORT.stages[2].name)))
    for other in (two, mixed):
        found = compare(REPORT, other)
        for style in (Style(columns, colour=False), Style(columns, colour=False, unicode=False)):
            text = render(found, (Side(REPORT, HOSTILE), Side(other, HOSTILE)), strict=strict, style=style)
            assert max(map(columns_of, text.splitlines())) <= columns
            assert not {"\x1b", "\u202e", "\udce9"} & {*text}
            assert not any(line.lstrip().startswith("::") for line in text.splitlines())


def test_of_what_was_measured_by_the_clock_only_the_verdicts_count() -> None:
    def measured(digest: str, verdict: Verdict = Verdict.PASS, **numbers: Any) -> RunReport:
        (part,) = REPORT.stages[0].outputs
        stage = replace(REPORT.stages[0], uses="benchmark-model", outputs=(replace(part, digest=digest),))
        gate = replace(REPORT.gates[0], gate="latency", verdict=verdict, **numbers)
        gate = replace(gate, evidence=(Evidence(path=part.path, digest=digest),))
        size = replace(REPORT.gates[1], gate="model-size", evidence=gate.evidence)
        return replace(REPORT, stages=(stage, *REPORT.stages[1:]), gates=(gate, size))

    one = measured(OTHER, value=8.0, interval=(7.0, 9.0))
    assert compare(one, measured("sha256:" + "8" * 64, value=9.0, interval=(8.0, 10.0))).same(strict=True)
    assert not compare(one, measured(OTHER, Verdict.FAIL, value=8.0, interval=(7.0, 9.0))).same()
    small, large = (replace(one, gates=(replace(one.gates[1], value=value),)) for value in (1.0, 2.0))
    assert not compare(small, large).same()


def test_several_judged_numbers_are_told_by_their_names() -> None:
    comparison = compare_runs(with_judged(), with_judged(value=0.25), unknown)
    (change,) = [each for parting in comparison.partings for each in parting.changes if each.what == "parts"]
    assert (change.before, change.after) == (
        "recall, gender Female 0.5 pass",
        "recall, gender Female 0.25 pass",
    )
