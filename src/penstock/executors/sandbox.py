"""A mount and PID namespace for a stage, by bubblewrap.

The stage sees the machine's programs read-only, a fresh `/tmp`, and its workspace at one path; nothing of the
project, of the store, of any home directory. Its processes live in a PID namespace whose first process is a
shell of ours: when that ends, the kernel kills whatever is left, and only then does bubblewrap end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from penstock.errors import ExecutorError, UsageError
from penstock.record import Record, field

VARIABLE = "PENSTOCK_SANDBOX"
WORK = "/penstock/work"
HOME = "/tmp/home"  # noqa: S108 - of the sandbox
TEMPORARY = "/tmp"  # noqa: S108 - of the sandbox

_SHOWN = frozenset(
    {"bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "sys", "usr"}
)
"""Where the machine's programs and their settings are; data of people and services lie elsewhere."""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
"""What root keeps: enough for files of other users, too little to change a mount."""

# The greeting (see `process.Leash`) sees to it that the command never starts once Penstock is dead, for
# bubblewrap does not ask for the parent-death signal in its very first moment. The shell stays the first
# process, as most signals would not end a command in its place. What it would say about a signal is dropped.
_INIT = 'echo >&0; read -r _ || exit 125; exec 3>&2 2>/dev/null; (exec "$@" </dev/null 2>&3 3>&-); exit $?'


class Mount(Record, kw_only=False):
    """Something that is shown in the sandbox.

    Attributes:
        kind: An option of bubblewrap: `ro-bind`, `bind`, `tmpfs`, `remount-ro`, `dir`.
        source: For a bind.
    """

    kind: str
    target: str
    source: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """As options of bubblewrap."""
        return (f"--{self.kind}", *(() if self.source is None else (self.source,)), self.target)


class Sandbox(Record, kw_only=False):
    """A bubblewrap that works here.

    Attributes:
        program: Its path.
        options: What it needs here before all else.
    """

    program: str
    options: tuple[str, ...] = ()

    def arguments(self, view: View) -> bytes:
        """Options that set the view up, in the form that `--args` reads."""
        outer, inner, hidden = _arranged(view)
        options = [
            *self.options,
            *_base(devices=view.devices),
            # first of all, as what the environment needs may lie in a directory for temporary files
            *("--bind", view.temporary, TEMPORARY),
            *(part for path in outer for part in ("--ro-bind", path, path)),
            *(part for path in hidden for part in ("--tmpfs", path)),
            *(part for path in inner for part in ("--ro-bind", path, path)),
            *(part for path in hidden for part in ("--remount-ro", path)),
            *("--perms", "0755", "--dir", str(Path(WORK).parent)),
            *("--bind", view.work, WORK),
            *(part for mount in view.mounts for part in mount.arguments),
            *(part for name, value in view.variables.items() for part in ("--setenv", name, value)),
            *("--chdir", WORK),
        ]
        return b"".join(os.fsencode(option) + b"\0" for option in options)

    def argv(self, arguments_fd: int, command: Sequence[str]) -> list[str]:
        """The command line; its process must be watched with `Leash(greets=True)`."""
        return [self.program, "--args", str(arguments_fd), "--", "/bin/sh", "-c", _INIT, "sh", *command]


class View(Record):
    """What a stage sees.

    Attributes:
        work: Shown at `WORK`, writable.
        temporary: Shown at `TEMPORARY`, writable.
        mounts: In and below `WORK`, in this order.
        read_only: Shown at their own absolute paths, wherever they lie.
        hidden: Directories that are not shown although they may lie where programs do.
        variables: The whole environment.
        devices: Whether the machine's devices are shown, for an accelerator.
    """

    work: str
    temporary: str
    mounts: Sequence[Mount] = ()
    read_only: Sequence[str] = ()
    hidden: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    devices: bool = False


class Finding(Record, kw_only=False):
    """Whether stages can have a sandbox here.

    Attributes:
        sentence: What was found, or what is missing and how to get it.
    """

    sandbox: Sandbox | None
    sentence: str


