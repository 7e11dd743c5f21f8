"""The tests of a model, as the stage `uses: model-tests` lists them.

Whether columns and classes exist is for the program to say, which sees them.
"""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, StrictBool, Tag, WithJsonSchema, model_validator

from penstock.plan.fields import Text, complaint
from penstock.plan.problems import shown
from penstock.plan.schema_parts import AtLeastZero, Finite, Record, Share, by_type

Names = Annotated[list[Text], Field(min_length=1)]


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise complaint(f"is {shown(value)}, which is no number", "write digits without quotes")
    return value


Number = Annotated[Any, AfterValidator(_number), WithJsonSchema({"type": "number"})]
"""Whole numbers stay whole: they are added to columns."""

_EITHER = "is neither true, nor false, nor a mapping of options"


class Change(Record):
    """What is done to columns; each column has one change."""

    set: dict[str, Any] | None = None
    """Column to the value that all its rows get."""
    add: dict[str, Number] | None = None
    multiply: dict[str, Number] | None = None
    swap: dict[str, Annotated[list[Any], Field(min_length=2, max_length=2)]] | None = None
    """Column to two values, each of which becomes the other."""
    drop: Names | None = None
    """Columns whose values are missing."""
    replace: dict[str, dict[str, str]] | None = None
    """Column to pieces of text and what they become."""
    noise: dict[str, AtLeastZero] | None = None
    """Column to a share of its standard deviation."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise complaint("changes nothing", "write, say, `{swap: {gender: [Female, Male]}}`")
        return self


class Validity(Record):
    """Answers are there, finite, within bounds, of known classes."""

    min: Finite | None = None
    max: Finite | None = None
    classes: Names | None = None
    """The classes that may be predicted."""


class Determinism(Record):
    """The same rows have the same answers."""

    batch_sizes: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    tolerance: AtLeastZero | None = None
    """Of the largest value; 1e-6 if absent."""


class Collapse(Record):
    """No answer is nearly always given."""

    max_share: Share | None = None
    """Of one class or number; 0.99 if absent."""


class _Relation(Record):
    name: Text | None = None
    change: Change
    tolerance: AtLeastZero | None = None
    """How far numbers or probabilities may move."""
    max_share: Share | None = None
    """Of the rows that may break the rule; none if absent."""


class Invariance(_Relation):
    """A change of the rows leaves the prediction as it is."""


class Direction(_Relation):
    """A change of the rows moves the prediction one way only."""

    must_not: Literal["fall", "rise"]
    class_: Annotated[Text | None, Field(alias="class")] = None
    """Whose probability; the positive class if absent."""


class SliceTest(Record):
    """A metric keeps its bound in every group."""

    name: Text | None = None
    by: Names
    """Columns whose values are the groups."""
    metric: Text | None = None
    min: Finite | None = None
    max: Finite | None = None
    min_rows: Annotated[int, Field(ge=1)] | None = None
    """A smaller group decides nothing; 30 if absent."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise complaint("has no bound", "add `min` or `max`")
        return self


class CrossValidation(Record):
    """How much the metric depends on the rows that the model was trained on."""

    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """5 if absent."""
    metric: Text | None = None
    max_spread: AtLeastZero | None = None
    """Largest standard deviation over the folds."""
    trainer: Text | None = None
    """`package.module:function` that makes a model of a table of rows."""


def switched(model: type[Record]) -> Discriminator:
    """Chooses between a switch and the options of what is switched on."""
    return by_type({bool: "switch", dict: "options", model: "options"}, _EITHER)


Switch = Annotated[StrictBool, Tag("switch")]


class Tests(Record):
    """Smoke, validity and determinism are always tested, unless `false`; the others if they are here."""

    validity: Annotated[Annotated[Validity, Tag("options")] | Switch, switched(Validity)] | None = None
    determinism: Annotated[Annotated[Determinism, Tag("options")] | Switch, switched(Determinism)] | None = (
        None
    )
    collapse: Annotated[Annotated[Collapse, Tag("options")] | Switch, switched(Collapse)] | None = None
    invariance: list[Invariance] = Field(default_factory=list)
    direction: list[Direction] = Field(default_factory=list)
    slices: list[SliceTest] = Field(default_factory=list)
    cross_validation: (
        Annotated[Annotated[CrossValidation, Tag("options")] | Switch, switched(CrossValidation)] | None
    ) = None


class Disturbance(Record):
    """One way to disturb the rows."""

    name: Text | None = None
    noise: AtLeastZero | None = None
    """On numbers: a share of each column's standard deviation."""
    missing: Share | None = None
    """Share of values that are missing."""
    swapped: Share | None = None
    """Share of values, no numbers, that become another value of their column."""
    columns: Names | None = None
    """All that the model gets if absent."""
    metric: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(each is not None for each in (self.noise, self.missing, self.swapped)) != 1:
            raise complaint("disturbs in no way, or in several", "keep one of `noise`, `missing`, `swapped`")
        return self


class Importance(Record):
    """How much the metric loses when a column is shuffled."""

    metric: Text | None = None
    repeats: Annotated[int, Field(ge=2, le=1000)] | None = None
    features: Names | None = None
    """Columns; all that the model gets if absent."""
    rows: Annotated[int, Field(ge=2)] | None = None
    """At most; 10,000 if absent."""
