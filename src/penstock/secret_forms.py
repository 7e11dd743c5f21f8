"""The forms that a secret's value commonly takes in what programs print."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from html import escape
from itertools import product
from urllib.parse import quote_from_bytes

ENCODED_FROM_BYTES = 6
"""Shorter values are looked for as they are only: their encodings would match ordinary text."""

_TELLING_LINE_BYTES = 16
_LINE_WIDTHS = (60, 64, 76)  # xxd -p, PEM, base64 and MIME
_PUBLIC_KEY = re.compile(rb"\xa1(.)\x03(.)\x00[\x02\x03\x04]", re.DOTALL)
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")


def forms_of(value: bytes) -> Iterator[tuple[bytes, bool]]:
    """Every form to look for, some of them twice, with whether it gives the secret away by itself."""
    whole = value.strip()
    yield value, True
    yield whole, True
    for form in _encoded(value):
        yield form, True
    if whole != value:
        for form in _encoded(whole):
            yield form, True
    lines = {line.strip() for line in whole.splitlines()} - {whole}
    public = _public_lines(whole)
    for line in sorted(lines):
        if len(line) >= ENCODED_FROM_BYTES:
            framing = line.startswith(b"-----")
            tells = len(line) >= _TELLING_LINE_BYTES and not framing and line not in public
            yield line, tells
            for form in _encoded(line):
                yield form, tells


def _public_lines(whole: bytes) -> frozenset[bytes]:
    """The lines of a private key on an elliptic curve, in PEM, that hold nothing but its public key.

    The private key comes first, and the public one after it, tagged [1] (RFC 5915, section 3).
    """
    lines = [line.strip() for line in whole.splitlines()]
    if not (lines and lines[0].startswith(b"-----BEGIN") and lines[0].endswith(b"PRIVATE KEY-----")):
        return frozenset()
    body = [line for line in lines[1:] if not line.startswith(b"-----")]
    try:
        key = base64.b64decode(b"".join(body), validate=True)
    except ValueError:
        return frozenset()
    found = next((each for each in _PUBLIC_KEY.finditer(key) if each[1][0] == each[2][0] + 2), None)
    if found is None:
        return frozenset()
    public, at = set(), 0
    for line in body:
        if at * 3 // 4 >= found.start():
            public.add(line)
        at += len(line)
    return frozenset(public)


def _encoded(value: bytes) -> Iterator[bytes]:
    if len(value) < ENCODED_FROM_BYTES:
        return
    yield from _base64_forms(value)
    yield from _hexadecimal(value)
    yield from _percent(value)
    yield from _bytes_literal(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        yield value.decode("utf-8", "replace").encode()
        return
    for form in _texts(text):
        yield form.encode("utf-8", "surrogatepass")
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")


def _base64_forms(value: bytes) -> Iterator[bytes]:
    for form in _base64(value):
        yield from _both_alphabets(form)
        for again in _base64(form):
            yield from _both_alphabets(again)
    for width in _LINE_WIDTHS:
        for ended in (value, value + b"\n"):  # as `printf` and `echo` give it to base64
            yield from _wrapped(base64.b64encode(ended), width)


def _base64(value: bytes) -> Iterator[bytes]:
    """Base64 of a text that holds the value, as far as the value alone decides it, at the 3 alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        start = -(-8 * before // 6)
        end = 8 * (before + len(value)) // 6
        yield encoded[start:end]
        if encoded[end:]:  # the value ends the text: one character more, and padding
            yield encoded[start:].rstrip(b"=")
            yield encoded[start:]


def _both_alphabets(form: bytes) -> tuple[bytes, bytes]:
    return form, form.translate(bytes.maketrans(b"+/", b"-_"))


def _wrapped(form: bytes, width: int) -> Iterator[bytes]:
    if len(form) > width:
        lines = [form[at : at + width] for at in range(0, len(form), width)]
        if len(lines[-1]) < ENCODED_FROM_BYTES:
            lines[-2:] = [lines[-2], b"\n".join(lines[-2:])]
        yield from lines


def _hexadecimal(value: bytes) -> Iterator[bytes]:
    digits = [b"%02x" % byte for byte in value]
    for each in (digits, [pair.upper() for pair in digits]):
        yield b"".join(each)
        yield b":".join(each)
        yield b" ".join(each)
        yield b"\\x" + b"\\x".join(each)
        yield b"%" + b"%".join(each)
        yield from _wrapped(b"".join(each), _LINE_WIDTHS[0])


def _percent(value: bytes) -> Iterator[bytes]:
    for safe in ("", "/", "!'()*", "/:@!$&'()*+,;=?"):  # RFC 3986, paths, encodeURIComponent, encodeURI
        form = quote_from_bytes(value, safe=safe)
        for each in (form, form.replace("%20", "+")):
            yield each.encode()
            yield _lower_escapes(each).encode()


def _lower_escapes(form: str) -> str:
    head, *escapes = form.split("%")
    return "%".join((head, *(each[:2].lower() + each[2:] for each in escapes)))


def _bytes_literal(value: bytes) -> Iterator[bytes]:
    inside = repr(value)[2:-1].encode()
    yield inside
    yield inside.replace(b"\\'", b"'")
    yield inside.replace(b"\\'", b"'").replace(b"'", b"\\'")


def _texts(text: str) -> Iterator[str]:
    for make in (_json, _literals, _shell, _markup):
        yield from make(text)


def _json(text: str) -> Iterator[str]:
    for ascii_only in (True, False):
        form = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        go = form.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
        for each in (form, go, form.replace("/", "\\/")):
            yield each
            yield _upper_escapes(each)
            yield json.dumps(each, ensure_ascii=ascii_only)[1:-1]
    units = text.encode("utf-16-be").hex()
    escaped = "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
    yield escaped
    yield _upper_escapes(escaped)


def _upper_escapes(form: str) -> str:
    head, *escapes = form.split("\\u")
    return "\\u".join((head, *(each[:4].upper() + each[4:] for each in escapes)))


def _literals(text: str) -> Iterator[str]:
    for literal in (repr, ascii):
        form = literal(text)[1:-1]
        bare = form.replace("\\'", "'")
        yield form
        yield bare
        yield bare.replace("'", "\\'")
        yield bare.replace('"', '\\"')


def _shell(text: str) -> Iterator[str]:
    yield shlex.quote(text).removeprefix("'").removesuffix("'")
    yield text.replace("'", "'\\''")
    yield "".join("\\" + each if each in '"$`\\' else each for each in text)
    yield "".join(each if ord(each) in _PLAIN or not each.isascii() else "\\" + each for each in text)


def _markup(text: str) -> Iterator[str]:
    plain = escape(text, quote=False)
    yield plain
    double: tuple[str, ...] = ('"', "&quot;", "&#34;", "&#x22;")
    single: tuple[str, ...] = ("'", "&apos;", "&#39;", "&#x27;")
    for one, other in product(double, single):
        yield plain.replace('"', one).replace("'", other)
