"""The link layers of wireless M-Bus (EN 13757-4): frame formats, extended and authentication layer.

::

    L C M(2) A(6) [CRC] CI ...     A: id(4) version device type, of the sender

Format A has a CRC after the first ten bytes and after each 16 that follow, which L does not count.
Format B has one after the first 128 bytes and one at the end, which L counts.  Gateways pass
telegrams on as they came, or without the CRCs and with L counting what is left.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from gateway.decode.checksums import CHECKSUMS
from gateway.decode.document import NO_PAYLOAD, Context
from gateway.decode.mbus_address import Meter, read_meter
from gateway.decode.mbus_security import Authentication, decipher_link, no_fit
from gateway.errors import DecodeError

Form = Literal["auto", "a", "b", "plain"]

_CRC: Final = CHECKSUMS["crc16-en13757"]
_HEAD: Final = 10
_BLOCK: Final = 16
_FIRST_B: Final = 128
_SHORTEST: Final = 11

_FROM_METER: Final = {0x44, 0x46, 0x08, 0x18, 0x28, 0x38}
"""SND-NR, SND-IR, RSP-UD."""
_WITHOUT_DATA: Final = {
    0x40, 0x43, 0x47, 0x48, 0x53, 0x5A, 0x5B, 0x73, 0x7A, 0x7B, 0x00, 0x06, 0x10, 0x20, 0x30,
}  # fmt: skip
"""What is asked of a meter, and its acknowledgements."""

_AFL: Final = 0x90
_MACS: Final = {3: 2, 4: 4, 5: 8, 6: 12, 7: 16}
"""Bytes of a MAC by authentication type: AES-CMAC-128, cut off."""


class Link(NamedTuple):
    """A telegram without its link layers: control, who sent it, and the rest from CI on."""

    control: int
    meter: Meter
    body: bytes
    authentication: Authentication | None


def read_link(payload: bytes, form: Form, context: Context) -> Link:
    """Takes the link layers off a telegram; the CRCs that are there are judged.

    Raises:
        DecodeError: ``unparseable``, ``bad_checksum``, ``missing_key``, or ``no_payload`` for
            telegrams that carry no data.
    """
    data = _without_crcs(payload, form)
    control = data[1]
    if control not in _FROM_METER:
        if control in _WITHOUT_DATA:
            raise DecodeError(NO_PAYLOAD, f"a telegram of control {control:02X}H carries no data")
        raise DecodeError("unparseable", f"byte 1: {control:02X}H is no control field of wM-Bus")
    meter = read_meter(data[2:4], data[4:10])
    body = data[10:]
    if not body:
        raise DecodeError(NO_PAYLOAD, "a telegram that carries no data")
    if 0x8C <= body[0] <= 0x8F:
        body = _extended(body, meter, context)
    authentication = None
    if body[:1] == bytes([_AFL]):
        authentication, body = _authentication(body)
    if not body:
        raise DecodeError(NO_PAYLOAD, "nothing follows the link layers")
    return Link(control, meter, body, authentication)


# -- frame formats -------------------------------------------------------------------------------


def _without_crcs(payload: bytes, form: Form) -> bytes:
    length = len(payload)
    if length < _SHORTEST - 1:
        raise DecodeError(
            "unparseable", f"a telegram has at least {_SHORTEST - 1} bytes, got {length}"
        )
    size = payload[0] + 1
    if size < _SHORTEST - 1:
        raise DecodeError("unparseable", f"byte 0: a length of {size - 1}, at least 9")
    if form == "a" or (form == "auto" and length != size):
        return _format_a(payload, size)
    if length != size:
        raise _wrong_size(length, str(size))
    if form == "b":
        return _format_b(payload)
    if form == "auto" and _looks_like_b(payload):
        return _format_b(payload)
    return payload


def _wrong_size(length: int, wanted: str) -> DecodeError:
    return DecodeError(
        "unparseable", f"the telegram has {wanted} bytes by its length, {length} are there"
    )


def _format_a(payload: bytes, size: int) -> bytes:
    blocks = -(-(size - _HEAD) // _BLOCK)
    whole = size + 2 * (1 + blocks)
    if len(payload) != whole:
        raise _wrong_size(len(payload), f"{size}, or {whole} with CRCs,")
    _judge(payload, 0, _HEAD)
    parts = [payload[:_HEAD]]
    at = _HEAD + 2
    while at < whole:
        end = min(at + _BLOCK, whole - 2)
        _judge(payload, at, end)
        parts.append(payload[at:end])
        at = end + 2
    return b"".join(parts)


def _looks_like_b(payload: bytes) -> bool:
    """Whether the bytes at the place of the first CRC of format B are it."""
    end = min(len(payload) - 2, _FIRST_B - 2)
    return end >= _HEAD and _CRC(payload[:end]) == int.from_bytes(payload[end : end + 2], "big")


def _format_b(payload: bytes) -> bytes:
    end = min(len(payload) - 2, _FIRST_B - 2)
    _judge(payload, 0, end)
    found = payload[:end]
    if len(payload) > _FIRST_B:
        if len(payload) < _FIRST_B + 3:
            raise DecodeError("unparseable", f"byte {_FIRST_B}: the last block is cut off")
        _judge(payload, _FIRST_B, len(payload) - 2)
        found += payload[_FIRST_B:-2]
    return found


def _judge(payload: bytes, at: int, end: int) -> None:
    found, told = _CRC(payload[at:end]), int.from_bytes(payload[end : end + 2], "big")
    if found != told:
        raise DecodeError(
            "bad_checksum",
            f"bytes {at} to {end - 1}: their CRC is {found:04X}H, the telegram says {told:04X}H",
        )


# -- extended link layer -------------------------------------------------------------------------


def _extended(body: bytes, meter: Meter, context: Context) -> bytes:
    """CI 8C to 8F: communication control, access number, receiver, session; the rest in plain."""
    ci = body[0]
    with_receiver, with_session = ci & 2, ci & 1
    at = 3 + (8 if with_receiver else 0)
    end = at + (6 if with_session else 0)
    if len(body) < end:
        raise DecodeError("unparseable", f"CI {ci:02X}H: the extended link layer is cut off")
    if not with_session:
        return body[at:]
    session = body[at : at + 4]
    cipher = session[3] >> 5
    rest = body[at + 4 :]
    if cipher == 1:
        rest = decipher_link(rest, body[1:2] + session, meter, context)
    elif cipher:
        raise DecodeError(
            "unparseable", f"cipher {cipher} of the extended link layer is not read; AES-CTR is"
        )
    found, told = _CRC(rest[2:]), int.from_bytes(rest[:2], "little")
    if found != told:
        if cipher:
            raise no_fit(meter)
        raise DecodeError(
            "bad_checksum",
            f"CI {ci:02X}H: the CRC of what follows is {found:04X}H, the telegram says {told:04X}H",
        )
    return rest[2:]


# -- authentication and fragmentation layer ------------------------------------------------------


def _authentication(body: bytes) -> tuple[Authentication, bytes]:
    """CI 90: control of the message, its counter and MAC, and the rest."""
    if len(body) < 4 or len(body) < 2 + body[1]:
        raise DecodeError("unparseable", "CI 90H: the authentication layer is cut off")
    head = body[2 : 2 + body[1]]
    control = int.from_bytes(head[:2], "little")
    if control & 0x4000 or control & 0xFF > 1:
        raise DecodeError(
            "unparseable",
            "a fragment of a message: the receiver has to put the fragments together",
        )
    fields = {"control": 1, "key": 2, "counter": 4, "mac": 0, "length": 2}
    bits = {"control": 0x2000, "key": 0x0200, "counter": 0x0800, "mac": 0x0400, "length": 0x1000}
    found = dict.fromkeys(fields, b"")
    at = 2
    for name, size in fields.items():
        if not control & bits[name]:
            continue
        if name == "mac":
            kind = found["control"][0] & 0x0F if found["control"] else 0
            if kind not in _MACS:
                raise DecodeError("unparseable", f"CI 90H: authentication type {kind} is not read")
            size = _MACS[kind]  # noqa: PLW2901 - the type tells it
        found[name] = head[at : at + size]
        at += size
    if at != len(head):
        raise DecodeError(
            "unparseable",
            f"CI 90H: the authentication layer has {at} bytes by its control, {len(head)} by its "
            "length",
        )
    covered = found["control"] + found["counter"] + found["length"]
    return Authentication(found["counter"], found["mac"], covered), body[2 + body[1] :]
