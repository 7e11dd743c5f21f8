"""Data sets that DVC keeps: what is read from `.dvc` files, what is refused, and the stage that fetches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.errors import PipelineError
from penstock.plan.dvc_config import FOLDER, read_remotes, tools_of
from penstock.plan.dvc_files import Tracked, read_dvc_file
from penstock.plan.load import Loaded
from penstock.plan.reads import Reads
from penstock.programs.common import dvc_repository

Load = Callable[..., Loaded]
MD5, OTHER = "b202f333fba4fd38d4b8e5e693077aab", "9c2c2c581c7322fc2faafe4d47dba76f"
ONE = f"outs:\n- md5: {MD5}\n  size: 10\n  hash: md5\n  path: t.csv\n"
HEAD = "version: 1\nname: x\n"


@pytest.fixture(autouse=True)
def _repository(root: Path) -> None:
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("")
    (root / "data").mkdir()


def tracked(root: Path, text: str) -> tuple[Tracked, ...]:
    (root / "data/x.dvc").write_text(text)
    return read_dvc_file("data/x.dvc", Reads(root=root)).tracked


def test_a_file_is_known_by_its_hash(root: Path) -> None:
    (found,) = tracked(root, ONE)
    assert (found.path, found.pledge, found.size_bytes) == ("data/t.csv", f"md5:{MD5}", 10)


def test_before_dvc_3_line_ends_of_texts_did_not_count(root: Path) -> None:
    (found,) = tracked(root, f"outs:\n- md5: {MD5}\n  path: t.csv\n")
    assert found.pledge == f"md5-dos2unix:{MD5}"


def test_there_may_be_several_outputs_and_another_directory(root: Path) -> None:
    text = f"wdir: ../build\nouts:\n- {{md5: {MD5}, hash: md5, path: a, isexec: true, remote: r}}\n"
    one, two = tracked(root, f"{text}- {{md5: {OTHER}.dir, hash: md5, path: ./b/c, nfiles: 3}}\n")
    assert (one.path, one.executable, one.remote) == ("build/a", True, "r")
    assert (two.path, two.pledge) == ("build/b/c", f"md5:{OTHER}.dir")


def test_what_people_note_down_does_not_matter(root: Path) -> None:
    more = "  desc: d\n  type: t\n  labels: [a]\n  meta: {k: v}\n  persist: true\n"
    assert tracked(root, f"desc: a\nmeta: {{k: 1}}\nfrozen: true\nmd5: abc\n{ONE}{more}")


def test_an_import_is_data_of_another_repository(root: Path) -> None:
    deps = f"deps:\n- path: d\n  repo: {{url: https://example.com/r, rev_lock: {MD5}}}\n"
    (root / "data/x.dvc").write_text(f"frozen: true\n{deps}{ONE}")
    assert read_dvc_file("data/x.dvc", Reads(root=root)).imported


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outs: []\n", "data/x.dvc:1: `outs` is no list of outputs"),
        ("", "data/x.dvc:1: `outs` is no list of outputs"),
        ("outs: [1]\n", "data/x.dvc:1: `outs[0]` is 1, which is no output"),
        ("- 1\n", "data/x.dvc:1: holds a list, not a mapping"),
        (f"cmd: python x\n{ONE}", "data/x.dvc:1: has a command, as stages had before DVC 1"),
        (f"{ONE}else: 1\n", "data/x.dvc:6: has 'else', which Penstock does not know how to honour"),
        (f"{ONE}  else: 1\n", "data/x.dvc:6: has 'else', which Penstock does not know how to honour"),
        (f"{ONE}  cache: false\n", "data/x.dvc:6: output 'data/t.csv' is not kept by DVC (`cache: false`)"),
        (f"{ONE}  push: false\n", "data/x.dvc:6: output 'data/t.csv' is on no remote (`push: false`), so"),
        (f"{ONE}  remote: 3\n", "data/x.dvc:6: `remote` is 3, which is no text"),
        ("outs:\n- path: t\n", "data/x.dvc:2: output 'data/t' has no hash yet"),
        ("outs:\n- path: t\n  md5: 12\n", "data/x.dvc:3: output 'data/t': 12 is no MD5 as DVC writes it"),
        ("outs:\n- path: t\n  md5: ABC\n", "data/x.dvc:3: output 'data/t': 'ABC' is no MD5"),
        (f"outs:\n- path: t\n  md5: {MD5}\n  hash: sha256\n", "data/x.dvc:4: output 'data/t' has a hash of"),
        ("outs:\n- path: t\n  etag: a\n", "data/x.dvc:3: output 't' is known by an ETag and not by an MD5"),
        ("outs:\n- path: t\n  files: []\n", "data/x.dvc:3: output 't' is kept by the versions of a cloud"),
        ("outs:\n- path: t\n  checksum: a\n", "data/x.dvc:3: output 't' is known by a checksum of HDFS"),
        (f"outs:\n- md5: {MD5}\n", "data/x.dvc:2: `outs[0].path` is null, which is no path"),
        (f"outs:\n- {{md5: {MD5}, path: /t}}\n", "data/x.dvc:2: output '/t' lies outside of the repository"),
        (f"outs:\n- {{md5: {MD5}, path: 's3://b/t'}}\n", "data/x.dvc:2: output 's3://b/t' lies outside"),
        (f"outs:\n- {{md5: {MD5}, path: ../../t}}\n", "data/x.dvc:2: output '../../t' leads out of"),
        (f"outs:\n- {{md5: {MD5}, path: ../.git/t}}\n", "data/x.dvc:2: output '../.git/t' is '.git/t', but"),
        (f"outs:\n- {{md5: {MD5}, path: ..}}\n", "data/x.dvc:2: output '..' is '.', the whole root"),
        (f"wdir: /\n{ONE}", "data/x.dvc:6: output 't.csv' lies outside of the repository"),
        (f"deps: 1\n{ONE}", "data/x.dvc:1: `deps` is no list of dependencies"),
        (f"deps: [{{repo: {{}}}}]\n{ONE}", "data/x.dvc:1: `deps[0].repo` names no repository"),
        (f"deps: [{{repo: {{url: a}}}}]\n{ONE}", "data/x.dvc:1: the import is locked to no commit"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_line(root: Path, text: str, message: str) -> None:
    with pytest.raises(PipelineError) as refused:
        tracked(root, text)
    assert str(refused.value).startswith(message)
    assert refused.value.exit_code == 2


def test_a_repository_may_lie_below_the_root(root: Path) -> None:
    (root / "sub/.dvc").mkdir(parents=True)
    (root / "sub/.dvc/config").write_text("[core]\n    remote = r\n['remote \"r\"']\n    url = s3://b\n")
    (root / "sub/x.dvc").write_text(ONE)
    found = read_dvc_file("sub/x.dvc", Reads(root=root))
    assert (found.repository, found.config, found.kind) == ("sub", "sub/.dvc/config", "s3")


def test_without_a_repository_it_says_what_to_do(root: Path) -> None:
    (root / ".dvc/config").unlink()
    with pytest.raises(PipelineError, match="belongs to no DVC repository") as refused:
        tracked(root, ONE)
    assert "dvc init" in str(refused.value)


CONFIGURED = """
[core]
    analytics = false
    remote = Main   # the one
