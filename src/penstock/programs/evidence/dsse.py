"""Envelopes of signed statements (DSSE 1.0: https://github.com/secure-systems-lab/dsse).

An envelope here has one signature, one type of payload and one form: it is taken apart, put together again,
and must be the same bytes.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ..common.program import RefusedError
from . import documents, keys

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pae(payload: bytes) -> bytes:
    """What is signed: the payload with its type and both lengths ("pre-authentication encoding")."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def seal(payload: bytes, key: keys.PrivateKey) -> dict[str, Any]:
    """An envelope with the payload's signature."""
    return _envelope(payload, keys.fingerprint(key.public_key()), keys.sign(key, pae(payload)))


def _envelope(payload: bytes, keyid: str, signature: bytes) -> dict[str, Any]:
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
    }


def unseal(envelope: Any, key: keys.PublicKey, where: str) -> bytes:
    """The payload of an envelope that this key signed.

    Args:
        where: The file, for messages.

    Raises:
        RefusedError: Another key signed it, or something is different from what was signed.
    """
    signatures = documents.field(envelope, "signatures", list, where)
    if len(signatures) != 1:
        raise RefusedError(f"{where}: holds {len(signatures)} signatures instead of one")
    try:
        payload, signature = (
            base64.b64decode(documents.field(holder, name, str, where), validate=True)
            for holder, name in ((envelope, "payload"), (signatures[0], "sig"))
        )
    except (binascii.Error, ValueError):
        raise RefusedError(f"{where}: holds something that is no base64") from None
    if envelope != _envelope(payload, keys.fingerprint(key), signature):
        raise RefusedError(f"{where}: no envelope of this key, or not as Penstock writes it")
    if not keys.verify(key, signature, pae(payload)):
        raise RefusedError(f"{where}: the signature does not fit: it was changed, or another key signed it")
    return payload
