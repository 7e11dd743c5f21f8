"""Runs of the data validator, as a stage starts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.programs.validate import main as validate


def start(
    data: Path,
    schema: Path | None,
    result: Path,
    *,
    reference: Path | None = None,
    splits: Mapping[str, Path] | None = None,
) -> int:
    """Start the program on a request; its exit code."""
    request = {
        "data": str(data),
        "schema": str(schema) if schema else None,
        "result": str(result),
        "reference": str(reference) if reference else None,
        "splits": {name: str(path) for name, path in splits.items()} if splits else None,
    }
    result.parent.mkdir(parents=True, exist_ok=True)
    place = result.with_name("request.json")
    place.write_text(json.dumps(request), encoding="utf-8")
    return validate.main([str(place)])


class Runs:
    """Validates texts in a folder and gives what was written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str, content: str | bytes) -> Path:
        """A file of the folder."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def __call__(
        self,
        data: str | bytes,
        schema: str | None,
        *,
        reference: str | None = None,
        splits: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The document about data."""
        result = self.folder / "out" / "r.json"
        code = start(
            self.file("t.csv", data),
            self.file("t.yaml", schema) if schema is not None else None,
            result,
            reference=self.file("reference.csv", reference) if reference is not None else None,
            splits={name: self.file(f"{name}.csv", text) for name, text in (splits or {}).items()},
        )
        assert code == 0
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def failures(result: Mapping[str, Any]) -> dict[str, list[int | None]]:
    """Failed checks, each with the rows of its examples."""
    return {
        " ".join(filter(None, (check["column"], check["name"]))): [item["row"] for item in check["examples"]]
        for check in result["checks"]
        if not check["passed"]
    }


def said(result: Mapping[str, Any], name: str) -> list[str]:
    """What the examples of a check say."""
    check = next(each for each in result["checks"] if each["name"] == name)
    return [item["value"] for item in check["examples"]]
