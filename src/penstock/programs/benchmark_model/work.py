"""Measures the model in fresh processes and writes the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common import models, program, rows
from ..common.program import UnusableError
from . import baseline, fresh, machine
from .quantiles import histogram, mean, quantile

_NS_PER_MS = 1e6


def run(request: Mapping[str, Any]) -> str:
    """Measure as requested and write the document; gives one line that says what came out.

    Raises:
        UnusableError: The model cannot be loaded or does not predict, so that there is nothing to measure.
    """
    source, table = models.source(request), rows.read(request)
    confidence = request.get("confidence") or None
    earlier = baseline.read(request["baseline"]) if request.get("baseline") else None
    try:
        found = fresh.measured(request, table.features)
        starts = [fresh.cold_start_s(request, table.features) for _ in range(request["starts"])]
    except fresh.FreshError as error:
        raise UnusableError(str(error)) from None
    timings = {batch: np.array(found["timings"][str(batch)]) / _NS_PER_MS for batch in request["batch_sizes"]}
    latency = [_latency(batch, values, confidence) for batch, values in timings.items()]
    this = machine.described()
    compared, warnings = None, models.warnings(source)
    if earlier is not None:
        compared, more = baseline.compared(earlier, this, latency, table.digest)
        warnings += more
    cold = quantile(np.array(starts), 0.5, confidence, "starts")
    document = {
        "version": 1,
        "kind": "benchmark",
        "model": models.described(source),
        "machine": this,
        "data": {"path": table.path, "digest": table.digest},
        "rows": len(table),
        "confidence": confidence,
        "latency": latency,
        "throughput": [_throughput(entry) for entry in latency],
        "memory": _memory(found["memory"]),
        "cold_start_s": cold | {"starts": len(starts)},
        "baseline": compared,
        "warnings": warnings,
    }
    program.write_document(request["result"], document)
    return _summary(document)


def _latency(batch: int, ms: NDArray[Any], confidence: float | None) -> dict[str, Any]:
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        "batch": batch,
        "calls": len(ms),
        "mean_ms": mean(ms, confidence),
        **{name: quantile(ms, share, confidence) for name, share in shares.items()},
        "histogram": histogram(ms),
    }


def _throughput(latency: Mapping[str, Any]) -> dict[str, Any]:
    """Rows in a second, one call after the other: what the mean of the latency makes of it."""
    batch, ms = latency["batch"], latency["mean_ms"]
    ends = ms["interval"]
    interval = [batch * 1000 / end for end in reversed(ends)] if ends and ends[0] > 0 else None
    return {"batch": batch, "rows_per_s": {"value": batch * 1000 / ms["value"], "interval": interval}}


def _memory(found: dict[str, int | None]) -> dict[str, Any]:
    problem = "there is no /proc/self/status to read it from" if None in found.values() else None
    return found if problem is None else found | {"problem": problem}


def _summary(document: Mapping[str, Any]) -> str:
    first = document["latency"][0]
    times = ", ".join(f"{name} {first[f'{name}_ms']['value']:.3g} ms" for name in ("p50", "p95", "p99"))
    peak, start = document["memory"]["peak_bytes"], document["cold_start_s"]["value"]
    memory = "" if peak is None else f"; {peak / 1e6:,.0f} MB at the peak"
    return f"batches of {first['batch']}: {times}{memory}; first prediction {start:.2f} s after the start"
