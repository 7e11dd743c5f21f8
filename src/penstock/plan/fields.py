"""The texts that a pipeline file is made of: names, paths, durations, and what each may be."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from penstock.plan.paths import path_problem
from penstock.plan.problems import shown

MAX_TIMEOUT_S = 366 * 86_400
MAX_RUN_BYTES = 100_000

_NAME = r"[a-z][a-z0-9-]{0,62}"
_TITLE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,254}"
_MODEL = r"[A-Za-z0-9_][A-Za-z0-9 _.-]{0,249}"
_ALIAS = r"[A-Za-z][A-Za-z0-9_-]{0,99}"
_DURATION = r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+"
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PYTHON = r"[0-9]+(?:\.[0-9]+){0,2}|(?:>=|<=|==|!=|~=|>|<)[0-9.]+(?:, ?(?:>=|<=|==|!=|~=|>|<)[0-9.]+)*"


def complaint(what: str, *notes: str) -> PydanticCustomError:
    """A problem in our own words: what comes after the name of the setting, and notes."""
    return PydanticCustomError("penstock", "{what}", {"what": what, "notes": notes})


def seconds(value: Any) -> float:
    """A duration (`90`, `1.5`, `"30m"`, `"1h30m"`) in seconds."""
    if isinstance(value, str) and re.fullmatch(_DURATION, value):
        found = re.findall(r"([0-9.]+)([smhd])", value)
        total = math.fsum(float(number) * _UNIT_S[unit] for number, unit in found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        total = float(value)
    else:
        raise complaint(f"is {shown(value)}, which is no duration", "write seconds, or `30m`, `2h`, `1h30m`")
    if not 0 < total <= MAX_TIMEOUT_S:
        raise complaint(f"is {shown(value)}; it must be more than nothing and at most 366 days")
    return total


def matching(pattern: str, rule: str) -> AfterValidator:
    """Demands that a text matches a pattern as a whole; `rule` says so to people."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise complaint(f"is {shown(value)}; {rule}")
        return value

    return AfterValidator(check)


def _path(value: str) -> str:
    problem = path_problem(value, pattern=False)
    if problem is not None:
        raise complaint(f"is {shown(value)}, {problem[0]}", *problem[1:])
    return value


def _selection(value: str) -> str:
    problem = path_problem(value, pattern=True)
    if problem is not None:
        raise complaint(f"is {shown(value)}, {problem[0]}", *problem[1:])
    return value


def _command(value: str) -> str:
    if not value.strip():
        raise complaint("is empty", "write the command that makes the outputs")
    if len(value.encode()) > MAX_RUN_BYTES:
        raise complaint(f"is longer than {MAX_RUN_BYTES:,} bytes", "put it into a script and run that")
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise complaint("is empty")
    return value


def _variable_value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise complaint(
            f"is {shown(value)}, which is no text", "write it in quotes, as the process shall see it"
        )
    return value


def _alias(value: str) -> str:
    if value.lower() == "latest" or (value[0] in "vV" and value[1:].isdecimal()):
        raise complaint(f"is {shown(value)}, which MLflow keeps for itself", "write one such as candidate")
    return value


StageName = Annotated[
    str,
    matching(
        _NAME, "a stage's name has lower-case letters, digits and dashes, begins with a letter, at most 63"
    ),
    Field(json_schema_extra={"pattern": f"^{_NAME}$"}),
]
Title = Annotated[
    str,
    matching(_TITLE, "a name has letters, digits, dots, dashes and underscores, at most 63"),
    Field(json_schema_extra={"pattern": f"^{_TITLE}$"}),
]
VariableName = Annotated[
    str,
    matching(_VARIABLE, "a variable's name has letters, digits and underscores, and begins with no digit"),
    Field(json_schema_extra={"pattern": f"^{_VARIABLE}$"}),
]
VariableValue = Annotated[
    str,
    BeforeValidator(_variable_value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
ModelName = Annotated[
    str,
    matching(_MODEL, "a registered model's name has letters, digits, spaces, dots, dashes and underscores"),
    Field(json_schema_extra={"pattern": f"^{_MODEL}$"}),
]
AliasName = Annotated[
    str,
    matching(_ALIAS, "an alias has letters, digits, dashes and underscores, and begins with a letter"),
    AfterValidator(_alias),
    Field(json_schema_extra={"pattern": f"^{_ALIAS}$"}),
]
PythonVersion = Annotated[
    str,
    matching(_PYTHON, 'write a version such as "3.12", or bounds such as ">=3.11,<3.14"'),
    Field(json_schema_extra={"examples": ["3.12", ">=3.11"]}),
]
ImageName = Annotated[str, matching(r"[^\s]{1,512}", "write an image such as python:3.12-slim")]
FilePath = Annotated[str, AfterValidator(_path)]
InputPath = Annotated[str, AfterValidator(_selection)]
Command = Annotated[str, AfterValidator(_command)]
Text = Annotated[str, AfterValidator(_text)]
Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^{_DURATION}$"},
            ]
        }
    ),
]
