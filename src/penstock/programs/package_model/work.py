"""Packages the model, and makes sure that the package says what the model says, and that what was judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..common import models, outputs, packages, rows
from ..common.outputs import OutputError, Outputs, Subject
from ..common.program import UnusableError
from ..common.rows import Rows
from . import fresh, judged, layout, requirements, served
from .judged import TOLERANCE, Judged


def run(request: Mapping[str, Any]) -> str:
    """Package as requested; gives one line that says what came out.

    Raises:
        RefusedError: The model does not say what was judged, or its package not what the model says.
        UnusableError: The model cannot be loaded, or does not predict.
    """
    source, table = models.source(request), rows.read(request)
    try:
        model = models.load(source)
    except models.LoadError as error:
        raise UnusableError(str(error)) from None
    subject, found = _predicted(model, request, table)
    answers = served.answers(found, subject, _threshold(request, subject, found))
    compared = judged.compare(request, answers, subject) if request.get("predictions") else None
    chosen = _chosen(answers, request["examples"], compared)
    root = layout.fresh_folder(request["result"])
    about = {
        "version": 1,
        "kind": "package",
        "model": {**models.described(source), "loader": source.loader},
        "file": layout.copy_model(source.path, root),
        "paths": layout.copy_code(request, root),
        "features": [{"name": name, "type": str(kind)} for name, kind in table.features.dtypes.items()],
        "subject": asdict(subject),
        "threshold": request.get("threshold"),
        "python": request.get("python"),
        "data": {"path": table.path, "digest": table.digest},
        "judged": _described(compared),
        "warnings": models.warnings(source),
    }
    layout.write_json(root, served.ABOUT, about)
    layout.write_json(root, layout.EXAMPLE, _example(table, answers, chosen, request.get("id")))
    loader = layout.copy_loader(root)
    layout.write_mlmodel(root, loader, request.get("python"))
    (root / layout.REQUIREMENTS).write_text(requirements.text(request["requirements"]), encoding="utf-8")
    fresh.check(root, loader)
    return _summary(root, len(chosen), compared)


def _predicted(model: Any, request: Mapping[str, Any], table: Rows) -> tuple[Subject, Outputs]:
    try:
        answer = model.answer(table.features.copy())
    except Exception as error:  # noqa: BLE001 - it is the user's code
        raise UnusableError(
            f"{request['model']}: asked to predict, it raised {packages.told(error)}"
        ) from None
    try:
        subject = outputs.subject(answer, request, table.truth)
        return subject, outputs.normalised(answer, subject, len(table))
    except OutputError as error:
        raise UnusableError(f"{request['model']}: asked to predict, it {error}") from None


def _threshold(request: Mapping[str, Any], subject: Subject, found: Outputs) -> float | None:
    value = request.get("threshold")
    if value is None:
        return None
    if subject.task != "binary" or found.scores is None:
        raise UnusableError(
            f"threshold: {request['model']} gives no scores of two classes that could be held against it"
        )
    return float(value)


def _chosen(answers: pd.DataFrame, count: int, compared: Judged | None) -> NDArray[np.int64]:
    """Rows for the example: one of each answer there is, then evenly from the first to the last.

    A service that says the same of everybody shall not pass for one that works.
    """
    among = np.arange(len(answers)) if compared is None else np.sort(compared.rows)
    said = answers[served.PREDICTION].iloc[among]
    first = among[~said.duplicated().to_numpy()]
    spread = among[np.linspace(0, len(among) - 1, min(count, len(among))).round().astype(int)]
    wanted = dict.fromkeys([*(first if len(first) <= count else first[:count]), *spread])
    return np.array(sorted([*wanted][:count]))


def _example(
    table: Rows, answers: pd.DataFrame, chosen: NDArray[np.int64], key: str | None
) -> dict[str, Any]:
    """A request to the service, and what it must answer."""
    taken, said = table.features.iloc[chosen], answers.iloc[chosen]
    return {
        "version": 1,
        "request": {"dataframe_split": {"columns": list(taken.columns), "data": _values(taken)}},
        "ids": [_value(each) for each in table.table[key].iloc[chosen]] if key else None,
        "columns": list(said.columns),
        # more digits would differ between processors
        "expected": [
            [float(f"{each:.12g}") if isinstance(each, float) else each for each in row]
            for row in _values(said)
        ],
        "tolerance": TOLERANCE,
    }


def _values(table: pd.DataFrame) -> list[list[Any]]:
    columns = [[_value(each) for each in table[name]] for name in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _value(value: Any) -> Any:
    """A cell as JSON has it."""
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isinf(value):
        raise UnusableError("an example row holds an infinity, which no request to the service could hold")
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)


def _described(compared: Judged | None) -> dict[str, Any] | None:
    if compared is None:
        return None
    return {
        "path": compared.path,
        "digest": compared.digest,
        "rows": len(compared.rows),
        "columns": list(compared.compared),
    }


def _summary(root: Path, examples: int, compared: Judged | None) -> str:
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    held = (
        "its predictions were compared with no table"
        if compared is None
        else f"it says what was judged in {compared.path} ({len(compared.rows):,} rows)"
    )
    return f"{root}: {size / 1e6:.2f} MB, {examples} example rows; {held}"
