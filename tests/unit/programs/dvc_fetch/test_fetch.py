"""Data of real DVC repositories, fetched from caches, folders, web servers and S3, and never believed."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvc_samples import (
    SECRET,
    Repository,
    credentials,
    damage,
    environment,
    fetch,
    http_server,
    s3_server,
    state,
    stuck_server,
    tools,
)

FILES = {"1": b"1\n", "2": b"2" * 300_000, "deep/er": b"\0\1\2", "same": b"1\n", "empty": b""}
TABLE = b"a,b\r\n1,2\r\n"
TABLE_MD5 = "b202f333fba4fd38d4b8e5e693077aab"

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


def written(workspace: Path) -> dict[str, bytes]:
    """What there is beside what the program was given."""
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in sorted(workspace.rglob("*"))
        if path.is_file() and not path.relative_to(workspace).parts[0].startswith((".penstock", ".dvc"))
        if path.suffix != ".dvc"
    }


def of_directory(store: Path, md5: str) -> Path:
    return store / "files" / "md5" / md5[:2] / md5[2:]


def listing(store: Path) -> Path:
    (found,) = store.rglob("*.dir")
    return found


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


class TestFromThisMachine:
    def test_a_file_comes_from_the_cache_without_a_remote(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        shutil.rmtree(store)
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert (ended.code, ended.said) == (0, "1 object, each as data/t.csv.dvc says")
        assert written(workspace) == {"data/t.csv": TABLE}

    def test_a_directory_comes_whole(self, repository: Repository, workspace: Path) -> None:
        assert fetch(repository, "data/dir.dvc", workspace).code == 0
        assert written(workspace) == {f"data/dir/{name}": content for name, content in FILES.items()}

    def test_a_file_may_be_executable(self, repository: Repository, workspace: Path) -> None:
        assert fetch(repository, "data/run.sh.dvc", workspace).code == 0
        assert (workspace / "data/run.sh").stat().st_mode & 0o777 == 0o755

    def test_what_the_cache_lacks_comes_from_a_folder(self, repository: Repository, workspace: Path) -> None:
        repository.cache()[0].unlink()
        assert fetch(repository, "data/dir.dvc", workspace).code == 0
        assert len(written(workspace)) == len(FILES)

    def test_nothing_of_the_users_is_changed(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        repository.cache()[0].unlink()
        damage(repository.cache()[1])
        before = state(repository.place), state(store)
        assert fetch(repository, "data/dir.dvc", workspace).code == 0
        assert (state(repository.place), state(store)) == before

    def test_a_damaged_cache_is_not_believed(self, repository: Repository, workspace: Path) -> None:
        for each in repository.cache():
            if each.stat().st_size:
                damage(each)
        assert fetch(repository, "data/t.csv.dvc", workspace).code == 0
        assert fetch(repository, "data/dir.dvc", workspace).code == 0
        assert written(workspace)["data/t.csv"] == TABLE
        assert written(workspace)["data/dir/2"] == FILES["2"]

    def test_damage_that_nobody_can_make_good_is_refused(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        shutil.rmtree(store)
        store.mkdir()
        damage(of_directory(repository.place / ".dvc/cache", TABLE_MD5))
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert ended.code == 3
        assert ended.said.startswith("data/t.csv: the cache has it damaged (")
        assert written(workspace) == {}

    def test_another_cache_may_be_configured(
        self, repository: Repository, store: Path, workspace: Path, tmp_path: Path
    ) -> None:
        (repository.place / ".dvc/cache").rename(tmp_path / "shared")
        repository.dvc("cache", "dir", str(tmp_path / "shared"))
        shutil.rmtree(store)
        assert fetch(repository, "data/dir.dvc", workspace).code == 0

    def test_a_running_dvc_does_not_stop_it(self, repository: Repository, workspace: Path) -> None:
        hold = "from dvc.repo import Repo; import sys; r = Repo('.'); r.lock.lock(); print(1, flush=True); input()"
        with subprocess.Popen(
            [repository.python, "-c", hold],
            cwd=repository.place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout is not None
            running.stdout.readline()
            with pytest.raises(AssertionError, match="lock"):
                repository.dvc("fetch", "data/t.csv.dvc")
            assert fetch(repository, "data/t.csv.dvc", workspace).code == 0
            running.communicate("\n")


class TestFromAFolder:
    @pytest.fixture(autouse=True)
    def _no_cache(self, repository: Repository) -> None:
        repository.drop_cache()

    @pytest.mark.parametrize("mode", [0o444, 0o644])
    def test_damage_is_refused_and_left_as_it_is(
        self, repository: Repository, store: Path, workspace: Path, mode: int
    ) -> None:
        place = of_directory(store, TABLE_MD5)
        place.chmod(mode)
        damage(place)
        before = state(store)
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert ended.code == 3
        assert "data/t.csv: remote 'store' (" in ended.said
        assert "has it damaged" in ended.said
        assert written(workspace) == {}
        assert state(store) == before

    def test_a_damaged_list_of_files_is_refused(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        damage(listing(store))
        ended = fetch(repository, "data/dir.dvc", workspace)
        assert ended.code == 3
        assert written(workspace) == {}

    def test_what_was_never_pushed_is_not_there(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        of_directory(store, TABLE_MD5).unlink()
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert ended.code == 5
        assert f"does not have it (MD5 {TABLE_MD5}); push it from where it is: dvc push" in ended.said

    def test_one_file_of_a_directory_may_be_missing(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        entry = next(each for each in json.loads(listing(store).read_text()) if each["relpath"] == "deep/er")
        of_directory(store, entry["md5"]).unlink()
        ended = fetch(repository, "data/dir.dvc", workspace)
        assert (ended.code, ended.said.partition(":")[0]) == (5, "data/dir/deep/er")
        assert written(workspace) == {}

    def test_a_folder_that_is_not_there_is_said_to_be_away(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        shutil.rmtree(store)
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert (ended.code, "is not there: a folder can be a remote only where it is" in ended.said) == (
            5,
            True,
        )

    def test_a_container_cannot_see_a_folder(self, repository: Repository, workspace: Path) -> None:
        ended = fetch(repository, "data/t.csv.dvc", workspace, local=False)
        assert (ended.code, "a folder can be a remote only where it is" in ended.said) == (5, True)

    def test_without_a_remote_it_says_how_to_add_one(self, repository: Repository, workspace: Path) -> None:
        repository.dvc("remote", "remove", "store")
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert (ended.code, "dvc remote add --default NAME URL" in ended.said) == (5, True)

    @pytest.mark.parametrize(
        "entry",
        [
            {"relpath": "../../escaped"},
            {"relpath": "/etc/escaped"},
            {"relpath": "a/./b"},
            {"relpath": ""},
            {"md5": "../../../../../../../etc/passwd"},
        ],
    )
    def test_a_list_of_files_cannot_lead_out(
        self, repository: Repository, store: Path, workspace: Path, entry: dict[str, str]
    ) -> None:
        import hashlib

        text = json.dumps([{"md5": TABLE_MD5, "relpath": "x", **entry}]).encode()
        md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
        place = of_directory(store, f"{md5}.dir")
        place.parent.mkdir(parents=True)
        place.write_bytes(text)
        repository.write("data/dir.dvc", f"outs:\n- md5: {md5}.dir\n  hash: md5\n  path: dir\n".encode())
        ended = fetch(repository, "data/dir.dvc", workspace)
        assert (ended.code, "list of its files cannot be used" in ended.said) == (3, True)
        assert written(workspace) == {}


class TestFromAWebServer:
    @pytest.fixture
    def url(self, store: Path) -> Iterator[str]:
        with http_server(store) as url:
            yield url

    @pytest.fixture(autouse=True)
    def _remote(self, repository: Repository, url: str) -> None:
        repository.drop_cache()
        repository.remote(url)

    @pytest.mark.parametrize("local", [True, False])
    def test_everything_comes(self, repository: Repository, workspace: Path, *, local: bool) -> None:
        assert fetch(repository, "data/dir.dvc", workspace, local=local).code == 0
        assert written(workspace) == {f"data/dir/{name}": content for name, content in FILES.items()}
        assert repository.cache() == []

    def test_only_what_the_cache_lacks_is_asked_for(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        entries = json.loads(listing(store).read_text())
        lacking = next(each["md5"] for each in entries if each["relpath"] == "2")
        for path in [path for path in store.rglob("*") if path.is_file()]:
            if path != of_directory(store, lacking):
                target = repository.place / ".dvc/cache" / path.relative_to(store)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
        assert fetch(repository, "data/dir.dvc", workspace).code == 0
        assert written(workspace)["data/dir/2"] == FILES["2"]

    @pytest.mark.parametrize("name", ["-x", "--help", "a b", "ä;$(touch x)"])
    def test_a_name_is_only_a_name(self, repository: Repository, workspace: Path, name: str) -> None:
        text = (repository.place / "data/t.csv.dvc").read_text().replace("t.csv", json.dumps(name))
        repository.write(f"{name}.dvc", text.encode())
        ended = fetch(repository, f"{name}.dvc", workspace)
        assert ended.code == 0, ended.said
        assert written(workspace) == {name: TABLE}

    def test_damage_is_refused(self, repository: Repository, store: Path, workspace: Path) -> None:
        damage(of_directory(store, TABLE_MD5))
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert (ended.code, "gives it damaged" in ended.said) == (3, True)
        assert written(workspace) == {}

    def test_a_damaged_list_of_files_is_refused(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        damage(listing(store))
        ended = fetch(repository, "data/dir.dvc", workspace)
        assert ended.code in (3, 5)
        assert "Traceback" not in ended.said
        assert written(workspace) == {}

    def test_what_was_never_pushed_is_not_there(
        self, repository: Repository, store: Path, workspace: Path
    ) -> None:
        of_directory(store, TABLE_MD5).unlink()
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert (ended.code, "does not have it" in ended.said) == (5, True)

    def test_a_server_that_is_down_is_not_called_one_without_the_data(
        self, repository: Repository, workspace: Path
    ) -> None:
        with http_server(workspace.parent) as url:
            pass
        repository.remote(url)
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        assert (ended.code, "cannot be reached: [Errno 111] Connection refused" in ended.said) == (5, True)


@pytest.mark.slow
@pytest.mark.parametrize("trickle", [False, True])
def test_a_server_that_does_not_go_on_is_given_up_within_a_minute(
    repository: Repository, workspace: Path, *, trickle: bool
) -> None:
    repository.drop_cache()
    with stuck_server(trickle=trickle) as url:
        repository.remote(url)
        began = time.monotonic()
        ended = fetch(repository, "data/t.csv.dvc", workspace)
        took_s = time.monotonic() - began
    assert ended.code == 5, ended.said
    assert took_s < 70  # and what it takes to start dvc
    assert written(workspace) == {}


class TestFromS3:
    @pytest.fixture
    def bucket(self, repository: Repository, s3: str) -> Repository:
        bucket = Repository(
            repository.place, tools("dvc-s3"), {**repository.environ, "AWS_DEFAULT_REGION": "us-east-1"}
        )
        bucket.remote("s3://bucket/path", endpointurl=s3)
        environ = bucket.environ
        bucket.environ = {**environ, **credentials()}
        bucket.dvc("push")
        bucket.environ = environ
        bucket.drop_cache()
        return bucket

    @pytest.mark.parametrize("local", [True, False])
    def test_everything_comes_with_credentials(
        self, bucket: Repository, workspace: Path, *, local: bool
    ) -> None:
        ended = fetch(bucket, "data/dir.dvc", workspace, credentials(), local=local)
        assert ended.code == 0
        assert written(workspace) == {f"data/dir/{name}": content for name, content in FILES.items()}
        assert SECRET not in ended.said

    def test_without_credentials_it_says_so(self, bucket: Repository, workspace: Path) -> None:
        ended = fetch(bucket, "data/t.csv.dvc", workspace)
        assert (ended.code, "Unable to locate credentials" in ended.said) == (5, True)
        assert written(workspace) == {}

    def test_credentials_of_this_machines_own_configuration_count(
        self, bucket: Repository, s3: str, workspace: Path
    ) -> None:
        given = {"access_key_id": credentials()["AWS_ACCESS_KEY_ID"], "secret_access_key": SECRET}
        bucket.remote("s3://bucket/path", file="config.local", endpointurl=s3, **given)
        ended = fetch(bucket, "data/t.csv.dvc", workspace)
        assert (ended.code, SECRET in ended.said) == (0, False)
        assert all(
            SECRET.encode() not in path.read_bytes() for path in workspace.rglob("*") if path.is_file()
        )

    def test_a_bucket_that_is_not_there_is_said(self, bucket: Repository, s3: str, workspace: Path) -> None:
        bucket.remote("s3://nobody/path", endpointurl=s3)
        assert fetch(bucket, "data/t.csv.dvc", workspace, credentials()).code == 5


class TestImports:
    def test_what_another_repository_keeps_comes_from_there(
        self, repository: Repository, workspace: Path, tmp_path: Path
    ) -> None:
        other = Repository.make(tmp_path / "other")
        other.dvc("import", str(repository.place), "data/dir", "-o", "taken")
        other.commit()
        other.drop_cache()
        ended = fetch(other, "taken.dvc", workspace)
        assert (ended.code, ended.said.splitlines()[0]) == (0, "5 objects, each as taken.dvc says")
        assert written(workspace) == {f"taken/{name}": content for name, content in FILES.items()}

    def test_what_was_taken_from_an_address_comes_from_the_remote(
        self, repository: Repository, workspace: Path, tmp_path: Path
    ) -> None:
        source = tmp_path / "source.csv"
        source.write_bytes(TABLE)
        repository.dvc("import-url", str(source), "data/url.csv")
        repository.dvc("push")
        repository.drop_cache()
        source.unlink()
        assert fetch(repository, "data/url.csv.dvc", workspace).code == 0
        assert written(workspace) == {"data/url.csv": TABLE}


class TestFromDvc2:
    """Before DVC 3, line ends of texts did not count, and objects lay elsewhere."""

    @pytest.fixture(scope="session")
    @staticmethod
    def dvc_2() -> Path:
        return environment("dvc-2", "dvc==2.58.2\n", "--exclude-newer", "2023-06-15")

    @pytest.fixture
    def older(self, dvc_2: Path, tmp_path: Path) -> Repository:
        older = Repository.make(tmp_path / "top/older", dvc_2)
        older.write("t.csv", TABLE)
        older.write("d/unix", b"a\nb\n")
        older.write("d/dos", b"a\r\nb\r\n")
        older.write("d/binary", b"\0\r\n\1")
        older.dvc("add", "t.csv", "d")
        older.remote("../../older-store")
        older.dvc("push")
        return older

    @pytest.mark.parametrize("web", [False, True])
    def test_everything_comes(self, older: Repository, workspace: Path, *, web: bool) -> None:
        assert "hash:" not in (older.place / "t.csv.dvc").read_text()
        older.drop_cache()
        with http_server(older.place.parent / "older-store") as url:
            if web:
                older.remote(url)
            assert fetch(older, "t.csv.dvc", workspace).code == 0
            assert fetch(older, "d.dvc", workspace).code == 0
        assert (workspace / "t.csv").read_bytes() == TABLE
        assert (workspace / "d/binary").read_bytes() == b"\0\r\n\1"
        assert (workspace / "d/dos").read_bytes() in (b"a\nb\n", b"a\r\nb\r\n")  # one object for DVC

    def test_damage_is_refused(self, older: Repository, workspace: Path) -> None:
        older.drop_cache()
        store = older.place.parent / "older-store"
        damage(next(path for path in store.rglob("*") if path.is_file() and path.read_bytes() == TABLE))
        assert fetch(older, "t.csv.dvc", workspace).code == 3
