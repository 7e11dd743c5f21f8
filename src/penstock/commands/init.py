"""`penstock init`."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from penstock.cache.store import default_home
from penstock.commands.project import DEFAULT_PIPELINE
from penstock.errors import InputError, PenstockError, PipelineError, UsageError
from penstock.plan.model import Overlay, Plan
from penstock.plan.problems import PipelineErrors
from penstock.scaffold import ci_files, repository
from penstock.scaffold.draft import Draft
from penstock.scaffold.render import printable
from penstock.scaffold.settle import Complaint, settle
from penstock.scaffold.survey import propose

_MAX_LEFT_OUT = 12


def add(parser: argparse.ArgumentParser) -> None:
    """Where to write."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=f"the file to write (default: {DEFAULT_PIPELINE} in the project)",
    )
    parser.add_argument(
        "--ci",
        metavar="NAMES",
        type=ci_files.systems,
        default=(),
        help="write files for these CI systems: "
        + ", ".join(ci_files.SYSTEMS)
        + "; a pipeline file that is there is kept",
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")


def run(options: argparse.Namespace) -> int:
    """Look at the repository and write a pipeline file for it."""
    root = repository.project_directory(Path.cwd())
    target: Path = (options.output or root / DEFAULT_PIPELINE).absolute()
    if options.ci:
        _refuse_existing_ci(root, options.ci, force=options.force)
        if not os.path.lexists(target):
            _write_pipeline(root, target, force=False)
            sys.stdout.write("\n")
        return _write_ci(root, options.ci)
    return _write_pipeline(root, target, force=options.force)


def _refuse_existing_ci(root: Path, systems: Sequence[str], *, force: bool) -> None:
    for system in systems:
        path = root / ci_files.SYSTEMS[system][0]
        if path.is_dir() or (os.path.lexists(path) and not force):
            text = ci_files.render(system, ci_files.reference(), ci_files.main_branch(root))
            raise UsageError(
                "is there already",
                where=short(path),
                notes=(
                    "replace it with `--force`, or add to it what would have been written:",
                    "",
                    *text.splitlines(),
                ),
            )


def _write_ci(root: Path, systems: Sequence[str]) -> int:
    """Write the files of CI systems, each whole or not at all, and say what they refer to."""
    reference, branch = ci_files.reference(), ci_files.main_branch(root)
    for system in systems:
        path = root / ci_files.SYSTEMS[system][0]
        with _directory(path) as candidate:
            _write(ci_files.render(system, reference, branch), path, candidate, force=True)
        sys.stdout.write(f"wrote {short(path)}\n")
    sys.stdout.write(f"  they run Penstock {reference.name}: {reference.reason}\n")
    return 0


def _write_pipeline(root: Path, target: Path, *, force: bool) -> int:
    found = repository.look(root)
    draft = propose(found)
    draft.root = root_key(root, target)
    text = written(draft, root, target, force=force)
    sys.stdout.write(summary(draft, target, text, taken=_taken(draft, root)))
    return 0


def written(draft: Draft, root: Path, target: Path, *, force: bool) -> str:
    """The text of a draft that is accepted, which stands in its file now.

    Raises:
        UsageError: The file is there already, or cannot be written.
    """
    _refuse_existing(target, force=force)
    with _directory(target) as candidate:
        text = settle(draft, _Judge(root, candidate).complaints)
        _write(text, target, candidate, force=force)
    return text


def _refuse_existing(target: Path, *, force: bool) -> None:
    if target.is_dir():
        raise UsageError("is a directory", where=str(target), notes=("name a file: --output FILE",))
    if os.path.lexists(target) and not force:
        raise UsageError(
            "is there already",
            where=short(target),
            notes=("write another one with `--output FILE`, or replace it with `--force`",),
        )


def root_key(root: Path, target: Path) -> str:
    """What `root:` must say so that paths are relative to the project, if anything."""
    implied = target.parent.parent if target.parent.name == "pipelines" else target.parent
    return "" if implied == root else os.path.relpath(root, target.parent)


@contextmanager
def _directory(target: Path) -> Iterator[Path]:
    """A name beside the target, whose directory is there; nothing is left behind that was not asked for."""
    made = []
    for folder in (target.parent, *target.parent.parents):
        if folder.exists():
            break
        made.append(folder)
    candidate = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield candidate
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target)) from error
    finally:
        with suppress(OSError):
            candidate.unlink()
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _write(text: str, target: Path, candidate: Path, *, force: bool) -> None:
    if force:
        candidate.write_text(text, encoding="utf-8")
        candidate.replace(target)
        return
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        _refuse_existing(target, force=False)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Finds out what `penstock plan` would say of a file."""

    root: Path
    candidate: Path

    def complaints(self, text: str) -> Sequence[Complaint]:
        from penstock.plan.load import load

        self.candidate.write_text(text, encoding="utf-8")
        try:
            plan = load(self.candidate, Overlay(environ={})).plan
        except PipelineError as error:
            problems = error.problems if isinstance(error, PipelineErrors) else (error,)
            return [self._complaint(problem) for problem in problems]
        return list(self._missing(plan))

    def _complaint(self, problem: PipelineError) -> Complaint:
        where = problem.where or ""
        _, _, line = where.partition(f"{self.candidate.name}:")
        number = line.partition(":")[0]
        reason = "; ".join((problem.what, *problem.notes))
        if number.isdecimal():
            return Complaint(reason, line=int(number))
        return Complaint(f"{where}: {reason}", file=re.sub(r"(:\d+)?$", "", where))

    def _missing(self, plan: Plan) -> Iterator[Complaint]:
        """Inputs and environments that are not there, or of no kind that can be used."""
        from penstock.cache.stat_index import StatIndex

        outputs = frozenset(output.path for stage in plan.stages for output in stage.outputs)
        index = StatIndex(self.root, self.root / ".penstock" / "state.sqlite", plan.ignore)
        for stage in plan.stages:
            if stage.file:  # another tool runs it too, and says the same
                continue
            try:
                for path in stage.sources:
                    holds_outputs = any(item.path.startswith(f"{path}/") for item in stage.produced)
                    if index.scan(path, excluding=outputs) is None and not holds_outputs:
                        yield Complaint(f"input '{path}' is not there", owner=f"stage {stage.name}")
                        break
            except InputError as error:
                yield Complaint("; ".join((error.what, *error.notes)), owner=f"stage {stage.name}")
        yield from islice(environment_complaints(self.root, plan), 1)


def environment_complaints(root: Path, plan: Plan) -> Iterator[Complaint]:
    """Why environments of a plan cannot be had here."""
    from penstock.executors.environments import Environments

    environments = Environments(default_home(os.environ), root)
    for environment in dict.fromkeys(stage.environment for stage in plan.stages):
        try:
            environments.interpreter(environment.python)
        except PenstockError as error:
            yield Complaint("; ".join((error.what, *error.notes)), owner="python")
            continue
        try:
            environments.identity(environment)
        except PenstockError as error:
            where = f"{error.where}: " if error.where else ""
            yield Complaint(where + "; ".join((error.what, *error.notes)), owner="requirements")


def _taken(draft: Draft, root: Path) -> list[str]:
    """Outputs in whose place something stands already."""
    items = [item.path for stage in draft.stages if not stage.refused for item in stage.outputs]
    return [path for path in items if os.path.lexists(root / path)]


def short(path: Path) -> str:
    """A path as one would write it here."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("../..") else str(path)


