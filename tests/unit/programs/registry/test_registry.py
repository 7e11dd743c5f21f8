"""Publishing, promoting, rolling back and loading, in a project's own registry and on a real MLflow server."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlflow_server import MlflowServer, carried, server_python, tools_python
from penstock.plan.exchange import REQUEST
from penstock.programs.common import digests
from penstock.record import replace
from penstock.results import Verdict
from registry_samples import (
    COMMIT,
    PACKAGE,
    PREDICTIONS,
    Published,
    Registry,
    again,
    gate,
    with_report,
    workspace,
)

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model of one's own: the server is that of all tests."""
    return f"m {abs(hash(request.node.nodeid))}"


def published(registry: Registry, place: Path, name: str, word: str, **facts: Any) -> Published:
    made = workspace(place / word, word, **facts)
    request = {**made.request, "model": name, "experiment": name}
    made = Published(made.workspace, request, made.report)
    ended = registry.publish(made)
    assert ended.code == 0, ended.err
    return made


def three(registry: Registry, place: Path, name: str) -> None:
    """Versions 1, 2 and 3, each of them promoted."""
    for version, word in enumerate(("one", "two", "three"), 1):
        published(registry, place, name, word)
        assert registry.act("promote", model=name, version=str(version), who="me").code == 0


def aliases(registry: Registry, name: str) -> dict[str, str]:
    found: dict[str, str] = dict(registry.act("list", model=name).facts["aliases"])
    return found


