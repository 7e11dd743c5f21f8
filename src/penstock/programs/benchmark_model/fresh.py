"""What runs in processes of its own, where nothing but the model is in memory and nothing is warm.

The parent hands over a file, and a pipe that the findings go to: what a model prints must not get among them.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..common import models, packages
from ..common.predictors import Predictor
from ..common.program import Progress, UnusableError

SEED = 20_261_121
START, MEASURE = "start", "measure"
COLLECT_EVERY = 50
"""Calls between two collections of garbage, none of which is timed."""

_READY = b"."
_CODE = """\
import importlib, sys
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2]).main(sys.argv[3:])
"""


class FreshError(Exception):
    """The process did not do what it was started for; the message says what happened in it."""


# In the parent


def cold_start_s(request: Mapping[str, Any], rows: pd.DataFrame) -> float:
    """From the start of a process to its first prediction, of the first row; seconds.

    Raises:
        FreshError: It never got there.
    """
    with _handed_over(request, rows.head(1)) as payload:
        began = time.perf_counter_ns()
        with _child(START, payload) as pipe:
            head = os.read(pipe, 1)
            ended = time.perf_counter_ns()
            _checked(head if head == _READY else head + _all_of(pipe))
    return (ended - began) / 1e9


def measured(request: Mapping[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    """Memory and timings of a process that loads the model and predicts.

    Returns:
        `memory` (as in the document) and `timings`: for each batch size the nanoseconds of every timed call.

    Raises:
        FreshError: The model could not be loaded or did not predict.
    """
    with _handed_over(request, rows) as payload, _child(MEASURE, payload) as pipe:
        return _checked(_all_of(pipe))


@contextlib.contextmanager
def _handed_over(request: Mapping[str, Any], rows: pd.DataFrame) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "payload"
        place.write_bytes(pickle.dumps((dict(request), rows)))
        yield str(place)


@contextlib.contextmanager
def _child(mode: str, payload: str) -> Iterator[int]:
    root = Path(__file__).parents[__name__.count(".")]
    reading, writing = os.pipe()
    command = [sys.executable, "-c", _CODE, str(root), __name__, mode, payload, str(writing)]
    # what it prints is the log's
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[writing])  # noqa: S603 - this very module
    os.close(writing)
    try:
        yield reading
    except KeyboardInterrupt:
        child.kill()
        raise
    finally:
        os.close(reading)
        child.wait()


def _all_of(pipe: int) -> bytes:
    parts = []
    while part := os.read(pipe, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def _checked(message: bytes) -> dict[str, Any]:
    if message == _READY:
        return {}
    if not message:
        raise FreshError("a fresh process ended before it had predicted; see the log")
    found: dict[str, Any] = json.loads(message)
    if "error" in found:
        raise FreshError(found["error"])
    return found


# In the process


def main(arguments: list[str]) -> None:
    """Do what the parent asks for: `start` or `measure`, the payload's path, the pipe's number."""
    mode, payload, pipe = arguments
    with Path(payload).open("rb") as file, os.fdopen(int(pipe), "wb") as out:
        request, rows = pickle.load(file)  # noqa: S301 - the parent wrote it, nobody else could
        try:
            found = _start(request, rows) if mode == START else _measure(request, rows)
        except (UnusableError, models.LoadError) as error:
            found = _problem(str(error))
        except Exception as error:  # noqa: BLE001 - it is the model's own code
            found = _problem(f"{request['model']}: asked to predict, it raised {packages.told(error)}")
        out.write(found)
    os._exit(0)  # threads that the model started must not keep the parent waiting


def _problem(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


def _start(request: Mapping[str, Any], rows: pd.DataFrame) -> bytes:
    models.load(models.source(request)).call(rows)
    return _READY


def _measure(request: Mapping[str, Any], rows: pd.DataFrame) -> bytes:
    gc.collect()
    _forget_peak()
    before = _memory("VmRSS")
    model = models.load(models.source(request))
    loaded = _memory("VmRSS")
    progress = Progress()
    calls, warmup = request["calls"], request["warmup"]
    timings = {
        str(batch): timed(model, rows, batch, calls=calls, warmup=warmup, progress=progress)
        for batch in request["batch_sizes"]
    }
    memory = {"before_bytes": before, "loaded_bytes": loaded, "peak_bytes": _memory("VmHWM")}
    return json.dumps({"memory": memory, "timings": timings}).encode()


def timed(
    model: Predictor, rows: pd.DataFrame, batch: int, *, calls: int, warmup: int, progress: Progress
) -> list[int]:
    """Nanoseconds of every call after the warm-up; nothing but the call is within them.

    Each call gets other rows, the same in every run. The garbage collector waits meanwhile.
    """
    draws = np.random.default_rng([SEED, batch])
    found: list[int] = []
    gc.collect()
    gc.disable()
    try:
        for call in range(warmup + calls):
            drawn = draws.choice(len(rows), batch, replace=batch > len(rows))
            asked = rows.iloc[drawn].reset_index(drop=True)
            began = time.perf_counter_ns()
            answer = model.call(asked)
            ended = time.perf_counter_ns()
            del answer
            if call >= warmup:
                found.append(ended - began)
            if call % COLLECT_EVERY == 0:
                gc.collect()
                progress.say(f"batches of {batch}: {call} of {warmup + calls} calls")
    finally:
        gc.enable()
    return found


def _forget_peak() -> None:
    """Let the peak begin here; where the kernel does not let us, reading the rows counts too."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _memory(name: str) -> int | None:
    """A line of /proc/self/status in bytes; None where there is no such file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None
