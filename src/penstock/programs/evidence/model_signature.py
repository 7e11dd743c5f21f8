"""The model's own signature, `model.sig`, in the form of OpenSSF Model Signing 1.0 (a Sigstore bundle).

The library `model-signing` lists and hashes the model's files, here with those of git (`.git`, `.github`)
that it would leave out by itself. It signs only with keys that it reads from files, so signing is ours. A
model can be verified without the library, which is asked as well where it is there (it knows no Ed25519).
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..common.program import RefusedError
from . import documents, dsse, keys
from .statements import STATEMENT

PREDICATE = "https://model_signing/signature/v1.0"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_HOW = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
_ITSELF = "."
"""What the only file of a model is called that is a file and no directory."""


def sign(model: Path, key: keys.PrivateKey) -> bytes:
    """The signature of a model, a file or a directory, as the text of `model.sig`.

    Raises:
        RefusedError: The library cannot list the model's files.
    """
    try:
        listed = _hashing().hash(model)
    except (OSError, ValueError) as error:
        raise RefusedError(f"{model}: model-signing cannot list its files: {error}") from None
    found = [(each.identifier, each.digest) for each in listed.resource_descriptors()]
    root = hashlib.sha256(b"".join(digest.digest_value for _, digest in found)).hexdigest()
    resources = [
        {"name": name, "algorithm": digest.algorithm, "digest": digest.digest_hex} for name, digest in found
    ]
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": listed.model_name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE,
        "predicate": {"serialization": _HOW, "resources": resources},
    }
    return documents.encode(_bundle(dsse.seal(documents.encode(statement), key), key.public_key()))


def _hashing() -> Any:
    config = import_module("model_signing.hashing").Config().use_file_serialization(allow_symlinks=False)
    return config.set_ignored_paths(paths=(), ignore_git_paths=False)


def _bundle(envelope: Any, key: keys.PublicKey) -> dict[str, Any]:
    hint = hashlib.sha256(keys.pem(key)).hexdigest()
    return {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }


def signed_files(data: bytes, key: keys.PublicKey, where: str) -> dict[str, str]:
    """The files that a signature speaks for: path below the model → SHA-256; of a file, under `""`.

    Raises:
        RefusedError: It is none of this key, or was changed.
    """
    bundle = documents.decode(data, where)
    envelope = bundle.get("dsseEnvelope")
    if bundle != _bundle(envelope, key):
        raise RefusedError(f"{where}: no signature of a model by this key")
    statement = documents.decode(dsse.unseal(envelope, key, where), where)
    if (statement.get("_type"), statement.get("predicateType")) != (STATEMENT, PREDICATE):
        raise RefusedError(f"{where}: signs something that is no model")
    predicate = documents.field(statement, "predicate", dict, where)
    if predicate.get("serialization") != _HOW:
        raise RefusedError(f"{where}: signs a model without all of its files, or by other digests")
    files: dict[str, str] = {}
    for each in documents.field(predicate, "resources", list, where):
        name = documents.field(each, "name", str, where)
        if name in files or each.get("algorithm") != "sha256":
            raise RefusedError(f"{where}: signs {name!r} twice, or by another digest")
        files[name] = documents.field(each, "digest", str, where)
    return {"": files[_ITSELF]} if files.keys() == {_ITSELF} else files


def ask_library(model: Path, signature: Path, key: keys.PublicKey, key_file: Path) -> bool:
    """Have `model-signing` verify a model too; gives whether it could.

    Raises:
        RefusedError: It does not accept the model.
    """
    if isinstance(key, Ed25519PublicKey) or find_spec("model_signing") is None:
        return False
    config = import_module("model_signing.verifying").Config().use_elliptic_key_verifier(public_key=key_file)
    try:
        config.set_hashing_config(_hashing()).verify(model, signature)
    except Exception as error:  # noqa: BLE001 - it has no errors of its own
        raise RefusedError(f"{model}: model-signing does not accept it: {error}".splitlines()[0]) from None
    return True
