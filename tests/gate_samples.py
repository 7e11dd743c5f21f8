"""Documents that gates read, whole and valid, and gates asked about them."""

from __future__ import annotations

import json
import math
from itertools import combinations
from statistics import NormalDist
from typing import Any

from penstock.digest import of_bytes
from penstock.gates.base import Exhibit, gate
from penstock.plan.model import GateSpec
from penstock.results import GateResult

DIGEST = "sha256:" + "ab" * 32
OTHER_DIGEST = "sha256:" + "cd" * 32
Document = dict[str, Any]


def decide(kind: str, document: object, **options: Any) -> GateResult:
    """A gate's verdict on a document, or on bytes that should be one."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    spec = GateSpec(gate=kind, name=kind, reads=(("stage", "d.json"),), options=options)
    return gate(kind)(spec, {"d.json": Exhibit("d.json", content, of_bytes(content))})


def wilson(hits: float, rows: float, confidence: float = 0.95) -> list[float]:
    """Wilson's interval as the textbook has it."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return [max(middle - half, 0.0), min(middle + half, 1.0)]


def measures(
    *entries: Document,
    rows: int = 400,
    comparisons: tuple[Document, ...] = (),
    fairness: tuple[Document, ...] = (),
    baselines: tuple[Document, ...] | None = None,
    warnings: tuple[str, ...] = (),
) -> Document:
    """A document of measures."""
    columns = {"id": "id", "truth": "truth", "prediction": "prediction", "score": "score"}
    return {
        "version": 1,
        "kind": "measures",
        "task": "binary",
        "predictions": {"path": "p.csv", "digest": DIGEST, "rows": rows, "columns": columns},
        "evaluation_set": DIGEST,
        "classes": ["0", "1"],
        "positive": "1",
        "confidence": 0.95,
        "resamples": 2000,
        "bins": 10,
        "slices": [],
        "measures": list(entries),
        "baselines": list((baseline(),) if baselines is None else baselines),
        "comparisons": list(comparisons),
        "fairness": list(fairness),
        "plots": {},
        "warnings": list(warnings),
    }


def share(metric: str, hits: int, rows: int, /, **changes: Any) -> Document:
    """A metric that is a share of rows, with Wilson's interval."""
    error = math.sqrt(hits * (rows - hits) / rows**3)
    return {
        "metric": metric, "better": "higher", "column": None, "group": None, "value": hits / rows,
        "interval": wilson(hits, rows), "confidence": 0.95, "method": "wilson", "rows": rows,
        "standard_error": error, "proportion": True, "hits": hits, "problem": None, **changes,
    }  # fmt: skip


def score(metric: str, value: float, interval: list[float], rows: int, /, **changes: Any) -> Document:
    """A metric with a bootstrap interval."""
    return {
        "metric": metric, "better": "higher", "column": None, "group": None, "value": value,
        "interval": interval, "confidence": 0.95, "method": "bca", "rows": rows,
        "standard_error": (interval[1] - interval[0]) / 3.92, "proportion": False, "hits": None,
        "problem": None, **changes,
    }  # fmt: skip


def baseline(name: str = "champion", **changes: Any) -> Document:
    """A baseline of the same evaluation set."""
    return {
        "name": name, "path": "b.csv", "digest": OTHER_DIGEST, "rows": 400, "evaluation_set": DIGEST,
        "same": True, "shared_rows": 400, "problem": None, **changes,
    }  # fmt: skip


def comparison(change: float, interval: list[float], /, **changes: Any) -> Document:
    """A metric of 0.8 in the baseline, compared with it by pairs."""
    return {
        "baseline": "champion", "metric": "accuracy", "better": "higher", "column": None, "group": None,
        "paired": True, "rows": 400, "value": 0.8 + change, "baseline_value": 0.8, "change": change,
        "interval": interval, "confidence": 0.95, "method": "tango",
        "standard_error": (interval[1] - interval[0]) / 3.92, "problem": None,
        "mcnemar": {"only_this_right": 12, "only_baseline_right": 8, "p_value": 0.5, "method": "exact"},
        **changes,
    }  # fmt: skip


def by_groups(shares: dict[str, tuple[int, int]], column: str = "sex", **changes: Any) -> Document:
    """A share of rows (hits, rows) in each group, and every two groups compared by the normal approximation."""
    groups = []
    for name, (hits, rows) in shares.items():
        groups.append(
            {
                "value": name, "rows": rows, "measure_rows": rows, "measure": hits / rows if rows else None,
                "interval": wilson(hits, rows) if rows else None, "problem": None if rows else "no rows",
            }
        )  # fmt: skip
    pairs = [_pair(one, other, shares[one], shares[other]) for one, other in combinations(shares, 2)]
    return {
        "metric": "recall", "column": column, "confidence": 0.95, "better": "higher",
        "groups": groups, "pairs": pairs, **changes,
    }  # fmt: skip


def _pair(one: str, other: str, first: tuple[int, int], second: tuple[int, int]) -> Document:
    (a, m), (b, n) = first, second
    if not m or not n:
        return {"groups": [one, other], "difference": None, "ratio": None, "problem": "no rows"}
    p, q = a / m, b / n
    error = math.sqrt(p * (1 - p) / m + q * (1 - q) / n)
    difference = {"value": p - q, "standard_error": error, "interval": _normal(p - q, error)}
    ratio = None
    if a and b:
        spread = math.sqrt((1 - p) / a + (1 - q) / b)
        ends = [math.exp(each) for each in _normal(math.log(p / q), spread)]
        ratio = {"value": p / q, "log_standard_error": spread, "interval": ends}
    problem = None if ratio else "a share of 0 has no ratio"
    return {"groups": [one, other], "difference": difference, "ratio": ratio, "problem": problem}


def _normal(value: float, error: float) -> list[float]:
    reach = NormalDist().inv_cdf(0.975) * error
    return [value - reach, value + reach]


def validation(**changes: Any) -> Document:
    """A data set all of whose checks hold."""
    check = {"name": "type integer", "column": "tenure", "passed": True, "failures": 0, "examples": []}
    return {
        "version": 2, "kind": "validation", "data": {"path": "data.csv", "digest": DIGEST}, "rows": 7043,
        "passed": True, "summary": "1 check holds", "checks": [check], "columns": [],
        "newest": {"column": "day", "value": "2026-11-20T12:00:00Z"}, "drift": drift(), "leakage": None,
        "warnings": [], **changes,
    }  # fmt: skip


def drift(*columns: Document, **changes: Any) -> Document:
    """Two columns compared with a reference, neither of which has drifted."""
    return {
        "reference": {"path": "old.csv", "digest": OTHER_DIGEST, "rows": 7000}, "confidence": 0.95,
        "correction": "holm", "columns": list(columns or (drifting("tenure"), drifting("plan"))), **changes,
    }  # fmt: skip


def drifting(column: str, *, drifted: bool = False, effect: float | None = None, **changes: Any) -> Document:
    """A column of a data set beside that of its reference."""
    p_value = 0.0001 if drifted else 0.6
    effect = (0.4 if drifted else 0.02) if effect is None else effect
    return {
        "column": column, "kind": "numeric", "test": "ks", "statistic": 0.01, "p_value": p_value / 2,
        "adjusted_p_value": p_value, "psi": effect, "wasserstein": 0.1, "drifted": drifted, "problem": None,
        "effect": {"name": "psi", "value": effect, "interval": None, "threshold": 0.1},
        "histogram": {"edges": [0, 1, 2], "counts": [3, 4], "reference_counts": [4, 3]}, **changes,
    }  # fmt: skip
