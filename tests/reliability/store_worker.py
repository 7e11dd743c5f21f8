"""One of many processes on one store: commits, recalls and restores until it has done its share.

Arguments: home of the store, a directory of its own, a seed, how many operations.
Prints one line per wrong byte, lost result or stall; nothing if all is well. Exits with 1 if there was any.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from penstock import digest
from penstock.cache.records import ResultRecord
from penstock.cache.store import Store
from penstock.cache.trees import ingest, restore_tree
from penstock.errors import CorruptError
from penstock.results import PartKind

KEYS = 40
STALL_S = 60.0


def files_of(number: int) -> dict[str, bytes]:
    """What the stage of this number always writes; some files are shared between stages."""
    return {"own": b"%d" % number * 500, "shared": b"%d" % (number % 7) * 3000, "sub/empty": b""}


def make(workspace: Path, number: int) -> Path:
    out = workspace / f"out-{os.urandom(4).hex()}"
    for name, content in files_of(number).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    return out


def commit(store: Store, workspace: Path, number: int) -> None:
    key = digest.of_bytes(b"stage %d" % number)
    lock = store.try_lock(key)
    if lock is None:
        return
    with lock, store.usage():
        part, _ = ingest(store, make(workspace, number), "out")
        store.commit(ResultRecord(key=key, parts=(part,), attempts=(), made_at="", run_id=""))


def check(store: Store, workspace: Path, number: int) -> str | None:
    record = store.recall(digest.of_bytes(b"stage %d" % number))
    if record is None:
        return None
    (part,) = record.parts
    out = workspace / f"back-{os.urandom(4).hex()}"
    try:
        if part.kind is PartKind.DIRECTORY:
            restore_tree(store, store.manifest(part.digest), out)
    except CorruptError as error:
        # collected between the recall and the reading: a miss; damaged is another matter
        return str(error) if "damaged" in str(error) else None
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return None if found == files_of(number) else f"stage {number}: wrong bytes"


def main() -> int:
    home, workspace, seed, operations = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
    )
    chance = random.Random(seed)
    store = Store(home)
    problems = []
    for _ in range(operations):
        number = chance.randrange(KEYS)
        began = time.monotonic()
        if chance.random() < 0.5:
            commit(store, workspace, number)
        elif problem := check(store, workspace, number):
            problems.append(problem)
        if time.monotonic() - began > STALL_S:
            problems.append(f"stage {number}: stalled")
    print("\n".join(problems), end="")  # noqa: T201 - for the test
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
