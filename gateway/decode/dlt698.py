"""DL/T 698.45 frames: answers and reports of meters and concentrators, to values by OAD.

A frame::

    (FE)* 68 L L C SA.. CA HCS HCS user data FCS FCS 16

L: length without first and last byte (bits 0 to 13, low byte first; bit 14: in units of 1024).  C:
bit 7 from the server, bit 6 the client began, bit 5 a part of an APDU, bit 3 user data scrambled
(33H added), bits 0 to 2 function, 3 is data.  SA: features and length, then the address, low byte
first.  HCS and FCS: CRC-16/X.25 over all from L to before them, low byte first.  CR, LF and
zero bytes behind a frame are a data terminal's and are left out.

The document::

    {"address": "000028417891", "service": "get_response", "values": {"00100200": [0.26, 0.0]},
     "time": "2026-01-01T08:00:00", "meters": [...]}

``meters`` has an item for each meter, a new one where the address changes or an OAD comes again;
the first item's fields also stand at the top.  An item without a value of its own has no
``values``.  Further fields where they are sent: ``errors`` (OAD
to why it was refused), ``records`` (``{"oad", "values", "address"}``, one a row), ``more_follows``.
Requests, confirmations and the link's heartbeats add nothing; without any answer only ``meters`` is
there, and empty.  Of secured APDUs only those in plain can be read.
"""

from __future__ import annotations

import binascii
from typing import Any, Final

from gateway.decode.dlt698_data import (
    CLOCK,
    TARGET,
    Cursor,
    columns,
    date_time_s,
    put,
    read_data,
    target_address,
)
from gateway.decode.document import Context, Document, Parse
from gateway.errors import DecodeError
from gateway.profiles.formats import Dlt698

MAX_BYTES: Final = 1024 * 1024
MAX_FRAMES: Final = 10_000
MAX_ITEMS: Final = 10_000
"""Meters, and rows of records, of one message."""

_WAKE_UP: Final = 0xFE
_BEHIND: Final = frozenset(b"\xfe\r\n\0")
"""What may stand behind a frame: wake-up bytes of the next, and the line end of a data terminal."""
_SHORTEST: Final = 12
_LESS_33H: Final = bytes((i - 0x33) % 256 for i in range(256))
_MIRRORED: Final = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))

_REFUSALS: Final = {
    1: "hardware_fault", 2: "for_now_unavailable", 3: "access_refused", 4: "object_undefined",
    5: "class_mismatch", 6: "no_such_object", 7: "type_mismatch", 8: "out_of_range",
    9: "block_unavailable", 255: "other_error",
}  # fmt: skip
"""Data access results (DAR)."""


def compile_dlt698(settings: Dlt698) -> Parse:
    """A parser of one or several DL/T 698.45 frames.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``bad_checksum``,
        ``unparseable``, ``too_deep`` or ``missing_key`` (an enciphered APDU).
    """
    limit = settings.max_bytes or MAX_BYTES

    def parse(payload: bytes, _: Context) -> Document:
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        answers = _Answers()
        for address, apdu in _apdus(payload):
            answers.add(address, apdu)
        meters = answers.meters
        for meter in meters:
            if not meter["values"]:  # records only, or nothing but refusals
                del meter["values"]
        return {**(meters[0] if meters else {}), "meters": meters}

    return parse


def crc_x25(data: bytes) -> int:
    """CRC-16/X.25 (HCS and FCS): polynomial 1021 reflected, start and final mask FFFF.

    The library's CRC runs from the top bit; on mirrored bytes it gives the mirrored result.
    """
    crc = binascii.crc_hqx(data.translate(_MIRRORED), 0xFFFF)
    return (_MIRRORED[crc & 0xFF] << 8 | _MIRRORED[crc >> 8]) ^ 0xFFFF


def _apdus(payload: bytes) -> list[tuple[str, bytes]]:
    """Address and APDU of each message of a server, its parts put together."""
    found: list[tuple[str, bytes]] = []
    parts: list[bytes] = []
    at, end, frames = 0, len(payload), 0
    while at < end:
        if payload[at] == _WAKE_UP or (frames and payload[at] in _BEHIND):
            at += 1
            continue
        frame = _frame(payload, at)
        frames += 1
        at += len(frame)
        if frames > MAX_FRAMES:
            raise DecodeError("too_large", f"more than {MAX_FRAMES} frames in one message")
        if not frame[3] & 0x80 or frame[3] & 7 != 3:
            continue  # a request, or the link's own
        address, data = _user_data(frame)
        if frame[3] & 0x20:
            whole = _joined(parts, data)
            if whole is None:
                continue
            data = whole
        if data:
            found.append((address, data))
    if parts:
        raise DecodeError("unparseable", "the last part of an APDU in parts is not in the message")
    if not frames:
        empty = "nothing but wake-up bytes (FEH)" if payload else "the payload is empty"
        raise DecodeError("unparseable", empty)
    return found


