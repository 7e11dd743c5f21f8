"""What stages looked at without declaring it, kept under the key of what they declared.

The scheme is that of a compiler's depfiles: a stage's declared inputs make a base key; under it stand the
paths that earlier runs looked at; what stands at those paths now makes, with the base key, the full key.
Only paths are kept here, and they enter the full key with their content, so an entry that is lost, old or
damaged costs a run and never makes a stale result fit.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence

from penstock.digest import canonical_json
from penstock.record import Record

READ, SEEN, WHOLE = "read", "seen", "whole"
"""How a path is looked at: what it holds; what `stat` says of it; and, for no path, the whole source."""
ABSENT = "absent"
"""What stands at a path at which nothing is."""
EVERYTHING = "**"
"""For `WHOLE`, instead of a path."""
KEPT_OUT = frozenset({".dvc/cache", ".dvc/tmp", "node_modules"})
"""Paths and names of what nobody means by the source, though it lies there."""
MOST_VARIANTS = 8


class Look(Record, kw_only=False):
    """A path that a stage looked at.

    Attributes:
        path: Relative to the root; empty for the root itself.
        how: `read`, `seen` or `whole`.
        by: The command that looked first.
    """

    path: str
    how: str
    by: str = ""


class Observation(Record):
    """What one run of a stage looked at besides what it declared.

    Attributes:
        looks: Sorted by path.
        touched: Of what it declared, the paths that it looked at.
        wrote: What it wrote besides its outputs, and left; a hundred paths at most.
        why: Why it could not be observed; then the whole source counts as read.
    """

    looks: tuple[Look, ...] = ()
    touched: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    why: str | None = None


def unobserved(why: str) -> Observation:
    """Of a run that could not be observed."""
    return Observation(looks=(Look("", WHOLE),), why=why)


def with_newest(known: Sequence[Observation], newest: Observation) -> tuple[Observation, ...]:
    """Observations, newest first, as many as are kept; of those with the same paths only the newest."""
    paths = _paths(newest)
    return (newest, *(each for each in known if _paths(each) != paths))[:MOST_VARIANTS]


def _paths(observation: Observation) -> frozenset[tuple[str, str]]:
    return frozenset((look.path, look.how) for look in observation.looks)


def encode(observations: Iterable[Observation]) -> bytes:
    """The bytes of observations, with a checksum."""
    body = canonical_json(
        [
            [
                each.why,
                list(each.touched),
                list(each.wrote),
                [[look.path, look.how, look.by] for look in each.looks],
            ]
            for each in observations
        ]
    )
    return b"%08x\n%b\n" % (zlib.crc32(body), body)


def decode(data: bytes) -> tuple[Observation, ...]:
    """What `encode` wrote.

    Raises:
        ValueError: It did not write this.
    """
    body = data[9:-1]
    if data[:9] != b"%08x\n" % zlib.crc32(body):
        raise ValueError("the checksum does not match")
    try:
        return tuple(
            Observation(
                looks=tuple(Look(path, how, by) for path, how, by in looks),
                touched=tuple(touched),
                wrote=tuple(wrote),
                why=why,
            )
            for why, touched, wrote, looks in json.loads(body)
        )
    except (TypeError, RecursionError) as error:
        raise ValueError("no observations") from error
