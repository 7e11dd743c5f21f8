"""GitHub's expressions (`${{ ... }}`), as far as the wrappers use them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(&&|\|\||==|!=|[!().,\[\]]))")
_STATUS = re.compile(r"\b(?:always|success|failure|cancelled)\s*\(")
_WHOLE = re.compile(r"\s*\$\{\{((?:[^}]|\}(?!\}))*)\}\}\s*")
_PART = re.compile(r"\$\{\{((?:[^}]|\}(?!\}))*)\}\}")


@dataclass
class Expression:
    """One expression with the contexts that it may look into."""

    text: str
    contexts: Mapping[str, Any]
    status: str = "success"

    def value(self) -> Any:
        self._tokens = [next(filter(None, found)) for found in _tokens(self.text)]
        value = self._or()
        assert not self._tokens, f"{self.text!r}: {self._tokens} is left"
        return value

    def _take(self, *wanted: str) -> str | None:
        if self._tokens and self._tokens[0] in wanted:
            return self._tokens.pop(0)
        return None

    def _or(self) -> Any:
        value = self._and()
        while self._take("||"):
            other = self._and()
            value = value if truth(value) else other
        return value

    def _and(self) -> Any:
        value = self._equality()
        while self._take("&&"):
            other = self._equality()
            value = other if truth(value) else value
        return value

    def _equality(self) -> Any:
        value = self._unary()
        while sign := self._take("==", "!="):
            same = _comparable(value) == _comparable(self._unary())
            value = same if sign == "==" else not same
        return value

    def _unary(self) -> Any:
        if self._take("!"):
            return not truth(self._unary())
        if self._take("("):
            value = self._or()
            assert self._take(")"), self.text
            return value
        return self._operand(self._tokens.pop(0))

    def _operand(self, token: str) -> Any:
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token[0].isdigit():
            return float(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        if self._take("("):
            return self._call(token)
        assert token in self.contexts, f"{self.text!r}: there is no context {token!r}"
        value = self.contexts[token]
        while self._take("."):
            name = self._tokens.pop(0)
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._take(")"):
            arguments.append(self._or())
            self._take(",")
        functions: dict[str, Callable[..., Any]] = {
            "always": lambda: True,
            "success": lambda: self.status == "success",
            "failure": lambda: self.status == "failure",
            "cancelled": lambda: self.status == "cancelled",
            "fromJSON": json.loads,
        }
        return functions[name](*arguments)


def _tokens(text: str) -> list[tuple[str, ...]]:
    found, at = [], 0
    while at < len(text.rstrip()):
        token = _TOKEN.match(text, at)
        assert token, f"{text!r} cannot be read from {text[at:]!r}"
        found.append(token.groups())
        at = token.end()
    return found


def _comparable(value: Any) -> Any:
    if value is None:
        return ""
    return value.casefold() if isinstance(value, str) else value


def truth(value: Any) -> bool:
    """What GitHub takes for true."""
    return value not in (None, "", 0, False)


def shown(value: Any) -> str:
    """A value as it is put into text."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)


def expand(value: Any, contexts: Mapping[str, Any]) -> Any:
    """A value of a workflow with its expressions replaced; one that is nothing else keeps its type."""
    if not isinstance(value, str):
        return value
    if whole := _WHOLE.fullmatch(value):
        return Expression(whole[1], contexts).value()
    return _PART.sub(lambda found: shown(Expression(found[1], contexts).value()), value)


def holds(condition: Any, contexts: Mapping[str, Any], status: str) -> bool:
    """Whether a step with this `if:` runs; none that names no status runs after a failure."""
    text = "success()" if condition is None else shown(condition)
    if whole := _WHOLE.fullmatch(text):
        text = whole[1]
    if not _STATUS.search(text):
        text = f"success() && ({text})"
    return truth(Expression(text, contexts, status).value())
