"""Stages of a checked pipeline file, recipes expanded, but not yet linked to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.plan import recipes
from penstock.plan.asking import Asking
from penstock.plan.expanding import Expanding
from penstock.plan.graph import Declared, Node
from penstock.plan.model import Environment, Output, Overlay, Stage
from penstock.plan.overlay import Params, merge
from penstock.plan.paths import is_pattern, matches, overlap
from penstock.plan.problems import Problems, file_of, listing, nearest, shown
from penstock.plan.reads import FILE, Reads
from penstock.plan.schema import PipelineFile
from penstock.plan.schema_parts import EnvironmentFile
from penstock.plan.schema_stages import (
    AnyStage,
    BenchmarkModelStage,
    LintStage,
    PytestStage,
    RepeatStage,
    RunStage,
    SecurityStage,
    ValidateStage,
)
from penstock.plan.yaml_file import Document
from penstock.record import Record
from penstock.results import Accelerator


class Draft(Record, kw_only=False):
    """A stage without links.

    Attributes:
        stage: All but `sources` and `produced`.
        node: The same for the graph.
        data: The data set that it validates.
    """

    stage: Stage
    node: Node
    data: str | None = None


class Drafting(Record, frozen=False):
    """Makes drafts; what is wrong goes to `problems`, and a stage that is too wrong is left out."""

    pipeline: PipelineFile
    document: Document
    overlay: Overlay
    params: Params
    params_file: str
    reads: Reads
    problems: Problems
    asking: Asking

    def drafts(self) -> list[Draft]:
        """A draft of every stage, in the order of the file, and of those that gates imply."""
        stages = self.asking.stages.items()
        made = [self._draft(name, stage, ()) for name, stage in stages if not isinstance(stage, RepeatStage)]
        first = [draft for draft in made if draft is not None]
        made += [self._draft(name, stage, first) for name, stage in stages if isinstance(stage, RepeatStage)]
        wanted = self.overlay.accelerator
        must = wanted != "cpu" and self.overlay.accelerator_required
        if must and not any(draft and draft.stage.accelerator for draft in made):
            self.problems.add(
                self.document.file,
                self.document.line("stages"),
                f"no stage can use the accelerator {shown(wanted)}",
                ("declare it at a stage: `accelerator: {cuda: {gpus: 1}}`, or leave --accelerator out",),
            )
        return [draft for draft in made if draft is not None]

    def _draft(self, name: str, stage: AnyStage, others: Sequence[Draft]) -> Draft | None:
        environment = self._environment(name, stage)
        expanding = Expanding(asking=self.asking, problems=self.problems, reads=self.reads)
        if isinstance(stage, RepeatStage):
            recipe = expanding.repeat(name, stage, [(each.stage, each.node) for each in others])
        else:
            recipe = expanding.recipe(name, stage, environment)
        if recipe is None:
            return None
        inputs = tuple(
            Declared(
                path,
                self.document.line("stages", name, "inputs", at)
                if self._as_listed(stage)
                else self._line(name),
            )
            for at, path in enumerate(recipe.inputs)
        )
        outputs = self._outputs(name, stage, recipe)
        own = stage if isinstance(stage, RunStage) else None
        params, params_file = self._params(name, own, inputs, outputs) if own is not None else ({}, None)
        kept = self._kept(name, own, outputs) if own is not None else ()
        made = Stage(
            name=name,
            run=recipe.run,
            outputs=tuple(
                sorted(
                    (Output(each.path, each.role, each.path in kept) for each in outputs),
                    key=lambda one: one.path,
                )
            ),
            params=params,
            params_file=params_file,
            files=recipe.files,
            variables=tuple(sorted((dict(self.pipeline.variables) | stage.variables).items())),
            secrets=self._secrets(name, stage),
            environment=recipe.environment,
            accelerator=self._accelerator(stage),
            # what a scan finds depends on the day, which is no input
            cache=stage.cache and not isinstance(stage, SecurityStage),
            timeout_s=stage.timeout,
            retries=stage.retries,
            exclusive=stage.exclusive or isinstance(stage, BenchmarkModelStage),
            outside=recipe.outside,
            passes=recipe.passes,
            pledges=recipe.pledges,
            observe=own is not None and own.observe,
            overwrite=own is not None and own.overwrite,
            uses=None if isinstance(stage, RunStage) else stage.uses,
            line=self._line(name),
            file=file_of(self._line(name)),
        )
        node = Node(name, self._line(name), inputs, outputs)
        return Draft(made, node, stage.data if isinstance(stage, ValidateStage) else None)

    def _line(self, name: str, *rest: str | int) -> int:
        if name in self.asking.lines:  # a gate implied it
            return self.asking.lines[name]
        return self.document.line("stages", name, *rest)

    def _as_listed(self, stage: AnyStage) -> bool:
        """Whether a recipe's inputs are those of the file, one by one, so that each has a line."""
        return isinstance(stage, RunStage | LintStage | PytestStage) and stage.inputs is not None

    def _environment(self, name: str, stage: AnyStage) -> Environment:
        """The pipeline's environment with the fields that the stage gives instead."""
        merged = _fields(self.pipeline.environment) | _fields(stage.environment)
        lock = merged.get("requirements")
        own = stage.environment is not None and "requirements" in stage.environment.model_fields_set
        if lock is not None and self.reads.presence(lock) != FILE:
            place = (
                ("stages", name, "environment", "requirements") if own else ("environment", "requirements")
            )
            self.problems.add(
                self.document.file,
                self.document.line(*place),
                f"{f'stage {name!r}: ' if own else ''}the lock file {lock!r} is not there",
                (f"make it with: uv pip compile requirements.in -o {lock}",),
            )
        packages = "".join(f"{each}\n" for each in merged.pop("packages", None) or ())
        return Environment(**merged, extra_requirements=packages)

    def _outputs(self, name: str, stage: AnyStage, recipe: recipes.Recipe) -> tuple[Declared, ...]:
        if not isinstance(stage, RunStage):
            return tuple(Declared(path, self._line(name), role) for path, role in recipe.outputs)
        if isinstance(stage.outputs, dict):
            return tuple(
                Declared(path, self._line(name, "outputs", role), role)
                for role, path in stage.outputs.items()
            )
        return tuple(Declared(path, self._line(name, "outputs", at)) for at, path in enumerate(stage.outputs))

    def _params(
        self, name: str, stage: RunStage, inputs: tuple[Declared, ...], outputs: tuple[Declared, ...]
    ) -> tuple[dict[str, Any], str | None]:
        """The parameters that a stage declares, nested, and the file that it finds them in.

        One that sees the whole source finds the file there as it is: what it declares only enters its key.
        Where values are laid over those of the file, it gets them all.
        """
        as_it_is = stage.observe and isinstance(self.pipeline.params, str)
        if as_it_is and self.params.overridden:
            return self.params.nested(), self.params_file
        chosen: dict[str, Any] = {}
        for at, key in enumerate(stage.params):
            found = self.params.select(key)
            if found is None:
                known = self.params.known()
                self.problems.add(
                    self.document.file,
                    self._line(name, "params", at),
                    f"stage {name!r}: there is no parameter {shown(key)}",
                    (*nearest(key, known), listing("parameters", known)),
                )
                continue
            merge(chosen, found)
        if as_it_is or not stage.params:
            return chosen, None
        for each in (*inputs, *outputs):
            if _holds(each.path, self.params_file):
                self.problems.add(
                    self.document.file,
                    each.line,
                    f"stage {name!r}: {each.path!r} holds {self.params_file!r}, the file of its parameters",
                    ("leave it out: `params` brings the file, with the declared parameters only",),
                )
        return chosen, self.params_file

    def _kept(self, name: str, stage: RunStage, outputs: tuple[Declared, ...]) -> tuple[str, ...]:
        """The outputs that `persist` names."""
        paths = [each.path for each in outputs]
        for at, path in enumerate(stage.persist):
            if path not in paths:
                what = f"stage {name!r}: `persist` names {path!r}, which is none of its outputs"
                line = self._line(name, "persist", at)
                self.problems.add(self.document.file, line, what, (*nearest(path, paths),))
        return tuple(stage.persist)

    def _secrets(self, name: str, stage: AnyStage) -> tuple[str, ...]:
        known = self.pipeline.secrets
        for at, secret in enumerate(stage.secrets):
            if secret not in known:
                what, notes = f"there is no secret {secret!r}", (*nearest(secret, known), _declare(secret))
            elif secret in stage.variables or secret in self.pipeline.variables:
                what, notes = f"{secret!r} is both a secret and a variable", ("keep one of them",)
            else:
                continue
            self.problems.add(
                self.document.file, self._line(name, "secrets", at), f"stage {name!r}: {what}", notes
            )
        return tuple(sorted(set(stage.secrets)))

    def _accelerator(self, stage: AnyStage) -> Accelerator | None:
        if self.overlay.accelerator == "cpu" or stage.accelerator is None:
            return None
        chosen = getattr(stage.accelerator, self.overlay.accelerator, None)
        if chosen is None:
            return None
        return Accelerator(kind=self.overlay.accelerator, image=chosen.image, gpus=chosen.gpus)


def _fields(environment: EnvironmentFile | None) -> dict[str, Any]:
    """The fields that the file gives, null included."""
    return environment.model_dump(include=environment.model_fields_set) if environment else {}


def _holds(path: str, file: str) -> bool:
    return matches(path, file) if is_pattern(path) else overlap(path, file)


def _declare(secret: str) -> str:
    return f"declare it at the top: `secrets: {{{secret}: {{env: {secret}}}}}`"
