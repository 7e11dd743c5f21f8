"""Runs the commands of stages again, once as they were or once for each seed, and writes down what came out.

All commands of a repetition run in one workspace, in order; what they wrote is removed before the next one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import digests, program
from ..common.program import UnusableError


def main(arguments: Sequence[str]) -> int:
    """Repeat and write; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    seeds = request["seeds"]
    repetitions = [_repetition(request, seed) for seed in (seeds["values"] if seeds else (None,))]
    document = {
        "version": 1,
        "kind": "reproducibility",
        "stage": request["stages"][0]["name"],
        "parameter": seeds["parameter"] if seeds else None,
        "repetitions": repetitions,
        "same": None,
        "differing": [],
        "warnings": [],
    }
    if seeds:
        document |= _agreement(repetitions)
    program.write_document(request["result"], document)
    return f"{len(repetitions)} {'repetition' if len(repetitions) == 1 else 'repetitions'}"


def _repetition(request: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    for path in request["outputs"]:
        _remove(Path(path))
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    _write_params(request, seed)
    for stage in request["stages"]:
        words = f"stage {stage['name']!r}" + ("" if seed is None else f" with seed {seed}")
        sys.stderr.write(f"{words} again\n")
        sys.stderr.flush()
        command = ["/bin/sh", "-euc", stage["run"]]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - the user's own
        if done.returncode:
            raise UnusableError(f"{words}: run again, the command ended with {done.returncode}")
    outputs = [{"path": path, "digest": _digest(path)} for path in request["outputs"]]
    return {"seed": seed, "outputs": outputs, "metrics": _metrics(request["seeds"])}


def _write_params(request: Mapping[str, Any], seed: int | None) -> None:
    """The parameters where the commands look for them, as JSON, which is YAML too."""
    params = json.loads(json.dumps(request["params"]))
    if seed is not None:
        *above, last = request["seeds"]["parameter"].split(".")
        section = params
        for name in above:
            section = section[name]
        section[last] = seed
    if request["params_file"] is not None:
        place = Path(request["params_file"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(params, indent=1) + "\n", encoding="utf-8")


def _metrics(seeds: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The metric that the commands wrote, by its name."""
    if seeds is None:
        return None
    path, name = seeds["metrics"], seeds["metric"]
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableError(f"{path}: no metrics can be read from it: {error}") from None
    for part in [name] if isinstance(found, dict) and name in found else name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise UnusableError(f"{path}: {name!r} is {json.dumps(found)[:80]}, not a number")
    return {name: found}


def _agreement(repetitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Whether all repetitions wrote the same, and which outputs differ."""
    first = {each["path"]: each["digest"] for each in repetitions[0]["outputs"]}
    differing = {
        each["path"]
        for other in repetitions
        for each in other["outputs"]
        if first[each["path"]] != each["digest"]
    }
    return {"same": not differing, "differing": sorted(differing)}


def _digest(path: str) -> str:
    if not Path(path).exists():
        raise UnusableError(f"{path}: run again, the command did not write it")
    return digests.of_path(Path(path)).digest


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
