"""The environment of an `MLproject`: what of conda's and MLflow's own files a lock of `uv` can have."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from penstock.plan.importers import yaml12
from penstock.plan.importers.reading import content
from penstock.plan.problems import Problems, shown
from penstock.plan.reads import FILE, Reads
from penstock.plan.yaml_file import Document, Key
from penstock.record import Record, field

_DEFAULTS = (("python_env", "python_env.yaml"), ("conda_env", "conda.yaml"))
_CONDA = re.compile(
    r"(?:[\w.-]+::)?(?P<name>[A-Za-z0-9_.-]+)(?:\s*(?P<operator>==|>=|<=|!=|~=|=|>|<)\s*(?P<version>\S.*))?"
)
_INCLUDE = re.compile(r"(?:-r|--requirement)[ =]+(\S+)")
# called otherwise on PyPI
_CALLED = dict(
    pair.split(":")
    for pair in (
        *("pytorch:torch", "pytorch-cpu:torch", "pytorch-gpu:torch", "tensorflow-gpu:tensorflow"),
        *("py-xgboost:xgboost", "py-lightgbm:lightgbm", "opencv:opencv-python", "py-opencv:opencv-python"),
        *("python-graphviz:graphviz", "matplotlib-base:matplotlib", "dask-core:dask", "keras-gpu:keras"),
        *("msgpack-python:msgpack", "pytables:tables"),
    )
)
# not on PyPI, or something else there
_CONDA_ONLY = frozenset(
    (
        *(
            "cudatoolkit",
            "cudnn",
            "cuda",
            "cuda-toolkit",
            "nccl",
            "mkl",
            "mkl-service",
            "openblas",
            "blas",
            "nomkl",
        ),
        *(
            "gcc",
            "gxx",
            "gfortran",
            "clang",
            "compilers",
            "cxx-compiler",
            "c-compiler",
            "make",
            "cmake",
            "libgcc",
        ),
        *(
            "nodejs",
            "openjdk",
            "openmpi",
            "mpich",
            "graphviz",
            "ffmpeg",
            "git",
            "curl",
            "wget",
            "openssl",
            "zlib",
        ),
        *(
            "ca-certificates",
            "libstdcxx-ng",
            "libgcc-ng",
            "cpuonly",
            "pytorch-cuda",
            "pytorch-mutex",
            "conda",
        ),
        *(
            "hdf5",
            "libpng",
            "jpeg",
            "sqlite",
            "tk",
            "xz",
            "readline",
            "ncurses",
            "libffi",
            "anaconda",
            "pandoc",
        ),
    )
)
_TOOLS = frozenset({"pip", "wheel", "setuptools"})


class Found(Record, frozen=False):
    """An environment.

    Attributes:
        fields: As a pipeline file has them.
        variables: That processes get.
        notes: (file, line, sentence) of what is otherwise than there.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, int, str]] = field(default_factory=list)

    def note(self, document: Document, place: Key, what: str) -> None:
        """Note something at a value."""
        self.notes.append((document.file, document.line(*place), what))


def environment_of(document: Document, reads: Reads, problems: Problems) -> Found:
    """The environment that an `MLproject` declares, or that lies beside it.

    Args:
        document: The `MLproject`.
        reads: Reads the files that it names.
        problems: Gets what MLflow refuses too.

    Raises:
        PipelineError: A file is not YAML.
    """
    found = Found()
    top = document.mapping
    folder = posixpath.dirname(document.file)
    if "docker_env" in top:
        _docker(found, document, top["docker_env"])
        return found
    for key, default in _DEFAULTS:
        if key in top or not any(other in top for other, _ in _DEFAULTS):
            path = posixpath.normpath(posixpath.join(folder, str(top.get(key, default))))
            if reads.presence(path) == FILE:
                inner = yaml12.read_mapping(content(path, reads), path, yaml12.Yaml11)
                (_conda if key == "conda_env" else _python)(found, inner)
                return found
            if key in top:
                what = f"`{key}` is {shown(top[key])}, which is no file"
                problems.add(document.file, document.line(key), what, ("mlflow refuses this too",))
                return found
    found.note(document, (), "no environment is declared: that of the pipeline file counts")
    return found


