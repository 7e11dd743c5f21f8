"""The scripts of a repository as a chain of stages: who writes what another reads."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field

from penstock.plan.paths import inside, overlap
from penstock.scaffold.draft import Item, StageDraft
from penstock.scaffold.places import Reader
from penstock.scaffold.repository import Repository
from penstock.scaffold.source import Library, Source, package_base
from penstock.scaffold.uses import Mention, Use, mentions

ROLES = (
    ("download fetch ingest acquire collect download_data get_data make_dataset", 0),
    ("prepare preprocess preprocessing prep clean cleaning process etl preparation", 1),
    ("split splits", 2),
    ("featurize featurise featurization features featurizer engineer", 3),
    ("train fit training trainer", 4),
    ("evaluate eval evaluation validate test score", 5),
    ("predict inference infer", 6),
)
_RANK = {word: rank for words, rank in ROLES for word in words.split()}
_SPLIT = 2
MAX_LISTED_INPUTS = 12
_MODEL = re.compile(r"\.(pkl|pickle|joblib|pt|pth|h5|hdf5|keras|onnx|bin|skops|safetensors|ckpt|cbm|ubj)$")


@dataclass(slots=True)
class Script:
    """A file that becomes a stage.

    Attributes:
        mentions: What it names, by path: the surest use, and where.
    """

    source: Source
    name: str
    rank: int
    closure: list[Source]
    mentions: dict[str, dict[Use, Mention]] = field(default_factory=dict)
    outside: list[Mention] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Of the script, from the root."""
        return self.source.path

    def does(self, use: Use, path: str) -> bool:
        """Whether it uses a path in this way."""
        return use in self.mentions.get(path, {})


@dataclass(slots=True)
class Chain:
    """Scripts in the order of their names' meaning, and what they leave to say."""

    scripts: list[Script] = field(default_factory=list)
    stages: list[StageDraft] = field(default_factory=list)
    bases: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)


