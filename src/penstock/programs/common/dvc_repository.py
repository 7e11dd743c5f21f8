"""A DVC repository as programs see it: its configuration, and dvc at work in a copy that nobody else uses.

Dvc runs in a repository of its own, made for one command: it takes no lock of the user's, writes to none of
the user's caches and never stops at what a killed dvc left behind.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .program import Progress, UnusableError

PATIENCE_S = 50.0
"""How long dvc may do nothing that can be seen."""

_REMOTE = re.compile(r"""'?remote\s+"(.+)"'?""")
_SCHEME = re.compile(r"\w+://")
_USER = re.compile(r"(\w+://)[^/@\s]+@")
_PATHS = frozenset({"url", "credentialpath", "configpath", "keyfile", "cert_path", "key_path"})
_OWN = {"core": {"no_scm": "true", "analytics": "false", "check_update": "false", "autostage": "false"}}
_POLL_S = 0.05
_LEAST_BYTES = 1 << 16
_TICKS_OF_WORK = 5
"""In `PATIENCE_S`, as much must come, or be worked in hundredths of a second: waiting takes less, a slow
upload more."""

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Repository:
    """What the configuration of a repository says.

    Attributes:
        sections: By name: `core`, `cache`, `remote "store"`; paths are absolute.
        home: The repository itself, if this machine has it.
    """

    sections: Sections
    home: Path | None

    def remote(self, name: str | None) -> tuple[str | None, str]:
        """The name of a remote, the default one if none is given, and its address; empty if it has none."""
        name = name or self.sections.get("core", {}).get("remote")
        name = name and name.lower()
        for _ in range(len(self.sections) + 1):
            url = self.sections.get(f'remote "{name}"', {}).get("url", "")
            if not url.startswith("remote://"):
                return name, url
            name = url.removeprefix("remote://").partition("/")[0].lower()
        return name, ""

    def told(self, name: str | None) -> str:
        """A remote as messages call it, without what may be a password or a token in its address."""
        name, url = self.remote(name)
        return f"remote {name!r} ({without_user(url).partition('?')[0]})" if url else f"remote {name!r}"

    @property
    def cache(self) -> Path | None:
        """The directory of the user's cache, if this machine may have it."""
        configured = self.sections.get("cache", {}).get("dir")
        if configured:
            return Path(configured)
        return self.home / ".dvc" / "cache" if self.home else None


def read(directory: str) -> Repository:
    """The configuration of the repository in a directory of the project.

    The shared part is in the workspace or there; the part of this machine's own, which may hold passwords, is
    read where it lies and written only to a `Scratch`, which is removed again.

    Raises:
        UnusableError: It cannot be read.
    """
    root = os.environ.get("PENSTOCK_ROOT")
    home = Path(root, directory) if root else None
    base = (home or Path(directory)).absolute() / ".dvc"
    sections: Sections = {}
    carried = Path(directory, ".dvc", "config")
    shared = carried if carried.is_file() or not home else base / "config"
    for place in (shared, *((base / "config.local",) if home else ())):
        if place.is_file():
            for name, values in _read(place, base).items():
                sections.setdefault(name, {}).update(values)
    return Repository(sections, home)


