"""Reads the parameters that a stage declared."""

from pathlib import Path
from typing import Any

import yaml

PARAMS_FILE = Path("params.yaml")


def read(section: str, path: Path = PARAMS_FILE) -> dict[str, Any]:
    """One section of the parameter file.

    Raises:
        KeyError: The file has no such section.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if section not in document:
        raise KeyError(f"{path} has no section {section!r}; it has {', '.join(document) or 'none'}")
    values: dict[str, Any] = document[section]
    return values
