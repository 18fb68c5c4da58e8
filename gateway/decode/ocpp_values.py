"""Meter values of OCPP: sampled values of 1.6 and 2.0.1 to samples in fixed units, and signed data.

Units by measurand: energy Wh, varh, VAh; power W, var, VA; ``Current`` A, ``Voltage`` V,
``Frequency`` Hz, ``Temperature`` Cel, ``SoC`` %.  A value without a unit is in the unit of its
measurand (OCPP 1.6, 7.44: Wh for energy).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gateway.decode.document import Context, Document
from gateway.decode.json import parse_json
from gateway.decode.ocmf import MAX_BYTES as MAX_RECORD
from gateway.decode.ocmf import read_record
from gateway.errors import DecodeError

MAX_SAMPLES: Final = 10_000
ENERGY: Final = "Energy.Active.Import.Register"
"""The measurand of a sampled value that names none."""

QUANTITIES: Final = frozenset(
    {ENERGY, "Power.Active.Import", "Voltage", "Current.Import", "SoC"}
)  # fmt: skip
"""What a charger's readings are made of; a sample of other measurands alone is set aside."""

_TENS: Final = {"": 0, "k": 3}
_UNITS: Final[dict[str, dict[str, int]]] = {
    family: {prefix + unit: power for prefix, power in _TENS.items()}
    for family, unit in (
        ("Energy.Active", "Wh"), ("Energy.Reactive", "varh"), ("Energy.Apparent", "VAh"),
        ("Power.Active", "W"), ("Power.Offered", "W"), ("Power.Reactive", "var"),
        ("Power.Apparent", "VA"), ("Power.Import", "W"), ("Power.Export", "W"),
        ("Current", "A"), ("Voltage", "V"), ("Frequency", "Hz"),
    )
} | {"SoC": {"Percent": 0, "%": 0}}  # fmt: skip
"""Powers of ten of the units of each family of measurands."""
_TEMPERATURES: Final = {
    "Celsius": (Decimal(0), Decimal(1)),
    "Celcius": (Decimal(0), Decimal(1)),  # so written in OCPP 1.6
    "K": (Decimal("-273.15"), Decimal(1)),
    "Fahrenheit": (Decimal(-32), Decimal(5) / Decimal(9)),
}
_NUMBER: Final = re.compile(r" *([+-]?\d{1,24}(?:\.\d{0,24})?) *", re.ASCII)
_PHASES: Final = {"L1-N": "L1", "L2-N": "L2", "L3-N": "L3"}
_APART: Final = frozenset({"Inlet", "EV"})
"""Locations with a meter of their own: the grid's side, and the vehicle's own word."""
_MAX_POWER: Final = 12

Units = Mapping[str, str]


class Signed(NamedTuple):
    """A signed value as the message has it: the record, the key that came along, its context."""

    record: bytes
    key: str
    context: str
    encoding: str


