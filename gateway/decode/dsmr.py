r"""Telegrams of the P1 port (DSMR 2.2 to 5, e-MUCS) and data messages of IEC 62056-21.

A telegram is the data readout of IEC 62056-21 mode D, with a CRC since DSMR 4::

    /ISk5\2MT382-1000 CR LF CR LF  data sets  ! CRC CR LF

the CRC being CRC-16/ARC of everything from ``/`` to ``!``, as four hexadecimal digits.  Modes A to
C put the data sets between control signs, with the exclusive or of all after STX up to ETX::

    [/ISk5MT382 CR LF]  STX  data sets  ! CR LF  ETX  BCC

A data set is an address and one or more groups in parentheses, ``1-0:1.8.1(000004.426*kWh)``; the
groups of one set may stand on lines of their own.  The document::

    {"identification": "ISk5\\2MT382-1000", "id": "K8EG004046395507",
     "time": "2017-01-02T19:20:02+01:00",
     "values": {"1-0:1.8.1": 4.426, "0-0:96.14.0": "0002"}, "units": {"1-0:1.8.1": "kWh"},
     "times": {"1-0:1.6.0": "2020-05-09T13:45:58+02:00"},
     "meters": [{"channel": 1, "type": "003", "id": "2222ABCD123456789", "value": 0.107,
                 "unit": "m3", "time": "2017-01-02T16:10:05+01:00", "obis": "24.2.1"}]}

Keys are OBIS codes without the group F of 255.  ``times`` has the moments that came with a value,
as that of a maximum.  ``meters`` are those on the M-Bus behind the port.  Logs (power failures,
demands of past months, load profiles) are left out.

A telegram may come ciphered, as on the ports of Luxembourg (`gateway.decode.dlms_security`).
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.decode.checksums import CHECKSUMS, crc
from gateway.decode.document import Context, Document, Parse
from gateway.errors import DecodeError
from gateway.profiles.formats import Dsmr

MAX_BYTES: Final = 1024 * 1024
MAX_GROUPS: Final = 10_000

_ARC: Final = crc(0xA001, 16, 0, reflected=True)
_BCC: Final = CHECKSUMS["xor8"]

_OPENING: Final = re.compile(rb"[\s\x00]*+(?:/([^\r\n]{1,120})\r?\n(?:\r?\n)?)?(\x02)?")
_CLOSING: Final = re.compile(rb"([0-9A-Fa-f]{4})?(?=[\r\n\x00]|\Z)")
_GROUP: Final = re.compile(r"[ \t\r\n]*+([!-'*-~]{0,40}+)\(([^()\r\n]*+)\)")
_BLANK: Final = " \t\r\n\x00"
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_MAX_DIGITS: Final = 24
_NOT_KNOWN: Final = re.compile(r"[-*?.]*")
_TIME: Final = re.compile(r"([0-9]{10}(?:[0-9]{2})?)([SW]?)", re.ASCII)
_VERSIONS: Final = (b"1-3:0.2.8(", b"0-0:96.1.4(")
"""Version of DSMR 4 and 5, of e-MUCS: what tells it has a CRC."""

_IDENTITIES: Final = ("0-0:96.1.1", "0-0:96.1.0", "0-0:96.1.255", "0-0:42.0.0", "1-0:0.0.0",
                      "0.0.0", "C.1.0")  # fmt: skip
_HEX_TEXT: Final = re.compile(r"(?:[2-7][0-9A-Fa-f]){10,}", re.ASCII)
"""Octet strings are sent as hexadecimal digits; shorter ones are plain serial numbers."""

_UCUM: Final = {
    "varh": "var.h", "kvarh": "kvar.h", "Mvarh": "Mvar.h", "kVArh": "kvar.h", "kVAr": "kvar",
    "°C": "Cel", "C": "Cel", "dm3": "L", "l": "L",
}  # fmt: skip
"""Units that UCUM writes otherwise."""

_ADDRESS: Final = re.compile(r"(?:(\d{1,3})-(\d{1,3}):)?([0-9A-Z]{1,3})\.([0-9A-Z]{1,3}).*")
_OFFSETS: Final = {
    "S": dt.timezone(dt.timedelta(hours=2)),
    "W": dt.timezone(dt.timedelta(hours=1)),
    "": None,
}


class _Role(NamedTuple):
    """What an address is for."""

    key: str
    sort: str  # clock, log, number, text; of a meter behind the port: type, id, value, valve, ean
    channel: int = 0


def compile_dsmr(settings: Dsmr) -> Parse:
    """A parser of one telegram or data message.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``unparseable``,
        ``bad_checksum``, ``duplicate_key``, ``bad_time`` (of the meter's clock),
        ``absurd_number`` or ``missing_key``.
    """
    limit = settings.max_bytes or MAX_BYTES
    required = settings.checksum == "required"
    zone = ZoneInfo(settings.zone) if settings.zone is not None else None

    def parse(payload: bytes, context: Context) -> Document:
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        if payload[:1] == b"\xdb":
            from gateway.decode.dlms_security import decipher  # noqa: PLC0415 - few ports cipher

            payload, _, _ = decipher(payload, context)
        identification, begin, end = _bounds(payload, required=required)
        reading = _Reading(zone)
        reading.take(_data_sets(payload[:end].decode("latin-1"), begin))
        document = reading.document
        if identification:
            document["identification"] = identification
        return document

    return parse


# -- the frame -----------------------------------------------------------------------------------


def _bounds(payload: bytes, *, required: bool) -> tuple[str, int, int]:
    """Identification, first and last byte of the data sets; the check is judged."""
    opening = _OPENING.match(payload)
    if opening is None or (opening[1] is None and opening[2] is None):
        raise DecodeError(
            "unparseable",
            f"a telegram begins with '/' and the meter's identification, or with STX; the payload "
            f"of {len(payload)} bytes begins {payload[:20].decode('latin-1')!r}",
        )
    identification = (opening[1] or b"").decode("latin-1").strip()
    begin = opening.end()
    if opening[2] is not None:
        return identification, begin, _block_end(payload, begin)
    first = payload.index(b"/")
    mark = payload.find(b"\n!", begin - 1) + 1
    if not mark:
        raise DecodeError(
            "unparseable",
            f"the telegram is cut off after {len(payload)} bytes: no line begins with '!'",
        )
    closing = _CLOSING.match(payload, mark + 1)
    if closing is None:
        got = payload[mark + 1 : mark + 9].decode("latin-1")
        raise DecodeError(
            "unparseable", f"byte {mark + 1}: four hexadecimal digits must follow '!', got {got!r}"
        )
    if closing[1] is not None:
        _judge(payload[first : mark + 1], int(closing[1], 16), mark)
    elif required or any(version in payload for version in _VERSIONS):
        raise DecodeError(
            "bad_checksum", f"byte {mark + 1}: no CRC after '!'; from DSMR 4 on there must be one"
        )
    if payload.find(b"/", closing.end()) >= 0:
        raise DecodeError(
            "unparseable",
            f"byte {payload.find(b'/', closing.end())}: a second telegram; send each as a message",
        )
    return identification, begin, mark


def _judge(telegram: bytes, told: int, mark: int) -> None:
    """Holds the CRC; a bridge that made CR LF to LF has not changed what the meter said."""
    found = _ARC(telegram)
    if found != told and b"\r" not in telegram:
        found = _ARC(telegram.replace(b"\n", b"\r\n"))
    if found != told:
        raise DecodeError(
            "bad_checksum",
            f"byte {mark + 1}: the CRC-16 of '/' to '!' is {found:04X}, the telegram says "
            f"{told:04X}",
        )


def _block_end(payload: bytes, begin: int) -> int:
    """Where the data sets of STX … ETX BCC end; the BCC is judged."""
    etx = payload.find(b"\x03", begin)
    if etx < 0 or etx + 1 == len(payload):
        lacking = "ETX" if etx < 0 else "the BCC"
        raise DecodeError("unparseable", f"cut off after {len(payload)} bytes, before {lacking}")
    found, told = _BCC(payload[begin : etx + 1]), payload[etx + 1]
    if found != told:
        raise DecodeError(
            "bad_checksum",
            f"byte {etx + 1}: the BCC of all after STX up to ETX is {found:02X}H, the message says "
            f"{told:02X}H",
        )
    if payload[etx + 2 :].strip(b" \r\n\x00"):
        raise DecodeError("unparseable", f"byte {etx + 2}: more stands after the BCC")
    # A readout ends with '!', an answer to a command does not.
    block = payload[begin:etx].rstrip(b"\r\n")
    return begin + len(block) - block.endswith(b"!")


def _data_sets(text: str, begin: int) -> list[tuple[str, list[str]]]:
    """Each address and its groups, in their order."""
    sets: list[tuple[str, list[str]]] = []
    groups: list[str] = []
    at = begin
    count = 0
    match = _GROUP.match
    while (found := match(text, at)) is not None:
        key, value = found.groups()
        if key:
            groups = [value]
            sets.append((key, groups))
        elif sets:
            groups.append(value)
        else:
            raise DecodeError("unparseable", f"byte {at}: a value without an address")
        at = found.end()
        count += 1
        if count > MAX_GROUPS:
            raise DecodeError("too_large", f"more than {MAX_GROUPS} values in one message")
    rest = text[at:].strip(_BLANK)
    if rest:
        raise DecodeError(
            "unparseable",
            f"byte {at}: a data set is ADDRESS(value), got {rest[:30]!r}",
        )
    return sets


# -- what it says --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _role(address: str) -> _Role:
    key = address.removesuffix("*255")
    found = _ADDRESS.fullmatch(key)
    if found is None:
        return _Role(key, "text")
    medium, channel, c, d = found.groups()
    if key == "0-0:1.0.0":
        return _Role(key, "clock")
    if c in {"98", "99", "P"}:
        return _Role(key, "log")
    if medium == "0" and channel != "0":
        sort = _OF_A_METER.get(key.partition(":")[2]) or _OF_A_METER.get(f"{c}.{d}")
        if sort is not None:
            return _Role(key, sort, int(channel))
    counter = c == "96" and d == "7"  # power failures, which have no unit
    measured = medium != "0" and c.isdecimal() and 1 <= int(c) <= 89
    return _Role(key, "number" if counter or measured else "text")


_OF_A_METER: Final = {
    "24.1.0": "type",
    "96.1.0": "id",
    "96.1.1": "id",
    "96.1.2": "ean",
    "24.2": "value",
    "24.3": "old_value",
    "24.4.0": "valve",
}
"""Objects of an M-Bus meter by C.D.E or C.D."""


class _Reading:
    """Collects the document set by set."""

    def __init__(self, zone: ZoneInfo | None) -> None:
        self._zone = zone
        self._values: dict[str, float | str] = {}
        self._units: dict[str, str] = {}
        self._times: dict[str, str] = {}
        self._meters: dict[int, dict[str, Any]] = {}
        self._time: str | None = None

    def take(self, sets: list[tuple[str, list[str]]]) -> None:
        """Takes all data sets; an address twice is refused unless it says the same."""
        seen: dict[str, list[str]] = {}
        for address, groups in sets:
            role = _role(address)
            before = seen.setdefault(role.key, groups)
            if before is not groups:
                if before == groups:
                    continue
                raise DecodeError(
                    "duplicate_key", f"{role.key} stands twice: {before[-1]!r} and {groups[-1]!r}"
                )
            if role.channel:
                self._meter(role, groups)
            elif role.sort == "clock":
                self._clock(groups[0])
            elif role.sort != "log":
                self._value(role, groups)

    @property
    def document(self) -> Document:
        """What was collected."""
        document: Document = {"values": self._values, "units": self._units}
        identity = next(filter(None, map(self._identity, _IDENTITIES)), None)
        if identity is not None:
            document["id"] = identity
        if self._time is not None:
            document["time"] = self._time
        if self._times:
            document["times"] = self._times
        meters = [meter for _, meter in sorted(self._meters.items()) if len(meter) > 1]
        if meters:
            document["meters"] = meters
        return document

    def _identity(self, key: str) -> str | None:
        value = self._values.get(key)
        return _plain(value) if isinstance(value, str) else None

    def _clock(self, text: str) -> None:
        if not text:
            return
        self._time = self._moment(text)
        if self._time is None:
            raise DecodeError("bad_time", f"0-0:1.0.0: {text[:20]!r} is no YYMMDDhhmmss with S/W")

    def _moment(self, text: str) -> str | None:
        """RFC 3339 with offset; local ISO 8601 where none is known; None for no possible time."""
        found = _TIME.fullmatch(text)
        if found is None:
            return None
        digits, season = found.groups()
        numbers = [int(digits[i : i + 2]) for i in range(0, len(digits), 2)]
        try:
            local = dt.datetime(2000 + numbers[0], *numbers[1:])  # type: ignore[arg-type] # noqa: DTZ001
        except ValueError:
            return None
        if self._zone is not None:
            return local.replace(tzinfo=self._zone, fold=int(season == "W")).isoformat()
        return local.replace(tzinfo=_OFFSETS[season]).isoformat()

    def _value(self, role: _Role, groups: list[str]) -> None:
        """A value, or a value and its moment in either order; more groups are a log."""
        text = groups[0]
        if len(groups) == 2:
            moments = [_TIME.fullmatch(group) is not None for group in groups]
            if moments[0] == moments[1]:
                return
            text = groups[moments.index(False)]
            at = self._moment(groups[moments.index(True)])
            if at is not None:
                self._times[role.key] = at
        elif len(groups) > 2:
            return
        number, unit = _amount(role.key, text, numeric=role.sort == "number")
        if number is None:
            self._times.pop(role.key, None)
            return
        self._values[role.key] = number
        if unit:
            self._units[role.key] = unit

    def _meter(self, role: _Role, groups: list[str]) -> None:
        """One object of a meter behind the port."""
        meter = self._meters.setdefault(role.channel, {"channel": role.channel})
        text = groups[0]
        match role.sort:
            case "type" if text.isdecimal():
                meter["type"] = text.zfill(3)
            case "id":
                identity = _plain(text)
                if identity is not None:
                    meter.setdefault("id", identity)
            case "value":
                at, value = (groups[0], groups[1]) if len(groups) == 2 else (None, text)
                self._meter_value(meter, role, at, value)
            case "old_value" if len(groups) == 7 and groups[3] in {"1", "01"}:
                # DSMR 2.2 and 3: time, status, minutes, how many, their object, unit; the value.
                self._meter_value(meter, role, groups[0], f"{groups[6]}*{groups[5]}")
            case "valve" | "ean" if text:
                meter[role.sort] = text

    def _meter_value(self, meter: dict[str, Any], role: _Role, at: str | None, text: str) -> None:
        """A value with its time; one whose time is filler was never read from the meter."""
        time = self._moment(at) if at is not None else None
        number, unit = _amount(role.key, text, numeric=True)
        if number is None or "value" in meter or (at is not None and time is None):
            return
        meter["value"], meter["obis"] = number, role.key.partition(":")[2]
        if unit:
            meter["unit"] = unit
        if time is not None:
            meter["time"] = time


def _amount(key: str, text: str, *, numeric: bool) -> tuple[float | str | None, str]:
    """The value and the unit of a group; None where nothing was measured."""
    shown, star, unit = text.partition("*")
    shown = shown.strip()
    if not star and not numeric:
        return shown or None, ""
    if _NUMBER.fullmatch(shown) is None:
        if _NOT_KNOWN.fullmatch(shown) is not None:
            return None, ""
        if not star:
            return shown, ""
        raise DecodeError("unparseable", f"{key}: {shown[:30]!r} is no number of {unit[:10]!r}")
    if len(shown) > _MAX_DIGITS:
        raise DecodeError("absurd_number", f"{key}: {len(shown)} digits")
    unit = unit.strip()
    return float(shown) if "." in shown else int(shown), _UCUM.get(unit, unit)


def _plain(text: str) -> str | None:
    """An identity: octets in hexadecimal become the text they are; nought is no identity."""
    if not text.strip("0"):
        return None
    if len(text) % 2 == 0 and _HEX_TEXT.fullmatch(text):
        plain = bytes.fromhex(text).decode("ascii").strip()
        return plain if plain.isprintable() and plain else text
    return text
