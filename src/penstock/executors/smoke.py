"""Asks a server that has just been started, from within its container: does it answer, and what does it say?

It is run there by `python -I -S -c`, so it is standard library only, and imports nothing of Penstock. It
prints one line of JSON.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_TICK_S = 0.1
_MOST_CHARACTERS = 500
_REFUSED = "nothing listens at its port"


def main(arguments: list[str]) -> int:
    """`PORT EXAMPLE LIMIT_S`: wait for /ping, ask about the example rows; 0 whatever was found."""
    port, example, limit_s = arguments
    asked = json.loads(Path(example).read_text(encoding="utf-8"))["request"]
    print(json.dumps(ask(int(port), asked, float(limit_s))), flush=True)  # noqa: T201 - what it is for
    return 0


def ask(port: int, asked: Any, limit_s: float) -> dict[str, Any]:
    """What a server says of some rows.

    Returns:
        `ready_s` (until /ping said 200), `status` and `answer` (of /invocations), who the server's user is,
        and whether that user can write beside the model; or `problem`: a clause.
    """
    began = time.monotonic()
    said = _REFUSED
    while time.monotonic() - began < limit_s:
        status, said = _request(port, "GET", "/ping", None, min(10.0, limit_s))
        if status == http.client.OK:
            break
        time.sleep(_TICK_S)
    else:
        return {"problem": f"it did not answer /ping within {limit_s:g} s: {said}"}
    ready_s = time.monotonic() - began
    status, text = _request(port, "POST", "/invocations", json.dumps(asked), limit_s)
    found = {"ready_s": round(ready_s, 3), "uid": os.getuid(), "writable": _writable(), "status": status}
    try:
        return found | {"answer": json.loads(text)}
    except ValueError:
        return found | {"answer": text[:_MOST_CHARACTERS]}


def _request(port: int, method: str, path: str, body: str | None, limit_s: float) -> tuple[int, str]:
    """Status and text of an answer; 0 and what went wrong if there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit_s)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except ConnectionRefusedError:
        return 0, _REFUSED
    except TimeoutError:
        return 0, f"{path} was not answered for {limit_s:g} s"
    except (OSError, http.client.HTTPException) as error:
        return 0, getattr(error, "strerror", None) or type(error).__name__
    finally:
        connection.close()


def _writable() -> bool:
    """Whether the image's own files could be changed."""
    try:
        probe = Path.cwd() / ".penstock-probe"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
