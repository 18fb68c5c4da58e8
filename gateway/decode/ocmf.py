"""OCMF: signed records of charging points, versions 0.4 to 1.4 (S.A.F.E. e.V., ``OCMF-en.md``).

A record is three sections between bars: ``OCMF|payload|signature``, the latter two JSON objects.
The signature covers the payload's bytes as they stand there; nothing here writes them again.

The document::

    {"version": "1.0", "context": "T", "page": 32,
     "gateway": {"id": "ACME 7", "serial": "17619300", "version": "2.8.5"},
     "meter": {"vendor": "ACME", "model": "M1", "serial": "4711", "firmware": "1.0"},
     "charge_point": {"type": "EVSEID", "id": "DE*ABC*E1"},
     "user": {"identified": True, "level": "VERIFIED", "type": "ISO14443"},
     "readings": [{"time": "2026-08-13T10:03:15.000+00:00", "clock": "informative", "type": "B",
                   "value": 259.6, "unit": "kWh", "obis": "1-b:1.8.0", "status": "G",
                   "usable": True, "register": "total", "conditions": []}],
     "start": {...}, "end": {...}, "interim": [...], "energy": {"value": 0.1, "unit": "kWh"},
     "register": "total", "time": "2026-08-13T10:03:15.000+00:00", "conditions": [],
     "signature": {"verdict": "valid", "algorithm": "ECDSA-secp256r1-SHA256", "key": "registry"}}

``context``: T transaction, F fiscal.  ``readings`` are all, with what they inherit from the one
before.  ``start`` and ``end`` are those of the imported energy's register that begin and end the
transaction (types B; E, L, R, A, P); ``interim`` are its others.  ``energy`` is their difference,
where both are ``usable``: not excluded by error flags, by an exception before, or by the meter's
state.  ``register`` is ``transaction`` where the OBIS code says that it begins anew each time; at
the top it is that of ``start`` and ``end``, and absent where neither is there.  ``time`` is that of
``end``, else of ``start``, else of the last reading.

``conditions`` are status words of `gateway.quantities` for what meter, clock and signature say: at
the top for the whole record, with a reading for that alone.  ``fault`` is true where a state of the
meter is another than good.

``signature``: see `gateway.decode.ocmf_signature`.  ``deviations`` tells what is not as OCMF
demands, if anything.  The meter's serial number is mandatory: a signature over a record without it
vouches for no meter in particular, which is a condition (``signature_unverified``).  The user's
identification (ID) is left out: it is personal, and the ledger keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from gateway.decode.document import Context, Document, Parse
from gateway.decode.json import parse_json
from gateway.decode.ocmf_signature import judge
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocmf
from gateway.profiles.notation import Select

MAX_BYTES: Final = 64 * 1024
MAX_READINGS: Final = 1000

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[,.](\d{3})([+-]\d\d)(\d\d)(?: ([UISR]))?", re.ASCII
)
_CLOCKS: Final = {"U": "unsynchronised", "I": "informative", "S": "synchronised", "R": "relative"}
_PAGE: Final = re.compile(r"([TF])(\d{1,18})", re.ASCII)
_NUMBER: Final = re.compile(r" *(-?\d{1,24}(?:\.\d{1,24})?) *", re.ASCII)
_OBIS: Final = re.compile(
    r"(?:[0-9A-Za-z]{1,2}-[0-9A-Za-z]{1,2}:)?([0-9A-Fa-f]{1,2})\.(\d{1,2})\.[0-9A-Za-z]{1,2}"
    r"(?:[*.&][0-9A-Fa-f]{1,3})?",
    re.ASCII,
)

_BEGINS: Final = "B"
_ENDS: Final = frozenset("ELRAP")
_READABLE: Final = frozenset("GMS")
"""States of the meter in which the value is the meter's (table 10): good, manipulated, substitute.
In all others it was not read, is out of range, or of another meter."""

_CONDITIONS: Final = {
    **dict.fromkeys("NTDRI", "communication_fault"),
    **dict.fromkeys("MX", "tamper"),
    **dict.fromkeys("OSEF", "sensor_fault"),
}
"""Status words for the states of table 10: not present, timeout, disconnected, removed,
incompatible; manipulated, exchanged; out of range, substitute, other and read errors."""

_ENERGY_UNITS: Final = frozenset({"Wh", "kWh"})
_EXPORTS: Final = frozenset({"2", "02", "C0", "C1", "C2", "C3"})
_TRANSACTIONAL: Final = frozenset({"B2", "B3"})
"""Group C of OBIS codes: energy given back; registers of one transaction (OCMF 1.4, table 25)."""

_TEXTS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "TX": ("type", frozenset("BCXELRAPST")),
    "ST": ("status", frozenset("NGTDRMXIOSEF")),
    "RU": ("unit", frozenset()),
    "RI": ("obis", frozenset()),
    "RT": ("current", frozenset()),
    "EF": ("errors", frozenset()),
}
"""Texts of a reading: the document's name, and what is allowed if not anything."""
_NUMBERS: Final = (("RV", "value"), ("CL", "loss"))
_EXTENSIONS: Final = tuple("UVWXYZ")
_INHERITED: Final = ("TM", "TX", "RI", "RU", "RT", "EF", "ST")


