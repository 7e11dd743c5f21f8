"""Moving the champion: `promote` forwards, `rollback` back to those before it.

A pointer moves in one request and always to a version that was verified just before. Everything else is
written so that a process that is killed between any two requests leaves a registry that reads the same as
before or after the move, and so that the same command again finishes it: see `history`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..common.program import RefusedError, UnusableError
from . import fetch, history, names
from .service import AbsentError, tags_of
from .versions import ANCHOR, CHAMPION, MOVES, PREVIOUS, Model, Versions

Told = tuple[list[dict[str, Any]], dict[str, Any], str]

_MOVES_KEPT = 20
_LONGEST_WHY = 1000


def moves(version: Any) -> list[dict[str, Any]]:
    """The moves that made a version what an alias means, the oldest first."""
    try:
        found = json.loads(tags_of(version).get(MOVES, "[]"))
    except ValueError:
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def promote(versions: Versions, request: Mapping[str, Any]) -> Told:
    """Let an alias mean a version that passed and is what was judged.

    Raises:
        RefusedError: It did not pass (unless somebody answers for it), or is not what was judged.
    """
    to, override = names.alias(request.get("to") or CHAMPION), _override(request)
    if to == PREVIOUS:
        raise UnusableError(f"{PREVIOUS!r} follows the champion; promote to another alias")
    with versions.service.place.locked(versions.name), fetch.scratch() as folder:
        model = versions.model()
        version = versions.find(request, model)
        found = fetch.verified(versions, version, folder, request.get("public_key"))
        if found.refusal is not None and override is None:
            raise RefusedError(
                f"version {found.number} of {versions.name!r} is not promoted: {found.refusal};"
                " an override needs a name and a reason"
            )
        before = model.aliases.get(to)
        move = _move("promote", request, to=to, before=before, override=override)
        if before != found.number:
            _note(versions, version, move)
        if to == CHAMPION:
            _promote_champion(versions, model, found.number)
        elif before != found.number:
            versions.set_alias(to, found.number)
        _anchor(versions, model, request)
    return _told(versions, to, before, found)


def _promote_champion(versions: Versions, model: Model, number: str) -> None:
    champions = model.record.champions(model.champion)
    if model.champion != number:
        after = (*champions, number)
        if (model.record.before, model.record.after) != (champions, after):
            record = history.Record(champions, after, uuid.uuid4().hex)
            versions.tag_model(history.TAG, record.text())
        champions = after
        _point_previous(versions, model, champions)
        versions.set_alias(CHAMPION, number)
    else:
        _point_previous(versions, model, champions)


def _point_previous(versions: Versions, model: Model, champions: tuple[str, ...]) -> None:
    """Let `previous` mean where a rollback would go."""
    for number in reversed(champions[:-1]):
        with suppress(AbsentError):  # somebody has deleted it
            if model.aliases.get(PREVIOUS) != number:
                versions.set_alias(PREVIOUS, number)
            return
    if PREVIOUS in model.aliases:
        versions.drop_alias(PREVIOUS)


def rollback(versions: Versions, request: Mapping[str, Any]) -> Told:
    """Go back some champions; repeated after it was cut off, it goes no further than was asked.

    Raises:
        RefusedError: The version to go to is not what was judged any more, or the champion is not `from`.
        UnusableError: There were not that many champions.
    """
    steps = request.get("steps", 1)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= history.LONGEST:
        raise UnusableError(f"steps {steps!r}: a rollback goes 1 to {history.LONGEST} champions back")
    asked = None if request.get("from") is None else names.version(request["from"])
    with versions.service.place.locked(versions.name), fetch.scratch() as folder:
        model = versions.model()
        if model.champion is None:
            raise UnusableError(f"model {versions.name!r} has no champion to roll back from")
        under_way = _Journal(versions, {"steps": steps, "from": asked})
        record = model.record
        made = bool(record.after) and record.after[-1] == model.champion
        same = under_way.operation == record.operation
        told_so = asked is not None and asked != model.champion and record.before[-1:] == (asked,)
        if made and (same or told_so):
            champions, found = record.after, None
        else:
            champions, found = _roll_back(versions, model, request, under_way, folder)
        _point_previous(versions, model, champions)
        _anchor(versions, model, request)
        under_way.close()
    return _told(versions, CHAMPION, model.champion, found or champions[-1])


def _roll_back(
    versions: Versions, model: Model, request: Mapping[str, Any], under_way: _Journal, folder: Path
) -> tuple[tuple[str, ...], fetch.Verified]:
    asked = request.get("from")
    if asked is not None and str(asked) != model.champion:
        under_way.close()
        raise RefusedError(f"the champion of {versions.name!r} is version {model.champion}, not {asked}")
    there = {str(each.version) for each in versions.all()}
    champions = tuple(each for each in model.record.champions(model.champion) if each in there)
    steps = request.get("steps", 1)
    after = history.back(champions, steps)
    if after is None:
        under_way.close()
        earlier = ", ".join(reversed(champions[:-1])) or "none"
        raise UnusableError(
            f"{versions.name!r} cannot go {steps} back: its earlier champions are {earlier}"
            f" (now version {model.champion})"
        )
    version = versions.version(after[-1])
    try:
        found = fetch.verified(versions, version, folder, request.get("public_key"))
    except RefusedError:
        under_way.close()
        raise
    if model.champion != after[-1]:
        move = _move("rollback", request, to=CHAMPION, before=model.champion, override=None)
        _note(versions, version, move)
    versions.tag_model(history.TAG, history.Record(champions, after, under_way.operation).text())
    if model.champion != after[-1]:
        versions.set_alias(CHAMPION, after[-1])
    return after, found


class _Journal:
    """A rollback that this project has begun and not seen the end of.

    What it asked for may be done although the answer was lost; its name, which the registry notes too, tells
    the same command again from one to go further back.
    """

    def __init__(self, versions: Versions, asked: Mapping[str, Any]) -> None:
        state = versions.service.place.state
        digest = hashlib.sha256(f"{versions.service.place.uri}\0{versions.name}".encode()).hexdigest()
        self._path = state / f"rollback-{digest[:16]}.json"
        self.operation = self._known(asked) or uuid.uuid4().hex
        partial = self._path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"operation": self.operation, "asked": asked}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)

    def _known(self, asked: Mapping[str, Any]) -> str | None:
        try:
            found = json.loads(self._path.read_bytes())
            return str(found["operation"]) if found["asked"] == dict(asked) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """Its end was seen."""
        self._path.unlink(missing_ok=True)


def _override(request: Mapping[str, Any]) -> Mapping[str, str] | None:
    found = request.get("override")
    if found is None:
        return None
    said = {key: str(found.get(key) or "").strip() for key in ("name", "reason")}
    if not all(said.values()):
        raise UnusableError("an override needs the name of who answers for it and a reason")
    return {key: value[:_LONGEST_WHY] for key, value in said.items()}


def _move(
    what: str, request: Mapping[str, Any], *, to: str, before: str | None, override: Mapping[str, str] | None
) -> dict[str, Any]:
    return {
        "what": what,
        "to": to,
        "instead_of": before,
        "who": str(request.get("who") or "")[:_LONGEST_WHY],
        "why": str(request.get("why") or "")[:_LONGEST_WHY],
        "override": override,
    }


def _note(versions: Versions, version: Any, move: dict[str, Any]) -> None:
    """Write a move down at the version, before it is made; once, also if it is tried again."""
    known = moves(version)
    if known and {key: value for key, value in known[-1].items() if key != "at"} == move:
        return
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = json.dumps([*known, {**move, "at": at}][-_MOVES_KEPT:], ensure_ascii=False)
    versions.tag(str(version.version), MOVES, text)


def _anchor(versions: Versions, model: Model, request: Mapping[str, Any]) -> None:
    head = request.get("audit_head")
    if head and model.tags.get(ANCHOR) != head:
        versions.tag_model(ANCHOR, str(head))


def _told(versions: Versions, alias: str, before: str | None, found: fetch.Verified | str) -> Told:
    number = found if isinstance(found, str) else found.number
    moved = before != number and not isinstance(found, str)
    came = f" instead of version {before}" if moved and before else ""
    state = "is now" if moved else "is already"
    sentence = f"{alias} of {versions.name!r} {state} version {number}{came}"
    if isinstance(found, str):
        sentence += ", by a rollback whose end was not seen; roll back again to go further"
    publication = {
        "kind": alias,
        "state": "written" if moved else "unchanged",
        "sentence": sentence,
        "target": f"models:/{versions.name}@{alias}",
        "digest": None if isinstance(found, str) else found.digest,
        "size_bytes": None,
    }
    facts: dict[str, Any] = {"model": versions.name, "alias": alias, "version": number, "before": before}
    if isinstance(found, fetch.Verified):
        facts |= {
            "run": found.run,
            "digest": found.digest,
            "refusal": found.refusal,
            "evidence": found.evidence,
        }
    return [publication], facts, sentence


def anchor(versions: Versions, request: Mapping[str, Any]) -> Told:
    """Note the head of the audit log at the model."""
    head = str(request["head"])
    model = versions.model()
    _anchor(versions, model, {"audit_head": head})
    return [], {"model": versions.name, "head": head}, f"the audit log's head is noted at {versions.name!r}"


def read_anchor(versions: Versions, _request: Mapping[str, Any]) -> Told:
    """The head of the audit log that was noted last."""
    try:
        head = versions.model().tags.get(ANCHOR)
    except AbsentError:
        head = None
    return [], {"model": versions.name, "head": head}, head or f"no head is noted at {versions.name!r}"
