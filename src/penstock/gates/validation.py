"""What `uses: validate-data` wrote about a data set, as gates read it."""

from __future__ import annotations

from penstock.gates.base import Exhibits, evidence, text_option
from penstock.gates.document import Section
from penstock.plan.model import GateSpec

KIND, VERSION = "validation", 2


def validation_of(spec: GateSpec, exhibits: Exhibits) -> Section:
    """The document that a gate about data judges.

    Raises:
        DocumentError: It is none, or its head is not whole.
    """
    own = evidence(spec, exhibits, KIND, VERSION)
    data = own.section("data")
    data.text("path")
    data.digest("digest")
    rows_of(own)
    return own


def rows_of(validation: Section) -> int:
    """Rows of the data set."""
    return validation.count("rows")


def name_of(spec: GateSpec) -> str:
    """What the pipeline file calls the data set."""
    return text_option(spec, "data") or "data"
