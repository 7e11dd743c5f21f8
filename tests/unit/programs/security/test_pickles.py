"""Files that run code when they are loaded, told by their content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from security_samples import Project, named, places

ROOT = Path(__file__).parents[4]


class Evil:
    """Would run a command when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/penstock-was-here",)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def saved(value: Any, how: Any = np.save, **options: Any) -> bytes:
    file = io.BytesIO()
    how(file, value, **options)
    return file.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return file.getvalue()


def joblibbed(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file, **options)
    return file.getvalue()


MODEL = LogisticRegression().fit(np.eye(8), np.arange(8) % 2)
TREE = DecisionTreeClassifier().fit(np.random.default_rng(1).random((4000, 5)), np.arange(4000) % 7)
OBJECTS = np.array([{"a": 1}, None], dtype=object)
EVIL = pickle.dumps(Evil())
PICKLES = {
    **{f"protocol {number}": pickle.dumps(Evil(), protocol=number) for number in range(6)},
    "a model": pickle.dumps(MODEL),
    "a model that is larger than what is read first": pickle.dumps(TREE),
    "plain data": pickle.dumps({"weights": list(range(100))}),
    "joblib": joblibbed(TREE),
    **{f"joblib with {name}": joblibbed(MODEL, compress=name) for name in ("zlib", "gzip", "bz2", "xz", "lzma")},
    "gzip": gzip.compress(EVIL),
    "bzip2": bz2.compress(EVIL),
    "xz": lzma.compress(EVIL),
    "zlib": zlib.compress(EVIL),
    "a model of PyTorch": zipped(**{"archive/data.pkl": EVIL, "archive/data/0": b"\0" * 64}),
    "under another name in a zip": zipped(**{"weights.bin": EVIL}),
    "in a zip in a zip": zipped(**{"inner.zip": zipped(a=EVIL)}),
    "in a gzip in a zip": zipped(**{"inner.gz": gzip.compress(EVIL)}),
    "behind other bytes in a zip": b"#!/bin/sh\n" + zipped(a=EVIL),
    "an array of objects": saved(OBJECTS, allow_pickle=True),
    "an array with a column of objects": saved(np.zeros(2, dtype=[("a", "f4"), ("b", "O")]), allow_pickle=True),
    "arrays with one of objects": saved(None, lambda file, _: np.savez(file, a=np.eye(2), b=OBJECTS, allow_pickle=True)),
    "in a tar": tarred("model", EVIL),
    "long text before the end": b"\x80\x02X\x10\x00\x01\x00" + b"a" * 65552 + b"0" + EVIL[2:],
    "a long line before the end": b"V" + b"a" * 99_999 + b"\n0" + pickle.dumps(Evil(), protocol=0),
    "long text in a zip": zipped(a=b"\x80\x02X\x10\x00\x01\x00" + b"a" * 65552 + b"0" + EVIL[2:]),
}  # fmt: skip
INNOCENT = {
    "text": b"hello, world\n",
    "ignored names": b"build/\ndist/\n.venv\n*.pyc\n",
    "an array": saved(np.eye(100)),
    "arrays": saved(None, lambda file, _: np.savez_compressed(file, a=np.eye(3), b=np.arange(9))),
    "a zip": zipped(**{"a.txt": b"hello"}),
    "a table": b"a,b\n1,2\n" * 1000,
    "Python": Path(__file__).read_bytes(),
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    "random bytes": np.random.default_rng(3).bytes(5000),
    "nothing": b"",
    "compressed text": gzip.compress(b"hello\n" * 1000),
    "long text": b"color " * 50_000,
    "a long line": b"V" + b"a" * 99_999 + b"\nand more\n",
    "YAML": b"(ab): c\nd: .\n",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_is_found_by_its_content(project: Project, name: str) -> None:
    project.write("data/weights.txt", PICKLES[name])
    document = project.scan("pickles")
    assert {path for path, _ in places(document, "pickles")} == {"data/weights.txt"}
    assert {each["severity"] for each in document["findings"]} <= {"high", "critical"}
    assert not Path("/tmp/penstock-was-here").exists()


@pytest.mark.parametrize("name", INNOCENT)
def test_what_runs_no_code_is_not_told(project: Project, name: str) -> None:
    project.write("data/file.pkl", INNOCENT[name])
    document = project.scan("pickles")
    assert document["findings"] == []
    assert named(document, "pickles")["problems"] == []


def test_the_scanners_advice_makes_it_worse_and_never_better(project: Project) -> None:
    project.write("evil.pkl", EVIL)
    project.write("honest.pkl", pickle.dumps(MODEL))
    found = {each["path"]: each for each in project.scan("pickles")["findings"]}
    assert (found["evil.pkl"]["severity"], found["honest.pkl"]["severity"]) == ("critical", "high")
    assert "system" in found["evil.pkl"]["message"]


def test_a_changed_pickle_is_another_finding_and_a_copy_elsewhere_too(project: Project) -> None:
    project.write("model.pkl", pickle.dumps([1]))
    (first,) = project.scan("pickles")["findings"]
    project.write("model.pkl", pickle.dumps([2]))
    (second,) = project.scan("pickles")["findings"]
    project.write("other.pkl", pickle.dumps([2]))
    assert len({each["fingerprint"] for each in (first, second, *project.scan("pickles")["findings"])}) == 3


def test_an_archive_that_cannot_be_read_is_no_pass(project: Project) -> None:
    whole = zipped(a=EVIL)
    project.write("a.zip", whole[: len(whole) // 2])
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as archive:
        for number in range(5_100):
            archive.writestr(str(number), b"")
    project.write("many.zip", bomb.getvalue())
    problems = named(project.scan("pickles"), "pickles")["problems"]
    project.write("deep.zip", zipped(a=zipped(b=zipped(c=zipped(d=EVIL)))))
    problems += named(project.scan("pickles", paths=["deep.zip"]), "pickles")["problems"]
    assert sorted(each.split()[0] for each in problems) == ["a.zip", "deep.zip", "many.zip"]


def test_a_bomb_is_read_in_part_only(project: Project) -> None:
    project.write("bomb.gz", gzip.compress(b"\0" * (200 << 20)))
    assert project.scan("pickles")["findings"] == []
