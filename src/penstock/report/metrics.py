"""The run's numbers in the OpenMetrics text format, which GitLab compares between branches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from penstock.inert import one_line
from penstock.results import RunReport, StageState

if TYPE_CHECKING:
    from penstock.report.documents.measures import Headline

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\""})


Labels = tuple[tuple[str, str], ...]


def render(report: RunReport, headlines: Mapping[str, Headline] | None = None) -> str:
    """The value that each gate judged, every metric of all rows, and the seconds of the run and its stages.

    Args:
        headlines: What was measured, by the path of the document.
    """
    judged = [((("gate", gate.name),), gate.value) for gate in report.gates if gate.value is not None]
    took = [
        ((("stage", stage.name),), stage.wall_s)
        for stage in report.stages
        if stage.state is not StageState.SKIPPED
    ]
    lines = (
        *_family("penstock_gate_value", "The number that a gate judged.", judged),
        *_family("penstock_measure", "A metric of all rows of predictions.", _measures(headlines or {})),
        *_family("penstock_stage_seconds", "What a stage took in this run.", took),
        *_family("penstock_run_seconds", "What the run took.", [((), report.wall_s)]),
        "# EOF",
    )
    return "\n".join((*lines, ""))


def _measures(headlines: Mapping[str, Headline]) -> Iterator[tuple[Labels, float]]:
    for path, headline in headlines.items():
        # one that is asked for at two confidences has one value
        values = {each.metric: each.value for each in headline.measures if each.value is not None}
        for metric, value in values.items():
            yield (("metric", metric), ("document", path)), value


def _family(name: str, sentence: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    if name.endswith("_seconds"):
        yield f"# UNIT {name} seconds"
    yield f"# HELP {name} {sentence}"
    for labels, value in values:
        pairs = ",".join(f'{key}="{one_line(text).translate(_ESCAPES)}"' for key, text in labels)
        yield f"{name}{f'{{{pairs}}}' if pairs else ''} {_number(value, name)}"


def _number(value: float, name: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(round(value, 6)) if name.endswith("_seconds") else repr(value)
