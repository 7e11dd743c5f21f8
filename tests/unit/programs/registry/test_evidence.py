"""Versions with signed evidence: promoted and loaded only with it, and only signed by the key that is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import evidence_samples
from evidence_samples import EVIDENCE, KEY, LOCK, PACKAGE
from penstock.programs.evidence import keys
from penstock.results import Verdict
from registry_samples import Published, Registry, again, gate, workspace

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


def with_evidence(made: Published, key: keys.PrivateKey | None) -> Published:
    """The same run with what the program `evidence` says of it."""
    asked = {
        **{name: made.request[name] for name in ("contents", "package", "run")},
        "action": "create",
        "environments": {"training": [LOCK], "serving": [LOCK]},
        "key": None if key is None else KEY,
        "result": EVIDENCE,
        "receipt": "evidence-receipt.json",
    }
    assert (
        evidence_samples.start(made.workspace, asked, None if key is None else evidence_samples.pem(key)) == 0
    )
    return Published(made.workspace, {**made.request, "evidence": EVIDENCE}, made.report)


@pytest.fixture
def key() -> Any:
    return evidence_samples.new_key(evidence_samples.EC)


def written(place: Path, key: Any) -> str:
    place.write_bytes(keys.pem(key.public_key()))
    return str(place)


def test_a_version_is_promoted_and_loaded_with_the_key_that_signed_it_and_no_other(
    own: Registry, tmp_path: Path, key: Any
) -> None:
    assert own.publish(with_evidence(workspace(tmp_path / "w"), key)).code == 0
    other = written(tmp_path / "other.pem", evidence_samples.new_key(evidence_samples.ED25519))
    override = {"name": "Ada", "reason": "I want it"}
    for request in ({}, {"override": override}):
        refused = own.act("promote", version="1", who="me", public_key=other, **request)
        assert (refused.code, "signed by key" in refused.err) == (3, True), refused.err
    public = written(tmp_path / "public.pem", key)
    promoted = own.act("promote", version="1", who="me", public_key=public).facts
    assert (promoted["evidence"]["signed"], promoted["evidence"]["trusted"]) == (True, True)
    loaded = own.act("load", alias="champion", to=str(tmp_path / "to"), public_key=public).facts
    assert loaded["evidence"]["checked"] == [PACKAGE]
    assert own.act("load", alias="champion", to=str(tmp_path / "to 2"), public_key=other).code == 3


def test_a_key_is_no_use_without_evidence(own: Registry, tmp_path: Path, key: Any) -> None:
    public = written(tmp_path / "public.pem", key)
    assert own.publish(workspace(tmp_path / "w")).code == 0
    refused = own.act("promote", version="1", who="me", public_key=public)
    assert (refused.code, "has no evidence" in refused.err) == (3, True)
    assert own.publish(with_evidence(workspace(tmp_path / "w2", "second"), None)).code == 0
    refused = own.act("promote", version="2", who="me", public_key=public)
    assert (refused.code, "not signed" in refused.err) == (3, True)


def test_evidence_that_was_changed_or_is_of_another_run_is_refused(
    own: Registry, tmp_path: Path, key: Any
) -> None:
    public = written(tmp_path / "public.pem", key)
    assert own.publish(with_evidence(workspace(tmp_path / "one"), key)).code == 0
    assert own.publish(with_evidence(workspace(tmp_path / "two", "second"), key)).code == 0
    first, second = (
        next(
            path.parent
            for path in own.state.glob("mlflow/artifacts/*/*/artifacts/evidence")
            if word in _text(path)
        )
        for word in ("first", "second")
    )
    listing = (first / "penstock/contents.json").read_bytes()
    for path in (second / "evidence").iterdir():  # together with the list, which an attacker would change too
        (first / "evidence" / path.name).write_bytes(path.read_bytes())
    (first / "penstock/contents.json").write_bytes(listing)
    assert own.act("promote", version="1", who="me", public_key=public).code == 3
    theirs = (second / "penstock/contents.json").read_text()
    run = {name: _run(folder) for name, folder in (("first", first), ("second", second))}
    (first / "penstock/contents.json").write_text(theirs.replace(run["second"], run["first"]))
    assert own.act("promote", version="1", who="me", public_key=public).code == 3
    assert own.act("promote", version="2", who="me", public_key=public).code == 0


def _text(evidence: Path) -> str:
    return (evidence.parent / "outputs/build/predictions.csv").read_text()


def _run(folder: Path) -> str:
    from penstock import digest

    return digest.of_file(folder / "penstock/stable.json")


def test_a_run_that_was_published_without_evidence_gets_it_later(
    own: Registry, tmp_path: Path, key: Any
) -> None:
    public = written(tmp_path / "public.pem", key)
    made = workspace(tmp_path / "w")
    assert own.publish(made).code == 0
    later = again(made)
    ended = own.publish(with_evidence(later, key))
    assert ended.code == 0, ended.err
    assert ended.facts["version"] == "1"
    assert (
        own.act("promote", version="1", who="me", public_key=public).facts["evidence"]["run"] == made.digest
    )
    assert own.publish(with_evidence(again(made), key)).code == 0  # and keeps it
    assert own.act("load", alias="champion", to=str(tmp_path / "to"), public_key=public).code == 0


def test_an_override_answers_for_a_verdict_that_is_signed(own: Registry, tmp_path: Path, key: Any) -> None:
    public = written(tmp_path / "public.pem", key)
    made = workspace(tmp_path / "w", gates=(gate(Verdict.FAIL),))
    assert own.publish(with_evidence(made, key)).code == 0
    assert own.act("promote", version="1", who="me", public_key=public).code == 3
    override = {"name": "Ada", "reason": "tried by hand"}
    assert own.act("promote", version="1", who="me", public_key=public, override=override).code == 0
