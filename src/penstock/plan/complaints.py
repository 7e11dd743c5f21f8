"""Pydantic's findings in the words of the pipeline file: line, stage, value, nearest name, remedy."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.schema_gates import GATES
from penstock.plan.schema_stages import RECIPES, RunStage
from penstock.plan.yaml_file import Document, Key

_KINDS = {
    "string_type": ("no text", "write it in quotes"),
    "list_type": ("no list", "write [a, b], or one `- item` a line"),
    "dict_type": ("no mapping", "write {key: value}, or one `key: value` a line"),
    "model_type": ("no mapping", "write {key: value}, or one `key: value` a line"),
    "model_attributes_type": ("no mapping", "write {key: value}, or one `key: value` a line"),
    "int_type": ("no whole number", "write digits without quotes"),
    "float_type": ("no number", "write digits without quotes"),
    "bool_type": ("neither true nor false", "write true or false"),
    "finite_number": ("not finite", "write a finite number"),
}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def complain(error: ValidationError, model: type[BaseModel], document: Document, problems: Problems) -> None:
    """Note every finding of a failed validation.

    Args:
        error: What pydantic found.
        model: What it validated against.
        document: What it validated.
        problems: Where the findings go.
    """
    for detail in error.errors(include_url=False):
        place = locate(detail, document)
        line = document.line(*place)
        if detail["loc"][-1:] == ("[key]",):
            place = place[:-1]
        what, notes = _sentence(detail, place, model)
        problems.add(document.file, line, f"{subject(place)}{what}", notes)


def locate(detail: ErrorDetails, document: Document) -> Key:
    """The place in the file that pydantic means: its own names for branches of a union left out."""
    place: Key = ()
    value = document.value
    loc = detail["loc"]
    for at, part in enumerate(loc):
        if isinstance(value, dict) and part in value and isinstance(part, str):
            if at + 1 < len(loc) and _is_tag(value, part, place):
                continue
            place, value = (*place, part), value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            place, value = (*place, part), value[part]
    return (*place, loc[-1]) if detail["type"] == "missing" else place


def subject(place: Key) -> str:
    """What a sentence about a place begins with: `stage 'train': `, `gate 2: `, ..."""
    match place:
        case ("profiles", str() as name, *rest):
            return f"profile {name!r}: {subject(tuple(rest))}"
        case ("stages", str() as name, *_):
            return f"stage {name!r}: "
        case ("gates", int() as number, *_):
            return f"gate {number + 1}: "
        case ("data", str() as name, *_):
            return f"data set {name!r}: "
        case ("secrets", str() as name, *_):
            return f"secret {name!r}: "
        case _:
            return ""


def _is_tag(value: Mapping[str, Any], part: str, place: Key) -> bool:
    """Whether a part that is also a key of the stage stands for the branch `run` of the union."""
    return part == "run" and len(place) >= 2 and place[-2] == "stages" and "run" in value  # noqa: PLR2004


def _sentence(detail: ErrorDetails, place: Key, model: type[BaseModel]) -> tuple[str, tuple[str, ...]]:
    match detail["type"]:
        case "missing":
            return f"needs `{place[-1]}`", ("write `version: 1`",) if place == ("version",) else ()
        case "extra_forbidden":
            return _unknown_key(detail, place, model)
        case "union_tag_invalid" | "union_tag_not_found":
            return _no_branch(place, detail["input"])
        case _:
            name = detail["loc"][-1:] == ("[key]",)
            # somebody may have written the secret itself where its source belongs
            value = "a value" if "secrets" in place and not name else shown(detail["input"])
            what, notes = _about_value(detail, value)
            return f"{'the name ' if name else _label(place)}{what}", notes


def _about_value(detail: ErrorDetails, value: str) -> tuple[str, tuple[str, ...]]:
    """What follows the name of a setting whose value is wrong."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "penstock":
        return str(context.get("what", detail["msg"])), tuple(context.get("notes", ()))
    if kind in _KINDS:
        what, note = _KINDS[kind]
        return f"is {value}, which is {what}", (note,)
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"is {value}; it must be {words} {context[key]}", ()
    if kind == "literal_error":
        expected = str(context["expected"])
        known = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
        return f"is {value}, not {expected}", nearest(str(detail["input"]), known)
    if kind == "too_short":
        return "is empty", ("name at least one",)
    return f"is {value}: {detail['msg'][:1].lower()}{detail['msg'][1:]}", ()


