"""What running a plan yields: parts, stage results, gate results and the report of a run, all frozen.

`RunReport` is what `run.json` holds; every other report is a view of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import NoReturn

from penstock.record import Record, field

RUN_REPORT_VERSION = 1


def timestamp(at: float | None = None) -> str:
    """A moment, ISO 8601 in UTC to the second; `at` is seconds since 1970, and this moment if absent."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class PartKind(StrEnum):
    """What stands at a path of a tree."""

    FILE = "file"
    EXECUTABLE = "executable"
    DIRECTORY = "directory"


class Part(Record, kw_only=False):
    """What a tree holds at one declared path.

    Attributes:
        path: As declared: POSIX, relative to the pipeline's root; a pattern for a selection of files.
        kind: A directory also stands for the files that a pattern selected.
        digest: Of the content for a file, of the manifest for a directory.
        size_bytes: Sum over the files.
        files: How many.
    """

    path: str
    kind: PartKind
    digest: str
    size_bytes: int
    files: int


class StageState(StrEnum):
    """How a stage ended."""

    RAN = "ran"
    CACHED = "cached"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"


NOT_NEEDED = "not-needed"
"""Why a stage was skipped whose output is kept elsewhere, as nothing that reads it had to run."""
DONE = (StageState.RAN, StageState.CACHED)
"""The states of a stage whose outputs are there."""


class Usage(Record):
    """What an attempt took.

    Attributes:
        wall_s: Elapsed seconds.
        cpu_s: User and system seconds of the process and all that it waited for.
        peak_memory_bytes: Resident memory of its largest process at its peak; Linux counts from what Penstock
            itself held (about 40 MiB) when it started the process. With Docker, of all its processes together
            and of the files that the kernel keeps in memory for them.
    """

    wall_s: float
    cpu_s: float
    peak_memory_bytes: int


class Attempt(Record):
    """One start of a stage's command.

    Attributes:
        exit_code: Of the command; 124 after a timeout, 128 + n when signal n ended it.
        problem: Why the attempt is no success although or because of its exit code, as one message.
        log: What it printed, secrets masked; a long log keeps its head and its tail.
    """

    number: int
    exit_code: int
    usage: Usage
    log: str
    problem: str | None = None


class Change(Record):
    """One thing that differs between a stage's key and the key of its last result.

    Attributes:
        what: `input`, `parameter`, `command`, `variable`, `environment`, `output`, `secret`, ...
        name: Which one: a path, a parameter's dotted name, ...
        before: Absent if there was none.
        after: Absent if there is none any more.
    """

    what: str
    name: str
    before: str | None = None
    after: str | None = None


class Reason(Record):
    """Why a stage ran, or why it did not have to.

    Attributes:
        code: `unchanged`, `known` (the result of an older run fits), `first-run`, `changed`, `forced`,
            `evicted` (the result is gone from the store), `no-cache`, `upstream-failed`,
            `not-selected`, `not-needed`, `stopped`.
        sentence: The same for people.
        changes: For `changed`: everything that differs, most telling first.
    """

    code: str
    sentence: str
    changes: tuple[Change, ...] = ()


class Accelerator(Record):
    """The hardware that a stage was to have: `cuda` with an image and a number of GPUs.

    Attributes:
        image: Instead of the environment's, for executors that run stages in containers.
    """

    kind: str
    image: str | None = None
    gpus: int = 1


class Undeclared(Record):
    """Something that a stage read without declaring it as an input.

    Attributes:
        path: Relative to the root.
        how: `read`, or `listed` for a directory whose names it read.
        by: The command that did.
        stage: Who writes it; absent for a part of the source.
        files: How many in it were read, for a directory that stands for them.
    """

    path: str
    how: str
    by: str = ""
    stage: str | None = None
    files: int = 1


class Observed(Record):
    """What was seen of a stage that was shown the whole source and observed.

    Attributes:
        where: Where the stage is declared: file, line and name.
        whole: Why it could not be observed, so that the whole source counts as its input.
        undeclared: What it read and does not declare; all of it is in its key.
        unread: Inputs that it declares and never looked at, if that was asked for (`--observe`).
        unkept: Why its result is not kept, if it is not.
    """

    where: str = ""
    whole: str | None = None
    undeclared: tuple[Undeclared, ...] = ()
    unread: tuple[str, ...] = ()
    unkept: str | None = None


