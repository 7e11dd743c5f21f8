from __future__ import annotations

import base64
import html
import itertools
import json
import random
import shlex
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from penstock.errors import UsageError
from penstock.redact import MAX_BYTES, Redactor, check_value

TOKEN = b"ghp_R4nd0mT0kenWith+Signs/and=Padding"
AWKWARD = "p@ss w\"o'r&d<x>\\/$`é%\n2nd line of it".encode()
PEM = b"-----BEGIN KEY-----\n" + b"\n".join(base64.b64encode(bytes([n]) * 48) for n in range(9)) + b"\n"


def _text(make: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda value: make(value.decode()).encode()


def _aligned(before: bytes, after: bytes, encode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda value: encode(before + value + after)


def _twice(value: bytes) -> bytes:
    return base64.b64encode(base64.b64encode(value))


# what programs do to a value before they print it; written without the module that knows the forms
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda value: value,
    "trimmed": lambda value: value.strip(),
    "base64 at 0": base64.b64encode,
    "base64 at 1": _aligned(b"x", b"yz", base64.b64encode),
    "base64 at 2": _aligned(b"xx", b"y", base64.b64encode),
    "base64 without padding": lambda value: base64.b64encode(value).rstrip(b"="),
    "base64url at 0": base64.urlsafe_b64encode,
    "base64url at 1": _aligned(b"x", b"", base64.urlsafe_b64encode),
    "base64url at 2": _aligned(b"xx", b"\n", base64.urlsafe_b64encode),
    "double base64": _twice,
    "double base64 at 1 and 2": lambda value: base64.b64encode(b"zz" + base64.b64encode(b"x" + value)),
    "double base64 at 2 and 1": lambda value: base64.b64encode(b"z" + base64.b64encode(b"xx" + value) + b"!"),
    "hex": lambda value: value.hex().encode(),
    "HEX": lambda value: value.hex().upper().encode(),
    "hex with colons": lambda value: value.hex(":").encode(),
    "\\x": lambda value: b"".join(b"\\x%02x" % byte for byte in value),
    "percent, all": lambda value: b"".join(b"%%%02X" % byte for byte in value),
    "quote": lambda value: urllib.parse.quote(value).encode(),
    "quote, all": lambda value: urllib.parse.quote(value, safe="").encode(),
    "quote_plus": lambda value: urllib.parse.quote_plus(value).encode(),
    "json": _text(lambda text: json.dumps(text)[1:-1]),
    "json, not ASCII": _text(lambda text: json.dumps(text, ensure_ascii=False)[1:-1]),
    "json in json": _text(lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1]),
    "json of Go": _text(
        lambda text: (
            json.dumps(text)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
        )
    ),
    "\\u00XX": lambda value: b"".join(b"\\u%04X" % ord(each) for each in value.decode()),
    "repr": _text(lambda text: repr(text)[1:-1]),
    "ascii": _text(lambda text: ascii(text)[1:-1]),
    "repr of bytes": lambda value: repr(value)[2:-1].encode(),
    "shell": _text(shlex.quote),
    "html": _text(html.escape),
    "html, quotes as they are": _text(lambda text: html.escape(text, quote=False)),
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("value", [TOKEN, AWKWARD, b"hunter2!"], ids=["token", "awkward", "password"])
def test_every_encoding_is_masked(name: str, value: bytes) -> None:
    encoded = ENCODINGS[name](value)
    masked = Redactor({"S": value}).mask(b"before " + encoded + b" after")
    assert b"***" in masked
    # at other alignments of base64, the characters at both ends depend on what stands beside the secret
    rest = masked.removeprefix(b"before ").removesuffix(b" after").replace(b"***", b"")
    assert len(rest) <= (8 if "base64" in name else 2 if name == "shell" else 0)


@pytest.mark.parametrize("ending", [b"", b"\n"], ids=["printf", "echo"])
@pytest.mark.parametrize("options", [["-w76"], ["-w64"], ["-w0"]])
def test_base64_in_lines_is_masked(options: list[str], ending: bytes) -> None:
    value = bytes(random.Random(4).randbytes(200).hex(), "ascii")
    printed = subprocess.run(
        ["base64", *options], input=value + ending, capture_output=True, check=True
    ).stdout
    assert set(Redactor({"S": value}).mask(printed).split()) == {b"***"}


def test_lines_of_a_secret_are_masked_one_by_one() -> None:
    lines = PEM.splitlines()
    masked = Redactor({"KEY": PEM}).mask(b"".join(b"> " + line + b"\r\n" for line in lines))
    assert masked == b"> ***\r\n" * len(lines)


def test_utf_16_is_masked() -> None:
    redactor = Redactor({"S": TOKEN})
    assert redactor.mask(TOKEN.decode().encode("utf-16-le")) == b"***"
    assert redactor.mask(TOKEN.decode().encode("utf-16-be")) == b"***"


def test_a_value_that_is_no_text_is_masked_as_it_is_and_as_text() -> None:
    value = b"\xff\xfe\x80binary\x00"[:-1]
    redactor = Redactor({"S": value})
    assert redactor.mask(b"a" + value + b"b") == b"a***b"
    assert redactor.mask_text("a" + value.decode("utf-8", "replace") + "b") == "a***b"
    assert redactor.mask_text("a" + value.decode("utf-8", "surrogateescape") + "b") == "a***b"


def test_text_with_a_lone_surrogate_can_be_masked() -> None:
    assert "abcdefgh" not in Redactor({"S": b"abcdefgh"}).mask_text("\ud800 abcdefgh")


def test_the_longest_match_wins_and_overlapping_ones_are_masked_as_one() -> None:
    redactor = Redactor({"A": b"abcdef", "B": b"cdefgh", "C": b"abcd"})
    assert redactor.mask(b"-abcdefgh-abcd-abcdeX") == b"-***-***-***eX"


def test_short_values_are_masked_as_they_are_only() -> None:
    redactor = Redactor({"PIN": b"4711"})
    assert redactor.mask(b"4711 47114711 471") == b"*** ****** 471"
    assert redactor.mask(base64.b64encode(b"4711")) == base64.b64encode(b"4711")


def test_without_secrets_the_same_object_comes_back() -> None:
    redactor, data = Redactor({}), b"x" * 100
    assert not redactor
    assert redactor.stream().feed(data) is data
    assert redactor.mask_text("anything") == "anything"
    assert redactor.found_in([data]) is None


def test_only_what_could_begin_a_secret_is_held_back() -> None:
    stream = Redactor({"A": b"sesame-open"}).stream()
    assert stream.feed(b"line one\nses") == b"line one\n"
    assert stream.feed(b"ame") == b""
    assert stream.feed(b"!") == b"sesame!"
    assert stream.feed(b"sesame-open") == b"***"
    assert stream.flush() == b""


def test_a_secret_within_the_beginning_of_another_is_masked_at_the_end() -> None:
    stream = Redactor({"A": b"abcdefgh", "B": b"__abcdefgh__"}).stream()
    assert stream.feed(b"__abcdefgh") + stream.flush() == b"__***"


def test_an_endless_row_of_overlapping_matches_holds_back_little() -> None:
    stream = Redactor({"A": b"aaaaaaaaaaaaaaaa"}).stream()
    out = b"".join(stream.feed(b"a" * 1000) for _ in range(50))
    assert out + stream.flush() == b"***"
    assert len(stream._held) < 64


def _cases(count: int, seed: int) -> Iterator[tuple[dict[str, bytes], bytes, list[int]]]:
    rng = random.Random(seed)
    alphabets = [
        b"abcdefgh0123XYZ_-+/=",
        b"ab",
        bytes(range(33, 127)),
        " é'\"&<>%$`\\\n".encode() + b"abc123",
    ]
    names = list(ENCODINGS)
    for _ in range(count):
        secrets = {}
        for number in range(rng.randint(1, 3)):
            alphabet = rng.choice(alphabets)
            value = bytes(rng.choices(alphabet, k=rng.randint(6, 60))).decode("utf-8", "ignore").encode()
            if len(value.strip()) >= 6:
                secrets[f"S{number}"] = value
        pieces = []
        for value in secrets.values():
            for name in rng.sample(names, 3):
                pieces += [rng.randbytes(rng.randint(0, 20)), b"\n", ENCODINGS[name](value), b" "]
        data = b"".join(pieces)
        cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 12)))
        if rng.random() < 0.1:
            cuts = list(range(len(data)))
        yield secrets, data, cuts