class Element:
    """One item of ``meterValue``: a moment, its samples by phase and context, its signed values."""

    def __init__(self, time: str, channel: str | None) -> None:
        self.time = time
        self.channel = channel
        self.samples: list[Document] = []
        self.signed: list[Signed] = []
        self._groups: dict[tuple[str, ...], Document] = {}

    def put(self, said: Mapping[str, Any], units: Units, where: str) -> None:
        """Takes one sampled value."""
        context = _text(said, "context", where) or "Sample.Periodic"
        if _take_signed(self, said, context, where):
            return
        measurand = _text(said, "measurand", where) or ENERGY
        value = _value(said, measurand, units, where)
        if value is None:
            return
        phase = _text(said, "phase", where)
        phase = _PHASES.get(phase, phase)
        location = _text(said, "location", where)
        if location not in _APART or measurand == "SoC":
            location = ""
        sample = self._group(phase, location, context)
        if measurand in sample["values"]:
            # The same of another place has a channel of its own.
            sample = self._group(phase, _text(said, "location", where), context)
            if measurand in sample["values"]:
                raise DecodeError(
                    "duplicate_key", f"{where}: {measurand} comes twice in one place and phase"
                )
        sample["values"][measurand] = value

    def _group(self, phase: str, location: str, context: str) -> Document:
        key = (phase, location, context)
        sample = self._groups.get(key)
        if sample is None:
            sample = {"time": self.time, "context": context, "values": {}, "conditions": []}
            parts = [part for part in (self.channel, phase, location) if part]
            if parts:
                sample["channel"] = "-".join(parts)
            if phase:
                sample["phase"] = phase
            self._groups[key] = sample
            self.samples.append(sample)
        return sample

    def close(self) -> None:
        """Sets aside what is no reading of this moment."""
        now = {
            (sample.get("channel"), measurand)
            for sample in self.samples
            if sample["context"] != "Transaction.Begin"
            for measurand in sample["values"]
        }
        for sample in self.samples:
            values = sample["values"]
            if sample["context"] == "Transaction.Begin" and any(
                (sample.get("channel"), measurand) in now for measurand in values
            ):
                # Beside the value of now the one of the begin is told again, with the time of now.
                sample["aside"] = "retold"
            elif QUANTITIES.isdisjoint(values):
                sample["aside"] = "other"


def read_meter_values(listed: object, channel: str | None, units: Units) -> list[Element]:
    """The items of a ``meterValue`` or ``transactionData``.

    Raises:
        DecodeError: ``wrong_type``, ``missing_field``, ``unknown_word`` (a unit that is not of its
            measurand), ``duplicate_key``, ``absurd_number`` or ``too_large``.
    """
    if listed is None:
        return []
    elements = []
    count = 0
    for i, item in enumerate(_list(listed, "meterValue")):
        where = f"meterValue[{i}]"
        said = _object(item, where)
        time = _text(said, "timestamp", where)
        if not time:
            raise DecodeError("missing_field", f"{where} has no timestamp")
        element = Element(time, channel)
        sampled = _list(said.get("sampledValue"), f"{where}.sampledValue")
        count += len(sampled)
        if count > MAX_SAMPLES:
            raise DecodeError("too_large", f"more than {MAX_SAMPLES} sampled values")
        for k, value in enumerate(sampled):
            place = f"{where}.sampledValue[{k}]"
            element.put(_object(value, place), units, place)
        element.close()
        elements.append(element)
    return elements


def read_signed(signed: Signed, context: Context) -> Document:
    """The OCMF document of a signed value; of others only that they cannot be judged."""
    try:
        document = _read_signed(signed, context)
    except DecodeError as error:
        # The rest of the message is what a charger without signed data sends, and is kept.
        reason = f"{error.reason}: {error.detail}"
        document = {
            "signature": {"verdict": "unverifiable", "reason": reason[:400]},
            "conditions": ["signature_unverified"],
        }
    document["context"] = signed.context
    return document


def _read_signed(signed: Signed, context: Context) -> Document:
    if signed.encoding not in {"", "OCMF"} and not signed.record.startswith(b"OCMF|"):
        raise DecodeError("unparseable", f"signed data of {signed.encoding[:40]!r}; OCMF is read")
    if len(signed.record) > MAX_RECORD:
        raise DecodeError("too_large", f"a record of {len(signed.record)} bytes")
    return read_record(signed.record, signed.key, context)


# -- one sampled value -------------------------------------------------------------------------


