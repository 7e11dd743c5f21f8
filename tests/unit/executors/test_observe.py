"""What a command looks at is seen, whoever of its descendants does, and the command notices nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from observing import observed, report_of, request
from penstock.executors import observe_paths

PYTHON = sys.executable


@pytest.fixture
def top(tmp_path: Path) -> Path:
    place = tmp_path / "top"
    place.mkdir()
    return place


def write(top: Path, *names: str) -> None:
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"{name}\n")


def script(top: Path, text: str) -> list[str]:
    """A Python program beside the directory that is watched."""
    place = top.with_name("program.py")
    place.write_text(textwrap.dedent(text))
    return [PYTHON, str(place)]


# -- what the command notices


@pytest.mark.parametrize("code", [0, 1, 3, 77, 126, 255])
def test_exit_codes_are_those_of_the_command(top: Path, code: int) -> None:
    assert observed(top, f"exit {code}").code == code


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "INT", "HUP", "ABRT", "USR1", "PIPE", "QUIT"])
def test_a_signal_that_ends_the_command_is_told(top: Path, name: str) -> None:
    assert observed(top, f"kill -{name} $$").code == 128 + signal.Signals[f"SIG{name}"]


def test_a_command_that_is_not_there(top: Path) -> None:
    seen = observed(top, ["no-such-program"])
    assert (seen.code, seen.text) == (127, "penstock: no-such-program: No such file or directory\n")


def test_standard_input_and_output_are_those_of_the_caller(top: Path) -> None:
    assert observed(top, "cat; echo done >&2", stdin="hello\n").text == "hello\ndone\n"


def test_signals_between_processes_of_the_command_do_what_they_do(top: Path) -> None:
    command = (
        "trap 'echo got it' TERM; (sleep 0.1; kill -TERM $$) & wait || true; wait; kill -TERM 0; echo on"
    )
    assert observed(top, command).text == "got it\ngot it\non\n"


def test_a_process_can_be_stopped_and_continued(top: Path) -> None:
    write(top, "late")
    command = "(sleep 0.2; cat late) & kill -STOP $!; sleep 0.5; kill -CONT $!; wait; echo end"
    seen = observed(top, command)
    assert (seen.text, seen.read()) == ("late\nend\n", {"late"})


def test_a_parent_hears_of_its_children(top: Path) -> None:
    program = script(
        top,
        """
        import os, signal, time
        heard = []
        signal.signal(signal.SIGCHLD, lambda *_: heard.append(os.waitpid(-1, 0)[1]))
        for code in (3, 4):
            if os.fork() == 0:
                os._exit(code)
            time.sleep(0.2)
        print([os.waitstatus_to_exitcode(each) for each in heard])
        """,
    )
    assert observed(top, program).text == "[3, 4]\n"


def test_it_works_for_an_ordinary_user(top: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, with setpriv of util-linux")
    write(top, "a")
    for place in (top.parent, *top.parent.parents):
        if place == Path("/tmp"):
            break
        place.chmod(0o777)
    python = "/usr/bin/python3"
    begin = request(top)
    begin[0] = python
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", *begin, "/bin/sh", "-c", "cat a; exit 4"],
        cwd=top,
        capture_output=True,
        check=False,
    )
    if b"Permission denied" in done.stderr:
        pytest.skip("the sources of Penstock cannot be read by others here")
    assert (done.returncode, done.stdout) == (4, b"a\n"), done.stderr
    assert report_of(top)[1]["a"][0] == "read"


# -- who looks


def test_descendants_of_all_kinds_are_seen(top: Path) -> None:
    names = [f"f{number}" for number in range(8)]
    write(top, *names)
    program = script(
        top,
        """
        import os, subprocess, threading, sys
        def read(name): return open(name).read()
        if os.fork() == 0:
            read("f0"); os._exit(0)
        os.wait()
        subprocess.run(["cat", "f1"], check=True)
        os.waitpid(os.posix_spawn("/bin/cat", ["cat", "f2"], os.environ), 0)
        os.system("cat f3")
        thread = threading.Thread(target=read, args=("f4",)); thread.start(); thread.join()
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid(); read("f5"); open("gone", "w").close(); os._exit(0)
            os._exit(0)
        os.wait()
        while not os.path.exists("gone"): pass
        os.chdir("/"); folder = os.open(sys.argv[1], os.O_PATH)
        os.open("f6", os.O_RDONLY, dir_fd=folder)
        os.execvp("cat", ["cat", sys.argv[1] + "/f7"])
        """,
    )
    seen = observed(top, [*program, str(top)])
    assert seen.why is None
    assert seen.read() - {""} == set(names), seen.text
    assert seen.by["f1"] == "cat f1"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_are_seen(top: Path, method: str) -> None:
    names = [f"part-{number}" for number in range(20)]
    write(top, *names)
    program = script(
        top,
        """
        import multiprocessing, sys
        def size(name):
            return len(open(name).read())
        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
                print(sum(pool.map(size, sys.argv[2:])))
        """,
    )
    seen = observed(top, [*program, method, *names])
    assert (seen.code, seen.why) == (0, None), seen.text
    assert set(names) <= seen.read()


def test_workers_of_joblib_are_seen(top: Path) -> None:
    pytest.importorskip("joblib", reason="joblib comes with scikit-learn")
    names = [f"part-{number}" for number in range(8)]
    write(top, *names)
    program = script(
        top,
        """
        import joblib, sys
        from pathlib import Path
        print(len(joblib.Parallel(n_jobs=2)(joblib.delayed(Path.read_text)(Path(name)) for name in sys.argv[1:])))
        """,
    )
    seen = observed(top, [*program, *names])
    assert (seen.code, seen.why, seen.text) == (0, None, "8\n")
    assert set(names) <= seen.read()


def test_threads_that_open_files_at_the_same_time_are_all_seen(top: Path) -> None:
    names = [f"d{number % 7}/f{number}" for number in range(1200)]
    write(top, *names)
    program = script(
        top,
        """
        import sys, threading
        def run(at):
            for number in range(at, 1200, 16):
                open(f"d{number % 7}/f{number}").close()
        threads = [threading.Thread(target=run, args=(at,)) for at in range(16)]
        [each.start() for each in threads]
        [each.join() for each in threads]
        """,
    )
    seen = observed(top, program)
    assert (seen.code, seen.why) == (0, None)
    assert set(names) <= seen.read()


@pytest.mark.parametrize("tool", ["git", "make"])
def test_common_tools_work_and_are_seen(top: Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}: apt-get install {tool}")
    write(top, "a", "b")
    if tool == "git":
        command = "git init -q . && git add a && git -c user.name=x -c user.email=x commit -qm x && git status --short"
        seen = observed(top, command, environ={"PATH": os.environ["PATH"], "HOME": "/nowhere"})
        assert (seen.code, seen.text) == (0, "?? b\n")
    else:
        (top / "Makefile").write_text("c: a b\n\tcat a b > c\n")
        seen = observed(top, "make -s")
        assert seen.code == 0
        assert {"Makefile", "b"} <= seen.read()
    assert "a" in seen.read()


# -- what is looked at


def test_ways_to_name_a_file_come_to_the_same(top: Path) -> None:
    write(top, "a", "deep/er/b", "c")
    (top / "link").symlink_to("deep/er")
    ways = [
        "cat ./a",
        f"cat {top}/a",
        f"cat /{top}//./a",
        f"cat {top}/deep/../a",
        f"cd deep; cat ../a; cat ..//../{top.name}/a",
        f"cd /; cat {str(top)[1:]}/a",
        "cat /proc/self/cwd/a",
        f"cat {top}/link/../../a",
        f"exec 3< {top}; cat /proc/self/fd/3/a",
        f"cat /proc/self/root{top}/a",
    ]
    for way in ways:
        seen = observed(top, way)
        assert seen.code == 0, (way, seen.text)
        assert "a" in seen.read(), (way, seen.looks)


def test_links_that_the_command_makes_are_followed(top: Path) -> None:
    write(top, "a", "deep/b")
    seen = observed(
        top, f"ln -s a l; cat l; ln -s {top} ../out; cat ../out/deep/b; mv ../out ../moved; cat ../moved/a"
    )
    assert seen.code == 0, seen.text
    assert {"a", "deep/b"} <= seen.read()
    (top.parent / "moved").unlink()


def test_what_the_command_wrote_itself_is_no_look(top: Path) -> None:
    command = (
        "echo 1 > new; cat new; mkdir -p d/e; echo 2 > d/e/f; ls d; cat d/e/f; mv d g; cat g/e/f; cp new copy;"
        "cat copy; ln copy hard; cat hard; rm new; cat new || true"
    )
    seen = observed(top, command)
    assert seen.code == 0, seen.text
    assert seen.read() <= {"copy"}  # `cp` asks whether it is a directory before it is there
    assert "new" not in seen.looks


def test_a_file_that_is_appended_to_or_moved_has_been_read(top: Path) -> None:
    write(top, "log", "old", "kept")
    seen = observed(top, "echo 1 >> log; mv old older; echo 2 > kept; cat kept older")
    assert seen.read() == {"log", "old"}


def test_a_file_that_cannot_be_written_still_counts_when_it_is_read(top: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything; the conformance tests do this with what is bound read-only")
    write(top, "a")
    (top / "a").chmod(0o444)
    seen = observed(top, "echo 1 > a || true; cat a")
    assert "a" in seen.read()


def test_what_was_looked_for_and_is_absent_is_seen(top: Path) -> None:
    seen = observed(top, "test -e a; test ! -d b/c; cat d || true; ./e || true")
    assert set(seen.looks) >= {"a"}
    seen = observed(top, "test ! -e a; test ! -d b/c; cat d || true; ./e || true; cat f/../g || true")
    assert {"a", "b/c", "d", "e", "g"} <= set(seen.looks)


def test_the_interpreter_of_a_script_is_read(top: Path) -> None:
    write(top, "a")
    (top / "tool").write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
    (top / "run").write_text("#!./tool\ncat a\n")
    for name in ("tool", "run"):
        (top / name).chmod(0o755)
    seen = observed(top, "./run")
    assert {"tool", "run", "a"} <= seen.read(), seen.text


def test_names_of_all_kinds_are_told(top: Path) -> None:
    names = ["a b", "ü", "new\nline", '"quoted"', "-dash", "x" * 255, "\udcff\udcfe"]
    for name in names:
        (top / name).write_text("x")
    assert set(names) <= observed(top, 'for each in ./*; do cat "$each"; done').read()


def test_a_very_long_path_is_seen(top: Path) -> None:
    deep = "/".join(["d" * 200] * 15)
    write(top, f"{deep}/a")
    assert f"{deep}/a" in observed(top, f"cat {deep}/a").read()


def test_declared_paths_count_as_one(top: Path) -> None:
    write(top, "in/a", "in/deep/b", "c", "d")
    seen = observed(
        top, "cat in/a in/deep/b c; ls in/deep; test -e in/nothing || true", declared=["in", "c", "x"]
    )
    assert set(seen.looks) == {"in", "c"}


def test_as_much_is_seen_as_by_strace(top: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace: apt-get install strace")
    write(top, "pack/__init__.py", "pack/one.py", "pack/data/x.json", "run.py", "conf/a.ini")
    (top / "pack/one.py").write_text("import os, json\nNAMES = sorted(os.listdir('conf'))\n")
    (top / "run.py").write_text(
        "import pack.one, glob, shutil, os.path\n"
        "print(glob.glob('**/*.json', recursive=True), os.path.getsize('conf/a.ini'), shutil.which('x', path='.'))\n"
    )
    (top / "pack/__init__.py").write_text("")
    command = [PYTHON, "-B", "run.py"]
    log = top.with_name("strace.txt")
    subprocess.run(
        ["strace", "-f", "-y", "-e", "trace=%file", "-o", log, *command],
        cwd=top,
        check=True,
        capture_output=True,
    )
    named = set()
    for line in log.read_text().splitlines():
        for directory, path in re.findall(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]+)"', line):
            place = os.path.normpath(Path(directory or top, path))
            if place.startswith(f"{top}/") and "execve(" not in line:
                named.add(os.path.relpath(place, top))
    seen = observed(top, command)
    assert named
    assert named - set(seen.looks) == set()


# -- what cannot be seen is said


def test_a_program_that_hides_files_from_us_is_told(top: Path) -> None:
    seen = observed(top, script(top, "import os\ntry: os.chroot('/nowhere')\nexcept OSError: print('no')\n"))
    assert seen.text == "no\n"
    assert seen.why == "a program called chroot, behind which files cannot be told apart"


def test_calls_of_another_processor_are_told(top: Path) -> None:
    if shutil.which("gcc") is None or os.uname().machine != "x86_64":
        pytest.skip("it takes gcc, and a processor that runs programs of 32 bits")
    source = top.with_name("old.c")
    # the call of 32 bits for `getpid`, from a program of 64
    source.write_text('int main(void){long r; __asm__("int $0x80":"=a"(r):"a"(20)); return r > 0 ? 5 : 6;}\n')
    subprocess.run(["gcc", "-o", top.with_name("old"), source], check=True)
    seen = observed(top, [str(top.with_name("old"))])
    if seen.code < 0 or seen.code > 128:
        pytest.skip("this kernel runs no programs of 32 bits")
    assert seen.code == 5
    assert "32 bits" in (seen.why or "")


def test_the_ring_that_opens_files_unseen_cannot_be_had(top: Path) -> None:
    program = script(
        top,
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.syscall(425, 8, ctypes.create_string_buffer(120)), ctypes.get_errno())
        """,
    )
    assert observed(top, program).text == "-1 38\n"