def _leaks(secrets: dict[str, bytes], data: bytes, cuts: list[int]) -> list[str]:
    redactor = Redactor(secrets)
    stream = redactor.stream()
    edges = [0, *cuts, len(data)]
    given = [stream.feed(data[start:end]) for start, end in itertools.pairwise(edges)]
    out = b"".join((*given, stream.flush()))
    problems = [] if out == redactor.mask(data) else ["cut-dependent"]
    # a mask stands for a secret, and must not make one out of what is left and right of it
    rests = out.split(b"***")
    problems += [
        name
        for value in secrets.values()
        for name, encode in ENCODINGS.items()
        for rest in rests
        if ("base64 at" not in name and "at 1" not in name and "at 2" not in name) and encode(value) in rest
    ]
    for name, value in secrets.items():
        cores = [core for before in range(3) for core in _cores(value, before)]
        problems += [name for core in cores for rest in rests if core in rest]
    return problems


def _cores(value: bytes, before: int) -> Iterator[bytes]:
    """What base64 makes of a value at one alignment, and of that at each, without what its neighbours change."""
    core = _core(value, before)
    yield core
    yield from (_core(core, again) for again in range(3))


def _core(value: bytes, before: int) -> bytes:
    one, other = (base64.b64encode(pad * before + value + pad * 3) for pad in (b"\0", b"\xff"))
    same = [left == right for left, right in zip(one, other, strict=True)]
    return one[same.index(True) : len(same) - same[::-1].index(True)]


