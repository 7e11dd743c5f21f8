"""Rules: expressions over the columns of a row, as the schema file holds them.

The text is parsed by Python's own parser and then only looked at: what is not named here is refused, nothing
of it is ever run as Python. Each part is given its type before any data are read, so that a rule that
compares a text with a number is an error of the schema file and not of a row.

What is missing makes unknown whatever is computed from it, as in SQL: `and`, `or` and `not` follow Kleene's
logic, and a row fails only where its rule is false. So does what cannot be computed: a division by zero, a
value that is not of its column's type.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import rule_values as values
from .kinds import KINDS, NUMERIC, read
from .rule_values import Evaluate
from .schema_file import TEXTS, Column, nearest

LONGEST = 2_000
DEEPEST = 50
NUMBER, TEXT, TRUTH, TIME = "number", "text", "truth value", "date"
_CONSTANTS = {"null": None, "true": True, "false": False}


class RuleError(ValueError):
    """A text is no rule; the message names the place, counted from 1."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a rule.

    Attributes:
        type: What it gives.
        evaluate: From rows to its values.
        columns: That it reads.
        constant: What it is, if it is written down.
    """

    type: str
    evaluate: Evaluate
    columns: frozenset[str] = frozenset()
    constant: Any = None


@dataclass(frozen=True, slots=True)
class _Function:
    takes: tuple[str, ...]
    gives: str
    apply: Callable[..., Any]
    more: bool = False  # of the last type
    written: bool = False  # all but the first are written down, and handed over as they are


_FUNCTIONS: Mapping[str, _Function] = {
    "len": _Function((TEXT,), NUMBER, values.length),
    "lower": _Function((TEXT,), TEXT, values.lower),
    "upper": _Function((TEXT,), TEXT, values.upper),
    "strip": _Function((TEXT,), TEXT, values.strip),
    "startswith": _Function((TEXT, TEXT), TRUTH, values.starts_with, written=True),
    "endswith": _Function((TEXT, TEXT), TRUTH, values.ends_with, written=True),
    "contains": _Function((TEXT, TEXT), TRUTH, values.contains, written=True),
    "matches": _Function((TEXT, TEXT), TRUTH, values.matches, written=True),
    "abs": _Function((NUMBER,), NUMBER, values.absolute),
    "round": _Function((NUMBER,), NUMBER, values.rounded),
    "floor": _Function((NUMBER,), NUMBER, values.floor),
    "min": _Function((NUMBER, NUMBER), NUMBER, values.least, more=True),
    "max": _Function((NUMBER, NUMBER), NUMBER, values.greatest, more=True),
    "year": _Function((TIME,), NUMBER, values.year),
    "month": _Function((TIME,), NUMBER, values.month),
    "day": _Function((TIME,), NUMBER, values.day),
}
NAMES = (*_FUNCTIONS, "column", "date")


def parse(text: str, columns: Sequence[Column]) -> Part:
    """The rule that a text is.

    Raises:
        RuleError: It is none.
    """
    if len(text) > LONGEST:
        raise RuleError(f"longer than {LONGEST:,} characters")
    text = text.replace("\r", " ").replace("\n", " ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an odd escape in a text, on standard error
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        what = str(error.msg).split(". ")[0].lower()
        raise RuleError(
            f"position {min(error.offset or len(text) + 1, len(text) + 1)}: no rule: {what}"
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise RuleError("no rule: nested too deeply, or with a number too long") from None
    part = _Reader(text.strip(), columns).part(tree.body)
    if part.type != TRUTH:
        raise RuleError(f"a rule is true or false, and this is a {part.type}")
    if not part.columns:
        raise RuleError("names no column")
    return part


class _Reader:
    def __init__(self, text: str, columns: Sequence[Column]) -> None:
        self._text = text
        self._columns = {column.name: column for column in columns}
        self._depth = 0

    def part(self, node: ast.expr) -> Part:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._refusal(node, f"nested more than {DEEPEST} deep")
        readers: Mapping[type[ast.expr], Callable[[Any], Part]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.BoolOp: self._logic,
            ast.Compare: self._compare,
            ast.Call: self._call,
        }
        if type(node) not in readers:
            raise self._refusal(node, f"{ast.unparse(node)!r} means nothing in a rule")
        part = readers[type(node)](node)
        self._depth -= 1
        return part

    def _refusal(self, node: ast.expr, what: str) -> RuleError:
        place = len(self._text.encode()[: node.col_offset].decode(errors="ignore")) + 1
        return RuleError(f"position {place}: {what}")

    def _constant(self, node: ast.Constant) -> Part:
        value = node.value
        if isinstance(value, bool):
            return Part(TRUTH, values.constant(value), constant=value)
        if isinstance(value, int | float) and abs(value) <= 1e308:  # noqa: PLR2004 - of a float
            return Part(NUMBER, values.constant(float(value)), constant=float(value))
        if isinstance(value, str):
            return Part(TEXT, values.constant(value), constant=value)
        raise self._refusal(node, f"{value!r} means nothing in a rule")

    def _name(self, node: ast.Name) -> Part:
        if node.id in self._columns:
            return self._column(node.id)
        if _CONSTANTS.get(node.id) is not None:
            return self._constant(ast.Constant(_CONSTANTS[node.id], col_offset=node.col_offset))
        if node.id == "null":
            raise self._refusal(node, "null stands only after `is` and `is not`")
        known = [*self._columns, *_CONSTANTS]
        hint = nearest(node.id, known)
        raise self._refusal(node, f"no column is called {node.id!r}{hint}")

    def _column(self, name: str) -> Part:
        column = self._columns[name]
        kind = NUMBER if column.type in NUMERIC else TEXT if column.type in TEXTS else TRUTH
        kind = TIME if column.type == "date" else kind
        return Part(kind, values.column(name, text=kind == TEXT, number=kind == NUMBER), frozenset({name}))

    def _unary(self, node: ast.UnaryOp) -> Part:
        part = self.part(node.operand)
        if isinstance(node.op, ast.Not):
            self._want(node.operand, part, TRUTH)
            return Part(TRUTH, values.applied(values.negated, part.evaluate), part.columns)
        if isinstance(node.op, ast.USub | ast.UAdd):
            self._want(node.operand, part, NUMBER)
            if isinstance(node.op, ast.UAdd):
                return part
            constant = None if part.constant is None else -part.constant
            return Part(NUMBER, values.applied(values.minus, part.evaluate), part.columns, constant)
        raise self._refusal(node, f"{ast.unparse(node)!r} means nothing in a rule")

    def _binary(self, node: ast.BinOp) -> Part:
        left, right = self.part(node.left), self.part(node.right)
        operation = values.ARITHMETIC.get(type(node.op))
        if operation is None:
            raise self._refusal(node, f"{ast.unparse(node)!r}: there are + - * / // % and no other operators")
        columns = left.columns | right.columns
        if isinstance(node.op, ast.Sub) and left.type == right.type == TIME:
            return Part(NUMBER, values.applied(values.days_between, left.evaluate, right.evaluate), columns)
        self._want(node.left, left, NUMBER)
        self._want(node.right, right, NUMBER)
        return Part(NUMBER, values.applied(operation, left.evaluate, right.evaluate), columns)

    def _logic(self, node: ast.BoolOp) -> Part:
        parts = [self.part(each) for each in node.values]
        for each, part in zip(node.values, parts, strict=True):
            self._want(each, part, TRUTH)
        operation = values.all_of if isinstance(node.op, ast.And) else values.any_of
        return self._joined(TRUTH, operation, parts)

    def _compare(self, node: ast.Compare) -> Part:
        sides = [node.left, *node.comparators]
        found = []
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(operator, ast.Is | ast.IsNot):
                found.append(self._null(left, right, negative=isinstance(operator, ast.IsNot)))
            elif isinstance(operator, ast.In | ast.NotIn):
                found.append(self._among(left, right, negative=isinstance(operator, ast.NotIn)))
            else:
                found.append(self._order(left, operator, right))
        return found[0] if len(found) == 1 else self._joined(TRUTH, values.all_of, found)

    def _null(self, left: ast.expr, right: ast.expr, *, negative: bool) -> Part:
        if ast.unparse(right) not in ("null", "None"):
            raise self._refusal(right, "only null stands after `is` and `is not`")
        part = self.part(left)
        evaluate = values.applied(values.is_there if negative else values.is_missing, part.evaluate)
        return Part(TRUTH, evaluate, part.columns)

    def _among(self, left: ast.expr, right: ast.expr, *, negative: bool) -> Part:
        part = self.part(left)
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            raise self._refusal(right, "after `in` stands a list of values: ['a', 'b']")
        members = []
        for each in right.elts:
            member = self.part(each)
            if member.constant is None:
                raise self._refusal(each, "a list after `in` holds values that are written down")
            self._want(each, member, part.type)
            members.append(member.constant)
        evaluate = values.applied(lambda found: values.among(found, members), part.evaluate)
        evaluate = values.applied(values.negated, evaluate) if negative else evaluate
        return Part(TRUTH, evaluate, part.columns)

    def _order(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Part:
        first, second = self.part(left), self.part(right)
        if first.type != second.type:
            raise self._refusal(right, f"a {first.type} is compared with a {second.type}")
        if first.type == TRUTH and not isinstance(operator, ast.Eq | ast.NotEq):
            raise self._refusal(right, "truth values have no order")
        evaluate = values.applied(values.COMPARISONS[type(operator)], first.evaluate, second.evaluate)
        return Part(TRUTH, evaluate, first.columns | second.columns)

    def _call(self, node: ast.Call) -> Part:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in NAMES or node.keywords:
            what = nearest(name, NAMES) if isinstance(node.func, ast.Name) else ""
            raise self._refusal(node, f"{ast.unparse(node.func)!r} is no function of rules{what}")
        if name in ("column", "date"):
            return self._written(node, name)
        function, parts = _FUNCTIONS[name], [self.part(each) for each in node.args]
        takes = function.takes
        if function.more and len(parts) > len(takes):
            takes += takes[-1:] * (len(parts) - len(takes))
        if len(parts) != len(takes):
            raise self._refusal(node, f"{name} takes {len(takes)} values, not {len(parts)}")
        for each, part, wanted in zip(node.args, parts, takes, strict=True):
            self._want(each, part, wanted)
        if not function.written:
            return self._joined(function.gives, function.apply, parts)
        if parts[1].constant is None:
            raise self._refusal(node.args[1], f"what {name} looks for must be written down")
        try:
            apply = function.apply(parts[1].constant)
        except ValueError as error:
            raise self._refusal(node.args[1], str(error)) from None
        return Part(function.gives, values.applied(apply, parts[0].evaluate), parts[0].columns)

    def _written(self, node: ast.Call, name: str) -> Part:
        given = node.args[0] if len(node.args) == 1 else None
        if not isinstance(given, ast.Constant) or not isinstance(given.value, str):
            raise self._refusal(node, f"{name} takes one text that is written down")
        if name == "column":
            if given.value not in self._columns:
                hint = nearest(given.value, self._columns)
                raise self._refusal(given, f"no column is called {given.value!r}{hint}")
            return self._column(given.value)
        instant = read(KINDS["date"], given.value)
        if instant is None:
            raise self._refusal(given, f"{given.value!r} is no date")
        return Part(TIME, values.constant(instant), constant=instant)

    def _joined(self, kind: str, operation: Callable[..., values.Values], parts: Sequence[Part]) -> Part:
        columns = frozenset[str]().union(*(part.columns for part in parts))
        return Part(kind, values.applied(operation, *(part.evaluate for part in parts)), columns)

    def _want(self, node: ast.expr, part: Part, wanted: str) -> None:
        if part.type != wanted:
            raise self._refusal(node, f"{ast.unparse(node)!r} is a {part.type}, and a {wanted} belongs here")
