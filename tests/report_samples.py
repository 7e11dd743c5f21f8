"""Reports of runs, one of each kind, for the tests of everything that shows them."""

from __future__ import annotations

from penstock.record import replace
from penstock.results import (
    Attempt,
    Change,
    Evidence,
    GateResult,
    Part,
    PartKind,
    Publication,
    PublicationState,
    Reason,
    RunReport,
    StageResult,
    StageState,
    Usage,
    Verdict,
)

DIGEST = "sha256:1a2b3c4d" + 14 * "5e6f"
MADE_AT = "2026-11-20T17:03:12Z"
PROGRESS = "".join(f"epoch {number:2} loss {1 / number:.4f}\n" for number in range(1, 31))
TRACEBACK = """Traceback (most recent call last):
  File "src/churn/train.py", line 41, in <module>
    main()
  File "src/churn/train.py", line 33, in main
    model.fit(rows, labels)
ValueError: Input X contains NaN.
"""


def attempt(exit_code: int = 0, log: str = PROGRESS, number: int = 1, **facts: str) -> Attempt:
    usage = Usage(wall_s=12.345678, cpu_s=20.5, peak_memory_bytes=210 << 20)
    return Attempt(number=number, exit_code=exit_code, usage=usage, log=log, problem=facts.get("problem"))


def stage(
    name: str, state: StageState = StageState.RAN, *attempts: Attempt, wall_s: float = 12.345678
) -> StageResult:
    reason = {
        StageState.CACHED: Reason(
            code="unchanged", sentence=f"nothing that it reads changed since {MADE_AT}"
        ),
        StageState.SKIPPED: Reason(code="upstream-failed", sentence="it needs stage 'train'"),
        StageState.INTERRUPTED: Reason(code="stopped", sentence="ended because the run was stopped"),
    }.get(
        state,
        Reason(
            code="changed",
            sentence=f"src/churn/{name}.py changed",
            changes=(Change(what="input", name=f"src/churn/{name}.py", before="a", after="b"),),
        ),
    )
    done = state in (StageState.RAN, StageState.CACHED)
    return StageResult(
        name=name,
        state=state,
        reason=reason,
        run=f"python -m churn.{name}",
        key=DIGEST,
        environment={"platform": "linux-x86_64-glibc2.36", "python": "3.12.1"},
        inputs=(Part(f"src/churn/{name}.py", PartKind.FILE, DIGEST, 812, 1),),
        outputs=(Part(f"build/{name}", PartKind.DIRECTORY, DIGEST, 5 << 20, 3),) if done else (),
        attempts=attempts or ((attempt(),) if done else ()),
        made_at=MADE_AT if done else None,
        wall_s=0.0012 if state is StageState.CACHED else 0.0 if state is StageState.SKIPPED else wall_s,
    )


def gate(
    name: str = "roc_auc", verdict: Verdict = Verdict.PASS, value: float | None = 0.84123, **facts: object
) -> GateResult:
    decided = verdict in (Verdict.PASS, Verdict.FAIL)
    sentences = {
        Verdict.PASS: f"{name} is {value}, at least 0.8",
        Verdict.FAIL: f"{name} is {value}, below its minimum 0.8",
        Verdict.SKIP: "an earlier required gate failed",
        Verdict.INCONCLUSIVE: f"{name} is not in build/metrics.json",
    }
    plain = GateResult(
        gate="threshold",
        name=name,
        verdict=verdict,
        required=True,
        sentence=sentences[verdict],
        evidence=(Evidence(path="build/metrics.json", digest=DIGEST),) if decided else (),
        value=value if decided else None,
        minimum=0.8,
        sample_size=1409 if decided else None,
        details=("point estimate, no interval",) if decided else (),
    )
    return replace(plain, **facts)


ARCHIVE = Publication(
    kind="archive",
    state=PublicationState.WRITTEN,
    sentence="4 outputs, run and manifest",
    target="dist/churn-1a2b3c4d5e6f.tar",
    digest=DIGEST,
    size_bytes=1_258_291,
)
NO_ARCHIVE = Publication(
    kind="archive", state=PublicationState.SKIPPED, sentence="gate 'roc_auc' did not pass"
)
SCHEMA_GATE = gate(
    "schema",
    value=None,
    sentence="7,043 rows of data/telco-churn.csv fit the schema",
    minimum=None,
    details=(),
)


def report(
    *stages: StageResult,
    gates: tuple[GateResult, ...] = (SCHEMA_GATE, gate()),
    publications: tuple[Publication, ...] = (ARCHIVE,),
    exit_code: int = 0,
    wall_s: float = 41.234567,
) -> RunReport:
    return RunReport(
        penstock="0.1.0",
        run_id="20261121T081500Z-1a2b3c",
        pipeline="churn",
        pipeline_file="pipelines/default.yaml",
        plan=DIGEST,
        profile=None,
        commit="1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b-dirty",
        executor="local (bubblewrap)",
        started_at="2026-11-21T08:15:00Z",
        wall_s=wall_s,
        exit_code=exit_code,
        stages=stages,
        gates=gates,
        publications=publications,
        params={"train": {"max_iter": 200, "rate": 0.1}},
    )


_NAMES = ("lint", "test", "validate", "prepare", "train", "evaluate")


def passed() -> RunReport:
    cached = {"validate", "prepare"}
    stages = (stage(name, StageState.CACHED if name in cached else StageState.RAN) for name in _NAMES)
    return report(*stages)


def unchanged() -> RunReport:
    archive = replace(ARCHIVE, state=PublicationState.UNCHANGED)
    stages = (stage(name, StageState.CACHED) for name in _NAMES)
    return report(*stages, publications=(archive,), wall_s=0.0412)


def failed() -> RunReport:
    attempts = (attempt(1, TRACEBACK), attempt(1, PROGRESS + TRACEBACK, number=2))
    return report(
        stage("prepare", StageState.CACHED),
        stage("train", StageState.FAILED, *attempts),
        stage(
            "test", StageState.TIMED_OUT, attempt(124, "collected 3 items\n", problem="timed out after 300 s")
        ),
        stage("evaluate", StageState.SKIPPED),
        stage("lint", StageState.INTERRUPTED),
        gates=(gate(verdict=Verdict.SKIP, sentence="stage 'evaluate' has no result in this run"),),
        publications=(replace(NO_ARCHIVE, sentence="stage 'train' has no result in this run"),),
        exit_code=1,
    )


def refused() -> RunReport:
    gates = (
        SCHEMA_GATE,
        gate("recall", Verdict.FAIL, 0.41, required=False, minimum=0.5),
        gate(value=0.79996, verdict=Verdict.FAIL),
        gate("log_loss", Verdict.SKIP),
    )
    return report(*passed().stages, gates=gates, publications=(NO_ARCHIVE,), exit_code=3)


def undecided() -> RunReport:
    gates = (SCHEMA_GATE, gate(verdict=Verdict.INCONCLUSIVE), gate("log_loss", Verdict.SKIP))
    return report(*passed().stages, gates=gates, publications=(NO_ARCHIVE,), exit_code=4)


def interrupted() -> RunReport:
    stages = (stage("prepare"), stage("train", StageState.INTERRUPTED), stage("evaluate", StageState.SKIPPED))
    return report(*stages, gates=(), publications=(), exit_code=130)


KINDS = {
    "passed": passed,
    "unchanged": unchanged,
    "failed": failed,
    "refused": refused,
    "undecided": undecided,
    "interrupted": interrupted,
}
