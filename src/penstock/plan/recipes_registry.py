"""`baseline: {registry: champion}`: fetch what a registered model predicted, anew in each run."""

from __future__ import annotations

from penstock.plan import carrying
from penstock.plan.model import Environment
from penstock.plan.reads import Reads
from penstock.plan.recipes import Recipe, equipped
from penstock.plan.schema_stages import RegistryStage

BASELINES = "build/penstock/baselines"
TOOLS = "registry"
MLFLOW_VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
)


def baseline(stage: RegistryStage, name: str, environment: Environment, reads: Reads) -> Recipe:
    """What brings the predictions of the version that an alias means, or says that there is none.

    Args:
        stage: As a gate implied it.
        name: Of the stage.
        environment: Its lock file does not count.
        reads: Notes what was looked at.
    """
    folder = f"{BASELINES}/{name}"
    request = {
        "action": "baseline",
        "tracking_uri": stage.tracking_uri,
        "model": stage.model,
        "alias": stage.alias,
        "predictions": stage.predictions,
        "result": folder,
    }
    plain = Environment(python=environment.python, image=environment.image)
    return Recipe(
        run=f"{carrying.command('registry')}\n",
        inputs=(),
        outputs=((folder, "baseline"),),
        files=carrying.files("registry", request),
        environment=equipped(plain, TOOLS, reads),
        outside=True,
        passes=MLFLOW_VARIABLES,
    )
