"""Evidence as others read it: the libraries of in-toto, DSSE, model signing and CycloneDX, and openssl."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from evidence_samples import (
    EC,
    ED25519,
    EVIDENCE,
    KEY,
    LOCK,
    METRICS,
    MODEL,
    Made,
    failing,
    make,
    new_key,
    pem,
    report,
    start,
    workspace,
)
from penstock.plan import carrying, exchange
from penstock.programs.common.program import RefusedError
from penstock.programs.evidence import keys, layout, requirements
from penstock.record import replace
from penstock.redact import Redactor

KINDS = [EC, ED25519]
STATEMENTS = [layout.PROVENANCE, layout.VERDICT]


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), kind=request.param)


def envelope(made: Made, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.evidence / f"{name}.dsse.json").read_bytes())
    return found


def their_key(made: Made) -> SSlibKey:
    assert made.key is not None
    public = made.key.public_key()
    return SSlibKey.from_crypto(public, keyid=keys.fingerprint(public))


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_library_of_dsse_accepts_the_envelopes(made: Made, name: str) -> None:
    read = Envelope.from_dict(envelope(made, name))
    assert read.payload_type == "application/vnd.in-toto+json"
    assert len(read.verify([their_key(made)], threshold=1)) == 1


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_library_of_in_toto_accepts_the_statements(made: Made, name: str) -> None:
    statement = statement_pb2.Statement()
    json_format.Parse(base64.b64decode(envelope(made, name)["payload"]), statement)
    Statement.copy_from_pb(statement).validate()


@pytest.mark.parametrize(
    ("name", "kind"),
    [(layout.PROVENANCE, provenance_pb2.Provenance), (layout.VERDICT, test_result_pb2.TestResult)],
)
def test_the_predicates_have_the_fields_of_their_types_and_no_others_but_our_own(
    made: Made, name: str, kind: Callable[[], Any]
) -> None:
    def without_own(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_own(each) for key, each in value.items() if not key.startswith("penstock_")}
        return [without_own(each) for each in value] if isinstance(value, list) else value

    said = without_own(made.payload(name)["predicate"])
    assert json_format.ParseDict(said, kind()).IsInitialized()


def test_the_command_of_model_signing_accepts_the_model(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.model / ".github").mkdir()
    (made.model / ".github/workflow.yml").write_text("on: push\n")
    # with files of git, which it would ignore by itself
    made = make(tmp_path, key=made.key)
    command = [
        sys.executable,
        "-m",
        "model_signing",
        "verify",
        "key",
        str(made.model),
        "--no-ignore-git-paths",
    ]
    command += ["--signature", str(made.evidence / layout.MODEL_SIGNATURE)]
    command += ["--public_key", str(made.evidence / layout.PUBLIC_KEY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made.model / ".github/evil.py").write_text("import os\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_openssl_accepts_an_envelope(made: Made, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    read = envelope(made, layout.PROVENANCE)
    payload = base64.b64decode(read["payload"])
    kind = read["payloadType"].encode()
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(read["signatures"][0]["sig"]))
    options = ["-pubin", "-inkey", str(made.evidence / layout.PUBLIC_KEY), "-sigfile", str(tmp_path / "sig")]
    options += ["-rawin", "-in", str(tmp_path / "pae")]
    if isinstance(made.key, ec.EllipticCurvePrivateKey):
        options += ["-digest", "sha256"]
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", *options], capture_output=True, text=True, check=False
    )
    assert "Verified Successfully" in done.stdout, done.stderr


@pytest.mark.parametrize("environment", ["training", "serving"])
def test_the_schema_of_cyclonedx_accepts_the_bills_of_materials(made: Made, environment: str) -> None:
    text = (made.evidence / f"sbom-{environment}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {each["name"]: each for each in json.loads(text)["components"]}
    assert parts["numpy"]["version"] == "2.4.6"
    assert parts["numpy"]["purl"] == "pkg:pypi/numpy@2.4.6"
    (source,) = parts["numpy"]["externalReferences"]
    assert {each["content"] for each in source["hashes"]} == {"a1" * 32, "b2" * 32}
    assert parts["colorama"]["properties"] == [
        {"name": "penstock:marker", "value": 'sys_platform == "win32"'}
    ]
    assert ("mlflow" in parts) is (environment == "serving")


def test_the_provenance_says_what_from_which_commit_data_parameters_and_environment(made: Made) -> None:
    run = report()
    said = made.payload(layout.PROVENANCE)
    definition = said["predicate"]["buildDefinition"]
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert definition["externalParameters"]["params"] == run.params
    assert definition["internalParameters"]["executor"] == run.executor
    assert [each["key"] for each in definition["internalParameters"]["stages"]] == [
        each.key for each in run.stages
    ]
    sources = {each["name"]: each for each in definition["resolvedDependencies"]}
    assert run.commit is not None
    assert sources["source"]["digest"] == {"gitCommit": run.commit.removesuffix("-dirty")}
    assert sources["source"]["annotations"] == {"changed": True}
    assert {"environment: training", "environment: serving"} < sources.keys()
    inputs = {part.path for stage in run.stages for part in stage.inputs}
    outputs = {part.path for stage in run.stages for part in stage.outputs}
    assert inputs - outputs <= sources.keys()
    assert not outputs & sources.keys()
    metadata = said["predicate"]["runDetails"]["metadata"]
    assert metadata["invocationId"] == run.run_id
    assert metadata["startedOn"] == run.started_at


def test_the_level_is_one_with_a_key_and_without_and_the_reason_is_said(made: Made, tmp_path: Path) -> None:
    builders = [
        each.payload(layout.PROVENANCE)["predicate"]["runDetails"]["builder"]
        for each in (made, make(tmp_path, kind=None))
    ]
    assert [each["penstock_level"] for each in builders] == ["SLSA_BUILD_LEVEL_1"] * 2
    assert "not signed" in builders[1]["penstock_level_reason"]
    assert "the build could read" in builders[0]["penstock_level_reason"]


def test_the_verdict_names_passed_warned_and_failed_gates(tmp_path: Path) -> None:
    said = make(tmp_path / "passed").payload(layout.VERDICT)["predicate"]
    assert (said["result"], said["failedTests"]) == ("PASSED", [])
    assert said["passedTests"] == [each.name for each in report().gates]
    said = make(tmp_path / "failed", run=failing()).payload(layout.VERDICT)["predicate"]
    assert (said["result"], said["failedTests"]) == ("FAILED", [failing().gates[0].name])
    optional = replace(failing(), gates=(replace(failing().gates[0], required=False),))
    said = make(tmp_path / "warned", run=optional).payload(layout.VERDICT)["predicate"]
    assert (said["result"], said["warnedTests"]) == ("WARNED", [optional.gates[0].name])


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_the_same_run_and_key_give_the_same_bytes(tmp_path: Path, kind: str | None) -> None:
    key = new_key(kind) if kind else None
    one, other = (make(tmp_path / name, kind=kind, key=key) for name in ("one", "other"))
    names = sorted(path.name for path in one.evidence.iterdir())
    assert names == sorted(path.name for path in other.evidence.iterdir())
    assert all((one.evidence / name).read_bytes() == (other.evidence / name).read_bytes() for name in names)


def test_publishing_again_replaces_what_an_interrupted_run_left(tmp_path: Path) -> None:
    left = tmp_path / EVIDENCE
    for folder in (left, left.with_name(f".{left.name}.partial")):
        folder.mkdir(parents=True)
        (folder / "half").write_text("x")
    made = make(tmp_path)
    assert made.verify()["passed"]
    assert not left.with_name(f".{left.name}.partial").exists()


def test_the_key_is_in_no_file_and_nothing_of_the_evidence_is_masked(made: Made) -> None:
    secret = pem(made.key).encode()
    redactor = Redactor({KEY: secret})
    for path in (*made.evidence.iterdir(), made.root / "receipt.json"):
        data = path.read_bytes()
        assert redactor.mask(data) == data, path.name


def test_passwords_in_requirements_reach_no_bill_of_materials(tmp_path: Path) -> None:
    request = workspace(tmp_path, report())
    request["key"] = None
    training = (
        "--index-url https://user:hunter2@pypi.example.com/simple\n"
        "wheel @ https://user:hunter2@example.com/wheel.whl?token=hunter2\n"
        "tool @ git+https://hunter2@github.com/team/tool@0123456789012345678901234567890123456789\n"
        "-e git+https://hunter2@github.com/a/b#egg=b\n"
        "loose>=2\n"
    )
    request["environments"]["training"] = [training]
    assert start(tmp_path, request, None) == 0
    written = b"".join(path.read_bytes() for path in (tmp_path / EVIDENCE).iterdir())
    assert b"hunter2" not in written
    parts = json.loads((tmp_path / EVIDENCE / "sbom-training.cdx.json").read_bytes())["components"]
    assert [each["name"] for each in parts] == ["loose", "tool", "wheel"]
    assert parts[0]["properties"] == [{"name": "penstock:unpinned", "value": "true"}]


def test_a_package_that_two_texts_name_is_listed_once() -> None:
    found = requirements.packages([LOCK, LOCK.replace("a1" * 32, "d4" * 32), "NumPy==2.4.6", "numpy==2.5.0"])
    assert [(each.name, each.version) for each in found] == [
        ("colorama", "0.4.6"),
        ("numpy", "2.4.6"),
        ("numpy", "2.5.0"),
    ]
    assert {value[:2] for _, value in found[1].hashes} == {"a1", "b2", "d4"}


def test_a_bill_of_materials_lists_what_a_real_lock_file_names() -> None:
    text = (Path(carrying.__file__).parent / "tools/evidence.txt").read_text()
    found = requirements.packages([text])
    names = [line.partition("==")[0] for line in text.splitlines() if line[:1].isalpha()]
    assert [each.name for each in found] == sorted(names)
    assert all(each.version and each.hashes for each in found)


def test_an_environment_without_requirements_has_no_bill_of_materials(tmp_path: Path) -> None:
    request = workspace(tmp_path, report()) | {"key": None}
    request["environments"] = {"training": ["# nothing\n"], "serving": [], "other": None}
    assert start(tmp_path, request, None) == 0
    facts = json.loads((tmp_path / "receipt.json").read_bytes())["facts"]
    assert facts["environments"] == [{"name": "training", "packages": 0}]
    text = (tmp_path / EVIDENCE / "sbom-training.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_without_a_key_nothing_is_signed_and_that_is_said(tmp_path: Path) -> None:
    made = make(tmp_path, kind=None)
    names = {path.name for path in made.evidence.iterdir()}
    assert not {layout.PUBLIC_KEY, layout.MODEL_SIGNATURE} & names
    assert {"provenance.intoto.json", "verdict.intoto.json"} < names
    (publication,) = json.loads((tmp_path / "receipt.json").read_bytes())["publications"]
    assert "not signed" in publication["sentence"]
    assert made.verify()["signed"] is False


def _encrypted(key: Any) -> str:
    form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    text: bytes = key.private_bytes(encoding, form, serialization.BestAvailableEncryption(b"pass"))
    return text.decode()


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        (lambda: None, "is not set"),
        (lambda: " \n", "is not set"),
        (lambda: "hunter2-hunter2", "holds no private key in PEM"),
        (lambda: pem(rsa.generate_private_key(65537, 2048)), "EC P-256 or Ed25519"),
        (lambda: pem(ec.generate_private_key(ec.SECP384R1())), "EC P-256 or Ed25519"),
        (lambda: _encrypted(new_key(EC)), "the key is encrypted"),
        (lambda: keys.pem(new_key(EC).public_key()).decode(), "holds no private key in PEM"),
        (lambda: pem(new_key(EC))[:100], "holds no private key in PEM"),
    ],
    ids=["absent", "blank", "text", "RSA", "P-384", "encrypted", "public", "cut"],
)
def test_what_is_no_key_is_refused_and_not_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], secret: Callable[[], str | None], sentence: str
) -> None:
    value = secret()
    assert start(tmp_path, workspace(tmp_path, report()), value) == 2
    said = capfd.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not value or not value.strip() or value.strip() not in said
    assert not (tmp_path / EVIDENCE).exists()
    assert not (tmp_path / "receipt.json").exists()


def test_a_key_as_older_commands_of_openssl_write_it_is_read(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "BEGIN EC PARAMETERS" in made
    assert start(tmp_path, workspace(tmp_path, report()), made) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_on_one_line_is_read_as_services_keep_it(tmp_path: Path, kind: str) -> None:
    key = new_key(kind)
    assert start(tmp_path, workspace(tmp_path, report()), pem(key).strip().replace("\n", "\\n")) == 0


def _fifo(path: Path) -> None:
    import os

    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda root: (root / MODEL / "model.onnx").write_bytes(b"other"), "was judged"),
        (lambda root: (root / MODEL / "more").write_bytes(b""), "was judged"),
        (lambda root: (root / METRICS).write_bytes(b"{}"), "was judged"),
        (lambda root: (root / MODEL / "link").symlink_to("model.onnx"), "is a symbolic link"),
        (lambda root: (root / MODEL / "folder").symlink_to("labels"), "is a symbolic link"),
        (lambda root: (root / "build/penstock/package-model/link").symlink_to("x"), "is a symbolic link"),
        (lambda root: _fifo(root / MODEL / "pipe"), "neither a file nor a directory"),
        (lambda root: (root / ".penstock-recipe/run/stable.json").write_bytes(b"{}"), "not the run"),
        (lambda root: (root / ".penstock-recipe/run/run.json").write_bytes(b"{}"), "not the report of run"),
    ],
    ids=["changed", "more", "metrics", "link", "folder", "package", "pipe", "run", "report"],
)
def test_what_is_not_what_was_judged_gets_no_evidence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: Callable[[Path], object], sentence: str
) -> None:
    request = workspace(tmp_path, report())
    change(tmp_path)
    assert start(tmp_path, request, pem(new_key(EC))) == 3
    said = capfd.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / EVIDENCE).exists()


def test_a_model_that_is_one_file_can_be_signed_too(tmp_path: Path) -> None:
    request = workspace(tmp_path, report())
    shutil.rmtree(tmp_path / MODEL)
    (tmp_path / MODEL).write_bytes(b"weights")
    request["contents"][0] |= {"kind": "file", "digest": layout.sha256(b"weights")}
    key = new_key(EC)
    assert start(tmp_path, request, pem(key)) == 0
    made = Made(root=tmp_path, run=request["run"]["digest"], key=key)
    assert made.verify()["by_library"]
    (tmp_path / MODEL).write_bytes(b"weightz")
    with pytest.raises(RefusedError, match="holds other bytes than were judged"):
        made.verify()


def test_a_model_is_found_by_its_name_where_nothing_is_called_so(tmp_path: Path) -> None:
    request = workspace(tmp_path, report())
    request["contents"][0]["role"] = None
    key = new_key(ED25519)
    assert start(tmp_path, request, pem(key)) == 0
    assert Made(root=tmp_path, run=request["run"]["digest"], key=key).verify()["passed"]


def test_the_program_runs_as_a_stage_carries_it_and_takes_seconds(tmp_path: Path) -> None:
    request = workspace(tmp_path, report())
    for path, text in carrying.files("evidence", request):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    environ: Mapping[str, str] = {KEY: pem(new_key(EC)), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, *carrying.command("evidence").split()[1:]]
    began = time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    facts = json.loads((tmp_path / "receipt.json").read_bytes())["facts"]
    assert facts["by_library"]
    for action, code in (("show", 0), ("verify", 0), ("burn", 2)):
        asked = {"action": action, "evidence": EVIDENCE, "model": MODEL, "receipt": f"{action}.json"}
        (tmp_path / exchange.REQUEST).write_text(json.dumps(asked))
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert (tmp_path / f"{action}.json").exists() is (code == 0)