def test_one_that_is_observed_already_is_observed_by_the_first(top: Path) -> None:
    write(top, "a")
    inner = request(top)
    nested = top.with_name("nested.json")
    inner[6] = str(nested)
    nested.write_text(f'{{"top": "{top}", "declared": [], "report": "{top.with_name("inner.json")}"}}')
    seen = observed(top, [*inner, "/bin/cat", "a"])
    assert (seen.code, seen.text, seen.why) == (0, "a\n", None)
    assert "a" in seen.read()
    assert "does not let programs be observed" in top.with_name("inner.json").read_text()


def test_debuggers_still_work(top: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace: apt-get install strace")
    write(top, "a")
    seen = observed(top, "strace -f -e trace=openat -o ../s cat a")
    assert (seen.code, seen.text) == (0, "a\n")
    assert "a" in seen.read()


def test_too_many_looks_are_told(top: Path) -> None:
    program = script(
        top, f"import os\nfor n in range({observe_paths.MOST_LOOKS + 5}): os.path.exists(str(n))\n"
    )
    seen = observed(top, program)
    assert seen.why == f"more than {observe_paths.MOST_LOOKS:,} paths were looked at"


def test_a_command_whose_observer_is_killed_has_no_report(top: Path) -> None:
    argv = [*request(top), "/bin/sh", "-c", "sleep 0.3; cat a"]
    with subprocess.Popen(argv, cwd=top, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(0.2)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not top.with_name("report.json").exists()
