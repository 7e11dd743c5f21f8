"""What scans found, in the formats that GitHub and GitLab show beside a change.

A stage writes them; here they get the names that CI wrappers upload, those of several stages in one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SARIF = "security.sarif"
CODE_QUALITY = "gl-code-quality-report.json"
SECRETS = "gl-secret-detection-report.json"
_ENDS = {".sarif": SARIF, f".{CODE_QUALITY}": CODE_QUALITY, f".{SECRETS}": SECRETS}
ROLES = ("sarif", "gl-code-quality", "gl-secret-detection")
"""Of the outputs that hold them."""


def is_attachment(path: str) -> bool:
    """Whether an output is such a file, and no document that the page shows."""
    return _name(path) is not None


def files(documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files for CI systems by their names; one that cannot be read is left out.

    Args:
        documents: By the path of the output that each is.
    """
    found: dict[str, list[Any]] = {}
    for path, content in sorted(documents.items()):
        name = _name(path)
        if name is None:
            continue
        try:
            found.setdefault(name, []).append(json.loads(content))
        except (ValueError, RecursionError):
            continue  # the gate fails where the document beside it cannot be read either
    return {
        name: (json.dumps(merged, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        for name, parts in found.items()
        if (merged := _merged(name, parts)) is not None
    }


def _name(path: str) -> str | None:
    return next((name for end, name in _ENDS.items() if path.endswith(end)), None)


def _merged(name: str, parts: list[Any]) -> Any:
    if name == CODE_QUALITY:
        lists = [each for each in parts if isinstance(each, list)]
        return [entry for each in lists for entry in each]
    key = "runs" if name == SARIF else "vulnerabilities"
    whole = [each for each in parts if isinstance(each, dict) and isinstance(each.get(key), list)]
    if not whole:
        return None
    return {**whole[0], key: [entry for each in whole for entry in each[key]]}
