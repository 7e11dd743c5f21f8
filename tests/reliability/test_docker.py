"""The Docker executor on a real daemon: what its containers are given, and that none of them is left."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import docker_samples
from penstock.executors.docker import Docker
from penstock.executors.docker_environments import tag_of
from penstock.executors.environments import Environments
from penstock.plan.model import Environment
from reliability.runs import Project, ended, stop_group
from stage_samples import appears, gone, marker
from wheels import wheel

SECRET = 's3cr3t\'of\nthe $HOUSE \\ "77"'
DOCKER = ("--executor", "docker")


def _project(tmp_path: Path, stages: str, *, more: str = "", image: str | None = None) -> Project:
    docker_samples.demand_daemon()
    text = f"environment: {{image: {image or docker_samples.image()}}}\n{more}stages:\n{stages}"
    variables = {"DOCKER_HOST": os.environ["DOCKER_HOST"]} if "DOCKER_HOST" in os.environ else {}
    return Project.at(tmp_path, text, environ=variables)


def _label(project: Project) -> str:
    return Docker(Environments(project.store, project.root)).project


def _containers(project: Project, within_s: float = 0.0) -> list[dict[str, Any]]:
    """Those of a project; some are waited for if there is time."""
    api = docker_samples.demand_daemon().api
    until = time.monotonic() + within_s
    while True:
        found = api.containers(all=True, filters={"label": f"penstock.project={_label(project)}"})
        if found or time.monotonic() > until:
            return [api.inspect_container(each["Id"]) for each in found]
        time.sleep(0.05)


def _attempt(project: Project, at: int = 0) -> dict[str, Any]:
    attempt: dict[str, Any] = project.report()["stages"][at]["attempts"][-1]
    return attempt


def test_a_stage_sees_its_inputs_only_and_its_outputs_are_the_callers(tmp_path: Path) -> None:
    project = _project(
        tmp_path,
        "  s: {run: 'pwd; ls; ls /penstock; id -u; umask; mkdir out; cp in/a out/b', inputs: [in], outputs: [out]}\n",
    )
    project.write("in/a", b"1")
    project.write("other", b"2")
    assert project.runs(*DOCKER) == {"s": "ran"}
    lines = _attempt(project)["log"].splitlines()
    user = 0 if docker_samples.demand_daemon().rootless else os.geteuid()  # root there is the caller here
    assert lines == ["/penstock/work", "in", "usage", "work", str(user), lines[-1]]
    assert (project.root / "out/b").read_bytes() == b"1"
    assert (project.root / "out/b").stat().st_uid == os.geteuid()
    assert _containers(project) == []
    assert project.leftovers() == []


@pytest.fixture
def ordinary() -> Iterator[Path]:
    """A directory of an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("every other test is this one for an ordinary user")
    with tempfile.TemporaryDirectory(prefix="penstock-test-") as place:
        yield Path(place)


def test_an_ordinary_user_gets_outputs_of_their_own(ordinary: Path) -> None:
    project = _project(ordinary, "  s: {run: 'id -u; echo 1 > out; echo 2 > /tmp/x', outputs: [out]}\n")
    address = docker_samples.demand_daemon().address
    if not address.startswith("unix://"):
        pytest.skip("only a socket's group can let another user in")
    project.home.mkdir()
    subprocess.run(["chown", "-R", "65534:65534", str(ordinary)], check=True)
    group = Path(address.removeprefix("unix://")).stat().st_gid
    become = ("setpriv", "--reuid=65534", "--regid=65534", f"--groups={group}")
    done = project.run(*DOCKER, before=become)
    assert done.code == 0, done.said
    assert _attempt(project)["log"] == "65534\n"
    assert (project.root / "out").stat().st_uid == 65534
    assert project.leftovers() == []


def test_what_is_not_the_stages_own_cannot_be_written(tmp_path: Path) -> None:
    script = "touch in/b || true; touch /etc/x || true; touch /penstock/x || true"
    project = _project(tmp_path, f"  s: {{run: '{script}', inputs: [in]}}\n")
    project.write("in/a", b"1")
    assert project.runs(*DOCKER) == {"s": "ran"}
    assert _attempt(project)["log"].count("Read-only file system") == 3
    assert [path.name for path in (project.root / "in").iterdir()] == ["a"]


