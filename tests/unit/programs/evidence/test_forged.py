"""Evidence that was forged, edited or taken from elsewhere: none of it is accepted, and each is refused in words.

An attacker may write all files, knows every public key and has evidence of other runs; only the private key is
out of reach. The owner asks for a key, and for the run that was published.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils

from evidence_samples import EC, ED25519, METRICS, Made, failing, make, new_key, report, start, workspace
from penstock.programs.common.program import RefusedError
from penstock.programs.evidence import documents, dsse, keys, layout
from penstock.programs.evidence.verify import verify

PROVENANCE, VERDICT = layout.PROVENANCE, layout.VERDICT
ENVELOPES = (f"{PROVENANCE}.dsse.json", f"{VERDICT}.dsse.json")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class World(NamedTuple):
    """What an attacker has.

    Attributes:
        ours: What is attacked.
        failed: Evidence of a run of the same model that failed, by the same key.
        other: Of another model that passed, by the same key.
        older: Of an older run of the same model, by the same key.
        stranger: Of the same model and run, by the attacker's key.
        unsigned: Of the same model and run, by nobody.
        own: The attacker's key.
    """

    ours: Made
    failed: Made
    other: Made
    older: Made
    stranger: Made
    unsigned: Made
    own: keys.PrivateKey


@pytest.fixture(scope="module", params=[EC, ED25519])
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Made once; every forgery works on a copy."""
    root = tmp_path_factory.mktemp("origin")
    key, own = new_key(request.param), new_key(request.param)
    return World(
        ours=make(root / "ours", key=key),
        failed=make(root / "failed", key=key, run=failing()),
        other=make(root / "other", key=key, model=b"other weights" * 100),
        older=make(
            root / "older", key=key, run=report("20250101T000000Z-000000", params={"train": {"old": 1}})
        ),
        stranger=make(root / "stranger", key=own),
        unsigned=make(root / "unsigned", kind=None),
        own=own,
    )


@pytest.fixture
def world(origin: World, tmp_path: Path) -> World:
    """With a copy of what is attacked."""
    return origin._replace(ours=origin.ours.copy(tmp_path / "ours"))


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Edit a file of JSON, written as Penstock writes."""
    document = json.loads(path.read_bytes())
    path.write_bytes(documents.encode(change(document) or document))


def replace_files(world: World, source: Made, *names: str) -> None:
    for name in names:
        shutil.copyfile(source.evidence / name, world.ours.evidence / name)


def taken(source: str, *names: str) -> Callable[[World], None]:
    """Files of other evidence in place of ours, all if none is named; the index says what lies there then."""

    def forge(world: World) -> None:
        other: Made = getattr(world, source)
        replace_files(world, other, *(names or [path.name for path in other.evidence.iterdir()]))
        world.ours.index()

    return forge


def envelope(change: Callable[[dict[str, Any]], Any]) -> Callable[[World], None]:
    """A change of the envelope of the provenance, on which everything hangs."""

    def forge(world: World) -> None:
        edit(world.ours.evidence / ENVELOPES[0], change)
        world.ours.index()

    return forge


def statement(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[World], None]:
    """A change of what is said under the old signature."""

    def forge(world: World) -> None:
        said = world.ours.payload(name)
        change(said)

        def put(document: dict[str, Any]) -> None:
            document["payload"] = base64.b64encode(documents.encode(said)).decode()

        edit(world.ours.evidence / f"{name}.dsse.json", put)
        world.ours.index()

    return forge


def resigned(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[World], None]:
    """A change of what is said, signed by the attacker under the owner's public key."""

    def forge(world: World) -> None:
        said = world.ours.payload(name)
        change(said)
        world.ours.write(name, said, world.own)
        if name != PROVENANCE:
            world.ours.adopt(world.own)
        world.ours.index()

    return forge


def raw(change: Callable[[bytes], bytes]) -> Callable[[World], None]:
    """A change of the bytes of the provenance's envelope."""

    def forge(world: World) -> None:
        path = world.ours.evidence / ENVELOPES[0]
        path.write_bytes(change(path.read_bytes()))
        world.ours.index()

    return forge


def _gates_pass(said: dict[str, Any]) -> None:
    predicate = said["predicate"]
    for gate in predicate["penstock_gates"]:
        gate["verdict"] = "pass"
    names = [gate["name"] for gate in predicate["penstock_gates"]]
    predicate |= {"result": "PASSED", "penstock_passed": True, "passedTests": names, "failedTests": []}
    predicate["warnedTests"] = []


