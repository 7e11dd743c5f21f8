"""What machine this is, so that timings of another one are not taken for those of this one."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROUNDED_BYTES = 1 << 30
"""Kernels keep a little memory to themselves, and not always as much: identity counts whole gibibytes."""


def described() -> dict[str, Any]:
    """What this process may use of the machine, and a digest that tells it from others."""
    memory = _memory_bytes()
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": _cores(),
        "memory_bytes": memory,
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "accelerator": _accelerator(),
    }
    rounded = None if memory is None else round(memory / _ROUNDED_BYTES)
    text = json.dumps(found | {"memory_bytes": rounded}, sort_keys=True)
    return found | {"identity": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(text: str, *names: str) -> str | None:
    """The first value of a `name : value` line."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names and value.strip():
            return " ".join(value.split())
    return None


def _processor() -> str:
    text = _read(Path("/proc/cpuinfo"))
    named = _field(text, "model name", "Model", "cpu model", "cpu")
    part = _field(text, "CPU part")
    if named is None and part is not None:  # ARM names neither
        named = f"{platform.machine()} {_field(text, 'CPU implementer')} {part}"
    return named or platform.processor() or platform.machine()


def _cores() -> float:
    """How many this process may keep busy: its affinity, or less where its control group allows less."""
    cores: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups("cpu"):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if not quota:
            quota, period = (_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota.strip().isdigit() and period.strip().isdigit() and int(period):
            cores = min(cores, round(int(quota) / int(period), 2))
    return int(cores) if cores == int(cores) else cores


def _memory_bytes() -> int | None:
    total = _field(_read(Path("/proc/meminfo")), "MemTotal")
    limits = [] if total is None else [int(total.split()[0]) * 1024]
    for group in _groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(group / name).strip()
            limits += [int(text)] if text.isdigit() else []
    return min(limits) if limits else None


def _groups(controller: str) -> Iterator[Path]:
    """The directories of this process's control group and those above it."""
    root = Path("/sys/fs/cgroup")
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        place = top / path.strip("/")
        yield from (each for each in (place, *place.parents) if each == top or top in each.parents)


def _accelerator() -> str | None:
    """Models of the NVIDIA devices that the kernel's driver knows."""
    places = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [model for place in places if (model := _field(_read(place), "Model"))]
    return ", ".join(models) or None
