"""A plan once made is kept, and used while everything that it was made from is as it was.

Reading YAML and checking it takes a quarter of a second; finding a kept plan takes a millisecond. So this
module imports nothing that is not needed to find one. A kept plan that is damaged or out of date is made
again without a word, and one that cannot be kept is not.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import penstock
from penstock import digest
from penstock.plan.model import (
    Archive,
    Delivery,
    Environment,
    GateSpec,
    Output,
    Overlay,
    Plan,
    Produced,
    Secret,
    Serving,
    Setting,
    Stage,
)
from penstock.plan.reads import unchanged
from penstock.record import asdict, replace
from penstock.results import Accelerator

__all__ = ["Overlay", "decode_plan", "encode_plan", "load_plan", "plan_digest", "seen_from_here"]

FORMAT = 1
MAX_KEPT = 64
_PACKAGE = Path(__file__).parent
_PARAM_PREFIX = "PENSTOCK_PARAM_"


def load_plan(pipeline_path: Path, overlay: Overlay) -> tuple[Path, Plan]:
    """The root of a pipeline, absolute, and its plan.

    Raises:
        PipelineError: The pipeline file, or one that it names, is wrong.
        UsageError: The overlay names what is not there.
    """
    place = os.path.abspath(pipeline_path)  # noqa: PTH100 - no links are resolved, no Path is made
    request = _request(place, overlay)
    hint = _root_hint(place)
    if hint is not None:
        kept = _find(os.path.join(hint, ".penstock", "plans", f"{request}.json"))  # noqa: PTH118 - speed
        if kept is not None:
            return kept
    # pydantic would read the metadata of every installed package to find plugins, and use what it found
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from penstock.plan.load import load

    loaded = load(pipeline_path, overlay)
    _keep(request, loaded.root, loaded.plan, loaded.read)
    return loaded.root, loaded.plan


def seen_from_here(plan: Plan, root: Path) -> Plan:
    """The plan with its file named as somebody in the current directory would name it."""
    shown = os.path.relpath(root / plan.pipeline_file)
    return replace(
        plan,
        pipeline_file=shown,
        stages=tuple(
            replace(each, file=os.path.relpath(root / each.file)) if each.file else each
            for each in plan.stages
        ),
        settings=tuple(
            replace(each, origin=each.origin.replace(plan.pipeline_file, shown)) for each in plan.settings
        ),
    )


def plan_digest(plan: Plan) -> str:
    """The digest of what a plan will do: no line numbers, no origins of settings.

    Nor what programs do with what was judged: a run that is published elsewhere too is the same run.
    """
    document = encode_plan(plan)
    for name in ("settings", "notes", "deliveries", "digest"):
        del document[name]
    for each in (*document["stages"], *document["gates"]):
        del each["line"]
        each.pop("file", None)
    return digest.of_json(document)


def encode_plan(plan: Plan) -> dict[str, Any]:
    """A plan as JSON values."""
    return asdict(plan)


def decode_plan(document: Mapping[str, Any]) -> Plan:
    """The plan of a document that `encode_plan` made.

    Raises:
        KeyError, TypeError: It made no such document.
    """
    fields = dict(document)
    fields["stages"] = tuple(_stage(each) for each in document["stages"])
    fields["gates"] = tuple(_gate(each) for each in document["gates"])
    archive = document["archive"]
    fields["archive"] = archive and Archive(path=archive["path"], contents=_pairs(archive["contents"]))
    fields["deliveries"] = tuple(
        Delivery(
            each["kind"],
            _stage(each["stage"]),
            _pairs(each["contents"]),
            each["before"] and _stage(each["before"]),
        )
        for each in document["deliveries"]
    )
    fields["secrets"] = tuple(Secret(**each) for each in document["secrets"])
    fields["settings"] = tuple(
        Setting(**each | {"overridden": _pairs(each["overridden"])}) for each in document["settings"]
    )
    fields["ignore"] = tuple(document["ignore"])
    fields["notes"] = tuple(document["notes"])
    return Plan(**fields)


def _stage(document: Mapping[str, Any]) -> Stage:
    fields = dict(document)
    fields["sources"] = tuple(document["sources"])
    fields["produced"] = tuple(Produced(**each) for each in document["produced"])
    fields["outputs"] = tuple(Output(**each) for each in document["outputs"])
    fields["files"] = _pairs(document["files"])
    fields["variables"] = _pairs(document["variables"])
    fields["secrets"] = tuple(document["secrets"])
    fields["passes"] = tuple(document["passes"])
    fields["pledges"] = _pairs(document["pledges"])
    fields["environment"] = Environment(**document["environment"])
    fields["serving"] = document["serving"] and Serving(**document["serving"])
    accelerator = document["accelerator"]
    fields["accelerator"] = accelerator and Accelerator(**accelerator)
    return Stage(**fields)


def _gate(document: Mapping[str, Any]) -> GateSpec:
    return GateSpec(**dict(document) | {"reads": _pairs(document["reads"])})


def _pairs(values: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((first, second) for first, second in values)


def _request(place: str, overlay: Overlay) -> str:
    """A name for what is asked: the file, the overlay and the code that answers."""
    asked = [
        FORMAT,
        penstock.__version__,
        sys.version_info[:2],
        _code(),
        place,
        overlay.profile,
        overlay.event,
        overlay.sets,
        overlay.accelerator,
        overlay.accelerator_required,
        sorted(item for item in overlay.environ.items() if item[0].startswith(_PARAM_PREFIX)),
    ]
    return digest.of_json(asked).removeprefix(digest.PREFIX)


def _code() -> list[list[Any]]:
    """Name, size and time of every file that can change what is made of a pipeline file."""
    found = []
    directories = [str(_PACKAGE), str(_PACKAGE.parent / "programs")]
    for directory in directories:  # grows as directories are found
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.endswith((".py", ".txt")):
                        status = entry.stat()
                        found.append([entry.path, status.st_size, status.st_mtime_ns])
                    elif "." not in entry.name and entry.name != "__pycache__":
                        directories.append(entry.path)
        except OSError:
            continue  # an archive instead of a directory: the version must do
    return sorted(found)


def _root_hint(place: str) -> str | None:
    """Where the root probably is, so that a kept plan is found before YAML is read; it need not be right."""
    try:
        with open(place, "rb") as file:  # noqa: PTH123 - speed
            data = file.read(1 << 20)
    except (OSError, ValueError):
        return None
    base, name = os.path.split(os.path.dirname(place))  # noqa: PTH120 - speed
    root = base if name == "pipelines" else os.path.join(base, name)  # noqa: PTH118 - speed
    at = 0 if data.startswith(b"root:") else data.find(b"\nroot:") + 1
    if data[at : at + 5] == b"root:":
        line = data[at + 5 :].split(b"\n", 1)[0].split(b" #", 1)[0].strip().strip(b"\"'")
        root = os.path.join(base, name, os.fsdecode(line))  # noqa: PTH118 - speed
    return os.path.normpath(root)


def _find(path: str) -> tuple[Path, Plan] | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - speed
            seal, _, data = file.read().partition(b"\n")
        if seal != digest.of_bytes(data).encode():
            return None
        record = json.loads(data)
        if not all(unchanged(*each) for each in record["read"].items()):
            return None
        return Path(record["root"]), decode_plan(record["plan"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _keep(request: str, root: Path, plan: Plan, read: Mapping[str, str]) -> None:
    """Keep a plan for the next run, whole or not at all; losing it costs time only, so it is not fsynced."""
    data = digest.canonical_json({"root": str(root), "read": dict(read), "plan": encode_plan(plan)})
    home = root / ".penstock"
    target = home / "plans" / f"{request}.json"
    temporary = target.with_name(f".{request}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        temporary.write_bytes(digest.of_bytes(data).encode() + b"\n" + data)
        temporary.replace(target)
        _prune(target.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prune(plans: Path) -> None:
    """Let the oldest plans go: a sweep over parameters makes one for every value."""
    kept = sorted(plans.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in kept[MAX_KEPT:]:
        path.unlink(missing_ok=True)
