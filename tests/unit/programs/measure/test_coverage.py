"""A small share of `benchmarks/coverage.py`: gates let few models through that are truly at the bound."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
DATA_SETS = 200


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    sys.path.append(str(BENCHMARKS))
    try:
        # not by its own name, which is also that of a package
        spec = importlib.util.spec_from_file_location("coverage_of_intervals", BENCHMARKS / "coverage.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.fixture(scope="module")
def tallies(simulation: ModuleType) -> dict[str, Any]:
    """Of models truly at the bound, by case."""
    return {
        case.name: simulation.simulate(case, case.sizes[1], case.bound, DATA_SETS, seed=7)
        for case in simulation.CASES
    }


def test_gates_pass_few_models_at_the_bound_where_a_bare_comparison_passes_half(
    tallies: dict[str, Any],
) -> None:
    data_sets = sum(tally.data_sets for tally in tallies.values())
    assert data_sets >= 4000
    # three standard errors of the simulation are 0.7 %
    assert sum(tally.passed for tally in tallies.values()) / data_sets <= 0.025 + 0.007
    assert 0.45 <= sum(tally.bare for tally in tallies.values()) / data_sets <= 0.55
    assert 0.94 <= sum(tally.covered for tally in tallies.values()) / data_sets <= 0.965


def test_no_gate_stands_out(tallies: dict[str, Any]) -> None:
    # four standard errors of a case, since there are many, are 4.4 %, and 6.2 % of its coverage
    assert {
        name for name, tally in tallies.items() if tally.passed / tally.data_sets > 0.025 + 0.044
    } == set()
    assert {
        name for name, tally in tallies.items() if tally.covered / tally.data_sets < 0.95 - 0.062
    } == set()


def test_truly_better_models_pass_more_often_with_more_rows(simulation: ModuleType) -> None:
    case = next(case for case in simulation.CASES if case.name.startswith("threshold: accuracy"))
    few, many = (simulation.simulate(case, rows, case.better, 200, seed=7) for rows in (100, 1600))
    assert few.inconclusive > 100
    assert (many.passed, many.failed) == (200, 0)


def test_an_interval_that_is_too_narrow_is_found_out(simulation: ModuleType) -> None:
    """The simulation itself can fail: half of the width lets many times more models through."""
    case = next(case for case in simulation.CASES if case.name.startswith("threshold: roc_auc >= 0.85"))

    def narrow(*given: Any) -> Any:
        found = case.draw(*given)
        low, high = ((found.value + end) / 2 for end in found.interval)
        return found._replace(interval=(low, high))

    tally = simulation.simulate(replace(case, draw=narrow), 400, case.bound, 300, seed=7)
    assert tally.passed / tally.data_sets > 0.1
    assert tally.covered / tally.data_sets < 0.8
