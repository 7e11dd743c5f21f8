"""The gate `security`: every scan was whole, and found nothing worse than the pipeline file lets through.

A scan that could not look at something has not passed, however little it found: a service that was away, a
history that is cut off, an entry of the baseline that is over. The gate counts the findings itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from penstock.gates.base import Exhibits, evidence, result, strict
from penstock.gates.bounds import cut
from penstock.gates.document import Section
from penstock.plan.model import GateSpec
from penstock.record import Record
from penstock.results import GateResult, Judged, Verdict

SEVERITIES = ("info", "low", "medium", "high", "critical")
CHECKS = ("secrets", "vulnerabilities", "code", "pickles", "pins")
MAX_SEVERITY = "medium"
"""Of a check that the pipeline file does not name."""

_LONGEST = 240

Counts = Counter[tuple[str, str]]
"""How many findings there are, by check and severity."""


class _Scan(Record, kw_only=False):
    """One check of the document.

    Attributes:
        allowed: The worst that it may leave; `none` for nothing at all.
        bad: Findings that are worse.
    """

    name: str
    allowed: str
    opened: int
    accepted: int
    bad: int
    problems: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        return Verdict.FAIL if self.problems or self.bad else Verdict.PASS


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if every check was whole and left nothing worse than it may.

    Args:
        spec: With the option `max_severity`: one word, or one for each check.
        exhibits: The document of `uses: security`.
    """
    document = evidence(spec, exhibits, "security")
    document.text("date")
    findings = document.sections("findings")
    scans = _scans(spec, document, findings)
    undone = [*(f"{scan.name}: {text}" for scan in scans for text in scan.problems), *_over(document)]
    bad = [each for each in findings if _is_bad(each, scans)]
    lines = [*(f"not whole: {each}" for each in undone), *map(_words, bad)]
    verdict = Verdict.FAIL if lines or any(scan.bad for scan in scans) else Verdict.PASS
    return result(
        spec,
        verdict,
        _sentence(scans, lines),
        exhibits,
        parts=tuple(Judged(label=scan.name, verdict=scan.verdict) for scan in scans),
        details=(*lines[1:], *map(_short, document.texts("warnings"))),
    )


def _scans(spec: GateSpec, document: Section, findings: Sequence[Section]) -> list[_Scan]:
    """The checks, with findings counted; refuses numbers that the findings contradict."""
    checks = document.sections("checks")
    if not checks:
        raise document.error("checks", "is empty, so nothing was scanned")
    names = [each.choice("name", *CHECKS) for each in checks]
    if len({*names}) < len(names):
        raise document.error("checks", "has the same check twice")
    opened, accepted = _listed(document, findings, names)
    whole = document.count("left_out") == 0
    scans, counted = [], 0
    for name, check in zip(names, checks, strict=True):
        counts = check.section("counts")
        totals = {state: counts.section(state) for state in ("open", "accepted")}
        allowed = _allowed(spec, name)
        numbers: dict[str, list[int]] = {"open": [], "accepted": []}
        for state, listed in (("open", opened), ("accepted", accepted)):
            for severity in SEVERITIES:
                total = totals[state].count(severity)
                seen = listed[name, severity]
                if total < seen or (whole and total != seen):
                    raise totals[state].error(
                        severity, f"is {total:,}, and {seen:,} such findings are listed"
                    )
                numbers[state].append(total)
        counted += sum(map(sum, numbers.values()))
        worse = SEVERITIES.index(allowed) + 1 if allowed in SEVERITIES else 0
        bad = sum(numbers["open"][worse:])
        problems = tuple(map(_short, check.texts("problems")))
        scans.append(_Scan(name, allowed, sum(numbers["open"]), sum(numbers["accepted"]), bad, problems))
    if counted != len(findings) + document.count("left_out"):
        raise document.error("left_out", "is not what the counts of the checks leave")
    return scans


def _listed(document: Section, findings: Sequence[Section], names: Sequence[str]) -> tuple[Counts, Counts]:
    """The findings that are listed: those that are open, and those that are accepted."""
    opened: Counts = Counter()
    accepted: Counts = Counter()
    date = document.text("date")
    for each in findings:
        place = each.choice("check", *names), each.choice("severity", *SEVERITIES)
        each.text("fingerprint")
        own = each.maybe("accepted", each.section)
        if own is None:
            opened[place] += 1
            continue
        own.text("reason")
        if own.text("expires") < date:
            raise own.error("expires", f"is before {date}, the day of the scan")
        accepted[place] += 1
    return opened, accepted


def _allowed(spec: GateSpec, check: str) -> str:
    asked = spec.options.get("max_severity") or MAX_SEVERITY
    if isinstance(asked, Mapping):
        asked = asked.get(check) or MAX_SEVERITY
    return str(asked)


def _is_bad(finding: Section, scans: Sequence[_Scan]) -> bool:
    allowed = next(scan.allowed for scan in scans if scan.name == finding.text("check"))
    least = SEVERITIES.index(allowed) + 1 if allowed in SEVERITIES else 0
    return finding.raw("accepted") is None and SEVERITIES.index(finding.text("severity")) >= least


def _over(document: Section) -> list[str]:
    """Entries of the baseline that do not count, with their lines."""
    baseline = document.maybe("baseline", document.section)
    return [_short(each) for each in baseline.texts("problems")] if baseline else []


def _sentence(scans: Sequence[_Scan], lines: Sequence[str]) -> str:
    """What decides.

    Args:
        lines: What was not whole, then the findings that are worse than may be.
    """
    number = sum(scan.bad for scan in scans)
    if number:
        what = f"{number:,} finding{'s are' if number > 1 else ' is'} worse than the gate lets through"
        return f"{what}; {lines[0]}" if lines else what
    if lines:
        return lines[0]
    left, accepted = sum(scan.opened for scan in scans), sum(scan.accepted for scan in scans)
    rest = f" ({left:,} that are not worse, {accepted:,} accepted)" if left or accepted else ""
    return f"{len(scans)} check{'s' if len(scans) > 1 else ''} found nothing worse than may be left{rest}"


def _words(finding: Section) -> str:
    """A finding in one line."""
    line = finding.maybe("line", finding.count)
    path = finding.text("path", empty=True) or "a commit's message"
    where = f"{_short(path)}{f':{line}' if line else ''}"
    severity, fingerprint = finding.text("severity"), finding.text("fingerprint")
    return f"{where}: {severity}: {_short(finding.text('message'))} [{cut(fingerprint)}]"


def _short(text: str) -> str:
    """A foreign text, cut where it is too long for a line."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
