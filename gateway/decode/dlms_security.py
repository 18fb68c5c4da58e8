"""Ciphered DLMS messages: general-glo-ciphering with AES-GCM (IEC 62056-5-3, suites 0 to 2).

``DB  08 system title  length  SC IC(4) ciphertext tag(12)``

SC: bit 4 authenticated, bit 5 encrypted, bits 0 to 3 the suite.  The nonce is the system title and
the invocation counter IC.  The keys are parameters of the device in the registry, as hexadecimal
text: ``dlms_key`` (global unicast encryption key, GUEK) and ``dlms_authentication_key`` (AK).
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gateway.decode.axdr import length, octets
from gateway.decode.document import Context
from gateway.errors import DecodeError

GENERAL_GLO: Final = 0xDB
TAG: Final = 12
"""Bytes of an authentication tag."""

_AUTHENTICATED: Final = 0x10
_ENCRYPTED: Final = 0x20
_COMPRESSED: Final = 0x80
_KEY_SIZES: Final = {0: 16, 1: 16, 2: 32}


def decipher(apdu: bytes, context: Context) -> tuple[bytes, str, bool]:
    """The plain text of a ciphered APDU, the meter's system title, and whether it is authentic.

    Raises:
        DecodeError: ``missing_key`` (the registry has no key of the device, or it does not fit),
            ``bad_checksum`` never: a message that was changed looks like one of another key.
            ``unparseable`` for what is no general-glo-ciphering.
    """
    size, at = length(apdu, 1)
    title = octets(apdu, at, size)
    if size != 8:
        raise DecodeError("unparseable", f"byte 1: a system title has 8 bytes, got {size}")
    size, at = length(apdu, at + size)
    if at + size != len(apdu):
        raise DecodeError(
            "unparseable", f"byte {at}: {size} bytes are ciphered, {len(apdu) - at} follow"
        )
    control, counter, body = octets(apdu, at, 1)[0], octets(apdu, at + 1, 4), apdu[at + 5 :]
    suite = control & 0x0F
    if control & _COMPRESSED or suite not in _KEY_SIZES:
        raise DecodeError(
            "unparseable",
            f"byte {at}: security control {control:02X}H: compression or a suite after 2",
        )
    authenticated, encrypted = bool(control & _AUTHENTICATED), bool(control & _ENCRYPTED)
    if not authenticated and not encrypted:
        return body, title.hex().upper(), False
    key = _key(context, "dlms_key", title, _KEY_SIZES[suite])
    nonce = title + counter
    if not authenticated:
        # GCM without its tag is counter mode; the counter's first block belongs to the tag.
        cipher = Cipher(algorithms.AES(key), modes.CTR(nonce + b"\x00\x00\x00\x02"))
        return cipher.decryptor().update(body), title.hex().upper(), False
    if len(body) < TAG:
        raise DecodeError("unparseable", f"byte {at + 5}: the authentication tag is cut off")
    known = apdu[at : at + 1] + _key(context, "dlms_authentication_key", title, _KEY_SIZES[suite])
    text, tag = body[:-TAG], body[-TAG:]
    decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, tag, TAG)).decryptor()
    decryptor.authenticate_additional_data(known if encrypted else known + text)
    try:
        plain = decryptor.update(text if encrypted else b"") + decryptor.finalize()
    except InvalidTag as error:
        raise no_fit(title.hex().upper(), "dlms_key or dlms_authentication_key") from error
    return (plain if encrypted else text), title.hex().upper(), True


def no_fit(title: str, name: str) -> DecodeError:
    """The refusal of a message that the keys of the registry do not open."""
    return DecodeError(
        "missing_key",
        f"{name} in the registry does not fit the message of system title {title}, or the message "
        "was changed on its way",
    )


def _key(context: Context, name: str, title: bytes, size: int) -> bytes:
    """A key of the device, found by the topic or by the system title."""
    told = context.parameter(name, title.hex().upper(), title.hex())
    if told is None:
        raise DecodeError(
            "missing_key",
            f"the registry has no parameter {name} of the device with system title "
            f"{title.hex().upper()}: register it, as {2 * size} hexadecimal digits",
        )
    try:
        key = bytes.fromhex(told) if isinstance(told, str) else b""
    except ValueError:
        key = b""
    if len(key) != size:
        raise DecodeError(
            "missing_key",
            f"parameter {name} of the device with system title {title.hex().upper()} is not "
            f"{2 * size} hexadecimal digits",
        )
    return key
