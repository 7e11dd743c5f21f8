"""Where a program finds what it is asked, and where it leaves what it has done.

Apart from `carrying` and `errands`, since a run that has nothing to do asks for these names only.
"""

from __future__ import annotations

import json
from typing import Any

from penstock.plan.model import Plan, Stage

FOLDER = ".penstock-recipe"
REQUEST = f"{FOLDER}/request.json"
"""What a program is asked to do, as JSON."""
RECEIPTS = "build/penstock/receipts"


def receipt_of(name: str) -> str:
    """Where the receipt of an errand is."""
    return f"{RECEIPTS}/{name}.json"


def request_of(stage: Stage) -> dict[str, Any]:
    """What a stage's program is asked."""
    request: dict[str, Any] = json.loads(dict(stage.files)[REQUEST])
    return request


def tracking_uri(plan: Plan) -> str | None:
    """The registry that a pipeline publishes to, if it names one."""
    published = [each.stage for each in plan.deliveries if each.kind == "mlflow"]
    return request_of(published[0])["tracking_uri"] if published else None


def public_key(plan: Plan) -> str | None:
    """The file with the keys that must have signed, relative to the root, if the pipeline names one."""
    signed = [each.stage for each in plan.deliveries if each.kind == "evidence"]
    return request_of(signed[0])["public_key"] if signed else None
