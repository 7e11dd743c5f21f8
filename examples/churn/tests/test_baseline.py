import pandas as pd

from churn import baseline, features


def test_the_baseline_sees_two_columns_and_no_others(customers: pd.DataFrame) -> None:
    model = baseline.fit(customers)
    others = [name for name in features.CATEGORICAL if name != "Contract"]
    changed = customers.assign(**dict.fromkeys(others, "No"), MonthlyCharges=0.0, TotalCharges=0.0)
    seen, unseen = (model.predict_proba(features.predictors(rows))[:, 1] for rows in (customers, changed))
    assert (seen == unseen).all()
    assert len(set(seen)) > 1
