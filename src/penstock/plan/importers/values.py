"""Files of parameters as DVC reads them: YAML, JSON, TOML, and Python, which is read and never run."""

from __future__ import annotations

import ast
import json
import posixpath
import tomllib
from collections.abc import Callable, Mapping

from penstock.errors import PipelineError
from penstock.plan.importers import yaml12
from penstock.plan.importers.reading import content
from penstock.plan.reads import Reads
from penstock.plan.yaml_file import MAX_DEPTH, Document


def read_values(path: str, reads: Reads) -> Document:
    """The values of a file; lines are known of YAML only.

    Args:
        path: Relative to the root of `reads`.
        reads: Reads it.

    Raises:
        PipelineError: It is not there, not in its format, or holds no mapping.
    """
    data = content(path, reads)
    suffix = posixpath.splitext(path)[1].lower()
    if suffix not in (".json", ".toml", ".py"):
        return yaml12.read_mapping(data, path)
    text = data.decode("utf-8-sig", "replace")
    try:
        found: object = _READERS[suffix](text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        what = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise PipelineError(f"is not {suffix[1:].upper()}: {what}", where=f"{path}:{line}") from None
    if not isinstance(found, dict):
        raise PipelineError("holds no mapping", where=f"{path}:1")
    return Document(path, _plain(found, path))


def _python(text: str) -> dict[str, object]:
    try:
        return _assigned(ast.parse(text).body)
    except SyntaxError as error:
        found = ValueError(error.msg)
        found.lineno = error.lineno  # type: ignore[attr-defined] # as of the other readers' errors
        raise found from None


_READERS: dict[str, Callable[[str], object]] = {".json": json.loads, ".toml": tomllib.loads, ".py": _python}


def _assigned(body: list[ast.stmt], *, of_self: bool = False) -> dict[str, object]:
    """What simple assignments say, those of classes below their names; anything else is passed over."""
    found: dict[str, object] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=value):
                name = _name(target, of_self=of_self)
                if name is not None and value is not None:
                    try:
                        found[name] = ast.literal_eval(value)
                    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                        continue
            case ast.ClassDef(name=name, body=inner):
                found[name] = _assigned(inner)
            case ast.FunctionDef(name="__init__", body=inner):
                found |= _assigned(inner, of_self=True)
            case _:
                pass
    return found


def _name(target: ast.expr, *, of_self: bool) -> str | None:
    match target:
        case ast.Name(id=name) if not of_self:
            return name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return None


def _plain(value: object, path: str, depth: int = 0) -> object:
    """The value with mappings, lists, text, numbers, booleans and null only: a date is its text."""
    if depth > MAX_DEPTH:
        raise PipelineError(f"values are nested more than {MAX_DEPTH} deep", where=f"{path}:1")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, path, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, path, depth + 1) for inner in value]
    if isinstance(value, set | frozenset):
        return [_plain(inner, path, depth + 1) for inner in sorted(value, key=repr)]
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
