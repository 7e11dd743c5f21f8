"""Names of repositories, tags and digests, checked before they become part of a URL."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..common.program import UnusableError

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?P<host>{_HOST})/(?P<path>{_NAME}(?:/{_NAME})*)")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATH_CHARACTERS = 255

SHORT_DIGEST = "{digest}"
"""Stands in a tag for the first 12 digits of the manifest's digest, which nobody knows before."""


def repository(text: object) -> str:
    """A repository's name, with its host.

    Raises:
        UnusableError: It is none, or has no host.

    Source: OCI distribution specification 1.1, "Pulling manifests".
    """
    found = _REPOSITORY.fullmatch(text) if isinstance(text, str) else None
    host = found["host"] if found else ""
    if not found or len(found["path"]) > _PATH_CHARACTERS or not ("." in host or ":" in host):
        known = "say host[:port]/path, in lower case, such as registry.example.com/ml/churn"
        raise UnusableError(f"repository {text!r}: {known}")
    return found[0]


def is_digest(text: object) -> bool:
    """Whether it is `sha256:` and 64 hex digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def tag(text: object) -> str:
    """A tag.

    Raises:
        UnusableError: It cannot be one.
    """
    if not isinstance(text, str) or not _TAG.fullmatch(text):
        raise UnusableError(
            f"tag {text!r}: letters, digits, '.', '_' and '-', at most 128, and no '.' or '-' in front"
        )
    return text


def tags(wanted: Iterable[object], digest: str) -> tuple[str, ...]:
    """The tags that are wanted for a manifest, each once."""
    short = "sha256-" + digest.removeprefix("sha256:")[:12]
    named = (text.replace(SHORT_DIGEST, short) if isinstance(text, str) else text for text in wanted)
    return tuple(dict.fromkeys(tag(text) for text in named))


def reference(text: object) -> str:
    """A tag or a digest."""
    return str(text) if is_digest(text) else tag(text)
