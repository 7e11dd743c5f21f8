"""Types of columns: what a value of each looks like as text, and what it is.

Each type is defined twice: by `form` and `read`, which say of one text what it means, and by `many`, which
says the same of a whole column at the speed of Arrow and hands whatever is unusual to `read`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_YEAR_1_US = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_LONGEST_INTEGER = 40

Parsed = tuple[np.ndarray, np.ndarray]
"""Values of a column, and which of them are any."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of column.

    Attributes:
        form: Regular expression that the whole text of a value matches.
        read: From such a text to the value as `many` holds it; raises ValueError for a text that means none.
        literal: What the schema file may hold for `min`, `max` and `allowed`.
        many: From texts, none of them missing, to their values; None if a text is its own value.
        bounded: Whether `min` and `max` mean something.
    """

    form: str
    read: Callable[[str], Any]
    literal: tuple[type, ...]
    many: Callable[[pa.StringArray], Parsed] | None = None
    bounded: bool = False


def _int64(text: str) -> int:
    value = int(text)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(text)  # most tools would hold it as a float, or as text
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def microseconds(value: date) -> int:
    """A date or time since 1970 in UTC, which it is in if it does not say otherwise."""
    return _instant(value.isoformat())


def iso(value: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC; the ends of the calendar where they lie beyond it."""
    try:
        return (EPOCH + timedelta(microseconds=int(value))).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return "0001-01-01T00:00:00Z" if value < 0 else "9999-12-31T23:59:59.999999Z"


def _instant(text: str) -> int:
    value = datetime.fromisoformat(text)
    return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH) // _MICROSECOND


def _integers(texts: pa.StringArray) -> Parsed:
    short = not len(texts) or pc.max(pc.binary_length(texts)).as_py() <= _LONGEST_INTEGER
    if short and _only(texts, b"0123456789-") and (whole := _cast(texts, pa.int64())) is not None:
        return whole, np.ones(len(texts), bool)
    return _mixed(texts, KINDS["integer"], pa.int64(), "-?[0-9]{1,18}")


def _numbers(texts: pa.StringArray) -> Parsed:
    if _only(texts, b"0123456789-.") and (whole := _cast(texts, pa.float64())) is not None:
        return whole, np.isfinite(whole)
    return _mixed(texts, KINDS["number"], pa.float64(), r"-?[0-9]+\.?[0-9]*")


def _booleans(texts: pa.StringArray) -> Parsed:
    true = truths(pc.is_in(texts, pa.array(["true", "True", "TRUE"])))
    false = truths(pc.is_in(texts, pa.array(["false", "False", "FALSE"])))
    return true, true | false


def _instants(texts: pa.StringArray) -> Parsed:
    coded = texts.dictionary_encode()  # dates repeat
    names = coded.dictionary
    fits = _matches(names, KINDS["date"].form)
    formed = names.filter(pa.array(fits))
    values = np.zeros(len(names), np.int64)
    whole = None
    for unit in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        whole = _cast(formed, unit) if whole is None else whole
    if whole is not None and (whole >= _YEAR_1_US).all():
        values[fits] = whole
    else:
        values[fits], fits[fits] = _each(formed, KINDS["date"], np.int64)
    codes = coded.indices.to_numpy()
    return values[codes], fits[codes]


def _mixed(texts: pa.StringArray, kind: Kind, arrow: pa.DataType, simple: str) -> Parsed:
    """Values of a column some of whose texts are not plain digits.

    Args:
        simple: Form of texts that Arrow reads as `kind` does.
    """
    plain = _matches(texts, simple)
    rest = texts.filter(pa.array(~plain)).dictionary_encode()
    values = np.zeros(len(texts), arrow.to_pandas_dtype())
    fits = plain.copy()
    values[plain] = pc.cast(texts.filter(pa.array(plain)), arrow).to_numpy()
    if arrow == pa.float64():
        fits &= np.isfinite(values)
    unusual, sound = _each(rest.dictionary, kind, values.dtype)
    codes = rest.indices.to_numpy()
    values[~plain], fits[~plain] = unusual[codes], sound[codes]
    return values, fits


def _each(texts: pa.StringArray, kind: Kind, dtype: Any) -> Parsed:
    values, fits = np.zeros(len(texts), dtype), np.zeros(len(texts), bool)
    for index, text in enumerate(texts.to_pylist()):
        value = read(kind, text)
        if value is not None:
            values[index], fits[index] = value, True
    return values, fits


def read(kind: Kind, text: str) -> Any:
    """The value that a text means; None if it means none."""
    try:
        return kind.read(text) if re.fullmatch(kind.form, text) else None
    except ValueError:
        return None


def _cast(texts: pa.StringArray, to: pa.DataType) -> np.ndarray | None:
    try:
        values = pc.cast(texts, to)
    except pa.ArrowInvalid:
        return None
    return np.asarray((pc.cast(values, pa.int64()) if pa.types.is_timestamp(to) else values).to_numpy())


def _matches(texts: pa.StringArray, form: str) -> np.ndarray:
    return truths(pc.match_substring_regex(texts, rf"\A(?:{form})\z"))


def _only(texts: pa.StringArray, letters: bytes) -> bool:
    return not content(texts).translate(None, letters)


def truths(found: pa.BooleanArray) -> np.ndarray:
    """Truth values that can be changed."""
    return np.array(found.to_numpy(zero_copy_only=False), dtype=bool)


def content(texts: pa.StringArray) -> bytes:
    """All of a column's text, one value after the other."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return b""
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return bytes(memoryview(data)[ends[0] : ends[-1]])


_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
_TEXT = Kind(r"(?s:.*)", str, (str,))
KINDS: Mapping[str, Kind] = {
    "integer": Kind(rf"[+-]?[0-9]{{1,{_LONGEST_INTEGER}}}", _int64, (int,), _integers, bounded=True),
    "number": Kind(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?",
        _finite,
        (int, float),
        _numbers,
        bounded=True,
    ),
    "boolean": Kind(
        "true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true", (bool,), _booleans
    ),
    "date": Kind(
        rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_TIME})?", _instant, (date,), _instants, bounded=True
    ),
    "string": _TEXT,
    "category": _TEXT,
}
NUMERIC = ("integer", "number")
