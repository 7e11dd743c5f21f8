"""The gates `latency`, `memory` and `model-size`: what `uses: benchmark-model` measured, against bounds."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.gates.base import Exhibits, evidence, exhibit, needed_option, number_option, strict
from penstock.gates.bounds import Bounds, Case, Number, case, cut, several, single
from penstock.gates.document import DocumentError, Section, check_kind, document
from penstock.gates.measures import interval_of
from penstock.plan.model import GateSpec
from penstock.record import replace
from penstock.results import GateResult, Verdict

_MB = 1_000_000
_PERCENTILES = ("p50", "p95", "p99")
_COMPARED = ("p50", "p95")
"""Whose ratio is judged where the gate bounds no percentile: p99 of a few hundred calls is too vague."""


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if every interval is within its bound, fail if one is beyond.

    Args:
        spec: `latency` with the options `batch`, `p50_ms`, `p95_ms`, `p99_ms`, `cold_start_s` and
            `max_ratio`; `memory` with `load_mb` and `peak_mb`; `model-size` with `max_mb`.
        exhibits: The benchmark; for `model-size` also the document of model tests.
    """
    if spec.gate == "model-size":
        return _size(spec, exhibits)
    benchmark = evidence(spec, exhibits, "benchmark")
    check_model(benchmark)
    cases = list(_memory(spec, benchmark) if spec.gate == "memory" else _latency(spec, benchmark))
    if not cases:
        raise DocumentError(f"{benchmark.path}: the gate gives no bound, so nothing is judged")
    machine = benchmark.section("machine")
    return several(spec, exhibits, cases, details=(f"measured on {_words(machine)}",))


def check_model(read: Section) -> Section:
    """The model that a document is about.

    Raises:
        DocumentError: It does not say which.
    """
    model = read.section("model")
    model.text("path")
    model.digest("digest")
    return model


def _words(machine: Section) -> str:
    processor = machine.maybe("processor", machine.text) or "an unknown processor"
    return f"{cut(processor)}, {machine.count('cores', minimum=1)} cores"


def _latency(spec: GateSpec, benchmark: Section) -> Iterator[Case]:
    batch = int(number_option(spec, "batch") or 1)
    bounds = {each: number_option(spec, f"{each}_ms") for each in _PERCENTILES}
    asked = [each for each, most in bounds.items() if most is not None]
    if asked:
        entry = _batch(benchmark, "latency", batch)
        calls = entry.count("calls", minimum=1)
        for name in asked:
            label = f"{name} latency (batches of {batch:,})"
            number = _number(spec, benchmark, entry.section(f"{name}_ms"), label, calls)
            yield case(replace(number, symbol="ms"), Bounds(maximum=bounds[name]))
    cold = number_option(spec, "cold_start_s")
    if cold is not None:
        entry = benchmark.section("cold_start_s")
        starts = entry.count("starts", minimum=1)
        number = _number(spec, benchmark, entry, "cold start", starts)
        yield case(replace(number, unit="starts", symbol="s"), Bounds(maximum=cold))
    most = number_option(spec, "max_ratio")
    if most is not None:
        yield from _ratios(spec, benchmark, batch, tuple(asked) or _COMPARED, most)


def _ratios(
    spec: GateSpec, benchmark: Section, batch: int, names: tuple[str, ...], most: float
) -> Iterator[Case]:
    baseline = benchmark.maybe("baseline", benchmark.section)
    if baseline is None:
        raise benchmark.error("baseline", "is null: the stage compared with no earlier benchmark")
    baseline.digest("digest")
    same = baseline.flag("same_machine")
    identities = [each.section("machine").digest("identity") for each in (benchmark, baseline)]
    if same != (identities[0] == identities[1]):
        raise baseline.error("same_machine", "contradicts the identities of the two machines")
    entry = _batch(baseline, "ratios", batch)
    calls = _batch(benchmark, "latency", batch).count("calls", minimum=1)
    for name in names:
        label = f"{name} latency to the baseline's (batches of {batch:,})"
        number = replace(_number(spec, benchmark, entry.section(name), label, calls), logarithmic=True)
        judged = case(number, Bounds(maximum=most))
        if not same:
            because = "the baseline was measured on another machine; measure it again on this one"
            judged = replace(judged, verdict=Verdict.INCONCLUSIVE, because=because)
        yield judged


def _batch(section: Section, key: str, batch: int) -> Section:
    found = [each for each in section.sections(key) if each.count("batch", minimum=1) == batch]
    if len(found) != 1:
        raise section.error(key, f"has {len(found) or 'no'} entries for batches of {batch:,}")
    return found[0]


def _number(spec: GateSpec, benchmark: Section, entry: Section, label: str, calls: int) -> Number:
    """A number that is not negative, with the interval that the document's confidence gives it."""
    confidence = benchmark.maybe("confidence", benchmark.number)
    value = entry.number("value", minimum=0)
    interval = interval_of(entry, value, method="percentile")
    point = confidence is None or spec.options.get("confidence", confidence) is None
    if interval is None and not point:
        raise entry.error("interval", f"is null, although {calls:,} calls were timed")
    return Number(
        label=label,
        value=value,
        interval=None if point else interval,
        confidence=None if point else confidence,
        rows=calls,
        unit="calls",
    )


def _memory(spec: GateSpec, benchmark: Section) -> Iterator[Case]:
    memory = benchmark.section("memory")
    memory.count("before_bytes")
    for option, key, label in (
        ("load_mb", "loaded_bytes", "memory with the model loaded"),
        ("peak_mb", "peak_bytes", "memory at its peak"),
    ):
        most = number_option(spec, option)
        if most is not None:
            number = Number(label=label, value=memory.count(key, minimum=1) / _MB, symbol="MB")
            yield case(number, Bounds(maximum=most))


def _size(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    found = exhibit(spec, exhibits)
    read = document(found.content, found.path)
    kind = "model-tests" if read.values.get("kind") == "model-tests" else "benchmark"
    model = check_model(check_kind(read, kind, 1))
    size, files = model.count("size_bytes"), model.count("files", minimum=1)
    number = Number(label="size of the model", value=size / _MB, symbol="MB", exact=True)
    judged = case(number, Bounds(maximum=needed_option(spec, "max_mb")))
    return single(spec, exhibits, judged, details=(f"{size:,} bytes in {files:,} files",))