def _failed_edited(world: World) -> None:
    replace_files(world, world.failed, *(path.name for path in world.failed.evidence.iterdir()))
    statement(VERDICT, _gates_pass)(world)


def _failed_resigned(world: World) -> None:
    replace_files(world, world.failed, *(path.name for path in world.failed.evidence.iterdir()))
    resigned(VERDICT, _gates_pass)(world)


def _another_subject(said: dict[str, Any]) -> None:
    for each in said["subject"]:
        each["digest"] = dict.fromkeys(each["digest"], "0" * 64)


def _fewer_subjects(said: dict[str, Any]) -> None:
    said["subject"] = said["subject"][:1]


def _all_by_the_attacker(world: World) -> None:
    shutil.rmtree(world.ours.evidence)
    shutil.copytree(world.stranger.evidence, world.ours.evidence)


def _attackers_statements_owners_key(world: World) -> None:
    _all_by_the_attacker(world)
    (world.ours.evidence / layout.PUBLIC_KEY).write_bytes(world.ours.public_key or b"")
    world.ours.index()


def _attacker_claims_owners_keyid(world: World) -> None:
    _attackers_statements_owners_key(world)
    assert world.ours.key is not None
    keyid = keys.fingerprint(world.ours.key.public_key())

    def claim(document: dict[str, Any]) -> None:
        document["signatures"][0]["keyid"] = keyid

    for name in ENVELOPES:
        edit(world.ours.evidence / name, claim)
    world.ours.index()


def _not_signed(world: World) -> None:
    shutil.rmtree(world.ours.evidence)
    shutil.copytree(world.unsigned.evidence, world.ours.evidence)


def _stripped(world: World) -> None:
    for name in (PROVENANCE, VERDICT):
        world.ours.write(name, world.ours.payload(name), None)
        (world.ours.evidence / f"{name}.dsse.json").unlink()
    for name in (layout.PUBLIC_KEY, layout.MODEL_SIGNATURE):
        (world.ours.evidence / name).unlink()
    world.ours.index()


def _two_keys(world: World) -> None:
    path = world.ours.evidence / layout.PUBLIC_KEY
    path.write_bytes(keys.pem(world.own.public_key()) + path.read_bytes())
    world.ours.index()


def _other_envelope_key(kind: str) -> Callable[[World], None]:
    """Algorithm confusion: the owner's public key as the secret of another algorithm, or a key of another kind."""

    def forge(world: World) -> None:
        key: Any = {
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
            "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
            EC: lambda: ec.generate_private_key(ec.SECP256R1()),
            ED25519: ed25519.Ed25519PrivateKey.generate,
        }[kind]()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
        (world.ours.evidence / layout.PUBLIC_KEY).write_bytes(public)
        if kind in (EC, ED25519):
            for name in (VERDICT, PROVENANCE):
                world.ours.write(name, world.ours.payload(name), key)
        world.ours.index()

    return forge


def _hmac(world: World) -> None:
    import hashlib
    import hmac

    def put(document: dict[str, Any]) -> None:
        payload = dsse.pae(base64.b64decode(document["payload"]))
        mac = hmac.new(world.ours.public_key or b"", payload, hashlib.sha256).digest()
        document["signatures"][0]["sig"] = base64.b64encode(mac).decode()

    edit(world.ours.evidence / ENVELOPES[0], put)
    world.ours.index()


def _signed_without_type(world: World) -> None:
    """The payload itself signed, and not with its type (what DSSE's encoding is there against)."""
    own = new_key(EC)

    def put(document: dict[str, Any]) -> None:
        signature = keys.sign(own, base64.b64decode(document["payload"]))
        document["signatures"][0]["sig"] = base64.b64encode(signature).decode()

    edit(world.ours.evidence / ENVELOPES[0], put)
    world.ours.index()


def _exchanged_roles(world: World) -> None:
    """Each statement under the other's name, both signatures sound."""
    one, other = (world.ours.evidence / name for name in ENVELOPES)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    world.ours.index()


def _model_signature_as_provenance(world: World) -> None:
    bundle = json.loads((world.ours.evidence / layout.MODEL_SIGNATURE).read_bytes())
    (world.ours.evidence / ENVELOPES[0]).write_bytes(documents.encode(bundle["dsseEnvelope"]))
    world.ours.index()


