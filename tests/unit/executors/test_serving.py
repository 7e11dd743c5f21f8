"""What is asked of a server that is tried, and what is said of one that does not pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ExecutorError, RefusedError
from penstock.executors import isolate, serving, smoke

EXAMPLE = {
    "request": {"dataframe_split": {"columns": ["age"], "data": [[1], [2]]}},
    "ids": ["p1", "p2"],
    "columns": ["prediction", "score"],
    "expected": [["yes", 0.75], ["no", 0.25]],
    "tolerance": 1e-6,
}
GOOD = [{"prediction": "yes", "score": 0.75}, {"prediction": "no", "score": 0.25}]


def found(predictions: Any, status: int = 200) -> dict[str, Any]:
    answer = {"predictions": predictions} if status == 200 else predictions
    return {"ready_s": 1.5, "uid": 10001, "writable": False, "status": status, "answer": answer}


def judge(tried: dict[str, Any]) -> dict[str, Any]:
    return serving.judge(tried, json.dumps(EXAMPLE))


def test_a_server_that_says_what_was_judged_passes() -> None:
    almost = [GOOD[0] | {"score": 0.75 + 5e-7}, GOOD[1]]
    assert judge(found(almost)) == {"ready_s": 1.5, "rows": 2, "uid": 10001, "writable": False}


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        (
            {"problem": "it did not answer /ping within 9 s: refused"},
            "does not work: it did not answer /ping",
        ),
        (
            found([GOOD[0], {"prediction": "yes", "score": 0.25}]),
            "row 'p2' it says prediction 'yes', and 'no' was",
        ),
        (found([GOOD[0], {"prediction": "no", "score": 0.250_002}]), "row 'p2' it says score 0.250002"),
        (found([GOOD[0], {"prediction": "no", "score": float("nan")}]), "row 'p2' it says score nan"),
        (found([GOOD[0], {"prediction": "no", "score": "0.25"}]), "row 'p2' it says score '0.25'"),
        (found([GOOD[0], {"prediction": "no"}]), "row 'p2' it says score None"),
        (found([GOOD[0], True]), "row 'p2' it says prediction True"),
        (found(GOOD[:1]), "gave no prediction for each of the 2 example rows"),
        (found("yes"), "gave no prediction for each of the 2 example rows"),
        (
            found({"message": "x", "stack_trace": "Traceback:\nValueError: the rows lack the column\n"}, 400),
            r"refused the example rows \(400\): ValueError: the rows lack the column",
        ),
        (found("Internal Server Error", 500), r"refused the example rows \(500\): Internal Server Error"),
    ],
)
def test_a_server_that_says_anything_else_is_refused(tried: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        judge(tried)


@pytest.mark.parametrize(
    ("log", "code", "said"),
    [
        (
            "ERROR: [Errno 98] error while attempting to bind: address already in use\n",
            1,
            "port 8080 is taken",
        ),
        ("Traceback\nModuleNotFoundError: No module named 'shapes'\n", 1, "lacks the module 'shapes'"),
        (
            "penstock_model.common.program.UnusableError: m: needs x\n",
            1,
            "cannot be loaded in the image: m: needs x",
        ),
        (
            "Traceback\nmypkg.OwnError: no weights\nbye\n",
            1,
            "ended with 1 before it answered: mypkg.OwnError: no",
        ),
        ("", 137, "was killed, as it is where memory runs out"),
        ("", 3, "ended with 3 before it answered: it printed nothing"),
        ("starting\nlast words\n", 3, "ended with 3 before it answered: last words"),
        ("09:00 WARNING mlflow: no version\n", 7, "ended with 7 before it answered: it printed nothing"),
        (
            "penstock_model.common.models.LoadError: m: cannot\n",
            1,
            "cannot be loaded in the image: m: cannot",
        ),
    ],
)
def test_a_server_that_ended_gets_one_sentence(log: str, code: int, said: str) -> None:
    error = serving.ended(log, code, 8080)
    assert said in error.what
    assert "\n" not in error.what
    assert error.exit_code == 3


def test_a_package_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="no package of a model"):
        serving.read_package(tmp_path)
    with pytest.raises(ExecutorError, match=r"no package of a model: penstock.json cannot be read"):
        serving.described({serving.ABOUT: "{}", serving.EXAMPLE: "", serving.REQUIREMENTS: ""})


def test_labels_are_those_of_oci_and_nothing_unknown_is_labelled() -> None:
    labels = serving.labels_of(name="shop", version=None, revision="c0ffee", run="sha256:1")
    assert labels == {
        "org.opencontainers.image.title": "shop",
        "org.opencontainers.image.revision": "c0ffee",
        "penstock.run": "sha256:1",
    }


# the client


@contextmanager
def server(answers: dict[str, tuple[int, str]]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer()

        def answer(self) -> None:
            status, text = answers[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()
            thread.join()


def test_the_client_asks_about_the_rows_once_the_server_is_ready() -> None:
    answers = {"/ping": (200, "\n"), "/invocations": (200, json.dumps({"predictions": GOOD}))}
    with server(answers) as port:
        assert judge(smoke.ask(port, EXAMPLE["request"], 5))["rows"] == 2


@pytest.mark.parametrize("ping", [(503, "loading"), None])
def test_the_client_gives_up_on_a_server_that_never_is_ready(ping: tuple[int, str] | None) -> None:
    with server({"/ping": ping or (503, "")}) as port:
        asked = smoke.ask(port if ping else 1, EXAMPLE["request"], 0.5)
    assert asked["problem"].startswith("it did not answer /ping within 0.5 s")


def test_the_client_runs_alone_and_prints_one_line(tmp_path: Path) -> None:
    (tmp_path / "example.json").write_text(json.dumps(EXAMPLE))
    text = Path(smoke.__file__).read_text(encoding="utf-8")
    with server({"/ping": (200, ""), "/invocations": (500, "broken")}) as port:
        command = [sys.executable, "-I", "-S", "-c", text, str(port), str(tmp_path / "example.json"), "5"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout)["answer"] == "broken"


# what Dagger runs it in


def isolated(tmp_path: Path, server_code: str, client_code: str) -> dict[str, Any]:
    if os.geteuid():
        pytest.skip("only root can give up the network and become somebody else, as in the engine")
    python = "/usr/bin/python3"  # ours may lie in a home directory, where nobody else may look
    if not Path(python).exists():
        pytest.skip(f"there is no {python} that any user may run: apt-get install python3")
    text = Path(isolate.__file__).read_text(encoding="utf-8")
    spec = {
        "server": [python, "-I", "-S", "-c", server_code],
        "client": [python, "-I", "-S", "-c", client_code],
        "directory": "/",
        "uid": 10001,
        "gid": 10001,
    }
    command = [sys.executable, "-I", "-S", "-c", text, json.dumps(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    tried: dict[str, Any] = json.loads(done.stdout)
    return tried


def test_a_server_that_ends_is_told_from_one_that_answers(tmp_path: Path) -> None:
    tried = isolated(tmp_path, "print('bye'); raise SystemExit(9)", "import time; time.sleep(60)")
    assert (tried["ended"], tried["log"]) == (9, "bye\n")
    assert "found" not in tried


def test_neither_server_nor_client_sees_a_network_or_can_write(tmp_path: Path) -> None:
    client = """
import json, os, socket
found = {"uid": os.getuid(), "interfaces": [name for _, name in socket.if_nameindex()]}
for path in ("/tmp/x", "/var/x"):
    try:
        open(path, "w").close()
        found[path] = True
    except OSError as error:
        found[path] = error.strerror
print(json.dumps(found))
"""
    tried = isolated(tmp_path, "import time; time.sleep(60)", client)
    if tried["network"] != "none":
        pytest.skip(f"this kernel does not let root leave the network: {tried['network']}")
    assert tried["read_only"] is True
    assert tried["found"]["uid"] == 10001
    assert {*tried["found"]["interfaces"]} - {"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0"} == {"lo"}
    assert tried["found"]["/tmp/x"] is True
    assert tried["found"]["/var/x"] == "Read-only file system"
