"""The gates of a pipeline file, and what their verdicts mean."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from penstock.plan.fields import Command, Duration, FilePath, InputPath, StageName, Text, Title, complaint
from penstock.plan.problems import shown
from penstock.plan.schema_parts import (
    AtLeastZero,
    BaselinePlace,
    Confidence,
    EnvironmentFile,
    Finite,
    Record,
    Share,
)
from penstock.plan.schema_security import MaxSeverity


class _Gate(Record):
    """What every gate may say."""

    name: Title | None = None
    """Unique in the pipeline; made of the gate's kind and subject if absent."""
    required: StrictBool = True
    """Whether what follows depends on it; an advisory gate is only reported."""


class SchemaGate(_Gate):
    """A data set keeps to its schema."""

    gate: Literal["schema"]
    data: Text
    """Name of the data set under `data`."""


def _slice(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) != 1:
        raise complaint(f"is {shown(value)}, which is no slice", "write {column: value}")
    ((column, group),) = value.items()
    if not isinstance(column, str) or not isinstance(group, str | int | float):
        raise complaint(f"is {shown(value)}, which is no slice", "write {column: value}")
    return {column: str(group)}


Slice = Annotated[
    dict[str, str],
    BeforeValidator(_slice),
    WithJsonSchema({"type": "object", "minProperties": 1, "maxProperties": 1}),
]


class _MeasuringGate(_Gate):
    """What gates say that judge predictions."""

    predictions: FilePath | None = None
    """Predictions table; if absent, the only output in the role `predictions` or called so."""
    confidence: Confidence | None = None
    """Of the interval, two-sided; the policy's if absent, `none` for the bare number."""


class _MetricGate(_MeasuringGate):
    """What gates say that judge one metric."""

    metric: Text
    """Name as in scikit-learn, or `package.module:function`."""
    slice: Slice | None = None
    """Only the rows with this value: `{gender: Female}`."""


class ThresholdGate(_MetricGate):
    """A metric is within bounds, both inclusive."""

    gate: Literal["threshold"]
    min: Finite | None = None
    max: Finite | None = None
    metrics: FilePath | None = None
    """Output that holds the metric as a bare number, instead of a predictions table; dotted if nested."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise complaint("has neither `min` nor `max`", "add the bound that the metric must keep to")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise complaint(f"has min {self.min:g} above max {self.max:g}; nothing could pass")
        if self.metrics is not None and self.predictions is not None:
            raise complaint("names both `metrics` and `predictions`", "keep the one that holds the number")
        return self


class _ComparingGate(_MetricGate):
    """What gates say that compare with a baseline."""

    baseline: BaselinePlace | None = None
    """What the model is compared with; that of the stage `uses: measure` if absent."""
    unpaired: StrictBool = False
    """Whether a baseline of another evaluation set may be compared with, more weakly."""


class NoRegressionGate(_ComparingGate):
    """A metric is not worse than the baseline's by more than a margin."""

    gate: Literal["no-regression"]
    margin: AtLeastZero
    """How much worse the metric may be, in its own units."""


class ImprovementGate(_ComparingGate):
    """A metric is better than the baseline's by at least so much."""

    gate: Literal["improvement"]
    by: AtLeastZero
    """In the metric's own units."""


class FairnessGate(_MeasuringGate):
    """A metric is alike in all groups."""

    gate: Literal["fairness"]
    metric: Text | None = None
    """Compared between groups."""
    criterion: (
        Literal["demographic-parity", "disparate-impact", "equal-opportunity", "equalized-odds"] | None
    ) = None
    """Instead of a metric: shares of positive predictions, overall or by truth."""
    by: Annotated[list[Text], Field(min_length=1)]
    """Columns of the predictions table whose values are the groups."""
    min_ratio: Share | None = None
    """Least ratio of one group's metric to another's."""
    max_difference: AtLeastZero | None = None
    """Largest difference between two groups."""
    min: Finite | None = None
    """Least metric of any group."""
    max: Finite | None = None
    """Largest metric of any group."""
    min_group_size: Annotated[int, Field(ge=1)] = 30
    """A smaller group decides nothing."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.metric is None) == (self.criterion is None):
            raise complaint("needs `metric` or `criterion`, and not both")
        if all(each is None for each in (self.min_ratio, self.max_difference, self.min, self.max)):
            raise complaint("has no bound", "add `min_ratio`, `max_difference`, `min` or `max`")
        return self


class CalibrationGate(_MeasuringGate):
    """Scores are the probabilities that they claim to be."""

    gate: Literal["calibration"]
    max_ece: Share | None = None
    """Largest expected calibration error."""
    max_brier: Share | None = None
    """Largest Brier score."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.max_ece is None and self.max_brier is None:
            raise complaint("has no bound", "add `max_ece` or `max_brier`")
        return self


class DriftGate(_Gate):
    """A data set is distributed as its reference."""

    gate: Literal["drift"]
    data: Text
    """Name of the data set under `data`."""
    max_share: Share = 0.0
    """How many of the columns may have drifted."""
    columns: list[Text] | None = None
    """Columns that count; all if absent."""


class FreshnessGate(_Gate):
    """A data set's newest row is not too old."""

    gate: Literal["freshness"]
    data: Text
    """Name of the data set under `data`."""
    max_age: Duration
    """Seconds, or `36h`, `30d`."""


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _ModelGate(_Gate):
    """What gates say that judge what a stage found out about a model."""

    stage: StageName | None = None
    """The stage; if absent, the only one of the recipe."""


