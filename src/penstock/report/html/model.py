"""What was found out about the model itself: its tests, its speed, whether it can be made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from penstock.report import wording
from penstock.report.documents.measures import Estimate
from penstock.report.documents.model import (
    Benchmark,
    Command,
    Importance,
    Latency,
    Machine,
    Model,
    ModelTests,
    Reproducibility,
    Robustness,
    Test,
)
from penstock.report.documents.read import Paper
from penstock.report.html import charts, strip
from penstock.report.html.blocks import (
    Block,
    Column,
    Content,
    Fact,
    Facts,
    Figure,
    Grid,
    Heading,
    Log,
    Note,
    Section,
    Table,
    table,
)
from penstock.report.html.data import examples, value
from penstock.report.html.svg import Scale

_VERDICTS = ("pass", "fail", "inconclusive")
_MOST_FEATURES = 60
_PERCENTILES = (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"))


def tests(paper: Paper, document: ModelTests, number: int) -> Section:
    """The section of a document of `uses: model-tests`."""
    failed = sum(each.verdict == "fail" for each in document.tests)
    said = wording.count(len(document.tests), "test") + (f", {failed} failed" if failed else "")
    blocks: list[Block] = [Note("warning", text) for text in document.warnings]
    blocks += [_model(document.model, document.rows)]
    if document.tests:
        blocks.append(_tests(document.tests))
    if document.robustness:
        blocks += [
            Heading("Robustness", "What a metric loses when rows are perturbed."),
            _robustness(document.robustness),
        ]
    if document.importance is not None and document.importance.features:
        blocks += _importance(document.importance)
    return Section(
        id=f"tests-{number}",
        title="Model tests" if number == 1 else f"Model tests, {paper.stage or paper.path}",
        lead=f"{said}.",
        blocks=tuple(blocks),
    )


def _model(model: Model, rows: int | None) -> Facts:
    facts = [Fact("model", model.path), Fact("digest", wording.short_digest(model.digest), code=True)]
    if model.format:
        facts.append(Fact("format", model.format))
    if model.size_bytes is not None:
        facts.append(Fact("size", wording.size(model.size_bytes)))
    if rows is not None:
        facts.append(Fact("rows", f"{rows:,}"))
    return Facts(tuple(facts))


def _tests(found: Sequence[Test]) -> Table:
    rows = []
    for each in sorted(found, key=lambda each: each.verdict == "pass"):
        look = each.verdict if each.verdict in _VERDICTS else "skip"
        scale = Scale.around(
            strip.finite(each.value, *(each.interval or ()), each.minimum, each.maximum), 0.2
        )
        bounds = (each.minimum, each.maximum)
        picture = (
            strip.row(scale, each.value, each.interval, bounds=bounds, look=look)
            if each.value is not None
            else ""
        )
        told = each.sentence + (f" ({examples(each.examples)})" if each.examples else "")
        rows.append((each.name, each.verdict, picture, wording.estimate(each.value, each.interval), told))
    columns = (
        Column("test", "name"),
        Column("verdict", "word"),
        Column("against its bound", "strip"),
        Column("value", "number"),
        Column("says"),
    )
    return table("Tests of the model", columns, rows)


def _robustness(found: Sequence[Robustness]) -> Table:
    ends = [n for each in found for n in strip.finite(each.change, *(each.interval or ()))]
    reach = max(map(abs, ends), default=1.0) * 1.15 or 1.0
    scale = Scale(-reach, reach)
    rows = [
        (
            each.name,
            each.metric,
            wording.estimate(each.value),
            wording.estimate(each.perturbed_value),
            strip.row(scale, each.change, each.interval, reference=0.0) if each.change is not None else "",
            each.problem or wording.estimate(each.change, each.interval),
        )
        for each in found
    ]
    columns = (
        Column("perturbation", "name"),
        Column("metric"),
        Column("as it is", "number"),
        Column("perturbed", "number"),
        Column("change", "strip", strip.axis_row(scale)),
        Column("value and interval", "number", spoken=True),
    )
    return table("Robustness", columns, rows)


def _importance(importance: Importance) -> Iterator[Block]:
    how = importance.method + (f", {importance.repeats} times" if importance.repeats else "")
    yield Heading("Feature importance", f"What {importance.metric} loses without each feature ({how}).")
    features = sorted(importance.features, key=lambda each: -(each.value or 0.0))
    scale = Scale.around(
        [0.0, *(n for each in features for n in strip.finite(each.value, *(each.interval or ())))], 0.05
    )
    rows = [
        (
            each.feature,
            strip.bar(scale, each.value, each.interval),
            wording.estimate(each.value, each.interval),
            "" if each.share is None else wording.share(each.share),
        )
        for each in features
    ]
    columns = (
        Column("feature", "name"),
        Column("importance", "strip", strip.axis_row(scale)),
        Column("value and interval", "number", spoken=True),
        Column("share", "number"),
    )
    yield table("Feature importance", columns, rows, most=_MOST_FEATURES)


def benchmark(paper: Paper, document: Benchmark, number: int) -> Section:
    """The section of a document of `uses: benchmark-model`."""
    blocks: list[Block] = [Note("warning", text) for text in document.warnings]
    blocks += [_model(document.model, document.rows)]
    if document.latency:
        blocks += [
            Heading("Latency", "Milliseconds for a call, after the first ones."),
            _latency(document.latency),
        ]
    figures = [figure for each in document.latency if (figure := _calls(each))]
    if figures:
        blocks.append(Grid(tuple(figures)))
    blocks += [*_throughput(document), *_baseline(document)]
    blocks += [Heading("Memory and start"), Facts(tuple(_memory(document)))]
    return Section(
        id=f"speed-{number}",
        title="Speed" if number == 1 else f"Speed, {paper.stage or paper.path}",
        lead=f"Measured on {_machine(document.machine)}.",
        blocks=tuple(blocks),
    )


def _machine(machine: Machine) -> str:
    facts = [machine.processor or "an unknown processor"]
    facts += [wording.count(machine.cores, "core")] if machine.cores else []
    facts += [wording.size(machine.memory_bytes)] if machine.memory_bytes else []
    facts += [each for each in (machine.accelerator, machine.system) if each]
    facts += (
        [machine.python if machine.python[:1].isalpha() else f"Python {machine.python}"]
        if machine.python
        else []
    )
    return ", ".join(facts)


def _latency(found: Sequence[Latency]) -> Table:
    known = [
        (each, name, estimate)
        for each in found
        for name, field in _PERCENTILES
        if (estimate := _estimate_of(each, field)) is not None
    ]
    scale = Scale.around(
        [0.0, *(n for *_, each in known for n in strip.finite(each.value, *(each.interval or ())))], 0.05
    )
    rows = [
        (
            f"{name}, {_batch(each.batch)}",
            strip.row(scale, estimate.value, estimate.interval),
            wording.estimate(estimate.value),
            wording.interval(estimate.interval),
            "" if each.calls is None else wording.count(each.calls, "call"),
        )
        for each, name, estimate in known
    ]
    columns = (
        Column("percentile", "name"),
        Column("milliseconds", "strip", strip.axis_row(scale)),
        Column("ms", "number"),
        Column("from, to", "number", spoken=True),
        Column("rests on"),
    )
    return table("Latency by percentile and batch", columns, rows)


def _estimate_of(latency: Latency, field: str) -> Estimate | None:
    estimate: Estimate | None = getattr(latency, field)
    return estimate


def _batch(batch: int) -> str:
    return "single rows" if batch == 1 else f"batches of {batch:,}"


def _calls(each: Latency) -> Figure | None:
    bars = charts.between(each.histogram.edges_ms, each.histogram.counts) if each.histogram else []
    scale = charts.span(bars)
    if scale is None:
        return None
    title = f"Calls with {_batch(each.batch)}"
    rows = [
        (f"{wording.number(low)} to {wording.number(high)}", f"{height:,.0f}") for low, high, height in bars
    ]
    return Figure(
        title=title,
        picture=charts.histogram(scale, bars, label=f"{title}: how many took how many milliseconds"),
        note="Milliseconds.",
        numbers=table(title, (Column("milliseconds", "name"), Column("calls", "number")), rows),
    )


def _throughput(document: Benchmark) -> Iterator[Block]:
    facts = [
        Fact(
            _batch(each.batch),
            f"{wording.estimate(each.rows_per_s.value, each.rows_per_s.interval)} rows a second",
        )
        for each in document.throughput
        if each.rows_per_s is not None
    ]
    if facts:
        yield Heading("Throughput")
        yield Facts(tuple(facts))


def _baseline(document: Benchmark) -> Iterator[Block]:
    baseline = document.baseline
    if baseline is None:
        return
    yield Heading("Against the baseline", f"{baseline.path} {wording.short_digest(baseline.digest)}".strip())
    if not baseline.same_machine:
        where = _machine(baseline.machine) if baseline.machine else "another machine"
        yield Note("info", f"The baseline was measured on {where}: the two are not compared.")
    rows = [
        (f"{name}, {_batch(each.batch)}", wording.estimate(ratio.value, ratio.interval))
        for each in baseline.ratios or ()
        for name, ratio in (("p50", each.p50), ("p95", each.p95), ("p99", each.p99))
        if ratio is not None
    ]
    if rows:
        columns = (Column("percentile", "name"), Column("times the baseline's", "number"))
        yield table("Latency against the baseline", columns, rows)


def _memory(document: Benchmark) -> Iterator[Fact]:
    if document.memory is not None:
        for name, size in (
            ("before", document.memory.before_bytes),
            ("with the model", document.memory.loaded_bytes),
            ("at its peak", document.memory.peak_bytes),
        ):
            if size is not None:
                yield Fact(name, wording.size(size))
    start = document.cold_start_s
    if start is not None and start.value is not None:
        of = f", {wording.count(start.starts, 'start')}" if start.starts else ""
        yield Fact("cold start", f"{wording.estimate(start.value, start.interval)} s{of}")


def reproducibility(paper: Paper, document: Reproducibility, number: int) -> Section:
    """The section of a stage that was run several times."""
    blocks: list[Block] = [Note("warning", text) for text in document.warnings]
    seeded = any(each.seed is not None for each in document.repetitions)
    names = sorted({name for each in document.repetitions for name in each.metrics or {}})
    rows: list[tuple[Content, ...]] = []
    for place, each in enumerate(document.repetitions, 1):
        metrics: Mapping[str, object] = each.metrics or {}
        digests = ", ".join(f"{part.path} {wording.short_digest(part.digest)}" for part in each.outputs)
        seed = (["" if each.seed is None else str(each.seed)]) if seeded else []
        rows.append((str(place), *seed, *(value(metrics.get(name)) for name in names), digests))
    columns = (
        Column("time", "name"),
        *([Column(document.parameter or "seed", "number")] if seeded else []),
        *(Column(name, "number") for name in names),
        Column("outputs", "code"),
    )
    blocks.append(table("Repetitions", columns, rows))
    same = {True: ", the same outputs", False: ", other outputs", None: ""}
    differing = f": {', '.join(document.differing[:10])}" if document.differing else ""
    times = wording.count(len(document.repetitions), "time")
    return Section(
        id=f"again-{number}",
        title="Reproducibility" if number == 1 else f"Reproducibility, {paper.stage or paper.path}",
        lead=f"Stage {document.stage} was run again {times}{same[document.same]}{differing}.",
        blocks=tuple(blocks),
    )


def command(paper: Paper, document: Command, number: int) -> Section:
    """The section of a user's own gate."""
    facts = [Fact("exit code", "none" if document.exit_code is None else str(document.exit_code))]
    found = document.result
    if found is not None:
        facts += (
            [Fact("value", wording.estimate(found.value, found.interval))] if found.value is not None else []
        )
        facts += [Fact("rows", f"{found.rows:,}")] if found.rows is not None else []
    blocks: list[Block] = [Note("problem", document.problem)] if document.problem else []
    blocks.append(Facts(tuple(facts)))
    if document.output:
        blocks.append(Log("What it printed", document.output))
    return Section(
        id=f"own-{number}",
        title=f"Own gate, {paper.stage or paper.path}",
        lead=(found.sentence or "") if found is not None else "",
        blocks=tuple(blocks),
    )
