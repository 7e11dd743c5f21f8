"""What of the Dagger executor needs no engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import dagger
import pytest

from penstock.errors import ExecutorError
from penstock.executors.dagger_images import _settings, asking
from penstock.executors.dagger_tree import Courier, literal


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("plain/file.txt", "plain/file.txt"),
        ("a*b?", r"a\*b\?"),
        ("[x]", r"\[x\]"),
        ("!x", r"\!x"),
        ("#x", r"\#x"),
        ("back\\slash", r"back\\slash"),
        ("end ", "end[ ]"),
        (" both ", "[ ]both[ ]"),
        ("line\n", "line[\n]"),
        ("no-break\u00a0", "no-break[\u00a0]"),
        ("in side", "in side"),
    ],
)
def test_a_path_is_a_pattern_that_selects_it_alone(path: str, pattern: str) -> None:
    assert literal([path]) == [pattern]


def test_what_is_handed_over_are_files(tmp_path: Path) -> None:
    seen: list[Path] = []
    courier = Courier(place=tmp_path, load=lambda place: cast(dagger.Directory, seen.append(place)))
    courier.directory({"a/b": b"1", "run": b"2"}, programs=["run"])
    courier.directory({"a/b": b"3"})
    assert [(place / "a/b").read_bytes() for place in seen] == [b"1", b"3"]
    assert (seen[0] / "run").stat().st_mode & 0o777 == 0o755
    assert (seen[0] / "a/b").stat().st_mode & 0o777 == 0o644


def query_error(message: str, **extensions: object) -> dagger.QueryError:
    from dagger._exceptions import QueryErrorValue

    class Request:
        document = None

    make = cast(Any, dagger.QueryError)
    error = make.__new__(dagger.QueryError, [QueryErrorValue(message, extensions=dict(extensions))])
    error.__init__([QueryErrorValue(message, extensions=dict(extensions))], Request())
    return cast(dagger.QueryError, error)


def ended(stdout: str, stderr: str) -> dagger.QueryError:
    return query_error(
        "get user: unknown [traceparent:12-34]",
        _type="EXEC_ERROR",
        cmd=["x"],
        exitCode=1,
        stdout=stdout,
        stderr=stderr,
    )


@pytest.mark.parametrize(
    ("error", "notes"),
    [
        (ended("one\n", "two\n\nthree\n"), ("one", "two", "three")),
        (ended("", "\n"), ("get user: unknown",)),
        (ended("", "\n".join(map(str, range(100)))), tuple(map(str, range(88, 100)))),
        (query_error("no such image [traceparent:1-2]"), ("no such image",)),
    ],
)
def test_what_the_engine_answers_is_one_error_of_ours(
    error: dagger.QueryError, notes: tuple[str, ...]
) -> None:
    with (
        pytest.raises(ExecutorError, match="it cannot be done") as caught,
        asking("it cannot be done", "here"),
    ):
        raise error
    assert caught.value.notes == notes
    assert caught.value.where == "here"
    assert caught.value.exit_code == 5


def test_an_engine_that_went_away_is_said_to_be_that() -> None:
    with (
        pytest.raises(ExecutorError, match="it cannot be done: the engine cannot be reached\n  gone"),
        asking("it cannot be done"),
    ):
        raise dagger.TransportError("gone\nand more")


def test_an_engine_without_gpus_is_told_with_the_remedy() -> None:
    with pytest.raises(ExecutorError, match=r"without GPU support\n  start one") as caught, asking("x"):
        raise query_error("GPU support is not enabled on this engine")
    assert "--accelerator cpu" in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "name", "expected"),
    [
        ("env://HF_TOKEN", "", ("HF_TOKEN", "value\n")),
        ("file:///run/secrets/HF_TOKEN", "", ("HF_TOKEN", "value")),
        ("file://secrets/HF_TOKEN/", "", ("HF_TOKEN", "value")),
        ("op://vault/item/HF_TOKEN", "", ("HF_TOKEN", "value")),
        ("", "set.HF_TOKEN", ("HF_TOKEN", "value")),
    ],
)
def test_a_secret_is_called_what_its_address_ends_with(
    uri: str, name: str, expected: tuple[str, str]
) -> None:
    from penstock.dagger_session import _named_value

    async def give(text: str) -> str:
        return text

    secret = SimpleNamespace(
        uri=lambda: give(uri), name=lambda: give(name), plaintext=lambda: give("value\n")
    )
    assert anyio.run(_named_value, cast(dagger.Secret, secret)) == expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            '[project]\nname = "x"\n[tool.uv]\nfind-links = ["w"]\n[tool.ruff]\na = 1\n',
            '[tool.uv]\nfind-links = ["w"]\n',
        ),
        ('[[tool.uv.index]]\nurl = "u"\n[a]\nb = 1\n', '[[tool.uv.index]]\nurl = "u"\n'),
        ('[tool.uv.sources]\nx = {index = "y"}', '[tool.uv.sources]\nx = {index = "y"}\n'),
        ("[tool]\nuv = {no-index = true}\n", "[tool]\nuv = {no-index = true}\n"),
        ('[project]\nname = "x"\n', ""),
        ("not toml", None),
    ],
)
def test_of_a_project_only_what_it_says_to_uv_makes_an_environment_anew(
    tmp_path: Path, text: str, kept: str | None
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert _settings(tmp_path / "pyproject.toml") == kept


def test_the_module_imports_nothing_that_only_its_functions_need() -> None:
    code = (
        "import sys, penstock.dagger_module;"
        "heavy = ('pydantic', 'yaml', 'penstock.plan', 'penstock.runner', 'penstock.executors', 'penstock.report');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
