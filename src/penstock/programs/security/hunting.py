"""The check `secrets`: the tree as it is, then all that its repository remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from ..common.program import Progress
from .findings import Check, Finding, sealed
from .repository import GitError, Object, Repository
from .secrets import Found, scan
from .tree import File

MAX_BYTES = 256 << 20
_IN_TREE = (
    "take it out, make a new one and revoke this one: it is known to whoever can read this repository;"
    " hand the new one over as one of the pipeline's `secrets`"
)
_IN_HISTORY = (
    "revoke it: taking it out of the tree did not take it out of the history, which every clone holds"
)


@dataclass(slots=True)
class _Hunt:
    """What was found so far.

    Attributes:
        key: Seals values in fingerprints.
        values: Every secret, to keep it out of other checks' messages.
        looked: Names of the blobs that were looked at in the tree.
        known: (path, value) of what was reported.
    """

    key: str | None
    check: Check
    values: set[str] = field(default_factory=set)
    looked: set[str] = field(default_factory=set)
    known: set[tuple[str, str]] = field(default_factory=set)
    progress: Progress = field(default_factory=Progress)

    def add(self, path: str, found: Found, commit: str | None, where: str) -> None:
        hit = found.hit
        self.values.add(hit.value)
        self.known.add((path, hit.value))
        seal = sealed(hit.value, self.key)
        self.check.findings.append(
            Finding(
                check="secrets",
                rule=hit.rule,
                severity=hit.severity,
                path=path,
                line=found.line if commit is None else None,
                message=f"{hit.what}{where}",
                remedy=_IN_TREE if commit is None else _IN_HISTORY,
                # unsealed, it is the line without the value, of which nothing can be told by trying
                subject=f"sealed {seal}" if seal else f"{hit.rule} {found.masked}",
                commit=commit,
            )
        )


def secrets(
    files: Sequence[File], repository: Repository | None, *, history: bool, key: str | None, skip: str | None
) -> tuple[Check, frozenset[str]]:
    """What was found, and the secrets themselves, which no document may hold.

    Args:
        files: Of the tree.
        repository: That holds them.
        history: Whether to go through the history.
        key: Seals fingerprints.
        skip: The baseline, whose key is no secret.
    """
    hunt = _Hunt(key, Check("secrets", f"detect-secrets {version('detect-secrets')} and rules of Penstock"))
    algorithm = repository.text("rev-parse", "--show-object-format") if repository and history else ""
    for number, file in enumerate(files, 1):
        if file.path != skip:
            _file(hunt, file, algorithm)
        hunt.progress.say(f"secrets: {number:,} of {len(files):,} files")
    hunt.check.examined = f"{len(files):,} files"
    if not history:
        hunt.check.notes.append("the history was not looked at (`history: false`)")
    elif repository is None:
        hunt.check.problems.append("there is no git repository, so the history was not looked at")
    else:
        _history(hunt, repository)
    return hunt.check, frozenset(hunt.values)


def _file(hunt: _Hunt, file: File, algorithm: str) -> None:
    if file.size > MAX_BYTES:
        limit = MAX_BYTES >> 20
        hunt.check.problems.append(
            f"{file.path} has more than {limit} MiB, so it was not looked at; exclude it"
        )
        return
    try:
        content = file.read()
    except OSError as error:
        hunt.check.problems.append(f"{file.path} cannot be read: {error.strerror}")
        return
    if algorithm:
        hunt.looked.add(hashlib.new(algorithm, b"blob %d\0" % len(content) + content).hexdigest())
    for found in scan(content, file.path):
        hunt.add(file.path, found, None, "")


def _history(hunt: _Hunt, repository: Repository) -> None:
    hunt.check.problems += repository.lacking()
    try:
        objects = repository.objects()
        kept = [each for each in objects if each.name not in hunt.looked and each.size <= MAX_BYTES]
        large = sum(each.size > MAX_BYTES for each in objects)
        if large:
            limit = MAX_BYTES >> 20
            hunt.check.problems.append(
                f"{large} files of the history have more than {limit} MiB and were not looked at"
            )
        found = _remembered(hunt, repository, kept)
        commits = repository.introductions({each.name for each, _ in found.values() if each.kind == "blob"})
    except GitError as error:
        hunt.check.problems.append(f"the history cannot be read: {error}")
        return
    for (path, _), (each, one) in found.items():
        commit = commits.get(each.name, each.name)
        what = "in the history" if each.kind == "blob" else f"in the message of a {each.kind}"
        hunt.add(path, one, commit, f", {what} ({commit[:12]})")
    count = sum(each.kind == "commit" for each in objects)
    hunt.check.examined += f", {count:,} commits with {len(objects) - count:,} files and tags"


def _remembered(
    hunt: _Hunt, repository: Repository, objects: Iterable[Object]
) -> Mapping[tuple[str, str], tuple[Object, Found]]:
    """Secrets that the tree does not hold at the same path; each once, as the oldest object has it."""
    found: dict[tuple[str, str], tuple[Object, Found]] = {}
    for number, (each, content) in enumerate(repository.contents(objects), 1):
        path = _path(each, repository.prefix)
        # what made a commit or tag is above the first empty line: names, and signatures that look random
        text = content if each.kind == "blob" else content.partition(b"\n\n")[2]
        for one in scan(text, path or "message.txt"):
            if (path, one.hit.value) not in hunt.known:
                found[path, one.hit.value] = each, one  # objects come newest first
        hunt.progress.say(f"secrets: {number:,} objects of the history")
    return found


def _path(each: Object, prefix: str) -> str:
    """Where a file was, relative to the project, also outside of it."""
    if each.kind != "blob":
        return ""
    path = each.path or f"({each.name[:12]})"
    return path[len(prefix) :] if path.startswith(prefix) else "../" * prefix.count("/") + path
