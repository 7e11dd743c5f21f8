"""The gate `schema`: what `uses: validate-data` found out about a data set.

It reads the document that the recipe's program wrote (`penstock.programs.validate`) and passes only if that
document says so itself and every check in it agrees.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.gates.base import Exhibit, result
from penstock.gates.document import DocumentError, parse
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

RESULT_VERSION = 1
MAX_DETAILS = 10


def judge(spec: GateSpec, exhibits: Mapping[str, Exhibit]) -> GateResult:
    """Pass if every check of the data set passed; fail otherwise, naming the checks.

    Args:
        spec: With the option `data`, the data set's name.
        exhibits: The validation result.
    """
    exhibit = next(iter(exhibits.values()))
    try:
        checks, rows = _checks(parse(exhibit.content, exhibit.path), exhibit.path)
    except DocumentError as error:
        return result(spec, Verdict.FAIL, f"{error}; the data count as not validated", exhibits)
    failed = [check for check in checks if check["passed"] is not True]
    data = spec.options.get("data", "data")
    if not failed:
        sentence = f"{data}: all {len(checks)} checks hold for {rows:,} rows"
        return result(spec, Verdict.PASS, sentence, exhibits, sample_size=rows)
    sentence = f"{data}: {len(failed)} of {len(checks)} checks fail for {rows:,} rows"
    details = tuple(_detail(check) for check in failed[:MAX_DETAILS])
    if len(failed) > MAX_DETAILS:
        details += (f"and {len(failed) - MAX_DETAILS} more",)
    return result(spec, Verdict.FAIL, sentence, exhibits, sample_size=rows, details=details)


def _checks(document: object, path: str) -> tuple[list[dict[str, object]], int]:
    if not isinstance(document, dict) or document.get("version") != RESULT_VERSION:
        raise DocumentError(f"{path} is no validation result of version {RESULT_VERSION}")
    checks, rows, passed = document.get("checks"), document.get("rows"), document.get("passed")
    if not isinstance(checks, list) or not checks or not isinstance(passed, bool):
        raise DocumentError(f"{path} says of no check whether it passed")
    if not all(isinstance(check, dict) and isinstance(check.get("passed"), bool) for check in checks):
        raise DocumentError(f"{path} has a check without a result")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
        raise DocumentError(f"{path} does not say how many rows it judged")
    if passed != all(check["passed"] for check in checks):
        raise DocumentError(f"{path} contradicts itself: 'passed' is not what its checks say")
    return checks, rows


def _detail(check: Mapping[str, object]) -> str:
    column = f"column {check['column']}: " if check.get("column") else ""
    failures = check.get("failures")
    count = f" ({failures:,} rows)" if isinstance(failures, int) and failures else ""
    examples = check.get("examples")
    shown = ""
    if isinstance(examples, list) and examples:
        shown = f", e.g. {', '.join(_example(each) for each in examples[:3])}"
    return f"{column}{check.get('name', 'check')}{count}{shown}"


def _example(example: object) -> str:
    if isinstance(example, dict) and "value" in example:
        row = example.get("row")
        return f"{example['value']!r}" + (f" in row {row}" if row is not None else "")
    return repr(example)
