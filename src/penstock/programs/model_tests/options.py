"""What a request declares, key by key: typed, bounded, and nothing left over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..common.program import UnusableError
from ..common.tables import nearest, shown


class Options:
    """A mapping of the request, each key of which is asked for once.

    Attributes:
        where: What messages call it, such as `tests.direction[0]`.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise UnusableError(f"{where}: {value!r} is no mapping of options")
        self.where = where
        self._left = dict(value)
        self._known: list[str] = []

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a key, as it is."""
        self._known.append(key)
        value = self._left.pop(key, None)
        return default if value is None else value

    def number(
        self, key: str, default: float | None = None, low: float = -math.inf, high: float = math.inf
    ) -> float | None:
        """A finite number within bounds, both inclusive.

        Raises:
            UnusableError: It is none.
        """
        value = self.take(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(key, f"{value!r} is no number")
        if not low <= value <= high:
            bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise self.wrong(key, f"{value:g} is not {bounds}")
        return float(value)

    def share(self, key: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self.number(key, default, 0, 1)
        return default if value is None else value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds, both inclusive."""
        value = self.number(key, default, low, high)
        if value is None or value != int(value):
            raise self.wrong(key, f"{value!r} is no whole number")
        return int(value)

    def bounds(self) -> tuple[float | None, float | None]:
        """The keys `min` and `max`."""
        low, high = self.number("min"), self.number("max")
        if low is not None and high is not None and low > high:
            raise self.wrong("min", f"{low:g} is above max {high:g}")
        return low, high

    def text(self, key: str, default: str | None = None, among: tuple[str, ...] = ()) -> str | None:
        """A text; one of `among`, if there are any."""
        value = self.take(key, default)
        if value is None:
            return None
        if not isinstance(value, str) or (among and value not in among):
            what = f"none of {', '.join(among)}" if among else "no text"
            raise self.wrong(key, f"{value!r} is {what}")
        return value

    def names(self, key: str) -> list[str] | None:
        """One text or a list of them."""
        value = self.take(key)
        if value is None:
            return None
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise self.wrong(key, f"{value!r} is no list of names")
        return list(names)

    def finish(self) -> None:
        """Make sure that nothing is left.

        Raises:
            UnusableError: A key is unknown.
        """
        for key in self._left:
            hint = nearest(str(key), self._known)
            raise UnusableError(f"{self.where}: unknown key {shown(str(key))}{hint}")

    def wrong(self, key: str, what: str) -> UnusableError:
        """An error that names the key."""
        return UnusableError(f"{self.where}.{key}: {what}")


def switched(value: object, where: str) -> Options | None:
    """Options of something that `true` turns on with none, and `false` off."""
    if value is None or value is False:
        return None
    return Options({} if value is True else value, where)


def listed(value: object, where: str) -> list[Options]:
    """Options of each item of a list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnusableError(f"{where}: {value!r} is no list")
    return [Options(item, f"{where}[{index}]") for index, item in enumerate(value)]