def test_an_input_that_was_copied_and_changed_fails_the_stage(tmp_path: Path) -> None:
    # its directory is taken apart, for an output goes there
    project = _project(
        tmp_path, "  s: {run: 'echo 2 >> d/in.txt; echo 1 > d/out', inputs: [d/*.txt], outputs: [d/out]}\n"
    )
    project.write("d/in.txt", b"1")
    assert project.run(*DOCKER).code == 1
    assert "changed its input 'd/in.txt'" in _attempt(project)["problem"]
    assert (project.root / "d/in.txt").read_bytes() == b"1"


def test_both_streams_come_in_order_and_a_long_log_comes_whole(tmp_path: Path) -> None:
    project = _project(
        tmp_path, "  s: {run: 'for i in 1 2 3; do echo o$i; echo e$i >&2; done; seq 1 20000; exit 9'}\n"
    )
    assert project.run(*DOCKER).code == 1
    attempt = _attempt(project)
    counted = "".join(f"{number}\n" for number in range(1, 20001))
    assert attempt["log"] == f"o1\ne1\no2\ne2\no3\ne3\n{counted}"
    assert attempt["exit_code"] == 9
    assert attempt["usage"]["peak_memory_bytes"] > 0


def test_a_secret_is_in_the_command_s_environment_and_nowhere_else(tmp_path: Path) -> None:
    script = 'printf %s "$TOKEN" | od -An -tx1; echo "$TOKEN"; while [ ! -e /tmp/go ]; do sleep 0.05; done'
    project = _project(
        tmp_path, f"  s:\n    secrets: [TOKEN]\n    run: |\n      {script}\n", more="secrets: {TOKEN: {}}\n"
    )
    project.environ["TOKEN"] = SECRET
    process = project.start("run", "-f", "p.yaml", *DOCKER)
    (about,) = _containers(project, within_s=20.0)
    api = docker_samples.demand_daemon().api
    shown = str(about) + str(
        api.logs(about["Id"]) if about["HostConfig"]["LogConfig"]["Type"] != "none" else ""
    )
    (bench,) = (project.root / ".penstock/work").glob("*/tmp-*")
    (bench / "go").touch()
    done = ended(process)
    assert done.code == 0, done.said
    for part in ("s3cr3t", SECRET.encode().hex()):
        assert part not in shown + done.said
    assert about["HostConfig"]["LogConfig"]["Type"] == "none"
    log = _attempt(project)["log"]
    assert "s3cr3t" not in log
    assert "***" in log


def _long(tmp_path: Path, word: str, *, timeout: str = "1h") -> Project:
    """A stage that leaves a daemon in its container and would take a minute, and one beside it."""
    script = f": {word}; (setsid sleep 611 </dev/null >/dev/null 2>&1 &) ; echo begun; sleep 60"
    return _project(
        tmp_path,
        f"  long: {{run: '{script}', timeout: {timeout}, inputs: [a]}}\n"
        f"  beside: {{run: ': {word}; sleep 60', inputs: [a]}}\n",
    )


def test_a_timeout_ends_the_container_and_its_siblings(tmp_path: Path) -> None:
    word = marker()
    project = _long(tmp_path, word, timeout="1")
    project.write("a", b"1")
    done = project.run(*DOCKER, "-j", "2")
    assert done.code == 124, done.said
    assert gone(word)
    assert project.states() == {"long": "timed-out", "beside": "interrupted"}
    assert _attempt(project)["problem"] == "timed out after 1 s"
    assert _attempt(project)["log"] == "begun\n"
    assert _containers(project) == []
    assert project.leftovers() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_no_container(tmp_path: Path, number: signal.Signals, code: int) -> None:
    word = marker()
    project = _long(tmp_path, word)
    project.write("a", b"1")
    process = project.start("run", "-f", "p.yaml", *DOCKER, "-j", "2", start_new_session=True)
    assert appears(word)
    stop_group(process, number)
    done = ended(process)
    assert done.code == code, done.said
    assert gone(word)
    assert set(project.states().values()) <= {"interrupted", "skipped"}
    assert _containers(project) == []
    assert project.leftovers() == []


def test_a_killed_run_s_processes_end_and_the_next_run_removes_its_containers(tmp_path: Path) -> None:
    word = marker()
    project = _long(tmp_path, word)
    project.write("a", b"1")
    process = project.start("run", "-f", "p.yaml", *DOCKER, "-j", "2", start_new_session=True)
    assert appears(word)
    process.kill()
    process.communicate()
    assert gone(word), "the processes outlived the run"
    text = (project.root / "p.yaml").read_text().replace("sleep 60", "true").replace("sleep 611", "true")
    (project.root / "p.yaml").write_text(text)
    assert project.runs(*DOCKER) == {"long": "ran", "beside": "ran"}
    assert _containers(project) == []
    assert project.leftovers() == []


