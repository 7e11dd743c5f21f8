from __future__ import annotations

import pytest

from penstock import digest
from penstock.cache import records
from penstock.record import asdict, replace
from penstock.results import Part, PartKind
from store_samples import key, result

PART = Part(path="out", kind=PartKind.EXECUTABLE, digest=key("blob"), size_bytes=3, files=1)


def test_a_record_comes_back_as_it_was_stored() -> None:
    record = result("stage", PART)
    again = records.decode(records.encode(record), record.key)
    assert again == record
    assert again.parts[0].kind is PartKind.EXECUTABLE
    assert asdict(again.attempts[0]) == asdict(record.attempts[0])


def test_every_flipped_bit_of_a_record_is_noticed() -> None:
    record = result("stage", PART)
    data = records.encode(record)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x01
        with pytest.raises(ValueError, match="checksum"):
            records.decode(bytes(damaged), record.key)


def test_every_truncation_and_an_extension_of_a_record_are_noticed() -> None:
    record = result("stage", PART)
    data = records.encode(record)
    for damaged in [*(data[:end] for end in range(len(data))), data + b"\n", data + data]:
        with pytest.raises(ValueError, match="checksum"):
            records.decode(damaged, record.key)


def test_the_record_of_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="the record of sha256:"):
        records.decode(records.encode(result("one", PART)), key("other"))


@pytest.mark.parametrize("field", ["key", "parts", "attempts", "made_at", "run_id"])
def test_a_record_with_a_field_missing_is_refused_although_its_checksum_matches(field: str) -> None:
    import hashlib

    value = asdict(result("stage", PART))
    del value[field]
    body = digest.canonical_json(value)
    data = b'{"record":%b,"sha256":"%b"}\n' % (body, hashlib.sha256(body).hexdigest().encode())
    with pytest.raises(ValueError, match="not a result record"):
        records.decode(data, key("stage"))


def test_a_record_is_json_that_other_tools_can_read() -> None:
    import json

    record = replace(result("stage", PART), run_id='"\n')
    assert json.loads(records.encode(record))["record"]["run_id"] == '"\n'