def _read(place: Path, base: Path) -> Sections:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(place.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UnusableError(f"{place}: is no configuration of DVC: {str(error).splitlines()[0]}") from None
    found: Sections = {}
    for section in parser.sections():
        match = _REMOTE.fullmatch(section)
        name = f'remote "{match[1].lower()}"' if match else section
        found[name] = {key: _resolved(name, key, plain(value), base) for key, value in parser.items(section)}
    return found


def plain(value: str) -> str:
    """A value without the quotes around it or the comment after it."""
    value = value.strip()
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition("#")[0].strip()


def _resolved(section: str, key: str, value: str, base: Path) -> str:
    """A path as it is from everywhere: in a configuration it is relative to the file's own directory."""
    is_path = key in _PATHS if section.startswith("remote") else (section, key) == ("cache", "dir")
    if not is_path or _SCHEME.match(value):
        return value.removeprefix("file://")
    return os.path.normpath(base / Path(value).expanduser())


def without_user(text: str) -> str:
    """A text with no user names or passwords in the addresses in it."""
    return _USER.sub(r"\1", text)


@dataclass(frozen=True, slots=True)
class Ended:
    """How dvc ended.

    Attributes:
        code: 0 says little: dvc gives it too where data are missing.
        text: What it printed.
        stalled: Whether it was ended because it did nothing any more.
        busy_s: For how long it had been doing something.
    """

    code: int
    text: str
    stalled: bool = False
    busy_s: float = 0.0

    @property
    def complaint(self) -> str:
        """What dvc says is wrong, on one line; empty if it says nothing."""
        if self.stalled:
            return f"it did nothing for {PATIENCE_S:.0f} s"
        lines = [line.strip() for line in self.text.splitlines()]
        errors = [line.partition("ERROR:")[2] for line in lines if line.startswith("ERROR:")]
        words = errors[0].replace("unexpected error - ", "").strip() if errors else ""
        return "".join(sign for sign in without_user(words) if sign.isprintable())[:300]


@dataclass(frozen=True, slots=True)
class Scratch:
    """A repository of dvc's own, in an empty directory.

    Attributes:
        place: Where it is; its cache is `cache` in there.
        progress: Told now and then how much there is by now.
    """

    place: Path
    progress: Progress = field(default_factory=Progress)

    @property
    def cache(self) -> Path:
        """Where dvc puts what it fetches, and takes what it pushes."""
        return self.place / "cache"

    def prepare(self, repository: Repository) -> None:
        """Make it, with the user's remotes and with our own settings of everything else."""
        sections: Sections = {
            name: dict(each) for name, each in repository.sections.items() if "remote" in name
        }
        sections["core"] = {**_OWN["core"], "site_cache_dir": str(self.place / "site")}
        default = repository.sections.get("core", {}).get("remote")
        if default:
            sections["core"]["remote"] = default
        sections["cache"] = {"dir": str(self.cache), "type": "copy"}
        for each in (".dvc/tmp", "tmp", "cache"):
            (self.place / each).mkdir(parents=True)
        file = self.place / ".dvc" / "config"
        file.touch(mode=0o600)
        lines = [
            line
            for name, values in sections.items()
            for line in (f"['{name}']" if " " in name else f"[{name}]", *_lines(values))
        ]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(
        self, arguments: Sequence[str], what: str, *, total_bytes: int = 0, patience_s: float = PATIENCE_S
    ) -> Ended:
        """Run dvc until it ends, or until nothing has come for too long.

        Args:
            arguments: Of dvc.
            what: Is done, for people who wait.
            total_bytes: That will be in its cache when it is done, if that is known.
            patience_s: How long nothing may come.
        """
        log = self.place / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - no shell, and the arguments are paths
                [sys.executable, "-P", "-m", "dvc", *arguments],
                cwd=self.place,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                stalled, busy_s = self._watch(process, what, total_bytes, patience_s)
            finally:
                process.kill()
                process.wait()
        text = log.read_text(encoding="utf-8", errors="replace")
        return Ended(process.returncode, text, stalled, busy_s)

    def _watch(
        self, process: subprocess.Popen[bytes], what: str, total_bytes: int, patience_s: float
    ) -> tuple[bool, float]:
        """Whether nothing moved any more, and for how many seconds something did."""
        began = looked = moved = time.monotonic()
        seen, worked, pause_s = -1, 0, 0.0
        while process.poll() is None:
            time.sleep(_POLL_S)
            now = time.monotonic()
            if now - looked < pause_s:
                continue
            # what dvc clones is in `tmp`; while it pushes, only its own time passes
            (size, files), cloned = _held(self.cache), _held(self.place / "tmp")
            there, ticks = files + cloned[1] + (size + cloned[0]) // _LEAST_BYTES, _ticks(process.pid)
            looked = time.monotonic()
            pause_s = max(1.0, 10 * (looked - now))  # there may be a million files
            if there != seen or ticks - worked >= _TICKS_OF_WORK:
                seen, worked, moved = there, ticks, looked
                of = f" of {total_bytes / 1e6:,.1f}" if total_bytes else ""
                self.progress.say(f"{what}: {size / 1e6:,.1f}{of} MB")
            elif looked - moved > patience_s:
                return True, moved - began
        return False, moved - began

    def _environment(self) -> Mapping[str, str]:
        quiet = {"DVC_NO_ANALYTICS": "1", "GIT_TERMINAL_PROMPT": "0", "NO_COLOR": "1"}
        return {**os.environ, **quiet, "TMPDIR": str(self.place / "tmp")}


def persevere(attempt: Callable[[float], Ended], lacking: Callable[[], int]) -> Ended:
    """Try again what may succeed next time: twice, while half of `PATIENCE_S` has not gone for nothing.

    Args:
        attempt: Runs dvc, given its patience in seconds.
        lacking: How much is still to be done.
    """
    since, left = time.monotonic(), lacking()
    for pause_s in (1.0, 3.0):
        ended = attempt(PATIENCE_S - (time.monotonic() - since))
        before, left = left, lacking()
        if left < before or ended.busy_s > PATIENCE_S:
            since = time.monotonic()
        if not left or ended.stalled or time.monotonic() + pause_s - since > PATIENCE_S / 2:
            return ended
        time.sleep(pause_s)
    return attempt(PATIENCE_S - (time.monotonic() - since))


def _lines(values: Mapping[str, str]) -> list[str]:
    quoted = {key: f"'{value}'" if '"' in value else f'"{value}"' for key, value in values.items()}
    return [f"    {key} = {value}" for key, value in quoted.items()]


def _ticks(pid: int) -> int:
    """The processor time that a process has had, in ticks; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _held(directory: Path) -> tuple[int, int]:
    """Bytes and files below a directory; what is moved meanwhile does not matter."""
    total = files = 0
    for folder, _, names in os.walk(directory):
        files += len(names)
        for name in names:
            try:
                total += os.lstat(f"{folder}/{name}").st_size
            except OSError:
                continue
    return total, files
