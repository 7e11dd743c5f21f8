"""The check `pins`: what may be another thing tomorrow under the same name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import yaml

from ..common.program import UnusableError
from .findings import Check, Finding
from .locks import requirements
from .tree import File

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:[0-9a-f]{24})?$")
_VARIABLE = re.compile(r"\$\{?(\w+)(?:(:?[-+])([^}]*))?\}?|\$\{\{.*?\}\}|\$\[\[.*?\]\]")
_FROM = re.compile(r"(?i)^\s*FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$")
_COPY = re.compile(r"(?i)^\s*(?:COPY|ADD|RUN)\s.*?(?:--from=|,from=)(?P<image>[^\s,]+)")
_ARGUMENT = re.compile(r"(?i)^\s*ARG\s+(?P<name>\w+)=(?P<value>\S+)")
_DOCKERFILES = (
    "Dockerfile",
    "Dockerfile.*",
    "*.Dockerfile",
    "*.dockerfile",
    "Containerfile",
    "Containerfile.*",
)
_CI = (
    ".gitlab-ci.yml", ".gitlab-ci.yaml", "*.gitlab-ci.yml", ".circleci/config.yml", "azure-pipelines.yml",
    ".buildkite/*.yml", "docker-compose*.yml", "docker-compose*.yaml", "compose*.yml", "compose*.yaml",
)  # fmt: skip
_ACTIONS = (
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    "action.yml",
    "action.yaml",
    "*/action.yml",
    "*/action.yaml",
)
_IMAGE_KEYS = frozenset({"image", "container", "services", "base"})
_LOCK = "lock it: `uv pip compile --generate-hashes`"
_WHY = "what it names can be changed by whoever owns it, after you have looked at it"


def pins(root: Path, files: Sequence[File], locks: Iterable[str], pipeline: str | None) -> Check:
    """What is not pinned.

    Args:
        root: The project.
        files: Of the tree.
        locks: Lock files that the pipeline installs from.
        pipeline: The pipeline file.
    """
    check = Check("pins", "rules of Penstock")
    looked = set()
    for path in dict.fromkeys((*locks, *(each.path for each in files if _is_lock(each.path)))):
        looked.add(path)
        try:
            check.findings += _requirements(root, path)
        except UnusableError as error:
            check.problems.append(str(error))
    for file in files:
        kinds = [_kind(file.path, pipeline)]
        if kinds == [None]:
            continue
        looked.add(file.path)
        try:
            text = file.read().decode("utf-8", "replace")
            found = (
                _dockerfile(text, file.path) if kinds == ["dockerfile"] else _yaml(text, file.path, kinds[0])
            )
            check.findings += found
        except (yaml.YAMLError, RecursionError, OSError) as error:
            reason = str(getattr(error, "problem", None) or error)[:100]
            check.problems.append(f"{file.path} cannot be read: {reason}")
    check.examined = f"{len(looked)} files"
    return check


def _is_lock(path: str) -> bool:
    name = PurePosixPath(path).name
    return fnmatchcase(name, "requirements*.txt") or fnmatchcase(name, "requirements*.lock")


def _kind(path: str, pipeline: str | None) -> str | None:
    name = PurePosixPath(path).name
    if any(fnmatchcase(name, each) for each in _DOCKERFILES):
        return "dockerfile"
    if any(fnmatchcase(path, each) for each in _ACTIONS):
        return "actions"
    if path == pipeline:
        return "pipeline"
    if any(fnmatchcase(path, each) or fnmatchcase(name, each) for each in _CI):
        return "ci"
    return None


def _requirements(root: Path, path: str) -> Iterator[Finding]:
    for each in requirements(root, path):
        place = (each.path, each.line)
        if each.version is None:
            what = f"{each.text[:100]!r} names no exact version"
            yield _finding("requirement-unpinned", place, what, _LOCK, each.name)
        elif not each.hashed:
            what = f"{each.text[:100]!r} has no hash"
            yield _finding("requirement-without-hash", place, what, _LOCK, each.name)


def _dockerfile(text: str, path: str) -> Iterator[Finding]:
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    number = 0
    for first, line in _joined(text):
        if argument := _ARGUMENT.match(line):
            arguments[argument["name"]] = argument["value"].strip("\"'")
        elif found := _FROM.match(line):
            if found["image"].lower() not in stages:
                yield from _image(found["image"], path, first, arguments)
            stages |= {(found["name"] or "").lower(), str(number)}
            number += 1
        elif (found := _COPY.match(line)) and found["image"].lower() not in stages:
            yield from _image(found["image"], path, first, arguments)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        first = first if pending else number
        pending += line.rstrip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
        else:
            yield first, pending
            pending = ""


def _yaml(text: str, path: str, kind: str | None) -> Iterator[Finding]:
    for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
        if document is not None:
            for key, value, line in _scalars(document, (), set()):
                if kind == "actions" and key and key[-1] == "uses":
                    yield from _action(value, path, line)
                elif _names_image(key, kind):
                    yield from _image(value, path, line, {})
                elif kind == "ci" and key and key[-1] == "component" and not _COMMIT.search(value):
                    message = f"the component {value[:100]!r} is not named by its commit"
                    yield _finding("component-unpinned", (path, line), message, _WHY, value)


def _scalars(
    node: yaml.Node, keys: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """(keys above, value, line) of the texts below a node; what an alias stands for is told once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*keys, str(getattr(key, "value", ""))), seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _scalars(value, (*keys, ""), seen)
    elif isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        yield keys, str(node.value), node.start_mark.line + 1


def _names_image(keys: tuple[str, ...], kind: str | None) -> bool:
    """Whether a text names an image: by its key, or as a part of what its key holds."""
    if not keys:
        return False
    named = [key for key in keys if key]
    last = named[-1] if named else ""
    if kind == "pipeline":
        return last == "image" or keys[-3:] == ("publish", "image", "base")
    if last in ("image", "container"):
        return True
    # image: {name: ...}, and services as a list of names or of mappings
    if last == "name" and len(named) > 1 and named[-2] in ("image", "services"):
        return True
    return kind == "ci" and last == "services" and keys[-1] == ""


def _action(value: str, path: str, line: int) -> Iterator[Finding]:
    if value.startswith("docker://"):
        yield from _image(value.removeprefix("docker://"), path, line, {})
    elif not value.startswith(("./", "../", "$/")) and not _COMMIT.search(value):
        message = f"the action {value[:100]!r} is not named by its commit"
        yield _finding("action-unpinned", (path, line), message, f"name a commit: {_WHY}", value)


def _image(value: str, path: str, line: int, arguments: Mapping[str, str]) -> Iterator[Finding]:
    def known(match: re.Match[str]) -> str:
        return arguments.get(match[1] or "", match[3] if (match[2] or "").endswith("-") else "") or match[0]

    name = _VARIABLE.sub(known, value)
    if name == "scratch" or _DIGEST.search(name) or not name.strip():
        return
    if _VARIABLE.fullmatch(name):
        return  # whoever gives the value is asked
    message = f"the image {name[:100]!r} is not named by its digest"
    remedy = f"write `<name>@sha256:…` (`docker buildx imagetools inspect` shows it): {_WHY}"
    yield _finding("image-unpinned", (path, line), message, remedy, value)


def _finding(rule: str, place: tuple[str, int], message: str, remedy: str, subject: str) -> Finding:
    path, line = place
    severity = "low" if rule == "requirement-without-hash" else "medium"
    return Finding("pins", rule, severity, path, line, message, remedy, f"{rule} {subject}")
