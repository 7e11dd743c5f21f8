import pandas as pd

from wine import features, prepare


def test_a_wine_is_named_after_its_place_in_the_source(wines: pd.DataFrame) -> None:
    source = wines.drop(columns=features.WINE)
    assert prepare.numbered(source).equals(wines)


def test_a_repeated_wine_stays_once_where_it_came_first(wines: pd.DataFrame) -> None:
    assert prepare.distinct(wines).equals(wines.head(250))


def test_wines_that_differ_only_in_quality_are_two_wines(wines: pd.DataFrame) -> None:
    other = wines.head(1).assign(quality=lambda row: row["quality"] + 1)
    assert len(prepare.distinct(pd.concat([wines.head(1), other]))) == 2


def test_both_sides_together_are_all_wines_once(wines: pd.DataFrame) -> None:
    train, test = prepare.split(wines, test_fraction=0.25, seed=7)
    assert sorted([*train["wine"], *test["wine"]]) == wines["wine"].tolist()
    assert 0.18 < len(test) / len(wines) < 0.32


def test_no_wine_is_on_both_sides_once_repetitions_are_out(wines: pd.DataFrame) -> None:
    def shared(rows: pd.DataFrame) -> int:
        train, test = prepare.split(rows, test_fraction=0.25, seed=7)
        return len(test.merge(train, on=[*features.FEATURES, features.TARGET]))

    assert shared(wines) > 0
    assert shared(prepare.distinct(wines)) == 0


def test_no_wine_changes_sides_when_wines_are_added(wines: pd.DataFrame) -> None:
    _, before = prepare.split(wines.head(200), test_fraction=0.25, seed=7)
    _, after = prepare.split(wines, test_fraction=0.25, seed=7)
    assert set(before["wine"]) == set(after["wine"]) & set(wines.head(200)["wine"])
