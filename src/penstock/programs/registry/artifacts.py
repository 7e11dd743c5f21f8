"""The files of a run in MLflow: sent, read back, and taken out again checked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..common.program import RefusedError, UnusableError
from .contents import EVIDENCE, LIST, RECORDS, Contents, File, moved, of_file
from .service import AbsentError, Service

_LIST_BYTES = 64 << 20
_SCHEMES = ("file", "http", "https", "mlflow-artifacts")


class Artifacts:
    """The artifacts of one run of MLflow, in a folder or behind a server.

    Raises:
        UnusableError: They are kept where this environment cannot go.
    """

    def __init__(self, service: Service, uri: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        scheme = uri.partition(":")[0] if ":" in uri else "file"
        if scheme not in _SCHEMES:
            raise UnusableError(
                f"{service.place.shown} keeps artifacts at {scheme}:…, for which MLflow's client needs"
                " packages that are not here; start the server with --serve-artifacts"
            )
        self._service = service
        self._repository: Any = get_artifact_repository(uri, tracking_uri=service.place.uri)
        self._folder = getattr(self._repository, "artifact_dir", None)

    def send(self, contents: Contents, sources: Mapping[str, Path]) -> Contents:
        """Send what is not there yet, read everything back, and say at last what is there; gives that.

        A run that is there in full stays as it is, unless it gets evidence now or is damaged: who publishes
        it again has another report of it (other times), which is no news.

        Raises:
            RefusedError: What comes back is not what was sent.
        """
        known = self._known(contents.run)
        if known is not None and (known.below(EVIDENCE) or not contents.below(EVIDENCE)):
            return known
        if known is not None:
            # the report that the evidence is of lies beside the older one, valid until the end
            records = f"{RECORDS}/{contents.files[-1].digest.removeprefix('sha256:')[:12]}"
            return self._send(contents.recorded_at(records), sources, known.files)
        return self._send(contents, sources, ())

    def _send(self, contents: Contents, sources: Mapping[str, Path], there: tuple[File, ...]) -> Contents:
        new = [file for file in contents.files if file not in there]
        for number, file in enumerate(new, 1):
            self._service.progress.say(f"sending {number} of {len(new)} files")
            self._put(sources[moved(file.at, contents.records, RECORDS)], file.at, file.size_bytes)
        with tempfile.TemporaryDirectory() as folder:
            for file in new:
                self._get(file, Path(folder) / "back")
            listing = Path(folder) / PurePosixPath(LIST).name
            listing.write_bytes(contents.text())
            self._put(listing, LIST, listing.stat().st_size)
        return contents

    def _known(self, run: str) -> Contents | None:
        """What a run has in MLflow, provided that it has everything and nothing is damaged."""
        try:
            found = self.contents()
            if found.run != run:
                return None
            with tempfile.TemporaryDirectory() as folder:
                for file in found.files:
                    self._get(file, Path(folder) / "back")
        except RefusedError:
            return None
        return found

    def _put(self, path: Path, at: str, size_bytes: int) -> None:
        # MLflow takes the file's own name, which is the last part of `at` for everything that is sent
        folder = str(PurePosixPath(at).parent)
        self._service.call(
            f"sending {at}", self._repository.log_artifact, str(path), folder, size_bytes=size_bytes
        )

    def contents(self) -> Contents:
        """What belongs to the run.

        Raises:
            RefusedError: Penstock did not put it there, or not all of it.
        """
        try:
            return Contents.parse(self.read(LIST, _LIST_BYTES))
        except AbsentError:
            raise RefusedError(
                f"the version has no {LIST}: Penstock did not publish it, or not to the end"
            ) from None

    def read(self, at: str, limit_bytes: int) -> bytes:
        """A file that is held in memory.

        Raises:
            AbsentError: It is not there.
            RefusedError: It is larger than it can be.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            self._fetch(at, path, 0)
            if path.stat().st_size > limit_bytes:
                raise RefusedError(f"{at} is larger than {limit_bytes:,} bytes")
            return path.read_bytes()

    def take(self, contents: Contents, folder: str, to: Path) -> Path:
        """Bring what lies at a path or below it, every file checked; gives its place below `to`.

        Raises:
            RefusedError: A file is not what the list says.
        """
        wanted = contents.below(folder)
        for number, file in enumerate(wanted, 1):
            self._service.progress.say(f"fetching {number} of {len(wanted)} files")
            self._get(file, to / file.at)
            (to / file.at).chmod(0o755 if file.executable else 0o644)
        for each in contents.empty:
            if each.startswith(f"{folder}/"):
                (to / each).mkdir(parents=True, exist_ok=True)
        return to / folder

    def _get(self, file: File, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._fetch(file.at, path, file.size_bytes)
        except AbsentError:
            raise RefusedError(f"{file.at} of the version is gone from the registry") from None
        made = of_file(path)
        if made != file.digest:
            raise RefusedError(
                f"{file.at}: the registry gives {made[:19]}…, but {file.digest[:19]}… was published;"
                " it was changed or damaged"
            )

    def _fetch(self, at: str, path: Path, size_bytes: int) -> None:
        def fetch() -> None:
            path.unlink(missing_ok=True)
            # download_artifacts would ask the server for a list first, and follow the names in it
            self._repository._download_file(at, str(path))  # noqa: SLF001 - what every repository implements

        if self._folder is not None and not Path(self._folder, at).is_file():
            raise AbsentError(f"{at} is not there")  # a folder, where that is no answer of a server
        self._service.call(f"fetching {at}", fetch, size_bytes=size_bytes)
