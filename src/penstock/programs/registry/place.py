"""Where the registry is: a server by its address, or a database and a folder of this project."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ..common.program import Progress, UnavailableError, UnusableError

_SETTINGS = {
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    # a request that makes something is not repeated blindly: see Service.ensure
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_DATABASE = "mlflow.db"
_LOCK_S = 60.0
_OUT_OF_DATE = "out-of-date database schema"


@dataclass(frozen=True, slots=True)
class Place:
    """A registry.

    Attributes:
        uri: For MLflow, without credentials.
        shown: The same for people.
        state: Folder that lasts, for locks and what an interrupted action leaves.
        embedded: Whether it is this project's own.
    """

    uri: str
    shown: str
    state: Path
    embedded: bool

    @classmethod
    def find(cls, asked: str | None) -> Place:
        """The registry at an address, else at that of MLFLOW_TRACKING_URI, else the project's own.

        Raises:
            UnusableError: It is no address of a registry that can be used.
        """
        state = Path(os.environ.get("PENSTOCK_STATE") or ".penstock").absolute() / "mlflow"
        given = asked or os.environ.get("MLFLOW_TRACKING_URI") or ""
        uri = _without_credentials(given) if given else f"sqlite:///{state / _DATABASE}"
        return cls(
            uri=uri, shown="the project's registry" if not given else uri, state=state, embedded=not given
        )

    @property
    def artifacts(self) -> str | None:
        """Where runs of the project's own registry keep their files; a server decides itself."""
        return (self.state / "artifacts").as_uri() if self.uri.startswith("sqlite:") else None

    def client(self, progress: Progress) -> Any:
        """MLflow's client. Starting it takes seconds, so it is imported here."""
        os.environ.update(_SETTINGS)
        os.environ["MLFLOW_TRACKING_URI"] = self.uri
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        from mlflow import MlflowClient

        progress.say("MLflow's client has started")
        if self.embedded:
            self._have_database(MlflowClient)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _have_database(self, client: Any) -> None:
        """Make the project's database, whole or not at all: its tables are made by hundreds of statements."""
        database = self.state / _DATABASE
        if database.exists():
            return
        with self.locked("database"):
            if database.exists():
                return
            partial = self.state / f"{_DATABASE}.partial"
            for left in self.state.glob(f"{partial.name}*"):
                left.unlink()
            client(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(database)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """One process of this project at a time.

        Raises:
            UnavailableError: Another one does not end.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(f"{self.uri}\0{name}".encode()).hexdigest()
        ends = time.monotonic() + _LOCK_S
        with (self.state / f"{digest[:16]}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= ends:
                        raise UnavailableError(
                            f"another process has been working on {name} in this registry for {_LOCK_S:.0f}"
                            " s; run again when it has ended"
                        ) from None
                    time.sleep(0.1)
            yield

    def unreachable(self, error: Exception) -> str | None:
        """What an exception of MLflow's layers means, where it would say too much of them."""
        text = str(error)
        if _OUT_OF_DATE in text:
            return f"its tables are of an older MLflow; upgrade them with `mlflow db upgrade {self.uri}`"
        for sign, meaning in (
            ("Connection refused", "nothing listens there"),
            ("Name or service not known", "there is no such host"),
            ("Temporary failure in name resolution", "its name cannot be resolved"),
            ("timed out", "no answer in time"),
            (
                "CERTIFICATE_VERIFY_FAILED",
                "its certificate is not trusted; name its CA in REQUESTS_CA_BUNDLE",
            ),
            ("Connection aborted", "it closed the connection"),
            ("Connection broken", "it closed the connection"),
        ):
            if sign in text:
                return meaning
        return None


def _without_credentials(uri: str) -> str:
    """The address; credentials in it go to the variables that MLflow reads, and are seen by nobody."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https", "sqlite") or (parts.scheme != "sqlite" and not parts.hostname):
        raise UnusableError(
            f"tracking_uri of the kind {parts.scheme or 'path'!r}: give http(s)://… of a server or sqlite:///…"
        )
    if "@" not in parts.netloc:
        return uri.rstrip("/")
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
