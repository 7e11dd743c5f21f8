"""A pipeline file before it is text: what is proposed, and for each proposal where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.plan.importers.found import ANY_PYTHON


@dataclass(slots=True)
class Item:
    """A path of a stage.

    Attributes:
        why: Where it was found; becomes a comment.
        role: Of an output, if it has one.
        pattern: Whether signs of patterns in it are meant as such.
    """

    path: str
    why: str = ""
    role: str = ""
    pattern: bool = False


@dataclass(slots=True)
class StageDraft:
    """A stage that is proposed.

    Attributes:
        run: Its command, unless it is a recipe.
        uses: The recipe, unless it has a command.
        about: Comments that stand above it.
        data: For the recipe `validate-data`.
        settings: Further lines by key, as they stand in the file.
        refused: Why it is written as a comment only.
    """

    name: str
    run: str = ""
    uses: str = ""
    about: list[str] = field(default_factory=list)
    inputs: list[Item] = field(default_factory=list)
    outputs: list[Item] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    data: str = ""
    cache: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    refused: str = ""


@dataclass(slots=True)
class Setting:
    """A line of the file that is not a stage.

    Attributes:
        value: As it stands in the file, rendered.
        about: Comments that stand above it.
        refused: Why it is written as a comment only.
    """

    value: str
    about: list[str] = field(default_factory=list)
    refused: str = ""


def any_python() -> Setting:
    """What is declared when nothing else is: without an environment there may be no `python` at all."""
    return Setting(ANY_PYTHON, ['any that is not older; one version, such as "3.12", is the same everywhere'])


@dataclass(slots=True)
class Draft:
    """A pipeline that is proposed.

    Attributes:
        root: The value of `root:`, if the file's place does not say it.
        python: (version, where from); an empty version is a comment only.
        packages: Requirements beside those of the lock file.
        image: For container executors.
        data: Name → fields, as they stand in the file.
        imported_from: The file of another tool that all of it was read in.
        source: The file of another tool that stages are taken from.
        foreign: Those stages, which are not written out.
        metrics: (metric, bound in words) of the threshold gates that are proposed.
        found: What was recognised, as (what, where) for the summary.
        guessed: What to look at.
        left_out: What could not be carried over, with its place in the repository.
    """

    name: str
    root: str = ""
    python: Setting | None = None
    requirements: Setting | None = None
    environment_notes: list[str] = field(default_factory=list)
    params: Setting | None = None
    pythonpath: str = ""
    packages: list[str] = field(default_factory=list)
    image: str = ""
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    data_files: list[str] = field(default_factory=list)
    data_refused: str = ""
    imported_from: str = ""
    source: Setting | None = None
    foreign: list[StageDraft] = field(default_factory=list)
    stages: list[StageDraft] = field(default_factory=list)
    metrics: list[tuple[str, str]] = field(default_factory=list)
    publishable: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
