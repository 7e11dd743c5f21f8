"""What a stage prints: masked, passed on as it comes, and kept up to a bound."""

from __future__ import annotations

from collections.abc import Callable

from penstock.redact import Redactor

HEAD_BYTES = 64 << 10
TAIL_BYTES = 192 << 10


class Log:
    """Takes a stage's output.

    The first `HEAD_BYTES` and the last `TAIL_BYTES` are kept, so that a stage may print for days.

    Args:
        redactor: Masks secrets, also those that are cut by the chunks that they arrive in.
        emit: Told everything, masked, as it comes.
    """

    def __init__(self, redactor: Redactor, emit: Callable[[str], None]) -> None:
        import codecs

        self._stream = redactor.stream()
        self._emit = emit
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._head = b""
        self._tail = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        """Take what was printed."""
        self._take(self._stream.feed(data), last=False)

    def close(self) -> str:
        """The end of the output; what is kept of it."""
        self._take(self._stream.flush(), last=True)
        if not self._dropped:
            return (self._head + self._tail).decode("utf-8", "replace")
        cut = f"\n[... {self._dropped:,} bytes are not kept ...]\n"
        return self._head.decode("utf-8", "replace") + cut + self._tail.decode("utf-8", "replace")

    def _take(self, masked: bytes, *, last: bool) -> None:
        text = self._decode(masked, last)
        if text:
            self._emit(text)
        room = HEAD_BYTES - len(self._head)
        self._head += masked[:room] if room > 0 else b""
        self._tail += masked[max(room, 0) :]
        if len(self._tail) > 2 * TAIL_BYTES:
            self._dropped += len(self._tail) - TAIL_BYTES
            del self._tail[:-TAIL_BYTES]