def _second_form(world: World) -> None:
    """The same signature in its other valid form (r, n - s); for Ed25519, s + L."""

    def put(document: dict[str, Any]) -> None:
        signature = base64.b64decode(document["signatures"][0]["sig"])
        if isinstance(world.ours.key, ec.EllipticCurvePrivateKey):
            first, second = utils.decode_dss_signature(signature)
            forged = utils.encode_dss_signature(first, ORDER - second)
            # it is valid: only the form gives it away
            public = world.ours.key.public_key()
            public.verify(forged, dsse.pae(base64.b64decode(document["payload"])), ec.ECDSA(hashes.SHA256()))
        else:
            order = 2**252 + 27742317777372353535851937790883648493
            second = (int.from_bytes(signature[32:], "little") + order) % 2**256
            forged = signature[:32] + second.to_bytes(32, "little")
        document["signatures"][0]["sig"] = base64.b64encode(forged).decode()

    edit(world.ours.evidence / ENVELOPES[0], put)
    world.ours.index()


def _sbom(world: World) -> None:
    path = world.ours.evidence / "sbom-serving.cdx.json"
    path.write_bytes(path.read_bytes().replace(b"numpy", b"numpi"))
    world.ours.index()


def _sboms_exchanged(world: World) -> None:
    one, other = (world.ours.evidence / f"sbom-{name}.cdx.json" for name in ("training", "serving"))
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    world.ours.index()


def _sbom_gone(world: World) -> None:
    (world.ours.evidence / "sbom-serving.cdx.json").unlink()
    world.ours.index()


def _sbom_more(world: World) -> None:
    shutil.copyfile(
        world.ours.evidence / "sbom-serving.cdx.json", world.ours.evidence / "sbom-other.cdx.json"
    )
    world.ours.index()


def _file_more(world: World) -> None:
    (world.ours.evidence / "evil.py").write_text("import os\n", encoding="utf-8")


def _folder_more(world: World) -> None:
    (world.ours.evidence / ".git").mkdir()


def _gone(name: str) -> Callable[[World], None]:
    def forge(world: World) -> None:
        (world.ours.evidence / name).unlink()
        if name != layout.INDEX:
            world.ours.index()

    return forge


def _linked(name: str) -> Callable[[World], None]:
    """A link to the very same bytes, which could be others a moment later."""

    def forge(world: World) -> None:
        path = world.ours.evidence / name
        elsewhere = world.ours.root / name
        path.rename(elsewhere)
        path.symlink_to(elsewhere)

    return forge


def _linked_evidence(world: World) -> None:
    world.ours.evidence.rename(world.ours.root / "elsewhere")
    world.ours.evidence.symlink_to(world.ours.root / "elsewhere")


def _pipe(world: World) -> None:
    (world.ours.evidence / layout.RUN).unlink()
    os.mkfifo(world.ours.evidence / layout.RUN)


def _huge(name: str) -> Callable[[World], None]:
    def forge(world: World) -> None:
        os.truncate(world.ours.evidence / name, 65 << 20)

    return forge


def _huge_together(world: World) -> None:
    for number in range(20):
        path = world.ours.evidence / f"sbom-{chr(97 + number)}.cdx.json"
        path.touch()
        os.truncate(path, 60 << 20)


def _index(change: Callable[[dict[str, Any]], Any]) -> Callable[[World], None]:
    return lambda world: edit(world.ours.evidence / layout.INDEX, change)


def _in_model(name: str, data: bytes = b"import os\n") -> Callable[[World], None]:
    def forge(world: World) -> None:
        for folder in (world.ours.model, world.ours.package):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

    return forge


def _only(folder: str, change: Callable[[Path], object]) -> Callable[[World], object]:
    return lambda world: change(getattr(world.ours, folder))


def _link_in_model(path: Path) -> None:
    (path / "labels/classes.txt").rename(path.parent / "classes.txt")
    (path / "labels/classes.txt").symlink_to("../../classes.txt")


def _linked_folder(path: Path) -> None:
    (path / "labels").rename(path.parent / "labels")
    (path / "labels").symlink_to("../labels")


def _linked_model(path: Path) -> None:
    path.rename(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


def _exchange(path: Path) -> None:
    one, other = path / "model.onnx", path / "labels/classes.txt"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def _file_for_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"weights")


