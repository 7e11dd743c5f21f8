"""The gates `latency`, `memory` and `model-size`: what `uses: benchmark-model` measured, against bounds."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.gates.base import Exhibits, evidence, exhibit, needed_option, number_option, strict
from penstock.gates.bounds import Bounds, Case, Number, case, cut, several, single
from penstock.gates.document import DocumentError, Section, check_kind, document
from penstock.gates.measures import interval_of
from penstock.plan.model import GateSpec
from penstock.record import replace
from penstock.results import GateResult

_MB = 1_000_000
_OTHER_MACHINE = "the baseline was measured on another machine; measure it again on this one"
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
    cases, unknown = list(_memory(spec, benchmark)), dict[str, str]()
    if spec.gate == "latency":
        ratios, unknown = _ratios(spec, benchmark)
        cases = [*_timed(spec, benchmark), *ratios]
    if not cases and not unknown:
        raise DocumentError(f"{benchmark.path}: the gate gives no bound, so nothing is judged")
    details = (f"measured on {_words(benchmark.section('machine'))}",)
    return several(spec, exhibits, cases, unknown=unknown, details=details)


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


def _asked(spec: GateSpec) -> dict[str, float]:
    """The percentiles that the gate bounds, in milliseconds."""
    bounds = {each: number_option(spec, f"{each}_ms") for each in _PERCENTILES}
    return {each: most for each, most in bounds.items() if most is not None}


def _timed(spec: GateSpec, benchmark: Section) -> Iterator[Case]:
    for name, most in _asked(spec).items():
        entry, batch = _batch(spec, benchmark, "latency")
        number = _number(
            spec,
            benchmark,
            entry.section(f"{name}_ms"),
            f"{name} latency ({batch})",
            entry.count("calls", minimum=1),
        )
        yield case(replace(number, symbol="ms"), Bounds(maximum=most))
    cold = number_option(spec, "cold_start_s")
    if cold is not None:
        entry = benchmark.section("cold_start_s")
        starts = entry.count("starts", minimum=1)
        number = _number(spec, benchmark, entry, "cold start", starts)
        yield case(replace(number, unit="starts", symbol="s"), Bounds(maximum=cold))


def _ratios(spec: GateSpec, benchmark: Section) -> tuple[list[Case], dict[str, str]]:
    """The ratios to the baseline, or why they are unknown."""
    most = number_option(spec, "max_ratio")
    if most is None:
        return [], {}
    baseline = benchmark.maybe("baseline", benchmark.section)
    if baseline is None:
        raise benchmark.error("baseline", "is null: the stage compared with no earlier benchmark")
    baseline.digest("digest")
    same = baseline.flag("same_machine")
    identities = [each.section("machine").digest("identity") for each in (benchmark, baseline)]
    if same != (identities[0] == identities[1]):
        raise baseline.error("same_machine", "contradicts the identities of the two machines")
    current, batch = _batch(spec, benchmark, "latency")
    names = tuple(_asked(spec)) or _COMPARED
    labels = {name: f"{name} latency to the baseline's ({batch})" for name in names}
    if not same:
        return [], dict.fromkeys(labels.values(), _OTHER_MACHINE)
    entry, calls = _batch(spec, baseline, "ratios")[0], current.count("calls", minimum=1)
    cases = []
    for name, label in labels.items():
        if isinstance(entry.raw(name), dict):
            number = _number(spec, benchmark, entry.section(name), label, calls)
        else:
            number = Number(label=label, value=entry.number(name, minimum=0), rows=calls, unit="calls")
        cases.append(case(replace(number, logarithmic=True), Bounds(maximum=most)))
    return cases, {}


def _batch(spec: GateSpec, section: Section, key: str) -> tuple[Section, str]:
    """The entry of the gate's batch size, and how that is called."""
    batch = int(number_option(spec, "batch") or 1)
    words = f"batches of {batch:,}"
    found = [each for each in section.sections(key) if each.count("batch", minimum=1) == batch]
    if len(found) != 1:
        raise section.error(key, f"has {len(found) or 'no'} entries for {words}")
    return found[0], words


def _number(spec: GateSpec, benchmark: Section, entry: Section, label: str, calls: int) -> Number:
    """A number that is not negative, with the interval that the document's confidence gives it."""
    confidence = benchmark.maybe("confidence", benchmark.number)
    value = entry.number("value", minimum=0)
    interval = interval_of(entry, value, method="percentile")
    problem = entry.maybe("problem", entry.text) if "problem" in entry.values else None
    if confidence is None or spec.options.get("confidence", confidence) is None:
        return Number(label=label, value=value, rows=calls, unit="calls")
    if (interval is None) != (problem is not None):
        raise entry.error("interval", "and the problem of having one are both there, or both missing")
    return Number(
        label=label,
        value=value,
        interval=interval,
        confidence=confidence,
        rows=calls,
        unit="calls",
        unsure=problem or "",
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
