from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from penstock.errors import ExecutorError, UsageError
from penstock.executors import sandbox
from penstock.executors.environments import Prepared
from penstock.executors.sandbox import Mount, Sandbox, View
from penstock.results import Accelerator
from stage_samples import Bench, found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found("bubblewrap")
    return Bench(tmp_path, "bubblewrap")


def options(view: View) -> list[str]:
    return [os.fsdecode(part) for part in Sandbox("/usr/bin/bwrap").arguments(view).split(b"\0")[:-1]]


def test_a_stage_works_in_one_fixed_place_with_a_home_and_a_directory_of_its_own(bench: Bench) -> None:
    bench.run('pwd; echo "$HOME $TMPDIR"; ls "$HOME"; touch "$HOME/x" "$TMPDIR/y" z; echo ok')
    assert bench.text == "/penstock/work\n/tmp/home /tmp\nok\n"


def test_a_stage_sees_programs_but_no_home_and_nothing_of_the_project(bench: Bench) -> None:
    (bench.root / "secret").write_text("x")
    bench.run(f"ls -d /usr/bin /etc >/dev/null; ls /root /home {bench.root} 2>&1 | grep -c 'No such'")
    assert bench.text == "3\n"


def test_a_stage_cannot_write_where_programs_are(bench: Bench) -> None:
    bench.run("for d in / /usr /etc /penstock /proc /sys; do touch $d/x 2>/dev/null && echo $d; done; :")
    # both lie in memory, and are gone with the sandbox
    assert set(bench.text.split()) <= {"/", "/penstock"}


def test_a_project_among_the_programs_is_hidden_but_for_what_the_environment_needs() -> None:
    view = View(
        work="/w",
        temporary="/t",
        read_only=("/opt/main/.home/envs/1", "/usr", "/home/me/python"),
        hidden=("/opt/main", "/home/me/project"),
    )
    text = " ".join(options(view))
    assert "--ro-bind /usr /usr --" in text
    assert "--ro-bind /home/me/python /home/me/python --tmpfs /opt/main" in text
    assert (
        "--tmpfs /opt/main --ro-bind /opt/main/.home/envs/1 /opt/main/.home/envs/1 --remount-ro /opt/main"
        in text
    )
    assert "/home/me/project" not in text


def test_a_project_in_a_directory_that_the_environment_needs_is_hidden_in_it() -> None:
    view = View(work="/w", temporary="/t", read_only=("/home/me",), hidden=("/home/me/project",))
    assert "--ro-bind /home/me /home/me --tmpfs /home/me/project" in " ".join(options(view))


def test_root_in_the_sandbox_cannot_make_its_inputs_writable(bench: Bench) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (bench.root / "in").mkdir()
    from penstock.executors.workspace import Binding

    ended = bench.run("mount -o remount,rw /penstock/work/in || exit 9", [Binding("in", bench.root / "in")])
    assert ended.exit_code == 9
    assert "permission denied" in bench.text or "not permitted" in bench.text


def test_processes_outside_are_not_seen(bench: Bench) -> None:
    bench.run("ls /proc | grep -c '^[0-9]'")
    assert int(bench.text) <= 8


def test_a_stage_gets_no_descriptor_but_the_three(bench: Bench) -> None:
    bench.run("ls /proc/self/fd", secrets={"TOKEN": "value"})
    # the fourth is that of `ls` itself
    assert len(bench.text.split()) == 4


def test_no_secret_is_on_a_command_line(bench: Bench) -> None:
    workspace = bench.make(bench.stage("true"))
    with workspace.command(["true"], Prepared(), {"TOKEN": "hunter2"}) as command:
        assert not any("hunter2" in part for part in command.argv)
        assert command.env == {}
    workspace.remove()


def test_a_variable_for_the_loader_does_not_reach_the_sandbox_itself(bench: Bench) -> None:
    ended = bench.run("echo $LD_PRELOAD", prepared=Prepared(variables={"LD_PRELOAD": "/no/such.so"}))
    assert ended.exit_code == 0
    assert bench.text.splitlines()[-1] == "/no/such.so"


