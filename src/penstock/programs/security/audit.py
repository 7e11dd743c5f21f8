"""The check `vulnerabilities`: what is known against the locked packages.

Every package of every lock must have been looked up. What could not be (not on the index, no exact version, a
service that does not answer) is a problem of the check, so that its gate fails: pip-audit by itself would
leave such packages out and end with 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..common.program import Progress, UnusableError
from .advisories import Advisory, read_database
from .findings import Check, Finding
from .locks import Requirement, requirements

PATIENCE_S = 60.0
"""For one batch of packages beside `_EACH_S` for each of them, further attempts included."""
_EACH_S = 1.0
_ATTEMPTS = 3
_PAUSE_S = 2.0
_UNKNOWN = "high"
"""What a vulnerability counts as whose severity nobody says."""
_OLD_DAYS = 30

Pair = tuple[str, str]
"""(name, version)"""


def vulnerabilities(root: Path, request: Mapping[str, Any], date: str) -> Check:
    """Look up every locked package.

    Args:
        root: The project.
        request: With `requirements`, `database`, `service` and `service_url`.
        date: Of today, ISO 8601.
    """
    database = request.get("database")
    tool = f"OSV records of {database}" if database else f"pip-audit {version('pip-audit')}"
    check = Check("vulnerabilities", tool)
    found = []
    for path in request.get("requirements") or ():
        try:
            found += requirements(root, path)
        except UnusableError as error:
            check.problems.append(str(error))
    if not found and not check.problems:
        check.problems.append(
            "no locked package is known, so nothing was audited: name lock files at `requirements`,"
            " or leave `vulnerabilities` out of `checks`"
        )
    askable = _askable(found, check)
    try:
        known = _offline(root, str(database), askable, check, date) if database else _asked(request, askable)
    except UnusableError as error:
        check.problems.append(str(error))
        known = {}
    _report(check, found, askable, known)
    return check


def _askable(found: Iterable[Requirement], check: Check) -> dict[Pair, list[Requirement]]:
    """The packages that can be looked up; of the others, that they cannot."""
    asked: dict[Pair, list[Requirement]] = defaultdict(list)
    for each in found:
        if each.problem or each.version is None:
            check.problems.append(
                f"{each.path}:{each.line}: {each.text[:100]} could not be audited: {each.problem}"
            )
        else:
            asked[each.name, each.version].append(each)
    return asked


def _report(
    check: Check,
    found: Sequence[Requirement],
    askable: Mapping[Pair, Sequence[Requirement]],
    known: Mapping[Pair, list[Advisory] | str],
) -> None:
    silent = []
    for (name, locked), places in askable.items():
        answer = known.get((name, locked))
        if isinstance(answer, list):
            check.findings += [_finding(each, name, locked, place) for each in answer for place in places]
        else:
            silent.append(f"{name} {locked}" + (f" ({answer})" if answer else ""))
    if silent:
        first = ", ".join(silent[:3]) + (f" and {len(silent) - 3} more" if len(silent) > 3 else "")  # noqa: PLR2004
        check.problems.append(f"{len(silent)} of {len(askable)} packages could not be audited: {first}")
    files = {each.path for each in found}
    check.examined = f"{len(askable) - len(silent)} packages of {len(files)} lock files"


def _finding(known: Advisory, name: str, locked: str, place: Requirement) -> Finding:
    names = ", ".join((known.id, *(each for each in known.aliases if each.startswith("CVE-"))))
    remedy = f"lock {' or '.join(known.fixed)} or newer" if known.fixed else "no version without it is known"
    return Finding(
        check="vulnerabilities",
        rule=known.id,
        severity=known.severity or _UNKNOWN,
        path=place.path,
        line=place.line,
        message=f"{name} {locked} has {names}: {known.summary or 'no summary'}",
        remedy=remedy,
        subject=f"{name} {known.id}",
        package={
            "name": name,
            "version": locked,
            "aliases": list(known.aliases),
            "fixed": list(known.fixed),
            "rated": known.severity is not None,
        },
    )


def _offline(
    root: Path, path: str, askable: Iterable[Pair], check: Check, date: str
) -> dict[Pair, list[Advisory] | str]:
    database = read_database(root / path, path)
    check.examined = f"{database.count:,} records"
    check.tool = (
        f"{database.count:,} OSV records of {path}, the newest of {database.newest[:10] or 'no date'}"
    )
    age = _days(database.newest, date)
    if age is None or age > _OLD_DAYS:
        check.notes.append(
            f"the newest record of {path} is of {database.newest[:10] or 'no date'}: it knows nothing newer"
        )
    return {pair: database.about(*pair) for pair in askable}


def _days(then: str, now: str) -> int | None:
    from datetime import date

    try:
        return (date.fromisoformat(now[:10]) - date.fromisoformat(then[:10])).days
    except ValueError:
        return None


def _asked(request: Mapping[str, Any], askable: Iterable[Pair]) -> dict[Pair, list[Advisory] | str]:
    """What pip-audit says, in as many calls as a package has versions: it takes one at a time."""
    batches: list[dict[str, str]] = []
    for name, locked in askable:
        free = next((each for each in batches if name not in each), None)
        if free is None:
            free = {}
            batches.append(free)
        free[name] = locked
    known: dict[Pair, list[Advisory] | str] = {}
    for batch in batches:
        known |= _batch(request, batch)
    return known


def _batch(request: Mapping[str, Any], batch: Mapping[str, str]) -> dict[Pair, list[Advisory] | str]:
    progress = Progress()
    until = time.monotonic() + PATIENCE_S + _EACH_S * len(batch)
    problem = "the advisory service gave no answer"
    with TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{name}=={each}\n" for name, each in batch.items()), encoding="utf-8")
        command = [
            sys.executable, "-m", "pip_audit", "--requirement", str(file), "--no-deps", "--disable-pip",
            "--format", "json", "--progress-spinner", "off", "--timeout", "10",
            "--cache-dir", str(Path(folder) / "cache"),
            "--vulnerability-service", str(request.get("service") or "pypi"),
            *(("--osv-url", str(request["service_url"])) if request.get("service_url") else ()),
        ]  # fmt: skip
        for attempt in range(_ATTEMPTS):
            progress.say(f"vulnerabilities: asking about {len(batch)} packages")
            try:
                done = subprocess.run(  # noqa: S603 - no shell
                    command, capture_output=True, check=False, timeout=max(1.0, until - time.monotonic())
                )
            except subprocess.TimeoutExpired:
                problem = "the advisory service took too long"
                break
            answer = _answer(done.stdout, batch)
            if answer is not None:
                return answer
            problem = _reason(done.stderr)
            if time.monotonic() + _PAUSE_S * 2**attempt > until:
                break
            time.sleep(_PAUSE_S * 2**attempt if attempt + 1 < _ATTEMPTS else 0)
    return dict.fromkeys(batch.items(), problem)


def _answer(printed: bytes, batch: Mapping[str, str]) -> dict[Pair, list[Advisory] | str] | None:
    try:
        document = json.loads(printed)
        listed = document["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    known: dict[Pair, list[Advisory] | str] = {}
    for each in listed:
        if "version" in each and isinstance(each.get("vulns"), list):
            known[each["name"], each["version"]] = [_advisory(one) for one in each["vulns"]]
        elif each["name"] in batch:
            known[each["name"], batch[each["name"]]] = "it is not known there"
    return known


def _advisory(one: Mapping[str, Any]) -> Advisory:
    return Advisory(
        id=str(one["id"]),
        aliases=tuple(sorted(map(str, one.get("aliases") or ()))),
        summary=" ".join(str(one.get("description") or "").split())[:200],
        severity=None,
        fixed=tuple(map(str, one.get("fix_versions") or ())),
    )


def _reason(printed: bytes) -> str:
    """What pip-audit died of, in its own words."""
    lines = [line for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    said = (errors or lines or ["pip-audit said nothing"])[0 if errors else -1]
    return said.removeprefix("ERROR:").rpartition(":pip_audit")[2].strip()[:200]