def compile_ocmf(settings: Ocmf) -> Parse:
    """A parser of one OCMF record.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``unparseable``,
        ``duplicate_key``, ``too_deep``, ``missing_field``, ``wrong_type``, ``absurd_number``,
        ``bad_time`` or ``unknown_word``.  A signature is no reason to refuse: the document says
        what is thought of it.
    """
    limit = settings.max_bytes or MAX_BYTES
    unnamed = settings.meter_serial == "optional"
    if settings.public_key is None:
        return _plain(limit, unnamed=unnamed)
    place = settings.public_key

    def parse(payload: bytes, context: Context) -> Document:
        _check_size(payload, limit)
        return read_record(payload, _offered(context.envelope, place), context, unnamed=unnamed)

    return parse


@lru_cache(maxsize=64)
def _plain(limit: int, *, unnamed: bool) -> Parse:
    """The parser of all profiles of these settings: many share a topic, each asks for the document.

    So the document of the last message is kept; whoever gets it only reads it.
    """
    last: tuple[bytes, Mapping[str, Any], Context, Document] | None = None

    def parse(payload: bytes, context: Context) -> Document:
        nonlocal last
        kept = last
        if (
            kept is not None
            and kept[0] is payload
            and kept[1] is context.devices
            and _same(kept[2], context)
        ):
            return kept[3]
        _check_size(payload, limit)
        document = read_record(payload, "", context, unnamed=unnamed)
        last = payload, context.devices, context, document
        return document

    return parse


def _same(one: Context, other: Context) -> bool:
    return (one.offset, one.received_at, one.topic, one.levels) == (
        other.offset, other.received_at, other.topic, other.levels,
    )  # fmt: skip


def _check_size(payload: bytes, limit: int) -> None:
    if len(payload) > limit:
        raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")


def read_record(
    record: bytes, offered: str, context: Context, *, unnamed: bool = False
) -> Document:
    """The document of a record.

    Args:
        record: its bytes as received.
        offered: a public key that came with it, or an empty text.
        context: of the message.
        unnamed: whether a record without the meter's serial number is as it should be.

    Raises:
        DecodeError: see `compile_ocmf`.
    """
    sections = record.split(b"|")
    if len(sections) != 3 or sections[0].strip() != b"OCMF":
        raise DecodeError(
            "unparseable",
            "an OCMF record is 'OCMF|payload|signature' with no other bar; "
            f"{len(sections)} sections, the first begins {sections[0][:20]!r}",
        )
    payload = sections[1]
    fields, section = _object(payload, "payload"), _object(sections[2], "signature")
    if "SD" not in section:
        raise DecodeError("missing_field", "the signature section has no SD (OCMF table 8)")
    deviations: list[str] = []
    document = _head(fields, deviations)
    _readings(fields, document, deviations)
    if deviations:
        document["deviations"] = deviations
    serials = (document["meter"].get("serial"), document["gateway"].get("serial"))
    document["signature"] = judge(
        payload, section, tuple(s for s in serials if s), offered, context
    )
    _conditions(document, vouched=serials[0] is not None or unnamed)
    return document


def _conditions(document: Document, *, vouched: bool) -> None:
    """What readings and signature say, as status words: of the record, and of each in between."""
    signature = document["signature"]
    words: list[str] = []
    if signature["verdict"] == "invalid":
        words.append("signature_invalid")
    elif signature["verdict"] != "valid" or "self_attested" in signature or not vouched:
        words.append("signature_unverified")
    whole = [document[part] for part in ("start", "end") if part in document]
    for reading in whole or ([] if "interim" in document else document["readings"]):
        words += reading["conditions"]
    document["conditions"] = list(dict.fromkeys(words))
    if signature_words := [word for word in words if word.startswith("signature")]:
        for reading in document.get("interim", ()):
            reading["conditions"] = signature_words + reading["conditions"]


