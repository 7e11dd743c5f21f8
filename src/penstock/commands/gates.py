"""`penstock gates power`: what each gate could see, before anything is trained."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from penstock.commands.project import Project, add_pipeline, open_project
from penstock.commands.runs import A_RUN, find_run
from penstock.errors import EXIT_OK, UsageError
from penstock.gates import power
from penstock.observer import Observer
from penstock.plan import exchange
from penstock.plan.model import Output, Stage
from penstock.record import asdict, replace
from penstock.report import attached, keep
from penstock.report.plain import PlainObserver
from penstock.report.style import BOLD, DIM, YELLOW, Style, columns_of, style_of, wrap
from penstock.runner.reasons import NoHistory
from penstock.runner.run import Options, Run
from penstock.runner.selection import select


def add(parser: argparse.ArgumentParser) -> None:
    """What to say of the gates, and from which measures."""
    parser.epilog = (
        "The spread is that of the last run's measures, or of the baseline's where nothing has run yet."
    )
    add_pipeline(parser)
    parser.add_argument("what", choices=("power",), metavar="power", help="how many rows they have and need")
    parser.add_argument("--run", metavar="RUN", help=f"{A_RUN} (default: latest)")
    parser.add_argument("--rows", metavar="N", type=int, help="as if the evaluation set had so many rows")
    parser.add_argument(
        "--difference",
        metavar="D",
        type=float,
        help="as if the model were so much better than bound or baseline",
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Say what each gate can see."""
    if options.rows is not None and options.rows < 1:
        raise UsageError(f"--rows is {options.rows}", notes=("it is a number of rows, at least 1",))
    observer = PlainObserver(sys.stderr, environ=os.environ, quiet=True)
    project = open_project(options, observer)
    try:
        documents, origin = _documents(project, options, observer)
    finally:
        observer.close()
    found = power.survey(project.plan.gates, documents, rows=options.rows, difference=options.difference)
    if options.as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    else:
        sys.stdout.write(_text(found, origin, style_of(sys.stdout, os.environ)))
    return EXIT_OK


def _documents(
    project: Project, options: argparse.Namespace, observer: Observer
) -> tuple[Mapping[str, bytes], str]:
    """Measures by the path that gates read, and where they are from."""
    run = options.run
    folder = project.root / keep.RUNS / keep.LATEST if run is None else find_run(run, options.pipeline).parent
    documents = attached.read(folder)
    asked = {path for gate in project.plan.gates for _, path in gate.reads[:1]}
    if run is not None or asked & documents.keys():
        return documents, f"from the measures of run {folder.resolve().name}"
    found = {}
    for stage in project.plan.stages:
        baseline = _on_baseline(stage) if stage.uses == "measure" else None
        if baseline is not None:
            found[stage.outputs[0].path] = _measured(project, baseline, observer)
    return found, "from the measures of the baseline" if found else "nothing was measured yet"


def _on_baseline(stage: Stage) -> Stage | None:
    """The stage that measures, on its baseline instead of the model's predictions; none without one."""
    files = dict(stage.files)
    request = json.loads(files[exchange.REQUEST])
    tables = [each["path"] for each in request["baselines"] if each["member"] is None]
    if not tables:
        return None
    request |= {"predictions": tables[0], "baselines": [], "comparisons": []}
    files[exchange.REQUEST] = json.dumps(request)
    code = tuple(
        path for path in stage.sources if path not in {each["path"] for each in request["baselines"]}
    )
    return replace(
        stage,
        name=f"{stage.name}-baseline",
        sources=tuple(sorted({tables[0], *code})),
        produced=(),
        files=tuple(sorted(files.items())),
        outputs=(Output(request["result"], "measures"),),
    )


def _measured(project: Project, stage: Stage, observer: Observer) -> bytes:
    """What a stage writes, without leaving it in the project."""
    plan = replace(project.plan, stages=(stage,), gates=(), archive=None)
    with tempfile.TemporaryDirectory(prefix="penstock-power-") as folder:
        made = Run(
            plan=plan,
            executor=project.executor,
            history=NoHistory(),
            observer=observer,
            root=Path(folder),
            options=Options(selection=select(plan), commit=""),
        )
        report = made.report()
        path = stage.outputs[0].path
        if path not in made.documents:
            last = (report.stages[0].attempts[-1].log.strip().splitlines() or ["it printed nothing"])[-1]
            raise UsageError(f"the baseline cannot be measured: {last}")
        return made.documents[path]


def _text(found: tuple[power.Power, ...], origin: str, style: Style) -> str:
    if not found:
        return "the pipeline has no gates\n"
    widest = min(max(columns_of(each.name) for each in found), style.width // 3)
    lines = [origin, ""]
    for each in found:
        colour = (YELLOW, BOLD) if each.hopeless else () if each.rows is not None else (DIM,)
        texts = wrap(style.write(each.sentence), style.width - widest - 4)
        lines.append(f"  {style.cell(each.name, widest)}  {style.paint(texts[0], *colour)}")
        lines += [f"  {'':<{widest}}  {style.paint(text, *colour)}" for text in texts[1:]]
    hopeless = [each.name for each in found if each.hopeless]
    if hopeless:
        lines += ["", f"cannot pass as things are: {', '.join(hopeless)}"]
    return "\n".join(lines) + "\n"
