"""How the run went: its stages by time, why each ran, and what came from what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from penstock.report import observed_text, wording
from penstock.report.console import STATES
from penstock.report.html import data, graph, svg
from penstock.report.html.blocks import (
    Bar,
    Block,
    Column,
    Fact,
    Facts,
    Figure,
    Fold,
    Heading,
    Log,
    Note,
    Section,
    Table,
    Timeline,
    table,
)
from penstock.report.html.svg import Scale, element
from penstock.results import Part, RunReport, StageResult, StageState

_BAR_HEIGHT = 16
_MOST_CHARACTERS = 20_000
_MOST_STAGES = 400
_MOST_PARTS = 60


def section(report: RunReport) -> Section | None:
    """The stages; None if the run has none."""
    if not report.stages:
        return None
    identities = {stage.name: f"stage-{number}" for number, stage in enumerate(report.stages, 1)}
    ends = [stage.started_s + stage.wall_s for stage in report.stages]
    scale = Scale(0.0, max(*ends, report.wall_s, 0.001))
    bars = tuple(_bar(stage, identities[stage.name], scale) for stage in report.stages[:_MOST_STAGES])
    blocks: list[Block] = [
        Timeline(bars, svg.picture(svg.axis(scale, y=12), label=None, class_="strip axis", height=16))
    ]
    for stage in report.stages[:_MOST_STAGES]:
        broken = stage.state in wording.BROKEN
        inside = tuple(_stage(stage))
        blocks.append(Fold(stage.name, inside, open=broken, note=_state(stage), id=identities[stage.name]))
    hidden = len(report.stages) - _MOST_STAGES
    if hidden > 0:
        blocks.append(Note("info", f"{wording.count(hidden, 'more stage')} in run.json"))
    return Section(id="stages", title="Stages", lead="Seconds since the run began.", blocks=tuple(blocks))


def _state(stage: StageResult) -> str:
    return STATES[stage.state][1]


def _bar(stage: StageResult, identity: str, scale: Scale) -> Bar:
    skipped = stage.state is StageState.SKIPPED
    return Bar(
        name=stage.name,
        state=stage.state.value,
        word=_state(stage),
        time="" if skipped else wording.duration(stage.wall_s),
        why=wording.problem(stage) if stage.state in wording.BROKEN else wording.why(stage),
        picture=Markup("") if skipped else _span(stage, scale),
        id=identity,
    )


def _span(stage: StageResult, scale: Scale) -> Markup:
    start, end = stage.started_s, stage.started_s + max(stage.wall_s, 0.0)
    # a stage that took next to nothing has a mark all the same
    mark = element("line", class_="base", x1="0", x2="100%", y1=_BAR_HEIGHT / 2, y2=_BAR_HEIGHT / 2)
    bar = element(
        "rect",
        class_="span",
        x=scale.place(start),
        width=scale.width(start, end),
        y=3,
        height=_BAR_HEIGHT - 6,
        rx=2,
    )
    edge = element(
        "line", class_="edge", x1=scale.place(start), x2=scale.place(start), y1=1, y2=_BAR_HEIGHT - 1
    )
    return svg.picture(mark, bar, edge, label=None, class_="strip when", height=_BAR_HEIGHT)


def _stage(stage: StageResult) -> Iterator[Block]:
    yield Facts(tuple(_facts(stage)))
    if stage.reason.changes:
        rows = [
            (each.what, each.name, _short(each.before), _short(each.after)) for each in stage.reason.changes
        ]
        columns = (Column("what", "name"), Column("which"), Column("before", "code"), Column("after", "code"))
        yield table("What changed", columns, rows, most=_MOST_PARTS, titled=True)
    for title, parts in (("Reads", stage.inputs), ("Makes", stage.outputs)):
        if parts:
            yield _parts(title, parts)
    undeclared = [(each,) for each in observed_text.facts(stage)]
    if undeclared:
        yield table("Seen of it", (Column("what", "name"),), undeclared, most=_MOST_PARTS, titled=True)
    if stage.state in (*wording.BROKEN, StageState.INTERRUPTED):
        text = wording.log(stage)
        note = "The beginning is left out: see run.json.\n…" if len(text) > _MOST_CHARACTERS else ""
        yield Log("What it printed", note + text[-_MOST_CHARACTERS:], open=True)


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    return wording.short_digest(value) if value.startswith("sha256:") else value[:200]


def _facts(stage: StageResult) -> Iterator[Fact]:
    yield Fact("why", wording.why(stage))
    if stage.state in wording.BROKEN:
        yield Fact("problem", wording.problem(stage))
    yield Fact("command", " ".join(stage.run.split())[:500], code=True)
    if stage.uses:
        yield Fact("recipe", stage.uses)
    if stage.attempts:
        usage = stage.attempts[-1].usage
        if stage.state is StageState.CACHED:
            yield Fact("took, when it ran", wording.duration(usage.wall_s))
        yield Fact("processor", wording.duration(usage.cpu_s))
        yield Fact("memory", wording.size(usage.peak_memory_bytes))
        if len(stage.attempts) > 1:
            yield Fact("attempts", str(len(stage.attempts)))
    if stage.made_at:
        yield Fact("made", wording.moment(stage.made_at))
    if stage.accelerator is not None:
        yield Fact("accelerator", f"{stage.accelerator.kind}, GPUs: {stage.accelerator.gpus}")
    if stage.key:
        yield Fact("key", wording.short_digest(stage.key), code=True)


def _parts(title: str, parts: tuple[Part, ...]) -> Table:
    rows = [
        (part.path, wording.short_digest(part.digest), wording.size(part.size_bytes), f"{part.files:,}")
        for part in parts
    ]
    columns = (
        Column("path", "name"),
        Column("digest", "code"),
        Column("size", "number"),
        Column("files", "number"),
    )
    return table(title, columns, rows, most=_MOST_PARTS, titled=True)


def lineage(report: RunReport) -> Section | None:
    """What the outputs came from: files with their digests and readers, environments, parameters."""
    if not report.stages:
        return None
    makers = {part.path: stage.name for stage in report.stages for part in stage.outputs}
    sources: dict[tuple[str, str], list[str]] = {}
    sizes: dict[tuple[str, str], Part] = {}
    for stage in report.stages:
        for part in stage.inputs:
            sources.setdefault((part.path, part.digest), []).append(stage.name)
            sizes[part.path, part.digest] = part
    outside = [key for key in sources if not _maker(key[0], makers)]
    inside = [(part, stage.name) for stage in report.stages for part in stage.outputs]
    blocks: list[Block] = []
    if picture := graph.draw(report.stages):
        blocks.append(_order(report, picture))
    blocks.append(Heading("From the repository"))
    blocks.append(_sources(outside, sources, sizes))
    if inside:
        blocks += [Heading("Made in this pipeline"), _made(inside, sources)]
    blocks += [*_environments(report), *_parameters(report.params)]
    return Section(
        id="lineage",
        title="Lineage",
        lead="Every file by its digest: who made it, who reads it.",
        blocks=tuple(blocks),
    )


def _order(report: RunReport, picture: Markup) -> Figure:
    rows = [(stage.name, ", ".join(stage.needs)) for stage in report.stages]
    return Figure(
        title="Which stage reads from which",
        picture=picture,
        numbers=table("Which stage reads from which", (Column("stage", "name"), Column("reads from")), rows),
        wide=True,
    )


def _maker(path: str, makers: Mapping[str, str]) -> str | None:
    """The stage that made a path, or the directory that it is in."""
    while path not in makers and "/" in path:
        path = path.rpartition("/")[0]
    return makers.get(path)


_WHO = (Column("path", "name"), Column("digest", "code"), Column("size", "number"))


def _sources(
    keys: list[tuple[str, str]],
    readers: Mapping[tuple[str, str], list[str]],
    parts: Mapping[tuple[str, str], Part],
) -> Table:
    rows = [
        (
            path,
            wording.short_digest(name),
            wording.size(parts[path, name].size_bytes),
            ", ".join(readers[path, name]),
        )
        for path, name in sorted(keys)
    ]
    return table("Files from the repository", (*_WHO, Column("read by")), rows)


def _made(made: list[tuple[Part, str]], readers: Mapping[tuple[str, str], list[str]]) -> Table:
    rows = []
    for part, maker in made:
        read = [
            name
            for (path, _), names in readers.items()
            if path == part.path or path.startswith(f"{part.path}/")
            for name in names
        ]
        who = ", ".join(dict.fromkeys(read)) or "nobody"
        rows.append((part.path, wording.short_digest(part.digest), wording.size(part.size_bytes), maker, who))
    return table("Files made in this pipeline", (*_WHO, Column("made by"), Column("read by")), rows)


def _environments(report: RunReport) -> Iterator[Block]:
    known: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for stage in report.stages:
        if stage.environment:
            known.setdefault(tuple(sorted(stage.environment.items())), []).append(stage.name)
    if known:
        yield Heading("Environments")
    for facts, stages in known.items():
        yield Facts((Fact("stages", ", ".join(stages)), *(Fact(name, _short(text)) for name, text in facts)))


def _parameters(params: Mapping[str, object]) -> Iterator[Block]:
    rows = list(_flat("", params))
    if rows:
        yield Heading("Parameters")
        yield table("Parameters", (Column("parameter", "name"), Column("value", "code")), rows)


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    depth = prefix.count(".")
    if isinstance(value, Mapping) and depth < 20:  # noqa: PLR2004 - nobody nests deeper
        for name, each in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), each)
    else:
        yield prefix, data.value(value)
