from pathlib import Path

import pytest

from churn import params


def test_a_section_is_read_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train: {penalty: 0.5, max_iter: 10}\n", encoding="utf-8")
    assert params.read("train", path) == {"penalty": 0.5, "max_iter": 10}


def test_a_missing_section_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("prepare: {seed: 1}\n", encoding="utf-8")
    with pytest.raises(KeyError, match="no section 'train'; it has prepare"):
        params.read("train", path)