def summary(draft: Draft, target: Path, text: str, *, taken: Sequence[str] = ()) -> str:
    """What was written, and what to look at.

    Args:
        taken: Outputs in whose place something stands already.
    """
    stages = [stage.name for stage in (*draft.foreign, *draft.stages) if not stage.refused]
    lines = [f"wrote {short(target)}: {', '.join(stages) or 'an example of a stage'}", ""]
    width = max((len(what) for what, _ in draft.found), default=0)
    lines += _section("found", [f"{what:<{width}}  {where}" for what, where in draft.found])
    lines += _section("guessed, so look it over", [_with_line(each, text, target) for each in draft.guessed])
    left_out = list(dict.fromkeys(draft.left_out))
    more = len(left_out) - _MAX_LEFT_OUT
    left_out[_MAX_LEFT_OUT:] = [f"and {more} more, which the file names"] if more > 0 else []
    lines += _section("not taken", left_out)
    option = "" if target.parts[-2:] == DEFAULT_PIPELINE.parts else f" -f {shlex.quote(short(target))}"
    lines += ["next", f"  penstock plan{option}", f"  penstock run{option}{' --overwrite' if taken else ''}"]
    if taken:
        some = ", ".join(taken[:3]) + (", ..." if taken[3:] else "")
        lines.append(f"  # --overwrite once, as {some} stands where a stage writes")
    return "\n".join(printable(line) for line in lines) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    import textwrap

    if not lines:
        return []
    shown = [title]
    for line in lines:
        shown += textwrap.wrap(printable(line), 79, initial_indent="  ", subsequent_indent="    ")
    return [*shown, ""]


def _with_line(guess: str, text: str, target: Path) -> str:
    """Where in the file a guess about a stage stands."""
    _, quote, name = guess.partition("stage '")
    name = name.partition("'")[0]
    for number, line in enumerate(text.split("\n"), start=1):
        if quote and line == f"  {name}:":
            return f"{short(target)}:{number}: {guess}"
    return guess
