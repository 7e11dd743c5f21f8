"""What the local executor needs to run stages, and what a pipeline needs of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock import digest
from penstock.commands.checks import Finding, Machine, State, output
from penstock.errors import PenstockError
from penstock.executors.environments import Environments, installed_pythons
from penstock.plan.compiled import Overlay, load_plan
from penstock.plan.model import Environment, Plan
from penstock.report.wording import count

MAX_SHOWN = 6


def uv(machine: Machine) -> Iterator[Finding]:
    """The program that builds environments."""
    from penstock.executors.building import find_uv

    try:
        program = find_uv()
    except PenstockError as error:
        yield Finding(name="uv", state=State.MISSING, found=error.what, remedy=error.notes, needed=True)
        return
    version = output(program, "--version").removeprefix("uv ").split(" ")[0]
    if version:
        yield Finding(name="uv", state=State.OK, found=f"{version} at {program}", needed=True)
    else:
        found = f"{program} does not run"
        remedy = ("pip install --force-reinstall uv",)
        yield Finding(name="uv", state=State.BROKEN, found=found, remedy=remedy, needed=True)


def pythons(machine: Machine) -> Iterator[Finding]:
    """Versions of Python that stages can ask for."""
    try:
        there = installed_pythons(machine.store.home)
    except PenstockError:
        return  # said by `uv` above
    versions = [each.removeprefix("cpython-") for each in there]
    if versions:
        more = f" and {len(versions) - MAX_SHOWN} more" if versions[MAX_SHOWN:] else ""
        found = f"{', '.join(versions[:MAX_SHOWN])}{more}"
        yield Finding(name="pythons", state=State.OK, found=found)
    else:
        found = "none was found but the one that runs Penstock"
        yield Finding(name="pythons", state=State.NOTE, found=found, remedy=("uv python install 3.12",))


def pipeline(machine: Machine) -> Iterator[Finding]:
    """The pipeline file: whether it loads, and whether what it asks for is here."""
    if machine.pipeline is None:
        found = "there is no pipeline file here or in a directory above"
        yield Finding(name="file", state=State.NOTE, found=found, remedy=("penstock init",))
        return
    file = os.path.relpath(machine.pipeline)
    try:
        profile = machine.environ.get("PENSTOCK_PROFILE") or None
        root, plan = load_plan(machine.pipeline, Overlay(profile=profile, environ=machine.environ))
    except PenstockError as error:
        remedy = ("penstock plan" if file == "pipelines/default.yaml" else f"penstock plan -f {file}",)
        yield Finding(name="file", state=State.BROKEN, found=str(error).replace("\n  ", "; "), remedy=remedy)
        return
    holds = f"{count(len(plan.stages), 'stage')}, {count(len(plan.gates), 'gate')}"
    yield Finding(name="file", state=State.OK, found=f"{file}: {holds}")
    environments = Environments(machine.store.home, root)
    for environment in _distinct(plan):
        yield _environment(plan, environment, environments)
    yield from _secrets(plan, root, machine.environ)


def _distinct(plan: Plan) -> list[Environment]:
    return list(dict.fromkeys(stage.environment for stage in plan.stages if stage.environment.declared))


def _environment(plan: Plan, environment: Environment, environments: Environments) -> Finding:
    """Whether the environment of some stages is built, or can be."""
    stages = [stage.name for stage in plan.stages if stage.environment == environment]
    shown = ", ".join(stages[:3]) + (", ..." if stages[3:] else "")
    what = environment.requirements or (
        "tools of the recipe" if environment.extra_requirements else "nothing"
    )
    try:
        identity = environments.identity(environment)
    except PenstockError as error:
        found = f"of {shown}: {error.what}"
        return Finding(
            name="environment", state=State.MISSING, found=found, remedy=error.notes[-1:], needed=True
        )
    place = environments.place / digest.of_json(identity).removeprefix(digest.PREFIX)
    python = identity.get("python", "").removeprefix("cpython-")
    built = environments.is_ready(place)
    found = f"of {shown}: Python {python}, {what}; {'built' if built else 'will be built by the first run'}"
    return Finding(name="environment", state=State.OK if built else State.NOTE, found=found)


def _secrets(plan: Plan, root: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Secrets that the file declares, each by where its value should be; no value is looked at."""
    for secret in plan.secrets:
        if secret.file is not None:
            there = (root / Path(secret.file).expanduser()).is_file()
            remedy = f"write its value into {secret.file}"
        else:
            there = (secret.env or secret.name) in environ
            remedy = f"export {secret.env or secret.name}=..."
        state = State.OK if there else State.MISSING
        found = f"{secret.name} is {'set' if there else 'declared, but not set'}"
        yield Finding(name="secret", state=state, found=found, remedy=() if there else (remedy,))
