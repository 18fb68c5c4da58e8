"""Signatures by the Standard Webhooks scheme, version 1.0.0, symmetric.

A signature is ``v1,`` and the base64 of HMAC-SHA256 over ``{id}.{timestamp}.{body}``; there is one
for each key, so that keys can be changed without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX: Final = "whsec_"
_FEWEST, _MOST = 24, 64


def signing_keys(text: str) -> tuple[bytes, ...]:
    """The keys of a secret: one or more, separated by white space, the present one first.

    Raises:
        ValueError: not of the form that the scheme asks for.
    """
    keys = []
    for each in text.split():
        try:
            key = base64.b64decode(each.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("a key is base64, with whsec_ before it") from None
        if not _FEWEST <= len(key) <= _MOST:
            raise ValueError(f"a key has {_FEWEST} to {_MOST} bytes, this one {len(key)}")
        keys.append(key)
    if not keys:
        raise ValueError("there is no key in it")
    return tuple(keys)


def signatures(keys: Sequence[bytes], key: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{key}.{timestamp}.".encode() + body
    made = (hmac.digest(each, signed, "sha256") for each in keys)
    return " ".join(f"v1,{base64.b64encode(each).decode()}" for each in made)