def _label(place: Key) -> str:
    """The setting within its stage or gate, as one writes its path."""
    inner = _inner(place)
    text = ""
    for part in inner:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"`{text}` " if text else ""


def _inner(place: Key) -> Key:
    match place:
        case ("profiles", _, *rest):
            return _inner(tuple(rest)) if rest else ()
        case ("stages" | "gates" | "data" | "secrets", _, *rest):
            return tuple(rest)
        case _:
            return place


def _unknown_key(detail: ErrorDetails, place: Key, model: type[BaseModel]) -> tuple[str, tuple[str, ...]]:
    key = str(detail["loc"][-1])
    owner = _model_at(model, detail["loc"][:-1])
    known = keys_of(owner) if owner else []
    if key == "uses" and owner is RunStage:
        return "has both `run` and `uses`", ("keep `run` for a command of your own, `uses` for a recipe",)
    where = _label(place[:-1])
    return (
        f"{where}has an unknown key {key[:100]!r}",
        (*nearest(key, known), listing("keys here", known, 24)),
    )


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a model as the file writes them, its own before those that it inherits."""
    own = [name for name in model.model_fields if name in model.__annotations__]
    ordered = (*own, *(name for name in model.model_fields if name not in own))
    return [model.model_fields[name].alias or name for name in ordered]


def _no_branch(place: Key, value: object) -> tuple[str, tuple[str, ...]]:
    kinds, key = (GATES, "gate") if "gates" in place[-2:] else (RECIPES, "uses")
    if not isinstance(value, dict):
        what, note = _KINDS["dict_type"]
        return f"is {shown(value)}, which is {what}", (note,)
    if key not in value:
        if key == "uses":
            return "needs `run` or `uses`", ("`run` is a command, `uses` a recipe: " + ", ".join(RECIPES),)
        return "needs `gate`", (listing("gates", GATES),)
    noun = "recipe" if key == "uses" else "gate"
    if not isinstance(value[key], str):
        return f"`{key}` is {shown(value[key])}, which is no text", (listing(f"{noun}s", kinds),)
    return f"there is no {noun} {shown(value[key])}", (
        *nearest(str(value[key]), kinds),
        listing(f"{noun}s", kinds),
    )


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel] | None:
    """The model that validates the value at a place."""
    current: Any = model
    for part in loc:
        current = _step(current, part)
        if current is None:
            return None
    found = _models(current)
    return found[0] if len(found) == 1 else None


def _step(current: Any, part: str | int) -> Any:
    for branch in _branches(current):
        if get_origin(branch) in (dict, list) and get_args(branch):
            return get_args(branch)[-1]
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            for name, field in branch.model_fields.items():
                if part == (field.alias or name):
                    # the field keeps the metadata of the outermost Annotated apart
                    return field.annotation
    return _tagged(current, part)


def _tagged(current: Any, part: str | int) -> Any:
    for branch in _alternatives(current):
        tags = [each.tag for each in getattr(branch, "__metadata__", ()) if isinstance(each, Tag)]
        if part in tags:
            return branch
        for found in _models(branch):
            discriminator = found.model_fields.get("gate")
            if discriminator is not None and part in get_args(discriminator.annotation):
                return found
    return None


def _branches(current: Any) -> list[Any]:
    """Everything that a type may be, unless tags choose between models."""
    plain = [_bare(each) for each in _alternatives(current)]
    models = [each for each in plain if isinstance(each, type) and issubclass(each, BaseModel)]
    return plain if len(models) <= 1 else [each for each in plain if each not in models]


def _models(current: Any) -> list[type[BaseModel]]:
    plain = (_bare(each) for each in _alternatives(current))
    return [each for each in plain if isinstance(each, type) and issubclass(each, BaseModel)]


def _alternatives(current: Any) -> list[Any]:
    bare = _bare(current)
    if get_origin(bare) in (typing.Union, types.UnionType):
        return [inner for each in get_args(bare) for inner in _alternatives(each)]
    return [current]


def _bare(current: Any) -> Any:
    return _bare(get_args(current)[0]) if hasattr(current, "__metadata__") else current
