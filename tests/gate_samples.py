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


MODEL = {
    "path": "build/model",
    "digest": DIGEST,
    "format": "skops",
    "trust": None,
    "size_bytes": 2_500_000,
    "files": 2,
}


def model_tests(*tests: Document, **changes: Any) -> Document:
    """Two tests that pass, one noise and the importance of two features."""
    return {
        "version": 1, "kind": "model-tests", "model": dict(MODEL), "rows": 200, "confidence": 0.95,
        "tests": list(tests or (model_test("smoke"), model_test("nan", value=0.0, maximum=0.0, rows=200))),
        "robustness": [noise(-0.01, [-0.02, 0.0])], "importance": importance(age=0.3, plan=0.1),
        "warnings": [], **changes,
    }  # fmt: skip


def model_test(name: str, verdict: str = "pass", /, **changes: Any) -> Document:
    """A test of a model."""
    return {
        "name": name, "kind": "validity", "verdict": verdict, "sentence": f"{name} {verdict}", "value": None,
        "interval": None, "minimum": None, "maximum": None, "rows": None, "examples": [], **changes,
    }  # fmt: skip


def noise(change: float, interval: list[float] | None, /, **changes: Any) -> Document:
    """What accuracy becomes under noise."""
    return {
        "name": "noise 0.1", "metric": "accuracy", "better": "higher", "value": 0.8,
        "perturbed_value": 0.8 + change, "change": change, "interval": interval, "confidence": 0.95,
        "rows": 200, "standard_error": 0.005, "method": "tango", "problem": None, **changes,
    }  # fmt: skip


def importance(**features: float) -> Document:
    """Permutation importance, as shares of what is lost."""
    total = sum(max(each, 0.0) for each in features.values()) or math.inf
    return {
        "metric": "accuracy",
        "method": "permutation",
        "repeats": 10,
        "rows": 200,
        "features": [
            {
                "feature": name,
                "value": value,
                "interval": [value - 0.02, value + 0.02],
                "share": max(value, 0) / total,
            }
            for name, value in features.items()
        ],
    }


def benchmark(**changes: Any) -> Document:
    """A model timed one row and 32 rows at a time, and compared with an earlier benchmark."""
    machine = {
        "processor": "Example 9000", "cores": 2, "memory_bytes": 8 << 30, "system": "Linux", "python": "3.12",
        "accelerator": None, "identity": DIGEST,
    }  # fmt: skip
    ratio = {"value": 1.02, "interval": [0.98, 1.06]}
    ratios = [{"batch": batch, "p50": ratio, "p95": ratio, "p99": ratio} for batch in (1, 32)]
    return {
        "version": 1, "kind": "benchmark", "model": dict(MODEL), "machine": machine, "rows": 500,
        "confidence": 0.95, "latency": [timed(1, 2.0), timed(32, 8.0)],
        "throughput": [{"batch": 1, "rows_per_s": {"value": 400.0, "interval": [380.0, 420.0]}}],
        "memory": {"before_bytes": 80_000_000, "loaded_bytes": 120_000_000, "peak_bytes": 150_000_000},
        "cold_start_s": {"value": 1.2, "interval": [1.1, 1.4], "starts": 3},
        "baseline": {
            "path": "old.json", "digest": OTHER_DIGEST, "same_machine": True, "machine": dict(machine),
            "ratios": ratios,
        },
        "warnings": [], **changes,
    }  # fmt: skip


def timed(batch: int, p50_ms: float) -> Document:
    """Latencies of one batch size."""
    percentiles = {
        f"{name}_ms": {"value": p50_ms * factor, "interval": [p50_ms * factor * 0.9, p50_ms * factor * 1.1]}
        for name, factor in (("mean", 1.1), ("p50", 1.0), ("p95", 1.5), ("p99", 2.0))
    }
    return {"batch": batch, "calls": 200, **percentiles, "histogram": {"edges_ms": [0, 1], "counts": [200]}}


def reproducibility(*digests: str, **changes: Any) -> Document:
    """A stage that was run again with the same parameters, and what it wrote."""
    outputs = [{"path": f"build/{at}", "digest": each} for at, each in enumerate(digests or (DIGEST,))]
    return {
        "version": 1, "kind": "reproducibility", "stage": "train", "parameter": None,
        "repetitions": [{"seed": None, "outputs": outputs, "metrics": None}],
        "same": None, "differing": [], "warnings": [], **changes,
    }  # fmt: skip


def command(exit_code: int = 0, **changes: Any) -> Document:
    """A command of the user's own that wrote its verdict."""
    found = {"value": 0.4, "interval": [0.3, 0.5], "rows": 90, "sentence": "revenue holds"}
    return {
        "version": 1, "kind": "command", "exit_code": exit_code, "result": found, "problem": None,
        "output": "first\nlast\n", **changes,
    }  # fmt: skip


def security(*findings: Document, **changes: Any) -> Document:
    """Scans that were whole, with a finding that is low and one that is accepted."""
    listed = findings or (
        security_finding("code", "low"),
        security_finding("secrets", "high", accepted={"reason": "a test", "expires": "2027-01-01"}),
    )
    checks: list[Document] = [
        {
            "name": name, "tool": "a tool", "examined": "9 files", "problems": [],
            "counts": {
                state: {
                    severity: sum(
                        (each["check"], each["severity"], bool(each["accepted"])) == (name, severity, accepted)
                        for each in listed
                    )
                    for severity in ("info", "low", "medium", "high", "critical")
                }
                for state, accepted in (("open", False), ("accepted", True))
            },
        }
        for name in ("secrets", "vulnerabilities", "code", "pickles", "pins")
    ]  # fmt: skip
    return {
        "version": 1, "kind": "security", "date": "2026-11-21", "commit": None, "summary": "5 checks",
        "checks": checks, "findings": list(listed), "left_out": 0,
        "baseline": {"path": "security.yaml", "entries": 1, "used": 1, "problems": []},
        "warnings": [], **changes,
    }  # fmt: skip


def security_finding(check: str, severity: str, /, **changes: Any) -> Document:
    """One thing that is wrong."""
    return {
        "check": check, "rule": "a-rule", "severity": severity, "path": "src/a.py", "line": 3, "commit": None,
        "message": "what it is", "remedy": "what to do", "package": None, "accepted": None,
        "fingerprint": "ab" * 12, **changes,
    }  # fmt: skip
