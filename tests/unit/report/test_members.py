from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import report_samples as samples
from penstock import digest
from penstock.record import replace
from penstock.report import keep, members
from penstock.results import Part, PartKind, RunReport

ODD = digest.encode_manifest(
    [
        digest.Entry(digest.FILE, 3, "café".encode(), b"a" * 64),
        digest.Entry(digest.EXECUTABLE, 0, b"not utf-8 \xe9\n", b"b" * 64),
        digest.Entry(digest.LINK, 0, b"link", b"to/\xff"),
        digest.Entry(digest.DIRECTORY, 0, b"empty", b""),
    ]
)
EMPTY = digest.encode_manifest([])
KNOWN = {digest.of_bytes(each): each for each in (ODD, EMPTY)}


def report(*sizes: tuple[str, int], outputs: bool = True) -> RunReport:
    parts = tuple(
        Part(f"d{at}", PartKind.DIRECTORY, name, 1, files) for at, (name, files) in enumerate(sizes)
    )
    stage = samples.stage("train")
    return samples.report(replace(stage, inputs=() if outputs else parts, outputs=parts if outputs else ()))


@pytest.mark.parametrize("outputs", [True, False], ids=["outputs", "inputs"])
def test_what_was_written_of_a_directory_is_read_back(tmp_path: Path, *, outputs: bool) -> None:
    folder = keep.write(report(*((name, 2) for name in KNOWN), outputs=outputs), tmp_path / "runs", KNOWN.get)
    assert members.read(folder / members.NAME) == KNOWN


def test_a_run_without_directories_has_no_such_file(tmp_path: Path) -> None:
    assert not (keep.write(report(), tmp_path, KNOWN.get) / members.NAME).exists()


def test_a_directory_that_is_not_known_is_left_out(tmp_path: Path) -> None:
    run = report((samples.DIGEST, 1), (digest.of_bytes(ODD), 1))
    assert members.read(keep.write(run, tmp_path, KNOWN.get) / members.NAME) == {digest.of_bytes(ODD): ODD}


def test_what_is_too_large_is_not_even_looked_up(tmp_path: Path) -> None:
    asked: list[str] = []

    def manifests(name: str) -> bytes | None:
        asked.append(name)
        return KNOWN.get(name)

    run = report((samples.DIGEST, members.MAX_FILES), (digest.of_bytes(ODD), 1))
    assert members.encode(run, manifests) is not None
    assert asked == [digest.of_bytes(ODD)]


def test_the_file_stays_small(tmp_path: Path) -> None:
    large = digest.encode_manifest(
        digest.Entry(digest.FILE, 1, b"%06d" % at + b"x" * 200, b"a" * 64) for at in range(5000)
    )
    name = digest.of_bytes(large)
    assert len(large) > members.MAX_BYTES
    run = report((name, 5000), (digest.of_bytes(ODD), 1))
    data = members.encode(run, {**KNOWN, name: large}.get)
    assert data is not None
    assert len(data) < 1000


def written(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path = keep.write(report((digest.of_bytes(ODD), 2)), tmp_path, KNOWN.get) / members.NAME
    return path, json.loads(path.read_bytes())


def test_a_list_that_is_not_what_its_digest_says_is_not_believed(tmp_path: Path) -> None:
    path, document = written(tmp_path)
    (rows,) = document["directories"].values()
    for at, row in enumerate(rows):
        for field in range(3):
            forged = [list(each) for each in rows]
            forged[at][field] = row[field] + "0"
            path.write_text(json.dumps({"version": 1, "directories": {digest.of_bytes(ODD): forged}}))
            assert members.read(path) == {}


GARBAGE = digest.MANIFEST_HEADER + b"no number\0path\0value\0"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 2, "directories": {}}',
        b'{"version": 1, "directories": []}',
        b'{"version": 1, "directories": {"sha256:1": 5}}',
        b'{"version": 1, "directories": {"sha256:1": [[["f1"]]]}}',
        b'{"version": 1, "directories": {"sha256:1": [["\\ud800", "x", "y"]]}}',
        json.dumps(
            {"version": 1, "directories": {digest.of_bytes(GARBAGE): [["no number", "path", "value"]]}}
        ).encode(),
    ],
)
def test_a_foreign_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / members.NAME
    path.write_bytes(content)
    assert members.read(path) == {}


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert members.read(tmp_path / members.NAME) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (samples.DIGEST, True),
        (samples.DIGEST[:-1], False),
        (samples.DIGEST[7:], False),
        (samples.DIGEST.upper(), False),
        ("sha256:../../" + "a" * 58, False),
        ("", False),
    ],
)
def test_only_a_digest_is_looked_up(name: str, *, expected: bool) -> None:
    assert members.well_formed(name) is expected