def _fifo_in_model(path: Path) -> None:
    os.mkfifo(path / "pipe")


def _stable_run(world: World) -> None:
    path = world.ours.evidence / layout.RUN
    path.write_bytes(path.read_bytes().replace(b'"pipeline": "churn"', b'"pipeline": "other"'))
    world.ours.index()


def _model_statement(
    change: Callable[[dict[str, Any]], Any], *, owner: bool = False
) -> Callable[[World], None]:
    """A change of what the model's own signature says; with `owner`, signed with the owner's key."""

    def forge(world: World) -> None:
        path = world.ours.evidence / layout.MODEL_SIGNATURE
        bundle = json.loads(path.read_bytes())
        said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(said)
        key = world.ours.key if owner else world.own
        assert key is not None
        bundle["dsseEnvelope"] = dsse.seal(documents.encode(said), key)
        path.write_bytes(documents.encode(bundle))
        world.ours.adopt(key)

    return forge


def _ignored(said: dict[str, Any]) -> None:
    said["predicate"]["serialization"]["ignore_paths"] = [".github"]


def _resource_gone(said: dict[str, Any]) -> None:
    said["predicate"]["resources"].pop()


def _escape(text: bytes) -> bytes:
    return text.replace(b"payloadType", b"\\u0070ayloadType")


def _second_name(text: bytes) -> bytes:
    return text.replace(b'{"payload":', b'{"payload":"e30=","payload":', 1)