def test_an_out_of_memory_kill_is_told_as_everywhere(tmp_path: Path) -> None:
    if docker_samples.demand_daemon().api.info()["CgroupDriver"] == "none":
        pytest.skip("this daemon can limit no memory: a rootless one needs cgroup v2")
    # the shell's own memory grows; the limit comes from outside, as an administrator's would
    script = "while [ ! -e /tmp/go ]; do sleep 0.05; done; x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done"
    project = _project(tmp_path, f"  s:\n    run: |\n      {script}\n")
    process = project.start("run", "-f", "p.yaml", *DOCKER)
    (about,) = _containers(project, within_s=20.0)
    api = docker_samples.demand_daemon().api
    (bench,) = (project.root / ".penstock/work").glob("*/tmp-*")
    api.update_container(about["Id"], mem_limit="48m", memswap_limit="48m")
    (bench / "go").touch()
    done = ended(process)
    assert done.code == 1, done.said
    assert _attempt(project)["exit_code"] == 137
    assert _attempt(project)["problem"] == "exit code 137 (killed by signal 9, perhaps for want of memory)"
    assert _containers(project) == []


def test_a_gpu_that_the_daemon_has_not_is_one_sentence_with_its_remedy(tmp_path: Path) -> None:
    held = docker_samples.demand_daemon()
    if held.has_gpu():
        pytest.skip("this daemon has GPUs")
    project = _project(tmp_path, "  s: {run: 'true', accelerator: {cuda: {gpus: 1}}}\n")
    assert project.runs(*DOCKER, "--accelerator", "auto") == {"s": "ran"}
    done = project.run(*DOCKER, "--accelerator", "cuda")
    assert done.code == 5
    assert done.err.count("cannot give a container a GPU: install the NVIDIA container toolkit") == 1
    assert "sudo nvidia-ctk runtime configure --runtime=docker" in done.err
    assert _containers(project) == []


def test_an_image_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    project = _project(tmp_path, "  s: {run: 'true'}\n", image="localhost:1/no/such:image")
    done = project.run(*DOCKER)
    assert done.code == 5
    assert "image 'localhost:1/no/such:image' is not on this machine and cannot be had" in done.err
    assert "docker pull localhost:1/no/such:image" in done.err


def test_another_image_of_the_same_name_runs_the_stage_again(tmp_path: Path) -> None:
    held = docker_samples.demand_daemon()
    name = f"{docker_samples.REPOSITORY}:{marker()}"
    repository, tag = name.split(":")
    try:
        held.api.tag(docker_samples.image(), repository, tag)
        project = _project(tmp_path, "  s: {run: 'echo 1 > out', outputs: [out]}\n", image=name)
        assert project.runs(*DOCKER) == {"s": "ran"}
        first = project.report()["stages"][0]["environment"]["image"]
        assert project.runs(*DOCKER) == {"s": "cached"}
        held.api.tag(docker_samples.python_image(), repository, tag)
        assert project.runs(*DOCKER) == {"s": "ran"}
        stage = project.report()["stages"][0]
        assert stage["environment"]["image"] != first
        assert [each["name"] for each in stage["reason"]["changes"]] == ["image"]
    finally:
        held.api.remove_image(name)


def _with_environment(tmp_path: Path, stages: str) -> Project:
    project = _project(
        tmp_path,
        stages,
        more="",
        image=f"{docker_samples.python_image()}, requirements: requirements.txt",
    )
    place = marker()  # no other test has the same image
    wheel(project.root / place)
    (project.root / "requirements.txt").write_text(f"--no-index\n--find-links ./{place}\ntiny==1.0\n")
    project.environ["UV_OFFLINE"] = "1"
    return project


def _tag(project: Project) -> str:
    """The name of the image that a project's lock file is installed into."""
    environments = Environments(project.store, project.root)
    wanted = environments.requirements(Environment(requirements="requirements.txt"))
    base = docker_samples.demand_daemon().find(docker_samples.python_image())
    assert base is not None
    return tag_of(base, None, wanted)


