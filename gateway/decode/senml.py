"""SenML packs (RFC 8428), JSON or CBOR: records with their base fields resolved, and grouped.

Which of the two a payload is, its first byte says: a CBOR array (or a tag before it) begins with a
byte that no JSON text begins with.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from gateway.decode.cbor import load
from gateway.decode.document import Context, Document, Parse
from gateway.decode.json import parse_json
from gateway.decode.plain import bounded
from gateway.errors import DecodeError
from gateway.profiles.formats import Senml

VERSION: Final = 10
"""The base version of RFC 8428; a pack that says a higher one must not be used (§4.4)."""

SECONDARY_UNITS: Final = VERSION + 2**4
"""The version of packs with units such as kWh, which RFC 8798 adds (RFC 9100 §4)."""

ABSOLUTE: Final = 2**28
"""A time in seconds from here on is absolute, below it relative to now (§4.5.3)."""

MAX_RECORDS: Final = 10_000

_MAX_NUMBER: Final = 2.0**64
_NAME: Final = re.compile(r"[A-Za-z0-9][-:./_A-Za-z0-9]*")  # §4.5.1
_CBOR_FIRST: Final = frozenset({*range(0x80, 0xA0), *range(0xC0, 0xDC)})
# §6, table 4: labels of CBOR are these numbers, those of extensions texts.
_CBOR_LABELS: Final = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_VALUES: Final = (("v", "value"), ("vs", "text"), ("vb", "flag"), ("vd", "data"))


def compile_senml(settings: Senml) -> Parse:
    """A parser of SenML.

    Returns:
        A function from bytes to ``{"records": [...], "packs": [...]}``.

        ``records``: as resolved (§4.6): ``name``, and as far as they are said ``unit``, one of
        ``value`` (number), ``text``, ``flag`` (truth value), ``data`` (hexadecimal); ``sum``; and
        ``time`` in seconds since 1970 UTC.  A record without any time has none: it was measured
        about when it was received.

        ``packs``: the records of one base name and time: ``device`` (the base name without the
        ``:`` or ``/`` at its end; of a record without one, its own name if that is a URN),
        ``time``, ``values`` by the records' own names, ``units`` and ``sums`` likewise;
        ``by_unit``: numbers by their unit, where one record alone has it.  A name that comes again
        at the same time begins another.

        It raises DecodeError ``too_large``, ``unparseable``, ``too_deep``, ``duplicate_key``,
        ``absurd_number``, ``bad_time``, ``missing_field`` or ``wrong_type``.
    """
    limit = settings.max_bytes

    def parse(payload: bytes, context: Context) -> Document:
        bounded(payload, limit)
        if payload[:1] and payload[0] in _CBOR_FIRST:
            pack, labels = load(payload), _CBOR_LABELS
        else:
            pack, labels = parse_json(payload, limit), {}
        if not isinstance(pack, list | tuple) or not pack:
            raise DecodeError(
                "unparseable", "a SenML pack is an array of at least one record (RFC 8428 §4)"
            )
        if len(pack) > MAX_RECORDS:
            raise DecodeError("too_large", f"{len(pack)} records, at most {MAX_RECORDS}")
        return _resolve(pack, labels, context.received_at)

    return parse


def _resolve(
    pack: list[Any] | tuple[Any, ...], labels: Mapping[Any, str], received_at: int
) -> Document:
    """All records in the order of the message; base fields hold from their record on (§4.1)."""
    bases: dict[str, Any] = {"bn": ""}
    records: list[Document] = []
    packs: list[Document] = []
    opened: dict[tuple[str, float | None], Document] = {}
    for index, raw in enumerate(pack):
        fields = _fields(raw, labels, index)
        bases.update({label: fields[label] for label in _BASES if label in fields})
        record = _record(fields, bases, index, received_at)
        records.append(record)
        own = fields.get("n", "")
        device = bases["bn"].rstrip(":/") or (own if own.startswith("urn:") else "")
        key = device, record.get("time")
        group = opened.get(key)
        if group is None or own in group["values"] or own in group.get("sums", ()):
            group = opened[key] = _group(*key)
            packs.append(group)
        _put(record, own, group)
    for group in packs:
        group["by_unit"] = _by_unit(group)
    return {"records": records, "packs": packs}


def _record(fields: Document, bases: Document, index: int, received_at: int) -> Document:
    """One resolved record (§4.6)."""
    version = fields.get("bver", VERSION)
    if not (0 < version <= VERSION or version == SECONDARY_UNITS):
        raise DecodeError(
            "unparseable",
            f"record {index}: bver {version}, read are versions up to {VERSION} and "
            f"{SECONDARY_UNITS} (RFC 8428 §4.4: a newer pack must not be used)",
        )
    record: Document = {"name": _name(bases["bn"] + fields.get("n", ""), index)}
    unit = fields.get("u", bases.get("bu", ""))
    if unit:
        record["unit"] = unit
    what, value = _value(fields, bases, index)
    if what:
        record[what] = value
    total = _sum(fields, bases) if what in {"", "value"} else fields.get("s")
    if total is not None:
        record["sum"] = total
    if not what and total is None:
        raise DecodeError(
            "missing_field",
            f"record {index} ({record['name'][:80]}) has no value (RFC 8428 §4.2)",
        )
    time = _time(fields, bases, received_at)
    if time is not None:
        record["time"] = time
    return record


def _group(device: str, time: float | None) -> Document:
    group: Document = {"values": {}, "units": {}}
    if device:
        group["device"] = device
    if time is not None:
        group["time"] = time
    return group


def _put(record: Document, own: str, group: Document) -> None:
    """A record under its own name into the group of its device and time."""
    for _, what in _VALUES:
        if what in record:
            group["values"][own] = record[what]
    if "sum" in record:
        group.setdefault("sums", {})[own] = record["sum"]
    if "unit" in record:
        group["units"][own] = record["unit"]


def _by_unit(group: Document) -> dict[str, float]:
    """Numbers by their unit, but for units that several have."""
    found: dict[str, Any] = {}
    for own, unit in group["units"].items():
        value = group["values"].get(own)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        found[unit] = None if unit in found or not number else value
    return {unit: value for unit, value in found.items() if value is not None}


def _name(name: str, index: int) -> str:
    if not name:
        raise DecodeError(
            "missing_field", f"record {index} has no name, neither bn nor n (RFC 8428 §4.5.1)"
        )
    if _NAME.fullmatch(name) is None:
        raise DecodeError(
            "unparseable",
            f"record {index}: the name {name[:80]!r} is not letters, digits and - : . / _ from a "
            "letter or digit on (RFC 8428 §4.5.1)",
        )
    return name


def _value(fields: Document, bases: Document, index: int) -> tuple[str, Any]:
    """Which kind of value a record has, and it; ``""`` where it has none (§4.5.4)."""
    said = [(label, what) for label, what in _VALUES if label in fields]
    if len(said) > 1:
        both = " and ".join(label for label, _ in said)
        raise DecodeError("unparseable", f"record {index} has {both}: one value at most (§4.2)")
    if said and said[0][0] != "v":
        label, what = said[0]
        return what, fields[label]
    if not said and ("bv" not in bases or "s" in fields):
        return "", None
    return "value", _added(bases.get("bv"), fields.get("v"))


def _sum(fields: Document, bases: Document) -> float | None:
    if "s" not in fields and "bs" not in bases:
        return None
    return _added(bases.get("bs"), fields.get("s"))


def _time(fields: Document, bases: Document, received_at: int) -> float | None:
    """Seconds since 1970 UTC, to the microsecond; None where the message tells no time."""
    if "t" not in fields and "bt" not in bases:
        return None
    time = _added(bases.get("bt"), fields.get("t"))
    if time < ABSOLUTE:
        time = float(Decimal(received_at).scaleb(-9) + Decimal(repr(time)))
    return time if isinstance(time, int) else round(time, 6)


def _added(base: float | None, own: float | None) -> float:
    """Base plus own as their decimals say it: 20.1 + 0.2 is 20.3; a missing one is 0."""
    if base is None:
        return own or 0
    if own is None:
        return base
    if isinstance(base, int) and isinstance(own, int):
        return base + own
    return float(Decimal(repr(base)) + Decimal(repr(own)))


# -- fields of one record ---------------------------------------------------------------------


def _fields(raw: object, labels: Mapping[Any, str], index: int) -> Document:
    """The known fields of a record by the labels of JSON, each of its type; null is absent."""
    if not isinstance(raw, Mapping):
        raise DecodeError("unparseable", f"record {index} of the SenML pack is no object")
    fields: Document = {}
    for key, value in raw.items():
        label = labels.get(key) if type(key) is int else key
        if not isinstance(label, str):
            continue
        check = _CHECKS.get(label)
        if check is None:
            # §4.4: what nobody knows is left, unless its last sign says that it must be understood.
            if label.endswith("_"):
                raise DecodeError(
                    "unparseable",
                    f"record {index}: the field {label[:80]!r} must be understood and is not "
                    "known (RFC 8428 §4.4)",
                )
            continue
        if label in fields:
            raise DecodeError("duplicate_key", f"record {index} has {label!r} twice")
        if value is not None:
            fields[label] = check(value, label, index)
    return fields


def _wrong(wanted: str, value: object, label: str, index: int) -> DecodeError:
    return DecodeError(
        "wrong_type", f"record {index}: {label!r} is {wanted}, got {str(value)[:60]!r}"
    )


def _number(value: Any, label: str, index: int) -> float:  # noqa: ANN401 - any value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("a number", value, label, index)
    if not -_MAX_NUMBER < value < _MAX_NUMBER:  # so is NaN
        raise DecodeError(
            "absurd_number", f"record {index}: {label!r} is no number that an instrument shows"
        )
    return value


def _whole(value: Any, label: str, index: int) -> int:  # noqa: ANN401 - any value
    number = _number(value, label, index)
    if number != int(number):
        raise _wrong("a whole number", value, label, index)
    return int(number)


def _text(value: Any, label: str, index: int) -> str:  # noqa: ANN401 - any value
    if not isinstance(value, str):
        raise _wrong("a text", value, label, index)
    return value


def _flag(value: Any, label: str, index: int) -> bool:  # noqa: ANN401 - any value
    if not isinstance(value, bool):
        raise _wrong("true or false", value, label, index)
    return value


def _data(value: Any, label: str, index: int) -> str:  # noqa: ANN401 - any value
    """Hexadecimal of a byte string (CBOR), or of base64url without padding (JSON, §5)."""
    if isinstance(value, bytes):
        return value.hex()
    text = _text(value, label, index).rstrip("=")
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).hex()
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _wrong("base64 with the letters of URLs", value, label, index) from error


_CHECKS: Final[Mapping[str, Callable[[Any, str, int], Any]]] = {
    "bn": _text, "bt": _number, "bu": _text, "bv": _number, "bs": _number, "bver": _whole,
    "n": _text, "u": _text, "v": _number, "vs": _text, "vb": _flag, "vd": _data,
    "s": _number, "t": _number, "ut": _number,
}  # fmt: skip
_BASES: Final = ("bn", "bt", "bu", "bv", "bs")
