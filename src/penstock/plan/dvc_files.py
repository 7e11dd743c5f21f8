"""`.dvc` files: which data they stand for, by which hash, and what it takes to fetch them.

The hash in a `.dvc` file is what enters keys, so nothing is guessed here: what Penstock could not fetch, or
could not check when it has fetched it, is refused with the line that says so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.errors import PipelineError
from penstock.plan.dvc_config import Remotes, read_remotes
from penstock.plan.paths import path_problem
from penstock.plan.problems import shown
from penstock.plan.reads import FILE, Reads
from penstock.plan.yaml_file import Document, Key, parse_mapping, read_file
from penstock.record import Record

PLAIN, CONVERTED = "md5", "md5-dos2unix"
"""How a hash is taken: of the bytes, or, up to DVC 2, of texts with their line ends made uniform."""

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_TOP = frozenset({"outs", "deps", "wdir", "frozen", "locked", "meta", "desc", "md5"})
_DESCRIBING = frozenset({"desc", "type", "labels", "meta", "persist", "metric", "plot", "size", "nfiles"})
_OUT = frozenset({"path", "md5", "hash", "isexec", "cache", "push", "remote"}) | _DESCRIBING
_ELSEWHERE = {
    "etag": "is known by an ETag and not by an MD5",
    "checksum": "is known by a checksum of HDFS and not by an MD5",
    "cloud": "is kept by the versions of a cloud storage and not by its content",
    "files": "is kept by the versions of a cloud storage and not by its content",
    "version_id": "is kept by the versions of a cloud storage and not by its content",
    "fs_config": "lies outside of the repository",
}


class Tracked(Record):
    """One file or directory that DVC keeps.

    Attributes:
        path: Relative to the pipeline's root.
        md5: 32 hex digits, with `.dir` after them for a directory.
        algorithm: `PLAIN` or `CONVERTED`.
        remote: That holds it; the repository's default one if absent.
    """

    path: str
    md5: str
    algorithm: str
    executable: bool = False
    size_bytes: int = 0
    remote: str | None = None

    @property
    def pledge(self) -> str:
        """What it is known by before it is there."""
        return f"{self.algorithm}:{self.md5}"


class DvcFile(Record):
    """What a `.dvc` file says.

    Attributes:
        path: Of the file itself, relative to the pipeline's root.
        repository: Directory of the DVC repository, relative to the pipeline's root; empty if it is that.
        tracked: In the order of the file, at least one.
        imported: Whether the data come from another repository.
        kind: Of the remotes that hold them, as `dvc_config` names it.
    """

    path: str
    repository: str
    tracked: tuple[Tracked, ...]
    imported: bool
    kind: str

    @property
    def config(self) -> str:
        """The configuration of its repository, relative to the pipeline's root."""
        return posixpath.join(self.repository, ".dvc/config")


def read_dvc_file(path: str, reads: Reads) -> DvcFile:
    """What a `.dvc` file says.

    Args:
        path: Relative to the root.
        reads: Told what is looked at.

    Raises:
        PipelineError: It is not there, is no such file, belongs to no DVC repository, or says something that
            cannot be honoured.
    """
    if reads.presence(path) != FILE:
        raise PipelineError("this `.dvc` file is not there", where=path, notes=("make it: dvc add <data>",))
    data = read_file(reads.root / path, path)
    reads.content(reads.root / path, data)
    document = parse_mapping(data, path)
    repository = _repository(path, reads)
    reading = _Reading(path=path, document=document, remotes=read_remotes(repository, reads))
    return reading.file(repository)


def _repository(path: str, reads: Reads) -> str:
    above = posixpath.dirname(path)
    while True:
        if reads.presence(posixpath.join(above, ".dvc/config")) == FILE:
            return above
        if not above:
            raise PipelineError(
                "belongs to no DVC repository: there is no .dvc/config beside it or above it",
                where=path,
                notes=("run `dvc init`, or set `root` in the pipeline file to where .dvc is",),
            )
        above = posixpath.dirname(above)


