"""The shape of a pipeline file, checked by pydantic and published as a JSON schema for editors."""

import ast
import inspect
import sys
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    model_validator,
)

from penstock.plan.fields import (
    Command,
    Duration,
    FilePath,
    ImageName,
    InputPath,
    PythonVersion,
    StageName,
    Text,
    Title,
    VariableName,
    VariableValue,
    complaint,
)
from penstock.plan.problems import shown

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


class Record(BaseModel):
    """Unknown keys are refused and nothing is converted: a typing error must not become a setting."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _by_type(kinds: dict[type, str], what: str) -> Discriminator:
    """Chooses a branch by the type of the value, so that a wrong value has one complaint and not several."""
    return Discriminator(
        lambda value: kinds.get(type(value)),
        custom_error_type="penstock",
        custom_error_message=what,
    )


def _version(value: Any) -> Any:
    if type(value) is not int or value != 1:
        raise complaint(f"is {shown(value)}; this Penstock reads version 1", "write `version: 1`")
    return value


class EnvironmentFile(Record):
    """How a stage's process is set up, on every executor."""

    python: PythonVersion | None = None
    """Version of Python that must be there; any from 3.11 on if absent."""
    requirements: FilePath | None = None
    """Lock file: requirements*.txt, *.lock, uv.lock or pyproject.toml. Part of every stage's key."""
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
    """A data set and the schema that it must keep to."""

    path: FilePath
    """File, relative to the root."""
    schema_: Annotated[FilePath | None, Field(alias="schema")] = None
    """Schema file: columns and their order, types, ranges, allowed values, nulls, uniqueness, row count."""


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
    _by_type({list: "list", dict: "mapping"}, "is neither a list of paths nor a mapping of roles to paths"),
]


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


def _kind_of_stage(value: Any) -> str | None:
    if isinstance(value, dict):
        return "run" if "run" in value else value.get("uses")
    return "run" if isinstance(value, RunStage) else getattr(value, "uses", None)


StageFile = Annotated[
    Annotated[RunStage, Tag("run")]
    | Annotated[LintStage, Tag("lint")]
    | Annotated[PytestStage, Tag("pytest")]
    | Annotated[ValidateStage, Tag("validate-data")],
    Discriminator(_kind_of_stage),
]
RECIPES = ("lint", "pytest", "validate-data")


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


class ThresholdGate(_Gate):
    """A metric is within bounds, both inclusive."""

    gate: Literal["threshold"]
    metric: Text
    """Name of the number in the metrics file; dotted if it is nested."""
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    metrics: FilePath | None = None
    """Output that holds the metrics; if absent, the only one in the role `metrics` or called metrics.json."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise complaint("has neither `min` nor `max`", "add the bound that the metric must keep to")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise complaint(f"has min {self.min:g} above max {self.max:g}; nothing could pass")
        return self


GateFile = Annotated[SchemaGate | ThresholdGate, Field(discriminator="gate")]


class Policy(Record):
    """What verdicts mean."""

    on_inconclusive: Literal["fail", "warn"] = "fail"
    """What a required gate that cannot decide does."""


class ArchiveFile(Record):
    """A deterministic archive of what the gates passed."""

    path: FilePath = "dist"
    """Directory that it is written to."""
    contents: list[Text] | None = None
    """Outputs by path or role; if absent, those in the roles `model` and `metrics` or called so."""


class Publish(Record):
    """What leaves the pipeline when its gates have passed."""

    archive: ArchiveFile | None = None


def _kind_of_publish(value: Any) -> str | None:
    return "false" if value is False else "publish" if isinstance(value, dict | Publish) else None


PublishFile = Annotated[
    Annotated[Publish, Tag("publish")] | Annotated[Literal[False], Tag("false")],
    Discriminator(
        _kind_of_publish,
        custom_error_type="penstock",
        custom_error_message="is neither a mapping nor false; write `publish: false` for nothing",
    ),
]


class StagePatch(Record):
    """What a profile changes of a stage, field by field."""

    run: Command | None = None
    inputs: list[InputPath] | None = None
    params: list[Text] | None = None
    outputs: Outputs | None = None
    args: list[str] | None = None
    data: Text | None = None
    description: str | None = None
    variables: dict[VariableName, VariableValue] | None = None
    secrets: list[VariableName] | None = None
    environment: EnvironmentFile | None = None
    accelerator: Accelerators | None = None
    timeout: Duration | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    cache: StrictBool | None = None


class Profile(Record):
    """What differs by situation, merged over the rest of the file; a list replaces a list."""

    params: dict[str, Any] = Field(default_factory=dict)
    """Values of parameters, nested or by dotted name."""
    environment: EnvironmentFile | None = None
    variables: dict[VariableName, VariableValue] = Field(default_factory=dict)
    stages: dict[StageName, StagePatch] = Field(default_factory=dict)
    gates: list[GateFile] | None = None
    policy: Policy | None = None
    publish: PublishFile | None = None


class PipelineFile(Record):
    """A pipeline of Penstock: stages, the gates that judge them, and what is published."""

    version: Annotated[Literal[1], BeforeValidator(_version)]
    """Of this format."""
    name: Title
    root: Text | None = None
    """Directory that all paths are relative to, relative to this file; if absent, this file's directory,
    or the one above if that is called `pipelines`."""
    environment: EnvironmentFile = Field(default_factory=EnvironmentFile)
    params: (
        Annotated[
            Annotated[FilePath, Tag("file")] | Annotated[dict[str, Any], Tag("mapping")],
            _by_type({str: "file", dict: "mapping"}, "is neither a path nor a mapping"),
        ]
        | None
    ) = None
    """Parameters: a YAML file, or the values themselves."""
    variables: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """Environment variables of every stage's process."""
    secrets: dict[VariableName, SecretSource | None] = Field(default_factory=dict)
    data: dict[Title, DataSet] = Field(default_factory=dict)
    ignore: list[Text] = Field(default_factory=list)
    """Patterns of files that are never inputs, beside caches of tools and version control."""
    stages: Annotated[dict[StageName, StageFile], Field(min_length=1)]
    """By name. Their order follows from who reads what another one writes."""
    gates: list[GateFile] = Field(default_factory=list)
    """In order; the first required gate that does not pass skips the rest."""
    policy: Policy = Field(default_factory=Policy)
    publish: PublishFile | None = None
    profiles: dict[Title, Profile] = Field(default_factory=dict)


def schema_document() -> dict[str, Any]:
    """The JSON schema of pipeline files."""
    document = PipelineFile.model_json_schema()
    for name, texts in _attribute_docstrings().items():
        part = document if name == PipelineFile.__name__ else document["$defs"].get(name, {})
        for key, text in texts.items():
            if key in part.get("properties", {}):
                part["properties"][key]["description"] = text
    return {"$schema": SCHEMA_ID, **document, "title": "Penstock pipeline"}


def _attribute_docstrings() -> dict[str, dict[str, str]]:
    """The texts below the fields of this module's classes, inherited ones too.

    Pydantic can collect them itself, but does it at import, where every run with a new plan pays for it.
    """
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[__name__])).body:
        if not isinstance(node, ast.ClassDef):
            continue
        texts: dict[str, str] = {}
        for base in node.bases:
            texts |= found.get(ast.unparse(base), {})
        for field, text in zip(node.body, node.body[1:], strict=False):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as words)),
                ):
                    texts[name.rstrip("_")] = " ".join(words.split())
                case _:
                    pass
        found[node.name] = texts
    return found
