"""Flipped bytes: in a model, and every byte of every file of its evidence. None of it is accepted."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence_samples import EC, ED25519, EVIDENCE, MODEL, Made, make
from penstock.programs.common.program import RefusedError
from penstock.programs.evidence import documents, layout
from penstock.programs.evidence import main as evidence

ALL_BITS, CASE, LAST_BIT = 0xFF, 0x20, 0x01
SWEEPS = [
    *((mask, 149) for mask in (ALL_BITS, CASE, LAST_BIT)),
    pytest.param(ALL_BITS, 1, marks=pytest.mark.slow),
    *(pytest.param(mask, 11, marks=pytest.mark.slow) for mask in (CASE, LAST_BIT)),
]
"""Which bits of how many bytes are flipped: every one, every eleventh, ..."""
Record = Callable[[str, object], None]


@pytest.fixture(scope="module", params=[EC, ED25519])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Signed evidence of a model of 64 KiB."""
    weights = random.Random(1).randbytes(64 << 10)
    return make(tmp_path_factory.mktemp("made"), kind=request.param, model=weights)


def flips(path: Path, places: Iterator[int], mask: int = ALL_BITS) -> Iterator[int]:
    """Flip one byte after the other; each is as before when the next one is."""
    whole = path.read_bytes()
    for at in places:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :])
        yield at
    path.write_bytes(whole)


def is_refused(made: Made) -> bool:
    try:
        made.verify()
    except RefusedError as error:
        return "\n" not in str(error)
    return False


@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_no_flipped_byte_of_a_model_is_accepted(made: Made, count: int, record_property: Record) -> None:
    chance = random.Random(count)
    files = [path for top in (made.model, made.package) for path in top.rglob("*") if path.is_file()]
    sizes = [path.stat().st_size for path in files]
    chosen = chance.choices(files, sizes, k=count)
    accepted = []
    for path in files:
        places = (chance.randrange(path.stat().st_size) for _ in range(chosen.count(path)))
        accepted += [(path, at) for at in flips(path, places) if not is_refused(made)]
    record_property("flips", count)
    assert accepted == []
    assert made.verify()["passed"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("mask", "step"), SWEEPS)
def test_no_flipped_byte_of_a_file_of_evidence_is_accepted(
    made: Made, step: int, mask: int, record_property: Record
) -> None:
    tried, accepted = 0, []
    for path in sorted(made.evidence.iterdir()):
        for at in flips(path, iter(range(0, path.stat().st_size, step)), mask):
            tried += 1
            if not is_refused(made):
                accepted.append((path.name, at))
    record_property("flips", tried)
    assert accepted == []
    assert made.verify()["passed"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("mask", "step"), SWEEPS)
def test_none_is_accepted_with_an_index_that_was_brought_up_to_date(
    made: Made, step: int, mask: int, record_property: Record
) -> None:
    tried, accepted = 0, []
    index = made.evidence / layout.INDEX
    before = index.read_bytes()
    for path in sorted(made.evidence.iterdir()):
        if path == index:
            continue
        for at in flips(path, iter(range(0, path.stat().st_size, step)), mask):
            made.index()
            tried += 1
            if not is_refused(made):
                accepted.append((path.name, at))
    index.write_bytes(before)
    record_property("flips", tried)
    assert accepted == []
    assert made.verify()["passed"]


@pytest.mark.parametrize("name", ["shorter", "longer"])
def test_no_file_of_evidence_may_be_shorter_or_longer(made: Made, name: str) -> None:
    for path in sorted(made.evidence.iterdir()):
        whole = path.read_bytes()
        for size in range(0, len(whole), 397):
            path.write_bytes(whole[:size] if name == "shorter" else whole + whole[: size + 1])
            assert is_refused(made), (path.name, size)
            if path.name != layout.INDEX:
                index = (made.evidence / layout.INDEX).read_bytes()
                made.index()
                assert is_refused(made), (path.name, size)
                (made.evidence / layout.INDEX).write_bytes(index)
        path.write_bytes(whole)


def test_the_program_ends_with_three_and_one_line_for_each(
    made: Made, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.root)
    Path("key.pem").write_bytes(made.public_key or b"")
    request = {"action": "verify", "evidence": EVIDENCE, "model": MODEL, "public_key": "key.pem"}
    Path("ask.json").write_text(json.dumps({**request, "receipt": "verified.json"}))
    for path in [*sorted(made.evidence.iterdir()), made.model / "model.onnx"]:
        for _ in flips(path, iter(range(0, path.stat().st_size, 1 + path.stat().st_size // 20))):
            assert evidence.main(["ask.json"]) == 3
            assert len(capfd.readouterr().err.splitlines()) == 1
            assert not Path("verified.json").exists()
    assert evidence.main(["ask.json"]) == 0
    Path("verified.json").unlink()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("sha256"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("unsigned"), kind=None)


@settings(
    max_examples=int(os.environ.get("PENSTOCK_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_whatever_an_unsigned_statement_says_it_is_refused_or_read_without_a_traceback(
    unsigned: Made, data: st.DataObject
) -> None:
    """Everything here is the writer's: each part of a statement in turn is anything at all."""
    name = data.draw(st.sampled_from([layout.PROVENANCE, layout.VERDICT]))
    path = unsigned.evidence / f"{name}.intoto.json"
    kept = {each: each.read_bytes() for each in unsigned.evidence.iterdir()}
    statement = unsigned.payload(name)
    holder, key = data.draw(st.sampled_from(list(_places(statement))))
    holder[key] = data.draw(JSON)
    try:
        path.write_bytes(documents.encode(statement))
        if name == layout.VERDICT:
            unsigned.adopt(None)
        unsigned.index()
        assert is_refused(unsigned) or unsigned.verify()["signed"] is False
    finally:
        for each, content in kept.items():
            each.write_bytes(content)


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every place in a document, as what holds it and its name there."""
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in named:
        yield value, key
        yield from _places(each)
