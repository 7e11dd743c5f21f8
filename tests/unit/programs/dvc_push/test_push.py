"""Outputs pushed to real remotes: read back, repeatable, and committed by what is written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dvc_samples import SECRET, Ended, Repository, credentials, damage, run_program, s3_server, state, tools
from penstock.plan import carrying, exchange
from penstock.programs.common import digests, dvc_objects
from penstock.programs.dvc_push import taking

OUTPUTS = {"out/model/weights.bin": b"w" * 200_000, "out/model/info.json": b"{}", "out/metrics.json": b"[1]"}
PATHS = ("out/metrics.json", "out/model")

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("dvc")
    repository = Repository.make(top / "repo")
    repository.remote("../../store")
    repository.commit()
    (top / "store").mkdir()
    return top


@pytest.fixture
def repository(original: Path, tmp_path: Path) -> Repository:
    """A repository with outputs, whose remote is the empty folder `../store`."""
    shutil.copytree(original, tmp_path / "top", symlinks=True)
    made = Repository(tmp_path / "top/repo", tools("dvc"), {"HOME": str(tmp_path)})
    for path, content in OUTPUTS.items():
        made.write(path, content)
    return made


@pytest.fixture
def store(repository: Repository) -> Path:
    return repository.place.parent / "store"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def request(repository: Repository, outputs: tuple[str, ...] = PATHS, **more: Any) -> dict[str, Any]:
    contents = []
    for path in outputs:
        found = digests.of_path(repository.place / path)
        contents.append({"path": path, "digest": found.digest, "size_bytes": found.size_bytes})
    asked = {"outputs": list(outputs), "remote": None, "contents": contents, "run": {"digest": "sha256:1"}}
    return {**asked, "path": None, "result": "result", "receipt": "receipt.json", **more}


def fill(repository: Repository, workspace: Path) -> None:
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir()
    for path in OUTPUTS:
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository.place / path, workspace / path)


def push(
    repository: Repository,
    workspace: Path,
    asked: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    local: bool = True,
) -> Ended:
    fill(repository, workspace)
    seen = {"PENSTOCK_ROOT": str(repository.place)} if local else {}
    if not local:
        config = workspace / ".dvc/config"
        config.parent.mkdir()
        config.write_bytes((repository.place / ".dvc/config").read_bytes())
    environ = {**repository.environ, **seen, **(environ or {})}
    return run_program("dvc_push", asked or request(repository), workspace, repository.python, environ)


def pulled(repository: Repository, at: Path, *files: str) -> dict[str, bytes]:
    """What somebody else gets who clones the repository and pulls."""
    repository.git("clone", "-q", str(repository.place), str(at))
    other = Repository(at, repository.python, repository.environ)
    other.dvc("pull", "-q", *files)
    return {path: (at / path).read_bytes() for path in OUTPUTS if (at / path).is_file()}


class TestWhatIsPushed:
    def test_somebody_else_pulls_what_was_committed(
        self, repository: Repository, workspace: Path, tmp_path: Path
    ) -> None:
        ended = push(repository, workspace)
        assert ended.code == 0, ended.said
        command = "git add out/.gitignore out/metrics.json.dvc out/model.dvc"
        assert command in ended.said
        subprocess.run(command.split(), cwd=repository.place, check=True)
        repository.git("commit", "-q", "-m", "model")
        assert repository.git("status", "--porcelain") == ""
        assert pulled(repository, tmp_path / "top/other") == OUTPUTS

    def test_the_receipt_tells_each_output(self, repository: Repository, workspace: Path) -> None:
        receipt = push(repository, workspace).receipt
        assert receipt is not None
        assert [(each["state"], each["target"]) for each in receipt["publications"]] == [
            ("written", "out/metrics.json.dvc"),
            ("written", "out/model.dvc"),
        ]
        assert receipt["publications"][1]["digest"] == digests.of_path(workspace / "out/model").digest
        assert receipt["facts"]["pushed"] == 4
        assert receipt["facts"]["hashes"]["out/metrics.json"] == "md5:35dba5d75538a9bbe0b4da4422759a0e"

    def test_the_same_again_changes_nothing(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        push(repository, workspace)
        before = state(repository.place), state(store)
        ended = push(repository, workspace)
        assert ended.receipt is not None
        assert {each["state"] for each in ended.receipt["publications"]} == {"unchanged"}
        assert (state(repository.place), state(store)) == before

    def test_a_container_cannot_push_to_a_folder(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        for url in ("../../store", str(store)):
            repository.remote(url)
            ended = push(repository, workspace, local=False)
            assert (ended.code, "a folder can be a remote only where it is" in ended.said) == (5, True)
        assert list(store.rglob("*")) == []

    def test_one_file_cannot_stand_for_two_outputs(self, repository: Repository, workspace: Path) -> None:
        repository.write("else/model/x", b"1")
        asked = request(repository, ("out/model", "else/model"), path="kept")
        ended = push(repository, workspace, asked)
        assert (ended.code, ended.said) == (
            2,
            "kept/model.dvc: would stand for out/model and else/model; leave `path` out",
        )

    def test_a_directory_that_git_ignores_is_no_place_for_them(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        repository.write(".gitignore", b"/out/\n")
        ended = push(repository, workspace)
        assert ended.code == 2
        assert ended.said.startswith("out/metrics.json.dvc: git ignores it (.gitignore:1:/out/), so")
        assert list(store.rglob("*")) == []

    def test_they_may_stand_elsewhere(self, repository: Repository, workspace: Path, tmp_path: Path) -> None:
        repository.write(".gitignore", b"/out/\n")
        ended = push(repository, workspace, request(repository, path="kept/models"))
        assert ended.code == 0, ended.said
        assert (repository.place / "kept/models/model.dvc").read_text().startswith("wdir: ../../out\n")
        repository.commit()
        assert pulled(repository, tmp_path / "top/other") == OUTPUTS

    @pytest.mark.parametrize("name", ["model", "metrics.json", "a b: c", "123", "true", "tool"])
    def test_the_files_are_those_that_dvc_would_write(self, repository: Repository, name: str) -> None:
        target = repository.place / "out" / name
        if not target.exists():
            target.write_bytes(b"x")
        target.chmod(0o755) if name == "tool" else None
        (repository.place / "cache").mkdir()
        taken = taking.take(target, repository.place / "cache")
        repository.dvc("add", str(target))
        said, expected = (yaml.safe_load(text) for text in (taken.text, Path(f"{target}.dvc").read_text()))
        assert said == expected
        assert list(said["outs"][0]) == list(expected["outs"][0])
        assert all(
            dvc_objects.is_intact(each.place(repository.place / "cache"), each) for each in taken.objects
        )

    def test_an_executable_stays_one(self, repository: Repository, workspace: Path) -> None:
        (repository.place / "out/metrics.json").chmod(0o755)
        assert push(repository, workspace).code == 0
        assert "isexec: true" in (repository.place / "out/metrics.json.dvc").read_text()


class TestWhatIsRefused:
    def test_what_is_not_what_was_judged(self, repository: Repository, store: Path, workspace: Path) -> None:
        asked = request(repository)
        damage(repository.place / "out/model/weights.bin")
        ended = push(repository, workspace, asked)
        assert (ended.code, ended.said.split(" (")[0]) == (3, "out/model: is not what was judged")
        assert list(store.rglob("*")) == []

    def test_a_remote_that_has_it_damaged(self, repository: Repository, store: Path, workspace: Path) -> None:
        push(repository, workspace)
        (repository.place / "out/model.dvc").unlink()
        for path in store.rglob("*"):
            if path.is_file():
                damage(path)
        before = state(store)
        ended = push(repository, workspace)
        assert (ended.code, "damaged, and dvc replaces nothing" in ended.said) == (3, True)
        assert state(store) == before
        assert not (repository.place / "out/model.dvc").exists()
        assert ended.receipt is None

    def test_what_git_has(self, repository: Repository, workspace: Path) -> None:
        repository.commit()
        ended = push(repository, workspace)
        assert (ended.code, "run: git rm -r --cached out/metrics.json" in ended.said) == (2, True)

    def test_a_link_which_dvc_would_follow(self, repository: Repository, workspace: Path) -> None:
        fill(repository, workspace)
        (repository.place / "out/model/link").symlink_to("info.json")
        asked = request(repository)
        shutil.copytree(repository.place / "out", workspace / "out", symlinks=True, dirs_exist_ok=True)
        environ = {**repository.environ, "PENSTOCK_ROOT": str(repository.place)}
        ended = run_program("dvc_push", asked, workspace, repository.python, environ)
        assert (ended.code, ended.said) == (
            2,
            "out/model: model/link is a link, which DVC does not keep; write it otherwise",
        )

    def test_a_remote_that_is_not_known(self, repository: Repository, workspace: Path) -> None:
        ended = push(repository, workspace, request(repository, remote="nobody"))
        assert (ended.code, "there is no remote 'nobody' in .dvc/config" in ended.said) == (2, True)

    def test_a_folder_that_nobody_can_write_to(self, repository: Repository, workspace: Path) -> None:
        repository.write("file", b"")
        repository.remote("../file/store")
        ended = push(repository, workspace)
        assert (ended.code, "cannot be pushed to remote 'store'" in ended.said) == (5, True)
        assert not (repository.place / "out/model.dvc").exists()


class TestS3:
    @pytest.fixture
    def bucket(self, repository: Repository, tmp_path: Path) -> Iterator[Repository]:
        with s3_server(tmp_path) as url:
            environ = {**repository.environ, "AWS_DEFAULT_REGION": "us-east-1"}
            bucket = Repository(repository.place, tools("dvc-s3"), environ)
            bucket.remote("s3://bucket/path", endpointurl=url)
            yield bucket

    def test_a_bucket_gets_it_once_and_only_with_credentials(
        self, bucket: Repository, workspace: Path, tmp_path: Path
    ) -> None:
        ended = push(bucket, workspace)
        assert (ended.code, "Unable to locate credentials" in ended.said) == (5, True)
        assert not (bucket.place / "out/model.dvc").exists()
        for state_now in ("written", "unchanged"):
            ended = push(bucket, workspace, environ=credentials())
            assert ended.receipt is not None, ended.said
            assert {each["state"] for each in ended.receipt["publications"]} == {state_now}
            assert SECRET not in ended.said + str(ended.receipt)
        ended = push(bucket, workspace, environ=credentials(), local=False)
        assert "git add out/metrics.json.dvc out/model.dvc, from result" in ended.said
        for file in ("out/model.dvc", "out/metrics.json.dvc"):
            assert (workspace / "result" / file).read_text() == (bucket.place / file).read_text()
        bucket.commit()
        bucket.environ = {**bucket.environ, **credentials()}
        assert pulled(bucket, tmp_path / "top/other") == OUTPUTS


@pytest.mark.parametrize("share", range(4))
def test_killed_at_any_moment_it_can_be_repeated(
    repository: Repository, workspace: Path, share: int, tmp_path: Path
) -> None:
    """Kills at moments of a whole push, then does it again; nothing is ever said to be there that is not."""
    kill_and_repeat(repository, workspace, [0.2 + share * 0.7, 0.55 + share * 0.7])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_a_hundred_moments_it_can_be_repeated(repository: Repository, workspace: Path) -> None:
    kill_and_repeat(repository, workspace, [0.05 * at for at in range(100)])


def kill_and_repeat(repository: Repository, workspace: Path, moments_s: list[float]) -> None:
    store = repository.place.parent / "store"
    for at, moment_s in enumerate(moments_s):
        repository.write("out/model/weights.bin", b"%d" % at * 10_000)
        asked = request(repository)
        fill(repository, workspace)
        for path, text in carrying.files("dvc_push", asked):
            (workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (workspace / path).write_text(text)
        environ = {**os.environ, **repository.environ, "PENSTOCK_ROOT": str(repository.place)}
        process = subprocess.Popen(
            [repository.python, carrying._START, "dvc_push", exchange.REQUEST],
            cwd=workspace,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pointer = repository.place / "out/model.dvc"
        if pointer.is_file():
            assert told_objects_are_there(pointer, store)
        ended = push(repository, workspace, asked)
        assert ended.code == 0, f"killed after {moment_s} s: {ended.said}"
        assert told_objects_are_there(pointer, store)


def told_objects_are_there(pointer: Path, store: Path) -> bool:
    md5 = pointer.read_text().split("md5: ")[1].split()[0]
    listing = store / "files/md5" / md5[:2] / md5[2:]
    entries = json.loads(listing.read_text())
    return all((store / "files/md5" / each["md5"][:2] / each["md5"][2:]).is_file() for each in entries)
