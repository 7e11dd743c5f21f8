"""Fetches what a `.dvc` file stands for: from the cache of this machine, else from the remote.

Every object is hashed here, wherever it came from: dvc itself believes a cache and a remote what they say.
"""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common import dvc_objects, dvc_repository, program
from ..common.dvc_objects import Known
from ..common.dvc_repository import Ended, Repository, Scratch
from ..common.program import RefusedError, UnavailableError

_PROBE_S = 5.0
_DENIED = (401, 403, 407)
_MISSING = (404, 410)
_DVC_ONLY = frozenset({"auth", "user", "password", "custom_auth_header", "ssl_verify"})
"""Options of a remote that only dvc knows how to use."""


def main(arguments: Sequence[str]) -> int:
    """Fetch and check; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    repository = dvc_repository.read(request["repository"])
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".dvc-fetch-") as place:
        scratch = Scratch(Path(place))
        scratch.prepare(repository)
        fetching = _Fetching(request, repository, scratch)
        fetching.gather()
        if fetching.lacking():
            fetching.pull()
        fetching.place()
    files = len(fetching.uses)
    return f"{files:,} {'object' if files == 1 else 'objects'}, each as {request['file']} says"


@dataclass(slots=True)
class _Shelf:
    """A directory that may hold objects: a cache, or a remote that is a directory."""

    place: Path
    what: str


@dataclass(slots=True)
class _Fetching:
    """Objects on their way: from shelves and dvc into the scratch's cache, from there to their places.

    Attributes:
        intact: Those whose content was hashed.
        tried: Those that were looked for on this machine's shelves.
        damaged: What was found with another content, for a message in case that nobody has it undamaged.
        uses: How many files each object becomes; known when all are there.
    """

    request: Mapping[str, Any]
    repository: Repository
    scratch: Scratch
    intact: set[Known] = field(default_factory=set)
    tried: set[Known] = field(default_factory=set)
    damaged: dict[Known, str] = field(default_factory=dict)
    uses: Counter[Known] = field(default_factory=Counter)
    _lists: dict[Known, Mapping[str, Known]] = field(default_factory=dict)

    def gather(self) -> None:
        """Take over what the shelves of this machine have."""
        shelves = list(self._shelves())
        for _ in range(2):  # what a directory is made of is known when its list is there
            for known, path in self.needed():
                for shelf in () if known in self.tried else shelves:
                    if known not in self.intact:
                        self._take(shelf, known, path)
                self.tried.add(known)

    def _shelves(self) -> Iterator[_Shelf]:
        if self.repository.cache is not None:
            yield _Shelf(self.repository.cache, "the cache")
        for name in dict.fromkeys(each["remote"] for each in self.request["outputs"]):
            _, url = self.repository.remote(name)
            if url.startswith("/"):
                yield _Shelf(Path(url), self.repository.told(name))

    def _take(self, shelf: _Shelf, known: Known, path: str) -> None:
        source = known.place(shelf.place)
        if not source.is_file():
            return
        target = known.place(self.scratch.cache)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.scratch.progress.say(f"copying {path} from {shelf.what}")
        if dvc_objects.copy(source, target, known.algorithm) == known.md5[:32]:
            target.chmod(0o444)
            self.intact.add(known)
        else:
            target.unlink()
            self.damaged[known] = f"{shelf.what} has it damaged ({source})"

    def needed(self) -> Iterator[tuple[Known, str]]:
        """All objects, as far as they are known, each with a path that it is for."""
        for each in self.request["outputs"]:
            known = Known(each["md5"], each["algorithm"])
            yield known, each["path"]
            if known.is_directory and known in self.intact:
                for inner, member in self._members(known, each["path"]).items():
                    yield member, f"{each['path']}/{inner}"

    def _members(self, known: Known, path: str) -> Mapping[str, Known]:
        if known not in self._lists:
            try:
                self._lists[known] = dvc_objects.members(known.place(self.scratch.cache), known)
            except (ValueError, TypeError) as error:
                raise RefusedError(f"{path}: DVC's list of its files cannot be used: {error}") from None
        return self._lists[known]

    def lacking(self) -> list[tuple[Known, str]]:
        """Objects that are not there, each with a path that it is for."""
        return [(known, path) for known, path in self.needed() if known not in self.intact]

    def pull(self) -> None:
        """Let dvc fetch the rest, and hash what it fetched.

        Raises:
            RefusedError: Something came with another content.
            UnavailableError: Something did not come.
        """
        ended = None
        if self.request["dvc"] and self._has_remote():
            file = self.scratch.place / self.request["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(Path(self.request["file"]).read_bytes())
            ended = dvc_repository.persevere(self._pull, lambda: len(self.lacking()))
        lacking = self.lacking()
        if lacking:
            raise self._unavailable(*lacking[0], ended)

    def _has_remote(self) -> bool:
        imported = bool(self.request["imported"])
        return imported or any(self._name_of(each["path"]) for each in self.request["outputs"])

    def _pull(self, patience_s: float) -> Ended:
        expected = sum(each["size_bytes"] for each in self.request["outputs"])
        file = self.request["file"]
        ended = self.scratch.run(
            ["fetch", "--", file], f"fetching {file}", total_bytes=expected, patience_s=patience_s
        )
        for _ in range(2):
            for known, path in self.lacking():
                self._check(known, path)
        return ended

    def _check(self, known: Known, path: str) -> None:
        place = known.place(self.scratch.cache)
        if not place.is_file():
            return
        if not dvc_objects.is_intact(place, known):
            remote = self.repository.told(self._name_of(path))
            raise RefusedError(
                f"{path}: {remote} gives it damaged: its content has another hash than {known.md5};"
                " push it again from where it is intact"
            )
        self.intact.add(known)

    def _unavailable(self, known: Known, path: str, ended: Ended | None) -> Exception:
        """Why something could not be had, as far as that can be found out."""
        name, url = self.repository.remote(self._name_of(path))
        remote = self.repository.told(name)
        file = self.request["file"]
        if url.startswith("/") and not Path(url).is_dir():
            why = f"{remote} is not there: a folder can be a remote only where it is"
        elif (told := self._answer(known, name)) is not None:
            why = f"{remote} {told}"
        elif ended is not None and ended.complaint:
            why = f"dvc cannot fetch it from {remote}: {ended.complaint}"
        elif known in self.damaged:
            return RefusedError(f"{path}: {self.damaged[known]}; push it again from where it is intact")
        elif name is None and not self.request["imported"]:
            why = "no remote is configured; add one: dvc remote add --default NAME URL"
        else:
            why = f"{remote} does not have it (MD5 {known.md5}); push it from where it is: dvc push {file}"
        return UnavailableError(f"{path}: {why}")

    def _answer(self, known: Known, name: str | None) -> str | None:
        """What a server says of an object: dvc calls one that is down a server that does not have it."""
        name, url = self.repository.remote(name)
        options = self.repository.sections.get(f'remote "{name}"', {})
        if not url.startswith(("http://", "https://")) or not _DVC_ONLY.isdisjoint(options):
            return None
        return _asked(f"{url.rstrip('/')}/{known.place(Path())}")

    def _name_of(self, path: str) -> str | None:
        """The remote of the output that a path is in."""
        for each in self.request["outputs"]:
            if f"{path}/".startswith(f"{each['path']}/"):
                return self.repository.remote(each["remote"])[0]
        return None

    def place(self) -> None:
        """Put everything where it belongs."""
        self.uses.update(known for known, _ in self.needed())
        for each in self.request["outputs"]:
            known, path = Known(each["md5"], each["algorithm"]), Path(each["path"])
            if not known.is_directory:
                self._put(known, path, executable=each["executable"])
                continue
            path.mkdir(parents=True, exist_ok=True)
            for inner, member in self._members(known, each["path"]).items():
                self._put(member, path / inner, executable=False)

    def _put(self, known: Known, target: Path, *, executable: bool) -> None:
        source = known.place(self.scratch.cache)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.uses[known] -= 1
        if self.uses[known]:
            dvc_objects.copy(source, target, known.algorithm)
        else:
            source.replace(target)
        target.chmod(0o755 if executable else 0o644)


def _asked(url: str) -> str | None:
    """What is wrong with the answer to a request for a file; nothing if there is or is not such a file."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - HTTP, as the caller made sure
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_S):  # noqa: S310 - as above
            return None
    except urllib.error.HTTPError as error:
        if error.code in _MISSING:
            return None
        return f"answers {error.code}" + (": give credentials" if error.code in _DENIED else "")
    except (OSError, ValueError) as error:
        return f"cannot be reached: {getattr(error, 'reason', error)}"
