"""The rows that a model is asked about, with the types that pandas gives them.

A model was trained on what `pandas.read_csv` or `read_parquet` made of a table, so it gets the same here;
what is judged by its text is read by `tables`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from . import packages
from .program import UnusableError
from .tables import nearest, shown


@dataclass(frozen=True)
class Rows:
    """A table as a model sees it.

    Attributes:
        digest: SHA-256 of the file.
        table: All columns, rows numbered from 0.
        features: Those that the model gets, in their order.
        truth: What it should say, if a target is named.
    """

    path: str
    digest: str
    table: pd.DataFrame
    features: pd.DataFrame
    truth: pd.Series[Any] | None

    def __len__(self) -> int:
        return len(self.table)


def read(request: Mapping[str, Any]) -> Rows:
    """The rows of a request's `data`, split by its `features`, `drop`, `target` and `id`.

    Raises:
        UnusableError: There are none, or a column that is named is not there.
        OSError: The file cannot be read.
    """
    path = str(request["data"])
    content = Path(path).read_bytes()
    table = _table(path, content)
    if table.empty:
        raise UnusableError(f"{path}: holds no rows to ask the model about")
    target, key = request.get("target"), request.get("id")
    drop = list(request.get("drop") or ())
    for what, names in (("target", [target]), ("id", [key]), ("drop", drop)):
        check_columns([name for name in names if name], table.columns, f"{path}: {what}")
    features = request.get("features")
    if features is None:
        features = [name for name in table.columns if name not in {target, key, *drop}]
    check_columns(features, table.columns, f"{path}: features")
    if target in features:
        raise UnusableError(f"{path}: features: {target!r} is the target, which the model must not see")
    if not features:
        raise UnusableError(f"{path}: no column is left for the model; see `features` and `drop`")
    truth = None if target is None else table[target]
    return Rows(path, f"sha256:{sha256(content).hexdigest()}", table, table[list(features)], truth)


def check_columns(names: Iterable[str], known: Sequence[str] | pd.Index, where: str) -> None:
    """Make sure that columns are there.

    Raises:
        UnusableError: One is not; names those that are.
    """
    for name in names:
        if name not in known:
            some = ", ".join(map(shown, list(known)[:12]))
            raise UnusableError(f"{where}: no column {shown(name)}{nearest(name, known)} (there are {some})")


def _table(path: str, content: bytes) -> pd.DataFrame:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet", ".pq"):
        raise UnusableError(f"{path}: neither .csv nor .parquet")
    if suffix != ".csv":
        packages.require("pyarrow", purpose=f"{path}: reading Parquet")
    try:
        table = pd.read_csv(io.BytesIO(content)) if suffix == ".csv" else pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # noqa: BLE001 - neither reader has one root for what a file can do to it
        raise UnusableError(f"{path}: no {suffix[1:].upper()} table: {packages.told(error)}") from None
    table.columns = table.columns.map(str)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise UnusableError(f"{path}: two columns are called {twice!r}")
    return table.reset_index(drop=True)
