"""DL/T 645 frames of electricity meters, editions 2007 and 1997, to values by data identifier.

A frame (the same in both editions)::

    (FE)* 68 A0..A5 68 C L DATA CS 16

A: address, BCD, low byte first.  C: bit 7 from the meter, bit 6 error, bit 5 more follows, bits 0
to 4 function.  L: length of DATA, whose bytes are sent with 33H added.  CS: sum of all bytes from
the first 68, modulo 256.  FE bytes wake the receiver up and may stand between frames.  CR, LF and
zero bytes behind a frame are a data terminal's and are left out.

The document::

    {"meters": [{"address": "000000000161", "values": {"00010000": 0.26, "02010100": 100.1}}]}

Consecutive frames of one address make one item, until a DI comes again; an item without a single
value has no ``values``, so that a profile can leave it out.  Beside ``values`` an item may have
``error`` (words, joined by ", "), ``more_follows`` (true: the rest of a block is not in the
message) and ``time`` (local ISO 8601, where date and time of day were both sent).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.decode.dlt645_items import CLOCKS, Readers, Values
from gateway.decode.document import Context, Document, Parse
from gateway.errors import DecodeError
from gateway.profiles.formats import Dlt645

MAX_BYTES: Final = 1024 * 1024
MAX_FRAMES: Final = 10_000
MAX_BLOCK: Final = 65_535  # the parts of a block are numbered in one byte

_WAKE_UP: Final = 0xFE
_WAKE_UP_BYTE: Final = bytes([_WAKE_UP])
_BEHIND: Final = frozenset(b"\xfe\r\n\0")
"""What may stand behind a frame: wake-up bytes of the next, and the line end of a data terminal."""
_START: Final = 0x68
_END: Final = 0x16
_SHORTEST: Final = 12
_LESS_33H: Final = bytes((i - 0x33) % 256 for i in range(256))

_FROM_METER: Final = 0x80
_ERROR: Final = 0x40
_MORE: Final = 0x20
_FUNCTION: Final = 0x1F

_ERRORS: Final[dict[str, tuple[str, ...]]] = {
    "2007": (
        "other_error", "no_such_data", "not_authorised", "baud_rate_fixed", "too_many_seasons",
        "too_many_periods", "too_many_tariffs", "reserved",
    ),
    "1997": (
        "illegal_data", "wrong_identifier", "wrong_password", "reserved", "too_many_seasons",
        "too_many_periods", "too_many_tariffs", "reserved",
    ),
}  # fmt: skip
"""The bits of an error byte."""


class _Functions(NamedTuple):
    """Function codes of an edition, and those by which the other one is told."""

    read: int
    follow: int
    again: int  # 1997: the meter says its last answer once more
    address: int  # 2007: the meter says its address
    foreign: frozenset[int]


_EDITIONS: Final = {
    "2007": _Functions(0x11, 0x12, -1, 0x13, frozenset({0x01, 0x02})),
    "1997": _Functions(0x01, 0x02, 0x03, -1, frozenset({0x11, 0x12, 0x13})),
}


def compile_dlt645(settings: Dlt645) -> Parse:
    """A parser of one or several DL/T 645 frames.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``bad_checksum`` or
        ``unparseable``.
    """
    limit = settings.max_bytes or MAX_BYTES
    edition = settings.edition
    readers = Readers(edition, settings.items)
    width = 4 if edition == "2007" else 2
    plain = _FROM_METER | _EDITIONS[edition].read

    def parse(payload: bytes, _: Context) -> Document:
        frame = payload.lstrip(_WAKE_UP_BYTE)
        size = len(frame)
        # Most messages are one plain answer: it needs no bookkeeping.
        if (
            size >= _SHORTEST and frame[8] == plain and frame[9] == size - _SHORTEST
            and frame[0] == frame[7] == _START and frame[-1] == _END
            and sum(frame[:-2]) & 0xFF == frame[-2] and len(payload) <= limit
        ):  # fmt: skip
            data = frame[10:-2].translate(_LESS_33H)
            values: Values = {}
            readers[data[:width]](values, data)
            address = frame[6:0:-1].hex()
            return {
                "meters": [{"address": address, "values": values} if values else
                           {"address": address}]
            }  # fmt: skip
        answers = _Answers(edition, readers, width)
        for address, control, data in _frames(payload, limit):
            answers.add(address, control, data)
        return {"meters": answers.finished()}

    return parse


def _frames(payload: bytes, limit: int) -> list[tuple[str, int, bytes]]:
    """Address, control code and data (33H taken off) of each frame."""
    end = len(payload)
    if end > limit:
        raise DecodeError("too_large", f"payload of {end} bytes, at most {limit}")
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while at < end:
        first = payload[at]
        if first == _WAKE_UP or (found and first in _BEHIND):
            at += 1
            continue
        if first != _START or end - at < _SHORTEST:
            raise _no_frame(payload, at)
        stop = at + _SHORTEST + payload[at + 9]
        if stop > end or payload[at + 7] != _START or payload[stop - 1] != _END:
            raise _no_frame(payload, at)
        if sum(payload[at : stop - 2]) & 0xFF != payload[stop - 2]:
            raise _wrong_sum(payload, at, stop)
        found.append((
            payload[at + 6 : at : -1].hex(),
            payload[at + 8],
            payload[at + 10 : stop - 2].translate(_LESS_33H),
        ))  # fmt: skip
        at = stop
    if not found or len(found) > MAX_FRAMES:
        raise _wrong_count(payload, len(found))
    return found


def _no_frame(payload: bytes, at: int) -> DecodeError:
    """Why there is no frame at this place."""
    left = len(payload) - at
    if payload[at] != 0x68:
        problem = f"{payload[at]:02X}H where a frame (68H) or a wake-up byte (FEH) must begin"
    elif left < 12:
        problem = f"the frame is cut off after {left} bytes; the shortest has 12"
    elif payload[at + 7] != 0x68:
        problem = f"no second 68H after the address, got {payload[at + 7]:02X}H"
    elif left < 12 + payload[at + 9]:
        problem = (
            f"the frame is cut off: {12 + payload[at + 9]} bytes by its length, {left} are there"
        )
    else:
        got = payload[at + 11 + payload[at + 9]]
        problem = f"the frame ends with {got:02X}H where 16H must be: a wrong length, or garbage"
    return DecodeError("unparseable", f"byte {at}: {problem}")


def _wrong_sum(payload: bytes, at: int, stop: int) -> DecodeError:
    got = sum(payload[at : stop - 2]) & 0xFF
    return DecodeError(
        "bad_checksum",
        f"frame at byte {at}: its bytes sum to {got:02X}H, it says {payload[stop - 2]:02X}H",
    )


def _wrong_count(payload: bytes, count: int) -> DecodeError:
    if count:
        return DecodeError("too_large", f"{count} frames in one message, at most {MAX_FRAMES}")
    if payload:
        return DecodeError("unparseable", "nothing but wake-up bytes (FEH)")
    return DecodeError("unparseable", "the payload is empty")


class _Answers:
    """Collects the answers of one message by meter."""

    def __init__(self, edition: str, readers: Readers, width: int) -> None:
        self._edition = edition
        self._functions = _EDITIONS[edition]
        self._readers = readers
        self._width = width
        self._meters: list[dict[str, Any]] = []
        self._seen: set[bytes] = set()
        # A block whose rest is to follow: its address, and DI and data as far as they came.
        self._open: tuple[str, bytes] | None = None

    def add(self, address: str, control: int, data: bytes) -> None:
        """Takes one frame; requests and confirmations add nothing."""
        if not control & _FROM_METER:
            return
        function = control & _FUNCTION
        names = self._functions
        if function in names.foreign:
            other = "1997" if self._edition == "2007" else "2007"
            raise DecodeError(
                "unparseable",
                f"control code {control:02X}H is no answer of edition {self._edition}; "
                f"decode.edition: '{other}' if the meters speak that",
            )
        if control & _ERROR:
            self._refused(address, data)
        elif function in (names.read, names.again):
            self._read(address, data, more=bool(control & _MORE))
        elif function == names.follow:
            self._follow(address, data, more=bool(control & _MORE))
        elif function == names.address:
            self._item(address, b"")["values"]["04000401"] = data[::-1].hex()

    def finished(self) -> list[dict[str, Any]]:
        """The items; a block that nobody finished is read as far as it came."""
        self._close()
        date, time_of_day = CLOCKS[self._edition]
        for meter in self._meters:
            values = meter["values"]
            if not values:  # an error, or nothing but "not available"
                del meter["values"]
            if date in values and time_of_day in values:
                meter["time"] = f"{values[date]}T{values[time_of_day]}"
        return self._meters

    def _item(self, address: str, di: bytes) -> dict[str, Any]:
        """The item of an address; a new one where the DI was there already."""
        if not self._meters or self._meters[-1]["address"] != address or di in self._seen:
            self._meters.append({"address": address, "values": {}})
            self._seen.clear()
        self._seen.add(di)
        return self._meters[-1]

    def _refused(self, address: str, data: bytes) -> None:
        self._close()
        if not data:
            raise DecodeError("unparseable", f"the error answer of {address} does not say which")
        names = _ERRORS[self._edition]
        words = [names[bit] for bit in range(8) if data[0] >> bit & 1]
        self._item(address, b"error")["error"] = ", ".join(words) or "none"

    def _read(self, address: str, data: bytes, *, more: bool) -> None:
        self._close()
        if more:
            self._open = (address, data)
        else:
            self._take(address, data)

    def _follow(self, address: str, data: bytes, *, more: bool) -> None:
        """The next part of a block: DI, data, and in the 2007 edition the number of the part."""
        di = data[: self._width]
        part = data[self._width : -1] if self._edition == "2007" else data[self._width :]
        if self._open is None or self._open[0] != address or self._open[1][: len(di)] != di:
            raise DecodeError(
                "unparseable",
                f"{address} goes on with DI {di[::-1].hex().upper()}, whose beginning is not in "
                "the message; send all frames of a block in one",
            )
        whole = self._open[1] + part
        if len(whole) > MAX_BLOCK:
            raise DecodeError("too_large", f"a block of {len(whole)} bytes, at most {MAX_BLOCK}")
        self._open = (address, whole) if more else None
        if not more:
            self._take(address, whole)

    def _take(self, address: str, data: bytes) -> None:
        di = data[: self._width]
        self._readers[di](self._item(address, di)["values"], data)

    def _close(self) -> None:
        """Reads a block whose rest did not come; half an item at its end is no fault then."""
        if self._open is None:
            return
        address, data = self._open
        self._open = None
        di = data[: self._width]
        item = self._item(address, di)
        item["more_follows"] = True
        size = self._readers.size(di)
        whole = self._width + (len(data) - self._width) // size * size
        if whole > self._width:
            self._readers[di](item["values"], data[:whole])