def test_there_is_no_such_choice() -> None:
    with pytest.raises(UsageError, match=r"PENSTOCK_SANDBOX: there is no sandbox 'docker'"):
        sandbox.detect("docker")


def test_none_is_a_choice_and_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SANDBOX", "none")
    assert sandbox.detect().sandbox is None
    assert "as was asked for" in sandbox.detect().sentence


def test_without_bubblewrap_stages_do_without_and_doctor_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = sandbox.detect("auto")
    assert finding.sandbox is None
    assert "apt-get install bubblewrap" in finding.sentence
    with pytest.raises(ExecutorError, match=r"bubblewrap is not installed"):
        sandbox.detect("bubblewrap")


def test_a_bubblewrap_that_may_not_is_reported_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = sandbox.detect("auto")
    assert finding.sandbox is None
    assert finding.sentence.endswith("cannot make a sandbox here: setting up uid map: Permission denied")


def test_root_without_rights_uses_a_namespace_of_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\n[ "$1" = --unshare-user ] && exit 7\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert sandbox.detect("auto").sandbox == Sandbox(str(fake), ("--unshare-user",))


def test_a_mount_is_written_as_bubblewrap_wants_it() -> None:
    assert Mount("ro-bind", "/b", "/a").arguments == ("--ro-bind", "/a", "/b")
    assert Mount("tmpfs", "/b").arguments == ("--tmpfs", "/b")


@pytest.mark.parametrize("mode", ["bubblewrap", "none"])
def test_an_ordinary_user_has_it_too(mode: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("every other test is this one for an ordinary user")
    found(mode)
    python = Path("/usr/bin/python3")
    version = "import sys; print(sys.version_info[:2])"
    if subprocess.run([python, "-c", version], check=False, capture_output=True, text=True).stdout != (
        f"{sys.version_info[:2]}\n"
    ):
        pytest.skip("the system's Python is another one, and nobody else may use this one")
    paths = [Path(__file__).parents[2], Path(sandbox.__file__).parents[2], Path(anyio.__file__).parents[1]]
    code = (
        f"import os, sys; os.chdir('/'); os.setuid(65534); sys.path[:0] = {[str(path) for path in paths]}\n"
        "from pathlib import Path\n"
        "from stage_samples import Bench, daemon, marker, survivors\n"
        "from penstock.executors.workspace import Binding\n"
        f"b = Bench(Path({str(tmp_path)!r}), {mode!r})\n"
        "(b.root / 'in').mkdir(); (b.root / 'in/f').write_text('x'); w = marker()\n"
        "e = b.run(daemon(w) + 'id -u; cat in/f; sleep 0.2; touch in/f; exit 0', [Binding('in', b.root / 'in')])\n"
        "print(repr(b.text), e.exit_code, b.changed, survivors(w))\n"
    )
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o777 == 0o700:  # pytest's own
            parent.chmod(0o755)
    tmp_path.chmod(0o777)
    ended = subprocess.run([python, "-B", "-c", code], check=False, capture_output=True, text=True)
    assert ended.stderr == ""
    if mode == "bubblewrap":
        assert ended.stdout == "\"65534\\nxtouch: cannot touch 'in/f': Read-only file system\\n\" 1 [] []\n"
    else:
        assert ended.stdout == "'65534\\nx' 0 ['in/f'] []\n"


@pytest.mark.parametrize("wanted", [True, False])
def test_only_a_stage_with_an_accelerator_sees_the_machines_devices(bench: Bench, *, wanted: bool) -> None:
    usual = {
        "console",
        "core",
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
    }
    special = {path.name for path in Path("/dev").iterdir()} - usual - {"tty", "urandom", "zero"}
    if not special:
        pytest.skip("the machine has no other devices")
    stage = bench.stage("ls /dev", accelerator=Accelerator(kind="cuda") if wanted else None)
    anyio.run(partial(bench.go, stage))
    assert (special & set(bench.text.split()) == special) is wanted
