"""Where the reports of a run are kept: `.penstock/runs/<run id>/`, and the way back to the last one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cache.compare import Manifests
from penstock.ci import summary_path
from penstock.errors import StoreError, UsageError
from penstock.report import attached, document, junit, markdown, members, metrics, scans
from penstock.results import RunReport

if TYPE_CHECKING:
    from penstock.report.documents.measures import Headline
    from penstock.report.documents.security import Security

RUNS = Path(".penstock/runs")
LATEST = "latest"
KEPT_RUNS = 100
NO_DOCUMENTS: Mapping[str, bytes] = {}


def files(
    report: RunReport,
    manifests: Manifests = members.unknown,
    documents: Mapping[str, bytes] = NO_DOCUMENTS,
    *,
    page: bool = False,
) -> dict[str, bytes]:
    """All files of a run's report by name; every place that a report is put to gets these.

    Args:
        manifests: Where the manifests of the run's directories are looked up.
        documents: What programs wrote, by the path of the output that each is.
        page: With the page too, which takes longer than a run that has nothing to do.
    """
    listing = members.encode(report, manifests)
    measured = _measured(documents)
    return {
        "run.json": document.encode(report),
        **({members.NAME: listing} if listing else {}),
        "summary.md": markdown.render(report, measured, _scanned(documents)).encode("utf-8", "replace"),
        "junit.xml": junit.render(report).encode("utf-8"),
        "metrics.txt": metrics.render(report, measured).encode("utf-8"),
        **attached.kept(documents),
        **scans.files(documents),
        **(_page(report, documents) if page else {}),
        "exit-code": f"{report.exit_code}\n".encode(),
    }


def _measured(documents: Mapping[str, bytes]) -> Mapping[str, Headline]:
    if not documents:
        return {}
    from penstock.report.documents.read import headlines

    return headlines(documents)


def _scanned(documents: Mapping[str, bytes]) -> Sequence[Security]:
    if not any(b'"security"' in each for each in documents.values()):
        return ()
    from penstock.report.documents.read import scanned

    return scanned(documents)


def _page(report: RunReport, documents: Mapping[str, bytes]) -> dict[str, bytes]:
    from penstock.report.html import page

    return {page.NAME: page.render(report, documents)}


def copy(
    report: RunReport,
    folder: Path,
    manifests: Manifests = members.unknown,
    documents: Mapping[str, bytes] = NO_DOCUMENTS,
) -> None:
    """Write a run's report, with its page, into a directory of the user's choice, `exit-code` last.

    Raises:
        StoreError: It cannot be written.
    """
    _put(files(report, manifests, documents, page=True), folder)


def _put(named: Mapping[str, bytes], folder: Path) -> None:
    for name, data in named.items():
        document.write_whole(folder / name, data)


def write(
    report: RunReport,
    runs: Path,
    manifests: Manifests = members.unknown,
    documents: Mapping[str, bytes] = NO_DOCUMENTS,
) -> Path:
    """Write a run's report; gives its folder. The page is `penstock report`'s, when somebody asks for it.

    Older runs than the last `KEPT_RUNS` are removed.

    Raises:
        StoreError: They cannot be written.
    """
    folder = runs / report.run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _put(files(report, manifests, documents), folder)
        _point(runs, report.run_id)
        _prune(runs)
    except OSError as error:
        raise StoreError(
            f"the reports cannot be written: {error.strerror or error}",
            where=str(folder),
            notes=("results are kept in the store; free room and run again",),
        ) from error
    return folder


def read(runs: Path, run: str) -> RunReport:
    """The report of a run, named as for `find`.

    Raises:
        UsageError: There is no such run.
        PipelineError: Its report cannot be read.
    """
    return document.read_json(find(runs, run) / "run.json")


def find(runs: Path, run: str) -> Path:
    """The folder of a run, by its id, a beginning of it that fits only one, or `latest`.

    Raises:
        UsageError: There is no such run.
    """
    known = (
        sorted(path.name for path in runs.iterdir() if path.is_dir() and not path.is_symlink())
        if runs.is_dir()
        else []
    )
    if run == LATEST:
        fits = [str((runs / LATEST).readlink())] if (runs / LATEST).is_symlink() else known[-1:]
    else:
        fits = [name for name in known if name == run] or [name for name in known if name.startswith(run)]
    if len(fits) != 1:
        raise UsageError(
            f"there is no run {run!r}" if not fits else f"{len(fits)} runs begin with {run!r}",
            where=str(runs),
            notes=(f"the last runs are {', '.join(known[-3:])}" if known else "run `penstock run` first",),
        )
    return runs / fits[0]


def append_job_summary(
    report: RunReport, environ: Mapping[str, str], documents: Mapping[str, bytes] = NO_DOCUMENTS
) -> None:
    """Add the run to the job summary of a CI system that has one."""
    path = summary_path(environ)
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown.render(report, _measured(documents), _scanned(documents)))
    except OSError:
        return  # the summary is a convenience; the run's verdict stands without it


def _point(runs: Path, run_id: str) -> None:
    pointer = runs / f".{LATEST}-{os.getpid()}"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(run_id)
    pointer.replace(runs / LATEST)


def _prune(runs: Path) -> None:
    names = sorted(entry.name for entry in os.scandir(runs) if entry.is_dir(follow_symlinks=False))
    if len(names) <= KEPT_RUNS:
        return
    import shutil

    for name in names[:-KEPT_RUNS]:
        shutil.rmtree(runs / name, ignore_errors=True)
