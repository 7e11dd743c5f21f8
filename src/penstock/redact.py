"""Keep secrets out of everything that is written.

A secret is masked as it is and in the encodings that programs commonly print it in. What a program
computes from it otherwise (a cipher, a reversed string, one character per line) cannot be recognised: give a
secret only to the stage that needs it.

To find hundreds of forms at the speed of a log, the text is read as a row of machine words: every
occurrence of a form of at least 2w - 1 bytes covers a whole word of w bytes, and that word starts at
one of the form's first w bytes. One set of words answers for a whole block that it holds no form at all.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from penstock.errors import UsageError

MASK = b"***"
MIN_BYTES = 4
MAX_BYTES = 16 << 10

_BLOCK_BYTES = 1 << 20
_LONG_WORD, _SHORT_WORD = 8, 4


def check_value(name: str, value: bytes) -> None:
    """Refuse a value that cannot be kept secret.

    Raises:
        UsageError: It is empty, too short to be masked without masking half of every log, too long to be a
            secret, or could not be a variable of a process.
    """
    size = len(value.strip())
    if not size:
        raise UsageError(f"secret {name!r} is empty", notes=("set what it is declared to come from",))
    if size < MIN_BYTES:
        raise UsageError(
            f"secret {name!r} has {size} bytes, fewer than {MIN_BYTES}",
            notes=("so short a text occurs everywhere and cannot be masked", "use a longer one"),
        )
    if len(value) > MAX_BYTES:
        raise UsageError(
            f"secret {name!r} has {len(value):,} bytes, more than {MAX_BYTES:,}",
            notes=("declare the key that opens the file as the secret, and not the file",),
        )
    if b"\0" in value:
        raise UsageError(
            f"secret {name!r} holds a zero byte, which no variable can",
            notes=("encode it, for instance as base64, and decode it in the stage",),
        )


class _Words(NamedTuple):
    """The words that forms of one class of lengths cover first: word to (form, offset of the word in it)."""

    size: int
    found: dict[int, list[tuple[bytes, int]]]
    known: frozenset[int]

    @classmethod
    def of(cls, forms: Iterable[bytes], size: int) -> _Words:
        found: dict[int, list[tuple[bytes, int]]] = {}
        for form in forms:
            for offset in range(size):
                word = int.from_bytes(form[offset : offset + size], sys.byteorder)
                found.setdefault(word, []).append((form, offset))
        return cls(size, found, frozenset(found))

    def candidates(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Forms and where they may begin, in no particular order.

        All that occur are among them, and all that occur but for their end, if they are there with at least
        `2 * size - 1` bytes.
        """
        if not self.known:
            return
        whole = memoryview(data)[: len(data) - len(data) % self.size]
        words = whole.cast("Q") if self.size == _LONG_WORD else whole.cast("I")
        if self.known.isdisjoint(words):
            return
        for at, word in enumerate(words):
            if word in self.known:
                for form, offset in self.found[word]:
                    if at * self.size >= offset:
                        yield form, at * self.size - offset


class Redactor:
    """Masks a set of secrets; immutable once made.

    Args:
        secrets: Values by name, each accepted by `check_value`.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._names: dict[bytes, str] = {}
        self._telling: frozenset[bytes] = frozenset()
        if secrets:
            self._learn(secrets)
        forms = self._names
        self._sorted = sorted(forms)
        self._longest = max(map(len, forms), default=0)
        self._words = (
            _Words.of((form for form in forms if len(form) >= 2 * _LONG_WORD - 1), _LONG_WORD),
            _Words.of(
                (form for form in forms if 2 * _SHORT_WORD - 1 <= len(form) < 2 * _LONG_WORD - 1), _SHORT_WORD
            ),
        )
        self._short = tuple(form for form in forms if len(form) < 2 * _SHORT_WORD - 1)

    def _learn(self, secrets: Mapping[str, bytes]) -> None:
        from penstock.secret_forms import forms_of  # costs 10 ms, for runs with secrets only

        telling: set[bytes] = set()
        for name, value in sorted(secrets.items()):
            for form, tells in forms_of(value):
                self._names.setdefault(form, name)
                if tells:
                    telling.add(form)
        self._telling = frozenset(telling)

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._names)

    def mask(self, data: bytes) -> bytes:
        """The same bytes with every form of every secret replaced; overlapping ones as one."""
        stream = self.stream()
        return stream.feed(data) + stream.flush()

    def mask_text(self, text: str) -> str:
        """The same text with every form of every secret replaced."""
        if not self:
            return text
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a surrogate that stands for no byte
            return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
        masked = self.mask(data)
        return text if masked == data else masked.decode("utf-8", "surrogateescape")

    def stream(self) -> Stream:
        """A mask for data that comes in pieces."""
        return Stream(self)

    def found_in(self, chunks: Iterable[bytes]) -> str | None:
        """The name of a secret that these bytes hold in some form, also across two pieces.

        Lines of a secret that say little by themselves (short ones, the frame of a key) do not count.
        """
        if not self:
            return None
        tail = b""
        for chunk in chunks:
            data = tail + chunk
            for start, end in self.spans(data):
                form = data[start:end]
                if form in self._telling:
                    return self._names[form]
            tail = data[-(self._longest - 1) :]
        return None

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where forms occur, overlapping ones included, sorted."""
        found = [
            (start, start + len(form))
            for words in self._words
            for form, start in words.candidates(data)
            if data.startswith(form, start)
        ]
        for form in self._short:
            at = data.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = data.find(form, at + 1)
        return sorted(found)

    def open_end(self, data: bytes) -> int:
        """Where the longest end of the data begins that a form could begin with; its length if none could."""
        begin = max(0, len(data) - self._longest + 1)
        tail = data[begin:]
        starts = [
            start
            for form, start in self._words[0].candidates(tail)
            if start + len(form) > len(tail) and form.startswith(tail[start:])
        ]
        if starts:
            return begin + min(starts)
        # fewer bytes than a candidate shows itself with
        for at in range(max(begin, len(data) - 2 * _LONG_WORD + 2), len(data)):
            rest = data[at:]
            near = bisect_left(self._sorted, rest)
            if near < len(self._sorted) and self._sorted[near].startswith(rest):
                return at
        return len(data)


class Stream:
    """Masks data that comes in pieces: what it gives out never depends on where the pieces were cut.

    It holds back only what could be the beginning of a secret.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""
        self._masked = 0  # how many of the held bytes a mask that was given out stands for

    def feed(self, data: bytes) -> bytes:
        """Take a piece; give out what is certain."""
        if not self._redactor:
            return data
        if len(data) <= _BLOCK_BYTES:
            return self._feed(data)
        return b"".join(self._feed(data[at : at + _BLOCK_BYTES]) for at in range(0, len(data), _BLOCK_BYTES))

    def flush(self) -> bytes:
        """Give out what was held back: no more comes."""
        return self._advance(self._held, len(self._held))

    def _feed(self, piece: bytes) -> bytes:
        data = self._held + piece
        return self._advance(data, self._redactor.open_end(data))

    def _advance(self, data: bytes, until: int) -> bytes:
        out: list[bytes] = []
        at = self._masked  # everything before it has been given out
        for start, end in self._redactor.spans(data):
            if start >= at:
                if start > until:  # within what may become a longer form: decided when that is
                    break
                out += (data[at:start], MASK)
            at = max(at, end)
        if at < until:
            out.append(data[at:until])
            at = until
        self._held, self._masked = data[until:], at - until
        return b"".join(out)
