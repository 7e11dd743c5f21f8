"""The remotes of a DVC repository, as far as the plan must know them: what it takes to talk to each."""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Mapping

from penstock.errors import PipelineError
from penstock.plan.reads import FILE, Reads
from penstock.plan.yaml_file import read_file
from penstock.record import Record, field

FOLDER = "folder"
"""A remote that is a directory: no DVC is needed to read it."""
UNKNOWN = "http"
"""Where the repository does not say which remote there is: the user's own configuration may."""

_KINDS = {
    "http": "http",
    "https": "http",
    "s3": "s3",
    "gs": "gs",
    "azure": "azure",
    "ssh": "ssh",
    "webdav": "webdav",
    "webdavs": "webdav",
}
_TOOLS = {"http": "dvc"}
_SECTION = re.compile(r"""'?remote\s+"(.+)"'?""")
_VARIABLES = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CA_BUNDLE",
    ),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"),
    "azure": (
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_STORAGE_ACCOUNT",
        "AZURE_STORAGE_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
    ),
    "ssh": ("SSH_AUTH_SOCK",),
}


def tools_of(kind: str) -> str | None:
    """The locked tools (`tools/*.txt`) that a kind of remote takes; none for a directory."""
    return None if kind == FOLDER else _TOOLS.get(kind, f"dvc-{kind}")


def variables_of(kind: str) -> tuple[str, ...]:
    """The variables in which the libraries for a kind of remote look for credentials."""
    return _VARIABLES.get(kind, ())


class Remotes(Record):
    """The remotes that a repository's configuration names.

    Attributes:
        default: Name of the one that is meant where none is named.
        urls: By name, as configured.
    """

    default: str | None = None
    urls: Mapping[str, str] = field(default_factory=dict)

    def kind(self, name: str | None) -> str:
        """What it takes to talk to a remote, the default one if it is not named.

        Raises:
            ValueError: It is of a kind that Penstock has no tools for; says so.
        """
        name = name or self.default or ""
        scheme = "remote"
        for _ in range(len(self.urls) + 1):
            url = self.urls.get(name.lower())
            if url is None:
                return UNKNOWN
            scheme, found, rest = url.partition("://")
            if not found or scheme == "file":
                return FOLDER
            if scheme != "remote":
                break
            name = rest.partition("/")[0]
        if scheme not in _KINDS:
            known = ", ".join(sorted(_KINDS))
            what = f"its remote {name!r} is of the kind {scheme!r}; Penstock knows folders, {known}"
            raise ValueError(what)
        return _KINDS[scheme]


def read_remotes(repository: str, reads: Reads) -> Remotes:
    """The remotes of the DVC repository in a directory, its local configuration laid over the shared one.

    Raises:
        PipelineError: A file cannot be read as such a configuration.
    """
    default, urls = None, {}
    for name in (".dvc/config", ".dvc/config.local"):
        path = posixpath.join(repository, name)
        if reads.presence(path) != FILE:
            continue
        data = read_file(reads.root / path, path)
        reads.content(reads.root / path, data)
        for section, values in _sections(data, path).items():
            if section == "core":
                default = values.get("remote", default)
            elif (match := _SECTION.fullmatch(section)) and "url" in values:
                urls[match[1].lower()] = values["url"]
    return Remotes(default=default and default.lower(), urls=urls)


def _sections(data: bytes, path: str) -> Mapping[str, Mapping[str, str]]:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(data.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        what = str(error).partition("\n")[0]
        raise PipelineError(f"is no configuration of DVC: {what}", where=path) from None
    return {name: {key: _plain(value) for key, value in parser.items(name)} for name in parser.sections()}


def _plain(value: str) -> str:
    """A value without the quotes around it or the comment after it."""
    value = value.strip()
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition("#")[0].strip()
