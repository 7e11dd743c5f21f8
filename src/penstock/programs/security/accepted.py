"""The baseline: findings that are known and accepted, each with a reason and a date until which."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import NoReturn

import yaml

from ..common.program import UnusableError
from .findings import Finding

_MAX_BYTES = 4 << 20
_FINGERPRINT = re.compile(r"[0-9a-f]{24}")
_KEY = re.compile(r"[0-9a-f]{32,128}")


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted finding."""

    fingerprint: str
    reason: str
    expires: str
    line: int


@dataclass(slots=True)
class Baseline:
    """What is accepted.

    Attributes:
        key: Seals the fingerprints of secrets.
        problems: Entries that do not count, with `file:line`.
        unused: Entries that fit no finding.
    """

    path: str
    key: str | None
    entries: dict[str, Entry]
    problems: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    used: int = 0

    def apply(self, findings: Iterable[Finding], today: str) -> list[Finding]:
        """The findings, those that are accepted marked so; notes entries that are over or unused."""
        made, used = [], set()
        for each in findings:
            entry = self.entries.get(each.fingerprint)
            if entry is not None:
                used.add(entry.fingerprint)
                if each.check == "secrets" and self.key is None:
                    self._unsealed(entry)
                elif entry.expires >= today:
                    accepted = {"reason": entry.reason, "expires": entry.expires}
                    each = replace(each, accepted=accepted)  # noqa: PLW2901 - it is the same finding
            made.append(each)
        for entry in self.entries.values():
            where = f"{self.path}:{entry.line}"
            if entry.expires < today:
                self.problems.append(
                    f"{where}: what was accepted until {entry.expires} is over: mend it, or decide anew"
                )
            elif entry.fingerprint not in used:
                self.unused.append(f"{where}: fits no finding any more: take it out")
        self.used = len(used)
        return made

    def _unsealed(self, entry: Entry) -> None:
        self.problems.append(
            f"{self.path}:{entry.line}: accepts a secret, and the file has no `key`, so another secret in its"
            " place would be accepted too: add `key: <openssl rand -hex 16>` at the top, run once more,"
            " and take the fingerprint of that run"
        )


def read_baseline(root: Path, path: str) -> Baseline:
    """The baseline in a file.

    Raises:
        UnusableError: It is none; names file and line.
    """
    place = root / path
    try:
        content = place.read_bytes()
    except OSError as error:
        raise UnusableError(
            f"{path}: {error.strerror}; the baseline must be there, or not be named"
        ) from None
    if len(content) > _MAX_BYTES:
        raise UnusableError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, which no baseline is")
    try:
        loader = yaml.SafeLoader(content.decode("utf-8"))
        node = loader.get_single_node()
    except UnicodeDecodeError:
        raise UnusableError(f"{path}: not UTF-8") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise UnusableError(f"{path}:{line}: no YAML: {getattr(error, 'problem', None) or error}") from None
    return _Reader(path).baseline(node)


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path

    def baseline(self, node: yaml.Node | None) -> Baseline:
        fields = self._fields(node, {"version", "key", "accept"}, ("version",))
        if self._text(fields["version"]) != "1":
            self._refuse(fields["version"], "`version` must be 1")
        key = self._text(fields["key"]) if "key" in fields else None
        if key is not None and not _KEY.fullmatch(key):
            self._refuse(fields["key"], "`key` must be 32 to 128 hexadecimal digits: `openssl rand -hex 16`")
        accept = fields.get("accept")
        if accept is not None and accept.tag == "tag:yaml.org,2002:null":
            accept = None
        if accept is not None and not isinstance(accept, yaml.SequenceNode):
            self._refuse(accept, "`accept` must be a list")
        entries: dict[str, Entry] = {}
        for each in accept.value if accept is not None else ():
            entry = self._entry(each)
            if entry.fingerprint in entries:
                self._refuse(each, f"accepted on line {entries[entry.fingerprint].line} already")
            entries[entry.fingerprint] = entry
        return Baseline(self.path, key, entries)

    def _entry(self, node: yaml.Node) -> Entry:
        wanted = ("fingerprint", "reason", "expires")
        fields = self._fields(node, set(wanted), wanted)
        fingerprint, reason, expires = (self._text(fields[name]).strip() for name in wanted)
        if not _FINGERPRINT.fullmatch(fingerprint):
            self._refuse(fields["fingerprint"], "a fingerprint has 24 hexadecimal digits; a report shows it")
        if not any(map(str.isalpha, reason)):
            self._refuse(fields["reason"], "there is no reason: say why this may stay, and who decided it")
        try:
            expires = date.fromisoformat(expires).isoformat()
        except ValueError:
            self._refuse(fields["expires"], "`expires` must be a day such as 2027-06-30")
        return Entry(fingerprint, reason[:500], expires, node.start_mark.line + 1)

    def _fields(
        self, node: yaml.Node | None, known: set[str], needed: tuple[str, ...]
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, f"must be a mapping of {', '.join(sorted(known))}")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key)
            if name not in known:
                self._refuse(key, f"there is no key {name[:40]!r} here, but {', '.join(sorted(known))}")
            if name in fields:
                self._refuse(key, f"`{name}` stands there twice")
            fields[name] = value
        for name in needed:
            if name not in fields:
                self._refuse(node, f"`{name}` is missing")
        return fields

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "must be a text")
        return str(node.value)

    def _refuse(self, node: yaml.Node | None, what: str) -> NoReturn:
        raise UnusableError(f"{self.path}:{node.start_mark.line + 1 if node else 1}: {what}")
