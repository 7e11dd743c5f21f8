"""The stages of a pipeline file: a command of one's own, or a recipe."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, Tag

from penstock.plan.fields import (
    AliasName,
    Command,
    Duration,
    FilePath,
    InputPath,
    ModelName,
    Text,
    Title,
    VariableName,
    VariableValue,
)
from penstock.plan.schema_gates import ReproducibleGate
from penstock.plan.schema_parts import (
    Accelerators,
    BaselinePlace,
    Confidence,
    EnvironmentFile,
    Outputs,
    Record,
    Share,
    by_type,
)
from penstock.plan.schema_security import SecurityOptions
from penstock.plan.schema_tests import Disturbance, Importance, Tests, switched

Task = Literal["binary", "multiclass", "regression", "ranking"]
ModelFormat = Literal["mlflow", "skops", "onnx", "safetensors", "loader", "pickle"]


class _Common(Record):
    """What every stage may say."""

    description: str | None = None
    """For people."""
    variables: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """Environment variables of the process, over those of the pipeline."""
    secrets: list[VariableName] = Field(default_factory=list)
    """Secrets that the stage gets, as environment variables."""
    environment: EnvironmentFile | None = None
    """Overrides the pipeline's environment, field by field."""
    accelerator: Accelerators | None = None
    timeout: Duration | None = None
    """Limit of one attempt: seconds, or `30m`, `2h`, `1h30m`."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """Further attempts after a failed one."""
    exclusive: StrictBool = False
    """Whether it runs while no other stage does, as what measures times should; `benchmark-model` always."""
    cache: StrictBool = True
    """Whether an earlier result may stand for a run."""


class RunStage(_Common):
    """One command with everything that may change its outputs declared."""

    run: Command
    """Command, handed to /bin/sh in a workspace that holds the inputs and nothing else."""
    inputs: list[InputPath] = Field(default_factory=list)
    """Files, directories and patterns that the command reads; outputs of other stages among them."""
    params: list[Text] = Field(default_factory=list)
    """Parameters that the command reads, by dotted name; a section stands for all that is in it."""
    outputs: Outputs = Field(default_factory=list)
    """Files and directories that the command must write; as a mapping, each with a role."""
    observe: StrictBool = False
    """Whether it sees the whole source, and what it reads of it is an input too, declared or not."""
    overwrite: StrictBool = False
    """Whether the outputs replace what stands in their places, as `--overwrite` does for all stages."""
    persist: list[FilePath] = Field(default_factory=list)
    """Outputs whose earlier content is there when the command starts."""


class LintStage(_Common):
    """Ruff and mypy with the user's own configuration."""

    uses: Literal["lint"]
    inputs: list[InputPath] | None = None
    """What is checked; `src` and `tests` if absent, or every Python file."""


class PytestStage(_Common):
    """The test suite, with a JUnit report as its output."""

    uses: Literal["pytest"]
    inputs: list[InputPath] | None = None
    """What the tests read; `src` and `tests` if absent, or every Python file."""
    args: list[str] = Field(default_factory=list)
    """Further arguments for pytest."""


class ValidateStage(_Common):
    """Checks a data set against its schema; the gate `schema` judges what it finds."""

    uses: Literal["validate-data"]
    data: Text
    """Name of the data set under `data`."""
    reference: FilePath | None = None
    """Table of the same columns that the data are compared with for drift."""
    splits: dict[Title, FilePath] | None = None
    """Tables that the data were split into, by name; no row may be in two of them."""


class Columns(Record):
    """What the columns of a predictions table are called, where not `id`, `truth`, `prediction`, `score`."""

    id: Text | None = None
    """Names the row: the same in every table of the same evaluation set."""
    truth: Text | None = None
    prediction: Text | None = None
    score: Text | None = None
    """Of the positive class; of several classes, `score_<class>` or `probability_<class>` are looked for."""
    query: Text | None = None
    """For a ranking: the rows with the same value are ranked against each other."""


class MeasureStage(_Common):
    """Metrics, slices and comparisons, each with its interval, from a predictions table."""

    uses: Literal["measure"]
    predictions: FilePath | None = None
    """Table that a stage writes; if absent, the only output in the role `predictions` or called so."""
    task: Task | None = None
    """What was predicted; told from the table if absent."""
    columns: Columns | None = None
    positive: Text | None = None
    """The class that recall and the like are about; 1, true or yes if absent."""
    metrics: list[Text] = Field(default_factory=list)
    """Beside what gates ask for: names as in scikit-learn, or `package.module:function`."""
    slices: list[Text] = Field(default_factory=list)
    """Columns of the table by whose values everything is measured too."""
    baseline: BaselinePlace | None = None
    """What the model is compared with, unless a gate says otherwise."""
    confidence: Confidence | None = None
    """Of the intervals that no gate asks for; the policy's if absent."""
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """Bootstrap draws, where an interval needs them."""
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    """Of the calibration."""
    inputs: list[InputPath] | None = None
    """What metrics of one's own import; `src` if absent."""


