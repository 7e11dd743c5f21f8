"""Everything that a repository says about its pipeline, put together as a draft."""

from __future__ import annotations

import ast
import glob
import json
import math
import posixpath
import re

from penstock.plan.importers.found import ROLES
from penstock.plan.paths import is_pattern
from penstock.scaffold import chain, imported, surroundings
from penstock.scaffold.draft import Draft, Item, StageDraft
from penstock.scaffold.places import Reader
from penstock.scaffold.render import flow
from penstock.scaffold.repository import Repository
from penstock.scaffold.source import Library
from penstock.scaffold.uses import mentions

_METRIC = re.compile(
    r"(?:\w+[_ ])?(?:accuracy|auc|f1|precision|recall|r2|rmse|mse|mae|mape|log_?loss|loss|brier|error)"
    r"(?:_\w+)?"
)
_UNNAMEABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WORSE = re.compile(r"rmse|mse|mae|mape|loss|brier|error")
_MAX_METRICS = 4


def propose(repository: Repository) -> Draft:
    """Draft a pipeline; nothing of the repository is imported or run."""
    project = surroundings.pyproject(repository)
    draft = Draft(surroundings.name(repository, project))
    if repository.note:
        draft.left_out.append(repository.note)
    surroundings.python(draft, repository, project)
    surroundings.requirements(draft, repository, project)
    library = Library(repository)
    keys = surroundings.params(draft, repository)
    surroundings.lint(draft, repository, project)
    surroundings.tests(draft, repository, library, _reads(library))
    surroundings.data(draft, repository)
    params_file = draft.params.value if draft.params is not None and keys else ""
    bases: set[str] = set()
    source = imported.find(repository)
    if source is None or not imported.refer(draft, source, repository, params_file or None):
        bases = _scripts(draft, library, params_file, keys)
    _name_apart(draft)
    _notebooks(draft, repository)
    draft.pythonpath = _search_path(draft, repository, bases)
    if draft.foreign:
        _keep_apart(draft)
    _metrics(draft, library)
    _drop_unnameable(draft)
    _escape(draft, repository)
    draft.publishable = [
        item.path
        for stage in (*draft.foreign, *draft.stages)
        for item in stage.outputs
        if item.role in ROLES and not stage.refused
    ]
    return draft


def _keep_apart(draft: Draft) -> None:
    """Only tests get the search path: other tools' stages run without."""
    for stage in draft.stages:
        if stage.uses == "pytest" and draft.pythonpath:
            stage.settings["variables"] = flow({"PYTHONPATH": draft.pythonpath})
    draft.pythonpath = ""


def _name_apart(draft: Draft) -> None:
    """A stage of the pipeline's own must not take the place of one that another file has."""
    taken = {stage.name for stage in draft.foreign}
    for stage in draft.stages if taken else ():
        stage.name = chain.unique(stage.name, taken)


def _reads(library: Library) -> surroundings.Reads:
    reader = Reader(library)

    def named(path: str) -> list[str]:
        found = mentions(library, reader, path, alone=True)
        return [each.path for each in found if not each.outside and library.repository.holds(each.path)]

    return named


def _scripts(draft: Draft, library: Library, params_file: str, keys: list[str]) -> set[str]:
    found = chain.find(library)
    chain.draft(found, library, params_file=params_file, keys=keys)
    draft.left_out += found.left_out
    draft.notes += found.left_out
    taken = {stage.name for stage in draft.stages}
    for stage in found.stages:
        stage.name = chain.unique(stage.name, taken)
        draft.stages.append(stage)
    if found.scripts:
        draft.found.append(("scripts", ", ".join(script.path for script in found.scripts)))
        items = [item for stage in found.stages for item in (*stage.inputs, *stage.outputs)]
        guessed = len([item for item in items if item.why])
        if guessed:
            draft.guessed.append(f"which of {guessed} paths are read and which are written, from the code")
    for stage in found.stages:
        if not stage.outputs:
            stage.about.append("no path that it writes was recognised: name its outputs")
            draft.guessed.append(f"stage '{stage.name}' has no outputs, as none was recognised")
    return found.bases