FORGERIES: Mapping[str, Callable[[World], object]] = {
    # another's evidence
    "the whole evidence of another model": taken("other"),
    "a replay of an older run of the same model": taken("older"),
    "the verdict of another run": taken("older", ENVELOPES[1]),
    "the verdict and the run of another run": taken("older", ENVELOPES[1], layout.RUN),
    "the provenance of another run": taken("older", ENVELOPES[0]),
    "the verdict about another model": taken("other", ENVELOPES[1]),
    "the signature of another model": taken("other", layout.MODEL_SIGNATURE),
    "the evidence of a run that failed": taken("failed"),
    # verdicts
    "a failing gate edited to pass": _failed_edited,
    "a failing gate edited to pass, by another key": _failed_resigned,
    "a passing verdict without its gates": statement(
        VERDICT, lambda said: said["predicate"].update(penstock_gates=[])
    ),
    "a gate that is no longer required": statement(
        VERDICT, lambda said: said["predicate"]["penstock_gates"][0].update(required=False)
    ),
    # subjects
    "swapped subjects": statement(PROVENANCE, _another_subject),
    "swapped subjects, by another key": resigned(PROVENANCE, _another_subject),
    "fewer subjects": statement(VERDICT, _fewer_subjects),
    "another type of statement": statement(
        PROVENANCE, lambda said: said.update(predicateType="https://x/v1")
    ),
    "another commit": statement(
        PROVENANCE,
        lambda said: said["predicate"]["buildDefinition"]["resolvedDependencies"][0].update(
            digest={"gitCommit": "0" * 40}
        ),
    ),
    "a higher level": statement(
        PROVENANCE,
        lambda said: said["predicate"]["runDetails"]["builder"].update(penstock_level="SLSA_BUILD_LEVEL_3"),
    ),
    # keys
    "everything by the attacker's key": _all_by_the_attacker,
    "the attacker's statements beside the owner's key": _attackers_statements_owners_key,
    "the attacker's statements in the name of the owner's key": _attacker_claims_owners_keyid,
    "not signed where a key is demanded": _not_signed,
    "signatures stripped": _stripped,
    "a second key beside the owner's": _two_keys,
    "no key": _gone(layout.PUBLIC_KEY),
    "an RSA key": _other_envelope_key("rsa"),
    "a key of another curve": _other_envelope_key("p384"),
    "a new EC key": _other_envelope_key(EC),
    "a new Ed25519 key": _other_envelope_key(ED25519),
    "a MAC with the public key as its secret": _hmac,
    # envelopes
    "no signature": envelope(lambda found: found.update(signatures=[])),
    "the signature twice": envelope(lambda found: found.update(signatures=found["signatures"] * 2)),
    "a bad signature before the good one": envelope(
        lambda found: found["signatures"].insert(0, {"keyid": "", "sig": "AAAA"})
    ),
    "a foreign signature behind the good one": envelope(
        lambda found: found["signatures"].append({"keyid": "sha256:0", "sig": "AAAA"})
    ),
    "an empty signature": envelope(lambda found: found["signatures"][0].update(sig="")),
    "a signature that is null": envelope(lambda found: found["signatures"][0].update(sig=None)),
    "another keyid": envelope(lambda found: found["signatures"][0].update(keyid="sha256:" + 64 * "0")),
    "no keyid": envelope(lambda found: found["signatures"][0].pop("keyid") and None),
    "another type of payload": envelope(lambda found: found.update(payloadType="application/json")),
    "no type of payload": envelope(lambda found: found.pop("payloadType") and None),
    "a payload that is an object": envelope(lambda found: found.update(payload={})),
    "no payload": envelope(lambda found: found.update(payload="")),
    "one field more": envelope(lambda found: found.update(note="trust me")),
    "a field in the signature": envelope(lambda found: found["signatures"][0].update(alg="none")),
    "base64 without padding": envelope(
        lambda found: found.update(payload=found["payload"].rstrip("=") + "\n")
    ),
    "base64 for addresses": envelope(
        lambda found: found["signatures"][0].update(
            sig=found["signatures"][0]["sig"].replace("+", "-").replace("/", "_").replace("=", "")
        )
    ),
    "base64 in lines": envelope(
        lambda found: found.update(payload=found["payload"][:64] + "\n" + found["payload"][64:])
    ),
    "base64 with loose bits": envelope(
        lambda found: found["signatures"][0].update(sig=_loose(found["signatures"][0]["sig"]))
    ),
    "the signature in its other form": _second_form,
    "the payload signed without its type": _signed_without_type,
    "statements under each other's names": _exchanged_roles,
    "the model's signature as provenance": _model_signature_as_provenance,
    # JSON
    "a name twice": raw(_second_name),
    "an escaped name": raw(_escape),
    "NaN": raw(lambda text: text.replace(b'{"payload":', b'{"a":NaN,"payload":', 1)),
    "a space more": raw(lambda text: text.replace(b",", b", ", 1)),
    "something behind the end": raw(lambda text: text + b"{}\n"),
    "a byte order mark": raw(lambda text: b"\xef\xbb\xbf" + text),
    "UTF-16": raw(lambda text: text.decode().encode("utf-16")),
    "a thousand brackets": raw(lambda text: b"[" * 100_000),
    "a huge number": raw(
        lambda text: text.replace(b'{"payload":', b'{"a":' + b"9" * 5_000 + b',"payload":', 1)
    ),
    "nothing": raw(lambda text: b""),
    "a list": raw(lambda text: b"[]\n"),
    # files
    "an edited bill of materials": _sbom,
    "bills of materials exchanged": _sboms_exchanged,
    "a bill of materials gone": _sbom_gone,
    "a bill of materials more": _sbom_more,
    "a file more": _file_more,
    "a folder more": _folder_more,
    "no index": _gone(layout.INDEX),
    "no verdict": _gone(ENVELOPES[1]),
    "no run": _gone(layout.RUN),
    "no signature of the model": _gone(layout.MODEL_SIGNATURE),
    "another run in the index": _index(lambda found: found.update(run="sha256:" + 64 * "0")),
    "an index that says unsigned": _index(lambda found: found.update(signed=False)),
    "an index with another digest": _index(
        lambda found: found["files"][layout.RUN].update(digest="sha256:" + 64 * "0")
    ),
    "an index with a file more": _index(lambda found: found["files"].update(more={})),
    "an edited run": _stable_run,
    "evidence behind a link": _linked_evidence,
    "a statement behind a link": _linked(ENVELOPES[1]),
    "a pipe instead of the run": _pipe,
    "a huge statement": _huge(ENVELOPES[0]),
    "a huge index": _huge(layout.INDEX),
    "files that are huge together": _huge_together,
    # the model
    "a changed model": _in_model("model.onnx", b"evil" * 200),
    "a model with a file more": _in_model("evil.py"),
    "a model with .github": _in_model(".github/evil.py"),
    "a model with .git": _in_model(".git/config"),
    "a model with .gitattributes": _in_model(".gitattributes"),
    "a model with a file less": _only("model", lambda path: (path / "labels/classes.txt").unlink()),
    "a package with a file more": _only("package", lambda path: (path / "code.py").write_text("")),
    "a package with a file less": _only("package", lambda path: (path / "MLmodel").unlink()),
    "a model with a link for a file": _only("model", _link_in_model),
    "a model with a link for a folder": _only("model", _linked_folder),
    "a link to the model": _only("model", _linked_model),
    "files of the model exchanged": _only("model", _exchange),
    "a file of the model renamed": _only("model", lambda path: (path / "empty").rename(path / "Empty")),
    "a file for a model": _only("model", _file_for_folder),
    "a pipe in the model": _only("model", _fifo_in_model),
    "a shorter model": _only("model", lambda path: os.truncate(path / "model.onnx", 10)),
    "no model": _only("model", shutil.rmtree),
    # the model's own signature
    "a model's signature by another key": _model_statement(lambda said: None),
    "a model's signature that leaves files out": _model_statement(_resource_gone, owner=True),
    "a model's signature that ignores paths": _model_statement(_ignored, owner=True),
    "a model's signature of another type": _model_statement(
        lambda said: said.update(predicateType="https://model_signing/Digests/v0.1"), owner=True
    ),
}


