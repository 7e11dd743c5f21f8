"""Parts of a pipeline file's shape that stages, gates and the file itself share."""

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from penstock.plan.fields import (
    AliasName,
    FilePath,
    ImageName,
    ModelName,
    PythonVersion,
    Text,
    Title,
    VariableName,
    complaint,
)
from penstock.plan.problems import shown


class Record(BaseModel):
    """Unknown keys are refused and nothing is converted: a typing error must not become a setting."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def by_type(kinds: dict[type, str], what: str) -> Discriminator:
    """Chooses a branch by the type of the value, so that a wrong value has one complaint and not several."""
    return Discriminator(
        lambda value: kinds.get(type(value)),
        custom_error_type="penstock",
        custom_error_message=what,
    )


class EnvironmentFile(Record):
    """How a stage's process is set up, on every executor."""

    python: PythonVersion | None = None
    """Version of Python that must be there; any from 3.11 on if absent."""
    requirements: FilePath | None = None
    """Lock file: requirements*.txt, *.lock, uv.lock or pyproject.toml. Part of every stage's key."""
    packages: list[Text] | None = None
    """Requirements beside those of the lock file, each as a line of a requirements file."""
    image: ImageName | None = None
    """Image for container executors."""


class Cuda(Record):
    """What a stage runs on with `--accelerator cuda`."""

    image: ImageName | None = None
    """Image for container executors, instead of the environment's."""
    gpus: Annotated[int, Field(ge=1, le=1024)] = 1
    """How many GPUs."""


class Accelerators(Record):
    """Hardware that a stage can use when the command line asks for it."""

    cuda: Cuda | None = None


class DataSet(Record):
    """A data set, where it lies, and the schema that it must keep to."""

    path: FilePath | None = None
    """File, relative to the root; beside `dvc`, which of its outputs is meant, or which file in one."""
    dvc: FilePath | None = None
    """The `.dvc` file of data that DVC keeps: they are fetched when a stage that reads them must run."""
    secrets: list[VariableName] = Field(default_factory=list)
    """Secrets that the fetch gets, as environment variables; what its remote wants to see."""
    schema_: Annotated[FilePath | None, Field(alias="schema")] = None
    """Schema file: columns and their order, types, ranges, allowed values, nulls, uniqueness, row count."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.path is None and self.dvc is None:
            raise complaint("names no file", "write `path: <file>`, or `dvc: <file>.dvc`")
        if self.dvc is not None and not self.dvc.endswith(".dvc"):
            what = f"names {shown(self.dvc)}, which is no `.dvc` file"
            raise complaint(what, f"write `dvc: {self.dvc}.dvc`")
        if self.secrets and self.dvc is None:
            raise complaint("has secrets, and nothing to fetch with them", "`secrets` belongs to `dvc`")
        return self


class SecretSource(Record):
    """Where a secret's value comes from; `{}` stands for a variable of the same name."""

    env: VariableName | None = None
    """Variable of Penstock's own environment."""
    file: Text | None = None
    """File that holds the value and nothing else."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.env is not None and self.file is not None:
            raise complaint("names both a variable and a file", "keep `env` or `file`")
        return self


Outputs = Annotated[
    Annotated[list[FilePath], Tag("list")] | Annotated[dict[Title, FilePath], Tag("mapping")],
    by_type({list: "list", dict: "mapping"}, "is neither a list of paths nor a mapping of roles to paths"),
]


class Baseline(Record):
    """Where the predictions lie that a model is compared with."""

    file: FilePath | None = None
    """A predictions table."""
    run: FilePath | None = None
    """An archive that a run published, or a directory that holds one unpacked."""
    registry: AliasName | None = None
    """An alias in MLflow's registry, such as champion: what that version predicted is fetched in each run."""
    model: ModelName | None = None
    """Of the registry; that of `publish.mlflow` if absent."""
    tracking_uri: Text | None = None
    """Of the registry; that of `publish.mlflow`, else MLFLOW_TRACKING_URI."""
    predictions: FilePath | None = None
    """The table within the archive or the registered version; that of the evaluation if absent."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(each is not None for each in (self.file, self.run, self.registry)) != 1:
            remedy = "write `file: <predictions table>`, `run: <archive>` or `registry: <alias>`"
            raise complaint("names no place, or several", remedy)
        if self.predictions is not None and self.file is not None:
            raise complaint("names predictions within a file", "`predictions` belongs to `run` or `registry`")
        if self.registry is None and (self.model or self.tracking_uri):
            raise complaint("names a model, but no alias of it", "add `registry: champion`")
        return self

    @property
    def place(self) -> str:
        """Where it is, in a word: what documents and gates call it."""
        return self.file or self.run or f"{self.model or 'registry'}@{self.registry}"


def _as_baseline(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


BaselinePlace = Annotated[
    Baseline,
    BeforeValidator(_as_baseline, json_schema_input_type=str | Baseline),
]
"""A baseline; a path alone is that of a predictions table."""


def _confidence(value: Any) -> float:
    if value == "none":
        return 0.0
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.5 <= value < 1:  # noqa: PLR2004
        return float(value)
    what = f"is {shown(value)}, which is no confidence"
    raise complaint(what, "write 0.5 or more and less than 1, such as 0.95, or none")


Confidence = Annotated[
    float,
    BeforeValidator(_confidence),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0.5, "exclusiveMaximum": 1}, {"const": "none"}]}),
]
"""Of a two-sided interval; 0 stands for none, that is, for judging the bare number."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
AtLeastZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
