"""The shape of a pipeline file, checked by pydantic and published as a JSON schema for editors."""

import ast
import inspect
import sys
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, Tag

from penstock.plan import (
    schema_gates,
    schema_parts,
    schema_publish,
    schema_security,
    schema_stages,
    schema_tests,
)
from penstock.plan.fields import (
    Command,
    Duration,
    FilePath,
    InputPath,
    StageName,
    Text,
    Title,
    VariableName,
    VariableValue,
    complaint,
)
from penstock.plan.problems import shown
from penstock.plan.schema_gates import GateFile, Policy
from penstock.plan.schema_parts import (
    Accelerators,
    DataSet,
    EnvironmentFile,
    Outputs,
    Record,
    SecretSource,
    by_type,
)
from penstock.plan.schema_publish import PublishFile
from penstock.plan.schema_stages import StageFile

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def _version(value: Any) -> Any:
    if type(value) is not int or value != 1:
        raise complaint(f"is {shown(value)}; this Penstock reads version 1", "write `version: 1`")
    return value


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
    exclusive: StrictBool | None = None
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
            by_type({str: "file", dict: "mapping"}, "is neither a path nor a mapping"),
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
    """By name; `from` takes those of other tools' files. Their order follows from who reads what another one
    writes."""
    gates: list[GateFile] = Field(default_factory=list)
    """In order; the first required gate that does not pass skips the rest."""
    policy: Policy = Field(default_factory=Policy)
    publish: PublishFile | None = None
    profiles: dict[Title, Profile] = Field(default_factory=dict)


def schema_document() -> dict[str, Any]:
    """The JSON schema of pipeline files."""
    document = PipelineFile.model_json_schema()
    _with_imports(document["properties"]["stages"])
    for name, texts in attribute_docstrings().items():
        part = document if name == PipelineFile.__name__ else document["$defs"].get(name, {})
        for key, text in texts.items():
            if key in part.get("properties", {}):
                part["properties"][key]["description"] = text
    return {"$schema": SCHEMA_ID, **document, "title": "Penstock pipeline"}


def _with_imports(stages: dict[str, Any]) -> None:
    """Let editors know what `importing` replaces by stages, and that fields alone change one of those."""
    files = {"type": "string", "pattern": r"(^|/)(dvc\.yaml|MLproject)$"}
    names = {"type": "array", "items": {"type": "string"}}
    parameters = {"type": "object", "additionalProperties": {"type": ["object", "null"]}}
    stages["properties"] = {
        "from": {"anyOf": [files, {"type": "array", "items": files}]},
        "entry_points": {"anyOf": [names, parameters]},
    }
    own = stages.pop("patternProperties")
    ((pattern, stage),) = own.items()
    either = {"anyOf": [*stage["oneOf"], {"$ref": "#/$defs/StagePatch"}]}
    stages["if"] = {"required": ["from"]}
    stages["then"] = {"patternProperties": {pattern.replace("^", "^(?!from$)", 1): either}}
    stages["else"] = {"patternProperties": own}


def attribute_docstrings() -> dict[str, dict[str, str]]:
    """The texts below the fields of the shape's classes, inherited ones too.

    Pydantic can collect them itself, but does it at import, where every run with a new plan pays for it.
    """
    found: dict[str, dict[str, str]] = {}
    modules = (
        schema_parts,
        schema_tests,
        schema_security,
        schema_stages,
        schema_gates,
        schema_publish,
        sys.modules[__name__],
    )
    for node in (node for module in modules for node in ast.parse(inspect.getsource(module)).body):
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
