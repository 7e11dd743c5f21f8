"""The plan: stages, gates and publications with everything resolved, as plain frozen records.

This is the form that keys are computed from and that executors read. It imports nothing but the standard
library: a run that finds nothing to do must not pay for the checks of the pipeline file (`schema.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.record import Record, field
from penstock.results import Accelerator

EVENT_PROFILES = {
    "pull-request": ("pull-request",),
    "main": ("main",),
    "tag": ("tag", "release"),
    "schedule": ("schedule",),
    "manual": ("manual",),
}
"""What a CI system runs for → the profiles that may be meant; the first one that the file has is taken."""


class Overlay(Record):
    """What is laid over a pipeline file from outside, weakest first: profile, `environ`, `sets`.

    Attributes:
        event: What the run is for, one of `EVENT_PROFILES`; chooses a profile where none is named.
        sets: `train.epochs=3`, in the order of the command line.
        environ: Variables of which those called `PENSTOCK_PARAM_...` set parameters.
        accelerator: What stages that can use it run on; `cpu` for none.
        accelerator_required: Whether it is an error that no stage can use it.
    """

    profile: str | None = None
    event: str | None = None
    sets: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    accelerator: str = "cpu"
    accelerator_required: bool = True


class Environment(Record):
    """How a stage's process is set up, on every executor.

    Attributes:
        python: Version that must be there, such as `3.12`; any if absent.
        requirements: Lock file, relative to the root.
        extra_requirements: Text in the form of a requirements file: what a recipe's tools need, less what
            the lock file already names.
        image: For container executors.
    """

    python: str | None = None
    requirements: str | None = None
    extra_requirements: str = ""
    image: str | None = None

    @property
    def declared(self) -> bool:
        """Whether anything must be installed at all."""
        return bool(self.python or self.requirements or self.extra_requirements)


class Output(Record, kw_only=False):
    """A path that a stage must write: a file or a directory.

    Attributes:
        role: What the pipeline file calls it (`metrics`, `model`, ...), if it is given a name.
        persist: Whether its earlier content is there when the stage starts, if the project has some.
    """

    path: str
    role: str | None = None
    persist: bool = False


class Produced(Record, kw_only=False):
    """An input that an earlier stage writes.

    Attributes:
        path: As the reading stage sees it: an output, or something below one.
        stage: Who writes it.
        output: The declared output that holds it.
    """

    path: str
    stage: str
    output: str


class Serving(Record):
    """An image that serves a model.

    Attributes:
        package: The directory that `package-model` wrote.
        result: Directory for the image and what was found of it.
        port: That the server listens on.
        labels: Of the image.
    """

    package: str
    result: str
    port: int = 8080
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def archive(self) -> str:
        """The image: `docker load` takes it, and it is an OCI layout."""
        return f"{self.result}/image.tar"

    @property
    def facts(self) -> str:
        """What was found of it, as JSON: digests, size, layers, base, smoke test."""
        return f"{self.result}/image.json"


class Stage(Record):
    """One command with everything that may change its outputs declared.

    Attributes:
        run: Handed to `/bin/sh -euc` in the workspace.
        sources: Inputs that no stage writes: files, directories or patterns, sorted.
        produced: Inputs that earlier stages write, sorted by path.
        outputs: Sorted by path.
        params: The parameters that the stage declared, nested as in the parameter file.
        params_file: Where the stage finds them in its workspace, as YAML.
        files: (path, text) of files that a recipe puts into the workspace.
        variables: Of the process's environment, sorted by name.
        secrets: Names; the values never come near the plan.
        cache: Whether an earlier result may stand for a run.
        timeout_s: Wall-clock limit of an attempt.
        retries: Further attempts after a failed one.
        exclusive: Whether it runs while no other stage does.
        outside: Whether it works on the world beyond its workspace: no sandbox and no container but the
            engine's, the home directory and the network of whoever runs Penstock. Only recipes do.
        passes: Variables of Penstock's own environment that an outside stage gets if they are set; what is
            called a password, token, key or secret is treated as one.
        pledges: (output path, digest) of what it will write, known before it runs: `md5:...` of data that are
            kept elsewhere. Who reads such an output has a key without it, and needs it only to run.
        observe: Whether it sees the whole source, and what it reads of it is watched and enters its key.
        overwrite: Whether its outputs replace what stands in their places, whoever wrote that.
        serving: The image that it builds and tries, instead of running a command.
        uses: The recipe that it was expanded from.
        line: Where the pipeline file declares it, or `file`.
        file: Of another tool that declares it, relative to the root.
    """

    name: str
    run: str
    sources: tuple[str, ...] = ()
    produced: tuple[Produced, ...] = ()
    outputs: tuple[Output, ...] = ()
    params: Mapping[str, object] = field(default_factory=dict)
    params_file: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    environment: Environment = field(default_factory=Environment)
    accelerator: Accelerator | None = None
    cache: bool = True
    timeout_s: float | None = None
    retries: int = 0
    exclusive: bool = False
    outside: bool = False
    passes: tuple[str, ...] = ()
    pledges: tuple[tuple[str, str], ...] = ()
    observe: bool = False
    serving: Serving | None = None
    overwrite: bool = False
    uses: str | None = None
    line: int = 0
    file: str = ""

    @property
    def placed(self) -> bool:
        """Whether the project gets its outputs: what is pledged is there already, in others' keeping."""
        return not self.pledges

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages whose outputs it reads, sorted, each once."""
        return tuple(sorted({item.stage for item in self.produced}))


class GateSpec(Record):
    """A gate as the pipeline file asks for it.

    Attributes:
        gate: Kind: `schema`, `threshold`, ...
        name: Unique in the pipeline.
        reads: Outputs that are its evidence, as (stage, output path).
        options: What this kind of gate takes, JSON values only.
    """

    gate: str
    name: str
    required: bool = True
    reads: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    line: int = 0


class Archive(Record):
    """`publish: archive`: which outputs go into the archive, and the directory that it is written to."""

    path: str
    contents: tuple[tuple[str, str], ...]


class Delivery(Record, kw_only=False):
    """Something that is published by a program, once the gates have passed.

    Attributes:
        kind: `evidence`, `artifact`, `image`, `dvc`, `mlflow`.
        stage: The program's; it runs after all stages, and its request is completed with what they made.
        contents: The outputs that are published, as (stage, output path).
        before: What must run first, once the gates have passed.
    """

    kind: str
    stage: Stage
    contents: tuple[tuple[str, str], ...]
    before: Stage | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All that it runs, in order."""
        return (self.stage,) if self.before is None else (self.before, self.stage)


