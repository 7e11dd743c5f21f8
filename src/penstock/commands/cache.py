"""`penstock cache stats | verify | gc`."""

from __future__ import annotations

import argparse
import os
import re
import sys

from penstock.cache.store import Store, default_home
from penstock.errors import EXIT_OK, EXIT_UNAVAILABLE, UsageError

_DURATIONS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def add(parser: argparse.ArgumentParser) -> None:
    """What to do with the store."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("stats", help="how much is in the store, and where it is")
    actions.add_parser("verify", help="read everything again and set aside what is damaged")
    gc = actions.add_parser("gc", help="remove results, the longest unused first, and what only they needed")
    gc.add_argument("--older-than", metavar="AGE", type=_age, help="unused for longer than this: 12h, 30d")
    gc.add_argument("--max-size", metavar="SIZE", type=_size, help="until the store is no larger: 500M, 10G")
    gc.add_argument("-n", "--dry-run", action="store_true", help="say what would be removed")


def run(options: argparse.Namespace) -> int:
    """Look at, check or shrink the store."""
    from penstock.cache import maintenance

    store = Store(default_home(os.environ))
    match options.action:
        case "stats":
            sys.stdout.write(maintenance.stats(store).text())
        case "verify":
            checked = maintenance.verify(store)
            sys.stdout.write(checked.text())
            return EXIT_UNAVAILABLE if checked.damaged else EXIT_OK
        case _:
            if options.older_than is None and options.max_size is None:
                raise UsageError(
                    "gc needs to know how much to keep",
                    where="penstock cache gc",
                    notes=("give --older-than 30d, --max-size 10G, or both",),
                )
            removed = maintenance.gc(
                store,
                older_than_s=options.older_than,
                max_size_bytes=options.max_size,
                dry_run=options.dry_run,
            )
            sys.stdout.write(removed.text())
    return EXIT_OK


def _age(text: str) -> float:
    return _quantity(text, _DURATIONS, "an age is a number and one of s, m, h, d, w: 30d")


def _size(text: str) -> int:
    return int(
        _quantity(
            text.removesuffix("B").removesuffix("i"), _SIZES, "a size is a number and K, M, G or T: 10G"
        )
    )


def _quantity(text: str, units: dict[str, int], remedy: str) -> float:
    matched = re.fullmatch(r"(\d{1,12}(?:\.\d{1,3})?)\s*([a-zA-Z]?)", text)
    if matched is None or matched[2].lower() not in units:
        raise argparse.ArgumentTypeError(f"{text!r}: {remedy}")
    return float(matched[1]) * units[matched[2].lower()]