def detect(choice: str | None = None) -> Finding:
    """The sandbox that was chosen, or the best one; none if stages must do without.

    Args:
        choice: `auto`, `bubblewrap` or `none`; `PENSTOCK_SANDBOX` if absent, else `auto`.

    Raises:
        UsageError: There is no such choice.
        ExecutorError: Bubblewrap was asked for, and cannot be had.
    """
    chosen = choice or os.environ.get(VARIABLE) or "auto"
    if chosen not in ("auto", "bubblewrap", "none"):
        raise UsageError(
            f"there is no sandbox {chosen!r}", where=VARIABLE, notes=("choose one of auto, bubblewrap, none",)
        )
    if chosen == "none":
        return Finding(None, "no sandbox, as was asked for: workspaces are copies")
    finding = _probe(shutil.which("bwrap"))
    if finding.sandbox is None and chosen == "bubblewrap":
        raise ExecutorError(
            finding.sentence, notes=(f"install or allow it, or let Penstock do without: {VARIABLE}=auto",)
        )
    return finding


@cache
def _probe(program: str | None) -> Finding:
    # asked anew by every run that runs anything: it takes some milliseconds, and the answer depends on the
    # kernel's settings, on the container around us and on the user
    if program is None:
        return Finding(None, "bubblewrap is not installed: apt-get install bubblewrap")
    why = _refusal(Sandbox(program))
    if why and os.geteuid() == 0:  # in a container, root may have no right but that to a namespace of users
        sandbox = Sandbox(program, ("--unshare-user",))
        if not _refusal(sandbox):
            return Finding(sandbox, f"bubblewrap at {program}, in a namespace of users")
    if why:
        return Finding(None, f"bubblewrap at {program} cannot make a sandbox here: {why}")
    return Finding(Sandbox(program), f"bubblewrap at {program}")


def _refusal(sandbox: Sandbox) -> str | None:
    import subprocess

    argv = [sandbox.program, *sandbox.options, *_base(devices=False), "--", "/bin/sh", "-c", "exit 7"]
    try:
        ended = subprocess.run(  # noqa: S603 - a fixed command
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False, env={}, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if ended.returncode == 7:  # noqa: PLR2004 - as the probe exits
        return None
    said = (ended.stderr or ended.stdout).decode("utf-8", "replace").strip().splitlines()
    return said[-1].removeprefix("bwrap: ") if said else f"exit code {ended.returncode}"


def _base(*, devices: bool) -> list[str]:
    options = ["--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent", "--clearenv"]
    if os.geteuid() == 0:
        options += ["--cap-drop", "ALL"]
        options += [part for name in CAPABILITIES for part in ("--cap-add", f"CAP_{name}")]
    options += _machine()
    options += ["--proc", "/proc"]
    return options + (["--dev-bind", "/dev", "/dev"] if devices else ["--dev", "/dev"])


@cache
def _machine() -> tuple[str, ...]:
    options: list[str] = []
    with os.scandir("/") as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.name not in _SHOWN:
                continue
            if entry.is_symlink():
                options += ["--symlink", str(Path(entry.path).readlink()), entry.path]
            elif entry.is_dir():
                options += ["--ro-bind", entry.path, entry.path]
    # names are looked up by what this names, and it often is a link into a hidden directory
    resolver = os.path.realpath("/etc/resolv.conf")
    if not _shown(resolver):
        options += ["--ro-bind-try", resolver, resolver]
    return tuple(options)


def _shown(path: str) -> bool:
    top = path.split("/")[1]
    return top in _SHOWN


def _below_any(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def _arranged(view: View) -> tuple[list[str], list[str], list[str]]:
    """Paths to show before anything is hidden, those to show afterwards, and what must be hidden at all."""
    paths = sorted(set(view.read_only))
    inner = [path for path in paths if _below_any(path, view.hidden)]
    outer = [path for path in paths if path not in inner and not _shown(path)]
    hidden = [path for path in view.hidden if path != "/" and (_shown(path) or _below_any(path, outer))]
    return outer, inner, sorted(hidden)