def _loose(text: str) -> str:
    """The same bytes with other bits behind the last of them, where there are some."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stem = text.rstrip("=")
    if stem == text:
        return text + "===="
    return stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + text[len(stem) :]


def test_what_was_not_touched_is_accepted(world: World) -> None:
    facts = world.ours.verify()
    assert facts["trusted"]
    assert facts["passed"]
    assert facts["checked"] == [METRICS, "build/model", "build/penstock/package-model"][1:]
    assert facts["by_library"] is isinstance(world.ours.key, ec.EllipticCurvePrivateKey)


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_evidence_is_refused(world: World, forge: Callable[[World], object]) -> None:
    forge(world)
    with pytest.raises(RefusedError) as caught:
        world.ours.verify()
    said = str(caught.value)
    assert said
    assert "\n" not in said


def test_a_replay_is_told_from_the_run_that_is_asked_for_and_from_nothing_else(origin: World) -> None:
    older = origin.older.verify(run=None)
    assert older["run_id"] == "20250101T000000Z-000000"
    assert older["run"] != origin.ours.run


def test_an_override_can_let_a_failed_verdict_through_and_nothing_else(origin: World, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="its gates did not let this model through"):
        origin.failed.verify()
    facts = origin.failed.verify(demand_pass=False)
    assert not facts["passed"]
    forged = origin.failed.copy(tmp_path / "failed")
    (forged.model / "model.onnx").write_bytes(b"evil")
    with pytest.raises(RefusedError, match="holds other bytes than were judged"):
        forged.verify(demand_pass=False)


@pytest.mark.parametrize("folder", ["model", "package"])
def test_what_the_evidence_does_not_speak_about_is_refused(tmp_path: Path, folder: str) -> None:
    request = workspace(tmp_path, report())
    request |= {"package": None, "contents": request["contents"][1:], "key": None}
    assert start(tmp_path, request, None) == 0
    places = {"model": None, "package": None, folder: tmp_path / METRICS}
    with pytest.raises(RefusedError, match=f"speaks about no {folder}"):
        verify(tmp_path / request["result"], places["model"], package=places["package"])


def test_where_nothing_of_the_model_lies_nothing_is_verified(origin: World, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="holds nothing of the model"):
        origin.ours.verify(model=None, package=None, root=tmp_path)
    facts = origin.ours.verify(model=None, package=None, root=origin.ours.root)
    assert facts["absent"] == []
    assert len(facts["checked"]) == 3


def test_one_of_several_keys_may_have_signed(origin: World) -> None:
    bundle = keys.pem(origin.own.public_key()) + b"the older one\n" + (origin.ours.public_key or b"")
    assert origin.ours.verify(public_key=bundle)["trusted"]
    with pytest.raises(RefusedError, match="holds no public key"):
        origin.ours.verify(public_key=b"")
    with pytest.raises(RefusedError, match="cannot be read"):
        origin.ours.verify(public_key=b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")


def test_without_a_key_it_is_said_that_nobody_vouches(origin: World) -> None:
    facts = origin.stranger.verify(public_key=None)
    assert (facts["signed"], facts["trusted"]) == (True, False)
    facts = origin.unsigned.verify()
    assert (facts["signed"], facts["trusted"], facts["key"]) == (False, False, None)


def test_there_are_more_than_thirty_kinds() -> None:
    assert len(FORGERIES) > 30
