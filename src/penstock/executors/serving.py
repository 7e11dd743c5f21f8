"""What an image that serves a model is made of, and what its smoke test must find; the same for every engine.

The image is its base, an environment with what the package's `requirements.txt` says, and the package. Its
server is MLflow's own. It is put together by `assemble`, and asked by `smoke`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.errors import ExecutorError, RefusedError
from penstock.executors import smoke
from penstock.executors.container import DEFAULT_PYTHON, ENVIRONMENT
from penstock.executors.surroundings import SOURCE_DATE
from penstock.plan.model import Environment
from penstock.record import Record, field

MODEL = "/penstock/model"
"""Where the package is in the image."""
ABOUT, EXAMPLE, REQUIREMENTS = "penstock.json", "example.json", "requirements.txt"
"""Files of a package that are read here; `programs.package_model` writes them."""
USER = "10001:10001"
"""A number, for an orchestrator that wants to know that it is not root; no such user need be known."""
PYTHON = f"{ENVIRONMENT}/bin/python"
REPOSITORY = "penstock-serving"
_TITLE = "org.opencontainers.image"
_SECOND_NS = 1_000_000_000
_FEW = 300
_KILLED = 137
_NOTICE = re.compile(r"\b(INFO|WARNING)\b")


class Description(Record):
    """A serving image that is wanted.

    Attributes:
        requirements: Text of the package's `requirements.txt`.
        example: Text of its `example.json`.
        python: Version that the project names, if it does.
        image: What to build on; the slim image of that Python if absent.
        labels: Beside the base's name and digest.
        start_limit_s: How long the smoke test waits for the server.
        epoch: Seconds since 1970, the time of everything that is added.
    """

    requirements: str
    example: str
    python: str | None = None
    image: str | None = None
    port: int = 8080
    labels: Mapping[str, str] = field(default_factory=dict)
    start_limit_s: float = 120
    epoch: int = SOURCE_DATE

    @property
    def base(self) -> str:
        """The image that it is built on."""
        return self.image or f"python:{self.python or DEFAULT_PYTHON}-slim"

    @property
    def environment(self) -> Environment:
        """What is installed into it."""
        return Environment(extra_requirements=self.requirements, image=self.base)

    @property
    def command(self) -> list[str]:
        """What starts the server; more options can follow."""
        server = "mlflow.pyfunc.scoring_server.app:app"
        return [PYTHON, "-m", "uvicorn", server, "--host", "0.0.0.0", "--port", str(self.port)]  # noqa: S104 - its network decides

    def config(self, base_digest: str, path: str) -> dict[str, Any]:
        """How the image is configured, as OCI has it, and the health check that Docker adds.

        Args:
            base_digest: Of the base image.
            path: Where the base searches for programs.
        """
        variables = {
            "PATH": f"{ENVIRONMENT}/bin:{path}",
            "VIRTUAL_ENV": ENVIRONMENT,
            "HOME": "/tmp",  # noqa: S108 - the one place that can be written
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "__pyfunc_model_path__": MODEL,
        }
        check = (
            "import http.client, sys\n"
            f"server = http.client.HTTPConnection('127.0.0.1', {self.port}, timeout=5)\n"
            "server.request('GET', '/ping')\n"
            "sys.exit(server.getresponse().status != 200)"
        )
        labels = {f"{_TITLE}.base.name": self.base, f"{_TITLE}.base.digest": base_digest, **self.labels}
        return {
            "User": USER,
            "ExposedPorts": {f"{self.port}/tcp": {}},
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Entrypoint": self.command,
            "WorkingDir": MODEL,
            "Labels": dict(sorted(labels.items())),
            "Healthcheck": {
                "Test": ["CMD", PYTHON, "-I", "-S", "-c", check],
                "Interval": 10 * _SECOND_NS,
                "Timeout": 6 * _SECOND_NS,
                "StartPeriod": 60 * _SECOND_NS,
                "Retries": 3,
            },
        }

    def smoke_command(self) -> list[str]:
        """What asks the server, within its container."""
        text = Path(smoke.__file__).read_text(encoding="utf-8")
        return [PYTHON, "-I", "-S", "-c", text, str(self.port), f"{MODEL}/{EXAMPLE}", str(self.start_limit_s)]


def described(
    read: Mapping[str, str],
    *,
    image: str | None = None,
    port: int = 8080,
    labels: Mapping[str, str] | None = None,
) -> Description:
    """The image for a package.

    Args:
        read: Texts of its files `ABOUT`, `EXAMPLE` and `REQUIREMENTS`, by name.
        image: To build on, if another than the usual one.
        port: That the server listens at.
        labels: Of the image, beside the model's digest.

    Raises:
        ExecutorError: They are no package's.
    """
    try:
        about = json.loads(read[ABOUT])
        model = {"penstock.model": str(about["model"]["digest"])}
        python = about["python"]
    except (ValueError, KeyError, TypeError) as error:
        raise ExecutorError(
            f"no package of a model: {ABOUT} cannot be read ({error!r})", notes=("package it again",)
        ) from None
    return Description(
        requirements=read[REQUIREMENTS],
        example=read[EXAMPLE],
        python=python,
        image=image,
        port=port,
        labels={**model, **(labels or {})},
    )


def read_package(package: Path) -> dict[str, str]:
    """The texts that `described` takes.

    Raises:
        ExecutorError: They cannot be read.
    """
    try:
        return {name: (package / name).read_text("utf-8") for name in (ABOUT, EXAMPLE, REQUIREMENTS)}
    except (OSError, UnicodeDecodeError) as error:
        raise ExecutorError(
            f"no package of a model: {error}", where=str(package), notes=("package it again",)
        ) from None


def labels_of(
    *, name: str, version: str | None, revision: str | None, run: str | None, source: str | None = None
) -> dict[str, str]:
    """Labels by their OCI names.

    Args:
        name: Of the pipeline.
        version: Such as a tag of the source.
        revision: The commit.
        run: Digest of the run that judged the model.
        source: Where the source is to be found.
    """
    known = {"title": name, "version": version, "revision": revision, "source": source}
    found = {f"{_TITLE}.{key}": value for key, value in known.items() if value}
    return found | ({"penstock.run": run} if run else {})


def judge(found: Mapping[str, Any], example: str) -> dict[str, Any]:
    """Facts of a smoke test that passed.

    Args:
        found: What `smoke` printed.
        example: Text of the package's `example.json`.

    Raises:
        RefusedError: The server did not say what was judged.
    """
    if "problem" in found:
        raise failed(f"the server does not work: {found['problem']}")
    wanted = json.loads(example)
    if found["status"] != 200 or not isinstance(found["answer"], dict):  # noqa: PLR2004 - HTTP
        raise failed(f"the server refused the example rows ({found['status']}): {_said(found['answer'])}")
    said = found["answer"].get("predictions")
    rows = wanted["expected"]
    if not isinstance(said, list) or len(said) != len(rows):
        raise failed(f"the server gave no prediction for each of the {len(rows)} example rows: {_said(said)}")
    for number, (answer, expected) in enumerate(zip(said, rows, strict=True)):
        for name, value in zip(wanted["columns"], expected, strict=True):
            given = answer.get(name) if isinstance(answer, dict) else answer
            if not _same(given, value, wanted["tolerance"] * _largest(rows)):
                which = f"row {wanted['ids'][number]!r}" if wanted["ids"] else f"example row {number + 1}"
                raise failed(
                    f"the server does not say what was judged: of {which} it says {name} {given!r}, "
                    f"and {value!r} was judged"
                )
    return {
        "ready_s": found["ready_s"],
        "rows": len(rows),
        "uid": found["uid"],
        "writable": found["writable"],
    }


def told(facts: Mapping[str, Any]) -> str:
    """What a build has to say, as a line."""
    smoke, base = facts["smoke"], facts["base"]["name"]
    return (
        f"{facts['config'][:19]} on {base}: served {smoke['rows']} example rows as judged,"
        f" {smoke['ready_s']:.1f} s after its start, as user {smoke['uid']}\n"
    )


def _said(answer: Any) -> str:
    """What a server says is wrong, in one line."""
    if isinstance(answer, dict) and "message" in answer:
        trace = str(answer.get("stack_trace") or "").strip().splitlines()
        answer = trace[-1] if trace else answer["message"]
    return " ".join(str(answer).split())[:_FEW]


def _largest(rows: Sequence[Sequence[Any]]) -> float:
    return max((abs(value) for row in rows for value in row if isinstance(value, int | float)), default=0.0)


def _same(one: Any, other: Any, allowed: float) -> bool:
    kinds = {bool, str, type(None)}
    if type(one) in kinds or type(other) in kinds or not isinstance(one, int | float):
        return type(one) is type(other) and bool(one == other)
    return math.isclose(one, other, rel_tol=0, abs_tol=allowed)


def ended(log: str, code: int, port: int) -> RefusedError:
    """For a server that ended instead of answering.

    Args:
        log: What it printed.
        code: How it ended.
        port: That it was to listen at.
    """
    if "ddress already in use" in log:
        return failed(f"port {port} is taken in its own container: loading the model listens there")
    module = re.findall(r"ModuleNotFoundError: No module named '([^']+)'", log)
    needs = re.findall(r"(?:UnusableError|LoadError): (.+)", log)
    if needs:
        return failed(f"the model cannot be loaded in the image: {needs[-1][:_FEW]}")
    if module:
        return failed(
            f"the image lacks the module {module[-1]!r}: add its package to the project's lock file, or its "
            "file to the packaging stage's `inputs`"
        )
    if code == _KILLED:
        return failed("the server was killed, as it is where memory runs out")
    raised = [
        line
        for line in log.splitlines()
        if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b", line)
    ]
    lines = raised or [line for line in log.splitlines() if line.strip() and not _NOTICE.search(line)]
    last = lines[-1].strip()[:_FEW] if lines else "it printed nothing"
    return failed(f"the server ended with {code} before it answered: {last}")


def failed(what: str) -> RefusedError:
    """For an image that is not handed on."""
    return RefusedError(what, where="smoke test of the image", notes=("nothing was published",))
