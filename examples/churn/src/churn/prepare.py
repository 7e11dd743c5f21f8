"""Cleans the customers and splits them into those to learn from and those to be judged by.

A customer's side depends on nothing but their number and the seed. When the next export brings new
customers, the old ones stay where they are, so a model is never judged by somebody it learnt from.
"""

import hashlib
from pathlib import Path

import pandas as pd

from churn import params

SOURCE = Path("data/telco-churn.csv")
SPLITS = Path("build/splits")


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Customers with a numeric `TotalCharges`.

    The export leaves it blank for those who joined this month: they were never billed, so it is zero.

    Raises:
        ValueError: It is blank for a customer of longer standing, or is no number.
    """
    charges = rows["TotalCharges"].str.strip()
    blank = charges == ""
    unexplained = rows.loc[blank & (rows["tenure"] > 0), "customerID"]
    if len(unexplained):
        raise ValueError(
            f"TotalCharges is blank for {len(unexplained)} customers who have been billed, "
            f"the first of them {unexplained.iloc[0]}"
        )
    return rows.assign(TotalCharges=pd.to_numeric(charges.mask(blank, "0")))


def position(customer: str, seed: int) -> float:
    """Where a customer falls in [0, 1): uniform, and the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{customer}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split(rows: pd.DataFrame, *, test_fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and rows to be judged by, in their order in the source."""
    test = rows["customerID"].map(lambda customer: position(customer, seed)) < test_fraction
    return rows[~test], rows[test]


def main() -> None:
    """Write `train.csv` and `test.csv`."""
    settings = params.read("prepare")
    rows = clean(pd.read_csv(SOURCE, dtype={"TotalCharges": str}, keep_default_na=False))
    train, test = split(rows, test_fraction=settings["test_fraction"], seed=settings["seed"])
    SPLITS.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("test", test)):
        part.to_csv(SPLITS / f"{name}.csv", index=False, lineterminator="\n")
        print(f"{name}: {len(part)} customers, {(part['Churn'] == 'Yes').mean():.1%} left")


if __name__ == "__main__":
    main()
