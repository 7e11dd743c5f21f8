"""The key of a stage: the digest of everything that can change its outputs.

A key document is made of the whole `Stage` less `NOT_IN_KEY`, so a field that is added later is in the key
until somebody argues that it cannot matter. Inputs enter by what they hold and the environment by what it
resolves to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock import digest
from penstock.plan.model import Stage
from penstock.record import asdict, fields
from penstock.results import Part

KEY_VERSION = 1

NOT_IN_KEY = frozenset(
    {
        "name",  # renaming a stage must not train it again; a stage is not told its name
        "uses",  # the recipe is expanded: its command, files and environment are in the key
        "line",
        "timeout_s",
        "retries",
        "exclusive",
        "cache",  # says whether a result may be used, not what it is
        "outside",  # where its recipe's program runs: what it fetches is in its inputs by digest
        "passes",  # how this machine reaches a service, not what comes from there
        "pledges",  # told from an input
        "observe",  # what was seen enters the key by itself
        "overwrite",  # says what may be replaced, not what is made
        "file",
    }
)
REPLACED = frozenset({"sources", "produced", "environment"})  # by `inputs` and `environment`, resolved

IF_SET = frozenset({"serving"})
"""Of few stages only: the keys of the others are what they were before there was such a field."""

_PLAIN: Mapping[str, Callable[[Any], object]] = {
    # a role is what gates call an output; the stage never hears of it
    "outputs": lambda outputs: [
        [output.path, "persist"] if output.persist else output.path for output in outputs
    ],
    "files": lambda files: {path: digest.of_bytes(text.encode()) for path, text in files},
    "variables": dict,
    "secrets": list,
    "serving": lambda chosen: chosen and asdict(chosen),
    "accelerator": lambda chosen: chosen and asdict(chosen),
}

Document = dict[str, object]


def key_document(stage: Stage, parts: Sequence[Part], identity: Mapping[str, str]) -> Document:
    """What the key of a stage is the digest of, as JSON values.

    Args:
        parts: What the stage will see.
        identity: What its environment resolves to (`Executor.identity`).
    """
    document: Document = {"version": KEY_VERSION}
    absent = {name for name in IF_SET if getattr(stage, name) is None}
    for name in fields(Stage):
        if name not in NOT_IN_KEY and name not in REPLACED and name not in absent:
            plain = _PLAIN.get(name)
            value = getattr(stage, name)
            document[name] = plain(value) if plain else value
    document["inputs"] = {part.path: [part.kind.value, part.digest] for part in parts}
    document["environment"] = dict(identity)
    return document


def observed_document(base: Document, facts: Mapping[str, str]) -> Document:
    """The key document of a stage that was observed: what it declared, and what stood where it looked."""
    return {**base, "observed": dict(facts)} if facts else base


def stage_key(document: Document) -> str:
    """The key of a key document."""
    return digest.of_json(document)
