"""Which stages of a plan a run is about: all, or what `--only`, `--until` and `--from` name."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.errors import UsageError
from penstock.plan.graph import downstream, upstream
from penstock.plan.model import Plan
from penstock.record import Record


class Selection(Record, kw_only=False):
    """The stages that may run, and those whose results they read.

    Attributes:
        chosen: May run.
        read: Not chosen, but some chosen stage needs them: they must have results already.
    """

    chosen: frozenset[str]
    read: frozenset[str]


def select(
    plan: Plan, *, only: Iterable[str] = (), until: Iterable[str] = (), start: Iterable[str] = ()
) -> Selection:
    """The stages that the command line asks for; several options narrow each other.

    Args:
        only: Exactly these.
        until: These and everything that they need.
        start: These and everything that needs them (`--from`).

    Raises:
        UsageError: There is no stage of such a name, or nothing is left.
    """
    chosen = {stage.name for stage in plan.stages}
    only, until, start = (_known(plan, names) for names in (only, until, start))
    if only:
        chosen &= set(only)
    if until:
        chosen &= set(upstream(plan, until)) | set(until)
    if start:
        chosen &= set(downstream(plan, start)) | set(start)
    if not chosen:
        raise UsageError("no stage is left to run: the options exclude each other's stages")
    return Selection(frozenset(chosen), frozenset(set(upstream(plan, sorted(chosen))) - chosen))


def _known(plan: Plan, names: Iterable[str]) -> tuple[str, ...]:
    known = [stage.name for stage in plan.stages]
    names = tuple(names)
    for name in names:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            raise UsageError(
                f"there is no stage {name!r}",
                where=plan.pipeline_file,
                notes=(
                    *(f"nearest: {match!r}" for match in near),
                    f"the stages are {', '.join(known)}",
                ),
            )
    return names