['remote "main"']
    url = "s3://bucket/a # b"
[remote "folder"]
    url=../store
['remote "deep"']
    url = remote://FOLDER/x
['remote "drive"']
    url = gdrive://abc
['remote "web"']
    url = https://example.com/x
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [(None, "s3"), ("MAIN", "s3"), ("folder", FOLDER), ("deep", FOLDER), ("web", "http"), ("other", "http")],
)
def test_the_kind_of_a_remote_decides_on_the_tools(root: Path, name: str | None, kind: str) -> None:
    (root / ".dvc/config").write_text(CONFIGURED)
    assert read_remotes("", Reads(root=root)).kind(name) == kind


def test_every_kind_has_its_tools() -> None:
    place = Path(dvc_repository.__file__).parents[2] / "plan/tools"
    for kind in ("http", "s3", "gs", "azure", "ssh", "webdav"):
        assert "\ndvc==" in (place / f"{tools_of(kind)}.txt").read_text()


def test_a_kind_without_tools_is_refused(root: Path) -> None:
    (root / ".dvc/config").write_text(CONFIGURED)
    with pytest.raises(PipelineError, match="'drive' is of the kind 'gdrive'; Penstock knows folders, azure"):
        tracked(root, f"{ONE}  remote: drive\n")


def test_this_machines_own_configuration_comes_first(root: Path) -> None:
    (root / ".dvc/config").write_text(CONFIGURED)
    (root / ".dvc/config.local").write_text("['remote \"main\"']\n    url = /mnt/mirror\n")
    assert read_remotes("", Reads(root=root)).kind(None) == FOLDER


def test_a_configuration_that_is_none_is_refused(root: Path) -> None:
    (root / ".dvc/config").write_text("[core\n")
    with pytest.raises(PipelineError, match=r"\.dvc/config: is no configuration of DVC: "):
        read_remotes("", Reads(root=root))


def test_plan_and_programs_read_configurations_alike(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".dvc/config").write_text(CONFIGURED)
    monkeypatch.setenv("PENSTOCK_ROOT", str(root))
    read = dvc_repository.read("")
    planned = read_remotes("", Reads(root=root))
    for name in (None, "main", "folder", "drive", "web"):
        known, url = read.remote(name)
        expected = planned.urls[(name or planned.default or "").lower()]
        assert url == (str(root / "store") if expected == "../store" else expected), known
    assert read.remote("deep") == ("folder", str(root / "store"))


