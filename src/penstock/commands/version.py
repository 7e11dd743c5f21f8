"""`penstock version`."""

from __future__ import annotations

import argparse

import penstock


def add(parser: argparse.ArgumentParser) -> None:
    """Takes nothing."""


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    print(f"penstock {penstock.__version__}")
    return 0
