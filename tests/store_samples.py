"""Stores and results that tests of the cache start from."""

from __future__ import annotations

from pathlib import Path

from penstock import digest
from penstock.cache.records import ResultRecord
from penstock.cache.store import Store
from penstock.cache.trees import ingest
from penstock.results import Attempt, Part, Usage

USAGE = Usage(wall_s=1.5, cpu_s=1.25, peak_memory_bytes=1 << 20)
ATTEMPTS = (Attempt(number=1, exit_code=0, usage=USAGE, log="loss 0.1\n\ud800é"),)


def key(name: str) -> str:
    return digest.of_bytes(name.encode())


def result(name: str, *parts: Part) -> ResultRecord:
    return ResultRecord(
        key=key(name), parts=parts, attempts=ATTEMPTS, made_at="2026-01-01T00:00:00Z", run_id="run-1"
    )


def write_tree(top: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return top


def commit_tree(
    store: Store, workspace: Path, name: str, files: dict[str, bytes]
) -> tuple[ResultRecord, bytes]:
    """Commit a result with one directory as its output; the record and the directory's manifest."""
    part, manifest = ingest(store, write_tree(workspace / name, files), "out")
    assert manifest is not None
    record = result(name, part)
    store.commit(record)
    return record, manifest


def contents(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