def _frame(payload: bytes, at: int) -> bytes:
    """The frame at this place, with both checksums proved."""
    left = len(payload) - at
    if payload[at] != 0x68:
        problem = f"{payload[at]:02X}H where a frame (68H) or a wake-up byte (FEH) must begin"
        raise DecodeError("unparseable", f"byte {at}: {problem}")
    if left < _SHORTEST:
        problem = f"the frame is cut off after {left} bytes; the shortest has {_SHORTEST}"
        raise DecodeError("unparseable", f"byte {at}: {problem}")
    said = payload[at + 1] | payload[at + 2] << 8
    size = 2 + (said & 0x3FFF) * (1024 if said & 0x4000 else 1)
    head = 5 + (payload[at + 4] & 0x0F) + 2  # to the end of SA and CA
    if left < size:
        problem = f"the frame is cut off: {size} bytes by its length, {left} are there"
        raise DecodeError("unparseable", f"byte {at}: {problem}")
    if size < head + 5 or payload[at + size - 1] != 0x16:
        problem = f"a frame of {size} bytes by its length does not end with 16H"
        raise DecodeError("unparseable", f"byte {at}: {problem}")
    frame = payload[at : at + size]
    for name, end in (("HCS", head), ("FCS", size - 3)):
        wanted, got = crc_x25(frame[1:end]), frame[end] | frame[end + 1] << 8
        if wanted != got:
            raise DecodeError(
                "bad_checksum",
                f"frame at byte {at}: {name} says {got:04X}H, its bytes give {wanted:04X}H",
            )
    return frame


def _user_data(frame: bytes) -> tuple[str, bytes]:
    """The server's address and the user data of a frame."""
    features = frame[4]
    end = 5 + (features & 0x0F) + 1
    begin = 6 if features & 0x20 else 5  # a byte for the logical address, which the length counts
    data = frame[end + 3 : -3]
    if frame[3] & 0x08:
        data = data.translate(_LESS_33H)
    return frame[begin:end][::-1].hex(), data


def _joined(parts: list[bytes], data: bytes) -> bytes | None:
    """Takes a part of an APDU; the whole when it was the last (bits 14 and 15 of the number)."""
    if len(data) < 2:
        raise DecodeError("unparseable", "a part of an APDU without its number")
    number, kind = (data[0] | data[1] << 8) & 0x0FFF, data[1] >> 6
    if kind == 2:  # a confirmation
        return None
    if (kind == 0) != (not parts):
        raise DecodeError("unparseable", f"part {number} of an APDU is out of order")
    parts.append(data[2:])
    if kind != 1:
        return None
    whole = b"".join(parts)
    parts.clear()
    return whole


