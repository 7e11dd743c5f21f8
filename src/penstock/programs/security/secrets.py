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
from typing import Any

from .secret_rules import ASSIGNMENT, CRITICAL, HIGH, MEDIUM, PRIVATE_KEY, Hit, entropy, hits, is_placeholder

PIECE = 4 << 20
_WINDOW, _SHARED = 4_000, 400
"""A longer line is read in windows of so many characters, of which neighbours share some."""
_SNIFFED = 8192
_LONGEST = 200
_CANDIDATE = re.compile(
    rb"pass(?:w|p)|pwd|secret|token|credential|api[_-]?key|[a-z][_-]?key\b|authkey|conn(?:ection)?[_-]?str"
    rb"|authorization|\"auth\"|'auth'|identified by|sig=|login "
    rb"|://[^\s/:@]{0,100}:[^\s/@]{3,200}@"
    rb"|\b(?:gh[opsur]_|github_pat|gl[a-z]{2,5}-|hf_|sk-|aiza|gocspx|akia|asia|abia|acca|dapi|hv[sbr]\.|do[opr]_v1"
    rb"|xox|xapp|npm_|pypi-|dckr_|[rs]k_live|sg\.|age-secret|dag_|eyj|[a-z0-9]{15,}-us\d|bot\d|ap[a-z0-9]{8}"
    rb"|sq0|[as][kc][0-9a-f]{32}|akc)|hooks\.slack|discord|mailchimp|softlayer|private key"
    rb"|[\"'][a-z0-9+/=_-]{20,}[\"']"
)
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
    lowered = piece.lower()
    if not _CANDIDATE.search(lowered):
        return
    breaks = [match.start() for match in re.finditer(b"\n", piece)]
    keys = dict(_private_keys(piece, breaks))
    seen = -1
    for match in _CANDIDATE.finditer(lowered):
        number = bisect.bisect_left(breaks, match.start())
        last = bisect.bisect_left(breaks, match.end() - 1)
        for each in range(max(number, seen + 1), last + 1):
            start = breaks[each - 1] + 1 if each else 0
            end = breaks[each] if each < len(breaks) else len(piece)
            text = piece[start:end].decode("utf-8", "replace").rstrip("\r")
            yield from _line(text, first + each, path, keys.get(each))
            seen = each


def _private_keys(piece: bytes, breaks: Sequence[int]) -> Iterator[tuple[int, Hit]]:
    if b"PRIVATE KEY" not in piece:
        return
    text = piece.decode("latin-1")
    for match in PRIVATE_KEY.finditer(text):
        value = match["value"]
        if entropy(value) > 3:  # noqa: PLR2004 - less is made up by hand
            yield (
                bisect.bisect_left(breaks, match.start()),
                Hit("private-key", CRITICAL, value, "a private key"),
            )


def _binary(content: bytes, path: str) -> Iterator[Found]:
    """Of a binary file, its printable runs; where they are says no line."""
    for pattern in (_STRINGS, _WIDE):
        for match in pattern.finditer(content):
            run = match[0].replace(b"\0", b"")
            if not _CANDIDATE.search(run.lower()):
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


def _line(text: str, number: int, path: str, key: Hit | None) -> Iterator[Found]:
    # what stands in quotes within quotes, as code does in a notebook, is read like other text
    for part in _windows(text.replace('\\"', '"').replace("\\'", "'")):
        found = [key] if key else []
        found += hits(part, path)
        found += _theirs(part, path)
        if not path.endswith(_LOCKS):
            found += _random(part)
        kept = _distinct(found)
        masked = _masked(part, kept)
        yield from (Found(hit, number, masked) for hit in kept)


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
