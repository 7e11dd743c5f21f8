"""Runs a gate's command and writes down how it ended, for the gate to judge.

The command ends with 0 to pass, with 4 where it cannot decide, with anything else to fail. What it writes to
the file that $PENSTOCK_VERDICT names is kept beside it: a JSON object with `value`, `interval` (two numbers),
`rows` and `sentence`, all optional.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import program

OUTPUT_CHARACTERS = 2_000
MAX_VERDICT_BYTES = 1 << 20
_PAIR = 2


def main(arguments: Sequence[str]) -> int:
    """Run and write; the exit code says nothing of the verdict."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "verdict.json"
        done = subprocess.run(  # noqa: S603 - the user's own
            ["/bin/sh", "-euc", request["run"]],
            env={**os.environ, "PENSTOCK_VERDICT": str(place)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        found, problem = read_verdict(place)
    output = done.stdout.decode("utf-8", "replace")
    document = {
        "version": 1,
        "kind": "command",
        "exit_code": done.returncode if done.returncode >= 0 else 128 - done.returncode,
        "result": found,
        "problem": problem,
        "output": output[-OUTPUT_CHARACTERS:],
    }
    program.write_document(request["result"], document)
    return f"{output}the command ended with {document['exit_code']}"


def read_verdict(place: Path) -> tuple[dict[str, Any] | None, str | None]:
    """What the command wrote about its verdict, and what is wrong with that; both may be absent."""
    if not place.exists():
        return None, None
    try:
        return _verdict(place), None
    except ValueError as error:
        return None, f"$PENSTOCK_VERDICT {error}"


def _verdict(place: Path) -> dict[str, Any]:
    if place.stat().st_size > MAX_VERDICT_BYTES:
        raise ValueError(f"has more than {MAX_VERDICT_BYTES:,} bytes")
    try:
        written = json.loads(place.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(written, dict):
        raise ValueError("holds no JSON object")  # noqa: TRY004 - all that is wrong with it is one kind
    unknown = sorted(written.keys() - _FORMS.keys())
    if unknown:
        raise ValueError(f"has an unknown key {unknown[0][:80]!r}")
    for name, fits in _FORMS.items():
        if written.get(name) is not None and not fits(written[name]):
            raise ValueError(f"has a {name!r} that it cannot have: {json.dumps(written[name])[:80]}")
    return {name: written.get(name) for name in _FORMS}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_interval(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == _PAIR
        and all(_is_number(each) for each in value)
        and value[0] <= value[1]
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_FORMS: Mapping[str, Callable[[object], bool]] = {
    "value": _is_number,
    "interval": _is_interval,
    "rows": _is_count,
    "sentence": _is_text,
}
