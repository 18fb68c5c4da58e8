"""Frames of the wired M-Bus (EN 13757-2, format class FT 1.2 of IEC 60870-5-2).

::

    68 L L 68 C A CI data CS 16     long frame; with L = 3 a control frame
    10 C A CS 16                    short frame: a request
    E5                              acknowledgement

L counts C to the last byte of data; CS is their sum modulo 256.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.errors import DecodeError

_LONG: Final = 0x68
_SHORT: Final = 0x10
_ACKNOWLEDGED: Final = 0xE5
_STOP: Final = 0x16
_RESPONSE: Final = 0x08
_RESPONSE_MASK: Final = 0xCF
"""RSP_UD is 08, 18, 28 or 38: bits 4 and 5 are flow control and access demand."""


class Frame(NamedTuple):
    """An answer of a meter: where it stands, its primary address, and its bytes from CI on."""

    at: int
    address: int
    body: bytes


def frames(payload: bytes) -> list[Frame]:
    """The answers in a payload, each checked; requests and acknowledgements are left out.

    Raises:
        DecodeError: ``unparseable`` or ``bad_checksum``, with the byte.
    """
    found: list[Frame] = []
    at, end = 0, len(payload)
    if not end:
        raise DecodeError("unparseable", "the payload is empty")
    while at < end:
        start = payload[at]
        if start == _LONG:
            frame, at = _long(payload, at, end)
            if frame is not None:
                found.append(frame)
        elif start == _ACKNOWLEDGED:
            at += 1
        elif start == _SHORT:
            _closed(payload, at, at + 5, at + 1)
            at += 5
        else:
            raise DecodeError(
                "unparseable",
                f"byte {at}: {start:02X}H where an M-Bus frame (68H, 10H, E5H) must begin",
            )
    return found


def _long(payload: bytes, at: int, end: int) -> tuple[Frame | None, int]:
    if end - at < 4:
        raise DecodeError("unparseable", f"byte {at}: the frame is cut off after {end - at} bytes")
    size, again = payload[at + 1], payload[at + 2]
    if size != again or payload[at + 3] != _LONG or size < 3:
        raise DecodeError(
            "unparseable",
            f"byte {at}: a long frame begins 68H, twice a length of at least 3, 68H; got "
            f"{payload[at : at + 4].hex(' ').upper()}",
        )
    stop = at + size + 6
    _closed(payload, at, stop, at + 4)
    control = payload[at + 4]
    if control & _RESPONSE_MASK != _RESPONSE:
        return None, stop
    return Frame(at, payload[at + 5], payload[at + 6 : stop - 2]), stop


def _closed(payload: bytes, at: int, stop: int, first: int) -> None:
    """Holds the end sign and the sum of a frame."""
    if stop > len(payload):
        raise DecodeError(
            "unparseable",
            f"byte {at}: the frame is cut off: {stop - at} bytes by its length, "
            f"{len(payload) - at} are there",
        )
    if payload[stop - 1] != _STOP:
        raise DecodeError(
            "unparseable",
            f"byte {stop - 1}: the frame ends with {payload[stop - 1]:02X}H where 16H must be",
        )
    total = sum(payload[first : stop - 2]) & 0xFF
    if total != payload[stop - 2]:
        raise DecodeError(
            "bad_checksum",
            f"frame at byte {at}: its bytes sum to {total:02X}H, it says {payload[stop - 2]:02X}H",
        )
