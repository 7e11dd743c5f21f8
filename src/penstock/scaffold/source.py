"""Python source as a tree: what it is called, imports, assigns and mentions. It is parsed, never run."""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock.scaffold.repository import Repository

_OPTION_CALLS = frozenset({"add_argument", "option", "argument", "Option", "Argument"})


@dataclass(slots=True)
class Source:
    """One Python file.

    Attributes:
        path: Relative to the root of the repository.
        parents: Of each node.
        names: What is assigned to a name anywhere in the file: variables, defaults of arguments and options.
        modules: Name in the file → local file that it stands for.
        symbols: Name in the file → (local file, the name there).
        imports: Local files that it imports, `__init__.py` on the way included.
        bases: Directories that must be on the module search path for these imports.
        problem: Why it could not be parsed.
    """

    path: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    names: dict[str, ast.expr] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, tuple[str, str]] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    bases: set[str] = field(default_factory=set)
    relative_imports: bool = False
    problem: str = ""

    @property
    def is_script(self) -> bool:
        """Whether running the file does something: it has a main block, or acts at its top level."""
        return any(self._acts(statement) for statement in self.tree.body)

    @property
    def tests(self) -> bool:
        """Whether it holds functions for pytest."""
        return any(
            isinstance(node, ast.FunctionDef) and node.name.startswith("test") for node in self.tree.body
        )

    @staticmethod
    def _acts(statement: ast.stmt) -> bool:
        match statement:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                return True
            case ast.Expr(value=ast.Call()) | ast.For() | ast.With():
                return True
            case _:
                return False

    def strings(self) -> set[str]:
        """Every string constant, and every name that an attribute is asked for."""
        texts = (each.value for each in ast.walk(self.tree) if isinstance(each, ast.Constant))
        return self.lookups() | {text for text in texts if isinstance(text, str)}

    def lookups(self) -> set[str]:
        """What something is asked for by name: as `x["name"]`, `x.name` or `f("name")`."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            match node:
                case ast.Subscript(slice=ast.Constant(value=str(name))) | ast.Attribute(attr=name):
                    found.add(name)
                case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                    found.add(name)
                case _:
                    pass
        return found


class Library:
    """The Python files of a repository, parsed when they are asked for."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._sources: dict[str, Source] = {}

    def source(self, path: str) -> Source:
        """A file, parsed once."""
        if path not in self._sources:
            self._sources[path] = source = Source(path)
            self._parse(source)
        return self._sources[path]

    def closure(self, path: str) -> list[Source]:
        """A file and all that it imports from the repository, directly or not, its own packages included."""
        found: dict[str, Source] = {}
        waiting = [path, *self._around(path)]
        while waiting:
            each = waiting.pop(0)
            if each not in found:
                found[each] = self.source(each)
                waiting += found[each].imports
        return list(found.values())

    def _around(self, path: str) -> list[str]:
        folder, base = posixpath.dirname(path), package_base(self.repository, path)
        found = []
        while folder != base:
            found.append(posixpath.join(folder, "__init__.py"))
            folder = posixpath.dirname(folder)
        return found

    def _parse(self, source: Source) -> None:
        data = self.repository.data(source.path)
        if data is None:
            source.problem = "cannot be read"
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                source.tree = ast.parse(data)
        except SyntaxError as error:
            source.problem = f"line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            source.problem = str(error) or type(error).__name__
        for node in ast.walk(source.tree):
            for child in ast.iter_child_nodes(node):
                source.parents[child] = node
            for name, value in _bindings(node):
                source.names.setdefault(name, value)
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(source, node)

    def _import(self, source: Source, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found = self._find(source, alias.name)
                if found:
                    bound = alias.asname or alias.name
                    source.modules[bound] = found
            return
        base = node.module or ""
        if node.level:
            source.relative_imports = True
        package = self._find(source, base, node.level)
        for alias in node.names:
            module = self._find(source, f"{base}.{alias.name}" if base else alias.name, node.level)
            bound = alias.asname or alias.name
            if module:
                source.modules[bound] = module
            elif package:
                source.symbols[bound] = (package, alias.name)

    def _find(self, source: Source, dotted: str, level: int = 0) -> str | None:
        """The local file of a module; notes it and the packages around it as imported."""
        if not all(part.isidentifier() for part in dotted.split(".") if part):
            return None
        parts = [part for part in dotted.split(".") if part]
        for base in self._bases(source, level):
            found = self._file(base, parts)
            if found is None:
                continue
            if not level and base != posixpath.dirname(source.path):
                source.bases.add(base)
            for depth in range(len(parts) + 1):
                initial = posixpath.join(base, *parts[:depth], "__init__.py")
                if (depth or level) and initial in self.repository.files:
                    self._note(source, initial)
            self._note(source, found)
            return found
        return None

    def _bases(self, source: Source, level: int) -> list[str]:
        here = posixpath.dirname(source.path)
        if level:
            for _ in range(level - 1):
                here = posixpath.dirname(here)
            return [here]
        around = package_base(self.repository, source.path)
        return list(dict.fromkeys((here, around, "src", "")))

    def _file(self, base: str, parts: list[str]) -> str | None:
        place = posixpath.join(base, *parts) if parts else base
        for path in (f"{place}.py", posixpath.join(place, "__init__.py")):
            if path in self.repository.files:
                return path
        return None

    def _note(self, source: Source, path: str) -> None:
        if path != source.path and path not in source.imports:
            source.imports.append(path)


def package_base(repository: Repository, path: str) -> str:
    """The directory that holds the outermost package around a file."""
    folder = posixpath.dirname(path)
    while folder and posixpath.join(folder, "__init__.py") in repository.files:
        folder = posixpath.dirname(folder)
    return folder


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
                elif isinstance(target, ast.Attribute):
                    yield target.attr, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            yield from _defaults(arguments)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _OPTION_CALLS:
            yield from _option(node)
        case _:
            return


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    given = arguments.defaults
    if given:
        for argument, value in zip(positional[-len(given) :], given, strict=False):
            yield argument.arg, value
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield argument.arg, default


def _option(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    default = next((word.value for word in call.keywords if word.arg == "default"), None)
    named = next((word.value for word in call.keywords if word.arg == "dest"), None)
    names = [each.value for each in (*call.args, named) if isinstance(each, ast.Constant)]
    for name in names:
        if default is not None and isinstance(name, str):
            yield name.lstrip("-").replace("-", "_"), default
