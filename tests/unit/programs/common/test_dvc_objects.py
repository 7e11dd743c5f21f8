"""Hashes as DVC takes them, and lists of files that might lead anywhere."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from dvc_samples import tools
from penstock.programs.common import dvc_objects
from penstock.programs.common.dvc_objects import CONVERTED, PLAIN, Known

ASK = """
import json, sys
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs import localfs
names = sys.argv[1:]
print(json.dumps({algorithm: [file_md5(name, localfs, name=algorithm) for name in names]
                  for algorithm in ("md5", "md5-dos2unix")}))
"""


@pytest.mark.network
@pytest.mark.timeout(300)
def test_hashes_are_those_of_dvc(tmp_path: Path) -> None:
    rng = random.Random(1)
    contents = [b"", b"\r\n", b"\0\r\n", b"\xff" * 153 + b"\r\n" * 179 + b"a", b"\xff" * 154 + b"\r\n" * 179]
    for size in (1, 511, 512, 513, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20):
        contents.append((b"line\r\n" * (size // 6 + 1))[:size])
        contents.append(rng.randbytes(size))
    text, binary = b"x\r\n" * 400_000, b"\0\r\n" * 400_000
    contents += [text + binary, binary + text, b"a" * ((1 << 20) - 1) + b"\r\n"]
    contents += [bytes(rng.choices(b"ab\r\n\x80\xff\x01", k=2000)) for _ in range(40)]
    paths = []
    for at, content in enumerate(contents):
        paths.append(tmp_path / f"{at}")
        paths[-1].write_bytes(content)
    asked = subprocess.run(
        [tools("dvc"), "-c", ASK, *map(str, paths)], check=True, capture_output=True, text=True
    )
    for algorithm, expected in json.loads(asked.stdout).items():
        assert [dvc_objects.copy(path, None, algorithm) for path in paths] == expected
    assert len(expected) == len(contents) > 60


def test_a_copy_is_the_same_bytes_whatever_counts(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"a\r\n" * 1000)
    for algorithm in (PLAIN, CONVERTED):
        dvc_objects.copy(source, target, algorithm)
        assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("path", ["..", "a/../b", "/a", "", ".", "a//b", "a/", "./a"])
def test_a_list_of_files_stays_in_its_directory(tmp_path: Path, path: str) -> None:
    listing = tmp_path / "list"
    listing.write_text(json.dumps([{"md5": "0" * 32, "relpath": path}]))
    with pytest.raises(ValueError, match="it holds"):
        dvc_objects.members(listing, Known(f"{'0' * 32}.dir", PLAIN))


@pytest.mark.parametrize("text", ["{}", "1", "[1]", '[{"md5": 1, "relpath": "a"}]', "[", "\x00"])
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    listing = tmp_path / "list"
    listing.write_text(text)
    with pytest.raises((ValueError, TypeError)):
        dvc_objects.members(listing, Known(f"{'0' * 32}.dir", PLAIN))
