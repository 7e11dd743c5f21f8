import pandas as pd

from churn import features


def test_the_model_sees_neither_the_customer_nor_their_gender_nor_the_answer(customers: pd.DataFrame) -> None:
    seen = set(features.predictors(customers).columns)
    assert seen == set(customers.columns) - {features.CUSTOMER, features.GENDER, features.TARGET}


def test_numbers_are_scaled_and_categories_become_zeros_and_ones(customers: pd.DataFrame) -> None:
    encoded = pd.DataFrame(features.encoder().fit_transform(features.predictors(customers)))
    categories = encoded.iloc[:, : -len(features.NUMERIC)]
    assert set(categories.to_numpy().ravel()) == {0.0, 1.0}
    tenure = encoded.iloc[:, -3]
    assert abs(tenure.mean()) < 1e-9
    assert abs(tenure.std(ddof=0) - 1) < 1e-9


def test_a_category_that_training_never_saw_is_no_error(customers: pd.DataFrame) -> None:
    encoder = features.encoder().fit(features.predictors(customers))
    new = features.predictors(customers.head(1).assign(Contract="Ten years"))
    names = list(encoder.get_feature_names_out())
    encoded = encoder.transform(new)[0]
    contract = [encoded[names.index(name)] for name in names if "__Contract_" in name]
    assert contract == [0.0, 0.0]
