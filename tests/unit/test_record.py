from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest

from penstock.record import Record, asdict, field, fields, replace


class Point(Record, kw_only=False):
    x: int
    y: int = 0


class Named(Record):
    name: str
    at: Point = Point(0, 0)
    tags: Mapping[str, int] = field(default_factory=dict)


class Counter(Record, frozen=False):
    n: int = 0


class Positive(Record):
    n: int

    def __post_init__(self) -> None:
        if self.n <= 0:
            raise ValueError("not positive")


def test_fields_are_given_by_name_or_in_order() -> None:
    assert Point(1, 2) == Point(x=1, y=2) == Point(1, y=2)
    assert Point(1).y == 0
    assert repr(Point(1)) == "Point(x=1, y=0)"
    assert fields(Named) == ("name", "at", "tags")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "'x' is missing"),
        ((1, 2, 3), {}, "has 2 fields, 3 were given"),
        ((1,), {"x": 1}, "'x' was given twice"),
        ((1,), {"z": 1}, "has no field 'z'"),
    ],
)
def test_wrong_fields_are_refused(args: tuple[int, ...], kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Point(*args, **kwargs)


def test_a_record_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="cannot be set"):
        point.x = 2  # type: ignore[misc] # the checker sees it too
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del point.x
    with pytest.raises(AttributeError, match="cannot be set"):
        point.z = 2
    assert replace(point, y=5) == Point(1, 5)


def test_one_that_says_so_can_be_changed_and_has_no_hash() -> None:
    counter = Counter()
    counter.n += 1
    assert counter.n == 1
    with pytest.raises(TypeError, match="has no hash"):
        hash(counter)
    with pytest.raises(AttributeError):
        counter.m = 1


def test_equality_and_hash_are_those_of_kind_and_values() -> None:
    assert Point(1) != (1, 0)
    assert len({Point(1), Point(1, 0), Point(2)}) == 2
    assert Named(name="a") != Positive(n=1)


def test_a_default_that_can_change_is_made_anew() -> None:
    assert Named(name="a").tags is not Named(name="b").tags


def test_post_init_has_the_last_word() -> None:
    with pytest.raises(ValueError, match="not positive"):
        Positive(n=0)


def test_records_in_records_become_dictionaries() -> None:
    assert asdict(Named(name="a")) == {"name": "a", "at": {"x": 0, "y": 0}, "tags": {}}


def test_records_are_copied_and_pickled() -> None:
    named = Named(name="a", at=Point(1, 2))
    assert copy.deepcopy(named) == named
    assert pickle.loads(pickle.dumps(named)) == named


def test_records_match_patterns() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
