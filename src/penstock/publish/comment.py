"""A comment on a pull or merge request, updated in place: one for each pipeline, found by a hidden marker.

The marker stands at the very beginning, and only a comment that the token's owner wrote is taken for ours:
anybody may copy the marker into a comment of their own.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from penstock.errors import ExecutorError, UsageError
from penstock.inert import one_line
from penstock.record import Record

PROVIDERS = ("github", "gitlab")
MAX_CHARACTERS = 65_536
"""GitHub takes no more."""

_PER_PAGE = 100
_MAX_PAGES = 100
_MAX_ANSWER_BYTES = 16 << 20
_TIMEOUT_S = 20
_PAUSES_S = (1.0, 3.0, 9.0)
_PASSING = frozenset({429, 500, 502, 503, 504})
_REMEDIES = {
    401: "the token is not valid, or has expired",
    403: "the token may not write comments here: GitHub needs `pull-requests: write`, GitLab the scope `api`",
    404: "there is no such request, or the token may not see it",
}

Sleep = Callable[[float], None]


class Posted(Record):
    """Where a comment is, and whether it is a new one."""

    address: str
    created: bool


def marker_for(name: str) -> str:
    """The hidden line that a comment of this name begins with."""
    shown = re.sub(r"[^A-Za-z0-9._ -]", "_", one_line(name))[:100].replace("--", "__")
    return f"<!-- penstock: {shown} -->"


def post(
    provider: str,
    *,
    api: str,
    repository: str,
    number: int,
    token: str,
    body: str,
    marker: str,
    sleep: Sleep = time.sleep,
) -> Posted:
    """Update our comment on a request, or write it if there is none.

    Args:
        provider: `github` or `gitlab`.
        api: Address of its REST interface, such as `https://api.github.com`.
        repository: `owner/name`; for GitLab the project's number will do.
        number: Of the pull or merge request, as its page shows it.
        body: Markdown.
        marker: What `marker_for` gave.

    Raises:
        ExecutorError: The service cannot be reached, or refuses.
        UsageError: The arguments are of no use.
    """
    text = f"{marker}\n{body}"
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"the comment would have {len(text):,} characters, and {MAX_CHARACTERS:,} are allowed",
            notes=("give it the summary.md of a run, which is shorter",),
        )
    place = _place(provider, _Api(api, _headers(provider, token)), repository, number)
    for pause in (*_PAUSES_S, None):
        try:
            # from the start each time: a request that failed may have been carried out all the same
            return _write(place, text, marker)
        except _PassingError as error:
            if pause is None:
                raise error.as_error() from None
            sleep(max(pause, min(error.wait_s, 60.0)))
    raise AssertionError("unreachable")  # pragma: no cover


class _PassingError(Exception):
    """What may go better when it is tried again."""

    def __init__(self, where: str, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.where, self.what, self.wait_s = where, what, wait_s

    def as_error(self) -> ExecutorError:
        return ExecutorError(
            f"cannot be reached: {self.what}",
            where=self.where,
            notes=(f"tried {len(_PAUSES_S) + 1} times; the run's verdict does not depend on it",),
        )


class _StayHere(HTTPRedirectHandler):
    """Follows nothing: the token would go along."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


class _Api:
    """Requests to one REST interface."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise UsageError(
                f"{one_line(address)!r} is no address of a REST interface",
                notes=("write it like https://api.github.com",),
            )
        self._address = address.rstrip("/")
        self._headers = headers
        self._opener = build_opener(_StayHere())

    def ask(self, method: str, path: str, content: object = None) -> tuple[Any, Mapping[str, str]]:
        """What an address answers, and the answer's headers by lower-case name."""
        where = self._address + path
        data = None if content is None else json.dumps(content).encode()
        request = Request(where, data=data, method=method, headers=dict(self._headers))  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                read = answer.read(_MAX_ANSWER_BYTES + 1)
                headers = {name.lower(): value for name, value in answer.headers.items()}
        except HTTPError as error:
            raise _refusal(where, error) from None
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _PassingError(where, one_line(str(reason)) or type(error).__name__) from None
        if len(read) > _MAX_ANSWER_BYTES:
            raise ExecutorError("answers with more than 16 MiB", where=where)
        try:
            return json.loads(read), headers
        except (ValueError, RecursionError):
            raise ExecutorError("does not answer with JSON", where=where, notes=("is it the API?",)) from None


