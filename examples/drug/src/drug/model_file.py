"""The model's file: skops, which unlike a pickle runs no code when it is read.

The same model must give the same bytes, or every training would look like a new model. Skops writes the
time of day into its archive and memory addresses into its schema; both are replaced here.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import skops.io

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold
TRUSTED = ("sklearn.tree._tree.Tree",)
"""What a tree is made of; skops loads it only if it is named."""


def save(model: object, path: Path) -> None:
    """Write a model; the bytes depend on nothing but the model and the versions of the libraries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_canonical(skops.io.dumps(model)))


def load(path: Path) -> Any:  # noqa: ANN401 - skops does not know what it will find
    """Read a model.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: It holds anything but known, harmless types
            and `TRUSTED`.
    """
    return skops.io.load(path, trusted=list(TRUSTED))


def _canonical(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    numbers: dict[int, int] = {}
    schema = _renumber(json.loads(contents.pop(SCHEMA)), numbers)
    # An array's member is called after the address of the array: `140411062897040.npy`.
    named = {_rename(name, numbers): content for name, content in contents.items()}
    named[SCHEMA] = json.dumps(schema, separators=(",", ":"), sort_keys=True).encode()
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as target:
        for name in sorted(named):
            target.writestr(zipfile.ZipInfo(name, EPOCH), named[name], zipfile.ZIP_DEFLATED)
    return result.getvalue()


def _renumber(node: Any, numbers: dict[int, int]) -> Any:  # noqa: ANN401 - a JSON value
    """The schema with addresses replaced by 1, 2, 3, ... in the order in which they first appear."""
    if isinstance(node, list):
        return [_renumber(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for name, value in node.items():
        if name == "__id__":
            result[name] = numbers.setdefault(value, len(numbers) + 1)
        elif name == "file":
            result[name] = _rename(value, numbers)
        else:
            result[name] = _renumber(value, numbers)
    return result


def _rename(name: str, numbers: dict[int, int]) -> str:
    stem, _, suffix = name.partition(".")
    return f"{numbers.setdefault(int(stem), len(numbers) + 1)}.{suffix}"
