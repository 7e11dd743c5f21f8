"""Looks for secrets in text and in what is printable of binary files.

What could hold one is found by one pass over the bytes; only those lines are looked at by the detectors of
detect-secrets and by rules of our own. Comments that tell detect-secrets to look away are not obeyed: who
accepts a finding says why, and until when, in the baseline.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from .secret_rules import ASSIGNMENT, CRITICAL, HIGH, MEDIUM, PRIVATE_KEY, Hit, entropy, hits, is_placeholder

PIECE = 4 << 20
_WINDOW, _SHARED = 4_000, 400
"""A longer line is read in windows of so many characters, of which neighbours share some."""
_SNIFFED = 8192
_REMEMBERED, _MOST_REMEMBERED = 500, 500_000
_LONGEST = 200
_WORDS = b"""
passw passp pwd secret token credential apikey api_key api-key _key -key accesskey authkey privatekey
accountkey masterkey signingkey encryptionkey sharedkey sshkey aeskey connectionstr connstr conn_str
connection_str connection-str authorization sig= ghp_ gho_ ghs_ ghu_ ghr_ github_pat hf_ aiza gocspx
akia asia abia acca dapi hvs. hvb. hvr. dop_v1_ doo_v1_ dor_v1_ xox xapp npm_ pypi- dckr_ k_live sg.
age-secret dag_ eyj sq0 akc hooks.slack discord mailchimp softlayer "auth" 'auth'
"""
_LITERALS = (*_WORDS.split(), b"identified by", b"login ", b"private key")
_SHAPES = tuple(
    map(
        re.compile,
        (
            rb"://[^\s/:@]{0,100}:[^\s/@]{3,200}@",
            rb"gl[a-z]{2,5}-[a-z0-9_-]{20}",
            rb"sk-[a-z0-9_-]{20}",
            rb"-us[0-9]{1,2}\b",
            rb"bot[0-9]{8}",
            rb"a[kc][0-9a-z]{32}",
            rb"s[kc][0-9a-f]{32}",
            rb"ap[0-9a-z]{8,}",
            rb"\"[a-z0-9+/=_-]{20,}\"",
            rb"'[a-z0-9+/=_-]{20,}'",
        ),
    )
)
"""What one of can be in every line that a rule finds something in, in small letters; each is looked for by
itself, since that is many times as fast as one expression for all."""
_STRINGS = re.compile(rb"[\x20-\x7e\t]{8,}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){8,}")
_NOT_USED = frozenset(
    {"PrivateKeyDetector", "IPPublicDetector", "Base64HighEntropyString", "HexHighEntropyString"}
)
_CERTAIN = frozenset({"AWSKeyDetector", "GitHubTokenDetector", "GitLabTokenDetector", "SlackDetector"})
_WEAK = frozenset({"KeywordDetector", "BasicAuthDetector"})
_LOCKS = (".lock", "pylock.toml", "package-lock.json", "requirements.txt")
_QUOTED = re.compile(r"""["']([A-Za-z0-9+/=_-]{20,200})["']""")
_DIGESTS = frozenset({32, 40, 56, 64, 96, 128})
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A secret, where it is, and its line with every secret in it masked."""

    hit: Hit
    line: int | None
    masked: str


def scan(content: bytes, path: str) -> list[Found]:
    """The secrets in a file.

    Args:
        content: All of it.
        path: Its name tells what it is.
    """
    wide = _decoded_wide(content)
    if wide is not None:
        content = wide
    if b"\0" in content[:_SNIFFED]:
        return list(_binary(content, path))
    found: list[Found] = []
    line = 1
    for start, end in _pieces(content):
        piece = content[start:end]
        found += _text(piece, line, path)
        line += piece.count(b"\n")
    return found


def _pieces(content: bytes) -> Iterator[tuple[int, int]]:
    """Where pieces of whole lines begin and end; a line that is longer than a piece is cut."""
    start = 0
    while start < len(content):
        end = min(start + PIECE, len(content))
        if end < len(content):
            last = content.rfind(b"\n", start, end)
            end = last + 1 if last > start else end
        yield start, end
        start = end


def _text(piece: bytes, first: int, path: str) -> Iterator[Found]:
    name = PurePosixPath(path).name
    keys = dict(_private_keys(piece))
    clean = _CLEAN.of(name)
    lines = [(number, line) for number, line in enumerate(piece.split(b"\n")) if line not in clean]
    suspects = {lines[at][0] for at in _suspects(b"\n".join(line for _, line in lines))} | {*keys}
    for number, line in lines:
        found = number in suspects and _line(line, name, keys.get(number))
        if found:
            yield from (Found(hit, first + number, masked) for hit, masked in found)
        elif len(line) < _REMEMBERED:
            clean.add(line)


def _suspects(text: bytes) -> set[int]:
    """The lines that could hold a secret, counted from 0."""
    places = _candidates(text.lower())
    breaks = [match.start() for match in re.finditer(b"\n", text)] if places else []
    return {
        line
        for start, end in places
        for line in range(bisect.bisect_left(breaks, start), bisect.bisect_left(breaks, end - 1) + 1)
    }


class _Clean:
    """Lines in which there is nothing, by what their files are: a history has most of them many times."""

    def __init__(self) -> None:
        self._lines: dict[str, set[bytes]] = {}

    def of(self, name: str) -> set[bytes]:
        """Those of files that are read like one of this name."""
        kind = f"{PurePosixPath(name).suffix or name} {name.endswith(_LOCKS)}"
        lines = self._lines.setdefault(kind, set())
        if len(lines) > _MOST_REMEMBERED:
            lines.clear()
        return lines


_CLEAN = _Clean()


def _candidates(lowered: bytes) -> list[tuple[int, int]]:
    """Where something begins and ends that could belong to a secret."""
    found = []
    for literal in _LITERALS:
        at = lowered.find(literal)
        while at >= 0:
            found.append((at, at + len(literal)))
            at = lowered.find(literal, at + len(literal))
    for shape in _SHAPES:
        found += [match.span() for match in shape.finditer(lowered)]
    return found


def _private_keys(piece: bytes) -> Iterator[tuple[int, Hit]]:
    """Private keys by the lines that they begin on, counted from 0."""
    if b"PRIVATE KEY" not in piece:
        return
    text = piece.decode("latin-1")
    for match in PRIVATE_KEY.finditer(text):
        value = match["value"]
        if entropy(value) > 3:  # noqa: PLR2004 - less is made up by hand
            yield text.count("\n", 0, match.start()), Hit("private-key", CRITICAL, value, "a private key")


def _binary(content: bytes, path: str) -> Iterator[Found]:
    """Of a binary file, its printable runs; where they are says no line."""
    for pattern in (_STRINGS, _WIDE):
        for match in pattern.finditer(content):
            run = match[0].replace(b"\0", b"")
            if not _candidates(run.lower()):
                continue
            text = run.decode("ascii")
            for key in PRIVATE_KEY.finditer(text):
                yield Found(Hit("private-key", CRITICAL, key["value"], "a private key"), None, "***")
            for part in _windows(text):
                own = [hit for hit in hits(part, f"{path}.py") if hit.severity != MEDIUM]
                yield from (Found(hit, None, _masked(part, own)) for hit in own)


def _decoded_wide(content: bytes) -> bytes | None:
    """A text in UTF-16 or UTF-32, as UTF-8."""
    for marks, name in (
        ((b"\xff\xfe\0\0", b"\0\0\xfe\xff"), "utf-32"),
        ((b"\xff\xfe", b"\xfe\xff"), "utf-16"),
    ):
        if content.startswith(marks):
            return content.decode(name, "replace").encode("utf-8", "replace")
    return None


def _line(line: bytes, name: str, key: Hit | None) -> list[tuple[Hit, str]]:
    """The secrets of a line, each with the line without any."""
    # what stands in quotes within quotes, as code does in a notebook, is read like other text
    text = line.decode("utf-8", "replace").rstrip("\r").replace('\\"', '"').replace("\\'", "'")
    found: list[tuple[Hit, str]] = []
    for part in _windows(text):
        if len(text) <= _WINDOW or key or _candidates(part.lower().encode()):
            found += _judged(part, name, key)
    return found


def _judged(line: str, name: str, key: Hit | None) -> list[tuple[Hit, str]]:
    found = [key] if key else []
    found += hits(line, name)
    found += _theirs(line, name)
    if not name.endswith(_LOCKS):
        found += _random(line)
    kept = _distinct(found)
    masked = _masked(line, kept) if kept else ""
    return [(hit, masked) for hit in kept]


def _windows(text: str) -> Iterator[str]:
    if len(text) <= _WINDOW:
        yield text
        return
    for start in range(0, len(text), _WINDOW - _SHARED):
        yield text[start : start + _WINDOW]


def _theirs(line: str, path: str) -> Iterator[Hit]:
    """What the detectors of detect-secrets find."""
    for name, detector in _detectors():
        for each in detector.analyze_line(filename=path, line=line, line_number=1):
            value = each.secret_value
            if not value or is_placeholder(value) or (name in _WEAK and not _is_weak_hit(line, value)):
                continue
            severity = CRITICAL if name in _CERTAIN else HIGH
            rule = f"detect-secrets-{re.sub(r'[^a-z0-9]+', '-', each.type.lower()).strip('-')}"
            yield Hit(rule, severity, value, f"what detect-secrets knows as {each.type}")


def _is_weak_hit(line: str, value: str) -> bool:
    """Whether what stands behind a telling word is worth a finding that our own rules do not make of it."""
    from detect_secrets.filters import heuristic  # type: ignore[import-not-found,unused-ignore]  # of the stage

    return (
        len(value) >= 12  # noqa: PLR2004 - shorter ones are for our own rules
        and any(map(str.isdigit, value))
        and not re.search(r"\s", value)
        and entropy(value) >= 3  # noqa: PLR2004
        and not heuristic.is_potential_uuid(value)
        and not heuristic.is_sequential_string(value)
        and not heuristic.is_indirect_reference(line)
        and not value.startswith(("/", "./", "http"))
    )


def _random(line: str) -> Iterator[Hit]:
    """Quoted text that looks drawn at random, and is neither a digest nor made of words."""
    if "sha256" in line or "sha512" in line or "hash" in line.lower() or "digest" in line.lower():
        return
    for match in _QUOTED.finditer(line):
        value = match[1]
        if re.fullmatch(r"[0-9a-fA-F]+", value):
            if len(value) in _DIGESTS or len(value) < 24 or entropy(value) < 3:  # noqa: PLR2004
                continue
        elif _UUID.search(value) or not _is_drawn(value):
            continue
        yield Hit("high-entropy", MEDIUM, value, "a text that looks drawn at random")


def _is_drawn(value: str) -> bool:
    """Whether letters of both cases and digits are mixed as no name or path mixes them."""
    turns = len(re.findall(r"[a-z][A-Z0-9]|[A-Z][0-9]|[0-9][A-Za-z]", value))
    return entropy(value) >= 4.2 and turns >= len(value) / 4 and not is_placeholder(value)  # noqa: PLR2004


def _distinct(found: Sequence[Hit]) -> list[Hit]:
    """Each secret once: of those that overlap, the worst, then the first."""
    order = ("critical", "high", "medium")
    kept: list[Hit] = []
    for hit in sorted(found, key=lambda hit: order.index(hit.severity)):
        if not any(hit.value in other.value or other.value in hit.value for other in kept):
            kept.append(hit)
    return kept


def _masked(line: str, found: Sequence[Hit]) -> str:
    for hit in sorted(found, key=lambda hit: -len(hit.value)):
        line = line.replace(hit.value, "***")
    # what else is a value there might be one that no rule knows
    return ASSIGNMENT.sub(lambda match: match["name"], " ".join(line.split()))


@cache
def _detectors() -> tuple[tuple[str, Any], ...]:
    from detect_secrets.core.plugins.util import (  # type: ignore[import-not-found,unused-ignore]
        get_mapping_from_secret_type_to_class,
    )

    known: list[Any] = list(get_mapping_from_secret_type_to_class().values())
    classes = sorted(known, key=lambda each: str(each.__name__))
    return tuple((each.__name__, each()) for each in classes if each.__name__ not in _NOT_USED)