def _refusal(where: str, error: HTTPError) -> Exception:
    with error:
        wait = error.headers.get("Retry-After", "")
    if error.code in _PASSING:
        return _PassingError(where, f"HTTP {error.code}", float(wait) if wait.isdecimal() else 0.0)
    remedy = _REMEDIES.get(error.code)
    return ExecutorError(f"refuses with HTTP {error.code}", where=where, notes=(remedy,) if remedy else ())


def _headers(provider: str, token: str) -> dict[str, str]:
    if not token or not token.isascii() or not token.isprintable():
        raise UsageError("there is no usable token", notes=("a token is printable ASCII, and not empty",))
    common = {"Content-Type": "application/json", "User-Agent": "penstock"}
    if provider == "gitlab":
        return common | {"PRIVATE-TOKEN": token}
    return common | {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }


class _Place:
    """The comments of one request: how the two systems name things."""

    def __init__(self, api: _Api, comments: str, one: str, update: str, more: str) -> None:
        self.api, self.comments, self._one, self.update, self._more = api, comments, one, update, more

    def one(self, number: object) -> str:
        """The path of a comment."""
        return f"{self._one}/{quote(str(number), safe='')}"

    def pages(self) -> Iterator[list[Any]]:
        """The comments, oldest first."""
        for page in range(1, _MAX_PAGES + 1):
            found, headers = self.api.ask(
                "GET", f"{self.comments}?per_page={_PER_PAGE}&page={page}{self._more}"
            )
            if not isinstance(found, list):
                raise ExecutorError("does not answer with a list of comments", where=self.comments)
            yield found
            # only whether there is more is taken from the answer, never where: the token goes along
            if 'rel="next"' not in headers.get("link", "") and not headers.get("x-next-page", "").strip():
                return


def _place(provider: str, api: _Api, repository: str, number: int) -> _Place:
    if number < 1 or not repository:
        raise UsageError(f"there is no request {number} of {one_line(repository)!r}")
    if provider == "github":
        if (
            not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9._-]+", repository)
            or ".." in repository
        ):
            raise UsageError(f"{one_line(repository)!r} is no repository", notes=("write it owner/name",))
        base = f"/repos/{repository}/issues"
        return _Place(api, f"{base}/{number}/comments", f"{base}/comments", "PATCH", "")
    if provider == "gitlab":
        base = f"/projects/{quote(repository, safe='')}/merge_requests/{number}/notes"
        return _Place(api, base, base, "PUT", "&sort=asc&order_by=created_at")
    raise UsageError(f"there is no provider {provider!r}", notes=(f"there are {' and '.join(PROVIDERS)}",))


def _write(place: _Place, text: str, marker: str) -> Posted:
    found = next(_ours(place, marker), None)
    if found is not None:
        comment, _ = place.api.ask(place.update, place.one(found["id"]), {"body": text})
        return Posted(address=_address(comment, found), created=False)
    comment, _ = place.api.ask("POST", place.comments, {"body": text})
    return Posted(address=_address(comment, {}), created=True)


def _ours(place: _Place, marker: str) -> Iterator[dict[str, Any]]:
    me: object = None
    for comment in (each for page in place.pages() for each in page):
        if isinstance(comment, dict) and str(comment.get("body", "")).startswith(marker):
            me = me or _me(place.api)
            author = comment.get("user") or comment.get("author") or {}
            if author.get("id") == me if isinstance(me, int) else author.get("type") == "Bot":
                yield comment


def _me(api: _Api) -> int | str:
    """The number of the token's owner; `bot` where the token is an application's and so nobody's."""
    try:
        user, _ = api.ask("GET", "/user")
    except ExecutorError:
        return "bot"  # GitHub tells no application who it is; what applications write is written by a bot
    return int(user["id"]) if isinstance(user, dict) and isinstance(user.get("id"), int) else "bot"


def _address(*comments: Any) -> str:
    for comment in comments:
        if isinstance(comment, dict) and isinstance(comment.get("html_url"), str):
            return one_line(comment["html_url"])
    return ""
