"""The check `pickles`: files of the tree that run code when they are loaded, told by what is in them.

Whatever a scanner says, such a file is a finding: scanners miss what they do not know, and what they cannot
read they skip. What picklescan knows to be dangerous makes it worse.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import pickletools
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import IO, Any

from ..common.program import Progress
from .findings import Check, Finding
from .tree import File

_HEAD = 64 << 10
_MOST_MEMBERS = 5_000
_DEEPEST = 3
_SCANNED = 64 << 20
_PROTOCOL = re.compile(rb"\x80[\x02-\x05]")
_OPCODES = frozenset(each.code.encode("latin-1") for each in pickletools.opcodes)
_IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
_NAMES = re.compile(r"[\w.]+ [\w.]+")
_ENOUGH, _FEW = 10_000, 2
"""So many instructions are no chance; so few are."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OBJECTS = re.compile(rb"'descr': (?:'[|=<>]?O\d*'|\[.*'[|=<>]?O\d*')", re.DOTALL)
_PACKED: Mapping[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"]\0\0\x80\0": lzma.LZMAFile,
}
_REMEDY = "keep models as skops, safetensors or ONNX and arrays without objects, or accept it in the baseline"


class _Deflated(io.RawIOBase):
    """The head of a zlib stream, as joblib writes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._head = zlib.decompressobj().decompress(file.read(_HEAD), _HEAD)

    def read(self, size: int = -1, /) -> bytes:
        return self._head if size < 0 else self._head[:size]


def pickles(files: Sequence[File]) -> Check:
    """The pickles of the tree, also within archives."""
    check = Check("pickles", f"by content; advice of picklescan {version('picklescan')}")
    progress = Progress()
    for number, file in enumerate(files, 1):
        try:
            with file.place.open("rb") as opened:
                for member, kind in _within(opened, 0):
                    check.findings.append(_finding(file, member, kind))
        except (OSError, ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            check.problems.append(f"{file.path} cannot be read: {error}"[:300])
        progress.say(f"pickles: {number:,} of {len(files):,} files")
    check.examined = f"{len(files):,} files"
    return check


def _within(file: IO[bytes], depth: int) -> Iterator[tuple[str, str]]:
    """(name within the file, kind) of what runs code; the name of the file itself is empty."""
    head = file.read(_HEAD)
    kind = _kind(head, lambda: file.read(_SCANNED - len(head)))
    if kind:
        yield "", kind
        return
    if depth == _DEEPEST:
        return
    opened = next((each for magic, each in _PACKED.items() if head.startswith(magic)), None)
    if opened is None and _is_zlib(head):
        opened = _Deflated
    file.seek(0)
    if opened is not None:
        yield from _unpacked(file, opened, depth)
    elif head.startswith(_ZIP) or (depth == 0 and zipfile.is_zipfile(file)):
        yield from _zipped(file, depth)
    elif head[257:262] == b"ustar":
        file.seek(0)
        yield from _tarred(file, depth)


def _is_zlib(head: bytes) -> bool:
    return head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0


def _unpacked(file: IO[bytes], opened: Callable[[IO[bytes]], Any], depth: int) -> Iterator[tuple[str, str]]:
    try:
        inner = io.BytesIO(opened(file).read(_SCANNED))
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return  # it only began like one
    yield from _within(inner, depth + 1)


def _zipped(file: IO[bytes], depth: int) -> Iterator[tuple[str, str]]:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ValueError(f"an archive of more than {_MOST_MEMBERS:,} files")
        for member in members:
            if member.flag_bits & 1:
                raise ValueError(f"{member.filename[:100]!r} in it is encrypted")
            with archive.open(member) as opened:
                yield from _member(opened, member.filename, member.file_size, depth)


def _tarred(file: IO[bytes], depth: int) -> Iterator[tuple[str, str]]:
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for number, member in enumerate(archive):
                if number > _MOST_MEMBERS:
                    raise ValueError(f"an archive of more than {_MOST_MEMBERS:,} files")
                opened = archive.extractfile(member) if member.isfile() else None
                if opened is not None:
                    yield from _member(opened, member.name, member.size, depth)
    except tarfile.TarError as error:
        raise ValueError(str(error)) from None


def _member(opened: IO[bytes], name: str, size: int, depth: int) -> Iterator[tuple[str, str]]:
    head = opened.read(_HEAD)
    opened.seek(0)
    archive = head.startswith((*_ZIP, *_PACKED))
    fits = size <= _SCANNED and depth + 1 < _DEEPEST
    if archive and not fits:
        raise ValueError(f"{name[:100]!r} in it is an archive that is too large or too deep to look into")
    nested = fits and (archive or _is_zlib(head) or head[257:262] == b"ustar")
    inner = io.BytesIO(opened.read(_SCANNED)) if nested else opened
    for member, kind in _within(inner, depth + 1 if nested else _DEEPEST):
        yield f"{name}{'!' if member else ''}{member}", kind


def _kind(head: bytes, more: Callable[[], bytes]) -> str | None:
    """What runs code, by its first bytes, or by more of them where those do not decide."""
    if head.startswith(b"\x93NUMPY"):
        return "an array of objects" if _OBJECTS.search(head[:4096]) else None
    known = bool(_PROTOCOL.match(head))
    if not known and head[:1] not in _OPCODES:
        return None
    reads = _reads(head, imports=not known)
    if reads is None and len(head) == _HEAD:
        reads = _reads(head + more(), imports=not known)
    # what begins like one and then is raw bytes may be an array that joblib wrote
    return "a pickle" if reads or (reads is None and known) else None


def _reads(content: bytes, *, imports: bool) -> bool | None:
    """Whether bytes read as a pickle; none if they do so far, and then end or are something else.

    Args:
        imports: Whether something must be imported, as text that reads like a pickle hardly does.
    """
    number, found = 0, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in what is no pickle
            for code, argument, _ in pickletools.genops(io.BytesIO(content)):
                number += 1
                named = not isinstance(argument, str) or bool(_NAMES.fullmatch(argument))
                found = found or (code.name in _IMPORTS and named)
                if number == _ENOUGH or (imports and found and number > _FEW):
                    return True
    except (ValueError, IndexError, OverflowError, EOFError, MemoryError):
        return None if number or len(content) == _HEAD else False
    return number >= _FEW and (found or not imports)


def _finding(file: File, member: str, kind: str) -> Finding:
    advice, dangerous = _advice(file)
    inside = f" ({member[:200]} in it)" if member else ""
    return Finding(
        check="pickles",
        rule="pickle",
        severity="critical" if dangerous else "high",
        path=file.path,
        line=None,
        message=f"{kind}, which runs code when it is loaded{inside}; picklescan: {advice}",
        remedy=_REMEDY,
        subject=f"{member} {_digest(file)}",
    )


def _advice(file: File) -> tuple[str, bool]:
    """What picklescan says, which is no verdict, and whether it knows the file to be dangerous."""
    if file.size > _SCANNED:
        return "not asked about so large a file", False
    from picklescan.scanner import scan_bytes  # type: ignore[import-not-found,import-untyped,unused-ignore]  # of the stage

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = scan_bytes(io.BytesIO(file.read()), file.path)
    except Exception as error:  # noqa: BLE001 - whatever a foreign scanner dies of is advice at most
        return f"gave up ({type(error).__name__})", False
    named = sorted({f"{each.module}.{each.name}" for each in said.globals if each.safety.name == "Dangerous"})
    if named:
        return f"dangerous, it imports {', '.join(named[:5])}"[:200], True
    return ("could not read it" if said.scan_err else "nothing that it knows as dangerous"), False


def _digest(file: File) -> str:
    with file.place.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
