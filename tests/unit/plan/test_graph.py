from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import PipelineError
from penstock.plan.graph import Declared, Links, Node, downstream, link, nearest_output, upstream
from penstock.plan.model import Output, Plan, Produced, Stage
from penstock.plan.paths import matches, path_problem, selects
from penstock.plan.problems import Problems


def node(name: str, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Node:
    return Node(
        name, 1, tuple(Declared(path, 1) for path in inputs), tuple(Declared(path, 1) for path in outputs)
    )


def linked(*nodes: Node) -> tuple[dict[str, Links], list[str]]:
    problems = Problems()
    links, order = link(nodes, {}, "p.yaml", problems)
    problems.raise_if_any()
    return links, order


def test_an_input_that_is_an_output_is_produced() -> None:
    links, order = linked(node("b", ["o", "s"]), node("a", [], ["o"]))
    assert links["b"] == Links(("s",), (Produced("o", "a", "o"),))
    assert order == ["a", "b"]


def test_an_input_below_an_output_is_produced_by_its_stage() -> None:
    links, _ = linked(node("a", [], ["o"]), node("b", ["o/x/y.csv"]))
    assert links["b"] == Links((), (Produced("o/x/y.csv", "a", "o"),))


def test_an_input_above_outputs_is_produced_in_part_and_stays_a_source() -> None:
    links, _ = linked(node("a", [], ["o/a"]), node("b", [], ["o/b"]), node("c", ["o"]))
    assert links["c"] == Links(("o",), (Produced("o/a", "a", "o/a"), Produced("o/b", "b", "o/b")))


def test_a_pattern_that_selects_outputs_is_produced_in_part_and_stays_a_source() -> None:
    links, _ = linked(node("a", [], ["o/a.json", "o/b.csv"]), node("c", ["o/*.json"]))
    assert links["c"] == Links(("o/*.json",), (Produced("o/a.json", "a", "o/a.json"),))


def test_a_pattern_does_not_reach_into_an_output_that_it_does_not_select() -> None:
    links, _ = linked(node("a", [], ["build/model"]), node("lint", ["**/*.py"]))
    assert links["lint"] == Links(("**/*.py",), ())


def test_a_name_that_only_begins_like_an_output_is_a_source() -> None:
    links, _ = linked(node("a", [], ["out"]), node("b", ["out2", "out.txt", "ou"]))
    assert links["b"] == Links(("ou", "out.txt", "out2"), ())


def test_a_path_that_another_input_holds_is_left_out() -> None:
    links, _ = linked(node("a", ["src", "src/x.py", "src/**/*.py", "s*/y"]))
    assert links["a"].sources == ("s*/y", "src")


def test_a_part_of_an_output_that_is_read_whole_is_left_out() -> None:
    links, _ = linked(node("a", [], ["o"]), node("b", ["o/x", "o"]))
    assert links["b"].produced == (Produced("o", "a", "o"),)


def test_stages_that_do_not_need_each_other_keep_the_order_of_the_file() -> None:
    _, order = linked(node("z"), node("m", ["o"]), node("a"), node("p", [], ["o"]), node("b"))
    assert order == ["z", "a", "p", "m", "b"]


@pytest.mark.parametrize("length", [2, 3, 7])
def test_a_cycle_is_named_in_full(length: int) -> None:
    names = [f"s{at}" for at in range(length)]
    nodes = [node(name, [f"o{(at - 1) % length}"], [f"o{at}"]) for at, name in enumerate(names)]
    with pytest.raises(PipelineError, match=" -> ".join([*names, "s0"])):
        linked(*nodes)


def test_a_chain_of_five_thousand_stages_is_linked() -> None:
    nodes = [node(f"s{at}", [f"o{at - 1}"] if at else [], [f"o{at}"]) for at in range(5000)]
    _, order = linked(*reversed(nodes))
    assert order == [each.name for each in nodes]


EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(EDGES)
def test_producers_come_first_whatever_the_graph(edges: list[tuple[int, int]]) -> None:
    needs = {at: sorted({low for low, high in edges if low < high == at}) for at in range(12)}
    nodes = [node(f"s{at}", [f"o{low}" for low in needs[at]], [f"o{at}"]) for at in reversed(range(12))]
    _, order = linked(*nodes)
    assert sorted(order) == sorted(each.name for each in nodes)
    for at, lows in needs.items():
        assert all(order.index(f"s{low}") < order.index(f"s{at}") for low in lows)


PLAN = Plan(
    name="x",
    pipeline_file="p.yaml",
    profile=None,
    stages=(
        Stage(name="a", run="x", outputs=(Output("build/model.onnx"),)),
        Stage(name="b", run="x", produced=(Produced("o", "a", "o"),)),
        Stage(name="c", run="x", produced=(Produced("p", "b", "p"), Produced("o", "a", "o"))),
        Stage(name="d", run="x"),
    ),
)


def test_closures_are_transitive_and_leave_out_where_they_began() -> None:
    assert downstream(PLAN, ["a"]) == {"b", "c"}
    assert upstream(PLAN, ["c"]) == {"a", "b"}
    assert downstream(PLAN, ["c", "d"]) == frozenset()
    assert upstream(PLAN, ["b", "c"]) == {"a", "b"}


def test_the_nearest_output_is_named_with_its_stage() -> None:
    assert nearest_output(PLAN, "build/models.onnx") == "'build/model.onnx' (stage 'a')"
    assert nearest_output(PLAN, "zzz") is None


@pytest.mark.parametrize(
    ("pattern", "path", "selected"),
    [
        ("*", "a", True),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("**/*.py", "a.py", True),
        ("**/*.py", "a/b/c.py", True),
        ("a/**", "a", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/x/y/c", False),
        ("a/[bc]/?", "a/c/d", True),
        ("a/[!b]", "a/b", False),
        ("*a*a*a*a*a*b", "a" * 200, False),
    ],
)
def test_patterns_select_names_between_slashes(pattern: str, path: str, selected: bool) -> None:  # noqa: FBT001
    assert matches(pattern, path) is selected


def test_an_input_takes_in_outputs_below_it_and_those_that_it_selects() -> None:
    assert selects("build", "build/a")
    assert selects("build/*", "build/a")
    assert not selects("build/a/x", "build/a")


@pytest.mark.parametrize(
    "path", ["a\\b", "-rf", "a b", "a\nb", "\u202etxt", "ü/é", "..a", "a..b", "~a", "a" * 255]
)
def test_odd_names_are_paths(path: str) -> None:
    assert path_problem(path, pattern=False) is None
