"""`penstock evidence`: directories, archives, versions in MLflow and artifacts in a registry of images."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import docker_registry
import registry_samples
from evidence_samples import (
    EC,
    EVIDENCE,
    KEY,
    METRICS,
    MODEL,
    PACKAGE,
    Made,
    make,
    new_key,
    pem,
    report,
    start,
)
from penstock import cli
from penstock.commands import evidence as command
from penstock.commands import models
from penstock.errors import PenstockError, RefusedError, UsageError
from penstock.publish import archive
from registry_samples import part

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A project whose last run has left evidence; commands are given in it."""
    made = make(tmp_path / "project")
    (made.root / "key.pem").write_bytes(made.public_key or b"")
    (made.root / ".penstock").mkdir()
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run in this process, where their tools are installed too, and not in environments of their own."""
    kinds = {2: UsageError, 3: RefusedError}

    def perform(program: str, request: Mapping[str, Any], **_options: Any) -> Mapping[str, Any]:
        place = tmp_path / f"errand-{program}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "request.json").write_text(json.dumps({**request, "receipt": "receipt.json"}))
        error = io.StringIO()
        with chdir(place), pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stderr", error)
            code = import_module(f"penstock.programs.{program}.main").main(["request.json"])
        if code:
            raise kinds.get(code, PenstockError)(error.getvalue().strip())
        receipt: Mapping[str, Any] = json.loads((place / "receipt.json").read_text())
        return receipt

    monkeypatch.setattr(command, "perform", perform)


@pytest.fixture
def penstock(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "100")

    def penstock(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["evidence", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return penstock


@pytest.mark.network
def test_a_project_verifies_its_own_evidence_in_an_environment_of_its_own(
    project: Made, penstock: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    code, out, _ = penstock("verify", "--key", "key.pem")
    assert code == 0
    assert "is signed by the key that was asked for" in out
    (project.model / "model.onnx").write_bytes(b"evil")
    code, out, error = penstock("verify", "--key", "key.pem")
    assert (code, out) == (3, "")
    assert "model.onnx: holds other bytes than were judged" in error
    assert len(error.splitlines()) == 1


@pytest.mark.usefixtures("started")
class TestDirectories:
    def test_what_is_told(self, project: Made, penstock: Cli) -> None:
        code, out, _ = penstock("verify", "--key", "key.pem")
        assert code == 0
        for text in (
            f"churn, run {report().run_id}: PASSED",
            project.run,
            "SLSA_BUILD_LEVEL_1: signed with a key that the build could read",
            "✓ roc_auc: pass: roc_auc is 0.84123, at least 0.8",
            f"✓ {MODEL} (directory)",
            "training: 2",
            "is signed by the key that was asked for",
        ):
            assert text in out
        assert "not looked at" not in out

    def test_to_show_it_looks_at_no_model(self, project: Made, penstock: Cli) -> None:
        shutil.rmtree(project.model)
        code, out, _ = penstock("show")
        assert code == 0
        assert "not looked at" in out
        assert "no key was demanded" in out

    def test_json_is_everything_that_is_known(self, project: Made, penstock: Cli) -> None:
        code, out, _ = penstock("verify", "--key", "key.pem", "--json")
        facts = json.loads(out)
        assert code == 0
        assert (facts["trusted"], facts["run"], facts["passed"]) == (True, project.run, True)

    @pytest.mark.parametrize("name", [EVIDENCE, "."])
    def test_by_its_own_name_or_that_of_the_project(self, project: Made, penstock: Cli, name: str) -> None:
        assert penstock("verify", name, "--key", "key.pem")[0] == 0
        (project.model / "more").touch()
        assert penstock("verify", name, "--key", "key.pem")[0] == 3

    def test_elsewhere_with_a_model_elsewhere(self, project: Made, penstock: Cli, tmp_path: Path) -> None:
        shutil.copytree(project.evidence, tmp_path / "evidence")
        shutil.copytree(project.model, tmp_path / "model")
        given = ("verify", str(tmp_path / "evidence"), "--model", str(tmp_path / "model"), "--key", "key.pem")
        code, out, _ = penstock(*given)
        assert code == 0
        assert f"✓ {MODEL}" in out
        assert f"· {METRICS}" in out
        (tmp_path / "model/.github").mkdir()
        (tmp_path / "model/.github/evil.py").touch()
        assert penstock(*given)[0] == 3

    def test_of_another_run_or_by_another_key(self, project: Made, penstock: Cli, tmp_path: Path) -> None:
        assert penstock("verify", "--run", project.run)[0] == 0
        assert penstock("verify", "--run", "sha256:" + 64 * "0")[0] == 3
        (tmp_path / "other.pem").write_bytes(make(tmp_path / "other").public_key or b"")
        code, _, error = penstock("verify", "--key", str(tmp_path / "other.pem"))
        assert code == 3
        assert "signed by key" in error

    def test_names_in_it_are_inert(
        self, tmp_path: Path, penstock: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = report(pipeline="churn\x1b[31m::error::", executor="local\n::set-output")
        made = make(tmp_path / "hostile", run=run)
        monkeypatch.chdir(made.root)
        code, out, _ = penstock("show", EVIDENCE)
        assert code == 0
        assert "\x1b" not in out
        assert "\n::" not in out

    @pytest.mark.parametrize(
        "arguments",
        [
            ("verify", "nowhere"),
            ("verify", "models:/churn"),
            ("verify", "models:/churn@a/b"),
            ("show", "UPPER:tag"),
            ("verify", "--key", "nowhere.pem"),
            ("verify", "--model", "nowhere"),
            ("show", "pipelines"),
            ("show", "key.pem"),
        ],
    )
    def test_what_is_nothing_is_said_in_one_sentence(
        self, project: Made, penstock: Cli, arguments: tuple[str, ...]
    ) -> None:
        (project.root / "pipelines").mkdir()
        code, out, error = penstock(*arguments)
        assert (code, out) == (2, "")
        assert error.startswith("penstock: ")


@pytest.fixture
def archived(project: Made, tmp_path: Path) -> Path:
    """The archive of the run."""
    parts = [part(project.root, path) for path in (METRICS, MODEL)]
    contents = archive.contents(report(), parts)
    place = tmp_path / "dist" / contents.name
    archive.write(contents, project.root, place)
    return place


@pytest.mark.usefixtures("started")
class TestArchives:
    def test_an_archive_is_verified_with_the_evidence_of_its_run(
        self, project: Made, archived: Path, penstock: Cli
    ) -> None:
        shutil.rmtree(project.model)
        code, out, _ = penstock("verify", str(archived), "--key", "key.pem")
        assert code == 0
        assert f"✓ {MODEL}" in out
        assert f"· {PACKAGE}" in out

    def test_every_changed_member_is_refused(self, archived: Path, penstock: Cli) -> None:
        data = archived.read_bytes()
        for text in (b"weightsweights", b"yes\n", b'"pipeline": "churn"', b"0.84}"):
            assert data.count(text)
            archived.write_bytes(data.replace(text, text[:-1] + b"X"))
            assert penstock("verify", str(archived), "--key", "key.pem")[0] == 3, text

    def test_an_archive_of_another_run_is_refused(
        self, project: Made, archived: Path, penstock: Cli, tmp_path: Path
    ) -> None:
        other = make(tmp_path / "other", key=project.key, run=report(params={"train": {"other": 1}}))
        given = ("verify", str(archived), "--key", "key.pem", "--evidence", str(other.evidence))
        code, _, error = penstock(*given)
        assert code == 3
        assert "evidence of run" in error


@pytest.fixture
def published(tmp_path: Path) -> tuple[registry_samples.Published, Any]:
    """A run with evidence, as publications find it, and the key that signed it."""
    run = registry_samples.workspace(tmp_path / "run")
    key = new_key(EC)
    request = {
        **run.request,
        "action": "create",
        "environments": {"training": ["numpy==2.4.6\n"]},
        "key": KEY,
    }
    assert start(run.workspace, {**request, "result": EVIDENCE}, pem(key)) == 0
    return replace_request(run), key


def replace_request(run: registry_samples.Published) -> registry_samples.Published:
    return registry_samples.Published(run.workspace, {**run.request, "evidence": EVIDENCE}, run.report)


@pytest.fixture
def their_key(published: tuple[registry_samples.Published, Any], tmp_path: Path) -> str:
    made = Made(root=tmp_path, run="", key=published[1])
    (tmp_path / "their.pem").write_bytes(made.public_key or b"")
    return str(tmp_path / "their.pem")


class TestRegistered:
    """Versions in MLflow, by the program `registry` with its own locked packages."""

    @pytest.fixture
    def registry(
        self,
        published: tuple[registry_samples.Published, Any],
        project: Made,
        monkeypatch: pytest.MonkeyPatch,
    ) -> registry_samples.Registry:
        found = registry_samples.Registry(project.root / ".penstock")
        assert found.publish(published[0]).code == 0

        def asked(request: Mapping[str, Any]) -> Mapping[str, Any]:
            action = request["action"]
            ended = found.act(action, **{key: each for key, each in request.items() if key != "action"})
            if ended.code:
                raise {2: UsageError, 3: RefusedError}[ended.code](ended.err.strip().splitlines()[-1])
            assert ended.receipt is not None
            return ended.receipt

        monkeypatch.setattr(models, "asked", asked)
        return found

    @pytest.mark.usefixtures("registry")
    @pytest.mark.parametrize("name", ["models:/churn@candidate", "models:/churn/1"])
    def test_a_version_is_verified(
        self, published: tuple[registry_samples.Published, Any], their_key: str, penstock: Cli, name: str
    ) -> None:
        code, out, error = penstock("verify", name, "--key", their_key)
        assert code == 0, error
        assert published[0].digest in out
        assert "is signed by the key that was asked for" in out
        assert penstock("verify", name, "--key", "key.pem")[0] == 3  # the project's own key is another one
        assert penstock("verify", name, "--key", their_key, "--run", "sha256:0")[0] == 3

    @pytest.mark.usefixtures("registry")
    def test_a_version_that_was_damaged_is_refused(
        self, project: Made, their_key: str, penstock: Cli
    ) -> None:
        (weights,) = [
            path
            for path in (project.root / ".penstock/mlflow").rglob("weights.bin")
            if "/model/data/" in path.as_posix()
        ]
        weights.write_bytes(b"evil")
        code, out, error = penstock("verify", "models:/churn@candidate", "--key", their_key)
        assert (code, out) == (3, "")
        assert error.startswith("penstock: ")

    def test_a_version_without_evidence_is_no_success(
        self, registry: registry_samples.Registry, penstock: Cli, tmp_path: Path
    ) -> None:
        assert registry.publish(registry_samples.workspace(tmp_path / "second", "second")).code == 0
        code, _, error = penstock("show", "models:/churn@candidate")
        assert code == 3
        assert "was published without evidence" in error


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker_registry.Registry]:
    with docker_registry.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.mark.usefixtures("started", "project")
class TestArtifacts:
    """Artifacts in Debian's docker-registry."""

    @pytest.fixture
    def name(
        self,
        published: tuple[registry_samples.Published, Any],
        images: docker_registry.Registry,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> str:
        monkeypatch.setenv("HOME", str(tmp_path))
        repository = f"127.0.0.1:{images.port}/ml/{tmp_path.name.lower().replace('_', '-')}"
        request = {
            **published[0].request,
            "action": "push-artifact",
            "repository": repository,
            "tags": ["1.0.0"],
            "alias": "latest",
            "insecure": True,
        }
        workspace = published[0].workspace
        (workspace / "push.json").write_text(json.dumps(request))
        with chdir(workspace):
            assert import_module("penstock.programs.oci.main").main(["push.json"]) == 0
        return f"{repository}:1.0.0"

    def test_an_artifact_is_verified(
        self, published: tuple[registry_samples.Published, Any], name: str, their_key: str, penstock: Cli
    ) -> None:
        code, out, error = penstock("verify", name, "--key", their_key, "--insecure")
        assert code == 0, error
        assert published[0].digest in out
        assert "is signed by the key that was asked for" in out
        code, _, error = penstock("verify", name, "--key", "key.pem", "--insecure")
        assert code == 3
        assert "signed by key" in error

    def test_what_is_not_there_is_said(self, name: str, penstock: Cli) -> None:
        code, _, error = penstock("show", name.replace("1.0.0", "9.9.9"), "--insecure")
        assert code == 2
        assert "9.9.9" in error
