"""Keys: EC P-256 and Ed25519. What kind a key is decides how it signs; nothing that is signed has a say.

Both kinds sign deterministically, so the same run gives the same evidence (RFC 6979 for P-256, RFC 8032 for
Ed25519), and a signature has one form only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from ..common.program import RefusedError, UnusableError

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (NIST SP 800-186)."""
_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----")
_PRIVATE_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+-----END \1PRIVATE KEY-----", re.DOTALL)
_MAKE_ONE = (
    "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` or `-algorithm Ed25519`"
)


def private(variable: str) -> PrivateKey:
    """The key whose PEM text a variable of the environment holds.

    Raises:
        UnusableError: It is not set, or holds no such key.
    """
    text = os.environ.get(variable, "")
    if not text.strip():
        raise UnusableError(f"{variable}: the variable with the key that signs is not set")
    if "\n" not in text.strip():
        text = text.replace("\\n", "\n")  # how some services keep a text of several lines
    block = _PRIVATE_BLOCK.search(text)  # `openssl ecparam` writes the curve before the key
    try:
        key = serialization.load_pem_private_key((block[0] if block else text).encode(), password=None)
    except TypeError:
        raise UnusableError(f"{variable}: the key is encrypted: give it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableError(f"{variable}: holds no private key in PEM: {_MAKE_ONE}") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise UnusableError(f"{variable}: a key is EC P-256 or Ed25519, and this is another one: {_MAKE_ONE}")


def public(text: bytes, where: str) -> list[PublicKey]:
    """The public keys in a PEM text, one or more.

    Args:
        where: The file, for messages.

    Raises:
        RefusedError: There is none, or one of another kind.
    """
    found = [_public(block, where) for block in _BLOCK.findall(text)]
    if not found:
        raise RefusedError(f"{where}: holds no public key in PEM ('-----BEGIN PUBLIC KEY-----')")
    return found


def _public(block: bytes, where: str) -> PublicKey:
    try:
        key = serialization.load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError(f"{where}: holds a public key that cannot be read") from None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise RefusedError(f"{where}: a key is EC P-256 or Ed25519, and this is another one")


def pem(key: PublicKey) -> bytes:
    """A public key as PEM."""
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, kind)


def fingerprint(key: PublicKey) -> str:
    """What a key is called: the SHA-256 of its DER form (`openssl pkey -pubin -outform DER | sha256sum`)."""
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return "sha256:" + hashlib.sha256(key.public_bytes(serialization.Encoding.DER, kind)).hexdigest()


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature of `data`; the same for the same."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    made = key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    first, second = utils.decode_dss_signature(made)
    # the negative of the second number would be as valid: only the smaller one is used, so there is one form
    return utils.encode_dss_signature(first, min(second, _ORDER - second))


def verify(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the signature is what `sign` makes of `data`."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
            return True
        first, second = utils.decode_dss_signature(signature)
        if second > _ORDER // 2 or utils.encode_dss_signature(first, second) != signature:
            return False
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def demand_one_of(trusted: Sequence[PublicKey], key: PublicKey, where: str) -> None:
    """Demand that a key is among those that are trusted.

    Raises:
        RefusedError: It is another one.
    """
    known = [fingerprint(each) for each in trusted]
    if fingerprint(key) not in known:
        wanted = " or ".join(f"{each[:19]}…" for each in known)
        raise RefusedError(f"{where}: signed by key {fingerprint(key)[:19]}…, not by {wanted}")