def _made(project: Project) -> list[str]:
    found = docker_samples.demand_daemon().api.images(name=_tag(project))
    return [each["Id"] for each in found]


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Project]:
    """A project with a lock file."""
    project = _with_environment(tmp_path, INSTALLED)
    yield project
    for image in _made(project):
        docker_samples.demand_daemon().api.remove_image(image, force=True)


INSTALLED = """\
  one: {run: 'tiny > one', outputs: [one]}
  two: {run: 'python -c "import tiny; print(tiny.__file__)" > two', outputs: [two]}
"""


def test_a_lock_file_is_installed_once_into_an_image_of_its_own(installed: Project) -> None:
    done = installed.run(*DOCKER, "-j", "2")
    assert done.code == 0, done.said
    assert (installed.root / "one").read_text() == "tiny 1.0\n"
    assert (installed.root / "two").read_text().startswith("/penstock/env/lib/python3")
    assert done.err.count("installing its environment, requirements.txt") == 1
    (made,) = _made(installed)
    about = docker_samples.demand_daemon().api.inspect_image(made)
    assert about["Config"]["Labels"]["penstock.project"] == ""
    assert "UV_OFFLINE" not in str(about)
    again = installed.run(*DOCKER, "--force")
    assert again.code == 0, again.said
    assert "installing" not in again.err


def test_requirements_that_cannot_be_installed_are_told_by_uv_and_nothing_is_kept(installed: Project) -> None:
    requirements = installed.root / "requirements.txt"
    requirements.write_text(requirements.read_text().replace("tiny==1.0", "tiny==2.0"))
    done = installed.run(*DOCKER)
    assert done.code == 5
    assert "the environment for 'requirements.txt' cannot be built" in done.err
    assert "tiny==2.0" in done.err
    assert _made(installed) == []
    assert _containers(installed) == []


def test_a_plan_says_what_would_run(tmp_path: Path) -> None:
    project = _project(tmp_path, "  s: {run: 'true'}\n")
    done = project.command("plan", "-f", "p.yaml", *DOCKER)
    assert done.code == 0
    assert "1 stage would run" in done.out


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry on this machine."""
    if docker_samples.demand_daemon().rootless:
        pytest.skip("a rootless daemon has a network of its own, where this machine's localhost is not")
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("there is no registry: apt-get install docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = tmp_path / "registry.yml"
    settings.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, "serve", str(settings)], stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + 20
        while not _listens(address) and time.monotonic() < until:
            time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as door:
        return door.connect_ex((host, int(port))) == 0


def test_an_image_is_pulled_only_for_a_stage_that_runs(tmp_path: Path, registry: str) -> None:
    api = docker_samples.demand_daemon().api
    repository = f"{registry}/ml/base"
    name = f"{repository}:1"
    api.tag(docker_samples.image(), repository, "1")
    pushed = [line for line in api.push(repository, "1", stream=True, decode=True) if "aux" in line]
    digest = pushed[-1]["aux"]["Digest"]
    api.remove_image(name)
    project = _project(tmp_path, "  s: {run: 'echo 1 > out', outputs: [out]}\n", image=name)
    try:
        plan = project.command("plan", "-f", "p.yaml", *DOCKER)
        assert plan.code == 0, plan.said
        assert api.images(name=repository) == []
        done = project.run(*DOCKER)
        assert done.code == 0, done.said
        assert f"pulling {name}" in done.err
        assert project.report()["stages"][0]["environment"]["image"] == digest
        api.remove_image(name)
        assert project.runs(*DOCKER) == {"s": "cached"}
        assert api.images(name=repository) == []
    finally:
        if api.images(name=repository):
            api.remove_image(name)


def test_a_build_that_is_killed_leaves_nothing_that_is_used(installed: Project) -> None:
    good = (installed.root / "requirements.txt").read_text()
    with socket.socket() as index:  # it takes calls, and never answers
        index.bind(("127.0.0.1", 0))
        index.listen()
        address = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        (installed.root / "requirements.txt").write_text(f"--index-url {address}\ntiny==1.0\n")
        del installed.environ["UV_OFFLINE"]
        process = installed.start("run", "-f", "p.yaml", *DOCKER)
        (container,) = _containers(installed, within_s=20.0)
        assert container["Name"].startswith("/penstock-env-build-")
        process.kill()
        process.communicate()
    assert _made(installed) == []
    (installed.root / "requirements.txt").write_text(good)
    assert installed.runs(*DOCKER) == {"one": "ran", "two": "ran"}
    assert _containers(installed) == []
