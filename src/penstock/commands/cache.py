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
    gc.add_argument(
        "--max-size",
        metavar="SIZE",
        type=_size,
        help="until the stored outputs are no larger: 500M, 10G; environments go by --older-than",
    )
    gc.add_argument("-n", "--dry-run", action="store_true", help="say what would be removed")


def run(options: argparse.Namespace) -> int:
    """Look at, check or shrink the store."""
    from penstock.cache import maintenance
    from penstock.cache.maintenance import shown_bytes
    from penstock.executors import disposal

    store = Store(default_home(os.environ))
    match options.action:
        case "stats":
            there = disposal.count(store.home)
            sys.stdout.write(maintenance.stats(store).text())
            sys.stdout.write(
                f"  {'environments':<14} {there.kept:>9,}  {shown_bytes(there.kept_bytes):>10}\n"
            )
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
            if options.older_than is not None:
                sys.stdout.write(_environments(store, options))
    return EXIT_OK


def _environments(store: Store, options: argparse.Namespace) -> str:
    from penstock.cache.maintenance import shown_bytes
    from penstock.executors import disposal

    found = disposal.collect(store.home, options.older_than, dry_run=options.dry_run)
    verb = "would remove" if options.dry_run else "removed"
    busy = f" ({found.in_use:,} in use)" if found.in_use else ""
    return (
        f"{verb} {found.removed:,} environments with {shown_bytes(found.removed_bytes)},"
        f" kept {found.kept:,}{busy}\n"
    )


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
