"""Result records: what a stage's key came to, as one JSON file that proves its own integrity."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from penstock.digest import canonical_json
from penstock.record import Record, asdict
from penstock.results import Attempt, Part, PartKind, Usage

_HEAD = b'{"record":'
_MIDDLE = b',"sha256":"'
_TAIL = b'"}\n'
_TRAILER_BYTES = len(_MIDDLE) + 64 + len(_TAIL)


class ResultRecord(Record):
    """A stage's success, kept under its key.

    Attributes:
        parts: The declared outputs, sorted by path; their content is in the store.
        attempts: Oldest first, with what they printed; the last one succeeded.
        made_at: ISO 8601, UTC.
        run_id: The run that made it.
    """

    key: str
    parts: tuple[Part, ...]
    attempts: tuple[Attempt, ...]
    made_at: str
    run_id: str


def encode(record: ResultRecord) -> bytes:
    """The bytes of a record, its checksum last."""
    body = canonical_json(asdict(record))
    return b"%b%b%b%b%b" % (_HEAD, body, _MIDDLE, hashlib.sha256(body).hexdigest().encode(), _TAIL)


def decode(data: bytes, key: str) -> ResultRecord:
    """The record that was stored under a key.

    Raises:
        ValueError: These bytes are not what `encode` wrote, or are the record of another key.
    """
    body = data[len(_HEAD) : -_TRAILER_BYTES]
    trailer = b"%b%b%b" % (_MIDDLE, hashlib.sha256(body).hexdigest().encode(), _TAIL)
    if data[: len(_HEAD)] != _HEAD or data[-_TRAILER_BYTES:] != trailer:
        raise ValueError("the checksum does not match")
    try:
        value = json.loads(body)
        record = _record(value)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a result record") from error
    if record.key != key:
        raise ValueError(f"the record of {record.key}")
    return record


def _record(value: Any) -> ResultRecord:
    return ResultRecord(
        key=value["key"],
        parts=tuple(_part(each) for each in value["parts"]),
        attempts=tuple(_attempt(each) for each in value["attempts"]),
        made_at=value["made_at"],
        run_id=value["run_id"],
    )


def _part(value: Any) -> Part:
    return Part(
        path=value["path"],
        kind=PartKind(value["kind"]),
        digest=value["digest"],
        size_bytes=value["size_bytes"],
        files=value["files"],
    )


def _attempt(value: Any) -> Attempt:
    return Attempt(**{**value, "usage": Usage(**value["usage"])})