def _object(section: bytes, name: str) -> Document:
    found = parse_json(section, len(section))
    if not isinstance(found, dict):
        raise DecodeError("unparseable", f"the {name} section is no JSON object")
    return found


def _offered(envelope: Mapping[str, Any] | None, place: tuple[str | int | Select, ...]) -> str:
    """The key that the envelope passes on, or an empty text."""
    value: Any = envelope
    for part in place:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


# -- the head ----------------------------------------------------------------------------------

_GROUPS: Final = (
    ("gateway", (("GI", "id"), ("GS", "serial"), ("GV", "version"))),
    ("meter", (("MV", "vendor"), ("MM", "model"), ("MS", "serial"), ("MF", "firmware"))),
    ("charge_point", (("CT", "type"), ("CI", "id"))),
    ("user", (("IS", "identified"), ("IL", "level"), ("IT", "type"))),
)
_TOP: Final = (("FV", "version"), ("TT", "tariff"), ("CF", "controller"))


def _head(fields: Document, deviations: list[str]) -> Document:
    """Everything above the readings; what is empty is absent."""
    document: Document = {}
    for key, name in _TOP:
        _put(fields, key, document, name, deviations)
    for group, keys in _GROUPS:
        found: Document = {}
        for key, name in keys:
            _put(fields, key, found, name, deviations)
        if found or group in {"gateway", "meter"}:
            document[group] = found
    if "serial" not in document["meter"]:
        deviations.append("MS: the meter's serial number is mandatory (table 3)")
    page = fields.get("PG")
    matched = _PAGE.fullmatch(page) if isinstance(page, str) else None
    if matched is None:
        deviations.append("PG: a letter T or F and a number (table 2)")
    else:
        document["context"], document["page"] = matched[1], int(matched[2])
    return document


def _put(fields: Document, key: str, into: Document, name: str, deviations: list[str]) -> None:
    value = fields.get(key)
    if value is None or value == "":
        return
    if isinstance(value, bool) != (key == "IS") or not isinstance(value, str | int | float):
        raise DecodeError("wrong_type", f"{key} is no plain text: {str(value)[:60]!r}")
    if key != "IS" and not isinstance(value, str):
        deviations.append(f"{key}: a text, got the number {value}")
        value = str(value)
    into[name] = value


# -- the readings ------------------------------------------------------------------------------


def _readings(fields: Document, document: Document, deviations: list[str]) -> None:
    """All readings, and those of the register of imported energy by their part."""
    listed = fields.get("RD")
    if not isinstance(listed, list) or not listed:
        raise DecodeError("missing_field", "the payload has no readings (RD, OCMF table 7)")
    if len(listed) > MAX_READINGS:
        raise DecodeError("too_large", f"{len(listed)} readings, at most {MAX_READINGS}")
    inherited: Document = {}
    spoiled = False
    readings = document["readings"] = []
    for index, said in enumerate(listed):
        if not isinstance(said, dict):
            raise DecodeError("unparseable", f"RD[{index}] is no object")
        # Table 7: what is equal to the reading before is left out.
        inherited = {key: inherited[key] for key in _INHERITED if key in inherited}
        inherited |= {key: value for key, value in said.items() if value is not None}
        reading = _reading(inherited, index, deviations)
        flags = reading.get("errors", "")
        spoiled = spoiled or (reading.get("type") == "X" and flags != "t")
        reading["usable"] = (
            "value" in reading
            and not spoiled
            and "E" not in flags
            and reading.get("status") in _READABLE
        )
        reading["conditions"] = _reading_conditions(reading)
        readings.append(reading)
    if any(reading.get("status", "G") != "G" for reading in readings):
        document["fault"] = True
    document["time"] = readings[-1]["time"]
    _parts(document, [r for r in readings if r.pop("imported")])


def _reading(said: Document, index: int, deviations: list[str]) -> Document:
    """One reading with what it inherits; ``imported`` is whether it is of imported energy."""
    time, clock = _time(said.get("TM"), index)
    reading: Document = {"time": time}
    if clock is None:
        deviations.append(f"RD[{index}].TM: no state of the clock (table 19)")
    else:
        reading["clock"] = clock
    _texts(said, reading, index)
    for key, name in _NUMBERS:
        if said.get(key) is not None:
            reading[name] = _number(said[key], f"RD[{index}].{key}")
    if "status" not in reading:
        deviations.append(f"RD[{index}].ST: the state of the meter is mandatory (table 7)")
    if "value" in reading and "unit" not in reading:
        deviations.append(f"RD[{index}].RU: a value without its unit (table 7)")
    extensions = {key: value for key, value in said.items() if key.startswith(_EXTENSIONS)}
    if extensions:
        reading["extensions"] = extensions
    imported, register = _register(reading.get("obis", ""))
    reading["imported"] = imported and reading.get("unit") in _ENERGY_UNITS and "value" in reading
    if reading["imported"]:
        reading["register"] = register
    return reading


