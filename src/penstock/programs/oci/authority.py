"""What proves to a registry who is asking: basic authentication, or a token that its token service gives.

Only the registry's own challenges are answered, never those of a host that it redirects to, and a secret
goes to nobody in the clear unless the registry itself is spoken to so.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..common.program import UnavailableError, UnusableError
from .patience import PassingError

_CHALLENGE = re.compile(r"(?:^|,)\s*([A-Za-z]+)\s+(?=[A-Za-z_]+\s*=)")
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SHOWN_CHARACTERS = 200

Fetch = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""From a URL and headers to a status and a body."""


def basic(request: Mapping[str, Any]) -> str | None:
    """Base64 of `name:password`, from the variables that a request names; None if it names none.

    Raises:
        UnusableError: One of them is not set, or only one is named.
    """
    names = [request.get("username"), request.get("password")]
    if not any(names):
        return None
    values = []
    for what, name in zip(("username", "password"), names, strict=True):
        value = os.environ.get(name, "") if name else ""
        if not value:
            which = f"the variable {name} is empty or not set" if name else "there is none beside the other"
            raise UnusableError(f"{what}: {which}; give both as secrets")
        values.append(value)
    return base64.b64encode(":".join(values).encode()).decode()


class Authority:
    """The `Authorization` header of one registry's requests.

    Args:
        origin: Of the registry, `https://host:port`.
        basic: Base64 of name and password; None asks anonymously.
    """

    def __init__(self, origin: str, basic: str | None) -> None:
        self.origin = origin
        self._basic = basic
        self._header: dict[str, str] = {}
        self._secrets = set(base64.b64decode(basic).decode().split(":", 1)[1:]) | {basic} if basic else set()

    def header(self, origin: str) -> Mapping[str, str]:
        """For a request to a host; empty unless that is the registry itself."""
        return self._header if origin == self.origin else {}

    def without_secrets(self, text: str) -> str:
        """A service's words, on one line and with what it must not know left out."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return "".join(c if c.isprintable() else " " for c in text)[:_SHOWN_CHARACTERS].strip()

    def answer(self, challenge: str, fetch: Fetch) -> None:
        """Get ready for another attempt after a 401.

        Raises:
            UnavailableError: The registry will not have us.
            PassingError: Its token service does not answer now.
        """
        asked = challenges(challenge)
        if "bearer" in asked:
            self._header = {"Authorization": f"Bearer {self._token(asked['bearer'], fetch)}"}
        elif "basic" in asked:
            if self._basic is None:
                raise UnavailableError(
                    f"{self.origin} asks for a name and a password: give `username` and `password`"
                )
            self._header = {"Authorization": f"Basic {self._basic}"}
        else:
            said = self.without_secrets(challenge) or "nothing"
            raise UnavailableError(
                f"{self.origin} answers 401 and asks for {said!r}, not for Basic or Bearer"
            )

    def _token(self, asked: Mapping[str, str], fetch: Fetch) -> str:
        url = self._realm(asked)
        status, body = fetch(url, {"Authorization": f"Basic {self._basic}"} if self._basic else {})
        place = f"the token service {urlsplit(url).netloc}"
        if status in (401, 403):
            raise UnavailableError(f"{place} refuses the name or the password ({status})")
        if status != 200:  # noqa: PLR2004 - OK
            raise PassingError(f"{place} answers {status}")
        try:
            document = json.loads(body)
            token = document.get("token") or document.get("access_token")
        except (ValueError, RecursionError, AttributeError):
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise PassingError(f"{place} gives no token")
        self._secrets.add(token)
        return token

    def _realm(self, asked: Mapping[str, str]) -> str:
        try:
            parts = urlsplit(asked.get("realm", ""))
        except ValueError:
            parts = urlsplit("")
        allowed = ("https",) if self.origin.startswith("https:") else ("https", "http")
        if parts.scheme not in allowed or not parts.hostname or parts.username is not None:
            shown = self.without_secrets(asked.get("realm", ""))
            raise UnavailableError(
                f"{self.origin} names {shown!r} as its token service, which is no {allowed[0]} URL"
            )
        query = parse_qsl(parts.query) + [(key, asked[key]) for key in ("service", "scope") if asked.get(key)]
        return parts._replace(query=urlencode(query), fragment="").geturl()


def challenges(header: str) -> dict[str, dict[str, str]]:
    """The schemes that a `WWW-Authenticate` header offers, in lower case, and their parameters.

    Source: RFC 9110, section 11.6.1.
    """
    starts = list(_CHALLENGE.finditer(header))
    ends = [*(start.start() for start in starts[1:]), len(header)]
    return {
        start[1].lower(): {
            found[1].lower(): found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
            for found in _PARAMETER.finditer(header[start.end() : end])
        }
        for start, end in zip(starts, ends, strict=False)
    }