class _Reading(Record):
    path: str
    document: Document
    remotes: Remotes

    def file(self, repository: str) -> DvcFile:
        top = self.document.mapping
        if "cmd" in top:
            raise self.wrong("has a command, as stages had before DVC 1", "cmd", note="write it as a stage")
        self.known_only(top, _TOP, ())
        outs = top.get("outs")
        if not isinstance(outs, list) or not outs:
            raise self.wrong("`outs` is no list of outputs", "outs")
        tracked = tuple(self.out(each, at) for at, each in enumerate(outs))
        imported = self.imported()
        kinds = {self.kind(each, at) for at, each in enumerate(tracked)}
        if len(kinds) > 1:
            raise self.wrong(
                f"its outputs are on remotes of several kinds: {', '.join(sorted(kinds))}", "outs"
            )
        return DvcFile(
            path=self.path, repository=repository, tracked=tracked, imported=imported, kind=kinds.pop()
        )

    def out(self, out: object, at: int) -> Tracked:
        here = ("outs", at)
        if not isinstance(out, dict):
            raise self.wrong(f"`outs[{at}]` is {shown(out)}, which is no output", *here)
        for key, what in _ELSEWHERE.items():
            if key in out:
                raise self.wrong(f"output {shown(out.get('path'))} {what}", *here, key)
        self.known_only(out, _OUT, here)
        path = self.place(out.get("path"), at)
        self.kept(out, path, at)
        size = out.get("size")
        return Tracked(
            path=path,
            md5=self.md5(out, path, at),
            algorithm=self.algorithm(out, path, at),
            executable=out.get("isexec") is True,
            size_bytes=size if type(size) is int and size > 0 else 0,
            remote=self.text(out, "remote", here),
        )

    def place(self, path: object, at: int) -> str:
        """Where an output lies, relative to the root."""
        if not isinstance(path, str) or not path:
            raise self.wrong(f"`outs[{at}].path` is {shown(path)}, which is no path", "outs", at, "path")
        inner = self.text(self.document.mapping, "wdir", ()) or "."
        # joined, an absolute path would take the place of what is before it
        if "://" in path or path.startswith("/") or inner.startswith("/"):
            raise self.wrong(f"output {shown(path)} lies outside of the repository", "outs", at, "path")
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), inner, path))
        if whole == ".." or whole.startswith("../"):
            what, note = "leads out of the pipeline's root", "set `root` in the pipeline file further up"
            raise self.wrong(f"output {shown(path)} {what}", "outs", at, "path", note=note)
        problem = path_problem(whole, pattern=False)
        if problem is not None:
            raise self.wrong(f"output {shown(path)} is {shown(whole)}, {problem[0]}", "outs", at, "path")
        return whole

    def kept(self, out: Mapping[str, Any], path: str, at: int) -> None:
        if out.get("cache") is False:
            note = f"name the file itself: `path: {path}`"
            raise self.wrong(
                f"output {path!r} is not kept by DVC (`cache: false`)", "outs", at, "cache", note=note
            )
        if out.get("push") is False:
            what = f"output {path!r} is on no remote (`push: false`), so another machine could not have it"
            raise self.wrong(what, "outs", at, "push", note="remove `push: false`, and run `dvc push`")

    def md5(self, out: Mapping[str, Any], path: str, at: int) -> str:
        value = out.get("md5")
        if value is None:
            what, note = f"output {path!r} has no hash yet", f"run `dvc commit {self.path}`, or `dvc update`"
            raise self.wrong(what, "outs", at, note=note)
        if not isinstance(value, str) or not _MD5.fullmatch(value):
            raise self.wrong(f"output {path!r}: {shown(value)} is no MD5 as DVC writes it", "outs", at, "md5")
        return value

    def algorithm(self, out: Mapping[str, Any], path: str, at: int) -> str:
        name = out.get("hash", CONVERTED)
        if name not in (PLAIN, CONVERTED):
            what = f"output {path!r} has a hash of the kind {shown(name)}, and only md5 can be checked"
            raise self.wrong(what, "outs", at, "hash")
        return str(name)

    def imported(self) -> bool:
        """Whether the data are another repository's; they must be locked to one of its commits."""
        deps = self.document.mapping.get("deps") or []
        if not isinstance(deps, list) or not all(isinstance(each, dict) for each in deps):
            raise self.wrong("`deps` is no list of dependencies", "deps")
        repositories = [(at, each["repo"]) for at, each in enumerate(deps) if "repo" in each]
        for at, repository in repositories:
            if not isinstance(repository, dict) or not isinstance(repository.get("url"), str):
                raise self.wrong(f"`deps[{at}].repo` names no repository", "deps", at, "repo")
            if not isinstance(repository.get("rev_lock"), str):
                what, note = "the import is locked to no commit", f"run `dvc update {self.path}`"
                raise self.wrong(what, "deps", at, "repo", note=note)
        return bool(repositories)

    def kind(self, tracked: Tracked, at: int) -> str:
        try:
            return self.remotes.kind(tracked.remote)
        except ValueError as error:
            raise self.wrong(f"output {tracked.path!r}: {error}", "outs", at) from None

    def text(self, owner: Mapping[str, Any], key: str, place: Key) -> str | None:
        value = owner.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(f"`{key}` is {shown(value)}, which is no text", *place, key)
        return value

    def known_only(self, owner: Mapping[str, Any], known: frozenset[str], place: Key) -> None:
        for key in owner:
            if key not in known:
                raise self.wrong(f"has {shown(key)}, which Penstock does not know how to honour", *place, key)

    def wrong(self, what: str, *place: str | int, note: str | None = None) -> PipelineError:
        where = f"{self.path}:{self.document.line(*place)}"
        return PipelineError(what, where=where, notes=(note,) if note else ())


def data_path(file: DvcFile, declared: str | None) -> str:
    """Where the data set itself lies: what is declared, else the one output of the `.dvc` file.

    Raises:
        ValueError: There are several outputs and none is declared, or the declared one is in none of them;
            the arguments are what is wrong and notes.
    """
    paths = [each.path for each in file.tracked]
    if declared is None and len(paths) == 1:
        return paths[0]
    if declared is None:
        raise ValueError(f"{file.path} stands for several outputs", _say_which(paths))
    for each in file.tracked:
        if declared == each.path or (each.md5.endswith(".dir") and declared.startswith(each.path + "/")):
            return declared
    raise ValueError(f"{declared!r} is no output of {file.path}, and in none", _say_which(paths))


def _say_which(paths: Sequence[str]) -> tuple[str, ...]:
    return (f"the outputs are {', '.join(paths)}", "say which the data set is: `path: <output>`")
