"""in-toto statements: what evidence is about, and who says so.

Formats: in-toto Statement 1 (https://in-toto.io/Statement/v1), and whatever predicate a statement has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.program import RefusedError
from . import documents, trees
from .trees import Tree

STATEMENT = "https://in-toto.io/Statement/v1"
TREE_DIGEST = "penstockTree1"
"""How a directory's digest is called; its files have their own, by `sha256`."""

MODEL, PACKAGE = "model", "package"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that was published.

    Attributes:
        name: Its path in the run.
        role: `model`, `package`, `metrics`, ...; what the pipeline calls it, or nothing.
        kind: `file` or `directory`.
        digest: As `run.json` names it.
        files: Path below it → 64 hex digits of its SHA-256; of a file, under `""`.
    """

    name: str
    role: str | None
    kind: str
    digest: str
    files: dict[str, str]

    @classmethod
    def of(cls, name: str, role: str | None, tree: Tree) -> Subject:
        """What lies there, as a subject."""
        return cls(name, role, tree.kind, tree.digest, tree.files)


def statement(
    subjects: Sequence[Subject], predicate_type: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    """A statement that says something about subjects."""
    return {
        "_type": STATEMENT,
        "subject": subject_list(subjects),
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def predicate_of(document: Mapping[str, Any], predicate_type: str, where: str) -> dict[str, Any]:
    """What a statement says.

    Raises:
        RefusedError: It is a statement of another type, or none.
    """
    if document.keys() != {"_type", "subject", "predicateType", "predicate"}:
        raise RefusedError(f"{where}: no in-toto statement")
    if (document["_type"], document["predicateType"]) != (STATEMENT, predicate_type):
        raise RefusedError(f"{where}: a statement of another type than {predicate_type}")
    return documents.field(document, "predicate", dict, where)


def subject_list(subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    """Subjects as a statement holds them: each directory, and after it each of its files."""
    listed: list[dict[str, Any]] = []
    for each in subjects:
        notes = {"kind": each.kind} | ({"role": each.role} if each.role else {})
        algorithm = TREE_DIGEST if each.kind == trees.DIRECTORY else "sha256"
        digest = {algorithm: each.digest.removeprefix("sha256:")}
        listed.append({"name": each.name, "digest": digest, "annotations": notes})
        if each.kind == trees.DIRECTORY:
            listed += [
                {"name": f"{each.name}/{path}", "digest": {"sha256": value}}
                for path, value in each.files.items()
            ]
    return listed


def subjects_of(statement: Mapping[str, Any], where: str) -> list[Subject]:
    """The subjects that `subject_list` wrote.

    Raises:
        RefusedError: It wrote something else.
    """
    listed = documents.field(statement, "subject", list, where)
    found: list[Subject] = []
    for each in listed:
        name = documents.field(each, "name", str, where)
        digest = documents.field(each, "digest", dict, where)
        value = "".join(each for each in digest.values() if type(each) is str)
        notes = each.get("annotations")
        if notes is None and found and name.startswith(f"{found[-1].name}/"):
            found[-1].files[name.removeprefix(f"{found[-1].name}/")] = value
            continue
        kind = documents.field(notes, "kind", str, where)
        files = {} if kind == trees.DIRECTORY else {"": value}
        role = documents.field(notes, "role", str, where) if "role" in notes else None
        found.append(Subject(name, role, kind, f"sha256:{value}", files))
    names = {each.name for each in found}
    leads_out = any(name.startswith("/") or ".." in name.split("/") for name in names)
    if subject_list(found) != listed or len(names) != len(found) or leads_out:
        raise RefusedError(f"{where}: its subjects are not as Penstock writes them")
    return found