class LatencyGate(_ModelGate):
    """The model answers fast enough."""

    gate: Literal["latency"]
    batch: Annotated[int, Field(ge=1)] = 1
    """Rows in a call."""
    p50_ms: Positive | None = None
    p95_ms: Positive | None = None
    p99_ms: Positive | None = None
    cold_start_s: Positive | None = None
    """From the start of a process to its first prediction."""
    max_ratio: Positive | None = None
    """To the baseline's percentiles, on the same machine."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        bounds = (self.p50_ms, self.p95_ms, self.p99_ms, self.cold_start_s, self.max_ratio)
        if all(each is None for each in bounds):
            raise complaint("has no bound", "add `p50_ms`, `p95_ms`, `p99_ms`, `cold_start_s` or `max_ratio`")
        return self


class MemoryGate(_ModelGate):
    """The model needs no more memory than this."""

    gate: Literal["memory"]
    load_mb: Positive | None = None
    """Resident memory of the process when it has loaded the model, in millions of bytes."""
    peak_mb: Positive | None = None
    """The same at its peak."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.load_mb is None and self.peak_mb is None:
            raise complaint("has no bound", "add `load_mb` or `peak_mb`")
        return self


class ModelSizeGate(_ModelGate):
    """The model's files are no larger than this."""

    gate: Literal["model-size"]
    max_mb: Positive
    """Millions of bytes."""


class ModelTestsGate(_ModelGate):
    """The model passes its tests."""

    gate: Literal["model-tests"]


class RobustnessGate(_ModelGate):
    """A metric does not fall by more than this under noise."""

    gate: Literal["robustness"]
    max_drop: AtLeastZero
    """In the metric's own units."""
    names: list[Text] | None = None
    """Which of the stage's noises; all if absent."""


class ExplainabilityGate(_ModelGate):
    """The model rests on what it may rest on."""

    gate: Literal["explainability"]
    max_share: Share | None = None
    """Largest share of the importance that one feature may have."""
    forbidden: list[Text] = Field(default_factory=list)
    """Features that must not matter."""


class Seeds(Record):
    """Train again with other seeds."""

    parameter: Text
    """The parameter that is the seed, by dotted name."""
    values: Annotated[list[int], Field(min_length=2, max_length=100)]
    """Seeds to train with."""


class ReproducibleGate(_Gate):
    """Training again gives the same files, or, with other seeds, nearly the same metric."""

    gate: Literal["reproducible"]
    stage: StageName
    """The stage that is run again."""
    seeds: Seeds | None = None
    """Without: once more with the same parameters."""
    metric: Text | None = None
    """Name of the number in the metrics file, for `seeds`."""
    metrics: FilePath | None = None
    """Output that holds the metric; if absent, the only one in the role `metrics` or called metrics.json."""
    max_spread: AtLeastZero | None = None
    """Largest difference between two seeds."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = (self.seeds, self.metric, self.max_spread)
        if any(each is not None for each in needed) and any(each is None for each in needed):
            raise complaint("is incomplete", "`seeds`, `metric` and `max_spread` belong together")
        return self


class SecurityGate(_ModelGate):
    """The scans were whole, and found nothing worse than this."""

    gate: Literal["security"]
    max_severity: MaxSeverity = "medium"
    """The worst that may be left, of every check or of each: `none`, `info`, `low`, `medium`, `high`."""


class CommandGate(_Gate):
    """A command of one's own: 0 passes, 4 is inconclusive, anything else fails."""

    gate: Literal["command"]
    name: Title
    """Unique in the pipeline."""
    run: Command
    """Handed to /bin/sh; may write what it found to the file that $PENSTOCK_VERDICT names, as JSON."""
    inputs: list[InputPath] = Field(default_factory=list)
    """What it reads; outputs of stages among them."""
    environment: EnvironmentFile | None = None
    """Overrides the pipeline's environment, field by field."""


DataGates = SchemaGate | DriftGate | FreshnessGate
BenchmarkGates = LatencyGate | MemoryGate | ModelSizeGate
ModelTestsGates = ModelTestsGate | RobustnessGate | ExplainabilityGate

GateFile = Annotated[
    SchemaGate
    | ThresholdGate
    | NoRegressionGate
    | ImprovementGate
    | FairnessGate
    | CalibrationGate
    | DriftGate
    | FreshnessGate
    | LatencyGate
    | MemoryGate
    | ModelSizeGate
    | ModelTestsGate
    | RobustnessGate
    | ExplainabilityGate
    | ReproducibleGate
    | SecurityGate
    | CommandGate,
    Field(discriminator="gate"),
]
GATES = (
    "schema",
    "threshold",
    "no-regression",
    "improvement",
    "fairness",
    "calibration",
    "drift",
    "freshness",
    "latency",
    "memory",
    "model-size",
    "model-tests",
    "robustness",
    "explainability",
    "reproducible",
    "security",
    "command",
)


class Policy(Record):
    """What verdicts mean."""

    on_inconclusive: Literal["fail", "warn"] = "fail"
    """What a required gate that cannot decide does."""
    first_version: Literal["fail", "skip"] = "fail"
    """What a gate that compares does when its baseline is not there yet."""
    confidence: Confidence = 0.95
    """Of every interval that does not say otherwise."""
    holdout_budget: Annotated[int, Field(ge=1)] = 100
    """How many models one evaluation set may judge before a run warns."""
