import numpy as np
import pytest

from wine import grading


def test_a_guess_on_the_same_shelf_is_right_and_next_to_it_is_not() -> None:
    tasted = np.array([5, 6, 7, 9])
    guessed = np.array([4.2, 6.4, 6.6, 6.4])
    assert grading.right_shelf({"truth": tasted, "prediction": guessed}) == pytest.approx(0.75)
