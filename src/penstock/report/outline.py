"""A plan as text: stages with what they run, read and write, and gates."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.plan.model import Plan, Stage


def headline(plan: Plan) -> str:
    """Which plan it is."""
    return f"{plan.name} ({plan.pipeline_file}), plan {plan.digest[7:19]}"


def stage_lines(stage: Stage) -> Iterator[str]:
    """What a stage runs, on what, what it reads and writes."""
    first, *more = stage.run.strip().splitlines() or [""]
    yield f"run      {first}"
    yield from (f"         {line}" for line in more)
    if stage.accelerator is not None:
        accelerator = stage.accelerator
        image = f", image {accelerator.image}" if accelerator.image else ""
        yield f"on       {accelerator.kind}, GPUs: {accelerator.gpus}{image}"
    yield from (f"reads    {path}" for path in stage.sources)
    yield from (f"reads    {item.path} (from {item.stage})" for item in stage.produced)
    yield from (f"writes   {output.path}" for output in stage.outputs)


def gate_lines(plan: Plan) -> Iterator[str]:
    """The gates in their order."""
    for gate in plan.gates:
        required = "required" if gate.required else "advisory"
        yield f"gate {gate.name}  ({gate.gate}, {required})"


def describe(plan: Plan) -> str:
    """The whole plan."""
    lines = [headline(plan), ""]
    for stage in plan.stages:
        lines.append(f"  {stage.name}")
        lines.extend(f"    {line}" for line in stage_lines(stage))
    lines.extend(("", *(f"  {line}" for line in gate_lines(plan))))
    return "\n".join(lines).rstrip() + "\n"