def test_a_run_is_recorded_with_parameters_intervals_stages_and_verdicts(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    made = published(registry, tmp_path, name, "one")
    found = registry.act("show", model=name, alias="candidate").facts
    assert found["params"] == {"train.layers": "[64, 32]", "train.penalty": "1.0", "word": "one"}
    assert found["metrics"]["gate.roc_auc"] == {"value": 0.84, "low": 0.82, "high": 0.86}
    assert found["metrics"]["roc_auc"] == {"value": 0.84, "low": None, "high": None}
    assert found["gates"] == {"roc_auc": "pass: roc_auc: pass"}
    assert found["stages"].keys() == {"train", "package-model"}
    assert (found["run"], found["commit"], found["passed"]) == (made.digest, COMMIT, True)


def test_publishing_a_run_again_makes_nothing_twice(registry: Registry, tmp_path: Path, name: str) -> None:
    made = published(registry, tmp_path, name, "one")
    later = registry.publish(Published(made.workspace, made.request, again(made).report))
    assert later.receipt is not None
    assert [each["state"] for each in later.receipt["publications"]] == ["unchanged"]
    assert [each["version"] for each in registry.act("list", model=name).facts["versions"]] == ["1"]


def test_two_that_publish_the_same_run_at_once_make_one_version(
    server: MlflowServer, tmp_path: Path, name: str
) -> None:
    made = workspace(tmp_path / "w", "one")
    request = {**made.request, "model": name, "experiment": name, "patience_s": 30}
    copies = []
    for at in range(3):  # of different projects, which no lock holds apart
        place = tmp_path / f"copy-{at}"
        subprocess.run(["cp", "-r", str(made.workspace), str(place)], check=True)
        carried(place, "registry", request)
        environ = {**Registry(tmp_path / f"state-{at}", server.address).environ}
        command = [str(tools_python()), ".penstock-recipe/start.py", "registry", REQUEST]
        copies.append(subprocess.Popen(command, cwd=place, env=environ, stdout=subprocess.DEVNULL))
    assert [each.wait(timeout=120) for each in copies] == [0, 0, 0]
    registry = Registry(tmp_path / "state", server.address)
    assert registry.publish(Published(made.workspace, request, made.report)).code == 0
    assert len(registry.act("list", model=name).facts["versions"]) == 1
    with closing(sqlite3.connect(server.place / "server.db")) as database:
        runs = (
            "SELECT count(*) FROM tags JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id)"
            " WHERE value = ? AND experiments.name = ? AND runs.lifecycle_stage = 'active'"
        )
        assert database.execute(runs, (made.digest, name)).fetchone() == (1,)


def test_a_second_run_is_a_second_version_and_becomes_the_candidate(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    published(registry, tmp_path, name, "one")
    published(registry, tmp_path, name, "two")
    assert aliases(registry, name) == {"candidate": "2"}


def test_rolling_back_goes_to_each_champion_before(registry: Registry, tmp_path: Path, name: str) -> None:
    three(registry, tmp_path, name)
    assert aliases(registry, name) == {"candidate": "3", "champion": "3", "previous": "2"}
    assert registry.act("rollback", model=name).facts["version"] == "2"
    assert aliases(registry, name) == {"candidate": "3", "champion": "2", "previous": "1"}
    assert registry.act("rollback", model=name).facts["version"] == "1"
    assert aliases(registry, name) == {"candidate": "3", "champion": "1"}
    further = registry.act("rollback", model=name)
    assert (further.code, "its earlier champions are none" in further.err) == (2, True)


def test_versions_that_were_deleted_are_stepped_over(own: Registry, tmp_path: Path, name: str) -> None:
    three(own, tmp_path, name)
    with closing(sqlite3.connect(own.state / "mlflow" / "mlflow.db")) as connection, connection:
        gone = "UPDATE model_versions SET current_stage = 'Deleted_Internal' WHERE version = 2"
        connection.execute(gone)
        connection.execute("DELETE FROM registered_model_aliases WHERE alias = 'previous'")
    assert own.act("promote", model=name, version="3", who="me").code == 0
    assert aliases(own, name) == {"candidate": "3", "champion": "3", "previous": "1"}
    assert own.act("rollback", model=name).facts["version"] == "1"


def test_rolling_back_several_steps_is_one_move(own: Registry, tmp_path: Path, name: str) -> None:
    three(own, tmp_path, name)
    assert own.act("rollback", model=name, steps=2).facts["before"] == "3"
    assert aliases(own, name) == {"candidate": "3", "champion": "1"}


def test_a_rollback_of_a_version_that_is_no_champion_any_more_is_refused(
    own: Registry, tmp_path: Path, name: str
) -> None:
    three(own, tmp_path, name)
    assert own.act("rollback", model=name, **{"from": "3"}).facts["version"] == "2"
    again = own.act("rollback", model=name, **{"from": "3"})
    assert again.facts["version"] == "2"  # the answer was lost, say: it is done, and not done twice
    other = own.act("rollback", model=name, **{"from": "1"})
    assert (other.code, "the champion of" in other.err) == (3, True)


def test_a_champion_that_was_moved_by_hand_is_one_to_go_back_to(
    own: Registry, tmp_path: Path, name: str
) -> None:
    three(own, tmp_path, name)
    published(own, tmp_path, name, "four")
    database = own.state / "mlflow" / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE registered_model_aliases SET version = 4 WHERE alias = 'champion'")
    published(own, tmp_path, name, "five")
    own.act("promote", model=name, version="5", who="me")
    went = [own.act("rollback", model=name).facts["version"] for _ in range(4)]
    assert went == ["4", "3", "2", "1"]


@pytest.mark.parametrize(
    ("gates", "word"),
    [
        ((gate(Verdict.FAIL),), "fail"),
        ((gate(Verdict.INCONCLUSIVE),), "inconclusive"),
        ((gate(Verdict.SKIP),), "skip"),
        ((), "no required gate has judged it"),
    ],
    ids=["failed", "inconclusive", "skipped", "no gate"],
)
def test_promoting_demands_that_required_gates_have_passed(
    own: Registry, tmp_path: Path, name: str, gates: Any, word: str
) -> None:
    published(own, tmp_path, name, "one", gates=gates)
    refused = own.act("promote", model=name, version="1", who="me")
    assert (refused.code, word in refused.err) == (3, True), refused.err
    assert "champion" not in aliases(own, name)


def test_the_first_version_has_nothing_to_be_compared_with(own: Registry, tmp_path: Path, name: str) -> None:
    first = replace(gate(Verdict.SKIP, reason="first-version"), name="no-regression")
    published(own, tmp_path, name, "one", gates=(gate(), first))
    assert own.act("promote", model=name, version="1", who="me").code == 0


def test_somebody_may_answer_for_a_verdict_by_name_and_reason(
    own: Registry, tmp_path: Path, name: str
) -> None:
    published(own, tmp_path, name, "one", gates=(gate(Verdict.INCONCLUSIVE),))
    for incomplete in ({"name": "Ada"}, {"reason": "tried by hand"}, {"name": " ", "reason": "x"}):
        assert own.act("promote", model=name, version="1", who="me", override=incomplete).code == 2
    answered = {"name": "Ada", "reason": "tried by hand"}
    assert own.act("promote", model=name, version="1", who="me", why="v1", override=answered).code == 0
    moves = own.act("show", model=name, alias="champion").facts["moves"]
    assert [(each["what"], each["who"], each["why"], each["override"]) for each in moves] == [
        ("promote", "me", "v1", answered)
    ]


def test_a_failed_run_gets_a_version_but_no_alias(own: Registry, tmp_path: Path, name: str) -> None:
    published(own, tmp_path, name, "one")
    published(own, tmp_path, name, "two", gates=(gate(Verdict.FAIL),))
    assert aliases(own, name) == {"candidate": "1"}


def artifact(own: Registry, at: str) -> Path:
    (found,) = own.state.glob(f"mlflow/artifacts/*/*/artifacts/{at}")
    return found


@pytest.mark.parametrize(
    ("at", "change"),
    [
        ("model/data/model/weights.bin", lambda old: old[:-1] + b"X"),
        ("model/MLmodel", lambda old: old + b"\n"),
        ("model/MLmodel", None),
        ("penstock/run.json", lambda old: old.replace(b'"pass"', b'"fail"')),
        ("penstock/stable.json", lambda old: old.replace(b"penalty", b"penalti")),
        ("penstock/contents.json", lambda old: old.replace(b'"model/', b'"../../model/')),
        ("penstock/contents.json", lambda old: old[: len(old) // 2]),
        ("penstock/contents.json", None),
    ],
    ids=[
        "weights",
        "MLmodel",
        "no MLmodel",
        "run",
        "stable run",
        "path in the list",
        "half a list",
        "no list",
    ],
)
def test_what_was_changed_in_the_registry_is_neither_promoted_nor_loaded_not_even_by_an_override(
    own: Registry, tmp_path: Path, name: str, at: str, change: Any
) -> None:
    published(own, tmp_path, name, "one")
    path = artifact(own, at)
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    override = {"name": "Ada", "reason": "I want it"}
    promoted = own.act("promote", model=name, version="1", who="me", override=override)
    loaded = own.act("load", model=name, version="1", to=str(tmp_path / "to"))
    assert (promoted.code, loaded.code) == (3, 3), (promoted.err, loaded.err)
    assert "champion" not in aliases(own, name)
    assert not (tmp_path / "to").exists()


def test_a_list_that_agrees_with_a_changed_model_does_not_help_it(
    own: Registry, tmp_path: Path, name: str
) -> None:
    published(own, tmp_path, name, "one")
    weights, listing = artifact(own, "model/data/model/weights.bin"), artifact(own, "penstock/contents.json")
    old = digests.of_path(weights).digest
    weights.write_bytes(b"evil")
    new = digests.of_path(weights)
    text = listing.read_text().replace(old, new.digest)
    listing.write_text(text)
    refused = own.act("promote", model=name, version="1", who="me")
    assert (refused.code, "was judged" in refused.err) == (3, True), refused.err


def test_publishing_again_mends_what_was_damaged(own: Registry, tmp_path: Path, name: str) -> None:
    made = published(own, tmp_path, name, "one")
    artifact(own, "model/MLmodel").write_bytes(b"damaged")
    assert own.publish(made).code == 0
    assert own.act("promote", model=name, version="1", who="me").code == 0


def test_rolling_back_does_not_go_to_a_version_that_was_changed(
    own: Registry, tmp_path: Path, name: str
) -> None:
    three(own, tmp_path, name)
    for path in own.state.glob("mlflow/artifacts/*/*/artifacts/model/data/model/weights.bin"):
        if path.read_bytes().startswith(b"two"):
            path.write_bytes(b"evil")
    assert own.act("rollback", model=name).code == 3
    assert aliases(own, name)["champion"] == "3"
    assert own.act("rollback", model=name, steps=2).facts["version"] == "1"


def test_a_model_is_loaded_byte_for_byte_with_its_modes(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    made = published(registry, tmp_path, name, "one")
    to = tmp_path / "deep" / "to"
    assert registry.act("load", model=name, alias="candidate", to=str(to)).facts["version"] == "1"
    assert digests.of_path(to).digest == digests.of_path(made.workspace / PACKAGE).digest
    assert [each.name for each in to.parent.iterdir()] == ["to"]
    twice = registry.act("load", model=name, alias="candidate", to=str(to))
    assert (twice.code, "exists already" in twice.err) == (2, True)


def test_mlflow_itself_finds_the_model_by_its_alias(server: MlflowServer, tmp_path: Path, name: str) -> None:
    registry = Registry(tmp_path / "state", server.address)
    published(registry, tmp_path, name, "one")
    code = f"import mlflow, sys; print(mlflow.artifacts.download_artifacts('models:/{name}@candidate', dst_path=sys.argv[1]))"
    subprocess.run(
        [str(server_python()), "-c", code, str(tmp_path)], check=True, capture_output=True,
        env={**registry.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    assert [
        path.read_bytes()[:3]
        for path in tmp_path.glob("**/data/model/weights.bin")
        if "one/" not in str(path)
    ] == [b"one"]


def test_a_baseline_is_what_the_champion_predicted(registry: Registry, tmp_path: Path, name: str) -> None:
    made = published(registry, tmp_path, name, "one")
    registry.act("promote", model=name, version="1", who="me")
    result = tmp_path / "result"
    asked = {"model": name, "alias": "champion", "result": str(result)}
    assert registry.act("baseline", **asked).facts["predictions"] == PREDICTIONS
    assert (result / "predictions.csv").read_bytes() == (made.workspace / PREDICTIONS).read_bytes()
    assert json.loads((result / "run.json").read_text())["pipeline"] == "churn"
    unknown = registry.act("baseline", **{**asked, "predictions": "build/other.csv"})
    assert (unknown.code, "build/predictions.csv" in unknown.err) == (2, True)


def test_a_baseline_that_is_not_there_yet_is_said_to_be_absent(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    for _ in range(2):  # without the model, and with one that nobody promoted
        result = tmp_path / f"result-{_}"
        assert registry.act("baseline", model=name, alias="champion", result=str(result)).code == 0
        assert json.loads((result / "absent.json").read_text())["absent"] is True
        published(registry, tmp_path, name, "one") if _ == 0 else None


def test_the_audit_log_is_anchored_at_the_model(own: Registry, tmp_path: Path, name: str) -> None:
    assert own.act("read-anchor", model=name).facts["head"] is None
    published(own, tmp_path, name, "one")
    own.act("anchor", model=name, head="7 sha256:abc")
    assert own.act("read-anchor", model=name).facts["head"] == "7 sha256:abc"
    own.act("promote", model=name, version="1", who="me", audit_head="8 sha256:def")
    assert own.act("read-anchor", model=name).facts["head"] == "8 sha256:def"


def test_two_versions_are_shown_beside_each_other(own: Registry, tmp_path: Path, name: str) -> None:
    published(own, tmp_path, name, "one")
    published(own, tmp_path, name, "two", gates=(gate(Verdict.FAIL),))
    found = own.act("compare", model=name, versions=["1", "2"]).facts
    assert found["params"] == {"word": ["one", "two"]}
    assert found["metrics"]["roc_auc"][0] == {"value": 0.84, "low": None, "high": None}
    assert found["gates"] == {"roc_auc": ["pass: roc_auc: pass", "fail: roc_auc: fail"]}


def test_an_output_that_is_not_what_was_judged_is_not_published(own: Registry, tmp_path: Path) -> None:
    made = workspace(tmp_path / "w")
    (made.workspace / PACKAGE / "data/model/weights.bin").write_bytes(b"evil")
    refused = own.publish(made)
    assert (refused.code, "was judged" in refused.err) == (3, True)
    assert refused.receipt is None


def test_a_report_of_another_run_is_not_published(own: Registry, tmp_path: Path) -> None:
    made = workspace(tmp_path / "w")
    with_report(made.workspace, replace(made.report, params={"word": "other"}))
    assert own.publish(made).code == 3


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a#b", "a?b", "a%2e", "x\n", "", " a", "a'b", "..", "a..b", "x" * 200]
)
def test_a_name_that_could_lead_elsewhere_is_no_models_name(own: Registry, tmp_path: Path, name: str) -> None:
    refused = own.publish(workspace(tmp_path / "w"), model=name)
    assert (refused.code, "model" in refused.err) == (2, True)


@pytest.mark.parametrize("file", ["a#b", "a?b", "a%2e", "a:b", "a\\b", "a\nb"])
def test_a_path_that_could_lead_elsewhere_is_not_published(own: Registry, tmp_path: Path, file: str) -> None:
    made = workspace(tmp_path / "w")
    (made.workspace / PACKAGE / file).write_text("x")
    contents = [
        {**each, "digest": digests.of_path(made.workspace / each["path"]).digest}
        for each in made.request["contents"]
    ]
    refused = own.publish(made, contents=contents)
    assert (refused.code, "cannot be kept by MLflow" in refused.err) == (2, True), refused.err


def test_paths_in_other_scripts_are_kept(server: MlflowServer, tmp_path: Path, name: str) -> None:
    made = workspace(tmp_path / "w")
    report = made.report
    (made.workspace / "build/model/Größe und 重さ.bin").write_text("x")
    contents = [
        {**each, "digest": digests.of_path(made.workspace / each["path"]).digest}
        for each in made.request["contents"]
    ]
    registry = Registry(tmp_path / "state", server.address)
    ended = registry.publish(
        Published(
            made.workspace, {**made.request, "model": name, "package": None, "contents": contents}, report
        )
    )
    assert ended.code == 0, ended.err


def test_a_link_is_not_published(own: Registry, tmp_path: Path) -> None:
    made = workspace(tmp_path / "w")
    (made.workspace / ".penstock-recipe/run/summary.md").unlink()
    (made.workspace / ".penstock-recipe/run/summary.md").symlink_to("/etc/passwd")
    refused = own.publish(made)
    assert (refused.code, "is a link" in refused.err) == (2, True)


def test_unknown_actions_versions_and_aliases_are_refused_in_one_line(
    own: Registry, tmp_path: Path, name: str
) -> None:
    published(own, tmp_path, name, "one")
    for action, request, said in (
        ("explode", {}, "is none of publish, list"),
        ("show", {"version": "0"}, "a version is a number from 1"),
        ("show", {"version": "9"}, "has no version 9"),
        ("show", {"alias": "champion"}, "has no alias 'champion'; its aliases: candidate (version 1)"),
        ("show", {"alias": "latest"}, "neither `latest`"),
        ("show", {}, "name a version or an alias"),
        ("promote", {"version": "1", "to": "previous"}, "follows the champion"),
        ("rollback", {"steps": 0}, "goes 1 to 200"),
        ("show", {"model": "nobody", "version": "1"}, "there is no model 'nobody'"),
        ("list", {"tracking_uri": "ftp://x"}, "give http(s)"),
        ("list", {"tracking_uri": "../x"}, "give http(s)"),
    ):
        ended = own.act(action, **{"model": name, **request})
        assert (ended.code, said in ended.err, len(ended.err.splitlines())) == (2, True, 1), ended.err


def test_the_program_needs_no_more_than_its_lock_file(tmp_path: Path) -> None:
    made = workspace(tmp_path / "w")
    carried(made.workspace, "registry", made.request)
    done = subprocess.run(
        [str(tools_python()), ".penstock-recipe/start.py", "registry", REQUEST],
        cwd=made.workspace, env=Registry(tmp_path / "state").environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "version 1 of 'churn', candidate: registered in the project's registry\n"
    left = {path.name for path in made.workspace.iterdir()}
    assert left == {".penstock-recipe", "build", "receipt.json"}


def test_parallel_moves_of_one_project_wait_for_each_other(own: Registry, tmp_path: Path, name: str) -> None:
    three(own, tmp_path, name)
    ends: list[int] = []

    def move(version: str) -> None:
        other = Registry(own.state)
        ends.append(
            other.run(
                _errand(tmp_path, version), {"action": "promote", "model": name, "version": version}
            ).code
        )

    threads = [threading.Thread(target=move, args=(version,)) for version in ("1", "2")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert ends == [0, 0]
    found = own.act("list", model=name).facts
    assert found["champions"] in (["1", "2", "3", "1", "2"], ["1", "2", "3", "2", "1"])
    assert found["aliases"]["previous"] == found["champions"][-2]


def _errand(tmp_path: Path, name: str) -> Path:
    place = tmp_path / f"errand-{name}"
    place.mkdir()
    return place
