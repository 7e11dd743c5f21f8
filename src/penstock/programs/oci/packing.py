"""A judged output as a layer, in the layout of ModelPack: a file as it is, a directory as a tar.

The same output gives the same bytes on any machine: entries are sorted, owned by nobody and dated 1980, and
nothing is compressed, because zlib's output differs between its versions. A tar is never written to disk: its
headers are made when it is hashed, and its files are read where they lie.

Source: https://github.com/modelpack/model-spec, docs/spec.md.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common import digests
from ..common.program import RefusedError, UnusableError
from . import manifests
from .blobs import Blob, Piece, blob, of_bytes, of_file
from .manifests import TITLE
from .tar_reader import BLOCK_BYTES

EPOCH = 315_532_800  # 1980-01-01, as in the archives that Penstock publishes
END = bytes(2 * BLOCK_BYTES)

FILEPATH = "org.cncf.model.filepath"
CONTENT = "penstock.content"
"""The digest that a run names an output by, in the annotations of its layer."""
ROLE = "penstock.role"

_KINDS = {"model": "weight", "package": "code", "predictions": "dataset"}
_OTHER_KIND = "doc"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer and how a manifest refers to it."""

    blob: Blob
    descriptor: Mapping[str, Any]


def layer(path: str, role: str, kind: str, digest: str | None = None, called: str | None = None) -> Layer:
    """The layer of what lies at a path of the workspace.

    Args:
        kind: `file`, `executable` or `directory`.
        digest: That was judged; none of what was not.
        called: The path of a file in the artifact, if it is another one.

    Raises:
        RefusedError: It is not what was judged.
        UnusableError: It is not there, or no artifact can hold it.
    """
    place = Path(path)
    if not place.exists():
        raise UnusableError(f"{path}: is not there, so it cannot be published")
    pieces = [of_file(place)] if kind == "file" else list(_tar(path))
    made = blob(path, pieces)
    content = digests.of_path(place)  # after the pieces were read: what they hold is what is judged here
    if digest is not None and content.digest != digest:
        raise RefusedError(f"{path}: holds {content.digest[:19]}…, but {digest[:19]}… was judged; run again")
    form = "raw" if kind == "file" else "tar"
    annotations = {
        FILEPATH: called or path,
        TITLE: (called or path) if kind == "file" else f"{path}.tar",
        CONTENT: content.digest,
        ROLE: role,
    }
    media_type = f"application/vnd.cncf.model.{_KINDS.get(role, _OTHER_KIND)}.v1.{form}"
    return Layer(made, manifests.described(made, media_type, annotations))


def _tar(path: str) -> Iterator[Piece]:
    """The pieces of a tar of a directory, or of an executable file."""
    root = Path(path)
    entries = _entries(root) if root.is_dir() else [root]
    for entry in entries:
        about = entry.lstat()
        member = tarfile.TarInfo(entry.as_posix())
        member.mtime = EPOCH
        if entry.is_symlink():
            member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, os.fspath(entry.readlink())
            if leads_out(os.fsencode(entry.as_posix()), os.fsencode(member.linkname), os.fsencode(path)):
                raise UnusableError(f"{entry}: a link that leads out of {path}; no artifact can hold it")
        elif entry.is_dir():
            member.type, member.mode = tarfile.DIRTYPE, 0o755
        elif entry.is_file():
            member.size, member.mode = about.st_size, 0o755 if about.st_mode & 0o100 else 0o644
        else:
            raise UnusableError(
                f"{entry}: neither a file nor a directory nor a link; no artifact can hold it"
            )
        yield of_bytes(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if member.size:
            yield of_file(entry)
            yield of_bytes(bytes(-member.size % BLOCK_BYTES))
    yield of_bytes(END)


def _entries(root: Path) -> list[Path]:
    """Files, links and empty directories below a directory, sorted by the bytes of their paths."""
    found = []
    for folder, folders, files in os.walk(root):
        place = Path(folder)
        found += [place / name for name in files]
        found += [place / name for name in folders if (place / name).is_symlink()]
        if not folders and not files and place != root:
            found.append(place)
    return sorted(found, key=os.fsencode)


def leads_out(link: bytes, target: bytes, top: bytes) -> bool:
    """Whether a symbolic link points out of a directory; all paths are relative to the same place."""
    if target.startswith(b"/"):
        return True
    # no `..` after a name: what comes before it may be a link, and then leads elsewhere
    names = target.split(b"/")
    ups = [at for at, name in enumerate(names) if name == b".."]
    if ups and ups[-1] != len(ups) - 1:
        return True
    end = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
    return end != top and not end.startswith(top + b"/")