class _Answers:
    """Collects what the APDUs of one message say, by meter."""

    def __init__(self) -> None:
        self.meters: list[dict[str, Any]] = []
        self._rows = 0

    def add(self, address: str, apdu: bytes) -> None:
        """Takes one APDU of a server."""
        cursor = Cursor(apdu, f"APDU of {address}")
        service = cursor.byte()
        if service == 0x90:  # SECURITY-Response
            inner = _plain(cursor)
            if inner is None:
                return
            cursor = Cursor(inner, f"secured APDU of {address}")
            service = cursor.byte()
        if service == 0x85:
            self._get(address, cursor)
        elif service == 0x88:
            self._report(address, cursor)
        elif service == 0x89:
            self._proxy(address, cursor)

    def _get(self, address: str, cursor: Cursor) -> None:
        choice, _ = cursor.byte(), cursor.byte()  # what was asked; PIID-ACD
        name = "get_response"
        if choice == 1:
            self._normal(address, name, cursor)
        elif choice == 2:
            self._normals(address, name, cursor)
        elif choice == 3:
            self._record(address, name, cursor)
        elif choice == 4:
            self._records(address, name, cursor)
        elif choice == 5:
            self._next(address, name, cursor)
        else:
            return
        self._tail(address, name, cursor)

    def _report(self, address: str, cursor: Cursor) -> None:
        choice, _ = cursor.byte(), cursor.byte()
        name = "report_notification"
        if choice == 1:
            self._normals(address, name, cursor)
        elif choice == 2:
            self._records(address, name, cursor)
        else:
            return
        self._tail(address, name, cursor)

    def _proxy(self, address: str, cursor: Cursor) -> None:
        """A concentrator's answer for other meters: their addresses are in it."""
        choice, _ = cursor.byte(), cursor.byte()
        name = "proxy_response"
        if choice == 1:
            for _ in range(cursor.count()):
                self._normals(target_address(cursor.take(cursor.length())), name, cursor)
        elif choice == 2:
            self._record(target_address(cursor.take(cursor.length())), name, cursor)
        else:
            return
        self._tail(address, name, cursor)

    def _next(self, address: str, name: str, cursor: Cursor) -> None:
        last, _, choice = cursor.byte(), cursor.number(2), cursor.byte()
        if choice == 1:
            self._normals(address, name, cursor)
        elif choice == 2:
            self._records(address, name, cursor)
        else:
            self._refused(address, name, "next", cursor)
        if not last and self.meters:
            self.meters[-1]["more_follows"] = True

    def _normals(self, address: str, name: str, cursor: Cursor) -> None:
        for _ in range(cursor.count()):
            self._normal(address, name, cursor)

    def _normal(self, address: str, name: str, cursor: Cursor) -> None:
        """A-ResultNormal: OAD, then DAR or data."""
        oad, choice = cursor.oad(), cursor.byte()
        if choice == 0:
            self._refused(address, name, oad, cursor)
            return
        if choice != 1:
            raise cursor.fault(f"a result is a refusal (0) or data (1), got {choice}")
        item = self._item(address, name, oad)
        value = read_data(cursor)
        put(item["values"], oad, value)
        if oad == CLOCK and value is not None:
            item["time"] = value

    def _records(self, address: str, name: str, cursor: Cursor) -> None:
        for _ in range(cursor.count()):
            self._record(address, name, cursor)

    def _record(self, address: str, name: str, cursor: Cursor) -> None:
        """A-ResultRecord: OAD, columns, then DAR or rows."""
        oad = cursor.oad()
        names = columns(cursor)
        choice = cursor.byte()
        if choice == 0:
            self._refused(address, name, oad, cursor)
            return
        if choice != 1 or not names:
            raise cursor.fault("a record is a refusal (0) or rows (1) of at least one column")
        rows = self._item(address, name, oad).setdefault("records", [])
        count = cursor.count()
        self._rows += count
        if self._rows > MAX_ITEMS:
            raise DecodeError("too_large", f"{self._rows} rows of records, at most {MAX_ITEMS}")
        for _ in range(count):
            row: dict[str, Any] = {"oad": oad, "address": address, "values": {}}
            for column in names:
                value = read_data(cursor)
                put(row["values"], column, value)
                if column == TARGET and value is not None:
                    row["address"] = value
            rows.append(row)

    def _refused(self, address: str, name: str, oad: str, cursor: Cursor) -> None:
        result = cursor.byte()
        item = self._item(address, name, oad)
        item.setdefault("errors", {})[oad] = _REFUSALS.get(result, f"refused_{result}")

    def _item(self, address: str, name: str, oad: str) -> dict[str, Any]:
        """The item of an address; a new one where the OAD is there already."""
        last = self.meters[-1] if self.meters else None
        if (
            last is None
            or last["address"] != address
            or last["service"] != name
            or oad in last["values"]
            or oad in last.get("errors", ())
        ):
            if len(self.meters) >= MAX_ITEMS:
                raise DecodeError("too_large", f"more than {MAX_ITEMS} answers in one message")
            last = {"address": address, "service": name, "values": {}}
            self.meters.append(last)
        return last

    def _tail(self, address: str, name: str, cursor: Cursor) -> None:
        """What may follow an answer: a report that rides along, and the time it was sent."""
        if cursor.left and cursor.byte():
            choice = cursor.byte()
            if choice == 1:
                self._normals(address, name, cursor)
            elif choice == 2:
                self._records(address, name, cursor)
            else:
                raise cursor.fault(f"a report along is 1 or 2, got {choice}")
        if cursor.left and cursor.byte():
            sent, _ = date_time_s(cursor), cursor.take(3)
            if sent is not None and self.meters:
                self.meters[-1].setdefault("time", sent)
        if cursor.left:
            raise cursor.fault(f"{cursor.left} bytes are left over after the answer")


def _plain(cursor: Cursor) -> bytes | None:
    """The APDU in a SECURITY-Response; None where the server only says that it failed."""
    choice = cursor.byte()
    if choice == 0:
        inner = cursor.take(cursor.length())
        if not inner:
            raise cursor.fault("an empty secured APDU")
        return inner
    if choice == 1:
        raise DecodeError(
            "missing_key",
            "the APDU is enciphered between meter and its master station (SECURITY-Response 1); "
            "the gateway has no key for it: let the master station read in plain with MAC",
        )
    return None
