"""A database of known vulnerabilities in a file: records of the OSV schema, as osv.dev exports them.

Source: Open Source Vulnerability format (ossf.github.io/osv-schema), the evaluation of `affected`; and the
CVSS v3.1 specification (first.org/cvss/v3.1), section 7.1, the base score.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..common.program import UnusableError

MAX_RECORD_BYTES = 16 << 20
_WORDS = {"LOW": "low", "MODERATE": "medium", "MEDIUM": "medium", "HIGH": "high", "CRITICAL": "critical"}
_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_SCOPED = {"L": 0.68, "H": 0.5}
_RATINGS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"))


@dataclass(frozen=True, slots=True)
class Advisory:
    """A known vulnerability of a version of a package."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: str | None
    fixed: tuple[str, ...]


@dataclass(slots=True)
class Database:
    """The records by the package that they are about.

    Attributes:
        newest: When the newest record was changed, as ISO 8601.
    """

    path: str
    records: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0
    newest: str = ""

    def about(self, name: str, version: str) -> list[Advisory]:
        """What is known of a version of a package; what was withdrawn is not."""
        wanted = Version(version)
        found = []
        for record in self.records.get(canonicalize_name(name), ()):
            touched = [each for each in _affected(record, name) if _holds(each, wanted)]
            if touched and not record.get("withdrawn"):
                found.append(_advisory(record, touched))
        return sorted(found, key=lambda each: each.id)


def read_database(place: Path, path: str) -> Database:
    """The database in a file (one record, a list of them, or a zip of records) or in a directory of records.

    Args:
        place: Where it is.
        path: As messages name it.

    Raises:
        UnusableError: It cannot be read, or holds nothing about Python packages.
    """
    found = Database(path)
    try:
        for record in _records(place, path):
            _take(found, record)
    except OSError as error:
        raise UnusableError(f"{path}: {error.strerror or error}") from None
    except zipfile.BadZipFile as error:
        raise UnusableError(f"{path}: no zip file: {error}") from None
    if not found.count:
        raise UnusableError(f"{path}: no record of the OSV format about a package of PyPI is in it")
    return found


def _take(found: Database, record: Mapping[str, Any]) -> None:
    affected = record.get("affected")
    packages = [each.get("package") or {} for each in affected] if isinstance(affected, list) else []
    names = {
        canonicalize_name(str(each.get("name", "")))
        for each in packages
        if str(each.get("ecosystem", "")).partition(":")[0] == "PyPI"
    }
    for name in names:
        found.records[name].append(record)
    found.count += bool(names)
    found.newest = max(found.newest, str(record.get("modified") or record.get("published") or ""))


def _records(place: Path, path: str) -> Iterator[Mapping[str, Any]]:
    if place.is_dir():
        for file in sorted(place.rglob("*.json")):
            yield from _parsed(file.read_bytes(), f"{path}/{file.relative_to(place).as_posix()}")
    elif zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".json"):
                    if member.file_size > MAX_RECORD_BYTES:
                        raise UnusableError(f"{path}: {member.filename[:100]!r} is too large for a record")
                    yield from _parsed(archive.read(member), f"{path}/{member.filename[:100]}")
    else:
        yield from _parsed(place.read_bytes(), path)