class _ModelStage(_Common):
    """What stages say that load a model."""

    model: FilePath | None = None
    """Output of a stage; if absent, the only one in the role `model` or called so."""
    format: ModelFormat | None = None
    """Told from the files if absent; a pickle never is."""
    loader: Text | None = None
    """`package.module:function` that makes a model of the path."""
    trust: Literal["pickle"] | list[Text] | None = None
    """`pickle` to load files that can run code, or the types that skops shall trust."""
    data: FilePath
    """Table of rows to predict."""
    features: list[Text] | None = None
    """Columns that the model gets; all but target, id and `drop` if absent."""
    drop: list[Text] = Field(default_factory=list)
    """Columns that the model does not get."""
    target: Text | None = None
    """Column that holds the truth."""
    id: Text | None = None
    """Column that names the row."""
    inputs: list[InputPath] | None = None
    """What loading the model imports; `src` if absent."""


class _MeasuredModelStage(_ModelStage):
    """What stages say that measure a model."""

    confidence: Confidence | None = None
    """Of the intervals; the policy's if absent."""


class ModelTestsStage(_MeasuredModelStage):
    """Does the model do what any model of this data must do?"""

    uses: Literal["model-tests"]
    task: Task | None = None
    positive: Text | None = None
    metric: Text | None = None
    """What slices, robustness and importance are measured in."""
    tests: Tests = Field(default_factory=Tests)
    """Smoke, validity and determinism are always tested; these besides, or otherwise."""
    robustness: list[Disturbance] = Field(default_factory=list)
    """Noise to measure the model under."""
    importance: Annotated[
        Annotated[Importance, Tag("options")] | Annotated[StrictBool, Tag("switch")], switched(Importance)
    ] = False
    """Measure how much each feature matters, by permutation."""


class BenchmarkModelStage(_MeasuredModelStage):
    """Latency, throughput, memory, size and cold start of the model, on this machine."""

    uses: Literal["benchmark-model"]
    batch_sizes: Annotated[list[Annotated[int, Field(ge=1, le=1_000_000)]], Field(min_length=1)] = Field(
        default_factory=lambda: [1, 32]
    )
    """Rows in a call."""
    calls: Annotated[int, Field(ge=10, le=1_000_000)] = 400
    """Timed calls for each batch size; the interval of p99 needs 368 at a confidence of 0.95."""
    warmup: Annotated[int, Field(ge=0, le=100_000)] = 20
    """Calls before those that are timed."""
    starts: Annotated[int, Field(ge=1, le=100)] = 6
    """Fresh processes to take the cold start of; an interval needs 6 at a confidence of 0.95."""
    baseline: FilePath | None = None
    """An earlier benchmark's document."""


class PackageModelStage(_ModelStage):
    """The model as an MLflow model directory that says what was judged, for the registry and the image."""

    uses: Literal["package-model"]
    task: Task | None = None
    positive: Text | None = None
    threshold: Share | None = None
    """From this score of the positive class on, it is predicted; the model decides if absent."""
    predictions: (
        Annotated[
            Annotated[FilePath, Tag("path")] | Annotated[Literal[False], Tag("none")],
            by_type({str: "path", bool: "none"}, "is neither a path nor false"),
        ]
        | None
    ) = None
    """The table that was judged; if absent, the output in the role `predictions` or called so, if there is
    one; false to compare with none."""
    examples: Annotated[int, Field(ge=1, le=1000)] = 5
    """Rows that the image's smoke test asks about."""


class SecurityStage(_Common, SecurityOptions):
    """Secrets, known vulnerabilities, risky code, pickles and what is not pinned; run every time."""

    uses: Literal["security"]


def _kind_of_stage(value: Any) -> str | None:
    if isinstance(value, dict):
        return "run" if "run" in value else value.get("uses")
    return "run" if isinstance(value, RunStage) else getattr(value, "uses", None)


StageFile = Annotated[
    Annotated[RunStage, Tag("run")]
    | Annotated[LintStage, Tag("lint")]
    | Annotated[PytestStage, Tag("pytest")]
    | Annotated[ValidateStage, Tag("validate-data")]
    | Annotated[MeasureStage, Tag("measure")]
    | Annotated[ModelTestsStage, Tag("model-tests")]
    | Annotated[BenchmarkModelStage, Tag("benchmark-model")]
    | Annotated[PackageModelStage, Tag("package-model")]
    | Annotated[SecurityStage, Tag("security")],
    Discriminator(_kind_of_stage),
]
RECIPES = (
    "lint",
    "pytest",
    "validate-data",
    "measure",
    "model-tests",
    "benchmark-model",
    "package-model",
    "security",
)


class CommandStage(_Common):
    """What the gate `command` runs; no pipeline file says so itself."""

    uses: Literal["command"]
    run: Command
    inputs: list[InputPath]


class RegistryStage(_Common):
    """What a baseline in a registry is fetched by; no pipeline file says so itself."""

    uses: Literal["registry"]
    model: ModelName
    alias: AliasName
    tracking_uri: Text | None
    predictions: FilePath | None


class RepeatStage(_Common):
    """What the gate `reproducible` runs again; no pipeline file says so itself."""

    uses: Literal["repeat"]
    gate: ReproducibleGate


class DvcStage(_Common):
    """What fetches data that DVC keeps; no pipeline file says so itself."""

    uses: Literal["dvc"]
    file: FilePath


AnyStage = (
    RunStage
    | LintStage
    | PytestStage
    | ValidateStage
    | MeasureStage
    | ModelTestsStage
    | BenchmarkModelStage
    | PackageModelStage
    | SecurityStage
    | CommandStage
    | RegistryStage
    | RepeatStage
    | DvcStage
)
