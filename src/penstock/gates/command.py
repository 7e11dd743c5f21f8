"""The gate `command`: a command of the user's own says by its exit code what it found."""

from __future__ import annotations

from penstock.errors import EXIT_GATE_INCONCLUSIVE, EXIT_OK
from penstock.gates.base import MAX_DETAILS, Exhibits, evidence, result, strict
from penstock.gates.document import Section
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

_LONGEST = 255
_SENTENCE = 300
_LINE = 200


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if the command ended with 0; 4 is inconclusive, as for `penstock run`, and anything else fails.

    Args:
        spec: Without options.
        exhibits: What the command ended with, and what it wrote of its verdict.
    """
    document = evidence(spec, exhibits, "command")
    code = document.count("exit_code")
    if code > _LONGEST:
        raise document.error("exit_code", f"is {code}, which no command ends with")
    problem, found = document.maybe("problem", document.text), document.maybe("result", document.section)
    if problem is not None:
        raise document.error("problem", f"keeps the command (it ended with {code}) from a verdict: {problem}")
    verdicts = {EXIT_OK: Verdict.PASS, EXIT_GATE_INCONCLUSIVE: Verdict.INCONCLUSIVE}
    verdict = verdicts.get(code, Verdict.FAIL)
    said = found.maybe("sentence", lambda key: found.text(key, empty=True)) if found else None
    ended = f"the command ended with {code}"
    sentence = f"{said[:_SENTENCE]} ({ended})" if said else ended
    lines = document.text("output", empty=True).splitlines() if verdict is not Verdict.PASS else []
    last = [line[:_LINE] for line in lines if line.strip()][-MAX_DETAILS:]
    return result(spec, verdict, sentence, exhibits, details=last, **_facts(found))


def _facts(found: Section | None) -> dict[str, object]:
    """The number that the command judged, if it wrote one."""
    if found is None:
        return {}
    value = found.maybe("value", found.number)
    return {
        "value": value,
        "interval": None if value is None else found.maybe("interval", found.interval),
        "sample_size": found.maybe("rows", found.count),
    }
