from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_samples import by_groups, comparison, decide, measures, wilson
from penstock.gates.bounds import Bounds, Number, case, quantile, rows_to_decide, writer
from penstock.results import Verdict

ORDER = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}
numbers = st.floats(-1e6, 1e6)
sides = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6))


def of(value: float, below: float, above: float, rows: int = 100) -> Number:
    interval = (value - below, value + above)
    return Number(label="m", value=value, interval=interval, confidence=0.95, rows=rows)


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    low, high = sorted((draw(numbers), draw(numbers)))
    return draw(
        st.sampled_from([Bounds(minimum=low), Bounds(maximum=high), Bounds(minimum=low, maximum=high)])
    )


@given(numbers, sides, sides, bounds())
def test_widening_an_interval_decides_nothing_that_was_open(
    value: float, sides: tuple[float, float], more: tuple[float, float], limits: Bounds
) -> None:
    narrow = case(of(value, *sides), limits).verdict
    wide = case(of(value, sides[0] + more[0], sides[1] + more[1]), limits).verdict
    assert wide in (narrow, Verdict.INCONCLUSIVE)


@given(numbers, sides, bounds(), sides)
def test_loosening_a_bound_never_makes_a_verdict_worse(
    value: float, sides: tuple[float, float], limits: Bounds, room: tuple[float, float]
) -> None:
    loose = Bounds(
        minimum=None if limits.minimum is None else limits.minimum - room[0],
        maximum=None if limits.maximum is None else limits.maximum + room[1],
    )
    number = of(value, *sides)
    assert ORDER[case(number, loose).verdict] >= ORDER[case(number, limits).verdict]
    point = Number(label="m", value=value)
    assert ORDER[case(point, loose).verdict] >= ORDER[case(point, limits).verdict]


@given(st.integers(1, 300), st.data())
def test_loosening_any_gates_bound_never_makes_a_verdict_worse(rows: int, data: st.DataObject) -> None:
    shares = {name: (data.draw(st.integers(0, rows)), rows) for name in "abc"}
    tight, loose = sorted((data.draw(st.floats(0, 1)), data.draw(st.floats(0, 1))))
    document = measures(fairness=(by_groups(shares),))
    options = {"metrics": ["recall"], "by": ["sex"], "min_group_size": 20}
    found = [decide("fairness", document, max_difference=each, **options) for each in (tight, loose)]
    assert ORDER[found[1].verdict] >= ORDER[found[0].verdict]
    change, half = data.draw(st.floats(-0.5, 0.5)), data.draw(st.floats(0, 0.5))
    document = measures(comparisons=(comparison(change, [change - half, change + half]),))
    against = {"metric": "accuracy", "baseline": "champion"}
    found = [decide("no-regression", document, margin=each, **against) for each in (tight, loose)]
    assert ORDER[found[1].verdict] >= ORDER[found[0].verdict]
    found = [decide("improvement", document, by=each, **against) for each in (loose, tight)]
    assert ORDER[found[1].verdict] >= ORDER[found[0].verdict]


@given(
    st.floats(-100, 100),
    st.floats(0.01, 100),
    st.floats(-0.99, 0.99).filter(lambda part: abs(part) > 0.01),
    st.integers(1, 10_000),
    st.booleans(),
)
def test_so_many_rows_would_decide_at_this_spread(
    value: float,
    half: float,
    part: float,
    rows: int,
    below: bool,  # noqa: FBT001
) -> None:
    bound = value + part * half
    limits = Bounds(minimum=bound) if below else Bounds(maximum=bound)
    number = of(value, half, half, rows)
    assert case(number, limits).verdict is Verdict.INCONCLUSIVE
    needed = rows_to_decide(number, limits)
    assert needed is not None
    assert needed > rows
    narrow = half * math.sqrt(rows / needed) * 0.9999
    assert case(of(value, narrow, narrow), limits).verdict is not Verdict.INCONCLUSIVE
    if needed > rows + 1:
        wide = half * math.sqrt(rows / (needed - 1)) * 1.0001
        assert case(of(value, wide, wide), limits).verdict is Verdict.INCONCLUSIVE


def test_rows_of_a_ratio_count_on_its_own_scale() -> None:
    number = Number(
        label="r", value=0.9, interval=(0.9 / 1.5, 0.9 * 1.5), confidence=0.95, rows=100, logarithmic=True
    )
    limits = Bounds(minimum=0.8, maximum=1.25)
    needed = rows_to_decide(number, limits)
    assert needed == math.ceil(100 * (math.log(1.5) / math.log(0.9 / 0.8)) ** 2)


@pytest.mark.parametrize("value", [1e-320, 1e300, -1e300])
def test_extreme_numbers_need_no_number_of_rows(value: float) -> None:
    number = Number(label="m", value=value, interval=(-1e308, 1e308), confidence=0.95, rows=5)
    for limits in (Bounds(minimum=0.0), Bounds(maximum=0.0), Bounds(minimum=value)):
        assert rows_to_decide(number, limits) is None
    share = Number(label="m", value=0.5, interval=(0.4, 0.6), confidence=0.95, rows=5, proportion=True)
    assert rows_to_decide(share, Bounds(minimum=0.5 + 1e-300)) is None
    assert rows_to_decide(share, Bounds(minimum=0.5 + 1e-16)) is None


def test_the_quantile_is_that_of_the_normal_distribution() -> None:
    assert quantile(0.95) == pytest.approx(1.959963985)
    assert quantile(0.99) == pytest.approx(2.575829304)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.8, 0.79999999), ["0.8", "0.79999999"]),
        ((0.84213, 0.8), ["0.8421", "0.8"]),
        ((0.84213, 0.84214), ["0.84213", "0.84214"]),
        ((1234567.0, 12.5), ["1,234,567", "12.5"]),
        ((-0.0, 1.0), ["0", "1"]),
        ((1e-9, 0.0), ["1e-09", "0"]),
        ((0.1 + 0.2, 0.3), ["0.30000000000000004", "0.3"]),
    ],
)
def test_numbers_have_as_few_digits_as_tell_them_apart(values: tuple[float, ...], texts: list[str]) -> None:
    write = writer(*values)
    assert [write(each) for each in values] == texts


def test_wilsons_interval_in_these_tests_is_that_of_the_paper() -> None:
    # Newcombe (1998), Statistics in Medicine 17:857-872, table I: 81 of 263
    assert wilson(81, 263) == pytest.approx([0.2553, 0.3662], abs=5e-5)
    assert wilson(0, 20) == pytest.approx([0.0, 0.1611], abs=5e-5)
