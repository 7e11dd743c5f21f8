"""Commands that run again: the same digests as Penstock's own, and a metric for each seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.cache.stat_index import StatIndex
from penstock.programs.repeat import main as repeat

Repeated = Callable[..., dict[str, Any]]
SEEDS = {"parameter": "train.seed", "values": [1, 2, 3], "metrics": "m.json", "metric": "auc"}


@pytest.fixture
def repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repeated:
    """Runs commands again; gives the document, or the complaint."""
    monkeypatch.chdir(tmp_path)

    def repeated(
        *runs: str, outputs: tuple[str, ...] = ("out",), seeds: Any = None, code: int = 0
    ) -> dict[str, Any]:
        request = {
            "stages": [{"name": f"s{at}", "run": run} for at, run in enumerate(runs)],
            "outputs": outputs,
            "params": {"train": {"seed": 7, "rate": 0.5}},
            "params_file": "p/params.yaml",
            "seeds": seeds,
            "result": "r.json",
        }
        Path("request.json").write_text(json.dumps(request))
        assert repeat.main(["request.json"]) == code
        if code:
            assert not Path("r.json").exists()
            return {}
        document: dict[str, Any] = json.loads(Path("r.json").read_text())
        return document

    return repeated


def test_what_comes_out_again_has_the_digest_that_penstock_gives_it(
    repeated: Repeated, tmp_path: Path
) -> None:
    run = "mkdir -p out/sub out/empty; echo 1 > out/a; echo 2 > out/sub/b; chmod +x out/sub/b; ln -s a out/l"
    document = repeated(run)
    ((output,),) = [each["outputs"] for each in document["repetitions"]]
    scan = StatIndex(tmp_path, tmp_path / ".penstock" / "index").scan("out", output=True)
    assert scan is not None
    assert output == {"path": "out", "digest": scan.part.digest}
    assert document["same"] is None


def test_what_was_there_before_does_not_count(repeated: Repeated) -> None:
    Path("out").mkdir()
    Path("out/old").write_text("")
    first = repeated("mkdir out; echo 1 > out/a")["repetitions"]
    assert first == repeated("mkdir out; echo 1 > out/a")["repetitions"]


def test_commands_find_their_parameters(repeated: Repeated) -> None:
    repeated("cp p/params.yaml out")
    assert json.loads(Path("out").read_text()) == {"train": {"seed": 7, "rate": 0.5}}


def test_every_seed_has_its_metric(repeated: Repeated) -> None:
    train = (
        """python3 -c 'import json; s = json.load(open("p/params.yaml"))["train"]["seed"]; print(s)' > out"""
    )
    document = repeated(
        train, """echo "{\\"auc\\": 0.$(cat out)}" > m.json""", outputs=("out", "m.json"), seeds=SEEDS
    )
    assert [each["seed"] for each in document["repetitions"]] == [1, 2, 3]
    assert [each["metrics"] for each in document["repetitions"]] == [{"auc": 0.1}, {"auc": 0.2}, {"auc": 0.3}]
    assert (document["same"], document["differing"]) == (False, ["m.json", "out"])


def test_seeds_that_change_nothing_are_seen(repeated: Repeated) -> None:
    document = repeated("echo '{\"auc\": 1}' > m.json", outputs=("m.json",), seeds=SEEDS)
    assert (document["same"], document["differing"]) == (True, [])


@pytest.mark.parametrize(
    ("run", "seeds", "line"),
    [
        ("exit 3", None, "stage 's0': run again, the command ended with 3"),
        ("true", None, "out: run again, the command did not write it"),
        ("echo '{}' > m.json; touch out", SEEDS, "m.json: 'auc' is null, not a number"),
        ("echo '{\"auc\": true}' > m.json; touch out", SEEDS, "m.json: 'auc' is true, not a number"),
        ("echo '{' > m.json; touch out", SEEDS, "m.json: no metrics can be read from it"),
    ],
)
def test_what_does_not_run_again_is_told_in_one_line(
    repeated: Repeated, capsys: pytest.CaptureFixture[str], run: str, seeds: Any, line: str
) -> None:
    repeated(run, seeds=seeds, code=2)
    assert line in capsys.readouterr().err.splitlines()[-1]
