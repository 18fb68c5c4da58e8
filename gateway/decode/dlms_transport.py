"""What a DLMS message comes in: HDLC, the TCP/UDP wrapper, wired M-Bus, or nothing.

==========  =====================================================================================
HDLC        ``7E A0 len  dest src control HCS  E6 E7 00 APDU  FCS 7E`` (IEC 62056-46); segments
            and a message without its flags are taken too
wrapper     ``0001 source destination length  APDU`` (IEC 62056-47)
M-Bus       ``68 L L 68 C A CI  STSAP DTSAP APDU  sum 16`` (IEC 62056-7-3); CI numbers the segments
==========  =====================================================================================

Blocks of general block transfer are put together.
"""

from __future__ import annotations

from typing import Final

from gateway.decode.axdr import length, octets
from gateway.decode.checksums import crc
from gateway.errors import DecodeError

MAX_FRAMES: Final = 1000

_FLAG: Final = 0x7E
_X25: Final = crc(0x8408, 16, 0xFFFF, 0xFFFF, reflected=True)
"""FCS-16 of HDLC (ISO/IEC 13239), sent low byte first."""

_LLC: Final = (b"\xe6\xe7\x00", b"\xe6\xe6\x00")
_GENERAL_BLOCK: Final = 0xE0


def unwrap(payload: bytes) -> bytes:
    """The APDU of a message.

    Raises:
        DecodeError: ``bad_checksum`` or ``unparseable``.
    """
    if not payload:
        raise DecodeError("unparseable", "the payload is empty")
    first = payload[0]
    if first == _FLAG or first & 0xF0 == 0xA0:
        apdus = _hdlc(payload)
    elif first == 0x68:
        apdus = _mbus(payload)
    elif payload.startswith(b"\x00\x01"):
        apdus = _wrapped(payload)
    else:
        apdus = [_without_llc(payload)]
    if apdus and all(apdu[:1] == bytes([_GENERAL_BLOCK]) for apdu in apdus):
        return _blocks(apdus)
    if len(apdus) != 1:
        raise DecodeError(
            "unparseable", f"{len(apdus)} DLMS messages in one payload; send each as a message"
        )
    return apdus[0]


def _without_llc(data: bytes) -> bytes:
    return data[3:] if data.startswith(_LLC) else data


# -- HDLC ----------------------------------------------------------------------------------------


def _hdlc(payload: bytes) -> list[bytes]:
    """The messages of a row of frames, segments put together."""
    found: list[bytes] = []
    parts: list[bytes] = []
    at = frames = 0
    segmented = False
    while at < len(payload):
        if payload[at] == _FLAG:
            at += 1
            continue
        frames += 1
        if frames > MAX_FRAMES:
            raise DecodeError("too_large", f"more than {MAX_FRAMES} frames in one message")
        information, segmented, at = _frame(payload, at)
        if information:
            parts.append(information)
        if not segmented and parts:
            found.append(_without_llc(b"".join(parts)))
            parts = []
    if segmented:
        raise DecodeError("unparseable", f"byte {at}: the last segment of the message is not there")
    return found


def _frame(payload: bytes, at: int) -> tuple[bytes, bool, int]:
    """Information, whether a segment follows, and the byte after the frame."""
    if payload[at] & 0xF0 != 0xA0 or at + 2 > len(payload):
        raise DecodeError(
            "unparseable", f"byte {at}: {payload[at]:02X}H where an HDLC frame (type A) must begin"
        )
    size = (payload[at] & 0x07) << 8 | payload[at + 1]
    if size < 7:
        raise DecodeError("unparseable", f"byte {at}: an HDLC frame of {size} bytes")
    frame = octets(payload, at, size)
    _judge(frame, size - 2, at, "FCS")
    header = 2
    for _ in range(2):  # destination and source: up to the byte whose last bit is set
        stop = next((i for i in range(header, min(header + 4, size)) if frame[i] & 1), None)
        if stop is None:
            raise DecodeError("unparseable", f"byte {at + header}: an HDLC address does not end")
        header = stop + 1
    header += 1  # control
    if header >= size - 2:
        return b"", bool(payload[at] & 0x08), at + size
    if header + 2 > size - 2:
        raise DecodeError("unparseable", f"byte {at + header}: the HCS is cut off")
    _judge(frame, header, at, "HCS")
    return frame[header + 2 : -2], bool(payload[at] & 0x08), at + size


def _judge(frame: bytes, end: int, at: int, name: str) -> None:
    found, told = _X25(frame[:end]), int.from_bytes(frame[end : end + 2], "little")
    if found != told:
        raise DecodeError(
            "bad_checksum",
            f"HDLC frame at byte {at}: its {name} is {found:04X}H, it says {told:04X}H",
        )


# -- wrapper, M-Bus ------------------------------------------------------------------------------


def _wrapped(payload: bytes) -> list[bytes]:
    size = int.from_bytes(octets(payload, 6, 2), "big")
    if len(payload) != 8 + size:
        raise DecodeError(
            "unparseable",
            f"byte 6: the wrapper says {size} bytes, {len(payload) - 8} follow",
        )
    return [payload[8:]]


def _mbus(payload: bytes) -> list[bytes]:
    """The message of M-Bus long frames: CI counts them, and has bit 4 set in the last."""
    parts: list[bytes] = []
    at = 0
    last = False
    while at < len(payload):
        head = octets(payload, at, 4)
        size = head[1]
        if head[0] != 0x68 or head[3] != 0x68 or head[2] != size or size < 5:
            raise DecodeError("unparseable", f"byte {at}: {head.hex().upper()} is no M-Bus frame")
        body = octets(payload, at + 4, size + 2)
        if sum(body[:-2]) & 0xFF != body[-2]:
            raise DecodeError(
                "bad_checksum",
                f"M-Bus frame at byte {at}: its bytes sum to {sum(body[:-2]) & 0xFF:02X}H, it says "
                f"{body[-2]:02X}H",
            )
        if body[-1] != 0x16:
            raise DecodeError("unparseable", f"byte {at + 5 + size}: the frame must end with 16H")
        control = body[2]
        if last or control & 0xE0 or control & 0x0F != len(parts) % 16:
            raise DecodeError(
                "unparseable",
                f"byte {at + 6}: CI {control:02X}H, but segment {len(parts)} of a DLMS message is "
                "expected",
            )
        last = bool(control & 0x10)
        parts.append(body[5:-2])
        at += size + 6
    if not last:
        raise DecodeError("unparseable", f"byte {at}: the last segment of the message is not there")
    return [b"".join(parts)]


# -- general block transfer ----------------------------------------------------------------------


def _blocks(apdus: list[bytes]) -> bytes:
    """``E0 control number(2) acknowledged(2) length data``: the data of blocks 1 to the last."""
    parts = []
    for number, apdu in enumerate(apdus, 1):
        control, told = octets(apdu, 1, 1)[0], int.from_bytes(octets(apdu, 2, 2), "big")
        size, at = length(apdu, 6)
        parts.append(octets(apdu, at, size))
        last = bool(control & 0x80)
        if told != number or last != (number == len(apdus)) or at + size != len(apdu):
            raise DecodeError(
                "unparseable", f"block {told} of a message of {len(apdus)}, where {number} must be"
            )
    return b"".join(parts)
