r"""Quantities of the Digital SI (D-SI, schemas 1.3 to 2.2) in calibration certificates.

A number, or a list of them, with a unit in the notation of the D-SI (``\litre\hour\tothe{-1}``)
and where stated the expanded uncertainty.  Units come out as UCUM codes, as everywhere here; one
that has none stays as it is written.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.xml_tree import Element

SPACE: Final = "https://ptb.de/si"
MAX_VALUES: Final = 1_000

_TOKEN: Final = re.compile(r"\\([A-Za-z]+)(?:\{([+-]?\d{1,3})\})?")
_PREFIXES: Final = {
    "deca": "da", "hecto": "h", "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "peta": "P",
    "deci": "d", "centi": "c", "milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f",
}  # fmt: skip
_UNITS: Final = {
    "one": "1", "percent": "%", "ppm": "[ppm]", "metre": "m", "gram": "g", "second": "s",
    "ampere": "A", "kelvin": "K", "mole": "mol", "candela": "cd", "radian": "rad",
    "steradian": "sr", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W",
    "coulomb": "C", "volt": "V", "farad": "F", "ohm": "Ohm", "siemens": "S", "weber": "Wb",
    "tesla": "T", "henry": "H", "degreecelsius": "Cel", "lumen": "lm", "lux": "lx", "minute": "min",
    "hour": "h", "day": "d", "degree": "deg", "arcminute": "'", "arcsecond": "''", "litre": "L",
    "liter": "L", "tonne": "t", "bar": "bar", "mmhg": "mm[Hg]", "electronvolt": "eV",
    "bit": "bit", "byte": "By",
}  # fmt: skip
_OURS: Final = {"kW.h": "kWh", "W.h": "Wh", "MW.h": "MWh"}

# Names by schema: 1.3 and 2.1 say expandedUnc, 2.2 says measurementUncertaintyUnivariate.
_EXPANDED: Final = frozenset((
    "uncertainty", "uncertaintyXMLList", "valueExpandedMU", "valueExpandedMUXMLList",
))  # fmt: skip
_STANDARD: Final = frozenset(("valueStandardMU", "valueStandardMUXMLList"))
_FACTOR: Final = frozenset(("coverageFactor", "coverageFactorXMLList"))


class Amount(msgspec.Struct, frozen=True):
    """One value with its unit; ``uncertainty`` is the expanded one, of ``coverage_factor``."""

    value: float
    unit: str
    uncertainty: float | None = None
    coverage_factor: float | None = None

    def as_json(self) -> dict[str, float | str]:
        """As a certificate keeps it: nothing absent."""
        told = msgspec.structs.asdict(self)
        return {key: value for key, value in told.items() if value is not None}


def amounts(quantity: Element) -> list[Amount]:
    """The values of a quantity of a certificate; none of a text or of complex numbers.

    Of a hybrid, which says the same in several units, the first is taken.

    Raises:
        ValueError: which value is none.
    """
    for child in quantity.children:
        if child.space == SPACE:
            return _amounts(child)
    return []


def _amounts(element: Element) -> list[Amount]:
    match element.name:
        case "hybrid":
            return _amounts(element.children[0]) if element.children else []
        case "real" | "constant":
            return [_one(element, "")]
        case "realListXMLList":
            return _list(element)
        case "realList":
            return _many(element, element.value("listUnit") or "")
        case "list":
            return [one for each in element.all("realList") for one in _amounts(each)][:MAX_VALUES]
        case _:
            return []


def _many(element: Element, unit: str) -> list[Amount]:
    reals = list(element.all("real"))
    _count(len(reals))
    uncertainty, factor = _uncertainties(element.first("listUnivariateUnc"))
    shared = Amount(0.0, "", _nth(uncertainty, 0), _nth(factor, 0))
    found = []
    for real in reals:
        one = _one(real, unit)
        if one.uncertainty is None:
            one = msgspec.structs.replace(
                one, uncertainty=shared.uncertainty, coverage_factor=shared.coverage_factor
            )
        found.append(one)
    return found


def _one(element: Element, unit: str) -> Amount:
    (value,) = _numbers(element.value("value") or "", 1)
    uncertainty, factor = _uncertainties(element)
    return Amount(value, ucum(element.value("unit") or unit), _nth(uncertainty, 0), _nth(factor, 0))


def _list(element: Element) -> list[Amount]:
    values = _numbers(element.value("valueXMLList") or "")
    units = [ucum(unit) for unit in (element.value("unitXMLList") or "").split()]
    if len(units) not in (1, len(values)):
        raise ValueError(f"{len(values)} values and {len(units)} units; one unit, or one a value")
    uncertainties, factors = _uncertainties(element)
    return [
        Amount(value, units[i if len(units) > 1 else 0], _nth(uncertainties, i), _nth(factors, i))
        for i, value in enumerate(values)
    ]


def _uncertainties(element: Element | None) -> tuple[list[float], list[float]]:
    """Expanded uncertainties and their coverage factors; a standard one has the factor 1."""
    if element is None:
        return [], []
    factors = _numbers(_text_of(element, _FACTOR))
    expanded = _numbers(_text_of(element, _EXPANDED))
    if expanded:
        return expanded, factors
    standard = _numbers(_text_of(element, _STANDARD))
    return standard, [1.0] if standard else []


def _text_of(element: Element, names: frozenset[str]) -> str:
    found: Iterator[str] = (
        each.text
        for child in element.children
        if child.name not in ("real", "value")
        for each in child.walk()
        if each.name in names
    )
    return next(found, "")


def _nth(values: list[float], index: int) -> float | None:
    """The value at a place; the only one, where it is said once for all."""
    if len(values) == 1:
        return values[0]
    return values[index] if index < len(values) else None


def _numbers(text: str, exactly: int | None = None) -> list[float]:
    words = text.split()
    _count(len(words))
    if exactly is not None and len(words) != exactly:
        raise ValueError(f"must be {exactly} number, got {text.strip()[:60]!r}")
    found = []
    for word in words:
        try:
            value = float(word)
        except ValueError:
            raise ValueError(f"{word[:60]!r} is no number") from None
        if not math.isfinite(value):
            raise ValueError(f"{word[:60]!r} is no finite number")
        found.append(value)
    return found


def _count(values: int) -> None:
    if values > MAX_VALUES:
        raise ValueError(f"{values} values, at most {MAX_VALUES} are read")


def ucum(unit: str) -> str:
    r"""The UCUM code of a unit of the D-SI: ``\metre\tothe{3}\hour\tothe{-1}`` is ``m3/h``.

    Raises:
        ValueError: there is none.
    """
    text = unit.strip()[:200]
    if not text:
        raise ValueError("the unit is missing")
    if _TOKEN.sub("", text):
        return text
    factors: list[tuple[str, int]] = []
    prefix, sign = "", 1
    for name, power in _TOKEN.findall(text):
        if name in _PREFIXES and not prefix:
            prefix = _PREFIXES[name]
        elif name == "per" and not prefix:
            sign = -1
        elif name == "tothe" and factors and power and not prefix:
            code, sense = factors.pop()
            factors.append((code, sense * int(power)))
        elif name in _UNITS or name == "kilogram":
            factors.append(("kg" if name == "kilogram" else prefix + _UNITS[name], sign))
            prefix, sign = "", 1
        else:
            return text
    if prefix or sign < 0:
        return text
    over = ".".join(_power(code, power) for code, power in factors if power > 0 and code != "1")
    under = [f"/{_power(code, -power)}" for code, power in factors if power < 0]
    return (_OURS.get(over, over) or "1") + "".join(under)


def _power(code: str, power: int) -> str:
    return code if power == 1 else f"{code}{power}"
