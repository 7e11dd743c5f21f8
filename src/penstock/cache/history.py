"""What earlier runs of a project on this machine left behind: keys to compare with, and what they wrote."""

from __future__ import annotations

from penstock.cache import holdouts
from penstock.cache.keys import Document
from penstock.cache.observations import Observation, with_newest
from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store
from penstock.errors import InputError, StoreError


class LocalHistory:
    """The history in a project's index and the store.

    A store that cannot be written costs explanations, not runs: writes that only serve them may fail.

    Attributes:
        label: Set for runs whose keys are not to be compared with those of others, as they hold more.
    """

    nothing = "no earlier result"

    def __init__(self, store: Store, index: StatIndex) -> None:
        self.label = ""
        self._store = store
        self._index = index

    def last_key(self, stage: str) -> str | None:
        """The key that a stage's last result had."""
        return self._index.last_key(stage + self.label)

    def set_last_key(self, stage: str, key: str, run_id: str) -> None:
        """Remember the key of a stage's result."""
        self._index.set_last_key(stage + self.label, key, run_id)

    def key_document(self, key: str) -> Document | None:
        """What a key is the digest of, if it is still known."""
        return self._store.key_document(key)

    def put_key_document(self, document: Document) -> None:
        """Keep what a key is the digest of."""
        try:
            self._store.put_key_document(document)
        except StoreError:
            return

    def observations(self, key: str) -> tuple[Observation, ...]:
        """What stages with this base key looked at, newest first."""
        return self._store.observations(key)

    def put_observation(self, key: str, newest: Observation) -> None:
        """Remember what a stage with this base key looked at."""
        known = self._store.observations(key)
        try:
            self._store.put_observations(key, with_newest(known, newest))
        except StoreError:
            return

    def manifest(self, digest: str) -> bytes | None:
        """A directory's manifest, if it is still known."""
        try:
            return self._store.manifest(digest)
        except StoreError:
            return None

    def intact(self, path: str) -> str | None:
        """The digest of what a run wrote at a path, if that still stands there as it was written."""
        written = self._index.placed(path)
        if written is None:
            return None
        try:
            scan = self._index.scan(path, excluding=frozenset(), output=True)
        except InputError:
            return None
        return written if scan is not None and scan.part.digest == written else None

    def set_written(self, path: str, digest: str) -> None:
        """Remember that a run wrote this at a path."""
        self._index.set_placed(path, digest)

    def decided(self, evaluation_set: str, predictions: str) -> int | None:
        """How many different predictions on an evaluation set were judged, these included."""
        return holdouts.decided(self._index.root, evaluation_set, predictions)

    def close(self) -> None:
        """Keep what was remembered."""
        self._index.commit()
