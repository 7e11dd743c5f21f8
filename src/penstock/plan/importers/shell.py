"""Commands of other tools in the shell of a stage, which stops at the first that fails."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

# words, simple quotes, redirections: what every shell reads alike, whatever its options
_PLAIN = re.compile(
    r"""(?:[A-Za-z0-9_./=,:@%+*^ -]|'[^'\n]*'|"[^"\\$`!\n]*"|>>?[ ]?(?=[A-Za-z0-9_./'"-]))+"""
)
_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]+")
# what the shell does itself would act on the commands after it, or differs between shells
_BUILT_IN = frozenset(
    (
        *(
            ".",
            ":",
            "alias",
            "bg",
            "break",
            "builtin",
            "case",
            "cd",
            "command",
            "continue",
            "coproc",
            "declare",
        ),
        *(
            "dirs",
            "disown",
            "echo",
            "enable",
            "eval",
            "exec",
            "exit",
            "export",
            "fc",
            "fg",
            "for",
            "function",
        ),
        *("getopts", "hash", "help", "history", "if", "jobs", "let", "local", "logout", "popd", "printf"),
        *(
            "pushd",
            "read",
            "readonly",
            "return",
            "select",
            "set",
            "shift",
            "shopt",
            "source",
            "suspend",
            "test",
        ),
        *("time", "times", "trap", "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait"),
        "while",
    )
)


def script(commands: Sequence[str], folder: str) -> str:
    """Text for `/bin/sh -eu` that runs each command in a shell of its own, as DVC does.

    Args:
        commands: Each as it would be handed to a shell.
        folder: Relative to where the stage starts, to run in; empty for there.
    """
    lines = [f"cd {shlex.quote(folder)}"] if folder else []
    return "\n".join((*lines, *(_line(command) for command in commands)))


def _line(command: str) -> str:
    """One command: as it is where every shell reads it alike, else for bash, which is what its author has."""
    command = command.strip()
    program = command.split(" ", 1)[0]
    if _PLAIN.fullmatch(command) and _PROGRAM.fullmatch(program) and program not in _BUILT_IN:
        return command
    return f"bash --noprofile --norc -c {shlex.quote(command)}"