def _value(said: Mapping[str, Any], measurand: str, units: Units, where: str) -> float | None:
    """A number in the measurand's unit; None where there is none."""
    raw = said.get("value")
    if raw is None or raw == "":
        return None
    number = _decimal(raw, where)
    unit, power = _text(said, "unit", where), 0
    measure = said.get("unitOfMeasure")
    if measure is not None:
        measure = _object(measure, f"{where}.unitOfMeasure")
        unit = _text(measure, "unit", where)
        power = measure.get("multiplier") or 0
        if isinstance(power, bool) or not isinstance(power, int) or abs(power) > _MAX_POWER:
            raise DecodeError("wrong_type", f"{where}: multiplier {str(power)[:40]!r}")
    unit = units.get(measurand, unit)
    if measurand == "Temperature":
        return _temperature(number.scaleb(power), unit, where)
    known = _known_units(measurand)
    if known is not None and unit:
        if unit not in known:
            allowed = ", ".join(known)
            raise DecodeError(
                "unknown_word",
                f"{where}: {measurand} has unit {unit[:40]!r}, one of {allowed}; "
                "'decode.units' of the profile can say another where the charger is wrong",
            )
        power += known[unit]
    return float(number.scaleb(power)) if power else float(number)


def _known_units(measurand: str) -> dict[str, int] | None:
    parts = measurand.split(".")
    for family in (".".join(parts[:2]), parts[0]):
        if family in _UNITS:
            return _UNITS[family]
    return None


def _temperature(number: Decimal, unit: str, where: str) -> float:
    if unit and unit not in _TEMPERATURES:
        raise DecodeError("unknown_word", f"{where}: Temperature has unit {unit[:40]!r}")
    offset, factor = _TEMPERATURES[unit or "Celsius"]
    return float((number + offset) * factor)


def _decimal(raw: object, where: str) -> Decimal:
    if isinstance(raw, str) and (matched := _NUMBER.fullmatch(raw)) is not None:
        return Decimal(matched[1])
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise DecodeError("wrong_type", f"{where}: value {str(raw)[:60]!r} is no number")
    if not -1e15 < raw < 1e15:
        raise DecodeError("absurd_number", f"{where}: no number that an instrument shows")
    return Decimal(repr(raw))


def _take_signed(element: Element, said: Mapping[str, Any], context: str, where: str) -> bool:
    """Takes the signed value, if there is one; True where there is no other."""
    value = said.get("value")
    inside = said.get("signedMeterValue")
    if inside is not None:  # 2.0.1: beside the number
        element.signed.append(_signed_object(_object(inside, where), context, where))
        return value is None
    if said.get("format") != "SignedData":
        return False
    # 1.6: instead of the number.  As hexadecimal digits (OCMF), as the object of 2.0.1 written as
    # text (OCA, Signed Meter Values in OCPP), or as it is.
    if not isinstance(value, str):
        raise DecodeError("wrong_type", f"{where}: signed data is no text")
    text = value.strip()
    if text.startswith("{"):
        inner = parse_json(text.encode("utf-8", "surrogatepass"))
        element.signed.append(_signed_object(_object(inner, where), context, where))
    else:
        element.signed.append(Signed(_record(text), "", context, ""))
    return True


def _signed_object(said: Mapping[str, Any], context: str, where: str) -> Signed:
    """SignedMeterValueType; some name its data as the field around it."""
    data = _text(said, "signedMeterData", where) or _text(said, "signedMeterValue", where)
    key, encoding = _text(said, "publicKey", where), _text(said, "encodingMethod", where)
    return Signed(_record(data), key, context, encoding)


def _record(text: str) -> bytes:
    """The record's bytes: as they are, from hexadecimal digits or from base64."""
    if text.startswith("OCMF|"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "surrogatepass")


# -- types -------------------------------------------------------------------------------------


def _text(said: Mapping[str, Any], key: str, where: str) -> str:
    """A text, empty where it is absent."""
    value = said.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DecodeError("wrong_type", f"{where}.{key} is no text: {str(value)[:60]!r}")
    return value


def _object(value: object, where: str) -> Document:
    if not isinstance(value, dict):
        raise DecodeError("wrong_type", f"{where} is no object: {str(value)[:60]!r}")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError("wrong_type", f"{where} is no array: {str(value)[:60]!r}")
    return value