def test_no_encoding_leaks_however_the_output_is_cut() -> None:
    assert [found for case in _cases(1500, seed=7) if (found := _leaks(*case))] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_no_encoding_leaks_in_a_great_many_cases(seed: int) -> None:
    assert [found for case in _cases(12_500, seed=100 + seed) if (found := _leaks(*case))] == []


def test_a_secret_in_an_output_is_found_by_name_across_pieces() -> None:
    redactor = Redactor({"TOKEN": TOKEN, "KEY": PEM})
    data = b"\0" * 5000 + base64.b64encode(b"x" + TOKEN) + b"\1" * 5000
    for size in (1, 7, 64, 4096, 100_000):
        assert redactor.found_in(data[at : at + size] for at in range(0, len(data), size)) == "TOKEN"
    assert redactor.found_in([b"of " + PEM.splitlines()[3]]) == "KEY"
    assert redactor.found_in([random.Random(1).randbytes(1 << 20)]) is None


@pytest.mark.parametrize("form", ["TraditionalOpenSSL", "PKCS8"])
def test_the_public_part_of_a_private_key_is_no_find(form: str) -> None:
    """Who signs with a key publishes the other half of it, which such a file holds too."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    for _ in range(20):
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            getattr(serialization.PrivateFormat, form),
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        redactor = Redactor({"KEY": private})
        assert redactor.found_in([public]) is None
        assert redactor.found_in([private]) == "KEY"
        first = private.splitlines()[1]
        assert redactor.found_in([b"a line of it: ", first]) == "KEY"
        number = key.private_numbers().private_value.to_bytes(32, "big")
        held = [line for line in private.splitlines()[1:-1] if number[:16] in base64.b64decode(line + b"==")]
        assert all(redactor.found_in([line]) == "KEY" for line in held)


def test_the_frame_of_a_key_is_masked_but_is_no_find() -> None:
    redactor = Redactor({"KEY": PEM})
    assert redactor.mask(b"-----BEGIN KEY-----") == b"***"
    assert redactor.found_in([b"-----BEGIN KEY-----"]) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "secret 'S' is empty"),
        (b" \n", "secret 'S' is empty"),
        (b"abc\n", "has 3 bytes, fewer than 4"),
        (b"x" * (MAX_BYTES + 1), "has 16,385 bytes, more than 16,384"),
        (b"abcd\0efgh", "holds a zero byte"),
    ],
)
def test_a_value_that_cannot_be_kept_secret_is_refused(value: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_value("S", value)


def test_a_usual_value_is_accepted() -> None:
    check_value("S", TOKEN)


def test_a_log_of_100_megabytes_is_masked_at_the_speed_of_a_disk() -> None:
    redactor = Redactor({"A": TOKEN, "B": AWKWARD, "C": b"0123456789abcdef" * 2})
    line = b"2026-11-21 08:00:00 epoch %6d loss 0.12345 accuracy 0.9 and some words\n"
    piece = b"".join(line % number for number in range(14_000))
    stream = redactor.stream()
    began = time.process_time()
    for _ in range(20):
        stream.feed(piece)
    speed = 20 * len(piece) / (time.process_time() - began)
    assert speed > 30e6  # 200 MB/s on an idle machine; the goal is 50


def test_nothing_is_imported_for_a_run_without_secrets() -> None:
    code = (
        "import sys; before = {*sys.modules}; from penstock.redact import Redactor; Redactor({}).mask(b'x');"
        "print({'base64', 'html', 'urllib.parse', 'json', 'shlex', 'typing_extensions'}"
        " & ({*sys.modules} - before))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "set()"
