"""One request to a registry: authorisation, redirects, certificates, and what its answers mean.

This is oras's registry with another way to send. oras's own has no timeouts, waits 131 s in all between
its attempts, repeats neither 429 nor 503, keeps a token after it has expired, and sends its credentials
wherever an upload's `Location` points.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import oras.provider
import requests
import urllib3

from ..common.program import UnavailableError, UnusableError
from .authority import Authority
from .patience import PassingError, Patience

MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 1 << 16
"""Of a token service's answer, and of an error's explanation."""

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError)
"""What a broken connection raises while a body is sent or read."""

OK, CREATED, ACCEPTED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 201, 202, 401, 403, 404
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_SHARE = 3
"""Of the patience one answer may take, so that there is time for another attempt."""

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PORTS = {"http": 80, "https": 443}


class Client(oras.provider.Registry):  # type: ignore[misc] # oras has no types
    """A registry as oras knows it, whose every request goes through `do_request` below.

    Args:
        host: With its port.
        basic: Base64 of name and password; None: what `docker login` left, if anything.
        insecure: Plain HTTP.
    """

    def __init__(self, host: str, basic: str | None, patience: Patience, *, insecure: bool) -> None:
        super().__init__(hostname=host, insecure=insecure, tls_verify=_certificates())
        self.session.auth = _leave_as_is
        self.session.get_redirect_target = _nowhere
        self.patience = patience
        self.authority = Authority(origin(f"{self.prefix}://{host}"), basic)

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **_oras: object,
    ) -> requests.Response:
        """Send a request and, asked to, authorise it; the answer's body is not read yet.

        Args:
            data: Bytes, or a function that gives a body to read, which is called for every attempt.

        Raises:
            PassingError: It may go better the next time.
            UnavailableError: It will not.
        """
        response = self._follow(method, url, data, headers or {})
        if response.status_code == UNAUTHORIZED and origin(response.url) == self.authority.origin:
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            self.authority.answer(challenge, self._fetch)
            response = self._follow(method, url, data, headers or {})
        if method == "HEAD":
            response.content  # noqa: B018 - there is none, and the connection can be used again
        return self._judged(response)

    def explained(self, response: requests.Response) -> str:
        """A status, and what the registry says about it."""
        try:
            body = response.raw.read(MAX_ANSWER_BYTES, decode_content=False).decode("utf-8", "replace")
        except FAILURES:
            body = ""
        finally:
            response.close()
        words = self.authority.without_secrets(" ".join(_messages(body)))
        return f"{place(response.url)} answers {response.status_code}" + (f" ({words})" if words else "")

    def _judged(self, response: requests.Response) -> requests.Response:
        if response.status_code in _PASSING:
            after = _retry_after(response.headers.get("Retry-After"))
            raise PassingError(self.explained(response), after)
        if response.status_code in (UNAUTHORIZED, FORBIDDEN):
            known = bool(self.authority.header(self.authority.origin))
            wrong = (
                "refuses the name or the password" if response.status_code == UNAUTHORIZED else "refuses this"
            )
            remedy = "ask for the right to push or pull there" if known else "give `username` and `password`"
            raise UnavailableError(f"{self.explained(response)}: {wrong}; {remedy}")
        return response

    def _follow(self, method: str, url: str, data: Any, headers: Mapping[str, str]) -> requests.Response:
        """The answer after redirects, which only reading follows."""
        for _ in range(MAX_REDIRECTS + 1):
            response = self._once(method, url, data, headers)
            if response.status_code not in _REDIRECTS or method not in ("GET", "HEAD"):
                return response
            response.close()
            url = self.beyond(url, response.headers.get("Location", ""))
        raise UnavailableError(f"{place(url)}: redirected more than {MAX_REDIRECTS} times")

    def beyond(self, url: str, location: str) -> str:
        """Where an answer to `url` points.

        Raises:
            PassingError: Nowhere.
            UnavailableError: From HTTPS to what is not.
        """
        try:
            target = urljoin(url, location)
            parts = urlsplit(target)
        except ValueError:
            raise PassingError(f"{place(url)} points nowhere") from None
        if not location or parts.scheme not in _PORTS or not parts.hostname:
            raise PassingError(f"{place(url)} points nowhere")
        if parts.scheme == "http" and url.startswith("https:"):
            raise UnavailableError(
                f"{place(url)} points to {place(target)}, which is not encrypted; it was not followed"
            )
        return target

    def _once(self, method: str, url: str, data: Any, headers: Mapping[str, str]) -> requests.Response:
        self.patience.check()
        share = max(0.05, min(self.patience.seconds / _SHARE, self.patience.left()))
        sent = {"Accept-Encoding": "identity", **self.authority.header(origin(url)), **headers}
        try:
            response: requests.Response = self.session.request(
                method,
                url,
                data=data() if callable(data) else data,
                headers=sent,
                stream=True,
                allow_redirects=False,
                verify=self._tls_verify,
                timeout=(share, self.patience.seconds if callable(data) else share),
            )
        except FAILURES as error:
            raise self._failure(url, error) from None
        return response

    def _failure(self, url: str, error: Exception) -> PassingError | UnavailableError:
        words = str(error) if isinstance(error, requests.exceptions.SSLError) else ""
        if "CERTIFICATE_VERIFY_FAILED" in words:
            remedy = "name its authority's certificates in REQUESTS_CA_BUNDLE"
            return UnavailableError(f"{place(url)}: its certificate cannot be verified: {remedy}")
        if "WRONG_VERSION" in words or "RECORD_LAYER" in words:
            remedy = "if that is meant so, say `insecure: true`"
            return UnavailableError(f"{place(url)}: does not speak TLS; {remedy}")
        return PassingError(f"{place(url)}: {failure(error)}")

    def _fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """What a token service answers; a redirect is not followed with credentials."""
        response = self._once("GET", url, None, headers)
        try:
            return response.status_code, response.raw.read(MAX_ANSWER_BYTES, decode_content=False)
        except FAILURES as error:
            raise PassingError(f"{place(url)}: {failure(error)}") from None
        finally:
            response.close()


def _certificates() -> str | bool:
    """The authorities that are trusted: a file or directory of certificates; True for the usual ones.

    Raises:
        UnusableError: A variable names what is not there.
    """
    for name in _CERTIFICATES:
        path = os.environ.get(name)
        if path and not Path(path).exists():
            raise UnusableError(
                f"{name}: {path} is not there; name a file with the certificates of authorities"
            )
        if path:
            return path
    return True


def place(url: str) -> str:
    """Host and path of a URL; what follows may be a signature."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def origin(url: str) -> str:
    """Scheme, host and port: what a secret belongs to."""
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        port = None
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def failure(error: BaseException) -> str:
    """What broke a connection, in a few words."""
    kinds: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (ConnectionRefusedError, "connection refused"),
        (urllib3.exceptions.NameResolutionError, "its name cannot be resolved"),
        ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError), "the connection was cut"),
        ((urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout), "no connection in time"),
        ((TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout), "no answer in time"),
        (urllib3.exceptions.IncompleteRead, "the answer was cut off"),
    )
    causes = _causes(error)
    for kind, words in kinds:
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return f"the connection failed ({type(causes[-1]).__name__})"


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what is wrapped in it, outermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return found


def _messages(body: str) -> list[str]:
    """The explanations in an error document of the OCI distribution specification."""
    try:
        errors = json.loads(body).get("errors") or []
        return [str(each.get("message") or each.get("code")) for each in errors[:3]]
    except (ValueError, RecursionError, AttributeError, TypeError):
        return []


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        return float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, OverflowError):
        return None


def _leave_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from looking for credentials of its own (~/.netrc)."""
    return request


def _nowhere(_response: requests.Response) -> None:
    """Keeps requests from looking where a redirect leads, and from reading all of its body."""
