"""What differs between two key documents: why a stage has to run, down to the file and the parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from penstock import digest
from penstock.cache.observations import ABSENT
from penstock.results import Change

Manifests = Callable[[str], "bytes | None"]
"""Finds the manifest of a directory's digest, if it is still known."""

_WHAT = {
    "run": "command",
    "params": "parameter",
    "params_file": "parameter file",
    "variables": "variable",
    "environment": "environment",
    "outputs": "outputs",
    "secrets": "secrets",
    "files": "recipe file",
    "accelerator": "accelerator",
    "version": "key version",
    "observed": "undeclared input",
}


def compare(
    before: Mapping[str, object], after: Mapping[str, object], manifests: Manifests
) -> tuple[Change, ...]:
    """Everything that differs between two key documents, inputs first and down to single files.

    Args:
        manifests: Where the manifests of both documents' directories are looked up; a directory whose
            manifests are not both known is named as a whole.
    """
    inputs = _mapping(before.get("inputs")), _mapping(after.get("inputs"))
    changes = list(part_changes("input", *inputs, manifests))
    order = [*_WHAT, *sorted({*before, *after} - {"inputs", *_WHAT})]
    for field in order:
        old, new = before.get(field), after.get(field)
        if old == new:
            continue
        old_leaves, new_leaves = dict(_leaves(old)), dict(_leaves(new))
        what = _WHAT.get(field, field)
        for name in sorted({*old_leaves, *new_leaves}):
            was, now = _there(old_leaves.get(name)), _there(new_leaves.get(name))
            if was != now:
                changes.append(Change(what=what, name=name or field, before=was, after=now))
    return tuple(changes)


def _there(value: str | None) -> str | None:
    return None if value == ABSENT else value


def part_changes(
    what: str, before: Mapping[str, object], after: Mapping[str, object], manifests: Manifests
) -> Iterator[Change]:
    """What differs between two sets of parts, each path → (kind, digest), down to single files.

    Args:
        what: What a change of these is called.
    """
    for path in sorted({*before, *after}):
        (was_kind, was), (now_kind, now) = _part(before.get(path)), _part(after.get(path))
        if (was_kind, was) == (now_kind, now):
            continue
        files = None
        if was_kind == now_kind == "directory" and was and now:
            files = _file_changes(what, path, manifests(was), manifests(now))
        if files:
            yield from files
        elif was_kind and now_kind and was_kind != now_kind:
            yield Change(what=what, name=path, before=f"{was} ({was_kind})", after=f"{now} ({now_kind})")
        else:
            yield Change(what=what, name=path, before=was, after=now)


def _file_changes(what: str, path: str, before: bytes | None, after: bytes | None) -> list[Change]:
    if before is None or after is None:
        return []
    was = {entry.path: entry for entry in digest.decode_manifest(before)}
    now = {entry.path: entry for entry in digest.decode_manifest(after)}
    # a pattern's members are relative to the root, a directory's to the directory
    prefix = b"" if any(sign in path for sign in "*?[") else path.encode("utf-8", "surrogateescape") + b"/"
    changes = []
    for name in sorted({*was, *now}):
        old, new = was.get(name), now.get(name)
        if old != new:
            shown = (prefix + name).decode("utf-8", "backslashreplace")
            changes.append(Change(what=what, name=shown, before=_entry(old), after=_entry(new)))
    return changes


def _entry(entry: digest.Entry | None) -> str | None:
    if entry is None:
        return None
    if entry.kind == digest.LINK:
        return "link to " + entry.value.decode("utf-8", "backslashreplace")
    text = digest.PREFIX + entry.value.decode("ascii", "replace")
    return f"{text} (executable)" if entry.kind == digest.EXECUTABLE else text


def _part(value: object) -> tuple[str | None, str | None]:
    if isinstance(value, list | tuple) and len(value) == 2:  # noqa: PLR2004 - kind and digest
        return str(value[0]), str(value[1])
    return None, None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key in value:
            yield from _leaves(value[key], f"{name}.{key}" if name else str(key))
    elif value is not None and value not in ([], ()):
        yield name, value if isinstance(value, str) else digest.canonical_json(value).decode("ascii")
