"""What the fields of unknown messages may be: by their names, their values, and how they grow.

Guesses, for a person to confirm: ``gateway profile new`` writes each with what it rests on.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.quantities import BY_NAME
from gateway.units import UnitError, conversion

# Words of field names (lower case, after splitting) by what they mean. First come the sure ones.
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "energy_import": (
        "energyimport", "import", "imp", "ep", "kwh", "wh", "energy", "active", "eng", "total",
        "zxygz", "posenergy", "consumed", "aenergy", "ea",
    ),
    "energy_export": ("energyexport", "export", "exp", "en", "returned", "reverse", "produced"),
    "energy_reactive_import": ("kvarh", "varh", "reactive", "eq"),
    "power_active": ("power", "kw", "watt", "watts", "w", "p", "pa", "pwr", "activepower"),
    "power_reactive": ("kvar", "var", "q", "reactivepower"),
    "power_apparent": ("kva", "va", "s", "apparent", "apparentpower"),
    "power_factor": ("pf", "factor", "cosphi", "powerfactor"),
    "voltage": ("voltage", "volt", "volts", "u", "v", "ua", "ub", "uc"),
    "amperage": ("amperage", "current", "amp", "amps", "i", "a", "ia", "ib", "ic"),
    "frequency": ("frequency", "freq", "hz", "f"),
    "battery_voltage": ("battery", "bat", "batt", "vbat", "batteryvoltage"),
    "demand_max": ("demand", "md", "maxdemand"),
    "volume": ("volume", "vol", "total", "m3", "litres", "liters", "litre", "liter", "l",
               "consumption", "reading", "index", "meter", "accumulated", "ml", "cumulative"),
    "volume_reverse": ("reverse", "backflow", "reversevolume", "neg"),
    "volume_base": ("base", "standard", "corrected", "vb", "normal", "nm3"),
    "flow_rate": ("flow", "flowrate", "q", "rate", "lph", "m3h"),
    "temperature": ("temperature", "temp", "t", "celsius"),
    "pressure": ("pressure", "press", "p", "bar", "kpa"),
    "conversion_factor": ("conversion", "factor", "k"),
    "valve": ("valve",),
    "energy": ("energy", "kwh", "wh", "heat", "charged", "gj", "mwh"),
    "power": ("power", "kw", "w", "p"),
    "flow_temperature": ("flowtemperature", "flowtemp", "supply", "tf", "t1", "forward", "inlet"),
    "return_temperature": ("returntemperature", "returntemp", "return", "tr", "t2", "outlet"),
    "temperature_difference": ("difference", "delta", "dt", "diff"),
    "unit_price": ("price", "unitprice", "ppu"),
    "amount": ("amount", "cost", "sum", "money", "paid", "total", "amt"),
    "product": ("product", "grade", "fuel", "oil"),
    "totaliser_volume": ("totaliser", "totalizer", "totalvolume", "totals", "tot"),
    "totaliser_amount": ("totalamount",),
    "density": ("density",),
    "pulses": ("pulses", "pulse", "counts"),
    "distance": ("distance", "km", "dist", "mileage"),
    "waiting_time": ("waiting", "wait"),
    "fare": ("fare",),
    "surcharge": ("surcharge", "extra"),
    "speed": ("speed",),
    "longitude": ("longitude", "lon", "lng"),
    "latitude": ("latitude", "lat"),
    "occupied": ("occupied", "hired"),
    "energy_start": ("energystart", "meterstart", "startenergy"),
    "energy_end": ("energyend", "meterstop", "meterend", "endenergy"),
    "service_fee": ("service", "fee"),
    "state_of_charge": ("soc", "charge"),
    "started_at": ("start", "started", "begin", "starttime"),
    "ended_at": ("end", "ended", "stop", "endtime"),
    "tank_volume": ("tank", "tankvolume"),
    "water_height": ("water", "waterheight"),
}  # fmt: skip
_KIND_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "fuel_dispenser": ("pump", "nozzle", "fuel", "dispenser", "forecourt", "petrol", "gasoline"),
    "taximeter": ("taxi", "trip", "fare", "cab"),
    "electricity_meter": ("electricity", "elec", "power", "energy", "kwh", "voltage", "volt"),
    "water_meter": ("water", "aqua", "leak", "wm"),
    "gas_meter": ("gas",),
    "heat_meter": ("heat", "thermal", "cooling"),
    "ev_charger": ("evse", "charger", "charging", "connector", "ocpp", "wallbox", "session"),
}
_UNIT_WORDS: Final[dict[str, str]] = {
    "kwh": "kWh", "wh": "Wh", "mwh": "MWh", "kvarh": "kvar.h", "varh": "var.h", "kw": "kW",
    "w": "W", "watt": "W", "watts": "W", "kvar": "kvar", "var": "var", "kva": "kVA", "va": "VA",
    "v": "V", "mv": "mV", "volt": "V", "volts": "V", "a": "A", "ma": "mA", "amp": "A", "amps": "A",
    "hz": "Hz", "m3": "m3", "l": "L", "litre": "L", "litres": "L", "liter": "L", "liters": "L",
    "ml": "mL", "lph": "L/h", "m3h": "m3/h", "celsius": "Cel", "degc": "Cel",
    "kpa": "kPa", "bar": "bar", "mbar": "mbar", "km": "km", "gj": "GJ", "mj": "MJ", "kmh": "km/h",
}  # fmt: skip
_TIME_WORDS: Final = ("ts", "time", "timestamp", "date", "datetime", "at", "t", "when", "utc")
_SEQUENCE_WORDS: Final = ("seq", "sequence", "no", "number", "n", "cnt", "counter", "msgid", "idx")
_ID_WORDS: Final = ("device", "deviceid", "id", "serial", "sn", "meter", "meterid", "imei", "addr")
_PHASES: Final = {"1": "L1", "2": "L2", "3": "L3", "a": "L1", "b": "L2", "c": "L3",
                  "l1": "L1", "l2": "L2", "l3": "L3"}  # fmt: skip
_SPLIT: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_PATTERNS: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S",
    "%Y%m%d%H%M%S", "%y%m%d%H%M%S",
)  # fmt: skip


@dataclass
class Field:
    """One place of the messages: its path, and its values in the order they came."""

    path: tuple[str | int, ...]
    values: list[Any] = field(default_factory=list)
    devices: int = 1

    @property
    def words(self) -> list[str]:
        """The words of its own name, lower case; also all of them as one."""
        return words_of(str(self.path[-1]))

    @property
    def numbers(self) -> list[float]:
        """The values as numbers, where they are."""
        found = []
        for value in self.values:
            number = number_of(value)
            if number is not None:
                found.append(number)
        return found

    @property
    def numeric(self) -> bool:
        """Whether every value is a number, or a text that is one."""
        return bool(self.values) and len(self.numbers) == len(self.values)

    @property
    def text(self) -> bool:
        """Whether the numbers come as text."""
        return self.numeric and any(isinstance(value, str) for value in self.values)

    @property
    def grows(self) -> bool:
        """Whether it only grows; from one device's messages to the next it may fall."""
        steps = [b - a for a, b in itertools.pairwise(self.numbers)]
        falls = sum(step < 0 for step in steps)
        return sum(step > 0 for step in steps) >= max(1, falls) and falls < self.devices


