"""`publish`: what leaves the pipeline when its gates have passed, and where it goes."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, StrictBool, Tag

from penstock.plan.fields import (
    AliasName,
    FilePath,
    ImageName,
    ModelName,
    Text,
    VariableName,
    complaint,
    matching,
)
from penstock.plan.schema_parts import Record

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_HOST}(?:/{_NAME})+"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"


def _address(value: str) -> str:
    if "@" in value.split("://", 1)[-1].split("/", 1)[0]:
        remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        raise complaint("holds a user name or a password", remedy)
    return value


Repository = Annotated[
    str,
    matching(_REPOSITORY, "write a registry and a repository in lower case, such as ghcr.io/team/churn"),
    Field(json_schema_extra={"pattern": f"^{_REPOSITORY}$"}),
]
TagName = Annotated[
    str,
    matching(_TAG, "a tag has letters, digits, dots, dashes and underscores, at most 128"),
    Field(json_schema_extra={"pattern": f"^{_TAG}$"}),
]
TrackingUri = Annotated[Text, AfterValidator(_address)]


class ArchiveFile(Record):
    """A deterministic archive of what the gates passed."""

    path: FilePath = "dist"
    """Directory that it is written to."""
    contents: list[Text] | None = None
    """Outputs by path or role; if absent, those in the roles `model` and `metrics` or called so."""


class EvidenceFile(Record):
    """Statements of what was made of what and with which verdicts, beside all that is published."""

    key: VariableName | None = None
    """Secret that holds the private key in PEM (EC P-256 or Ed25519); nothing is signed without one."""
    public_key: FilePath | None = None
    """PEM file with public keys, one of which must have signed what is promoted, loaded or served."""


class RegistryFile(Record):
    """Where to and as whom something is pushed."""

    repository: Repository
    tags: list[TagName] = Field(default_factory=list)
    """Beside those of the commit and of the run."""
    alias: TagName | None = "latest"
    """The tag that moves, last of all; null for none."""
    username: VariableName | None = None
    """Secret that holds the user's name."""
    password: VariableName | None = None
    """Secret that holds the password or token."""
    insecure: StrictBool = False
    """Whether the registry speaks plain HTTP."""


class ArtifactFile(RegistryFile):
    """The model as an OCI artifact in a registry of images."""


class ImageFile(RegistryFile):
    """An image that serves the model over HTTP, smoke-tested before it is pushed."""

    base: ImageName | None = None
    """What it is built on; the environment's image if absent, else a slim Python."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    """That the server listens on."""
    push: StrictBool = True
    """Whether it is pushed, or only built and tested."""


class MlflowFile(Record):
    """The run and the model in MLflow: at MLFLOW_TRACKING_URI, else in files of the project."""

    model: ModelName
    """What the model is registered as."""
    alias: AliasName = "candidate"
    """That is moved to the new version."""
    experiment: Text | None = None
    """The pipeline's name if absent."""
    tracking_uri: TrackingUri | None = None
    """Instead of MLFLOW_TRACKING_URI."""


class DvcFile(Record):
    """Outputs pushed to a DVC remote, with the `.dvc` files that a commit needs."""

    outputs: list[Text] | None = None
    """By path or role; if absent, those in the role `model` or called so."""
    remote: Text | None = None
    """As .dvc/config calls it; its default if absent."""
    path: FilePath | None = None
    """Directory of the `.dvc` files, if git ignores the outputs' own; beside the outputs if absent."""
    secrets: list[VariableName] = Field(default_factory=list)
    """That the remote asks for, as environment variables."""


class Publish(Record):
    """What leaves the pipeline when its gates have passed."""

    archive: ArchiveFile | None = None
    evidence: EvidenceFile | None = None
    artifact: ArtifactFile | None = None
    image: ImageFile | None = None
    dvc: DvcFile | None = None
    mlflow: MlflowFile | None = None


def _kind_of_publish(value: Any) -> str | None:
    return "false" if value is False else "publish" if isinstance(value, dict | Publish) else None


PublishFile = Annotated[
    Annotated[Publish, Tag("publish")] | Annotated[Literal[False], Tag("false")],
    Discriminator(
        _kind_of_publish,
        custom_error_type="penstock",
        custom_error_message="is neither a mapping nor false; write `publish: false` for nothing",
    ),
]
