"""`penstock schema`."""

from __future__ import annotations

import argparse
from importlib.resources import files

SCHEMAS = {
    "pipeline": ("penstock.plan", "pipeline.schema.json"),
    "run": ("penstock.report", "run.schema.json"),
}


def add(parser: argparse.ArgumentParser) -> None:
    """Which document."""
    parser.add_argument(
        "document", nargs="?", choices=SCHEMAS, default="pipeline", help="whose schema (default: pipeline)"
    )


def run(options: argparse.Namespace) -> int:
    """Print a JSON schema, as it is in the package."""
    package, name = SCHEMAS[options.document]
    print(files(package).joinpath(name).read_text(encoding="utf-8"), end="")
    return 0