def plan_of(
    root: Path, load_text: Load, data: str, stages: str = "s: {run: 'true', inputs: [data]}"
) -> Loaded:
    (root / "data/t.csv.dvc").write_text(ONE)
    (root / "data/d.dvc").write_text(f"outs:\n- {{md5: {OTHER}.dir, hash: md5, path: d}}\n")
    return load_text(f"{HEAD}data: {{{data}}}\nsecrets: {{TOKEN_A: {{}}}}\nstages: {{{stages}}}\n")


def test_a_data_set_implies_the_stage_that_fetches_it(root: Path, load_text: Load) -> None:
    plan = plan_of(root, load_text, "t: {dvc: data/t.csv.dvc, secrets: [TOKEN_A]}").plan
    stage = plan.stage("fetch-t")
    assert stage.sources == (".dvc/config", "data/t.csv.dvc")
    assert stage.pledges == (("data/t.csv", f"md5:{MD5}"),)
    assert (stage.uses, stage.outside, stage.cache, stage.secrets) == ("dvc", True, True, ("TOKEN_A",))
    assert [(item.path, item.stage) for item in plan.stage("s").produced] == [("data/t.csv", "fetch-t")]
    assert stage.environment.extra_requirements.count("\ndvc==") == 1


def test_a_remote_that_is_a_folder_needs_no_tools(root: Path, load_text: Load) -> None:
    (root / ".dvc/config").write_text("[core]\n    remote = folder\n['remote \"folder\"']\n    url = ../s\n")
    stage = plan_of(root, load_text, "t: {dvc: data/t.csv.dvc}").plan.stage("fetch-t")
    assert stage.environment.extra_requirements == ""


def test_a_remote_on_s3_gets_what_its_library_looks_for(root: Path, load_text: Load) -> None:
    (root / ".dvc/config").write_text(CONFIGURED)
    stage = plan_of(root, load_text, "t: {dvc: data/t.csv.dvc}").plan.stage("fetch-t")
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} <= {*stage.passes}
    assert "\ndvc-s3==" in stage.environment.extra_requirements


def test_data_sets_of_one_dvc_file_are_fetched_once(root: Path, load_text: Load) -> None:
    data = (
        "a: {dvc: data/d.dvc, path: data/d/a.csv}, b: {dvc: data/d.dvc, path: data/d/b.csv, schema: s.yaml}"
    )
    plan = plan_of(root, load_text, data, "v: {uses: validate-data, data: b}").plan
    assert [stage.name for stage in plan.stages] == ["fetch-a", "v"]
    assert [item.path for item in plan.stage("v").produced] == ["data/d/b.csv"]


def test_a_change_of_the_dvc_file_is_a_change_of_the_plan(root: Path, load_text: Load) -> None:
    first = plan_of(root, load_text, "t: {dvc: data/t.csv.dvc}")
    assert str(root / "data/t.csv.dvc") in first.read
    assert str(root / ".dvc/config.local") in first.read


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("t: {}", "p.yaml:3: data set 't': names no file"),
        ("t: {dvc: data/t.csv}", "p.yaml:3: data set 't': names 'data/t.csv', which is no `.dvc` file"),
        (
            "t: {path: a, secrets: [TOKEN_A]}",
            "p.yaml:3: data set 't': has secrets, and nothing to fetch with them",
        ),
        ("t: {dvc: data/none.dvc}", "p.yaml:3: data set 't': 'data/none.dvc' is not there"),
        ("t: {dvc: data/t.csv.dvc, path: x}", "p.yaml:3: data set 't': 'x' is no output of data/t.csv.dvc"),
        ("t: {dvc: data/t.csv.dvc, secrets: [NONE]}", "p.yaml:3: stage 'fetch-t': there is no secret 'NONE'"),
        ("t: {dvc: ../t.dvc}", "p.yaml:3: data set 't': `dvc` is '../t.dvc', which may lead out of the root"),
    ],
)
def test_a_wrong_data_set_is_refused_by_line(root: Path, load_text: Load, data: str, message: str) -> None:
    with pytest.raises(PipelineError) as refused:
        plan_of(root, load_text, data)
    assert str(refused.value).startswith(message)


def test_several_outputs_are_several_data_sets(root: Path, load_text: Load) -> None:
    two = f"outs:\n- {{md5: {MD5}, hash: md5, path: a}}\n- {{md5: {OTHER}, hash: md5, path: b}}\n"
    (root / "data/two.dvc").write_text(two)
    with pytest.raises(PipelineError, match="stands for several outputs") as refused:
        plan_of(root, load_text, "t: {dvc: data/two.dvc}")
    assert "say which the data set is: `path: <output>`" in str(refused.value)


def test_a_remote_is_told_without_passwords_and_tokens(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://me:hunter2@example.com/x?sig=abc"
    (root / ".dvc/config").write_text(f"['remote \"r\"']\n    url = {url}\n")
    monkeypatch.setenv("PENSTOCK_ROOT", str(root))
    assert dvc_repository.read("").told("r") == "remote 'r' (https://example.com/x)"
