"""What several tests need: an observer that only remembers, and a history in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.cache.keys import Document, stage_key
from penstock.cache.observations import Observation, with_newest
from penstock.results import Attempt, GateResult, Publication, RunReport, StageResult


@dataclass
class SilentObserver:
    """Remembers what it is told."""

    started: list[str] = field(default_factory=list)
    finished: list[StageResult] = field(default_factory=list)
    output: dict[str, str] = field(default_factory=dict)
    retried: list[tuple[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waited: list[tuple[str, str]] = field(default_factory=list)

    def run_started(self, stages: tuple[str, ...], jobs: int) -> None: ...

    def stage_started(self, name: str, why: str) -> None:
        self.started.append(name)

    def stage_waiting(self, name: str, why: str) -> None:
        self.waited.append((name, why))

    def stage_output(self, name: str, text: str) -> None:
        self.output[name] = self.output.get(name, "") + text

    def attempt_failed(self, name: str, attempt: Attempt, left: int) -> None:
        self.retried.append((name, left))

    def stage_finished(self, result: StageResult) -> None:
        self.finished.append(result)

    def gate_decided(self, result: GateResult) -> None: ...

    def published(self, publication: Publication) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)

    def run_finished(self, report: RunReport) -> None: ...

    def close(self) -> None: ...


@dataclass
class MemoryHistory:
    """A history that lasts as long as the test."""

    nothing: str = "no earlier result"
    keys: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Mapping[str, object]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    judged: dict[str, set[str]] = field(default_factory=dict)
    observed: dict[str, tuple[Observation, ...]] = field(default_factory=dict)

    def decided(self, evaluation_set: str, predictions: str) -> int | None:
        self.judged.setdefault(evaluation_set, set()).add(predictions)
        return len(self.judged[evaluation_set])

    def last_key(self, stage: str) -> str | None:
        return self.keys.get(stage)

    def set_last_key(self, stage: str, key: str, run_id: str) -> None:
        self.keys[stage] = key

    def key_document(self, key: str) -> Mapping[str, object] | None:
        return self.documents.get(key)

    def put_key_document(self, document: Document) -> None:
        self.documents[stage_key(document)] = document

    def observations(self, key: str) -> tuple[Observation, ...]:
        return self.observed.get(key, ())

    def put_observation(self, key: str, newest: Observation) -> None:
        self.observed[key] = with_newest(self.observations(key), newest)

    def manifest(self, digest: str) -> bytes | None:
        return None

    def intact(self, path: str) -> str | None:
        return self.written.get(path)

    def set_written(self, path: str, digest: str) -> None:
        self.written[path] = digest

    def close(self) -> None: ...
