"""What `uses: model-tests` and `uses: benchmark-model` write, and the small documents of other gates."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.record import Record
from penstock.report.documents.measures import Estimate, Interval


class Model(Record):
    """The model that was tried."""

    path: str = ""
    digest: str = ""
    format: str | None = None
    size_bytes: int | None = None
    files: int | None = None


class Test(Record):
    """One thing that was tried with the model."""

    name: str
    kind: str = ""
    verdict: str = ""
    sentence: str = ""
    value: float | None = None
    interval: Interval | None = None
    minimum: float | None = None
    maximum: float | None = None
    rows: int | None = None
    examples: tuple[object, ...] = ()


class Robustness(Record):
    """A metric before and after the rows were perturbed."""

    name: str
    metric: str = ""
    value: float | None = None
    perturbed_value: float | None = None
    change: float | None = None
    interval: Interval | None = None
    rows: int | None = None
    problem: str | None = None


class Feature(Record):
    """How much a metric loses when a feature is shuffled."""

    feature: str
    value: float | None = None
    interval: Interval | None = None
    share: float | None = None


class Importance(Record):
    """The features by what they matter."""

    metric: str = ""
    method: str = ""
    repeats: int | None = None
    features: tuple[Feature, ...] = ()


class ModelTests(Record):
    """The whole document of `uses: model-tests`."""

    model: Model = Model()
    rows: int | None = None
    confidence: float | None = None
    tests: tuple[Test, ...] = ()
    robustness: tuple[Robustness, ...] = ()
    importance: Importance | None = None
    warnings: tuple[str, ...] = ()


class Machine(Record):
    """What the model was timed on."""

    processor: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    system: str | None = None
    python: str | None = None
    accelerator: str | None = None
    identity: str | None = None


class Milliseconds(Record):
    """A histogram of calls."""

    edges_ms: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()


class Latency(Record):
    """How long calls with so many rows take."""

    batch: int
    calls: int | None = None
    mean_ms: Estimate | None = None
    p50_ms: Estimate | None = None
    p95_ms: Estimate | None = None
    p99_ms: Estimate | None = None
    histogram: Milliseconds | None = None


class Throughput(Record):
    """How many rows a second."""

    batch: int
    rows_per_s: Estimate | None = None


class Memory(Record):
    """Resident memory of the process."""

    before_bytes: int | None = None
    loaded_bytes: int | None = None
    peak_bytes: int | None = None


class ColdStart(Record):
    """From a new process to the first prediction."""

    value: float | None = None
    interval: Interval | None = None
    starts: int | None = None


class Ratios(Record):
    """Latencies against those of the baseline."""

    batch: int
    p50: Estimate | None = None
    p95: Estimate | None = None
    p99: Estimate | None = None


class BenchmarkBaseline(Record):
    """An earlier benchmark."""

    path: str = ""
    digest: str = ""
    same_machine: bool | None = None
    machine: Machine | None = None
    ratios: tuple[Ratios, ...] | None = None


class Benchmark(Record):
    """The whole document of `uses: benchmark-model`."""

    model: Model = Model()
    machine: Machine = Machine()
    rows: int | None = None
    confidence: float | None = None
    latency: tuple[Latency, ...] = ()
    throughput: tuple[Throughput, ...] = ()
    memory: Memory | None = None
    cold_start_s: ColdStart | None = None
    baseline: BenchmarkBaseline | None = None
    warnings: tuple[str, ...] = ()


class Made(Record):
    """An output of a repetition."""

    path: str
    digest: str = ""


class Repetition(Record):
    """One time that a stage was run again."""

    seed: int | None = None
    outputs: tuple[Made, ...] = ()
    metrics: Mapping[str, object] | None = None


class Reproducibility(Record):
    """The whole document of a stage that was run several times."""

    stage: str = ""
    repetitions: tuple[Repetition, ...] = ()
    same: bool | None = None
    differing: tuple[str, ...] = ()
    parameter: str | None = None
    warnings: tuple[str, ...] = ()


class OwnResult(Record):
    """What a user's own gate found."""

    value: float | None = None
    interval: Interval | None = None
    rows: int | None = None
    sentence: str | None = None


class Command(Record):
    """The whole document of a user's own gate."""

    exit_code: int | None = None
    result: OwnResult | None = None
    problem: str | None = None
    output: str = ""
