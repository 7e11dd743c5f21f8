"""`${...}` of `dvc.yaml`: the values that it can name, and what becomes of a text that names some.

The rules are DVC's own (its user guide, "Templating"): a value that stands alone keeps its type, a truth
value in a text is `true` or `false`, and a mapping within a command becomes options whose texts are quoted
for the shell. A text that is put into a command is not quoted, by DVC neither.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from penstock.record import Record, field

_EXPRESSION = re.compile(r"(?<!\\)\$\{(?P<inner>.*?)\}")
_NAME = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[[^.\[\]]+\])*")
_COMMAND = "cmd"


class TemplateError(Exception):
    """A template or its values are not what DVC accepts; the text is a sentence about it."""


class Options(Record):
    """How mappings become options of a command: section `parsing` of DVC's configuration.

    Attributes:
        negated: Whether a false value is `--no-NAME`, instead of nothing.
        repeated: Whether each value of a list has the option's name before it.
    """

    negated: bool = False
    repeated: bool = False


class Context(Record, frozen=False):
    """The values that templates can name.

    Attributes:
        values: By name, nested.
        sources: Name of a top-level value → where it was given first.
        reserved: Names that nothing may be merged into.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    reserved: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)

    def copy(self) -> Context:
        """One that can be changed on its own."""
        return Context(
            values=deepcopy(self.values),
            sources=dict(self.sources),
            reserved=self.reserved,
            options=self.options,
        )

    def having(self, values: Mapping[str, Any]) -> Context:
        """One in which these values stand, whatever stood in their places, and cannot be merged into."""
        return Context(
            values={**self.values, **values},
            sources=self.sources,
            reserved=tuple(dict.fromkeys((*self.reserved, *values))),
            options=self.options,
        )

    def merge(self, values: Mapping[str, Any], source: str) -> None:
        """Add values, section by section.

        Raises:
            TemplateError: One is there already, or reserved.
        """
        taken = [name for name in self.reserved if name in values]
        if taken:
            raise TemplateError(f"attempted to modify reserved {', '.join(map(repr, taken))} in '{source}'")
        self._merge(self.values, values, source, ())
        for name in values:
            self.sources.setdefault(name, source)

    def _merge(
        self, into: dict[str, Any], values: Mapping[str, Any], source: str, above: tuple[str, ...]
    ) -> None:
        for name, value in values.items():
            path = (*above, name)
            if isinstance(into.get(name), dict) and isinstance(value, dict):
                self._merge(into[name], value, source, path)
            elif name in into:
                before = self.sources.get(path[0], "an earlier place")
                raise TemplateError(
                    f"cannot redefine '{'.'.join(path)}' from '{source}' as it already exists in '{before}'"
                )
            else:
                into[name] = deepcopy(value)

    def select(self, expression: str) -> object:
        """The value of `name.name`, `name[0].name`, ...

        Raises:
            TemplateError: There is none.
        """
        value: Any = self.values
        for name in expression.replace("[", ".").replace("]", "").split("."):
            name = name.strip()  # noqa: PLW2901 - as DVC does
            try:
                value = value[int(name)] if isinstance(value, list) else _section(value)[name]
            except (LookupError, ValueError):
                raise TemplateError(f"Could not find '{expression}'") from None
        return value


def _section(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def named(value: object) -> Iterator[str]:
    """What the templates of a text, or of all texts within a value, name."""
    if isinstance(value, str):
        for found in _EXPRESSION.finditer(value):
            yield found["inner"]
    inner = (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from named(each)


def is_template(value: object) -> bool:
    """Whether there is a template in a text, or in any text within a value."""
    return next(named(value), None) is not None


def check(value: object) -> None:
    """Refuse templates that cannot be read.

    Raises:
        TemplateError: There is one.
    """
    for inner in named(value):
        if not _NAME.fullmatch(inner):
            raise TemplateError(f"`${{{inner}}}` is no name of a value")


def resolve(value: object, context: Context, key: str | None = None) -> Any:
    """A value with its templates replaced, those in keys too.

    Args:
        value: What `dvc.yaml` says.
        context: What templates can name.
        key: Of the stage, whose value it is; none where a template may stand for mappings and lists.

    Raises:
        TemplateError: A name has no value, or one that cannot stand there.
    """
    if isinstance(value, dict):
        pairs = ((resolve(name, context, key), inner) for name, inner in value.items())
        return {str(name): resolve(inner, context, key) for name, inner in pairs}
    if isinstance(value, list):
        return [resolve(inner, context, key) for inner in value]
    return _text(value, context, key) if isinstance(value, str) else value


def _text(text: str, context: Context, key: str | None) -> object:
    templates = list(_EXPRESSION.finditer(text))
    if len(templates) == 1 and templates[0][0] == text:
        return _value(templates[0]["inner"], context, key)
    made, at = "", 0
    for found in templates:
        made += text[at : found.start()] + written(_value(found["inner"], context, key), context.options)
        at = found.end()
    return (made + text[at:]).replace(r"\${", "${")


def _value(expression: str, context: Context, key: str | None) -> object:
    value = context.select(expression)
    composite = isinstance(value, dict | list)
    if composite and key is not None and not (isinstance(value, dict) and key == _COMMAND):
        raise TemplateError(f"Cannot interpolate data of type '{type(value).__name__}' (`${{{expression}}}`)")
    return value


def written(value: object, options: Options) -> str:
    """A value as it stands in a text.

    Raises:
        TemplateError: It is a mapping that cannot become options.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return " ".join(_options(value, "", options))
    return str(value)


def _options(values: Mapping[str, Any], above: str, options: Options) -> Iterator[str]:
    for key, value in values.items():
        name = f"{above}{key}"
        match value:
            case dict():
                yield from _options(value, f"{name}.", options)
            case True:
                yield f"--{name}"
            case False:
                yield from [f"--no-{name}"] if options.negated else []
            case list():
                if any(isinstance(each, dict | list) for each in value):
                    raise TemplateError(f"Cannot interpolate nested iterable in '{name}'")
                texts = [_quoted(each) for each in value]
                if options.repeated:
                    yield from (f"--{name} {text}" for text in texts)
                elif texts:
                    yield " ".join((f"--{name}", *texts))
            case _:
                yield f"--{name} {_quoted(value)}"


def _quoted(value: object) -> str:
    return shlex.quote(value) if isinstance(value, str) else str(value)
