"""Pushes outputs to a DVC remote, reads them back, and only then writes the `.dvc` files that a commit needs.

Dvc itself takes for pushed whatever the remote has under the right name. Killed at any step, it leaves no
`.dvc` file that stands for what is not there, and doing it again pushes only what is missing.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common import digests, dvc_objects, dvc_repository, program
from ..common.dvc_objects import Known
from ..common.dvc_repository import Ended, Repository, Scratch
from ..common.program import RefusedError, UnavailableError, UnusableError
from . import commit, taking
from .commit import Pointer
from .taking import Taken

_PUSHED = re.compile(r"(\d+) files? pushed")


def main(arguments: Sequence[str]) -> int:
    """Push, read back and write; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    repository = dvc_repository.read("")
    remote, url = repository.remote(request["remote"])
    if not url:
        what = "no remote is configured" if remote is None else f"there is no remote {remote!r}"
        raise UnusableError(f"{what} in .dvc/config; add one: dvc remote add --default NAME URL")
    if url.startswith("/") and repository.home is None:
        told = repository.told(request["remote"])
        raise UnavailableError(f"{told} is not there: a folder can be a remote only where it is")
    pointers = [commit.pointer(path, request["path"]) for path in request["outputs"]]
    for each in pointers:
        commit.refuse_unfit(each, pointers, repository.home)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".dvc-push-") as place:
        pushing = _Pushing(request, repository, Path(place), pointers)
        pushing.take()
        pushing.push()
        written = commit.write(pushing.pointers, Path(request["result"]), repository.home)
    program.write_document(request["receipt"], pushing.receipt(written))
    return pushing.sentence(written)


@dataclass(slots=True)
class _Pushing:
    """Outputs on their way to a remote.

    Attributes:
        place: An empty directory.
        taken: What each output is made of, by its path.
        arrived: Objects that were read back from the remote.
        pushed: How many files the remote got.
    """

    request: Mapping[str, Any]
    repository: Repository
    place: Path
    pointers: list[Pointer]
    taken: dict[str, Taken] = field(default_factory=dict)
    arrived: set[Known] = field(default_factory=set)
    pushed: int = 0

    @property
    def remote(self) -> str:
        """As messages call it."""
        return self.repository.told(self.request["remote"])

    @property
    def scratch(self) -> Scratch:
        """Where dvc pushes from."""
        return Scratch(self.place / "out")

    def take(self) -> None:
        """Take the outputs into a cache, as they were judged.

        Raises:
            RefusedError: An output is not what was judged.
            UnusableError: DVC cannot keep one.
        """
        judged = {each["path"]: each["digest"] for each in self.request["contents"]}
        self.scratch.prepare(self.repository)
        for each in self.pointers:
            taken = taking.take(Path(each.output), self.scratch.cache)
            if digests.of_path(Path(each.output)).digest != judged[each.output]:
                raise RefusedError(f"{each.output}: is not what was judged ({judged[each.output]})")
            each.text = each.relocated(taken.text)
            self.taken[each.output] = taken
            _write(self.scratch.place / each.file, each.text)

    def push(self) -> None:
        """Push until everything can be read back.

        Raises:
            RefusedError: The remote has something under the right name that is something else.
            UnavailableError: The remote does not take it, or does not give it back.
        """
        _, url = self.repository.remote(self.request["remote"])
        if url.startswith("/"):
            self._check(Path(url))  # what is damaged there would stop dvc, which would not say so
        ended = dvc_repository.persevere(self._push, lambda: len(self._lacking()))
        lacking = self._lacking()
        if lacking:
            why = ended.complaint or f"it does not give back {lacking[0].md5}"
            raise UnavailableError(f"{self.pointers[0].output}: cannot be pushed to {self.remote}: {why}")

    def _push(self, patience_s: float) -> Ended:
        named = ["--remote", self.request["remote"].lower()] if self.request["remote"] else []
        files = [each.file for each in self.pointers]
        total = sum(each["size_bytes"] for each in self.request["contents"])
        ended = self.scratch.run(
            ["push", *named, "--", *files],
            f"pushing to {self.remote}",
            total_bytes=total,
            patience_s=patience_s,
        )
        found = _PUSHED.search(ended.text)
        self.pushed += int(found[1]) if found else 0
        return ended if ended.code or ended.stalled else self._read_back(named, files, patience_s)

    def _read_back(self, named: Sequence[str], files: Sequence[str], patience_s: float) -> Ended:
        """Fetch all that was pushed, and hash it."""
        _, url = self.repository.remote(self.request["remote"])
        if url.startswith("/"):  # dvc might remove what it finds damaged, and say that it never was there
            self._check(Path(url))
            return Ended(0, "")
        back = Scratch(self.place / "back")
        shutil.rmtree(back.place, ignore_errors=True)
        back.prepare(self.repository)
        for each in self.pointers:
            _write(back.place / each.file, each.text)
        ended = back.run(
            ["fetch", *named, "--", *files], f"reading back from {self.remote}", patience_s=patience_s
        )
        self._check(back.cache)
        return ended

    def _check(self, store: Path) -> None:
        for known in self._lacking():
            place = known.place(store)
            if not place.is_file():
                continue
            if not dvc_objects.is_intact(place, known):
                raise RefusedError(
                    f"{self.remote} has {known.place(Path())} damaged, and dvc replaces nothing that is"
                    " there: remove it, and publish again"
                )
            self.arrived.add(known)

    def _lacking(self) -> list[Known]:
        """Objects that were not read back."""
        objects = dict.fromkeys(known for taken in self.taken.values() for known in taken.objects)
        return [known for known in objects if known not in self.arrived]

    def receipt(self, written: Sequence[str]) -> dict[str, Any]:
        """What was done, one publication for each output."""
        contents = {each["path"]: each for each in self.request["contents"]}
        return {
            "version": 1,
            "kind": "receipt",
            "publications": [
                {
                    "kind": "dvc",
                    "state": "written" if self.pushed or each.file in written else "unchanged",
                    "sentence": self._told(each),
                    "target": each.file,
                    "digest": contents[each.output]["digest"],
                    "size_bytes": contents[each.output]["size_bytes"],
                }
                for each in self.pointers
            ],
            "facts": {
                "remote": self.remote,
                "pushed": self.pushed,
                "hashes": {path: f"md5:{taken.known.md5}" for path, taken in self.taken.items()},
                "commit": self._to_commit(),
                "git_add": self._git_add(),
            },
        }

    def _told(self, pointer: Pointer) -> str:
        """What became of an output; the last one also tells what is left to do for all."""
        rest = f"; {self._next_step()}" if pointer is self.pointers[-1] else ""
        return f"{pointer.output} is on {self.remote}{rest}"

    def sentence(self, written: Sequence[str]) -> str:
        """What came out, and what is left to do."""
        state = "pushed" if self.pushed or written else "unchanged"
        return f"{state}: {self.remote} has {', '.join(self.taken)}; {self._next_step()}"

    def _to_commit(self) -> list[str]:
        ignores = commit.ignore_files(self.pointers, self.repository.home)
        return sorted({*(each.file for each in self.pointers), *ignores})

    def _git_add(self) -> str:
        return shlex.join(["git", "add", *self._to_commit()])

    def _next_step(self) -> str:
        where = "" if self.repository.home else f", from {self.request['result']}"
        return f"commit what says so: {self._git_add()}{where}"


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
