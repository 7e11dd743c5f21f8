"""`run.json`: the report of a run as a document that other programs can rely on.

Its shape is that of the records of `penstock.results`, field by field; `schema` writes it down. A document of
another version is refused, never guessed at.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from penstock.errors import PipelineError, StoreError
from penstock.record import Record, items
from penstock.report.shapes import SCALARS, MismatchError, build, hints, required
from penstock.results import RUN_REPORT_VERSION, RunReport

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def to_document(report: RunReport) -> dict[str, Any]:
    """The report as JSON values; a number that JSON cannot write is null, times are in microseconds."""
    document: dict[str, Any] = _plain(report)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)  # of an enumeration too
    result: Any
    if isinstance(value, float):
        result = value if math.isfinite(value) else None
    elif value is None or isinstance(value, (bool, int)):
        result = value
    elif isinstance(value, (tuple, list)):
        result = [_plain(item) for item in value]
    elif isinstance(value, Mapping):
        result = {str(name): _plain(item) for name, item in value.items()}
    elif isinstance(value, Record):
        result = {name: _field(name, each) for name, each in items(value)}
    else:
        result = str(value)
    return result


def _field(name: str, value: Any) -> Any:
    return round(value, 6) if name.endswith("_s") and isinstance(value, float) else _plain(value)


def encode(report: RunReport) -> bytes:
    """The document's bytes: one line for each stage, gate and publication, so that two can be compared."""
    # `indent=` would leave the C encoder, which is ten times as fast
    parts = (f" {json.dumps(name)}: {_value(value)}" for name, value in to_document(report).items())
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode("ascii")


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(json.dumps(item, allow_nan=False) for item in value) + "\n ]"
    return json.dumps(value, allow_nan=False)


def write_whole(path: Path, data: bytes) -> None:
    """Write a report's file, whole or not at all, with the directories above it.

    Raises:
        StoreError: It cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):  # where there is no directory, there is nothing unfinished
            unfinished.unlink()
        raise StoreError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(path),
            notes=("free some room there, or make it writable",),
        ) from None


def read_json(path: Path) -> RunReport:
    """The report in a `run.json`.

    Raises:
        PipelineError: There is none, or it is no report of this version.
    """
    try:
        document = json.loads(path.read_bytes(), parse_constant=_refuse, parse_float=_finite)
    except OSError as error:
        raise PipelineError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"is no JSON document: {error}", where=str(path)) from None
    return from_document(document, where=str(path))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is out of range")
    return number


def from_document(document: Any, *, where: str = "run.json") -> RunReport:
    """The report that a document holds.

    Raises:
        PipelineError: It is no report, or one of another version; says which field is wrong.
    """
    if not isinstance(document, dict) or "run_id" not in document:
        raise PipelineError(
            "is no report of a run", where=where, notes=("name a run.json that `penstock run` wrote",)
        )
    version = document.get("version")
    if version != RUN_REPORT_VERSION or isinstance(version, bool):
        raise PipelineError(
            f"is a report of version {version!r}; this Penstock reads version {RUN_REPORT_VERSION}",
            where=where,
            notes=("read it with the Penstock that wrote it, or run the pipeline again",),
        )
    try:
        report = build(RunReport, document)
    except MismatchError as error:
        raise PipelineError(
            f"is no report of a run: {error}",
            where=where,
            notes=("the file was changed, or another program wrote it: run the pipeline again",),
        ) from None
    return report


def schema() -> dict[str, Any]:
    """The JSON schema of `run.json`, with what the records' documentation says of each field."""
    definitions: dict[str, Any] = {}
    _describe(RunReport, definitions)
    whole = definitions.pop(RunReport.__name__)
    whole["properties"]["version"]["const"] = RUN_REPORT_VERSION
    whole["required"].insert(0, "version")
    return {
        "$schema": _DIALECT,
        "title": "Report of a Penstock run",
        **whole,
        "$defs": dict(sorted(definitions.items())),
    }


def _describe(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return {"anyOf": [_describe(each, definitions) for each in arguments]}
    if origin is tuple:
        items = {"type": "array", "items": _describe(arguments[0], definitions)}
        bounds = {} if arguments[-1] is ... else {"minItems": len(arguments), "maxItems": len(arguments)}
        return items | bounds
    if origin is Mapping:
        values = arguments[1]
        known = {} if values is object else {"additionalProperties": _describe(values, definitions)}
        return {"type": "object"} | known
    if kind is NoneType:
        return {"type": "null"}
    if kind in SCALARS:
        return {"type": SCALARS[kind][1]}
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # before its fields, should a record ever hold its own kind
        definitions[kind.__name__] = _definition(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _definition(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    promise, notes = _documentation(kind)
    if issubclass(kind, Enum):
        return {"description": promise, "enum": [member.value for member in kind]}
    properties = {}
    for name, hint in hints(kind).items():
        note = {"description": notes[name]} if name in notes else {}
        properties[name] = note | _describe(hint, definitions)
    return {
        "description": promise,
        "type": "object",
        "properties": properties,
        "required": list(required(kind)),
        "additionalProperties": False,
    }


def _documentation(kind: type) -> tuple[str, dict[str, str]]:
    """The first line of a docstring, and what its section `Attributes` says of each field."""
    promise, _, rest = (kind.__doc__ or "").partition("\n")
    _, _, section = rest.partition("Attributes:\n")
    notes: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.strip() or not line.startswith(" " * 8):
            break
        if line.startswith(" " * 12):
            notes[name] += " " + line.strip()
        else:
            name, _, note = line.strip().partition(": ")
            notes[name] = note
    return promise.strip(), notes


def schema_text() -> str:
    """The committed form of the schema."""
    return json.dumps(schema(), indent=2) + "\n"
