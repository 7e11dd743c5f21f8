"""Takes outputs into a store and commits a result, between two marks that strace can see.

Arguments: home of the store, workspace, key, file that says that the commit is acknowledged.
Exits with 3 and a sentence if Penstock says that it could not be done.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from penstock.cache.records import ResultRecord
from penstock.cache.store import Store
from penstock.cache.trees import ingest
from penstock.errors import PenstockError
from penstock.results import Attempt, Usage

BEGIN, END = "/penstock-begins", "/penstock-ends"


def mark(path: str) -> None:
    os.access(path, os.F_OK)


def commit(home: Path, workspace: Path, key: str) -> None:
    store = Store(home)
    lock = store.try_lock(key)
    if lock is None:
        raise SystemExit("the lock of a killed process is still held")
    with lock, store.usage():
        parts = [ingest(store, workspace / name, name)[0] for name in ("model", "metrics.json")]
        usage = Usage(wall_s=1.0, cpu_s=1.0, peak_memory_bytes=1)
        attempts = (Attempt(number=1, exit_code=0, usage=usage, log="done\n"),)
        store.put_key_document({"inputs": {}})
        store.commit(
            ResultRecord(
                key=key, parts=tuple(parts), attempts=attempts, made_at="2026-01-01T00:00:00Z", run_id="r"
            )
        )


def main() -> int:
    home, workspace, key, acknowledged = sys.argv[1:]
    with Path(acknowledged).open("w") as told:  # opened now: nothing but writing is left to fail afterwards
        mark(BEGIN)
        try:
            commit(Path(home), Path(workspace), key)
        except PenstockError as error:
            mark(END)
            print(error)  # noqa: T201 - for the test
            return 3
        mark(END)
        told.write(key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