def rank(stem: str) -> int | None:
    """Where in a chain a script of this name stands; none if the name says nothing."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).lower()
    if stem in _RANK:
        return _RANK[stem]
    words = [word for word in re.split(r"[\W_]+", stem) if word]
    if "split" in words:
        return _SPLIT
    if words[:1] == ["test"] and words != ["test", "model"]:
        return None
    return next((_RANK[word] for word in words if word in _RANK), None)


def find(library: Library) -> Chain:
    """The scripts by whose names one can tell what they do."""
    chain = Chain()
    found: list[Script] = []
    for path in sorted(library.repository.files, key=lambda path: (path.count("/"), path)):
        position = _position(path)
        if position is None or _in_tests(path):
            continue
        source = library.source(path)
        if source.problem:
            chain.left_out.append(
                f"{path}: it cannot be parsed ({source.problem}), so no stage was made of it"
            )
        elif source.is_script and not source.tests:
            found.append(Script(source, "", position, library.closure(path)))
    _drop_imported(found)
    _name(found)
    found.sort(key=lambda script: script.rank)
    chain.scripts = found
    return chain


def _position(path: str) -> int | None:
    folder, name = posixpath.split(path)
    stem, suffix = posixpath.splitext(name)
    if suffix != ".py" or any(part.startswith(".") for part in path.split("/")):
        return None
    if stem == "__main__":
        stem = posixpath.basename(folder)
    return rank(stem)


def _in_tests(path: str) -> bool:
    return any(part in ("test", "tests", "docs", "examples", "notebooks") for part in path.split("/")[:-1])


def _drop_imported(found: list[Script]) -> None:
    """A script that another one of the same rank imports is its library."""
    for script in list(found):
        if any(
            script.path in [source.path for source in other.closure] and other.rank == script.rank
            for other in found
            if other is not script
        ):
            found.remove(script)


def _name(found: list[Script]) -> None:
    stems = [_slug(_stem(script.path)) for script in found]
    often = Counter(stems)
    taken: set[str] = set()
    for script, stem in zip(found, stems, strict=True):
        folder = _slug(posixpath.basename(posixpath.dirname(script.path)))
        script.name = unique(f"{folder}-{stem}" if often[stem] > 1 and folder else stem, taken)


def _stem(path: str) -> str:
    stem = posixpath.splitext(posixpath.basename(path))[0]
    return posixpath.basename(posixpath.dirname(path)) if stem == "__main__" else stem


def _slug(text: str) -> str:
    return re.sub(r"^[^a-z]+|-+$", "", re.sub(r"[^a-z0-9]+", "-", text.lower()))[:50]


def slug(text: str, otherwise: str) -> str:
    """A name of the kind that a pipeline and a stage may have."""
    return _slug(text).strip("-") or otherwise


def unique(name: str, taken: set[str]) -> str:
    """The name, or one like it that is not taken yet; it is taken then."""
    name = name or "stage"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    taken.add(found)
    return found


def draft(chain: Chain, library: Library, *, params_file: str, keys: list[str]) -> None:
    """Make stages of the scripts.

    Args:
        params_file: What stages get as parameters and not as an input.
        keys: Its sections.
    """
    reader = Reader(library)
    for script in chain.scripts:
        for mention in mentions(library, reader, script.path):
            if mention.outside:
                script.outside.append(mention)
            elif mention.path not in (params_file, script.path):
                script.mentions.setdefault(mention.path, {}).setdefault(mention.use, mention)
    producers = _producers(chain.scripts, library.repository)
    for script in chain.scripts:
        stage = StageDraft(script.name, run=command(library.repository, script.source, chain.bases))
        for source in script.closure:
            chain.bases |= (
                source.bases - {posixpath.dirname(script.path)} if source is script.source else source.bases
            )
        stage.inputs = code(script.closure)
        stage.inputs += _data_inputs(script, chain.scripts, producers, library.repository)
        stage.outputs = _outputs(script, producers, library.repository)
        stage.params = _params(script, params_file, keys)
        stage.about = _about(script, producers, library.repository)
        chain.stages.append(stage)


def command(repository: Repository, source: Source, bases: set[str]) -> str:
    """How a script is started; a directory that must be on the module search path for it is noted."""
    folder = posixpath.dirname(source.path)
    base = package_base(repository, source.path)
    if base == folder and source.relative_imports:
        base = "src" if source.path.startswith("src/") else ""
    inside = posixpath.relpath(source.path, base or ".")
    parts = inside.removesuffix(".py").split("/")
    if base != folder and all(part.isidentifier() for part in parts):
        if base:
            bases.add(base)
        return "python -m " + ".".join(parts).removesuffix(".__main__")
    return f"python {shlex.quote(source.path if not source.path.startswith('-') else './' + source.path)}"


def code(closure: list[Source]) -> list[Item]:
    """A script and what it imports, as inputs."""
    paths = [source.path for source in closure]
    if len(paths) <= MAX_LISTED_INPUTS:
        first, *rest = paths
        return [Item(first), *(Item(path) for path in sorted(rest))]
    folders = Counter(
        "/".join(path.split("/")[:2]) if path.startswith("src/") else path.split("/")[0] for path in paths
    )
    return [Item(folder) for folder in sorted(folders)]


def _producers(scripts: list[Script], repository: Repository) -> dict[str, Script]:
    """Who writes what, by path."""
    found: dict[str, Script] = {}
    for script in scripts:
        for path in script.mentions:
            if script.does(Use.WRITTEN, path) and path not in found:
                found[path] = script
    for script in scripts:
        for path, uses in script.mentions.items():
            named = Use.NAMED in uses and Use.READ not in uses and not repository.holds(path)
            if named and not _covered(path, found) and not _exists_and_is_read(path, scripts, repository):
                found[path] = script
    for script in scripts:
        for path, uses in script.mentions.items():
            if Use.MADE in uses and not repository.holds(path) and not _covered(path, found):
                found[path] = script
    return {path: script for path, script in found.items() if not _inside_own(path, script, found)}


def _exists_and_is_read(path: str, scripts: list[Script], repository: Repository) -> bool:
    return repository.exists(path) and any(script.does(Use.READ, path) for script in scripts)


def _covered(path: str, found: dict[str, Script]) -> bool:
    return any(overlap(path, other) for other in found)


def _inside_own(path: str, script: Script, found: dict[str, Script]) -> bool:
    return any(
        path != other and inside(path, other) and owner is script and _whole(script, other)
        for other, owner in found.items()
    )


def _whole(script: Script, path: str) -> bool:
    return script.does(Use.WRITTEN, path) or script.does(Use.MADE, path)


def _data_inputs(
    script: Script, scripts: list[Script], producers: dict[str, Script], repository: Repository
) -> list[Item]:
    found: dict[str, Item] = {}
    order = {each.path: position for position, each in enumerate(scripts)}
    for path, uses in sorted(script.mentions.items()):
        if set(uses) <= {Use.WRITTEN, Use.MADE} or _is_code(path, script):
            continue
        makers = [maker for made, maker in producers.items() if overlap(path, made)]
        if any(maker is script for maker in makers):
            continue
        later = any(order[maker.path] > order[script.path] for maker in makers)
        if Use.READ in uses or repository.holds(path) or (makers and not later):
            mention = uses.get(Use.READ) or next(iter(uses.values()))
            made = f", written by {makers[0].name}" if makers else ""
            found[path] = Item(path, f"{mention.where}{made}")
    return [
        item
        for path, item in found.items()
        if not any(path != other and inside(path, other) for other in found)
    ]


def _is_code(path: str, script: Script) -> bool:
    return any(source.path == path for source in script.closure)


def _outputs(script: Script, producers: dict[str, Script], repository: Repository) -> list[Item]:
    items = []
    for path, maker in sorted(producers.items()):
        if maker is script:
            uses = script.mentions[path]
            mention = uses.get(Use.WRITTEN) or next(iter(uses.values()))
            kept = ", in git at present" if path in repository.tracked and repository.git else ""
            items.append(Item(path, f"{mention.where}{kept}", role_of(path)))
    return items


def role_of(path: str) -> str:
    """What an output is by its name: `metrics`, `model`, or nothing that one could tell."""
    name = posixpath.basename(path).lower()
    if name.endswith(".json") and re.search(r"metric|score|eval|result", name):
        return "metrics"
    if _MODEL.search(name) or name in ("model", "models"):
        return "model"
    return ""


def _params(script: Script, params_file: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    everywhere = set().union(*(source.strings() for source in script.closure))
    if not any(posixpath.basename(text) in (params_file, "params_show") for text in everywhere):
        return []
    for names in (script.source.lookups(), script.source.strings(), everywhere):
        if named := [key for key in keys if key in names]:
            return named
    return keys


def _about(script: Script, producers: dict[str, Script], repository: Repository) -> list[str]:
    notes = []
    for mention in script.outside[:5]:
        verb = "writes" if mention.use is Use.WRITTEN else "reads"
        notes.append(f"{mention.where} {verb} {mention.path}: a stage sees nothing outside the repository")
    for path, uses in sorted(script.mentions.items()):
        maker = producers.get(path)
        if Use.WRITTEN in uses and maker is not None and maker is not script:
            notes.append(f"it writes {path} too, which {maker.name} does: one of them must not")
        elif Use.READ in uses and maker is None and _only_here(path, repository):
            notes.append(f"{path} is not in git: a fresh clone has to get it from somewhere")
    return notes


def _only_here(path: str, repository: Repository) -> bool:
    return repository.git and repository.exists(path) and not repository.holds(path)