def _reading_conditions(reading: Document) -> list[str]:
    """The status words of a reading by its state, its clock and whether it can be used."""
    found = [_CONDITIONS[reading["status"]]] if reading.get("status") in _CONDITIONS else []
    if not found and "value" in reading and not reading["usable"]:
        found.append("sensor_fault")
    if reading.get("clock") == "unsynchronised":
        found.append("clock_fault")
    return found


def _texts(said: Document, reading: Document, index: int) -> None:
    for key, (name, known) in _TEXTS.items():
        value = said.get(key)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise DecodeError("wrong_type", f"RD[{index}].{key} is no text: {str(value)[:60]!r}")
        if known and value not in known:
            allowed = " ".join(sorted(known))
            raise DecodeError(
                "unknown_word", f"RD[{index}].{key} is one of {allowed}, got {value[:60]!r}"
            )
        reading[name] = value


def _time(value: object, index: int) -> tuple[str, str | None]:
    """The time as RFC 3339, and the state of the clock (table 19)."""
    if value is None:
        raise DecodeError("missing_field", f"RD[{index}] has no time (TM, OCMF table 7)")
    matched = _TIME.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        raise DecodeError(
            "bad_time",
            f"RD[{index}].TM is a time as 2026-07-24T13:22:04,000+0200 S, got {str(value)[:60]!r}",
        )
    moment, fraction, hours, minutes, clock = matched.groups()
    return f"{moment}.{fraction}{hours}:{minutes}", _CLOCKS[clock] if clock else None


def _number(value: object, where: str) -> float:
    """A number, or a text of one that may be filled up with blanks."""
    if isinstance(value, str) and (matched := _NUMBER.fullmatch(value)) is not None:
        return float(matched[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError("wrong_type", f"{where} is no number: {str(value)[:60]!r}")
    if not -1e15 < value < 1e15:
        raise DecodeError("absurd_number", f"{where} is no number that an instrument shows")
    return value


def _register(obis: str) -> tuple[bool, str]:
    """Whether an OBIS code, or none, may be imported energy, and which sort of register it is.

    Both notations are sent: ``1-0:1.8.0`` and, in hexadecimal, ``01-00:01.08.00.FF``.  A maker's
    own code in group C is taken for import: the readings of a charging record are what is billed.
    """
    matched = _OBIS.fullmatch(obis)
    if matched is None:
        return not obis, "total"
    quantity, processing = matched[1].upper(), matched[2]
    imported = processing.lstrip("0") == "8" and quantity not in _EXPORTS and int(quantity, 16) > 0
    return imported, "transaction" if quantity in _TRANSACTIONAL else "total"


def _parts(document: Document, energies: list[Document]) -> None:
    """``start``, ``end``, ``interim`` and ``energy`` of the main register of imported energy."""
    if not energies:
        return
    start = next((r for r in energies if r.get("type") == _BEGINS), None)
    ends = [r for r in energies if r.get("type") in _ENDS]
    main = start or (ends or energies)[0]
    register = _same_register(main)
    end = next((r for r in reversed(ends) if register(r)), None)
    if start is not None:
        document["start"] = start
    if end is not None:
        document["end"] = end
    if start is not None or end is not None:
        document["register"] = main["register"]
        document["time"] = (end or start or main)["time"]
    interim = [r for r in energies if register(r) and r is not start and r is not end]
    if interim:
        document["interim"] = interim
    if start is not None and end is not None and start["usable"] and end["usable"]:
        first, last = (_watt_hours(r) for r in (start, end))
        scale = 1000 if end["unit"] == "kWh" else 1
        document["energy"] = {"value": float((last - first) / scale), "unit": end["unit"]}


def _same_register(main: Document) -> Callable[[Document], bool]:
    """Whether a reading is of the same register, however its OBIS code is written."""
    wanted = _canonical(main.get("obis", ""))
    return lambda reading: _canonical(reading.get("obis", "")) == wanted


@lru_cache(maxsize=256)
def _canonical(obis: str) -> str:
    return re.sub(r"\b0+(?=[0-9A-Za-z])", "", obis).upper()


def _watt_hours(reading: Document) -> Decimal:
    value = Decimal(repr(reading["value"]))
    return value * 1000 if reading["unit"] == "kWh" else value
