"""`penstock audit show | verify`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from pathlib import Path

from penstock.commands import models
from penstock.commands.errands import project_root
from penstock.errors import EXIT_GATE_FAILED, EXIT_OK, UsageError
from penstock.inert import one_line
from penstock.publish import audit
from penstock.record import asdict
from penstock.report.style import Style, style_of, wrap
from penstock.report.wording import short_digest

_INDENT = 6


def add(parser: argparse.ArgumentParser) -> None:
    """What to do with the log."""
    parser.epilog = "`verify` ends with 3 if anything was changed."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print the entries, and the head to note elsewhere")
    show.add_argument("-n", "--last", metavar="N", type=int, help="only the last N")
    verify = actions.add_parser(
        "verify", help="find entries that were changed, removed, moved or, with an anchor, cut from the end"
    )
    verify.add_argument(
        "--anchor", metavar="N:HASH", help="the head that was noted, as `penstock audit show` prints it"
    )
    verify.add_argument(
        "--registry", metavar="NAME", help="with the head that was noted at this registered model instead"
    )
    for action in (show, verify):
        action.add_argument(
            "--log", metavar="FILE", type=Path, help=f"another log than the project's ({audit.VARIABLE})"
        )
        action.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Show the log, or verify it; 3 if something was changed."""
    path: Path = options.log or audit.path_of(project_root(), os.environ)
    if options.log is not None and not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    if options.action == "verify":
        return _verify(path, options)
    _show(path, options)
    return EXIT_OK


def _show(path: Path, options: argparse.Namespace) -> None:
    found = deque(audit.entries(path), maxlen=options.last)
    if options.as_json:
        for _, entry in found:
            if entry is not None:
                print(json.dumps(asdict(entry), ensure_ascii=False))
        return
    style = style_of(sys.stdout, os.environ)
    for line, entry in found:
        sys.stdout.write(style.write(_text(line, entry, style)))
    head = audit.head(path)
    if head is None:
        print(f"nothing is recorded in {path}")
    else:
        print(f"\nhead {head}")
        print("  note it elsewhere: with it, `penstock audit verify --anchor` finds what was cut")


def _text(line: int, entry: audit.Entry | None, style: Style) -> str:
    if entry is None:
        return f"{line:>{_INDENT - 1}} no entry: changed, damaged or unfinished\n"
    place = entry.where.get("job") or entry.where.get("host") or "nowhere"
    more = [f"{entry.who}, from {place}", entry.why]
    more += [f"evidence {short_digest(entry.evidence)}"] if entry.evidence else []
    lines = [f"{entry.seq:>{_INDENT - 1}} {one_line(f'{entry.at} {entry.what} {entry.subject}')}"]
    for text in more:
        lines += [" " * _INDENT + each for each in wrap(one_line(text), style.width - _INDENT)]
    return "".join(f"{each}\n" for each in lines)


def _anchor(options: argparse.Namespace) -> audit.Head | None:
    """The head that was noted, if one is given or lies in the registry."""
    text: str | None = options.anchor
    if text is None and options.registry is not None:
        request = {
            "action": "read-anchor",
            "model": options.registry,
            "tracking_uri": models.Published.here().tracking_uri,
        }
        text = models.asked(request)["facts"]["head"]
        if text is None:
            raise UsageError("no head of an audit log is noted there", where=f"models:/{options.registry}")
    return None if text is None else audit.read_anchor(text)


def _verify(path: Path, options: argparse.Namespace) -> int:
    anchor = _anchor(options)
    found = audit.verify(path, anchor)
    if options.as_json:
        document = {
            "entries": found.entries,
            "head": str(found.head) if found.head else None,
            "anchored": anchor is not None,
            "findings": [asdict(each) for each in found.findings],
        }
        print(json.dumps(document, indent=1))
    else:
        _tell(path, found, anchored=anchor is not None)
    return EXIT_GATE_FAILED if found.findings else EXIT_OK


def _tell(path: Path, found: audit.Audited, *, anchored: bool) -> None:
    for each in found.findings:
        place = f"{path}:{each.line}" if each.line else str(path)
        print(f"{place}: {each.sentence}")
    if found.findings:
        print("the log is not as it was written")
        return
    print(f"{path}: {found.entries:,} entries, each as it was written, none missing between them")
    if not anchored:
        print("  what may have been cut from the end can be found with --anchor only")