class StageResult(Record):
    """One stage of a run.

    Attributes:
        key: Digest of everything that can change the outputs; absent if it was never known.
        environment: What its environment resolved to, as it entered the key: platform, Python, image, ...
        accelerator: What was asked for (`--accelerator`); absent for processors.
        needs: The stages whose outputs it reads.
        attempts: Of the run that made the outputs, also when they now come from the cache.
        made_at: When the outputs were made, ISO 8601 in UTC.
        wall_s: What the stage took in *this* run, seconds.
        started_s: When it began, seconds after the run did.
        observed: What was seen of it, if it was observed.
    """

    name: str
    state: StageState
    reason: Reason
    run: str
    uses: str | None = None
    key: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    accelerator: Accelerator | None = None
    needs: tuple[str, ...] = ()
    inputs: tuple[Part, ...] = ()
    outputs: tuple[Part, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    made_at: str | None = None
    wall_s: float = 0.0
    started_s: float = 0.0
    observed: Observed | None = None

    @property
    def settled(self) -> bool:
        """Whether its outputs are there, or were not needed."""
        return self.state in DONE or self.reason.code == NOT_NEEDED


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIP = "skip"
    INCONCLUSIVE = "inconclusive"


class Evidence(Record):
    """A measurement that a verdict rests on."""

    path: str
    digest: str


class Judged(Record):
    """One number of a gate that judges several: a group, a percentile, a column.

    Attributes:
        label: What is judged: `recall, gender Female`, `p99, batches of 1`.
        interval: Bounds of the value's confidence interval, if one was computed.
        minimum: Inclusive lower bound.
        maximum: Inclusive upper bound.
        sample_size: Rows that the value rests on, if known.
    """

    label: str
    verdict: Verdict
    value: float | None = None
    interval: tuple[float, float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    sample_size: int | None = None


CLOCKED_RECIPES = ("benchmark-model", "security")
"""Their stages write times and amounts of memory, or what is known today, which no two runs of them share."""
CLOCKED_GATES = ("freshness", "latency", "memory", "security")
"""Gates whose numbers differ from one run to the next though nothing has changed."""
FIRST_VERSION = "first-version"
"""Why a gate that compares is skipped, where the policy allows a model without a predecessor."""


class GateResult(Record):
    """A gate's verdict with its evidence; it has no truth value.

    Attributes:
        gate: The kind of gate.
        name: Unique in the pipeline.
        sentence: The verdict in words: value, bound and what it means.
        value: The number that was judged, if the gate judges one.
        minimum: Inclusive lower bound.
        maximum: Inclusive upper bound.
        interval: Bounds of the value's confidence interval, if one was computed.
        confidence: Of the interval, two-sided, a fraction.
        method: How the interval was computed.
        sample_size: Rows that the value was computed from, if known.
        rows_to_decide: About how many rows would decide, for `inconclusive` where that can be said.
        reason: Why a gate was skipped although nothing is wrong: `first-version`.
        parts: Every number that was judged, if there are several; `value` is then the worst of them.

    Raises:
        ValueError: `pass` or `fail` without evidence.
    """

    gate: str
    name: str
    verdict: Verdict
    required: bool
    sentence: str
    evidence: tuple[Evidence, ...] = ()
    value: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    method: str | None = None
    sample_size: int | None = None
    rows_to_decide: int | None = None
    reason: str | None = None
    parts: tuple[Judged, ...] = ()
    details: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.verdict in (Verdict.PASS, Verdict.FAIL) and not self.evidence:
            msg = f"gate {self.name!r}: {self.verdict} without evidence; use 'inconclusive'"
            raise ValueError(msg)

    def __bool__(self) -> NoReturn:
        msg = "compare .verdict: a skipped gate is neither true nor false"
        raise TypeError(msg)


class PublicationState(StrEnum):
    """What became of something that the pipeline publishes."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


STANDING = (PublicationState.WRITTEN, PublicationState.UNCHANGED)
"""The states of something that can be had where it was published."""


LOST = (PublicationState.REFUSED, PublicationState.FAILED)
"""The states of something that should have been published, and was not."""


class Publication(Record):
    """One thing that was, or was not, published.

    Attributes:
        kind: `archive`, `evidence`, `artifact`, `image`, `dvc`, `mlflow`.
        target: Where it is: a path or a reference.
    """

    kind: str
    state: PublicationState
    sentence: str
    target: str | None = None
    digest: str | None = None
    size_bytes: int | None = None


class Holdout(Record):
    """How often an evaluation set has decided about models: each further look makes its verdicts weaker.

    Attributes:
        evaluation_set: Digest of its row ids and truths.
        rows: How many.
        decisions: Different predictions on it that gates have judged on this machine, this run's included.
        budget: How many the policy allows before it warns.
    """

    evaluation_set: str
    rows: int
    decisions: int
    budget: int


class RunReport(Record):
    """A whole run.

    Attributes:
        version: Of this document's shape.
        plan: Digest of the plan.
        commit: Of the pipeline's repository, with `-dirty` behind it if the work tree differed.
        executor: Name and, where it has one, version or mode.
        started_at: ISO 8601, UTC.
        exit_code: What the command ends with.
    """

    version: int = RUN_REPORT_VERSION
    penstock: str
    run_id: str
    pipeline: str
    pipeline_file: str
    plan: str
    profile: str | None
    commit: str | None
    executor: str
    started_at: str
    wall_s: float
    exit_code: int
    stages: tuple[StageResult, ...]
    gates: tuple[GateResult, ...]
    publications: tuple[Publication, ...]
    params: Mapping[str, object] = field(default_factory=dict)
    holdouts: tuple[Holdout, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def clocked(self) -> frozenset[str]:
        """Outputs that are not the same twice, since they hold what was measured by the clock."""
        stages = (each for each in self.stages if each.uses in CLOCKED_RECIPES)
        return frozenset(part.path for stage in stages for part in stage.outputs)
