"""The run's numbers in the OpenMetrics text format, which GitLab compares between branches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from penstock.inert import one_line
from penstock.results import RunReport, StageState

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\""})


def render(report: RunReport) -> str:
    """The value that each gate judged, and the seconds of the run and of each stage that was started."""
    judged = [(gate.name, gate.value) for gate in report.gates if gate.value is not None]
    took = [(stage.name, stage.wall_s) for stage in report.stages if stage.state is not StageState.SKIPPED]
    lines = (
        *_family("penstock_gate_value", "The number that a gate judged.", "gate", judged),
        *_family("penstock_stage_seconds", "What a stage took in this run.", "stage", took),
        *_family("penstock_run_seconds", "What the run took.", None, [("", report.wall_s)]),
        "# EOF",
    )
    return "\n".join((*lines, ""))


def _family(
    name: str, sentence: str, label: str | None, values: Iterable[tuple[str, float]]
) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    if name.endswith("_seconds"):
        yield f"# UNIT {name} seconds"
    yield f"# HELP {name} {sentence}"
    for key, value in values:
        labels = f'{{{label}="{one_line(key).translate(_ESCAPES)}"}}' if label else ""
        yield f"{name}{labels} {_number(value, name)}"


def _number(value: float, name: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(round(value, 6)) if name.endswith("_seconds") else repr(value)
