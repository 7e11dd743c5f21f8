"""Whether columns are spread as they are in a reference.

Numbers, and the lengths of free texts, are compared by the two-sample Kolmogorov-Smirnov test, classes by
the chi-squared test of homogeneity. P-values are adjusted over all columns (Holm, 1979), and a column is
called drifted only if the adjusted p-value *and* the effect, its population stability index (PSI), say so:
in a large table the first is tiny for changes that nobody minds, in a small one the second is large by
chance.

A missing value counts as one: as the least number, and as a class of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from .schema_file import TEXTS, Column, Drift, Schema, numeric
from .summaries import SHOWN_VALUES, Summaries, Summary, bin_edges, inner_quantiles

FEW_NUMBERS = 10
"""A column with no more different numbers is compared as classes."""

FEW_TEXTS = 100
LEAST_EXPECTED = 5.0
EXACT_ROWS = 1_000
DRAWS = 2_000
_MISSING = "\0missing"
_OTHERS = "\0others"


@dataclass(frozen=True, slots=True)
class _Compared:
    """A column before p-values are adjusted."""

    name: str
    kind: str
    statistic: float
    p_value: float
    counts: np.ndarray  # rows in each bin: here, in the reference
    wasserstein: float | None
    histogram: dict[str, Any]


def drift(found: Summaries, reference: Summaries, schema: Schema) -> list[dict[str, Any]]:
    """What changed in each column, as it stands in the document."""
    settings = schema.drift
    compared: list[_Compared] = []
    entries: dict[str, dict[str, Any]] = {}
    for column in schema.columns:
        if not _wanted(column, schema):
            continue
        problem = _problem(found, reference, column.name)
        if problem:
            entries[column.name] = _unknown(found, column, problem, settings)
        else:
            compared.append(_compare(found, reference, column, settings))
            entries[column.name] = {}
    adjusted = holm([each.p_value for each in compared])
    for each, p_value in zip(compared, adjusted, strict=True):
        entries[each.name] = _entry(each, p_value, settings)
    return list(entries.values())


def _wanted(column: Column, schema: Schema) -> bool:
    chosen = schema.drift.columns
    if chosen is not None:
        return column.name in chosen and column.name not in schema.drift.ignore
    # Dates and ids are never the same again.
    return not (column.type == "date" or column.unique or column.name in (schema.id, *schema.drift.ignore))


def _problem(found: Summaries, reference: Summaries, name: str) -> str | None:
    for which, summaries in (("the data", found), ("the reference", reference)):
        if name not in summaries.by_name:
            return (
                f"{which} has no such column" if which == "the reference" else f"{which} have no such column"
            )
        if not summaries.by_name[name].good:
            return f"no value in {which}"
    return None


def _kind(column: Column, first: Summary, second: Summary) -> str:
    few = FEW_NUMBERS if numeric(column) else FEW_TEXTS
    if column.type == "date" or first.counts is None or second.counts is None:
        return "text" if column.type in TEXTS else "numeric"
    if column.type in ("category", "boolean") or len(first.counts.keys() | second.counts.keys()) <= few:
        return "categorical"
    return "text" if column.type in TEXTS else "numeric"


def _compare(found: Summaries, reference: Summaries, column: Column, settings: Drift) -> _Compared:
    name = column.name
    first, second = found.by_name[name], reference.by_name[name]
    kind = _kind(column, first, second)
    if kind == "categorical":
        return _classes(name, first, second)
    here, there = found.sample.values(name), reference.sample.values(name)
    known, known_there = here[~np.isnan(here)], there[~np.isnan(there)]
    test = ks(here, there)
    edges = bin_edges(np.concatenate([known, known_there]))
    histogram = {
        "edges": edges.tolist(),
        "counts": np.histogram(known, edges)[0].tolist(),
        "reference_counts": np.histogram(known_there, edges)[0].tolist(),
    }
    distance = float(stats.wasserstein_distance(known, known_there))
    return _Compared(name, kind, *test, quantile_counts(here, there, settings.bins), distance, histogram)


def ks(here: np.ndarray, there: np.ndarray) -> tuple[float, float]:
    """The Kolmogorov-Smirnov D and p-value: exact up to 1,000 values each, else asymptotic; NaN is least."""
    with np.errstate(all="ignore"):
        test = stats.ks_2samp(
            np.where(np.isnan(here), -np.inf, here),
            np.where(np.isnan(there), -np.inf, there),
            method="exact" if max(len(here), len(there)) <= EXACT_ROWS else "asymp",
        )
    return float(test.statistic), float(test.pvalue)


def quantile_counts(here: np.ndarray, there: np.ndarray, bins: int) -> np.ndarray:
    """Rows in ranges that hold about as many rows of the reference each, and missing ones if there are any.

    Returns:
        Counts of shape (2, bins): here, there.
    """
    inner = inner_quantiles(there[~np.isnan(there)], bins)
    rows = []
    for values in (here, there):
        present = values[~np.isnan(values)]
        counts = np.bincount(np.searchsorted(inner, present), minlength=len(inner) + 1)
        rows.append([*counts, len(values) - len(present)])
    table = np.array(rows)
    return table[:, table.sum(axis=0) > 0]


def _classes(name: str, first: Summary, second: Summary) -> _Compared:
    here, there = dict(first.counts or {}), dict(second.counts or {})
    total = {value: here.get(value, 0) + there.get(value, 0) for value in here.keys() | there.keys()}
    values = sorted(total, key=lambda value: (-total[value], value))
    shown = values[:SHOWN_VALUES]
    histogram = {
        "values": shown,
        "counts": [here.get(value, 0) for value in shown],
        "reference_counts": [there.get(value, 0) for value in shown],
    }
    for counts, summary in ((here, first), (there, second)):
        if first.missing + second.missing:
            counts[_MISSING] = summary.missing
    values += [_MISSING] if first.missing + second.missing else []
    table = np.array([[counts.get(value, 0) for value in values] for counts in (here, there)])
    return _Compared(name, "categorical", *chi_squared(table), table, None, histogram)


def chi_squared(table: np.ndarray) -> tuple[float, float]:
    """Pearson's statistic and its p-value for two rows of counts.

    Classes of which fewer than five are expected in either row are counted as one (Cochran, 1954); if a
    single class remains, nothing can be told apart: 0 and 1.
    """
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = expected < LEAST_EXPECTED
    pooled = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)]) if rare.any() else table
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    if pooled.shape[1] < 2:  # noqa: PLR2004 - classes
        return 0.0, 1.0
    test = stats.chi2_contingency(pooled, correction=False)
    return float(test.statistic), float(test.pvalue)


def psi(counts: np.ndarray) -> float:
    """Population stability index of rows in bins, here and in the reference; an empty bin is half a row.

    Source: Siddiqi (2006), Credit Risk Scorecards; it is the divergence of Jeffreys (1946).
    """
    shares = _shares(counts)
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def _shares(counts: np.ndarray) -> np.ndarray:
    filled = np.where(counts == 0, 0.5, counts)
    return np.asarray(filled / filled.sum(axis=-1, keepdims=True))


def psi_interval(counts: np.ndarray, confidence: float) -> tuple[float, float]:
    """Bounds on the PSI of the populations: parametric bootstrap, less its bias, which is known.

    For B bins and n and m rows, chance alone adds (B - 1)(1/n + 1/m) to a PSI (Yurdakul, 2018), once in the
    data and once more in each draw.
    """
    random = np.random.default_rng(0)
    here, there = counts.sum(axis=1)
    shares = _shares(counts)
    draws = np.stack(
        [random.multinomial(here, shares[0], DRAWS), random.multinomial(there, shares[1], DRAWS)], axis=1
    )
    drawn = _shares(draws)
    found = ((drawn[:, 0] - drawn[:, 1]) * np.log(drawn[:, 0] / drawn[:, 1])).sum(axis=1)
    bias = 2 * (counts.shape[1] - 1) * (1 / here + 1 / there)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail]) - bias
    return max(0.0, float(low)), max(0.0, float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm among them is bounded.

    Source: Holm (1979), Scandinavian Journal of Statistics 6:65-70.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted


def _entry(each: _Compared, adjusted: float, settings: Drift) -> dict[str, Any]:
    effect = psi(each.counts)
    low, high = psi_interval(each.counts, settings.confidence)
    return {
        "column": each.name,
        "kind": each.kind,
        "test": "chi-squared" if each.kind == "categorical" else "ks",
        "statistic": each.statistic,
        "p_value": each.p_value,
        "adjusted_p_value": adjusted,
        "effect": {"name": "psi", "value": effect, "interval": [low, high], "threshold": settings.threshold},
        "psi": effect,
        "wasserstein": each.wasserstein,
        "drifted": adjusted <= 1 - settings.confidence and effect >= settings.threshold,
        "problem": None,
        "histogram": each.histogram,
    }


def _unknown(found: Summaries, column: Column, problem: str, settings: Drift) -> dict[str, Any]:
    """A column that cannot be compared: it is not called drifted, and says why."""
    del found
    effect: Mapping[str, Any] = {
        "name": "psi",
        "value": None,
        "interval": None,
        "threshold": settings.threshold,
    }
    kind = "numeric" if numeric(column) else "categorical"
    numbers = dict.fromkeys(("statistic", "p_value", "adjusted_p_value"))
    return {
        "column": column.name,
        "kind": kind,
        "test": "ks" if kind == "numeric" else "chi-squared",
        **numbers,
        "effect": effect,
        "psi": None,
        "wasserstein": None,
        "drifted": False,
        "problem": problem,
        "histogram": None,
    }
