"""Stages that are observed: what they looked at makes their key, their order and a part of the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from penstock.cache.observations import ABSENT, EVERYTHING, KEPT_OUT, READ, Observation
from penstock.plan.graph import downstream
from penstock.plan.model import Plan, Produced, Stage
from penstock.plan.paths import inside, is_pattern, matches
from penstock.record import replace
from penstock.results import Observed, Part, StageResult, Undeclared

_DIRECTORY = "directory of "
_JOURNALS = frozenset({"mlruns", "wandb", "lightning_logs", "catboost_info"})
"""Where libraries keep a journal of their runs, which says nothing to later ones."""
_MOST_SIBLINGS = 5
"""Files of one directory that are named one by one."""


def not_source(plan: Plan) -> tuple[str, ...]:
    """What runs put into the project: no part of the source, so that no stage reads what a run left there."""
    archive = (plan.archive.path,) if plan.archive else ()
    return (*(output.path for stage in plan.stages for output in stage.outputs), *archive)


Waits = Mapping[str, frozenset[str]]
"""For which other stages one waits, as it was seen to read what they write."""


def extended(plan: Plan, stage: Stage, observation: Observation, waits: Waits) -> Stage:
    """The stage with the outputs of others that it looked at without declaring them as inputs.

    Those of stages that wait for this one stay away: of two that read each other's outputs, one comes first.
    """
    if not observation.looks:
        return stage
    known = {item.path for item in stage.produced}
    found = [
        Produced(path=output.path, stage=other.name, output=output.path)
        for other in plan.stages
        for output in other.outputs
        if output.path not in known and any(inside(look.path, output.path) for look in observation.looks)
        if stage.name not in _upstream(plan, other.name, waits)
    ]
    if not found:
        return stage
    return replace(stage, produced=tuple(sorted((*stage.produced, *found), key=lambda each: each.path)))


def _upstream(plan: Plan, name: str, waits: Waits) -> set[str]:
    """A stage and all that it waits for."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += [*plan.stage(here).needs, *waits.get(here, ())]
    return found


def learned(stage: Stage, declared: Stage) -> tuple[Produced, ...]:
    """What `extended` has added."""
    return tuple(item for item in stage.produced if item not in declared.produced)


def clash(plan: Plan, stage: Stage, observation: Observation, seen: Mapping[str, Observation]) -> str | None:
    """Why the result of a stage must not be kept: what it looked at is written by another one, undeclared.

    Whatever it saw there is what somebody left in the project, not what the other stage writes.

    Args:
        seen: What stages looked at and wrote, by name.
    """
    after = downstream(plan, [stage.name]) | {stage.name}
    looked = {look.path for look in observation.looks}
    for name, other in seen.items():
        for path in other.wrote if name not in after else ():
            if path in looked and path.split("/")[0] not in _JOURNALS:
                return (
                    f"it looks at {path!r}, which stage {name!r} writes without declaring it: "
                    "make it an output there, and an input here"
                )
    return None


def clashing(
    plan: Plan, results: Iterable[StageResult], seen: Mapping[str, Observation]
) -> Iterator[StageResult]:
    """The results of a run, with why some of them are not kept."""
    for result in results:
        observation = seen.get(result.name)
        if result.observed is None or observation is None:
            yield result
        else:
            stray = clash(plan, plan.stage(result.name), observation, seen)
            yield replace(result, observed=replace(result.observed, unkept=stray))


def told(
    plan: Plan,
    stage: Stage,
    declared: Stage,
    observation: Observation,
    *,
    facts: Mapping[str, str],
    parts: Sequence[Part] | None,
) -> Observed:
    """What a report says of an observation.

    Args:
        stage: As it was run (`extended`).
        declared: As the plan has it.
        facts: What stood at the paths that it looked at.
        parts: Its inputs, if it is to be said which of them it never looked at.
    """
    made = [_made(item, observation) for item in learned(stage, declared)]
    read = [
        Undeclared(path=path, how="listed" if fact.startswith(_DIRECTORY) else "read", by=by)
        for path, fact, by in _read(observation, facts)
    ]
    unread: tuple[str, ...] = ()
    if parts is not None and observation.why is None:
        unread = tuple(part.path for part in parts if not _touched(part.path, observation.touched))
    return Observed(
        where=plan.place(declared),
        whole=observation.why,
        undeclared=(*made, *_gathered(read)),
        unread=unread,
    )


def all_shown(plan: Plan) -> Plan:
    """The plan for an executor that observes nothing: such stages have the whole source as an input."""
    if not any(stage.observe for stage in plan.stages):
        return plan
    stages = (
        replace(each, sources=tuple(sorted({*each.sources, EVERYTHING}))) if each.observe else each
        for each in plan.stages
    )
    return replace(plan, stages=tuple(stages), ignore=(*plan.ignore, *sorted(KEPT_OUT)))


def unobserved(plan: Plan, stage: Stage) -> Observed:
    """What a report says of a stage that such an executor ran."""
    return Observed(where=plan.place(stage), whole="an engine is told all that a stage sees before it runs")


def all_observed(plan: Plan) -> Plan:
    """The plan with every stage observed that can be (`--observe`): not those that work outside."""
    stages = (each if each.outside else replace(each, observe=True) for each in plan.stages)
    return replace(plan, stages=tuple(stages))


def _made(item: Produced, observation: Observation) -> Undeclared:
    by = next((look.by for look in observation.looks if inside(look.path, item.output)), "")
    return Undeclared(path=item.output, how="read", by=by, stage=item.stage)


def _read(observation: Observation, facts: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    for look in observation.looks:
        fact = facts.get(look.path or ".", ABSENT)
        if look.how == READ and fact != ABSENT:
            yield look.path or ".", fact, look.by


def _touched(path: str, touched: Sequence[str]) -> bool:
    if is_pattern(path):
        return any(matches(path, each) for each in touched)
    return any(inside(each, path) or inside(path, each) for each in touched)


def _gathered(found: Sequence[Undeclared]) -> list[Undeclared]:
    """The same, many files of one directory as that directory."""
    folders: dict[str, list[Undeclared]] = {}
    for each in found:
        if each.how == "read":
            folders.setdefault(each.path.rpartition("/")[0], []).append(each)
    many = {folder: each for folder, each in folders.items() if folder and len(each) > _MOST_SIBLINGS}
    result = [each for each in found if each.how != "read" or each.path.rpartition("/")[0] not in many]
    result += [
        Undeclared(path=folder, how="read", by=files[0].by, files=len(files))
        for folder, files in many.items()
    ]
    listed = {each.path for each in result if each.how == "listed"} & set(many)
    return sorted(
        (each for each in result if each.how != "listed" or each.path not in listed),
        key=lambda each: (each.how, each.path),
    )
