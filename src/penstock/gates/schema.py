"""The gate `schema`: every check of a data set against its schema file holds.

It passes only if the document says so itself and every check in it agrees.
"""

from __future__ import annotations

from penstock.gates.base import Exhibits, result, strict
from penstock.gates.bounds import cut
from penstock.gates.document import Section, shown
from penstock.gates.validation import name_of, rows_of, validation_of
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

_EXAMPLES = 3


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if every check of the data set passed; fail otherwise, naming the checks.

    Args:
        spec: With the option `data`, the data set's name.
        exhibits: The validation.
    """
    document = validation_of(spec, exhibits)
    checks, rows, data = document.sections("checks"), rows_of(document), name_of(spec)
    if not checks:
        raise document.error("checks", "is empty, so nothing was checked")
    failed = [each for each in checks if not each.flag("passed")]
    if document.flag("passed") == bool(failed):
        raise document.error("passed", "is not what the checks say")
    if failed:
        sentence = f"{data}: {len(failed)} of {len(checks)} checks fail for {rows:,} rows"
        details = [_words(each) for each in failed]
        return result(spec, Verdict.FAIL, sentence, exhibits, sample_size=rows, details=details)
    sentence = f"{data}: all {len(checks)} checks hold for {rows:,} rows"
    return result(spec, Verdict.PASS, sentence, exhibits, sample_size=rows)


def _words(check: Section) -> str:
    """A check that fails, with how often and where; what is not there is left out."""
    values = check.values
    column = f"column {cut(str(values['column']))}: " if values.get("column") else ""
    failures, examples = values.get("failures"), values.get("examples")
    count = f" ({failures:,} rows)" if isinstance(failures, int) and failures else ""
    some = examples[:_EXAMPLES] if isinstance(examples, list) else []
    named = f", e.g. {', '.join(map(_example, some))}" if some else ""
    return f"{column}{cut(str(values.get('name', 'check')))}{count}{named}"


def _example(example: object) -> str:
    if not isinstance(example, dict) or "value" not in example:
        return shown(example)
    where = example.get("row")
    return shown(example["value"]) + ("" if where is None else f" in row {shown(where)}")
