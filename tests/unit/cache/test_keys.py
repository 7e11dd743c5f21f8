from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.cache.compare import compare
from penstock.cache.keys import NOT_IN_KEY, REPLACED, key_document, stage_key
from penstock.digest import DIRECTORY, FILE, Entry, encode_manifest, of_bytes
from penstock.plan.model import Environment, Output, Produced, Serving, Stage
from penstock.record import fields, replace
from penstock.results import Accelerator, Change, Part, PartKind

STAGE = Stage(
    name="train",
    run="python -m churn.train",
    sources=("src/churn/train.py",),
    produced=(Produced("build/splits", "prepare", "build/splits"),),
    outputs=(Output("build/model", "model"),),
    params={"train": {"epochs": 3, "rate": 0.1}},
    params_file="params.yaml",
    files=((".penstock-recipe/x.py", "print(1)\n"),),
    variables=(("PYTHONPATH", "src"),),
    secrets=("TOKEN",),
    environment=Environment(python="3.12", requirements="requirements.lock"),
    accelerator=Accelerator(kind="cuda", image="pytorch", gpus=1),
    timeout_s=60.0,
    retries=1,
    exclusive=False,
    uses="recipe",
    line=7,
)
PARTS = (
    Part("build/splits", PartKind.DIRECTORY, of_bytes(b"splits"), 10, 2),
    Part("src/churn/train.py", PartKind.FILE, of_bytes(b"train"), 5, 1),
)
IDENTITY = {"python": "cpython-3.12.1", "platform": "linux-x86_64", "requirements": of_bytes(b"lock")}

# A change of this value makes every stored result of every user unfindable: raise KEY_VERSION and say so in
# the changelog.
GOLDEN = "sha256:3c1f495416232e2c447588e051b65b456685e563c2ee08525be20d61b2f158ec"


def key(stage: Stage = STAGE, parts: tuple[Part, ...] = PARTS, identity: Mapping[str, str] = IDENTITY) -> str:
    return stage_key(key_document(stage, parts, identity))


def test_the_key_of_a_stage_is_the_one_that_stores_out_there_know() -> None:
    assert key() == GOLDEN


MUTATIONS: dict[str, object] = {
    "name": "train-2",
    "run": "python -m churn.train ",
    "sources": ("src/churn/other.py",),
    "produced": (Produced("build/splits", "prepare-2", "build/splits"),),
    "outputs": (Output("build/model2", "model"),),
    "params": {"train": {"epochs": 3, "rate": 0.1000000001}},
    "params_file": "config/params.yaml",
    "files": ((".penstock-recipe/x.py", "print(2)\n"),),
    "variables": (("PYTHONPATH", "lib"),),
    "secrets": ("OTHER",),
    "environment": Environment(python="3.13"),
    "accelerator": Accelerator(kind="cuda", image="pytorch", gpus=2),
    "cache": False,
    "timeout_s": 61.0,
    "retries": 2,
    "exclusive": True,
    "outside": True,
    "passes": ("MLFLOW_TRACKING_URI",),
    "pledges": (("data/churn.csv", "md5:00"),),
    "observe": True,
    "serving": Serving(package="p", result="r"),
    "overwrite": True,
    "file": "dvc.yaml",
    "uses": None,
    "line": 8,
}


def test_every_field_of_a_stage_has_a_mutation() -> None:
    assert set(MUTATIONS) == set(fields(Stage))


@pytest.mark.parametrize("name", sorted(fields(Stage)))
def test_a_field_changes_the_key_unless_it_is_listed_as_one_that_cannot_matter(name: str) -> None:
    mutated = replace(STAGE, **{name: MUTATIONS[name]})
    assert (key(mutated) != key()) is (name not in NOT_IN_KEY | REPLACED)


@pytest.mark.parametrize(
    "parts",
    [
        (PARTS[0], replace(PARTS[1], digest=of_bytes(b"x"))),
        (PARTS[0], replace(PARTS[1], path="src/churn/train2.py")),
        (PARTS[0], replace(PARTS[1], kind=PartKind.EXECUTABLE)),
        PARTS[:1],
        (),
    ],
)
def test_an_input_changes_the_key_by_content_path_kind_and_presence(parts: tuple[Part, ...]) -> None:
    assert key(parts=parts) != key()


@pytest.mark.parametrize("name", sorted(IDENTITY))
def test_each_part_of_the_environment_changes_the_key(name: str) -> None:
    assert key(identity={**IDENTITY, name: "other"}) != key()


def test_the_role_of_an_output_is_no_business_of_the_stage() -> None:
    assert key(replace(STAGE, outputs=(Output("build/model"),))) == key()


def test_a_number_and_its_text_are_different_parameters() -> None:
    assert key(replace(STAGE, params={"a": 1})) != key(replace(STAGE, params={"a": "1"}))
    assert key(replace(STAGE, params={"a": 1})) != key(replace(STAGE, params={"a": True}))


def documents(before: Stage, after: Stage) -> tuple[dict[str, object], dict[str, object]]:
    return key_document(before, PARTS, IDENTITY), key_document(after, PARTS, IDENTITY)


def test_a_changed_parameter_is_named_with_both_values() -> None:
    before, after = documents(STAGE, replace(STAGE, params={"train": {"epochs": 4, "rate": 0.1}}))
    assert compare(before, after, lambda _: None) == (
        Change(what="parameter", name="train.epochs", before="3", after="4"),
    )


def test_a_changed_command_is_named() -> None:
    before, after = documents(STAGE, replace(STAGE, run="other"))
    assert compare(before, after, lambda _: None) == (
        Change(what="command", name="run", before="python -m churn.train", after="other"),
    )


def manifest(**files: bytes) -> bytes:
    return encode_manifest(
        [
            Entry(FILE, len(content), name.encode(), of_bytes(content)[7:].encode())
            for name, content in files.items()
        ]
    )


def test_a_changed_directory_is_resolved_to_its_files() -> None:
    old, new = manifest(a=b"1", b=b"2", c=b"3"), manifest(a=b"1", b=b"x", d=b"4")
    known = {of_bytes(old): old, of_bytes(new): new}
    parts = [Part("src", PartKind.DIRECTORY, name, 3, 3) for name in known]
    before, after = (key_document(STAGE, (part,), IDENTITY) for part in parts)
    assert compare(before, after, known.get) == (
        Change(what="input", name="src/b", before=of_bytes(b"2"), after=of_bytes(b"x")),
        Change(what="input", name="src/c", before=of_bytes(b"3"), after=None),
        Change(what="input", name="src/d", before=None, after=of_bytes(b"4")),
    )
    assert [change.name for change in compare(before, after, lambda _: None)] == ["src"]


def test_directories_with_different_names_never_share_a_manifest() -> None:
    one = encode_manifest([Entry(FILE, 1, b"ab", b"c"), Entry(DIRECTORY, 0, b"d", b"")])
    other = encode_manifest([Entry(FILE, 1, b"a", b"bc"), Entry(DIRECTORY, 0, b"d", b"")])
    assert one != other
