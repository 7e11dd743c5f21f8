"""Directories to manifests and back: taking a stage's outputs, putting them where they belong."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from penstock import digest
from penstock.cache.deposit import Deposit
from penstock.cache.faults import not_written
from penstock.cache.members import Inspect, demand_file, leads_out, show, stays_inside, walk
from penstock.cache.store import Store
from penstock.digest import DIRECTORY, EXECUTABLE, FILE, LINK, PREFIX, Entry
from penstock.errors import CorruptError, InputError
from penstock.results import Part, PartKind

_TRIES = 5
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST)


def ingest(store: Store, at: Path, path: str, *, inspect: Inspect | None = None) -> tuple[Part, bytes | None]:
    """Take an output into the store: what it is, and its manifest if it is a directory.

    Everything is kept: empty directories, the execute bit, links that stay inside.

    Args:
        at: Where it is, in a workspace that nobody writes any more.
        path: As declared.
        inspect: Sees all names and contents before anything comes near the store.

    Raises:
        InputError: Something cannot be an output: a link that leads out, a FIFO, a file of no access.
        StoreError: The store cannot be written.
    """
    try:
        about = at.lstat()
        is_directory = stat.S_ISDIR(about.st_mode)
        members = list(walk(os.fsencode(at), path)) if is_directory else []
    except OSError as error:
        raise InputError(f"output {path!r} cannot be read: {error.strerror}", path=path) from error
    if not is_directory:
        demand_file(about.st_mode, at, path)
    if inspect is not None:
        show(inspect, at, path, members if is_directory else None)
    with store.deposit() as deposit:
        if not is_directory:
            name, size = deposit.add_file(at)
            kind = PartKind.EXECUTABLE if about.st_mode & stat.S_IXUSR else PartKind.FILE
            deposit.seal()
            return Part(path=path, kind=kind, digest=name, size_bytes=size, files=1), None
        entries = [_stored(deposit, os.fsencode(at), member) for member in members]
        manifest = digest.encode_manifest(entries)
        name = deposit.add_manifest(manifest)
        deposit.seal()
    return directory_part(path, name, entries), manifest


def directory_part(path: str, name: str, entries: Iterable[Entry]) -> Part:
    """The part that a directory's entries make up.

    Args:
        name: Digest of their manifest.
    """
    sizes = [entry.size for entry in entries if entry.kind in (FILE, EXECUTABLE)]
    return Part(path=path, kind=PartKind.DIRECTORY, digest=name, size_bytes=sum(sizes), files=len(sizes))


def subtree(part: Part, manifest: bytes, path: str) -> tuple[Part, bytes | None] | None:
    """What a directory's manifest says of a path below it; None if nothing is there.

    Args:
        part: The directory.
        path: As declared, below `part.path`.

    Returns:
        The part, and its manifest if it is a directory.

    Raises:
        InputError: A link stands there, or a link below leads out of it.
    """
    wanted = os.fsencode(path[len(part.path) :].strip("/"))
    if not wanted:
        return part, manifest
    below = wanted + b"/"
    entries = []
    for entry in digest.decode_manifest(manifest):
        if entry.path == wanted:
            return _single(entry, path)
        if entry.path.startswith(below):
            shorter = entry._replace(path=entry.path[len(below) :])
            if entry.kind == LINK and not stays_inside(shorter.path, entry.value):
                raise leads_out(os.fsdecode(entry.path), entry.value, path, path)
            entries.append(shorter)
    if not entries:
        return None
    chosen = digest.encode_manifest(entries)
    return directory_part(path, digest.of_bytes(chosen), entries), chosen


def restore_tree(store: Store, manifest: bytes, destination: Path, *, staging: Path | None = None) -> None:
    """Rebuild a directory from the store, every file verified; it is whole or what was there before is.

    What stands at `destination` is replaced.

    Args:
        staging: Where it is built, if that is on the same file system; otherwise beside `destination`.

    Raises:
        CorruptError: A file is damaged or gone; results that need it are misses from now on.
        StoreError: The store cannot be read, or the destination cannot be written.
    """
    import shutil  # slow to import, and a run with nothing to do restores nothing

    fresh = _fresh(destination, staging)
    try:
        fresh.mkdir()
        build_tree(store, manifest, fresh)
        replace(fresh, destination)  # what was there before is now at `fresh`
    except OSError as error:
        raise not_written(error, destination) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def restore_file(
    store: Store, name: str, destination: Path, *, executable: bool = False, staging: Path | None = None
) -> None:
    """Put a file from the store at its place, verified, replacing what stands there.

    Args:
        staging: As for `restore_tree`.

    Raises:
        CorruptError: It is damaged or gone.
        StoreError: The store cannot be read, or the destination cannot be written.
    """
    fresh = _fresh(destination, staging)
    try:
        store.copy_out(name, fresh, executable=executable)
        replace(fresh, destination)
    except OSError as error:
        raise not_written(error, destination) from error
    finally:
        _remove(fresh)


def build_tree(store: Store, manifest: bytes, empty: Path) -> None:
    """Fill an empty directory with what a manifest says, every file verified.

    Raises:
        CorruptError: A file is damaged or gone, or the manifest would write outside.
        OSError: The directory cannot be written.
    """
    top = os.fsencode(empty)
    made = {b""}
    links = []
    for entry in digest.decode_manifest(manifest):
        names = entry.path.split(b"/")
        if any(name in (b"", b".", b"..") for name in names):
            raise CorruptError(f"a manifest names the path {entry.path!r}", where=os.fspath(store.home))
        parent = entry.path.rpartition(b"/")[0]
        if parent not in made:
            os.makedirs(top + b"/" + parent, exist_ok=True)  # noqa: PTH103 - the path is bytes
            made.add(parent)
        place = top + b"/" + entry.path
        if entry.kind == DIRECTORY:
            os.makedirs(place, exist_ok=True)  # noqa: PTH103 - the path is bytes
        elif entry.kind == LINK:
            links.append((entry, place))
        else:
            name = PREFIX + entry.value.decode("ascii")
            store.copy_out(name, Path(os.fsdecode(place)), executable=entry.kind == EXECUTABLE)
    # last, so that nothing can be written through one
    for entry, place in links:
        if not stays_inside(entry.path, entry.value):
            raise CorruptError(f"a manifest has a link to {entry.value!r}", where=os.fspath(store.home))
        os.symlink(entry.value, place)  # noqa: PTH211 - the paths are bytes


def _single(entry: Entry, path: str) -> tuple[Part, bytes | None]:
    if entry.kind == LINK:
        raise InputError(
            f"{path!r} is a link to {os.fsdecode(entry.value)!r}",
            path=path,
            notes=("declare what it leads to",),
        )
    if entry.kind == DIRECTORY:
        empty = digest.encode_manifest([])
        return directory_part(path, digest.of_bytes(empty), []), empty
    kind = PartKind.EXECUTABLE if entry.kind == EXECUTABLE else PartKind.FILE
    name = PREFIX + entry.value.decode("ascii")
    return Part(path=path, kind=kind, digest=name, size_bytes=entry.size, files=1), None


def _stored(deposit: Deposit, top: bytes, member: Entry) -> Entry:
    if member.kind not in (FILE, EXECUTABLE):
        return member
    name, size = deposit.add_file(top + b"/" + member.path)
    return member._replace(size=size, value=name[len(PREFIX) :].encode())


def _fresh(destination: Path, staging: Path | None) -> Path:
    name = f".penstock-{os.getpid()}-{os.urandom(6).hex()}"
    parent = destination.parent
    if staging is not None and staging.stat().st_dev == parent.stat().st_dev:
        parent = staging
    return parent / name


def _remove(fresh: Path) -> None:
    import shutil  # as in `restore_tree`

    if fresh.is_dir():
        shutil.rmtree(fresh, ignore_errors=True)
    else:
        fresh.unlink(missing_ok=True)


def replace(fresh: Path, destination: Path) -> None:
    """Move `fresh` to `destination`; a directory that was there before is then at `fresh`.

    A file replaces a file in one step. Others may do the same at the same time.

    Raises:
        OSError: It could not be moved; what was at `destination` is still there.
    """
    old: Path | None = None
    for left in reversed(range(_TRIES)):
        try:
            fresh.rename(destination)
            break
        except OSError as error:
            if old is not None:
                with suppress(OSError):  # another run was faster: what it has put there stays
                    old.rename(destination)
            if error.errno not in _IN_THE_WAY or not left:
                raise
        old = fresh.with_name(f"{fresh.name}-old{left}")
        with suppress(FileNotFoundError):
            destination.rename(old)
    if old is None or not os.path.lexists(old):
        return
    if old.is_symlink() or not old.is_dir():
        old.unlink()
    else:
        old.rename(fresh)
