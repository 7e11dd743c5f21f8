"""The packages that a locked requirements text names, with the digests of their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PACKAGE = re.compile(rf"(?P<name>{_NAME})\s*(?:\[[^\]]*\])?\s*(?P<rest>.*)")
_PINNED = re.compile(r"===?\s*(?P<version>[^\s,;]+)\s*(?:;(?P<marker>.*))?")
_URL = re.compile(r"@\s*(?P<url>\S+)\s*(?:;(?P<marker>.*))?")
_HASH = re.compile(r"--hash[=\s](sha256|sha384|sha512):([0-9a-fA-F]+)")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(slots=True)
class Package:
    """One package of an environment.

    Attributes:
        name: In its normal form.
        version: Nothing if the requirement does not pin one.
        hashes: (algorithm, hex digits) of files that may be installed.
        url: Where it comes from, if the requirement says so; without user and password.
        marker: When it is installed at all, `sys_platform == "win32"`.
    """

    name: str
    version: str | None
    url: str | None
    marker: str | None
    hashes: set[tuple[str, str]] = field(default_factory=set)


def packages(texts: Sequence[str]) -> list[Package]:
    """The packages of all texts, by name and version; options and includes are passed over."""
    found: dict[tuple[str, str, str], Package] = {}
    for line in (line for text in texts for line in _lines(text)):
        package = _package(line)
        if package is not None:
            key = (package.name, package.version or "", package.url or "")
            found.setdefault(key, package).hashes.update(package.hashes)
    return [found[key] for key in sorted(found)]


def _lines(text: str) -> Iterator[str]:
    """Requirements and options, continued lines as one."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        whole = _COMMENT.sub("", line).strip()
        if whole:
            yield whole


def _package(line: str) -> Package | None:
    hashes = {(name.lower(), value.lower()) for name, value in _HASH.findall(line)}
    found = _PACKAGE.fullmatch(line.partition(" --")[0].strip())
    if found is None:
        return None
    name = re.sub(r"[-_.]+", "-", found["name"]).lower()
    for pattern in (_PINNED, _URL):
        if match := pattern.fullmatch(found["rest"]):
            parts = match.groupdict()
            marker = (parts["marker"] or "").strip() or None
            url = _without_user(parts["url"]) if "url" in parts else None
            return Package(name, parts.get("version"), url, marker, hashes)
    return Package(name, None, None, None, hashes)


def _without_user(url: str) -> str:
    """An address without what could be a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
