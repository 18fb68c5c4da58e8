"""Data notifications of DLMS/COSEM meters: what a customer port (HAN) or a push setup sends.

The APDU (IEC 62056-5-3), plain or ciphered, in whatever `gateway.decode.dlms_transport` takes off::

    0F  invoke id and priority(4)  00 | 0C date-time(12)  data

Some meters write the date-time as data (``09 0C`` ...).  The document::

    {"id": "7359992890941742", "time": "2026-01-02T08:00:00+01:00",
     "values": {"1-0:1.8.0": 12345670, "1-1:0.2.129": "AIDON_V0001"},
     "units": {"1-0:1.8.0": "Wh"}, "system_title": "4B464D1010000002", "authentic": true}

Keys are OBIS codes without the group F of 255.  Values are scaled where the message tells the
scaler, or the layout knows it.  ``time`` is the meter's clock if it is sent, else the date-time of
the message.  ``system_title`` and ``authentic`` (its tag was right) are of ciphered messages.

Layouts: pairs of OBIS code and value in any nesting, with scaler and unit after the value where
they are sent; values after a list of their descriptions (push object list); and the lists of
`gateway.decode.dlms_lists`, which only a maker's description tells.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from gateway.decode.axdr import Data, Enumerated, Reader, date_time, octets
from gateway.decode.dlms_lists import KAIFA, KAMSTRUP, UNITS, Scale
from gateway.decode.dlms_security import GENERAL_GLO, decipher, no_fit
from gateway.decode.dlms_transport import unwrap
from gateway.decode.document import Context, Document, Parse
from gateway.errors import DecodeError
from gateway.profiles.formats import Dlms

MAX_BYTES: Final = 1024 * 1024

_NOTIFICATION: Final = 0x0F
_MAX_SCALER: Final = 18
_CLOCKS: Final = frozenset({"0-0:1.0.0", "0-1:1.0.0", "1-0:1.0.0"})
_IDENTITIES: Final = ("0-0:96.1.0", "0-0:96.1.1", "1-1:0.0.5", "0-0:42.0.0", "1-0:0.0.0")


class _Entry(NamedTuple):
    """A value by its OBIS code, with scaler and unit as they were sent."""

    code: bytes
    value: Data
    scaler_unit: tuple[int, int] | None


def compile_dlms(settings: Dlms) -> Parse:
    """A parser of one data notification.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``unparseable``, ``too_deep``,
        ``bad_checksum``, ``missing_key``, ``duplicate_key``, ``bad_time`` or ``absurd_number``.
    """
    limit = settings.max_bytes or MAX_BYTES
    layout = settings.layout
    scales = KAMSTRUP if layout == "kamstrup" else {}

    def parse(payload: bytes, context: Context) -> Document:
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        document: Document = {"values": {}, "units": {}}
        apdu = _plain(unwrap(payload), context, document)
        time, data = _notification(apdu)
        if layout == "kaifa":
            _take_kaifa(data, document)
        else:
            for entry in _entries(data):
                _take(entry, scales, document)
        document.setdefault("time", time)
        if document["time"] is None:
            del document["time"]
        values = document["values"]
        identity = next((values[key] for key in _IDENTITIES if values.get(key)), None)
        if isinstance(identity, str):
            document["id"] = identity
        return document

    return parse


# -- the message ---------------------------------------------------------------------------------


def _plain(apdu: bytes, context: Context, document: Document) -> bytes:
    """The APDU deciphered; the document learns whose it is."""
    if apdu[:1] != bytes([GENERAL_GLO]):
        return apdu
    plain, title, authentic = decipher(apdu, context)
    if plain[:1] != bytes([_NOTIFICATION]) and not authentic:
        raise no_fit(title, "dlms_key")
    document["system_title"] = title
    document["authentic"] = authentic
    return plain


def _notification(apdu: bytes) -> tuple[str | None, Data]:
    """Date-time and data of a data notification."""
    if apdu[:1] != bytes([_NOTIFICATION]):
        got = f"{apdu[0]:02X}H" if apdu else "nothing"
        raise DecodeError(
            "unparseable",
            f"an APDU of {len(apdu)} bytes begins with {got}; a data notification (0FH) or "
            "general-glo-ciphering (DBH) is expected",
        )
    at = 5
    size = octets(apdu, at, 1)[0]
    if size == 0x09:  # written as data, with its tag
        at += 1
        size = octets(apdu, at, 1)[0]
    if size not in {0, 12}:
        raise DecodeError(
            "unparseable", f"byte {at} of the APDU: a date-time has 0 or 12 bytes, not {size}"
        )
    moment = octets(apdu, at + 1, size)
    data, end = Reader(apdu).read(at + 1 + size)
    if end != len(apdu):
        raise DecodeError(
            "unparseable", f"byte {end} of the APDU: {len(apdu) - end} bytes follow the data"
        )
    return date_time(moment) if moment else None, data


# -- layouts -------------------------------------------------------------------------------------


def _entries(data: Data) -> list[_Entry]:
    """The values that name themselves, wherever they stand."""
    found: list[_Entry] = []
    if isinstance(data, list) and not _described(data, found):
        _walk(data, found)
    return found


def _walk(items: list[Data], found: list[_Entry]) -> None:
    """Pairs: an octet string of six bytes is a code, what follows is its value."""
    at, count = 0, len(items)
    while at < count:
        item = items[at]
        at += 1
        if isinstance(item, list):
            _walk(item, found)
        elif isinstance(item, bytes) and len(item) == 6 and at < count:
            value = items[at]
            at += 1
            scaler_unit = None
            if isinstance(value, list) and len(value) == 2 and _is_scaler_unit(value[1]):
                value, scaler_unit = value
            elif at < count and _is_scaler_unit(items[at]):
                scaler_unit = items[at]
                at += 1
            elif at + 1 < count and _is_scaler_unit(items[at : at + 2]):
                scaler_unit = items[at : at + 2]
                at += 2
            found.append(_Entry(item, value, _pair(scaler_unit)))


def _is_scaler_unit(item: Data) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 2
        and type(item[0]) is int
        and isinstance(item[1], Enumerated)
    )


def _pair(scaler_unit: list[int] | None) -> tuple[int, int] | None:
    return (scaler_unit[0], int(scaler_unit[1])) if scaler_unit is not None else None


def _described(data: list[Data], found: list[_Entry]) -> bool:
    """Values after their descriptions ``{class, code, attribute, index}``, in the same order.

    The list of descriptions is the first value, and may describe itself as such.
    """
    told = data[0] if data else None
    if not isinstance(told, list) or not told or not all(map(_is_description, told)):
        return False
    values = data if len(data) == len(told) else data[1:]
    if len(values) != len(told):
        return False
    scalers = {
        code: _pair(value)
        for (kind, code, attribute, *_), value in zip(told, values, strict=True)
        if kind in {3, 4, 5} and attribute == (4 if kind == 5 else 3) and _is_scaler_unit(value)
    }
    for (kind, code, attribute, *_), value in zip(told, values, strict=True):
        measured = 3 if kind == 5 else 2  # a demand register's last average
        if attribute == measured and value is not told:
            found.append(_Entry(code, value, scalers.get(code)))
    return True


def _is_description(item: Data) -> bool:
    return (
        isinstance(item, list)
        and len(item) >= 4
        and type(item[0]) is int
        and isinstance(item[1], bytes)
        and len(item[1]) == 6
        and type(item[2]) is int
    )


def _take_kaifa(data: Data, document: Document) -> None:
    """A list without codes: how many values it has tells which they are."""
    items = data if isinstance(data, list) else [data]
    columns = KAIFA.get(len(items))
    if columns is None:
        raise DecodeError(
            "unparseable",
            f"a list of {len(items)} values, which layout 'kaifa' does not have "
            f"({', '.join(map(str, KAIFA))}); does the meter send OBIS codes (layout: obis)?",
        )
    for (key, scale), value in zip(columns, items, strict=True):
        if isinstance(value, list):
            raise DecodeError("unparseable", f"{key}: a list where one value must be")
        _put(key, value, scale, document)


# -- values --------------------------------------------------------------------------------------


def _take(entry: _Entry, scales: dict[tuple[int, int], Scale], document: Document) -> None:
    a, b, c, d, e, f = entry.code
    key = f"{a}-{b}:{c}.{d}.{e}" if f == 0xFF else f"{a}-{b}:{c}.{d}.{e}*{f}"
    scale = Scale(0, "")
    if entry.scaler_unit is not None:
        scaler, unit = entry.scaler_unit
        scale = Scale(scaler, UNITS.get(unit, ""))
    elif a == 1:
        scale = scales.get((c, d), scale)
    if not isinstance(entry.value, list):
        _put(key, entry.value, scale, document)


def _put(key: str, value: Data, scale: Scale, document: Document) -> None:
    """One value into the document, where there is one."""
    shown: Any
    if value is None:
        return
    if isinstance(value, bytes):
        if key in _CLOCKS and len(value) == 12:
            shown = date_time(value)
            if shown is None:
                return
            document.setdefault("time", shown)
        else:
            shown = _text(value)
    elif isinstance(value, bool | str):
        shown = value
    else:
        shown = _scaled(key, int(value) if isinstance(value, int) else value, scale.exponent)
        if not math.isfinite(shown):
            raise DecodeError("absurd_number", f"{key}: {value} by 10^{scale.exponent}")
    if shown == "":
        return
    values = document["values"]
    if key in values and values[key] != shown:
        raise DecodeError("duplicate_key", f"{key} stands twice: {values[key]!r} and {shown!r}")
    values[key] = shown
    if scale.unit and not isinstance(shown, str | bool):
        document["units"][key] = scale.unit


def _scaled(key: str, value: float, exponent: int) -> float:
    """``value * 10 ** exponent``, by one correctly rounded operation."""
    if abs(exponent) > _MAX_SCALER:
        raise DecodeError("absurd_number", f"{key}: scaler {exponent}, at most {_MAX_SCALER}")
    power: int = 10 ** abs(exponent)
    try:
        return value / power if exponent < 0 else value * power
    except OverflowError as error:
        raise DecodeError("absurd_number", f"{key}: {value} by 10^{exponent}") from error


def _text(value: bytes) -> str:
    """An octet string as its text where it is one, else as hexadecimal digits."""
    if value and all(0x20 <= byte < 0x7F for byte in value):
        return value.decode("ascii").strip()
    return value.hex()
