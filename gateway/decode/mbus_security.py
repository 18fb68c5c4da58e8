"""Ciphers of M-Bus (EN 13757-7, OMS specification volume 2): modes 5 and 7, and the link layer's.

====  ==========================================================================================
  5   AES-128-CBC; the vector is manufacturer, id, version, medium and eight times the access number
  7   AES-128-CBC with a key made for this message, vector 0.  The key is a CMAC under the meter's
      key of what it is for, the message counter, the id, and 07H to the end of a block.  A MAC,
      made likewise, proves the message
 ELL  AES-128-CTR; the block is manufacturer, id, version, medium, communication control, session
      number, frame number and block number
====  ==========================================================================================

The key is the parameter ``mbus_key`` of the device in the registry, 32 hexadecimal digits.  The
device is found by the topic's ``device_id``, then as ``MANUFACTURER-ID`` (``KAM-12345678``), which
the profiles of M-Bus call it, then by its id alone.  A key appears in no error text.

Plain text begins 2F 2F; where it does not, the key was another's.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from gateway.decode.document import Context
from gateway.decode.mbus_address import Meter
from gateway.errors import DecodeError

KEY_PARAMETER: Final = "mbus_key"

_BLOCK: Final = 16
_PROVED: Final = b"\x2f\x2f"
_FOR_CIPHERING: Final = b"\x00"
_FOR_MAC: Final = b"\x01"
_COUNTER: Final = 4


class Authentication(NamedTuple):
    """What the authentication layer (AFL) says: counter and MAC, empty where it has none.

    ``covered`` is what the MAC covers before the transport layer's bytes.
    """

    counter: bytes
    mac: bytes
    covered: bytes


_NO_PROOF: Final = Authentication(b"", b"", b"")


class Security(NamedTuple):
    """What the configuration of a transport header says.

    Attributes:
        mode: 0 for plain.
        blocks: how many blocks of 16 bytes are enciphered.
        access: the access number, of which the vector of mode 5 is made.
    """

    mode: int = 0
    blocks: int = 0
    access: int = 0


def decipher(
    body: bytes,
    at: int,
    security: Security,
    meter: Meter | None,
    *,
    context: Context,
    authentication: Authentication | None,
) -> tuple[bytes, int]:
    """The bytes of an answer in plain, and where its data begin.

    Args:
        body: from the CI byte on; the MAC covers all of it as it came.
        at: end of the header.
        security: what the header says.
        meter: whose it is.
        context: for the key.
        authentication: counter and MAC, where they are sent.

    Raises:
        DecodeError: ``missing_key`` (none, or it does not fit), ``unparseable`` (another mode, or
            cut off).
    """
    at += _extension(body, at, security.mode)
    proof = authentication or _NO_PROOF
    size = security.blocks * _BLOCK if security.mode else 0
    if not proof.mac and not size:
        return body, at
    if meter is None:
        raise DecodeError(
            "unparseable", "the message is enciphered, and nothing in it says whose it is"
        )
    if at + size > len(body):
        raise DecodeError(
            "unparseable",
            f"{security.blocks} blocks of 16 bytes are enciphered by the header, "
            f"{len(body) - at} bytes follow",
        )
    key = _key(context, meter)
    if proof.mac:
        derived = _derived(key, _FOR_MAC, proof.counter, meter)
        found = _cmac(derived, proof.covered + body)[: len(proof.mac)]
        if not hmac.compare_digest(found, proof.mac):
            raise no_fit(meter)
    if size:
        plain = _plain(body[at : at + size], key, security, meter, proof)
        body = body[:at] + plain + body[at + size :]
    return body, at


def _extension(body: bytes, at: int, mode: int) -> int:
    """How many bytes more of configuration a mode has."""
    if mode in {0, 5}:
        return 0
    if mode != 7:
        raise DecodeError(
            "unparseable", f"security mode {mode} is not read; modes 5 and 7 (AES-128) are"
        )
    if at >= len(body):
        raise DecodeError("unparseable", "the configuration of security mode 7 is cut off")
    # Bits 4 and 5 say that the key is made from the counter.
    if not body[at] & 0x30:
        raise DecodeError("unparseable", "security mode 7 without key derivation is not read")
    return 1


def _plain(
    data: bytes, key: bytes, security: Security, meter: Meter, proof: Authentication
) -> bytes:
    """The enciphered blocks in plain."""
    vector = bytes(_BLOCK)
    if security.mode == 5:
        vector = meter.raw + bytes([security.access]) * 8
    else:
        key = _derived(key, _FOR_CIPHERING, proof.counter, meter)
    plain = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor().update(data)
    if plain[:2] != _PROVED:
        raise no_fit(meter)
    return plain


def decipher_link(data: bytes, head: bytes, meter: Meter, context: Context) -> bytes:
    """What an extended link layer enciphers: its CRC and all after it.

    Args:
        data: the enciphered bytes.
        head: communication control and session number, five bytes.
        meter: whom the link layer names.
        context: for the key.

    Raises:
        DecodeError: ``missing_key``.
    """
    cipher = Cipher(
        algorithms.AES(_key(context, meter)), modes.CTR(meter.raw + head + b"\x00\x00\x00")
    )
    return cipher.decryptor().update(data)


def no_fit(meter: Meter) -> DecodeError:
    """The refusal of a message that the registry's key does not open."""
    return DecodeError(
        "missing_key",
        f"parameter {KEY_PARAMETER} of device {meter.name} is no key that fits, or the message was "
        "changed on its way",
    )


def _key(context: Context, meter: Meter) -> bytes:
    told = context.parameter(KEY_PARAMETER, meter.name, meter.id)
    if told is None:
        raise DecodeError(
            "missing_key",
            f"the registry has no parameter {KEY_PARAMETER} of device {meter.name}: register it, "
            "as 32 hexadecimal digits",
        )
    try:
        key = bytes.fromhex(told) if isinstance(told, str) else b""
    except ValueError:
        key = b""
    if len(key) != _BLOCK:
        raise DecodeError(
            "missing_key",
            f"parameter {KEY_PARAMETER} of device {meter.name} is not 32 hexadecimal digits",
        )
    return key


def _derived(key: bytes, purpose: bytes, counter: bytes, meter: Meter) -> bytes:
    if len(counter) != _COUNTER:
        raise DecodeError(
            "unparseable",
            "security mode 7 needs the message counter of the authentication layer (CI 90H), which "
            "the message has not",
        )
    return _cmac(key, purpose + counter + meter.raw[2:6] + b"\x07" * 7)


def _cmac(key: bytes, data: bytes) -> bytes:
    cmac = CMAC(algorithms.AES(key))
    cmac.update(data)
    return cmac.finalize()
