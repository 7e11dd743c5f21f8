"""What a script does with the paths that it names: reads, writes, or one cannot tell."""

from __future__ import annotations

import ast
import posixpath
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeGuard

from penstock.scaffold.places import Place, Reader
from penstock.scaffold.source import Library, Source

_WRITES = re.compile(
    r"to_(?!numpy|list|dict|tensor|device|datetime|numeric|sql)\w+|save\w*|dump|imwrite|imsave|write\w*|export\w*"
    r"|touch|store\w*|persist\w*"
)
_MOVES = frozenset({"copy", "copy2", "copyfile", "copytree", "move", "rename", "replace", "urlretrieve"})
_MAKES = frozenset({"mkdir", "makedirs"})
_READS = re.compile(
    r"read\w*|load\w*|scan_\w+|genfromtxt|imread|fromfile|from_\w+|parse\w*|iterdir|listdir|scandir|i?r?glob|stat"
)
_DATA_SUFFIX = re.compile(
    r"\.(csv|tsv|parquet|feather|arrow|jsonl?|pkl|pickle|joblib|pth?|h5|hdf5|keras|onnx|np[yz]|model|bin|skops"
    r"|safetensors|txt|png|svg|jpg|pdf|html|ya?ml|toml|ini|xml|md|zip|gz|db|sqlite|log|ckpt|cbm|ubj|xlsx|sql|dat"
    r"|data)"
)
_NO_PATH = re.compile(r"[\n\r\t<>|\"%{}\\]|^\s|\s$|^-|://")
_LOOKUPS = frozenset({"get", "pop", "setdefault", "startswith", "endswith", "split", "strip", "print"})
_MAX_CHARS = 200
MAX_MODULES = 300


class Use(IntEnum):
    """What is done with a path, the surest last."""

    NAMED = 0
    MADE = 1
    READ = 2
    WRITTEN = 3


@dataclass(frozen=True, slots=True)
class Mention:
    """A path where source names it.

    Attributes:
        path: From the root, normalised; a directory if only a run would tell which files in it.
        where: `file:line`.
    """

    path: str
    use: Use
    where: str
    outside: bool = False


def mentions(library: Library, reader: Reader, path: str, *, alone: bool = False) -> list[Mention]:
    """The paths that a script names, itself and in the functions that it uses of local modules.

    Args:
        alone: Without the local modules.
    """
    main = library.source(path)
    found = _of(reader, library, main, None)
    defined: dict[str, list[tuple[Source, ast.AST]]] = {}
    for source in [] if alone else library.closure(path)[1 : MAX_MODULES + 1]:
        for statement in source.tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.setdefault(statement.name, []).append((source, statement))
    waiting = sorted(_identifiers(main.tree))
    while waiting:
        for source, node in defined.pop(waiting.pop(), ()):
            inside = _of(reader, library, source, node)
            found += [each for each in inside if each.use in (Use.READ, Use.WRITTEN)]
            waiting += sorted(_identifiers(node))
    return found


def _identifiers(node: ast.AST) -> set[str]:
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            found.add(each.id)
        elif isinstance(each, ast.Attribute):
            found.add(each.attr)
    return found


def _of(reader: Reader, library: Library, source: Source, within: ast.AST | None) -> list[Mention]:
    found: list[Mention] = []
    covered: set[ast.AST] = set()
    for node in ast.walk(within or source.tree):
        if node in covered or not _is_read(node, source):
            continue
        place = reader.place(source, node)
        if place is None:
            continue
        covered.update(ast.walk(node))
        use = _use(source, node)
        if place.outside:
            if use in (Use.READ, Use.WRITTEN):
                found.append(Mention(place.path, use, f"{source.path}:{node.lineno}", outside=True))
        elif _is_path(library, place, use):
            found.append(Mention(place.normal, use, f"{source.path}:{node.lineno}"))
    return found


def _is_read(node: ast.AST, source: Source) -> TypeGuard[ast.expr]:
    """Whether it is an expression with a value that goes somewhere, unlike a docstring's."""
    parent = source.parents.get(node)
    if not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), ast.Store):
        return False
    match parent:
        case ast.Expr() | ast.Compare():
            return False
        case ast.Subscript(slice=inner):
            return inner is not node
        case ast.Dict(keys=keys):
            return node not in keys
        case ast.Call(args=arguments, func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _LOOKUPS:
            return node not in arguments
        case _:
            return True


def _is_path(library: Library, place: Place, use: Use) -> bool:
    path = place.normal
    if not path or len(path) > _MAX_CHARS or path.endswith(".py") or path.startswith("."):
        return False
    known = library.repository.holds(path)
    if known and ("/" in path or "." in path or place.certain or use is not Use.NAMED):
        return True
    if _NO_PATH.search(place.path) or "*" in path:
        return False
    is_data = _DATA_SUFFIX.fullmatch(posixpath.splitext(path)[1].lower()) is not None
    if use is Use.NAMED:
        return " " not in path and (is_data or (place.certain and "/" in place.path))
    return is_data or "/" in place.path or place.certain or use is Use.MADE


def _use(source: Source, node: ast.AST, depth: int = 0) -> Use:
    parent = source.parents.get(node)
    if isinstance(parent, ast.Attribute):
        call = source.parents.get(parent)
        if isinstance(call, ast.Call) and call.func is parent:
            return _by_name(parent.attr, call, 0, method=True)
        return Use.NAMED
    if isinstance(parent, ast.keyword):
        call = source.parents.get(parent)
        return _argument(source, call, parent.arg or "", depth) if isinstance(call, ast.Call) else Use.NAMED
    if isinstance(parent, ast.Call) and node in parent.args:
        return _argument(source, parent, parent.args.index(node), depth)
    return Use.NAMED


def _argument(source: Source, call: ast.Call, which: int | str, depth: int) -> Use:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if isinstance(call.func, ast.Name) and name in source.names:
        return Use.NAMED
    found = _by_name(name, call, which if isinstance(which, int) else 0, method=False)
    if found is Use.NAMED and isinstance(call.func, ast.Name) and not depth:
        return _by_parameter(source, name, which)
    return found


def _by_name(name: str, call: ast.Call, position: int, *, method: bool) -> Use:
    if name == "open":
        return _by_mode(call, 0 if method else 1)
    if name in _MAKES:
        return Use.MADE
    if name in _MOVES:
        return Use.WRITTEN if position == 1 else Use.READ
    if _WRITES.fullmatch(name):
        return Use.WRITTEN
    return Use.READ if _READS.fullmatch(name) else Use.NAMED


def _by_mode(call: ast.Call, position: int) -> Use:
    given: ast.expr | None = call.args[position] if len(call.args) > position else None
    given = next((word.value for word in call.keywords if word.arg == "mode"), given)
    mode = given.value if isinstance(given, ast.Constant) else "r"
    return Use.WRITTEN if isinstance(mode, str) and set(mode) & set("wax") else Use.READ


def _by_parameter(source: Source, name: str, which: int | str) -> Use:
    """What a function of the same file does with the argument."""
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            arguments = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            if isinstance(which, int):
                which = arguments[which] if which < len(arguments) else ""
            uses = [
                _use(source, each, 1)
                for each in ast.walk(node)
                if isinstance(each, ast.Name) and each.id == which and isinstance(each.ctx, ast.Load)
            ]
            return max(uses, default=Use.NAMED)
    return Use.NAMED
