from __future__ import annotations

from pathlib import Path

from penstock.plan.compiled import load_plan
from penstock.plan.model import Overlay
from penstock.report import outline

PIPELINE = """\
version: 1
name: two
stages:
  make:
    run: |
      mkdir out
      cp in out/a
    inputs: [in]
    outputs: [out]
  use:
    run: cat out/a > m.json
    inputs: [out/a]
    outputs: {metrics: m.json}
    accelerator: {cuda: {image: "cuda:1", gpus: 2}}
gates:
  - {gate: threshold, metric: a, min: 0}
  - {gate: threshold, name: more, metric: b, max: 1, required: false}
"""


def test_a_plan_is_shown_whole(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "in").write_text("1")
    _, plan = load_plan(tmp_path / "p.yaml", Overlay(environ={}, accelerator="cuda"))
    head, empty, *lines = outline.describe(plan).splitlines()
    assert head == f"two (p.yaml), plan {plan.digest[7:19]}"
    assert empty == ""
    assert lines == [
        "  make",
        "    run      mkdir out",
        "             cp in out/a",
        "    reads    in",
        "    writes   out",
        "  use",
        "    run      cat out/a > m.json",
        "    on       cuda, GPUs: 2, image cuda:1",
        "    reads    out/a (from make)",
        "    writes   m.json",
        "",
        "  gate threshold-a  (threshold, required)",
        "  gate more  (threshold, advisory)",
    ]
