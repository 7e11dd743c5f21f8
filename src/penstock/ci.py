"""What Penstock knows of CI systems: which one it runs under, how logs are folded, where a summary goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from penstock.inert import one_line, printable
from penstock.record import Record


class System(StrEnum):
    """A CI system; `OTHER` for one that only says that it is one, `NONE` outside of any."""

    GITHUB = "github"
    GITLAB = "gitlab"
    OTHER = "other"
    NONE = "none"


class Section(Record):
    """Output of a stage that is folded in a log.

    Attributes:
        title: One line.
        body: Anything that a stage printed.
        started_s: Seconds since the epoch.
        ended_s: Seconds since the epoch.
        folded: Whether it is shown closed at first, where that can be chosen.
    """

    title: str
    body: str
    started_s: float
    ended_s: float
    folded: bool = True


class Provider(Record, kw_only=False):
    """The CI system that Penstock runs under.

    Attributes:
        summary_path: The file that it shows as the job's summary, if it has one.
    """

    system: System
    summary_path: Path | None = None

    @property
    def in_ci(self) -> bool:
        """Whether nobody watches."""
        return self.system is not System.NONE

    def fold(self, section: Section) -> str:
        """A section as this system folds it, in complete lines; no text in it can end or start anything."""
        title = one_line(section.title)
        body = printable(section.body)
        if body and not body.endswith("\n"):
            body += "\n"
        match self.system:
            case System.GITHUB:
                token = os.urandom(16).hex()
                return (
                    f"::group::{_github_data(title)}\n::stop-commands::{token}\n"
                    f"{body}::{token}::\n::endgroup::\n"
                )
            case System.GITLAB:
                name = f"penstock_{os.urandom(8).hex()}"
                option = "[collapsed=true]" if section.folded else ""
                return (
                    f"\x1b[0Ksection_start:{section.started_s:.0f}:{name}{option}\r\x1b[0K{title}\n"
                    f"{body}\x1b[0Ksection_end:{section.ended_s:.0f}:{name}\r\x1b[0K\n"
                )
            case System.OTHER | System.NONE:
                return f"{title}\n" + "".join(f"  {line}\n" for line in body.splitlines())

    def error(self, title: str, message: str) -> str:
        """A line that this system shows beside the job, where it has such; empty elsewhere."""
        if self.system is not System.GITHUB:
            return ""
        data = _github_data(printable(message).strip())
        return f"::error title={_github_property(one_line(title))}::{data}\n"


def detect(environ: Mapping[str, str]) -> Provider:
    """The CI system that set these variables."""
    if environ.get("GITHUB_ACTIONS") == "true":
        path = environ.get("GITHUB_STEP_SUMMARY")
        return Provider(System.GITHUB, Path(path) if path else None)
    if environ.get("GITLAB_CI") == "true":
        return Provider(System.GITLAB)
    declared = environ.get("CI", "").lower() not in ("", "0", "false")
    return Provider(System.OTHER if declared else System.NONE)


def summary_path(environ: Mapping[str, str]) -> Path | None:
    """The file that the CI system shows as the job's summary, if it has one."""
    return detect(environ).summary_path


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


class PullRequest(Record):
    """A pull or merge request that a CI system runs for.

    Attributes:
        api: Address of the system's REST interface.
        repository: `owner/name` on GitHub, the project's number on GitLab.
    """

    provider: str
    api: str
    repository: str
    number: int


def pull_request(environ: Mapping[str, str]) -> PullRequest | None:
    """The pull or merge request that this job runs for, if it does."""
    if environ.get("GITHUB_ACTIONS") == "true":
        names = ("GITHUB_API_URL", "GITHUB_REPOSITORY")
        number = environ.get("GITHUB_REF", "").removeprefix("refs/pull/").partition("/")[0]
        provider = "github"
    else:
        names = ("CI_API_V4_URL", "CI_PROJECT_ID")
        number = environ.get("CI_MERGE_REQUEST_IID", "")
        provider = "gitlab"
    api, repository = (environ.get(name, "") for name in names)
    if not (api and repository and number.isascii() and number.isdecimal()):
        return None
    return PullRequest(provider=provider, api=api, repository=repository, number=int(number))


_TAGS = "refs/tags/"


def release(environ: Mapping[str, str]) -> str | None:
    """What is released: what `PENSTOCK_RELEASE` says, else the tag that this job runs for."""
    if environ.get("PENSTOCK_RELEASE"):
        return environ["PENSTOCK_RELEASE"]
    reference = environ.get("GITHUB_REF") or environ.get("BUILD_SOURCEBRANCH") or ""
    if reference.startswith(_TAGS):
        return reference.removeprefix(_TAGS)
    named = ("CI_COMMIT_TAG", "CIRCLE_TAG", "BUILDKITE_TAG", "TAG_NAME")
    return next((environ[name] for name in named if environ.get(name)), None)


def job(environ: Mapping[str, str]) -> str | None:
    """The address of the job that this runs in, if the CI system says one."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    if environ.get("GITHUB_ACTIONS") == "true" and all(environ.get(name) for name in names):
        server, repository, number = (environ[name] for name in names)
        return f"{server}/{repository}/actions/runs/{number}"
    return environ.get("CI_JOB_URL") or None


def actor(environ: Mapping[str, str]) -> str | None:
    """Who started the job that this runs in, if the CI system says so."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return environ.get("GITHUB_ACTOR") or None
    return environ.get("GITLAB_USER_LOGIN") or None
