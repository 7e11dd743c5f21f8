"""Outputs of a stage of `dvc.yaml`: `outs`, `metrics` and `plots`, with their options."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.plan.importers.dvc_entries import Entry
from penstock.plan.importers.dvc_file import OUTPUTS
from penstock.plan.importers.found import role_name
from penstock.plan.yaml_file import Key
from penstock.record import Record

_SAID = ("remote", "push", "labels", "meta", "type", "desc", "checkpoint")
_DRAWN = ("template", "x", "y", "x_label", "y_label", "title", "header")
_DOCUMENTS = (".json",)


class Out(Record):
    """One output.

    Attributes:
        path: Relative to the root.
        given: As the file has it.
        kind: `outs`, `metrics` or `plots`.
        persist: Whether its earlier content is there when the stage starts.
    """

    path: str
    given: str
    kind: str
    place: Key
    persist: bool
    options: Mapping[str, Any]


def outputs(entry: Entry, folder: str) -> Iterator[Out]:
    """The outputs of a stage; one that is listed twice under a key is one, with the options of both.

    Args:
        entry: The stage.
        folder: That it runs in, relative to the root.
    """
    for kind in OUTPUTS:
        found: dict[str, tuple[Key, dict[str, Any]]] = {}
        for at, item in enumerate(entry.values.get(kind) or []):
            for given, options in (item if isinstance(item, dict) else {item: {}}).items():
                several = options if isinstance(options, list) else [options]
                _, known = found.setdefault(str(given), ((*entry.place, kind, at), {}))
                for each in several:
                    known |= each or {}
        for given, (place, options) in found.items():
            yield Out(
                path=posixpath.normpath(posixpath.join(folder, given)),
                given=given,
                kind=kind,
                place=place,
                persist=options.get("persist") is True,
                options=options,
            )


def said_of(out: Out) -> Iterator[str]:
    """The options of an output that no pipeline file has."""
    yield from (f"`{option}`" for option in _SAID if out.options.get(option) not in (None, True, [], {}))
    if drawn := [option for option in _DRAWN if option in out.options]:
        yield f"how it is drawn ({', '.join(drawn)})"


def declared(
    outs: Sequence[Out], roles: Mapping[str, str]
) -> tuple[list[str] | dict[str, str], dict[int | str, Key]]:
    """Outputs as a stage of a pipeline file has them, and where each stands.

    Args:
        outs: Of one stage.
        roles: Of paths that have one for another reason.
    """
    known = {out.path: _role(out, roles) for out in outs}
    places: dict[int | str, Key]
    once = [role for role in dict.fromkeys(known.values()) if role and [*known.values()].count(role) == 1]
    if not once:
        places = {at: out.place for at, out in enumerate(outs)}
        return [out.path for out in outs], places
    taken: set[str] = set()
    found: dict[str, str] = {}
    places = {}
    for out in outs:
        role = known[out.path]
        name = role if role in once and role else role_name(out.path, taken)
        found[name] = out.path
        places[name] = out.place
    return found, places


def _role(out: Out, roles: Mapping[str, str]) -> str | None:
    role = roles.get(out.path)
    metrics = out.kind == "metrics" or role == "metrics"
    if metrics:
        return "metrics" if out.path.endswith(_DOCUMENTS) else None
    return role