def _parsed(content: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise UnusableError(f"{where}: no JSON; a database is made of records of the OSV format") from None
    listed = document.get("vulns", [document]) if isinstance(document, dict) else document
    if not isinstance(listed, list) or not all(isinstance(each, dict) and each.get("id") for each in listed):
        raise UnusableError(f"{where}: no record of the OSV format (each has an `id`)")
    yield from listed


def _affected(record: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    for each in record.get("affected") or ():
        package = each.get("package") or {}
        ecosystem = str(package.get("ecosystem", "")).partition(":")[0]
        if ecosystem == "PyPI" and canonicalize_name(str(package.get("name", ""))) == canonicalize_name(name):
            yield each


def _holds(affected: Mapping[str, Any], wanted: Version) -> bool:
    if any(_version(each) == wanted for each in affected.get("versions") or ()):
        return True
    ranges = [each for each in affected.get("ranges") or () if each.get("type") in ("ECOSYSTEM", "SEMVER")]
    if any(_within(each.get("events") or (), wanted) for each in ranges):
        return True
    # a record that says neither which versions nor which ranges is about all of them
    return not affected.get("versions") and not ranges


def _within(events: Iterable[Mapping[str, Any]], wanted: Version) -> bool:
    """Whether a version lies in a range; an event whose version cannot be read counts against it."""
    inside = False
    for event in sorted(events, key=_order):
        ((kind, text),) = list(event.items())[:1]
        at = Version("0") if str(text) == "0" else _version(text)
        if at is None:
            inside = inside or kind == "introduced"
        elif kind == "introduced" and wanted >= at:
            inside = True
        elif (kind == "fixed" and wanted >= at) or (kind == "last_affected" and wanted > at):
            inside = False
    return inside


def _order(event: Mapping[str, Any]) -> tuple[Version, int]:
    ((kind, text),) = list(event.items())[:1]
    return (_version(text) or Version("0"), 0 if kind == "introduced" else 1)


def _version(text: object) -> Version | None:
    try:
        return Version(str(text))
    except InvalidVersion:
        return None


def _advisory(record: Mapping[str, Any], touched: Iterable[Mapping[str, Any]]) -> Advisory:
    touched = list(touched)
    fixed = {
        str(event["fixed"])
        for each in touched
        for one in each.get("ranges") or ()
        if one.get("type") == "ECOSYSTEM"
        for event in one.get("events") or ()
        if "fixed" in event
    }
    summary = str(record.get("summary") or record.get("details") or "")
    return Advisory(
        id=str(record["id"]),
        aliases=tuple(sorted(str(each) for each in record.get("aliases") or ())),
        summary=" ".join(summary.split())[:200],
        severity=_severity(record, touched),
        fixed=tuple(sorted(fixed, key=lambda each: (_version(each) or Version("0"), each))),
    )


def _severity(record: Mapping[str, Any], touched: Iterable[Mapping[str, Any]]) -> str | None:
    """As the record rates it, else by its CVSS vector; none if it says neither."""
    for holder in (*touched, record):
        for name in ("database_specific", "ecosystem_specific"):
            word = str((holder.get(name) or {}).get("severity", "")).upper()
            if word in _WORDS:
                return _WORDS[word]
    vectors = [each for holder in (record, *touched) for each in holder.get("severity") or ()]
    scores = [score for each in vectors if (score := base_score(str(each.get("score", "")))) is not None]
    if not scores:
        return None
    return next((word for least, word in _RATINGS if max(scores) >= least), "low")


def base_score(vector: str) -> float | None:
    """The base score of a CVSS 3 vector, 0 to 10; none if it is of another version or not whole."""
    if not re.match(r"CVSS:3\.[01]/", vector):
        return None
    given = dict(part.split(":", 1) for part in vector.split("/")[1:] if ":" in part)
    try:
        weights = {name: table[given[name]] for name, table in _WEIGHTS.items()}
        changed = {"C": True, "U": False}[given["S"]]
    except KeyError:
        return None
    if changed:
        weights["PR"] = _SCOPED.get(given["PR"], weights["PR"])
    loss = 1 - (1 - weights["C"]) * (1 - weights["I"]) * (1 - weights["A"])
    impact = 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02) ** 15 if changed else 6.42 * loss
    if impact <= 0:
        return 0.0
    ease = 8.22 * weights["AV"] * weights["AC"] * weights["PR"] * weights["UI"]
    total = min(10.0, (1.08 if changed else 1.0) * (impact + ease))
    whole = round(total * 100_000)  # rounded up to tenths, as the specification does it without floats
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
