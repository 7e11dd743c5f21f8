"""A stage's own directory: its inputs and nothing else when it starts, its outputs when it has ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.cache.members import place_of
from penstock.cache.observations import Observation
from penstock.cache.whole_source import WholeSource
from penstock.errors import ExecutorError, InputError
from penstock.executors import sandbox as sandboxes
from penstock.executors import stage_init
from penstock.executors.bench import Bench, remove_tree
from penstock.executors.environments import Prepared
from penstock.executors.layout import Binding, Layout
from penstock.executors.observed import Observed, obstacle_in
from penstock.executors.process import Leash
from penstock.executors.sandbox import Sandbox, View
from penstock.executors.surroundings import ROOT, STATE, certificates, surroundings
from penstock.plan.model import Stage
from penstock.plan.paths import inside
from penstock.record import Record, replace

__all__ = ["Binding", "Command", "Workspace", "remove_tree"]

_MOST_WRITTEN = 100


class Command(Record, frozen=False, kw_only=False):
    """What to start for a stage; its descriptors are open within `with` only."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    leash: Leash
    pass_fds: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self.pass_fds:
            os.close(descriptor)
        self.pass_fds = ()


class Workspace(Record, frozen=False, kw_only=False):
    """The directory of one attempt at a stage.

    Attributes:
        temporary: The stage's directory for temporary files.
        project: The root of the project, which the stage must not see.
        layout: Of the directory that the stage is started in.
        observed: Where it is written down what the stage looks at, if it is observed.
    """

    bench: Bench
    temporary: Path
    project: Path
    stage: Stage
    layout: Layout
    sandbox: Sandbox | None
    observed: Observed | None = None

    @classmethod
    def make(
        cls,
        work: Path,
        stage: Stage,
        bindings: Sequence[Binding],
        *,
        sandbox: Sandbox | None,
        contained: bool = False,
        whole: WholeSource | None = None,
    ) -> Workspace:
        """Put a stage's inputs, parameters and files into a new directory below `work`.

        Args:
            work: The project's `.penstock/work`.
            sandbox: Binds are made by it; without one, inputs are copied.
            contained: Whether a container makes binds instead.
            whole: For a stage that is observed: what it sees besides its inputs.

        Raises:
            InputError: An input has gone.
            ExecutorError: The directory cannot be written.
        """
        try:
            bench = Bench.of(work)
            temporary = bench.temporary()
        except OSError as error:
            raise _refused(error, (), work) from error
        written = {path for path, _ in stage.files} | ({stage.params_file} if stage.params_file else set())
        reserved = frozenset(written | {output.path for output in stage.outputs})
        binds = contained or sandbox is not None
        layout = Layout(top=bench.new(stage.name), reserved=reserved, sandboxed=binds)
        workspace = cls(bench, temporary, work.parent.parent, stage, layout, sandbox)
        try:
            workspace._fill(bindings, whole)
            if whole is not None:
                workspace.observed = workspace._observed(bindings, contained=contained)
        except OSError as error:
            workspace.remove()
            raise _refused(error, bindings, layout.top) from error
        except BaseException:
            workspace.remove()
            raise
        return workspace

    def _observed(self, bindings: Sequence[Binding], *, contained: bool) -> Observed:
        inputs = (
            path for each in bindings for path in ([each.path] if each.members is None else each.members)
        )
        shown = contained or self.sandbox is not None
        return Observed(
            folder=self.bench.new("observed"),
            top=sandboxes.WORK if shown else os.path.realpath(self.layout.top),
            declared=self.layout.reserved | frozenset(inputs),
            obstacle=obstacle_in(self.sandbox.program) if self.sandbox is not None else None,
        )

    def _fill(self, bindings: Sequence[Binding], whole: WholeSource | None) -> None:
        self.layout.top.mkdir()
        self.layout.add(bindings)
        if whole is not None:
            self.layout.surround(whole)
        for output in self.stage.outputs:
            (self.layout.top / output.path).parent.mkdir(parents=True, exist_ok=True)
            if output.persist:
                self._keep(output.path)
        for path, text in self.stage.files:
            self._write(path, text)
        if self.stage.params_file is not None:
            self._write(self.stage.params_file, params_text(self.stage))

    def _keep(self, path: str) -> None:
        """Put there what the project has of an output: a copy, for the stage to go on with."""
        import shutil

        origin, target = self.project / path, self.layout.top / path
        if origin.is_dir():
            shutil.copytree(origin, target, symlinks=True, dirs_exist_ok=True)
        elif origin.is_file():
            shutil.copy2(origin, target)

    def _write(self, path: str, text: str) -> None:
        target = self.layout.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", "surrogateescape"))

    def command(self, argv: Sequence[str], prepared: Prepared, secrets: Mapping[str, str]) -> Command:
        """How to run a command in this workspace.

        Args:
            secrets: Values by name, for the process's environment.
        """
        if self.sandbox is not None:
            return self._sandboxed(self.sandbox, argv, prepared, secrets)
        temporary = str(self.temporary)
        if self.observed is not None:
            argv = self.observed.here(argv)
        return Command(
            argv=[
                *(getattr(sys, "_base_executable", None) or sys.executable, "-I", "-S", stage_init.__file__),
                *(str(os.getpid()), "--", *argv),
            ],
            cwd=str(self.layout.top),
            env=self._outside(temporary, prepared, secrets)
            if self.stage.outside
            else self._environment(f"{temporary}/home", temporary, prepared, secrets),
            leash=Leash(sweeps=True),
        )

    def _outside(self, temporary: str, prepared: Prepared, secrets: Mapping[str, str]) -> dict[str, str]:
        """The variables of a stage that works on the world beyond its workspace."""
        places = {ROOT: str(self.project), STATE: str(self.project / ".penstock")}
        environment = self._environment(str(Path.home()), temporary, prepared, secrets)
        path = f"{environment['PATH']}:{os.environ.get('PATH', '')}".rstrip(":")
        return {**environment, **places, "PATH": path}

    def _sandboxed(
        self, sandbox: Sandbox, argv: Sequence[str], prepared: Prepared, secrets: Mapping[str, str]
    ) -> Command:
        view = View(
            work=str(self.layout.top),
            temporary=str(self.temporary),
            mounts=self.layout.mounts,
            read_only=[*(str(path) for path in prepared.read_only), *certificates()],
            hidden=[os.path.realpath(path) for path in (self.project, *prepared.hidden)],
            variables=self._environment(sandboxes.HOME, sandboxes.TEMPORARY, prepared, secrets),
            devices=self.stage.accelerator is not None,
        )
        # a file without a name: no limit on its length, and no secret on a command line
        descriptor = os.memfd_create("penstock", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(sandbox.arguments(view))
        os.lseek(descriptor, 0, os.SEEK_SET)
        command = sandbox.argv(descriptor, argv)
        return Command(
            argv=self.observed.here(command, execs=2) if self.observed is not None else command,
            cwd="/",
            env={},
            leash=Leash(greets=True),
            pass_fds=(descriptor,),
        )

    def _environment(
        self, home: str, temporary: str, prepared: Prepared, secrets: Mapping[str, str]
    ) -> dict[str, str]:
        return surroundings(
            bin_dirs=prepared.bin_dirs,
            home=home,
            temporary=temporary,
            variables={**prepared.variables, **dict(self.stage.variables)},
            secrets=secrets,
            devices=self.stage.accelerator is not None,
        )

    def changed_inputs(self) -> list[str]:
        """Inputs that the stage changed, or directories of them that it wrote into, sorted."""
        return self.layout.changed()

    def observation(self, mask: Callable[[str], str]) -> Observation | None:
        """What the stage looked at, and what it wrote besides its outputs, if it is observed.

        Args:
            mask: Takes secrets out of what its commands are called.
        """
        if self.observed is None:
            return None
        outputs = [output.path for output in self.stage.outputs]
        wrote = {*self.written(), *self.layout.changed_around()}
        stray = sorted(path for path in wrote if not any(inside(path, output) for output in outputs))
        return replace(self.observed.result(mask), wrote=tuple(stray[:_MOST_WRITTEN]))

    def output(self, path: str) -> Path:
        """Where the stage was to write an output; nothing may be there.

        Raises:
            InputError: It lies behind a link, so the bytes would not be the stage's own.
        """
        return place_of(path, self.layout.top)

    def written(self) -> list[str]:
        """What the stage wrote, inputs left out: paths in the workspace, sorted, at most a hundred."""
        given = {path for path, _ in self.stage.files} | {self.stage.params_file}
        found: list[str] = []
        waiting = [""]
        while waiting and len(found) < _MOST_WRITTEN:
            with suppress(OSError), os.scandir(self.layout.top / waiting.pop()) as entries:
                for entry in entries:
                    path = os.path.relpath(entry.path, self.layout.top)
                    if entry.is_dir(follow_symlinks=False):
                        bound = self.layout.placed.get(path, ()) is None
                        waiting += [] if bound else [path]
                    elif (
                        path not in given
                        and path not in self.layout.placed
                        and path not in self.layout.around
                    ):
                        found.append(path)
        return sorted(found)[:_MOST_WRITTEN]

    def keep(self, path: str) -> Path:
        """Move an output to where it outlives this workspace, on the same file system, until `close`."""
        target = self.bench.new("kept")
        self.output(path).rename(target)
        return target

    def remove(self) -> None:
        """Remove everything but what was kept, soon; what cannot be removed is left to a later run."""
        self.bench.discard(self.layout.top)
        if self.observed is not None:
            self.bench.discard(self.observed.folder)
        self.bench.give_back(self.temporary)

    @staticmethod
    def close(work: Path) -> None:
        """Remove whatever this run still has below `work`, kept outputs included; waits until it is gone."""
        Bench.close(work)


def params_text(stage: Stage) -> str:
    """The file that a stage finds its parameters in, as YAML."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(stage.params, Dumper=dumper, sort_keys=True, allow_unicode=True)
    return text


def _refused(error: OSError, bindings: Sequence[Binding], place: Path) -> ExecutorError | InputError:
    at = os.fsdecode(error.filename or "")
    for binding in bindings:
        origin = os.fspath(binding.origin)
        if at and (at == origin or at.startswith(f"{origin}/")) and not at.startswith(f"{place}/"):
            return InputError(
                f"input {binding.path!r} cannot be read: {error.strerror}",
                path=binding.path,
                where=at,
                notes=("it changed while the stage was prepared, or is not readable: run again",),
            )
    return ExecutorError(
        f"the workspace cannot be made: {error.strerror or error}",
        where=at or str(place),
        notes=("free room, or make the project's .penstock directory writable",),
    )
