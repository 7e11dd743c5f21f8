"""One run of a stage that is observed: what it looked at becomes its key, and is remembered for the next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from penstock.cache.keys import Document, key_document, observed_document, stage_key
from penstock.cache.observations import READ, Look, Observation
from penstock.errors import InputError
from penstock.executors.base import Observing, Outcome
from penstock.plan.model import Stage
from penstock.record import replace
from penstock.runner.assess import Standing, Walk
from penstock.runner.observed import clash, learned, not_source, told

T = TypeVar("T")


class Watched(Generic[T]):
    """A stage while it is observed.

    Attributes:
        observing: For the executor's request.
    """

    def __init__(self, walk: Walk[T], standing: Standing[T]) -> None:
        self.walk = walk
        self.standing = standing
        self.declared: Stage = walk.plan.stage(standing.stage.name)
        self.outputs = not_source(walk.plan)
        self.facts: Mapping[str, str] | None = None
        self.observing = Observing(outputs=self.outputs, key_of=self.key_of)

    def key_of(self, observation: Observation, facts: Mapping[str, str]) -> str | None:
        """See `Observing`."""
        self.facts = facts
        observation = self._with_made(observation)
        if self._unseen(observation) or clash(self.walk.plan, self.declared, observation, self.walk.seen):
            return None
        return stage_key(self._document(observation, facts))

    def _with_made(self, observation: Observation) -> Observation:
        """The observation with looks at others' outputs, which are inputs for whoever runs the stage."""
        shown = {item.path for item in learned(self.standing.stage, self.declared)}
        made = tuple(Look(path, READ) for path in observation.touched if path in shown)
        return replace(observation, looks=(*observation.looks, *made)) if made else observation

    def _unseen(self, observation: Observation) -> tuple[str, ...]:
        """The stages whose outputs it looked for, and which were not shown to it."""
        wanted = self.walk.extended(self.declared, observation)
        shown = {item.path for item in self.standing.stage.produced}
        return tuple(item.stage for item in learned(wanted, self.declared) if item.path not in shown)

    def _document(self, observation: Observation, facts: Mapping[str, str]) -> Document:
        """What the key is the digest of: others' outputs that it did not look at this time are left out."""
        standing = self.standing
        needed = {item.path for item in self.walk.extended(self.declared, observation).produced}
        spare = {item.path for item in learned(standing.stage, self.declared)} - needed
        parts = [part for part in standing.parts if part.path not in spare]
        return observed_document(key_document(self.declared, parts, standing.identity), facts)

    async def missed(self, outcome: Outcome[T]) -> bool:
        """Whether it must run again, with outputs of others that it looked for; remembers the looks."""
        observation, base = outcome.observation, self.standing.base
        if observation is None or base is None:
            return False
        observation = self._with_made(observation)
        self.walk.seen[self.declared.name] = observation
        unseen = self._unseen(observation)
        self.walk.wait(self.declared, self.walk.extended(self.declared, observation))
        if unseen or outcome.tree is not None:
            self.walk.history.put_observation(base, observation)
        if self.facts is None:
            with suppress(InputError):
                self.facts = await self.walk.executor.facts(observation.looks, self.outputs)
        return bool(unseen)

    def concluded(self, outcome: Outcome[T]) -> Standing[T]:
        """Where the stage stands now that it has run."""
        observation, standing = outcome.observation, self.standing
        if observation is None:
            return standing
        observation = self._with_made(observation)
        facts = self.facts or {}
        parts = [part for part in standing.parts if part.path not in self._added()]
        as_run = self.walk.extended(self.declared, observation)
        observed = told(
            self.walk.plan,
            as_run,
            self.declared,
            observation,
            facts=facts,
            parts=parts if self.walk.audit else None,
        )
        standing = replace(standing, observed=observed)
        if outcome.key is None:
            return standing
        document = self._document(observation, facts)
        self.walk.history.put_key_document(document)
        return replace(standing, key=outcome.key, document=document)

    def _added(self) -> set[str]:
        return {item.path for item in learned(self.standing.stage, self.declared)}