def _docker(found: Found, document: Document, given: object) -> None:
    about = given if isinstance(given, dict) else {}
    if isinstance(about.get("image"), str):
        found.fields["image"] = about["image"]
        what = "is what stages run in under --executor docker and dagger; the local executor has no images"
        found.note(document, ("docker_env", "image"), f"image {about['image']!r} {what}")
    for at, each in enumerate(about.get("environment") or []):
        match each:
            case [str() as name, value]:
                found.variables[name] = str(value)
            case _:
                what = f"variable {shown(each)} of the machine is not passed on: a secret can be"
                found.note(document, ("docker_env", "environment", at), what)
    if about.get("volumes"):
        what = "volumes are not carried over: what a stage reads lies in the project, or is fetched"
        found.note(document, ("docker_env", "volumes"), what)


def _python(found: Found, document: Document) -> None:
    top = document.mapping
    _version(found, document, ("python",), str(top.get("python") or ""))
    for key in ("build_dependencies", "dependencies"):
        _pip(found, document, (key,), top.get(key))


def _conda(found: Found, document: Document) -> None:
    listed = document.mapping.get("dependencies")
    for at, item in enumerate(listed if isinstance(listed, list) else []):
        place: Key = ("dependencies", at)
        if isinstance(item, dict):
            _pip(found, document, (*place, "pip"), item.get("pip"))
        else:
            _package(found, document, place, str(item))
    for key in ("variables", "prefix"):
        if document.mapping.get(key):
            found.note(document, (key,), f"`{key}` of the conda environment is not carried over")


def _package(found: Found, document: Document, place: Key, text: str) -> None:
    """A package of conda as one of PyPI."""
    parsed = _CONDA.fullmatch(text.strip())
    name = parsed["name"].lower() if parsed else ""
    if parsed is None or name in _CONDA_ONLY or name.startswith(("_", "r-", "lib")):
        found.note(document, place, f"{shown(text)} is a package of conda's only: install it in the image")
        return
    version, operator = parsed["version"] or "", parsed["operator"] or ""
    if name == "python":
        _version(found, document, place, version)
        return
    if name in _TOOLS:
        return
    if operator == "=":
        # conda's single sign takes any version that begins so, unless a build is named
        version, _, build = version.partition("=")
        operator, version = "==", version if build or version.endswith("*") else f"{version}.*"
    wanted = f"{_CALLED.get(name, name)}{operator}{version}"
    _add(found, wanted)
    found.note(document, place, f"conda's {shown(text)} is taken from PyPI: {wanted}")


def _version(found: Found, document: Document, place: Key, text: str) -> None:
    number = re.match(r"[0-9]+\.[0-9]+", text.lstrip("=<>~! "))
    if number is None:
        return
    found.fields["python"] = number[0]
    if text.strip() != number[0]:
        found.note(document, place, f"Python {text} is taken as {number[0]}, whichever of it there is")


def _pip(found: Found, document: Document, place: Key, listed: object) -> None:
    for inner, line in _lines(listed):
        at = (*place, inner)
        if (included := _INCLUDE.fullmatch(line)) is not None:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(document.file), included[1]))
            if "requirements" in found.fields:
                found.note(document, at, f"a second file of requirements, {path!r}, is left out")
            found.fields.setdefault("requirements", path)
        elif line.startswith("-"):
            found.note(document, at, f"option {shown(line)} of pip is not carried over")
        elif re.split(r"[\s=<>!~\[]", line, maxsplit=1)[0].lower() != "pip":
            _add(found, line)
            if "==" not in line and "@" not in line:
                found.note(
                    document, at, f"{shown(line)} is not pinned: it is what it is when it is installed"
                )


def _lines(listed: object) -> Iterator[tuple[int, str]]:
    for at, each in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(each, str) and each.strip():
            yield at, each.strip()


def _add(found: Found, requirement: str) -> None:
    packages: list[str] = found.fields.setdefault("packages", [])
    if requirement not in packages:
        packages.append(requirement)
