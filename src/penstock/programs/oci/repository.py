"""A repository in a registry: blobs and manifests that are exactly what their digests say.

What a registry stores is not what it was sent until it was read back: registries serve damaged blobs with
status 200. So a manifest gets a tag only after `verify` has read it and all that it refers to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from oras.container import Container

from ..common.program import RefusedError, UnavailableError, UnusableError
from . import authority, manifests, references
from .blobs import CHUNK_BYTES, Blob, Body
from .client import ACCEPTED, CREATED, FAILURES, NOT_FOUND, OK, Client, failure, place
from .manifests import Descriptor, Manifest
from .patience import MismatchError, PassingError, Patience, attempt

MAX_DEPTH = 3
MAX_MANIFESTS = 1_000

_LOST_UPLOADS = (400, 404, 416)
"""What a registry answers to an upload that was damaged, forgotten or does not fit: another one may."""


def opened(request: Mapping[str, Any], patience: Patience) -> Repository:
    """The repository that a request names.

    Raises:
        UnusableError: It names none, or credentials that are not there.
    """
    name = references.repository(request["repository"])
    return Repository(name, authority.basic(request), patience, insecure=bool(request.get("insecure")))


class Repository:
    """Its blobs, manifests and tags.

    Args:
        name: With the host.
    """

    def __init__(self, name: str, basic: str | None, patience: Patience, *, insecure: bool) -> None:
        self.name, self.patience = name, patience
        self._container = Container(name)
        self._client = Client(self._container.registry, basic, patience, insecure=insecure)
        if basic is None:
            self._use_docker_login()

    def _use_docker_login(self) -> None:
        """Credentials that `docker login` keeps for this registry, if there are any."""
        found = self._client.auth
        try:
            with self.patience.waiting("asking for what `docker login` left"):
                found.load_configs(self._container)
        except (OSError, ValueError, LookupError, AttributeError):
            raise UnusableError(
                "what `docker login` wrote cannot be read: give `username` and `password`"
            ) from None
        kept = getattr(found, "_basic_auth", None)
        if kept:
            self._client.authority = authority.Authority(self._client.authority.origin, kept)

    # blobs

    def upload(self, blob: Blob) -> bool:
        """Have the registry store a blob; whether it had to be sent."""
        return attempt(self.patience, f"pushing {blob.name}", partial(self._upload, blob))

    def _upload(self, blob: Blob) -> bool:
        if self._client.blob_exists({"digest": blob.digest}, self._container):
            return False
        start = self._url(self._container.upload_blob_url())
        with self._client.do_request(start, "POST", data=b"") as response:
            if response.status_code != 202:  # noqa: PLR2004 - accepted
                raise UnavailableError(self._client.explained(response))
            target = self._client.beyond(start, response.headers.get("Location", ""))
        moved = partial(self.patience.moved, size=blob.size)
        with self._client.do_request(
            _with(target, digest=blob.digest),
            "PUT",
            data=partial(Body, blob, moved) if blob.size else b"",
            headers={"Content-Type": "application/octet-stream"},
        ) as response:
            if response.status_code in _LOST_UPLOADS:
                raise PassingError(self._client.explained(response))
            if response.status_code != CREATED:
                raise UnavailableError(self._client.explained(response))
        return True

    def chunks(self, wanted: Descriptor, name: str, sink: Callable[[Iterator[bytes]], None]) -> None:
        """Read a blob; `sink` gets its bytes, from the start at every attempt.

        Raises:
            RefusedError: The registry has other bytes under this digest.
            UnavailableError: It does not give them.
        """
        attempt(self.patience, f"reading {name} back", partial(self._read, wanted, sink))

    def verify_blob(self, wanted: Descriptor, name: str) -> None:
        """Read a blob only to see that it is right."""
        self.chunks(wanted, name, _drop)

    def _read(self, wanted: Descriptor, sink: Callable[[Iterator[bytes]], None]) -> None:
        with self._client.get_blob(self._container, wanted.digest, stream=True) as response:
            self._demand_ok(response, f"there is no blob {wanted.digest}")
            sink(self._checked(response, wanted.digest, wanted.size))

    def _checked(self, response: requests.Response, digest: str, size: int) -> Iterator[bytes]:
        """A body's bytes; complains at the end if they are not those that were wanted."""
        hashed, position = hashlib.sha256(), 0
        for chunk in _body(response):
            position += len(chunk)
            if position > size:
                break
            hashed.update(chunk)
            self.patience.moved(position, size)
            yield chunk
        if position != size:
            many = "more than" if position > size else f"{position:,} of"
            raise MismatchError(f"{place(response.url)} gives {many} {size:,} bytes")
        if (found := f"sha256:{hashed.hexdigest()}") != digest:
            raise MismatchError(f"{place(response.url)} gives bytes of the digest {found}")

    # manifests

    def manifest(self, reference: str) -> Manifest | None:
        """What a tag or a digest names; None if it names nothing."""
        return attempt(self.patience, f"reading {reference}", partial(self._manifest, reference))

    def _manifest(self, reference: str) -> Manifest | None:
        url = self._url(self._container.manifest_url(reference))
        with self._client.do_request(
            url, "GET", headers={"Accept": ", ".join(manifests.ACCEPTED)}
        ) as response:
            if response.status_code == NOT_FOUND:
                return None
            self._demand_ok(response, "")
            kind = response.headers.get("Content-Type", "").split(";")[0].strip() or None
            data = self._small(response)
            said = response.headers.get("Docker-Content-Digest")
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if (references.is_digest(reference) and found != reference) or (said is not None and found != said):
            raise MismatchError(f"{place(url)} gives bytes of the digest {found}")
        return manifests.parsed(data, f"{self.name} {reference}", kind)

    def put(self, manifest: Manifest, reference: str | None = None) -> None:
        """Store a manifest under its digest, or a tag for it, and read that back.

        Raises:
            RefusedError: The registry gives another one.
            UnavailableError: It did not take it.
        """
        doing = f"tagging {reference}" if reference else f"pushing the manifest {manifest.digest[:19]}"
        attempt(self.patience, doing, partial(self._put, manifest, reference or manifest.digest))

    def _put(self, manifest: Manifest, reference: str) -> None:
        url = self._url(self._container.manifest_url(reference))
        headers = {"Content-Type": manifest.media_type}
        with self._client.do_request(url, "PUT", data=manifest.data, headers=headers) as response:
            if response.status_code not in (OK, CREATED, ACCEPTED):
                raise UnavailableError(self._client.explained(response))
        found = self._manifest(reference)
        if found is None:
            raise PassingError(f"{place(url)} was taken, and is not there")
        if found.data != manifest.data:
            raise MismatchError(f"{place(url)} gives {found.digest} instead of {manifest.digest}")

    def store(self, blobs: Iterable[Blob], made: Sequence[Manifest]) -> list[str]:
        """Push blobs, then manifests by their digests, and read back all that the last one leads to.

        Returns:
            The digests of what was not there before.

        Raises:
            RefusedError: The registry has other bytes.
            UnavailableError: It failed.
        """
        different = {each.digest: each for each in blobs}
        new = [each.digest for each in different.values() if self.upload(each)]
        for each in made:
            if self.manifest(each.digest) is None:
                self.put(each)
                new.append(each.digest)
        self.verify(made[-1])
        return new

    def verify(self, manifest: Manifest, depth: int = 0) -> int:
        """Read back all that a manifest refers to; the number of blobs and manifests that it is made of.

        Raises:
            RefusedError: Something is not what its digest says, or is missing.
        """
        if depth > MAX_DEPTH or len(manifest.manifests) > MAX_MANIFESTS:
            raise RefusedError(f"{self.name} {manifest.digest}: an index of too many manifests")
        for blob in manifest.blobs:
            self.verify_blob(blob, title(blob))
        count = 1 + len(manifest.blobs)
        for each in manifest.manifests:
            found = self.manifest(each.digest)
            if found is None or len(found.data) != each.size:
                raise RefusedError(f"{self.name}: the manifest {each.digest} is missing or of another size")
            count += self.verify(found, depth + 1)
        return count

    def referrers(self, digest: str) -> Manifest | None:
        """The registry's own list of what refers to a manifest; None if it keeps none.

        Source: OCI distribution specification 1.1, "Listing Referrers".
        """
        return attempt(
            self.patience, f"asking what refers to {digest[:19]}", partial(self._referrers, digest)
        )

    def _referrers(self, digest: str) -> Manifest | None:
        path = f"{self._container.registry}/v2/{self._container.api_prefix}/referrers/{digest}"
        with self._client.do_request(self._url(path), "GET") as response:
            if response.status_code != OK:
                return None
            data = self._small(response)
        return manifests.parsed(data, f"{self.name}: referrers", manifests.INDEX)

    def _small(self, response: requests.Response) -> bytes:
        data = b""
        for chunk in _body(response):
            data += chunk
            if len(data) > manifests.MAX_MANIFEST_BYTES:
                raise RefusedError(f"{place(response.url)}: more than {manifests.MAX_MANIFEST_BYTES:,} bytes")
        return data

    def _demand_ok(self, response: requests.Response, missing: str) -> None:
        if response.status_code == NOT_FOUND:
            raise PassingError(f"{place(response.url)}: {missing}")
        if response.status_code != OK:
            raise UnavailableError(self._client.explained(response))

    def _url(self, rest: str) -> str:
        return f"{self._client.prefix}://{rest}"


def title(blob: Descriptor) -> str:
    """How a user is told of a blob."""
    name = blob.annotations.get(manifests.TITLE, "")
    return name if name.isprintable() and name else blob.digest[:19]


def _body(response: requests.Response) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.raw.read(CHUNK_BYTES, decode_content=False)
        except FAILURES as error:
            raise PassingError(f"{place(response.url)}: {failure(error)}") from None
        if not chunk:
            return
        yield chunk


def _drop(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def _with(url: str, **more: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(more)}"
