"""Artifacts: the same run is the same bytes, tags never name what is not whole, and the alias comes last."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import oras.client
import pytest

import oci_samples
from docker_registry import Registry
from fault_proxy import FaultProxy, answer
from oci_samples import Asked, Workspace

EVIDENCE = "build/penstock/evidence"


def place(registry: Registry, name: str) -> str:
    return f"127.0.0.1:{registry.port}/{name}"


def evidence(root: Path, key: str | None) -> str:
    (root / EVIDENCE).mkdir(parents=True, exist_ok=True)
    for file in (root / EVIDENCE).iterdir():
        file.unlink()
    (root / EVIDENCE / "verdict.dsse.json").write_text(json.dumps({"payload": os.urandom(8).hex()}))
    (root / EVIDENCE / "sbom-training.cdx.json").write_text("{}")
    if key is not None:
        (root / EVIDENCE / "public-key.pem").write_text(key)
    return EVIDENCE


def test_the_same_run_is_the_same_artifact_on_any_machine(
    registry: Registry, name: str, tmp_path: Path, asked: Asked
) -> None:
    digests = []
    for at in range(2):
        one = oci_samples.workspace(tmp_path / f"w{at}")
        os.utime(one.root / "build/model/weights.bin", (at, at))
        (one.root / "build/metrics.json").chmod(0o600 + 0o44 * at)
        assert asked(one, one.request(registry.port, repository=place(registry, f"{name}-{at}")))[0] == 0
        digests.append(one.receipt()["publications"][0]["digest"])
    assert digests[0] == digests[1]
    other = oci_samples.workspace(tmp_path / "other", seed=2)
    assert asked(other, other.request(registry.port, repository=place(registry, f"{name}-other")))[0] == 0
    assert other.receipt()["publications"][0]["digest"] != digests[0]


def test_publishing_again_makes_nothing_twice(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    with FaultProxy(registry.place) as proxy:
        request = ran.request(proxy.port, repository=f"127.0.0.1:{proxy.port}/{name}")
        assert asked(ran, request)[0] == 0
        first = ran.receipt()
        (ran.root / ".penstock-recipe/run/run.json").write_text("a later run of the same")
        proxy.clear()
        assert asked(ran, request)[0] == 0
    assert {seen.method for seen in proxy.seen} == {"GET", "HEAD"}
    (was,), (now,) = first["publications"], ran.receipt()["publications"]
    assert (was["state"], now["state"]) == ("written", "unchanged")
    assert (was["digest"], first["facts"]) == (now["digest"], ran.receipt()["facts"])


def test_the_manifest_has_the_layout_of_modelpack(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    assert asked(ran, ran.request(registry.port, repository=place(registry, name)))[0] == 0
    data = registry.manifest(name, "1.4.0")
    assert data is not None
    manifest = json.loads(data)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    kinds = {
        layer["annotations"]["org.cncf.model.filepath"]: layer["mediaType"] for layer in manifest["layers"]
    }
    assert kinds == {
        "build/metrics.json": "application/vnd.cncf.model.doc.v1.raw",
        "build/model": "application/vnd.cncf.model.weight.v1.tar",
        "build/predictions.csv": "application/vnd.cncf.model.dataset.v1.raw",
        "build/serve.sh": "application/vnd.cncf.model.doc.v1.tar",
        "penstock/stable.json": "application/vnd.cncf.model.doc.v1.raw",
    }
    _, config = registry.get(f"/v2/{name}/blobs/{manifest['config']['digest']}")
    assert json.loads(config) == {
        "descriptor": {"name": "churn"},
        "config": {},
        "modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in manifest["layers"]]},
    }


def test_the_alias_is_moved_last_and_only_the_alias_is_moved(
    registry: Registry, name: str, tmp_path: Path, asked: Asked
) -> None:
    first, second = (oci_samples.workspace(tmp_path / f"w{seed}", seed=seed) for seed in (1, 2))
    with FaultProxy(registry.place) as proxy:
        repository = f"127.0.0.1:{proxy.port}/{name}"
        tags = ["1.4.0", "c0ffee", "{digest}"]
        assert asked(first, first.request(0, repository=repository, tags=tags))[0] == 0
        changes = [seen.path.rpartition("/")[2] for seen in proxy.seen if seen.method == "PUT"]
        digest = first.receipt()["publications"][0]["digest"]
        assert changes[-4:] == ["1.4.0", "c0ffee", f"sha256-{digest[7:19]}", "latest"]
        code, said = asked(second, second.request(0, repository=repository, tags=["1.4.0"]))
        assert (code, "only an alias is moved" in said) == (3, True)
        assert registry.sound(name)["latest"] == digest
        proxy.clear()
        assert asked(second, second.request(0, repository=repository, tags=["1.5.0"]))[0] == 0
    assert [seen.path.rpartition("/")[2] for seen in proxy.seen if seen.method == "PUT"][-2:] == [
        "1.5.0",
        "latest",
    ]
    now = registry.sound(name)
    assert now["1.4.0"] == digest != now["1.5.0"] == now["latest"]


def test_without_an_alias_only_the_tags_are_given(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    assert (
        asked(ran, ran.request(0, repository=place(registry, name), alias=None, tags=["a", "b", "a"]))[0] == 0
    )
    assert [tag for tag in registry.tags(name) if not tag.startswith("sha256-")] == ["a", "b"]


@pytest.mark.parametrize("what", ["a file", "a directory", "an executable bit", "the run"])
def test_what_is_not_what_was_judged_is_refused_before_anything_is_pushed(
    registry: Registry, name: str, ran: Workspace, asked: Asked, what: str
) -> None:
    match what:
        case "a file":
            (ran.root / "build/metrics.json").write_text("{}")
        case "a directory":
            (ran.root / "build/model/weights.bin").write_bytes(b"others")
        case "an executable bit":
            (ran.root / "build/model/weights.bin").chmod(0o755)
        case _:
            (ran.root / ".penstock-recipe/run/stable.json").write_text("{}")
    with FaultProxy(registry.place) as proxy:
        code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}"))
    assert (code, "was judged" in said, proxy.seen) == (3, True, [])


def test_what_no_artifact_can_hold_is_named(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    (ran.root / "build/model/away").symlink_to("../../secret")
    code, said = asked(ran, ran.request(0, repository=place(registry, name)))
    assert (code, said) == (
        2,
        "build/model/away: a link that leads out of build/model; no artifact can hold it\n",
    )
    (ran.root / "build/model/away").unlink()
    os.mkfifo(ran.root / "build/model/pipe")
    assert asked(ran, ran.request(0, repository=place(registry, name)))[0] == 2
    (ran.root / "build/model/pipe").unlink()
    (ran.root / "build/metrics.json").unlink()
    code, said = asked(ran, ran.request(0, repository=place(registry, name)))
    assert (code, said) == (2, "build/metrics.json: is not there, so it cannot be published\n")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("repository", "churn", "repository 'churn'"),
        ("repository", "Registry.example.com/ML/churn", "lower case"),
        ("repository", "https://registry.example.com/ml", "host"),
        ("repository", "a.b/../../etc", "host"),
        ("tags", ["-x"], "tag '-x'"),
        ("tags", ["a/b"], "tag 'a/b'"),
        ("alias", "x" * 129, "at most 128"),
        ("action", "delete", "is none of push-artifact"),
        ("username", "NOBODY_SETS_THIS", "NOBODY_SETS_THIS is empty or not set"),
        ("password", "NOBODY_SETS_THIS", "username: there is none"),
    ],
)
def test_requests_that_make_no_sense_are_unusable(
    registry: Registry, name: str, ran: Workspace, asked: Asked, *, key: str, value: Any, complaint: str
) -> None:
    code, said = asked(ran, ran.request(0, repository=place(registry, name)) | {key: value})
    assert (code, complaint in said) == (2, True), said


def test_a_package_is_one_layer_however_it_is_named(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    package = "build/penstock/package-model"
    (ran.root / package).mkdir(parents=True)
    (ran.root / package / "MLmodel").write_text("flavors: {}\n")
    found = []
    for listed in (False, True):
        judged = oci_samples.judged(ran.root, package, "package", "directory")
        contents = [*ran.contents, *([judged] if listed else [])]
        request = ran.request(
            0, repository=place(registry, name), package=package, contents=contents, tags=[]
        )
        assert asked(ran, request)[0] == 0
        found.append(sorted(layer["path"] for layer in ran.receipt()["facts"]["layers"]))
    assert found[0] == found[1]
    assert found[0].count(package) == 1


def test_evidence_refers_to_the_artifact_and_leaves_its_digest_alone(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    request = ran.request(0, repository=place(registry, name))
    assert asked(ran, request)[0] == 0
    bare = ran.receipt()["facts"]
    signed = request | {"evidence": evidence(ran.root, "key one")}
    assert asked(ran, signed)[0] == 0
    (publication,), facts = ran.receipt()["publications"], ran.receipt()["facts"]
    assert (facts["manifest"], publication["state"]) == (bare["manifest"], "written")
    evidence(ran.root, "key one")  # signed anew: other bytes of the same
    assert asked(ran, signed)[0] == 0
    assert ran.receipt()["facts"]["evidence"] == facts["evidence"]
    assert asked(ran, request | {"action": "verify", "reference": "latest"})[0] == 0
    signers = {each["signer"] for each in ran.receipt()["facts"]["evidence"]}
    assert signers == {"none", "sha256:" + hashlib.sha256(b"key one").hexdigest()}
    data = registry.manifest(name, facts["evidence"])
    assert data is not None
    assert json.loads(data)["subject"]["digest"] == facts["manifest"]


def test_a_list_of_what_refers_keeps_what_others_wrote_there(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    request = ran.request(0, repository=place(registry, name))
    assert asked(ran, request)[0] == 0
    bare = ran.receipt()["facts"]
    data = registry.manifest(name, bare["manifest"].replace(":", "-"))
    assert data is not None
    index = json.loads(data)
    others = index["manifests"][0] | {
        "artifactType": "application/x-of-others",
        "annotations": {"by": "them"},
    }
    kind = index["mediaType"]
    changed = json.dumps(index | {"manifests": [others]}).encode()
    assert oci_samples.put(registry, name, bare["manifest"].replace(":", "-"), changed, kind) == 201
    assert asked(ran, request | {"evidence": evidence(ran.root, None)})[0] == 0
    assert ran.receipt()["publications"][0]["state"] == "written"
    listed = registry.referrers(name, bare["manifest"])
    assert (len(listed), others in listed) == (2, True)


def test_a_registrys_own_list_of_referrers_is_used_where_it_has_one(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    with FaultProxy(registry.place) as proxy:
        kind = "application/vnd.oci.image.index.v1+json"
        index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": []}).encode()
        proxy.rule(answer(200, {"Content-Type": kind}, index), path="/referrers/")
        assert asked(ran, ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}"))[0] == 0
    assert registry.tags(name) == ["1.4.0", "latest"]


def test_oras_by_itself_can_pull_it(
    registry: Registry, name: str, ran: Workspace, asked: Asked, tmp_path: Path
) -> None:
    assert asked(ran, ran.request(0, repository=place(registry, name)))[0] == 0
    client = oras.client.OrasClient(insecure=True)
    client.pull(target=f"{place(registry, name)}:latest", outdir=str(tmp_path / "got"))
    for path in ("build/metrics.json", "build/predictions.csv"):
        assert (tmp_path / "got" / path).read_bytes() == (ran.root / path).read_bytes()
    assert (tmp_path / "got/build/model.tar").stat().st_size > 200_000


def test_progress_is_told_and_large_layers_pass_through(
    registry: Registry, name: str, tmp_path: Path, asked: Asked
) -> None:
    one = oci_samples.workspace(tmp_path / "large", weights_bytes=20_000_000)
    assert asked(one, one.request(0, repository=place(registry, name)))[0] == 0
    assert one.receipt()["publications"][0]["size_bytes"] > 20_000_000
    registry.sound(name)
