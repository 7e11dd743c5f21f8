"""The command `penstock`: arguments, the one place that catches errors, and exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from penstock.errors import EXIT_INTERRUPTED, EXIT_UNAVAILABLE, EXIT_USAGE, PenstockError

COMMANDS = {
    "run": "run the pipeline: what changed, and what follows from it",
    "plan": "show the stages with their keys, and which of them would run",
    "explain": "say why a stage ran, or why it did not have to",
    "gate": "ask one gate about files that are there, or all gates about a run that was",
    "gates": "say what each gate could see: how many rows it has, and how many it would need",
    "baseline": "take a run's predictions as what later models are compared with",
    "report": "write a run's page, and open it; put two runs beside each other",
    "verify": "compare two runs: the same, or where they part first and why",
    "models": "show, compare, promote, roll back and load the versions of models in the registry",
    "evidence": "say what a published model was made of and who signed it, and verify that",
    "audit": "say who did what to published models, and verify that nothing of it was changed",
    "init": "write a pipeline file for this repository",
    "import": "write a pipeline file with the stages of a dvc.yaml or an MLproject",
    "doctor": "say what is here and what is missing, for which executor, and how to get it",
    "cache": "look at, check or shrink the store of results",
    "comment": "put a run's summary on its pull or merge request, or update it there",
    "schema": "print the JSON schema of the pipeline file or of run.json",
    "version": "print the version",
}

_MODULES = {"import": "importing"}
"""Of commands that are called what no module can be."""

EPILOG = """\
exit codes:
  0    everything passed
  1    a stage failed; verify: the runs part
  2    the pipeline file or the command line is wrong
  3    a required gate failed
  4    a required gate was inconclusive
  5    an executor, the store or a service could not be reached
  124  a stage ran out of time
  130  interrupted (143: terminated)
"""

_INTERRUPTED = "penstock: interrupted; what had finished is kept, run again to go on\n"
_SHOW_CURSOR = "\x1b[?25h"  # a display of progress may have hidden it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code and shows no traceback for anything a user can cause."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    _open_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        options = _parse(arguments)
        code: int = _module(options.command).run(options)
        sys.stdout.flush()
    except PenstockError as error:
        print(f"penstock: {_shown(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(_INTERRUPTED, end="", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()  # whoever read the output has enough of it
        return 0
    except OSError as error:
        # what no command knows more of: a full disk behind standard output, a current directory that is gone
        _give_up_stdout()
        where = f"{_shown(os.fsdecode(error.filename))}: " if error.filename else ""
        print(f"penstock: {where}{error.strerror or error}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    return code


def _open_streams() -> None:
    """Have streams to write to, also where the caller closed them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end


def _give_up_stdout() -> None:
    # or Python would try to write what is left, and complain
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(_number: int, _frame: object) -> NoReturn:
    # an exception could come up within an import, which makes another one of it or swallows it; and whatever
    # is under way can also be killed, so nothing has to be tidied up
    shown = _SHOW_CURSOR if os.isatty(2) else ""
    os.write(2, f"{shown}{_INTERRUPTED}".encode())
    os._exit(EXIT_INTERRUPTED)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    # only the chosen command's arguments are described: its module is the only one that is imported
    chosen = next((each for each in arguments if not each.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="penstock",
        description="One gated machine-learning pipeline, the same on a laptop and in CI.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="store_const", const="version", dest="command", help="print the version"
    )
    # its name is given, or argparse formats a usage message to find it, which takes longer than the rest
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="penstock")
    for name, sentence in COMMANDS.items():
        command = commands.add_parser(
            name, help=sentence, description=sentence[0].upper() + sentence[1:] + "."
        )
        command.allow_abbrev = False
        if name == chosen:
            _module(name).add(command)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        raise SystemExit(EXIT_USAGE)
    return options


def _module(command: str) -> ModuleType:
    return import_module(f"penstock.commands.{_MODULES.get(command, command)}")


def _shown(text: str) -> str:
    """Text for a terminal: a name from outside cannot move the cursor or hide what follows."""
    return (
        "".join(
            sign
            if sign.isprintable() or sign == "\n"
            else sign.encode("unicode_escape", "backslashreplace").decode()
            for sign in text
        )
        .encode("utf-8", "backslashreplace")
        .decode()
    )


if __name__ == "__main__":
    sys.exit(main())