def words_of(name: str) -> list[str]:
    """``totalEnergy_kWh`` as ``total``, ``energy``, ``kwh``, and the whole as one word."""
    name = name.replace("kWh", "_kwh_").replace("kVArh", "_kvarh_").replace("m3/h", "_m3h_")
    split = [word.lower() for word in _SPLIT.findall(name)]
    joined: list[str] = []
    for word in split:  # m and 3 are one word, as are l and 1
        if joined and word.isdigit() and joined[-1] in {"m", "l", "t", "e", "u", "i"}:
            joined[-1] += word
        else:
            joined.append(word)
    return [*joined, "".join(joined)]


def number_of(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    """A value as a number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", value.strip()):
        return None
    return float(value)


def fields_of(documents: Iterable[Any], devices: int = 1) -> list[Field]:
    """Every plain place of the documents, arrays of plain values by position.

    The documents of one device stand together; ``devices`` says of how many there are.
    """
    found: dict[tuple[str | int, ...], Field] = {}
    for document in documents:
        _enter(document, (), found)
    for each in found.values():
        each.devices = devices
    return list(found.values())


def _enter(
    value: Any,  # noqa: ANN401 - any JSON value
    path: tuple[str | int, ...],
    found: dict[tuple[str | int, ...], Field],
) -> None:
    if len(path) > 8:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _enter(inner, (*path, str(key)), found)
    elif isinstance(value, list):
        for number, inner in enumerate(value[:8]):
            _enter(inner, (*path, number), found)
    elif path and value is not None:
        found.setdefault(path, Field(path)).values.append(value)


def array_of_readings(documents: Sequence[Any]) -> tuple[str, ...] | None:
    """The path of an array whose items are objects with numbers: each may be a reading."""
    best: tuple[int, tuple[str, ...]] | None = None
    for document in documents:
        for path, items in _arrays(document, ()):
            objects = [item for item in items if isinstance(item, Mapping)]
            numbers = [v for item in objects for v in item.values() if number_of(v) is not None]
            if objects and len(objects) == len(items) and len(numbers) >= 2 * len(objects):
                score = (len(numbers), path)
                best = max(best or score, score)
    return best[1] if best else None


def _arrays(value: Any, path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], list[Any]]]:  # noqa: ANN401
    if isinstance(value, list) and value:
        yield path or ("$",), value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _arrays(inner, (*path, str(key)))


def kind_of(fields: Sequence[Field], topics: Iterable[str]) -> tuple[str, str]:
    """The likeliest kind, and what the guess rests on."""
    words = {word for topic in topics for level in topic.split("/") for word in words_of(level)}
    words |= {word for each in fields for part in each.path for word in words_of(str(part))}
    scores = {kind: 3 * len(words & set(known)) for kind, known in _KIND_WORDS.items()}
    for kind in scores:
        named = {quantity_of(each, kind)[0] for each in fields if each.numeric} - {None}
        scores[kind] += len(named)
    best = max(scores, key=lambda kind: scores[kind])
    hints = sorted(words & set(_KIND_WORDS[best]))
    return best, f"words {', '.join(hints)}" if hints else f"{scores[best]} fields fit"


def quantity_of(each: Field, kind: str) -> tuple[str | None, int]:
    """The quantity of the kind whose words fit a field best, and how well (0: not at all)."""
    words = each.words
    if phase_of(each) is not None:
        words = [*(word[:-1] for word in words[:-1] if word[-1] in "abc123"), *words]
    above = words_of(str(each.path[-2])) if len(each.path) > 1 else []
    best: tuple[str | None, int] = (None, 0)
    for name in BY_NAME[kind]:
        score = 0
        if words[-1] == name.replace("_", ""):
            score = 100
        for rank, word in enumerate(_WORDS.get(name, ())):
            if word in words:
                score = max(score, 60 - rank + (20 if word == words[-1] else 0))
            elif word in above and len(word) > 1:
                score = max(score, 25 - rank)
        if score > best[1]:
            best = name, score
    return best


def phase_of(each: Field) -> str | None:
    """The phase that the end of a name tells: ``u1``, ``voltage_a``, ``l2``."""
    words = each.words[:-1]
    last = words[-1] if words else ""
    if isinstance(each.path[-1], int):
        return None
    if last in _PHASES and len(words) > 1:
        return _PHASES[last]
    match = re.fullmatch(r"[a-z]+?([abc123])", last)
    if match and last in {"ua", "ub", "uc", "ia", "ib", "ic", "pa", "pb", "pc", "u1", "u2", "u3",
                          "i1", "i2", "i3", "p1", "p2", "p3", "v1", "v2", "v3"}:  # fmt: skip
        return _PHASES[match[1]]
    return None


def unit_of(each: Field, canonical: str, range_hint: float) -> tuple[str, bool]:
    """The unit a field's name tells, and whether it does; else the likeliest one."""
    words = each.words[:-1]
    for word in reversed(words):
        unit = _UNIT_WORDS.get(word)
        sure = len(word) > 1 or (len(words) > 1 and word == words[-1])
        if unit is not None and sure and _converts(unit, canonical):
            return unit, True
    return _by_size(canonical, range_hint), False


def _converts(unit: str, canonical: str) -> bool:
    try:
        conversion(unit, canonical)
    except UnitError:
        return False
    return True


def _by_size(canonical: str, size: float) -> str:
    """W rather than kW where the numbers are in the thousands, and the like."""
    smaller = {"kW": ("W", 200), "kWh": ("Wh", 1e7), "m3": ("L", 1e6), "m3/h": ("L/h", 100),
               "V": ("mV", 1000), "kPa": ("Pa", 1e4)}  # fmt: skip
    unit, limit = smaller.get(canonical, (canonical, float("inf")))
    return unit if size > limit else canonical


def time_form(each: Field) -> str | None:
    """The form of time that all values have; None where they have none."""
    values = each.values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        for form, low, high in (
            ("epoch_s", 1.2e9, 4.1e9), ("epoch_ms", 1.2e12, 4.1e12),
            ("epoch_us", 1.2e15, 4.1e15), ("epoch_ns", 1.2e18, 4.1e18),
        ):  # fmt: skip
            if all(low < value < high for value in values):
                return form
        return None
    if not all(isinstance(value, str) for value in values):
        return None
    if all(_is_iso(value) for value in values):
        return "iso"
    for pattern in _PATTERNS:
        if all(_fits(value, pattern) for value in values):
            return pattern
    return None


def _is_iso(value: str) -> bool:
    if not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", value):
        return False
    return not isinstance(_parsed(value), Exception)


def _parsed(value: str) -> dt.datetime | ValueError:
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError as error:
        return error


def _fits(value: str, pattern: str) -> bool:
    try:
        found = dt.datetime.strptime(value, pattern).replace(tzinfo=dt.UTC)
    except ValueError:
        return False
    return 2000 < found.year < 2100


def is_time(each: Field) -> bool:
    """Whether name and values say that it is the instrument's time."""
    return bool(set(each.words) & set(_TIME_WORDS)) and time_form(each) is not None


def is_sequence(each: Field) -> bool:
    """Whether it numbers the messages: whole numbers, growing by one."""
    numbers = each.numbers
    whole = each.numeric and not each.text and all(n == int(n) and n >= 0 for n in numbers)
    if not whole or not set(each.words) & set(_SEQUENCE_WORDS):
        return False
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    return not steps or steps.count(1) * 2 >= len(steps)


def is_identity(each: Field) -> bool:
    """Whether its name says that it identifies the device."""
    return bool(set(each.words) & set(_ID_WORDS)) and all(
        isinstance(value, str | int) and not isinstance(value, bool) for value in each.values
    )
