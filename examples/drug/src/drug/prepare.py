"""Splits the patients into those to learn from and those to be judged by."""

import hashlib
from pathlib import Path

import pandas as pd

from drug import features

SOURCE = Path("data/drug.csv")


def position(patient: str, seed: int) -> str:
    """Where a patient falls in a shuffled row: the same on every machine."""
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()


def split(rows: pd.DataFrame, *, test_rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and `test_rows` to be judged by, in their order in the source.

    Raises:
        ValueError: Nobody would be left to learn from.
    """
    if not 0 < test_rows < len(rows):
        raise ValueError(f"{test_rows} of {len(rows)} patients cannot be set aside; change prepare.test_rows")
    order = rows[features.PATIENT].map(lambda patient: position(patient, seed)).rank()
    return rows[order > test_rows], rows[order <= test_rows]


def main() -> None:
    """Write `train.csv` and `test.csv`."""
    rows = pd.read_csv(SOURCE)
    rows.insert(0, features.PATIENT, [f"patient-{place:03d}" for place in range(1, len(rows) + 1)])
    train, test = split(rows, **features.params("prepare"))
    features.TRAIN.parent.mkdir(parents=True, exist_ok=True)
    for path, part in ((features.TRAIN, train), (features.TEST, test)):
        part.to_csv(path, index=False, lineterminator="\n")
        print(f"{path.stem}: {len(part)} patients, {part[features.TARGET].nunique()} drugs")


if __name__ == "__main__":
    main()
