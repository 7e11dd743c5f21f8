"""Takes out the wines that are in the table twice, and splits the rest.

937 of the 4,898 rows repeat an earlier one in every column. If they stayed, more than one in four wines of
the test set would also be in the training set, and a model that remembers them would look better than it is.
"""

import hashlib
from pathlib import Path

import pandas as pd

from wine import features

SOURCE = Path("data/wine-quality-white.csv")


def numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with a name in front: their place in the source, which is all that tells two wines apart."""
    names = [f"white-{place:04d}" for place in range(1, len(rows) + 1)]
    return pd.concat([pd.Series(names, index=rows.index, name=features.WINE), rows], axis=1)


def distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without those that repeat an earlier one in everything that was measured."""
    return rows.drop_duplicates([*features.FEATURES, features.TARGET])


def position(wine: str, seed: int) -> float:
    """Where a wine falls in [0, 1): uniform, and the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{wine}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split(rows: pd.DataFrame, *, test_fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and rows to be judged by, in their order in the source."""
    test = rows[features.WINE].map(lambda wine: position(wine, seed)) < test_fraction
    return rows[~test], rows[test]


def main() -> None:
    """Write `train.csv` and `test.csv`."""
    settings = features.params("prepare")
    rows = numbered(pd.read_csv(SOURCE))
    kept = distinct(rows) if settings["deduplicate"] else rows
    print(f"{len(rows)} wines, {len(rows) - len(kept)} of them left out as repetitions")
    train, test = split(kept, test_fraction=settings["test_fraction"], seed=settings["seed"])
    features.TRAIN.parent.mkdir(parents=True, exist_ok=True)
    for path, part in ((features.TRAIN, train), (features.TEST, test)):
        part.to_csv(path, index=False, lineterminator="\n")
        print(f"{path.stem}: {len(part)} wines, mean quality {part[features.TARGET].mean():.2f}")


if __name__ == "__main__":
    main()
