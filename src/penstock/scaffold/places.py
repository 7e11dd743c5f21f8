"""Paths in Python source: what an expression comes to when all of it is written down in the repository."""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass, replace

from penstock.scaffold.source import Library, Source

_MAX_DEPTH = 60
_PATH_CLASSES = frozenset({"Path", "PurePath", "PosixPath", "PurePosixPath"})
_SAME = frozenset(
    {"resolve", "absolute", "expanduser", "as_posix", "abspath", "realpath", "normpath", "fspath", "str"}
    | {"Path", "PurePath", "PosixPath", "PurePosixPath", "expandvars"}
)
_HERE = frozenset({"cwd", "getcwd"})


@dataclass(frozen=True, slots=True)
class Place:
    """A path that source names.

    Attributes:
        path: As it is written, from the root of the repository; normalised only in `normal`.
        unknown: Whether more follows that only a run would tell.
        certain: Whether it was made by what makes paths, and is not just a text.
    """

    path: str
    unknown: bool = False
    certain: bool = False

    @property
    def normal(self) -> str:
        """The path without `.`, `..` and double slashes; what is unknown is cut off at a directory."""
        text = self.path
        if self.unknown and not text.endswith("/"):
            text = posixpath.dirname(text)
        found = posixpath.normpath(text) if text else "."
        return "" if found == "." else found

    @property
    def outside(self) -> bool:
        """Whether it leads out of the repository."""
        return self.path.startswith(("/", "~")) or self.normal.startswith("..") or "://" in self.path

    def join(self, other: Place | None) -> Place:
        """What `self / other` is."""
        if other is None:
            return Place(self.path.rstrip("/") + "/", unknown=True, certain=True)
        if self.unknown:
            return replace(self, certain=True)
        return Place(posixpath.join(self.path, other.path), other.unknown, certain=True)


class Reader:
    """Works out paths in the files of a library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: dict[ast.AST, Place | None] = {}

    def place(self, source: Source, node: ast.AST, depth: int = 0) -> Place | None:
        """The path that an expression stands for; none if it is no path, or nothing of it is known."""
        if node in self._known or depth > _MAX_DEPTH:
            return self._known.get(node)
        # none while it is worked out: names can stand for each other in a circle
        self._known[node] = None
        self._known[node] = found = self._place(source, node, depth)
        return found

    def _place(self, source: Source, node: ast.AST, depth: int) -> Place | None:
        found: Place | None = None
        match node:
            case ast.Constant(value=str(text)):
                found = Place(text)
            case ast.Name(id="__file__"):
                found = Place(source.path, certain=True)
            case ast.Name(id=name):
                found = self._named(source, name, depth)
            case ast.Attribute():
                found = self._attribute(source, node, depth)
            case ast.BinOp() | ast.JoinedStr():
                found = self._composed(source, node, depth)
            case ast.Call():
                found = self._call(source, node, depth)
            case ast.Subscript(
                value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(n))
            ):
                found = _parent(self.place(source, inner, depth + 1), min(n, 50) + 1)
            case ast.BoolOp(values=[*_, last]):
                found = self.place(source, last, depth + 1)
            case _:
                pass
        return found

    def _named(self, source: Source, name: str, depth: int) -> Place | None:
        if name in source.names:
            return self.place(source, source.names[name], depth + 1)
        if name in source.symbols and depth <= _MAX_DEPTH:
            path, there = source.symbols[name]
            other = self._library.source(path)
            if there in other.names or there in other.symbols:
                return self._named(other, there, depth + 1)
        return None

    def _attribute(self, source: Source, node: ast.Attribute, depth: int) -> Place | None:
        if node.attr == "parent":
            return _parent(self.place(source, node.value, depth + 1), 1)
        if isinstance(node.value, ast.Name):
            owner = node.value.id
            if owner in source.modules:
                return self._named(self._library.source(source.modules[owner]), node.attr, depth + 1)
            if owner in source.symbols:
                return self._named(self._library.source(source.symbols[owner][0]), node.attr, depth + 1)
            if node.attr in source.names:
                return self.place(source, source.names[node.attr], depth + 1)
        return None

    def _composed(self, source: Source, node: ast.BinOp | ast.JoinedStr, depth: int) -> Place | None:
        if isinstance(node, ast.BinOp):
            left = self.place(source, node.left, depth + 1)
            if left is None:
                return None
            right = self.place(source, node.right, depth + 1)
            if isinstance(node.op, ast.Div):
                return left.join(right)
            if isinstance(node.op, ast.Add):
                return _append(left, right)
            return None
        found = Place("")
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            found = _append(found, self.place(source, inner, depth + 1))
        return found if found.path else None

    def _call(self, source: Source, node: ast.Call, depth: int) -> Place | None:
        name, owner = _called(node)
        if name in _HERE or (name in _PATH_CLASSES and not node.args):
            return Place("", certain=True)
        arguments = [self.place(source, each, depth + 1) for each in node.args]
        if name in ("get", "getenv") and len(arguments) == 2 and _is_environ(node):  # noqa: PLR2004 - a default
            return arguments[1]
        if name in ("join", "joinpath") or (name in _PATH_CLASSES and len(arguments) > 1):
            return self._joined(source, owner, arguments, depth)
        if name == "dirname" and arguments:
            return _parent(arguments[0], 1)
        of = self.place(source, owner, depth + 1) if owner is not None else None
        return _changed(of, name, arguments)

    def _joined(
        self, source: Source, owner: ast.expr | None, arguments: list[Place | None], depth: int
    ) -> Place | None:
        found: Place | None = None
        if owner is not None and not (isinstance(owner, ast.Attribute) and owner.attr == "path"):
            if isinstance(owner, ast.Constant):
                return None  # text.join(list)
            found = self.place(source, owner, depth + 1)
            if found is None and not (isinstance(owner, ast.Name) and owner.id in ("path", "osp")):
                return None
        for argument in arguments:
            if found is None:
                if argument is None:
                    return None
                found = argument
            else:
                found = found.join(argument)
        return found and replace(found, certain=True)


def _called(node: ast.Call) -> tuple[str, ast.expr | None]:
    match node.func:
        case ast.Name(id=name):
            return name, None
        case ast.Attribute(attr=name, value=owner):
            return name, owner
        case _:
            return "", None


def _is_environ(node: ast.Call) -> bool:
    return "environ" in ast.dump(node.func) or _called(node)[0] == "getenv"


def _append(left: Place, right: Place | None) -> Place:
    if left.unknown:
        return left
    if right is None:
        return Place(left.path, unknown=True, certain=left.certain)
    return Place(left.path + right.path, right.unknown, left.certain)


def _parent(place: Place | None, levels: int) -> Place | None:
    if place is None or place.unknown:
        return place
    path = place.path
    for _ in range(levels):
        path = posixpath.dirname(path) if path else ".."
    return Place(path, certain=True)


def _changed(of: Place | None, name: str, arguments: list[Place | None]) -> Place | None:
    """What a call makes of the path that it is a method of, or of its first argument."""
    first = arguments[0] if arguments else None
    if name in _SAME:
        place = first if arguments else of
        return replace(place, certain=True) if place else None
    if name not in ("with_suffix", "with_name") or of is None or first is None:
        return None
    if of.unknown:
        return of
    folder, old = posixpath.split(of.path)
    new = first.path if name == "with_name" else posixpath.splitext(old)[0] + first.path
    return Place(posixpath.join(folder, new), certain=True)