class Secret(Record):
    """Where a secret's value comes from: a variable of Penstock's own environment, or a file."""

    name: str
    env: str | None = None
    file: str | None = None


class Setting(Record):
    """One resolved setting and where its value comes from, for `plan --explain-config`.

    Attributes:
        origin: `params.yaml:3`, `profile release`, `PENSTOCK_PARAM_...`, `--set`.
        overridden: (value, origin) of those that lost, weakest first.
    """

    name: str
    value: object
    origin: str
    overridden: tuple[tuple[object, str], ...] = ()


class Plan(Record):
    """A pipeline with everything resolved: what will run, in an order in which it can.

    Attributes:
        name: Of the pipeline.
        pipeline_file: Relative to the root.
        stages: Producers first; among equals, in the order of the pipeline file.
        ignore: Patterns of files that are never inputs.
        on_inconclusive: `fail` or `warn`: what a required gate that cannot decide does.
        holdout_budget: How many models one evaluation set may judge before a run warns.
        settings: Every resolved setting and its origin.
        notes: What could not be carried over from other tools' files, as `file:line: sentence`.
        deliveries: What is published beside the archive, in this order.
        digest: Of everything above but line numbers and origins.
    """

    name: str
    pipeline_file: str
    profile: str | None
    stages: tuple[Stage, ...]
    gates: tuple[GateSpec, ...] = ()
    archive: Archive | None = None
    deliveries: tuple[Delivery, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ignore: tuple[str, ...] = ()
    on_inconclusive: str = "fail"
    holdout_budget: int = 100
    params: Mapping[str, object] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    notes: tuple[str, ...] = ()
    digest: str = ""

    def place(self, stage: Stage) -> str:
        """Where a stage is declared, as a message names it."""
        return f"{stage.file or self.pipeline_file}:{stage.line}: stage {stage.name!r}"

    def stage(self, name: str) -> Stage:
        """The stage of this name, one that publishes included.

        Raises:
            KeyError: There is none.
        """
        for stage in (*self.stages, *(stage for each in self.deliveries for stage in each.stages)):
            if stage.name == name:
                return stage
        raise KeyError(name)
