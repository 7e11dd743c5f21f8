"""Records: what `dataclasses` gives, at a twentieth of the price when a program starts.

A run that finds nothing to do takes about as long as its imports. `dataclasses` compiles several methods for
each class and needs `inspect` for it: 26 ms for the forty classes of such a run, more than all its work. Here
every record shares the same few methods, and type checkers see dataclasses all the same (PEP 681).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, dataclass_transform

R = TypeVar("R", bound="Record")

_MISSING: Final = object()


class _Factory:
    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], Any]) -> Any:
    """A default that is made anew for each record."""
    return _Factory(default_factory)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class _RecordType(type):
    """Makes the annotated names of a class its slots."""

    __fields__: tuple[str, ...]
    __defaults__: Mapping[str, Any]
    __frozen__: bool

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        frozen: bool = True,
        kw_only: bool = True,  # noqa: ARG004 - for type checkers; here, positions always work
    ) -> _RecordType:
        own = tuple(each for each in namespace.get("__annotations__", ()) if not each.startswith("__"))
        inherited = next((base.__fields__ for base in bases if isinstance(base, _RecordType)), ())
        defaults = {each: namespace.pop(each) for each in own if each in namespace}
        namespace["__slots__"] = own
        namespace["__fields__"] = namespace["__match_args__"] = (*inherited, *own)
        namespace["__defaults__"] = {**_inherited_defaults(bases), **defaults}
        namespace["__frozen__"] = frozen
        return super().__new__(cls, name, bases, namespace)


def _inherited_defaults(bases: tuple[type, ...]) -> Mapping[str, Any]:
    return next((base.__defaults__ for base in bases if isinstance(base, _RecordType)), {})


class Record(metaclass=_RecordType):
    """A class whose annotated names are its fields: given by name (or in order), compared, hashed and shown.

    Fields cannot be set again, unless the class says `frozen=False`. `__post_init__` runs last, if there is
    one.

    Raises:
        TypeError: A field is missing, unknown or given twice.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = type(self)
        if args:
            _name(kind, args, kwargs)
        put = object.__setattr__
        defaults = kind.__defaults__
        for name in kind.__fields__:
            value = kwargs.pop(name, _MISSING)
            if value is _MISSING:
                value = defaults.get(name, _MISSING)
                if value is _MISSING:
                    raise TypeError(f"{kind.__name__}: {name!r} is missing")
                if type(value) is _Factory:
                    value = value.make()
            put(self, name, value)
        if kwargs:
            raise TypeError(f"{kind.__name__} has no field {next(iter(kwargs))!r}")
        finish = getattr(self, "__post_init__", None)
        if finish is not None:
            finish()

    def __setattr__(self, name: str, value: object) -> None:
        if type(self).__frozen__:
            raise AttributeError(f"{type(self).__name__}.{name} cannot be set: make another with replace()")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).__fields__)

    def __hash__(self) -> int:
        if not type(self).__frozen__:
            raise TypeError(f"{type(self).__name__} can change, so it has no hash")
        return hash((type(self), *(getattr(self, name) for name in type(self).__fields__)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).__fields__)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), {name: getattr(self, name) for name in type(self).__fields__})


def _name(kind: type[Record], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add values that were given in order to those that were given by name."""
    names = kind.__fields__
    if len(args) > len(names):
        raise TypeError(f"{kind.__name__} has {len(names)} fields, {len(args)} were given")
    for name, value in zip(names, args, strict=False):
        if name in kwargs:
            raise TypeError(f"{kind.__name__}: {name!r} was given twice")
        kwargs[name] = value


def _restore(kind: type[R], values: dict[str, Any]) -> R:
    return kind(**values)


def fields(record: Record | type[Record]) -> tuple[str, ...]:
    """The names of a record's fields, in order."""
    return record.__fields__ if isinstance(record, type) else type(record).__fields__


def defaults(kind: type[Record]) -> Mapping[str, Any]:
    """The fields that need not be given."""
    return kind.__defaults__


def replace(record: R, **changes: Any) -> R:
    """Another record, with some fields changed.

    Raises:
        TypeError: There is no such field.
    """
    return type(record)(**{**{name: getattr(record, name) for name in type(record).__fields__}, **changes})


def asdict(record: Record) -> dict[str, Any]:
    """A record as a dictionary, and so all records in it; other values are taken as they are."""
    return {name: _plain(value) for name, value in items(record)}


def items(record: Record) -> Iterator[tuple[str, Any]]:
    """The fields of a record with their values."""
    return ((name, getattr(record, name)) for name in type(record).__fields__)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return asdict(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value
