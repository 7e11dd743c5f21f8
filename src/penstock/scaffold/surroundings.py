"""What stands around the scripts: name, Python, lock file, sources, tests, parameters, data."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from penstock.errors import PipelineError
from penstock.plan import yaml_file
from penstock.scaffold.chain import slug
from penstock.scaffold.draft import Draft, Item, Setting, StageDraft, any_python
from penstock.scaffold.repository import Repository
from penstock.scaffold.source import Library

PARAMS_FILES = ("params.yaml", "params.yml")
LINT_FILES = ("ruff.toml", ".ruff.toml", "mypy.ini", ".mypy.ini")
TEST_DIRECTORIES = ("tests", "test")
TEST_FILES = ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "conftest.py")
MAX_NAMED = 12
MAX_READ = 50
_NO_SOURCES = frozenset({*TEST_DIRECTORIES, "docs", "doc", "notebooks", "examples"})
_DATA = re.compile(r".+\.(csv|parquet)$")
_VERSION = re.compile(r"(?:cpython-?)?(\d+\.\d+)(?:\.\d+)?")
_BOUNDS = re.compile(r"(?:>=|<=|==|!=|~=|>|<)[0-9.]+(?:,(?:>=|<=|==|!=|~=|>|<)[0-9.]+)*")
_PINNED = re.compile(r"[A-Za-z0-9._\[\],-]+\s*(==\s*[^*\s]+|@\s*\S+)")

Reads = Callable[[str], list[str]]
"""Says which tracked files a Python file names."""


def pyproject(repository: Repository) -> Mapping[str, Any]:
    """The project's own description; empty if there is none that can be read."""
    text = repository.text("pyproject.toml")
    try:
        return tomllib.loads(text) if text else {}
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _at(document: Mapping[str, Any], *keys: str) -> Any:
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def name(repository: Repository, project: Mapping[str, Any]) -> str:
    """What the pipeline is called: as the project is, else as its directory."""
    for given in (
        _at(project, "project", "name"),
        _at(project, "tool", "poetry", "name"),
        repository.root.name,
    ):
        if isinstance(given, str) and slug(given, ""):
            return slug(given, "")
    return "pipeline"


def python(draft: Draft, repository: Repository, project: Mapping[str, Any]) -> None:
    """Which Python the project asks for."""
    file = (repository.text(".python-version") or "").strip().splitlines()
    bounds = _at(project, "project", "requires-python")
    if file and (found := _VERSION.fullmatch(file[0].strip())):
        version, where = found[1], ".python-version"
    elif isinstance(bounds, str) and _BOUNDS.fullmatch(bounds.replace(" ", "")):
        version, where = bounds.replace(" ", ""), "requires-python in pyproject.toml"
    else:
        draft.environment_notes.append(
            'no Python version is named, so any from 3.11 on will do; python: "3.12"'
        )
        return
    draft.python = Setting(version, [where])
    draft.found.append(("Python", f"{version} ({where})"))


def requirements(draft: Draft, repository: Repository, project: Mapping[str, Any]) -> None:
    """The lock file, or what comes nearest to one."""
    names = sorted(path for path in repository.files if "/" not in path)
    locks = [each for each in names if re.fullmatch(r"requirements.*\.lock", each)]
    texts = [each for each in names if re.fullmatch(r"requirements.*\.txt", each)]
    texts.sort(key=lambda each: (each != "requirements.txt", "dev" in each or "test" in each, each))
    pinned = [each for each in texts if is_pinned(repository.text(each) or "")]
    if found := next(iter([*locks, *(["uv.lock"] if "uv.lock" in names else []), *pinned]), None):
        draft.requirements = Setting(found)
        draft.found.append(("lock file", found))
    elif texts:
        _loose(draft, texts[0], f"uv pip compile --universal {texts[0]} -o requirements.lock")
    elif _at(project, "project", "dependencies"):
        _loose(draft, "pyproject.toml", "uv lock, and then name uv.lock here")
    else:
        _without_lock(draft, names)


def _loose(draft: Draft, path: str, remedy: str) -> None:
    about = [f"{path} is no lock: what is installed changes with the day. Make one: {remedy}"]
    draft.requirements = Setting(path, about)
    draft.found.append(("requirements", f"{path} (no lock: {remedy})"))


def _without_lock(draft: Draft, names: list[str]) -> None:
    others = {
        "poetry.lock": "poetry export -o requirements.lock",
        "Pipfile.lock": "pipenv requirements > requirements.lock",
        "environment.yml": "list its packages in requirements.txt",
        "environment.yaml": "list its packages in requirements.txt",
    }
    for other, remedy in others.items():
        if other in names:
            draft.environment_notes.append(f"{other} cannot be read; {remedy}, and name that here")
            draft.left_out.append(f"{other}: it cannot be read; {remedy}")
    draft.environment_notes.append("requirements: requirements.lock")
    if draft.python is None:
        draft.python, draft.environment_notes[:1] = any_python(), []


def is_pinned(text: str) -> bool:
    """Whether every line of a requirements file names one version."""
    lines = [line.split(" #")[0].strip().rstrip("\\").strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "--"))]
    if any(line.startswith("-") for line in lines):
        return False
    return bool(lines) and all(_PINNED.match(line) for line in lines)