def _notebooks(draft: Draft, repository: Repository) -> None:
    books = sorted(path for path in repository.files if path.endswith(".ipynb"))
    if books:
        text = f"{', '.join(books[:3])}{', ...' if books[3:] else ''}: notebooks are no stages"
        remedy = f"jupyter nbconvert --to script {books[0]}"
        draft.left_out.append(f"{text} ({remedy})")
        draft.notes.append(f"{text}; make a script of what belongs into the pipeline: {remedy}")


def _search_path(draft: Draft, repository: Repository, bases: set[str]) -> str:
    if any(item.path.startswith("src") for stage in draft.stages for item in stage.inputs):
        inner = [path for path in repository.files if path.startswith("src/") and path.endswith(".py")]
        if inner and "src/__init__.py" not in repository.files:
            bases = bases | {"src"}
    if not bases or bases == {""}:
        return "." if bases else ""
    return ":".join(base or "." for base in sorted(bases, key=lambda base: (base == "", base)))


def _metrics(draft: Draft, library: Library) -> None:
    """Propose a bound for each metric that can be known by name."""
    stages = (*draft.foreign, *draft.stages)
    outputs = [(stage, item) for stage in stages for item in stage.outputs if item.role == "metrics"]
    for stage, item in outputs:
        which = f", metrics: {item.path}" if len(outputs) > 1 and re.fullmatch(r"[\w./-]+", item.path) else ""
        values = _values(library.repository, item.path)
        names = list(values) or _names(stage, library) or ["accuracy"]
        for name in names[:_MAX_METRICS]:
            worse = _WORSE.search(name)
            value = values.get(name, 0.5 if worse else 0.8)
            draft.metrics.append((name, f"{'max' if worse else 'min'}: {value:.6g}{which}"))


def _values(repository: Repository, path: str) -> dict[str, float]:
    try:
        document = json.loads(repository.text(path) or "")
    except (ValueError, RecursionError):
        return {}
    found = document if isinstance(document, dict) else {}
    known = {key: value for key, value in found.items() if _METRIC.fullmatch(key)}
    return {
        key: value for key, value in known.items() if type(value) in (int, float) and math.isfinite(value)
    }


def _names(stage: StageDraft, library: Library) -> list[str]:
    found: list[str] = []
    for item in stage.inputs:
        if item.path.endswith(".py") and item.path in library.repository.files:
            for node in ast.walk(library.source(item.path).tree):
                keys = node.keys if isinstance(node, ast.Dict) else [getattr(node, "slice", None)]
                texts = [key.value for key in keys if isinstance(key, ast.Constant)]
                found += [text for text in texts if isinstance(text, str) and _METRIC.fullmatch(text)]
    return list(dict.fromkeys(found))


def _drop_unnameable(draft: Draft) -> None:
    """Names that are not Unicode, or hold control characters, cannot stand in a pipeline file."""
    for stage in draft.stages:
        for items in (stage.inputs, stage.outputs):
            for item in [each for each in items if not _nameable(each)]:
                items.remove(item)
                text = f"stage '{stage.name}': {item.path!r} cannot be named in a pipeline file"
                draft.left_out.append(text)
                stage.about.append(text)


def _nameable(item: Item) -> bool:
    return not _UNNAMEABLE.search(item.path) and posixpath.normpath(item.path) != "."


def _escape(draft: Draft, repository: Repository) -> None:
    """Signs of patterns in the name of a file stand for themselves."""
    for stage in draft.stages:
        for item in stage.inputs:
            if is_pattern(item.path) and not item.pattern:
                below = "/**" if item.path in repository.directories else ""
                item.path, item.pattern = glob.escape(item.path) + below, True
