"""Why a stage runs, or need not: its key against the key of its last result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from penstock.cache.compare import compare
from penstock.cache.keys import Document
from penstock.cache.observations import Observation
from penstock.plan.model import Stage
from penstock.results import Change, Reason


class History(Protocol):
    """What earlier runs of this project left behind to explain this one.

    Attributes:
        nothing: Why a stage runs of which it knows no key.
    """

    nothing: str

    def last_key(self, stage: str) -> str | None:
        """The key that a stage's last result had."""
        ...

    def set_last_key(self, stage: str, key: str, run_id: str) -> None:
        """Remember the key of a stage's result."""
        ...

    def key_document(self, key: str) -> Mapping[str, object] | None:
        """What a key is the digest of, if it is still known."""
        ...

    def put_key_document(self, document: Document) -> None:
        """Keep what a key is the digest of."""
        ...

    def observations(self, key: str) -> tuple[Observation, ...]:
        """What stages with this base key looked at without declaring it, newest first."""
        ...

    def put_observation(self, key: str, newest: Observation) -> None:
        """Remember what a stage with this base key looked at."""
        ...

    def manifest(self, digest: str) -> bytes | None:
        """A directory's manifest, if it is still known."""
        ...

    def intact(self, path: str) -> str | None:
        """The digest of what a run wrote at a path, if that still stands there as it was written."""
        ...

    def set_written(self, path: str, digest: str) -> None:
        """Remember that a run wrote this at a path."""
        ...

    def decided(self, evaluation_set: str, predictions: str) -> int | None:
        """How many different predictions on an evaluation set were judged, these included.

        Args:
            evaluation_set: Digest of its row ids and truths.
            predictions: Digest of the predictions table that is judged now.
        """
        ...

    def close(self) -> None:
        """Keep what was remembered."""
        ...


class NoHistory:
    """Remembers nothing: for a run in a place that goes away with it, where an engine keeps the results."""

    nothing = "the engine has no result for these inputs"

    def last_key(self, _stage: str) -> str | None:
        """None."""
        return None

    def set_last_key(self, stage: str, key: str, run_id: str) -> None:
        """Forget it."""

    def key_document(self, _key: str) -> Mapping[str, object] | None:
        """None."""
        return None

    def put_key_document(self, document: Document) -> None:
        """Forget it."""

    def observations(self, _key: str) -> tuple[Observation, ...]:
        """None."""
        return ()

    def put_observation(self, key: str, newest: Observation) -> None:
        """Forget it."""

    def manifest(self, _digest: str) -> bytes | None:
        """None."""
        return None

    def decided(self, _evaluation_set: str, _predictions: str) -> int | None:
        """None."""
        return None

    def intact(self, _path: str) -> str | None:
        """None."""
        return None

    def set_written(self, path: str, digest: str) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing is kept."""


def why_not(stage: Stage, key: str, made_at: str, history: History) -> Reason:
    """Why a stage with a result need not run."""
    last = history.last_key(stage.name)
    if last is None or last == key:
        return Reason(code="unchanged", sentence=f"nothing that it reads changed since {made_at}")
    return Reason(code="known", sentence=f"the store has a result for exactly these inputs, made {made_at}")


def why(stage: Stage, key: str, document: Document, history: History) -> Reason:
    """Why a stage without a usable result runs."""
    if not stage.cache and stage.outside:
        return Reason(code="no-cache", sentence="what it works with may have changed")
    if not stage.cache:
        return Reason(code="no-cache", sentence="declared with `cache: false`, so it always runs")
    last = history.last_key(stage.name)
    if last is None:
        return Reason(code="first-run", sentence=history.nothing)
    if last == key:
        return Reason(code="evicted", sentence="its result is no longer in the store")
    before = history.key_document(last)
    if before is None:
        return Reason(code="changed", sentence="what it reads changed; its earlier key is no longer known")
    changes = compare(before, document, history.manifest)
    return Reason(code="changed", sentence=_sentence(changes), changes=changes)


def _sentence(changes: tuple[Change, ...]) -> str:
    if not changes:  # written by a Penstock that put something else into its keys
        return "its key changed"
    first, more = changes[0], len(changes) - 1
    how = "appeared" if first.before is None else "is gone" if first.after is None else "changed"
    subject = first.name if first.what == "input" else f"{first.what} {first.name}"
    return f"{subject} {how}" + (f", and {more} more" if more else "")