def source_directories(repository: Repository) -> list[str]:
    """Where Python code is, tests excluded: `src`, packages and directories of scripts."""
    found = set()
    for path in repository.files:
        folder, slash, _ = path.partition("/")
        if slash and path.endswith(".py") and folder not in _NO_SOURCES and not folder.startswith("."):
            found.add(folder)
    return sorted(found)


def python_inputs(repository: Repository) -> list[Item]:
    """All Python code, as inputs: directories, and the files beside them."""
    folders = source_directories(repository)
    folders += [
        each for each in TEST_DIRECTORIES if any(path.endswith(".py") for path in repository.below(each))
    ]
    loose = sorted(path for path in repository.files if path.endswith(".py") and "/" not in path)
    items = [Item(folder) for folder in sorted(folders)]
    if len(loose) > MAX_NAMED:
        return [*items, Item("*.py", pattern=True)]
    return [*items, *(Item(path) for path in loose)]


def lint(draft: Draft, repository: Repository, project: Mapping[str, Any]) -> None:
    """A stage that checks the code, if there is any."""
    inputs = python_inputs(repository)
    if not inputs:
        return
    configured = [each for each in LINT_FILES if each in repository.files]
    if _at(project, "tool", "ruff") is not None or _at(project, "tool", "mypy") is not None:
        configured.append("pyproject.toml")
    by = (
        f"by the settings in {', '.join(configured)}"
        if configured
        else "by their defaults: nothing sets them"
    )
    draft.stages.append(StageDraft("lint", uses="lint", about=[f"ruff and mypy, {by}"], inputs=inputs))
    draft.found.append(
        ("code", ", ".join(item.path for item in inputs[:6]) + (", ..." if inputs[6:] else ""))
    )


def tests(draft: Draft, repository: Repository, library: Library, named: Reads) -> None:
    """A stage for the test suite, if there is one."""
    suites = [path for path in sorted(repository.files) if _is_test(path)]
    folders = [each for each in TEST_DIRECTORIES if any(path.startswith(f"{each}/") for path in suites)]
    loose = [path for path in suites if not path.startswith(tuple(f"{each}/" for each in folders))]
    loose = [path for path in loose[: 2 * MAX_NAMED] if library.source(path).tests]
    if not folders and not loose:
        return
    paths = [*folders, *source_directories(repository), *loose[:MAX_NAMED]]
    paths += sorted(path for path in repository.files if path.endswith(".py") and "/" not in path)[:MAX_NAMED]
    paths += [path for path in TEST_FILES if path in repository.files]
    paths += sorted({found for path in suites[:MAX_READ] for found in named(path)})
    paths = [path for path in dict.fromkeys(paths) if not any(path.startswith(f"{each}/") for each in paths)]
    about = ["what the tests read beside the code has to be named here as well"]
    draft.stages.append(StageDraft("test", uses="pytest", about=about, inputs=[Item(path) for path in paths]))
    draft.found.append(("tests", ", ".join([*folders, *loose[:3]])))


def _is_test(path: str) -> bool:
    name = posixpath.basename(path)
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def params(draft: Draft, repository: Repository) -> list[str]:
    """The parameter file; its sections."""
    path = next((each for each in PARAMS_FILES if each in repository.files), None)
    if path is None:
        return []
    draft.params = Setting(path)
    try:
        document = yaml_file.parse_mapping(repository.data(path) or b"", path).value
    except PipelineError as error:
        draft.params.refused = str(error).replace("\n  ", "; ")
        draft.left_out.append(draft.params.refused)
        return []
    keys = [key for key in document if isinstance(key, str)] if isinstance(document, dict) else []
    draft.found.append(("parameters", f"{path}: {', '.join(keys[:8])}"))
    return keys


def data(draft: Draft, repository: Repository) -> None:
    """Data files in the repository, and a stage for each that has a schema beside it."""
    files = sorted(
        path for path in repository.tracked if _DATA.fullmatch(path) and not path.startswith("test")
    )
    taken: set[str] = set()
    for path in files[:MAX_NAMED]:
        schema = _schema(path, files, repository)
        if schema is None:
            continue
        name = slug(posixpath.basename(path).split(".")[0], "data")
        if name in taken:
            continue
        taken.add(name)
        draft.data[name] = {"path": path, "schema": schema}
        stage = "validate" if len(taken) == 1 else f"validate-{name}"
        about = [f"judged by {schema}; the gate below reads what it finds"]
        draft.stages.append(StageDraft(stage, uses="validate-data", data=name, about=about))
    described = {each["path"] for each in draft.data.values()}
    draft.data_files = [path for path in files if path not in described][:3]
    if files:
        draft.found.append(("data", ", ".join(files[:4]) + (", ..." if files[4:] else "")))


def _schema(path: str, files: list[str], repository: Repository) -> str | None:
    folder = posixpath.dirname(path)
    stem = path.rsplit(".", 1)[0]
    near = [each for each in repository.tracked if each.endswith((".schema.yaml", ".schema.yml"))]
    if own := [each for each in near if each.startswith(f"{stem}.schema.")]:
        return own[0]
    beside = [each for each in near if posixpath.dirname(each) == folder]
    alone = len([each for each in files if posixpath.dirname(each) == folder]) == 1
    return beside[0] if alone and len(beside) == 1 else None
