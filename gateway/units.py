"""Units: UCUM codes to one exact conversion, resolved when a profile is compiled.

At run time a conversion is one multiplication or one division by a whole number: ``W`` to ``kW`` is
``x / 1000``, which is correctly rounded where ``x * 0.001`` is not, so a register keeps its digits.
"""

from __future__ import annotations

import difflib
import math
import re
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from ucumvert import PintUcumRegistry

# The trade writes kWh, varh and VA; UCUM knows only the products of its atoms.
_TRADE: Final = re.compile(
    r"(?<![A-Za-z])(?P<prefix>[kMG]?)(?P<unit>Wh|var\.?h|VAh|var|VA)(?![a-z])"
)
_ATOMS: Final = {
    "Wh": "W.h", "varh": "V.A.h", "var.h": "V.A.h", "VAh": "V.A.h", "var": "V.A", "VA": "V.A",
}  # fmt: skip
_KNOWN: Final = (
    "kWh", "Wh", "MWh", "J", "kJ", "MJ", "GJ", "W", "kW", "MW", "VA", "kVA", "var", "kvar", "Mvar",
    "varh", "kvarh", "var.h", "kvar.h", "V", "mV", "kV", "A", "mA", "kA", "Hz", "L", "mL", "m3",
    "dm3", "L/h", "L/min", "m3/h", "m3/s", "L/s", "Cel", "[degF]", "K", "Pa", "kPa", "MPa", "hPa",
    "bar", "mbar", "[psi]", "km", "m", "[mi_i]", "km/h", "m/s", "[mi_i]/h", "s", "ms", "min", "h",
    "kg/m3", "g/cm3", "kg/L", "%", "1", "deg", "rad", "mm", "cm", "1/km", "1/m", "1/L", "1/m3",
    "[gal_us]",
)  # fmt: skip
_MISTAKES: Final = {
    "°c": "Cel", "℃": "Cel", "degc": "Cel", "c": "Cel", "celsius": "Cel", "°f": "[degF]",
    "degf": "[degF]", "f": "[degF]", "°": "deg", "degree": "deg", "degrees": "deg", "nm3": "m3",
    "cbm": "m3", "sm3": "m3", "liter": "L", "litre": "L", "hr": "h", "hour": "h", "sec": "s",
    "mi": "[mi_i]", "mile": "[mi_i]", "mph": "[mi_i]/h", "kph": "km/h", "psi": "[psi]",
    "gal": "[gal_us]", "lpm": "L/min", "volt": "V", "amp": "A", "watt": "W", "percent": "%",
}  # fmt: skip
# Linear units that differ by a factor known exactly; what is not here is pint's to say.
_LINEAR: Final = re.compile(
    r"(?!m(?:Wh|var|VA))(?P<prefix>[mkMG]?)"
    r"(?P<atom>Wh|var\.?h|VAh|var|VA|W|V|A|Hz|J|Pa|bar|m|L)|(?P<whole>\[mi_i\]|d?m3|(?:L|m3)/(?:h|min|s)"
    r"|\[gal_us\]|\[ft_i\]3|W\.s|hPa|s|min|h)"
)
_PREFIXES: Final = {
    "": Fraction(1), "m": Fraction(1, 1000), "k": Fraction(10**3), "M": Fraction(10**6),
    "G": Fraction(10**9),
}  # fmt: skip
_SIZES: Final = {
    "[mi_i]": ("m", Fraction("1609.344")), "Wh": ("J", Fraction(3600)),
    "bar": ("Pa", Fraction(10**5)), "m3": ("L", Fraction(1000)), "dm3": ("L", Fraction(1)),
    "L/h": ("L/h", Fraction(1)), "L/min": ("L/h", Fraction(60)), "L/s": ("L/h", Fraction(3600)),
    "m3/h": ("L/h", Fraction(1000)), "m3/min": ("L/h", Fraction(60_000)),
    "m3/s": ("L/h", Fraction(3_600_000)), "[gal_us]": ("L", Fraction("3.785411784")),
    "[ft_i]3": ("L", Fraction("28.316846592")), "W.s": ("J", Fraction(1)),
    "hPa": ("Pa", Fraction(100)),
    "s": ("s", Fraction(1)), "min": ("s", Fraction(60)), "h": ("s", Fraction(3600)),
}  # fmt: skip
_KELVIN: Final = Fraction("-273.15")
"""Where 0 K lies on the scale of Celsius."""
_LITRES: Final = re.compile(r"m?L(/|$)")
_PLAIN_LETTERS: Final = str.maketrans({"³": "3", "²": "2", "·": ".", "^": None, " ": None})
_FOLDED: Final = {code.lower(): code for code in reversed(_KNOWN)} | _MISTAKES
_ANGLE: Final = re.compile(r"(?<![A-Za-z\[])(?:deg|rad|gon)(?![A-Za-z])")
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")


class UnitError(ValueError):
    """A unit is unknown or measures something else; the message names the choices."""


class Conversion(NamedTuple):
    """``canonical = raw * numerator / denominator + offset``, all exact."""

    numerator: int
    denominator: int
    offset: Fraction

    @property
    def identity(self) -> bool:
        """Whether values pass unchanged."""
        return self.numerator == self.denominator and not self.offset

    def apply(self, value: float) -> float:
        """Converts one value; the compiled normaliser does the same arithmetic inline."""
        if self.numerator != 1:
            value *= self.numerator
        if self.denominator != 1:
            value /= self.denominator
        return value + float(self.offset) if self.offset else value


_IDENTITY: Final = Conversion(1, 1, Fraction(0))


@cache
def _registry() -> PintUcumRegistry:
    # Half a second to load: only when some profile uses a unit that is not canonical.
    from ucumvert import PintUcumRegistry  # noqa: PLC0415

    return PintUcumRegistry()


def _ucum(code: str) -> str:
    bare = _ANNOTATION.sub("", code)
    return _TRADE.sub(lambda m: m["prefix"] + _ATOMS[m["unit"]], bare) or "1"


def _sort(code: str) -> str:
    """What the dimension does not tell apart and must not be mixed.

    Active, reactive and apparent power share a dimension; so do an angle and a pure number.
    """
    if _ANGLE.search(code):
        return "angle"
    match = _TRADE.search(code)
    if match is None:
        return "VA" if "V.A" in code or "A.V" in code else ""
    return match["unit"].replace(".", "").removesuffix("h") if "W" not in code else ""


@cache
def conversion(unit: str, canonical: str, scale: str = "1") -> Conversion:
    """How a value in ``unit`` (times ``scale``) becomes one in ``canonical``.

    A canonical ``K`` is a difference of temperatures: ``Cel`` passes to it unchanged.

    Args:
        unit: UCUM code as the profile writes it; trade forms such as ``kWh`` are understood.
        canonical: the quantity's unit in :mod:`gateway.quantities`; ``CUR...`` takes only itself.
        scale: decimal text of a factor that the raw number needs first (``0.01`` for cents).

    Raises:
        UnitError: the unit is unknown, or measures another quantity.
    """
    factor = Fraction(scale)
    if unit == canonical:
        return Conversion(factor.numerator, factor.denominator, Fraction(0))
    if canonical.startswith("CUR"):
        raise UnitError(
            f"money takes the unit {canonical!r} (the currency is said once, by 'currency'); "
            f"got {unit!r}; for cents use 'scale: 0.01'"
        )
    if (unit, canonical) == ("K", "Cel"):
        return Conversion(factor.numerator, factor.denominator, _KELVIN)
    known = _factor(unit, canonical)
    if known is not None:
        factor *= known
        return Conversion(factor.numerator, factor.denominator, Fraction(0))
    zero, slope = _line(unit, canonical)
    offset = 0.0 if canonical == "K" else zero
    ratio = _exact(slope) * factor
    return Conversion(ratio.numerator, ratio.denominator, Fraction(offset).limit_denominator(10**6))


def plain_conversions(canonical: str, scale: str = "1") -> dict[str, Conversion]:
    """What a message may call its unit where a profile does not list the words.

    Args:
        canonical: the quantity's unit.
        scale: as in `conversion`.

    Returns:
        By UCUM code; a fixed set, so that no message can make this program load or keep more.
    """
    fitting = [code for code in _KNOWN if code == canonical or _factor(code, canonical) is not None]
    found = {code: conversion(code, canonical, scale) for code in fitting}
    # UCUM knows the litre by both letters, and SenML (RFC 8428) by the small one.
    found |= {code.replace("L", "l"): found[code] for code in fitting if _LITRES.match(code)}
    if canonical == "Cel":
        found["K"] = found["Cel"]._replace(offset=_KELVIN)
    return found


def _factor(unit: str, canonical: str) -> Fraction | None:
    """The factor between two plain units that measure the same; None asks pint.

    Pint takes half a second to load, and these are what nearly all profiles use.
    """
    (atom, size), (wanted, step) = _linear(unit), _linear(canonical)
    return size / step if atom and atom == wanted else None


def _linear(code: str) -> tuple[str, Fraction]:
    """A unit's atom and size in it; no atom where it is not a plain linear unit."""
    match = _LINEAR.fullmatch(code)
    if match is None:
        return "", Fraction(1)
    atom, prefix = (match["whole"], "") if match["whole"] else (match["atom"], match["prefix"])
    base, size = _SIZES.get(atom, (atom.replace(".", ""), Fraction(1)))
    return base, size * _PREFIXES[prefix]


def _line(unit: str, canonical: str) -> tuple[float, float]:
    """Where 0 of ``unit`` lies on the canonical scale, and how far 1 is from there."""
    source, target = _parsed(unit), _parsed(canonical)
    try:
        # Points fix the line, whether the scale has an offset (temperatures) or not; a third one
        # tells a logarithmic scale from a line.
        zero, one, two = (
            registry_value.to(target.units).magnitude / target.magnitude
            for registry_value in (
                _registry().Quantity(raw * source.magnitude, source.units) for raw in (0.0, 1, 2)
            )
        )
    except Exception as error:  # of another dimension, or only a slip that parses ("mph")
        raise UnitError(_unfit(unit, canonical)) from error
    slope = float(one - zero)
    if _sort(unit) != _sort(canonical) or abs(two - one - slope) > 1e-9 * abs(slope) or slope <= 0:
        raise UnitError(_unfit(unit, canonical))
    return float(zero), slope


def _parsed(code: str) -> Any:  # noqa: ANN401 - pint types are made at run time
    try:
        found = _registry().from_ucum(_ucum(code))
        found.magnitude, found.units  # noqa: B018 - a lone annotation gives neither
    except Exception as error:
        raise UnitError(f"{code!r} is not a UCUM unit{_meant(code)}") from error
    return found


def _meant(code: str) -> str:
    plain = code.translate(_PLAIN_LETTERS)
    near = _FOLDED.get(plain.lower()) or (plain if plain in _KNOWN else None)
    if near is None:
        near = next(iter(difflib.get_close_matches(code, _KNOWN, n=1, cutoff=0.5)), None)
    return f"; did you mean {near!r}?" if near else f"; for example {', '.join(_KNOWN[:8])}"


def _unfit(unit: str, canonical: str) -> str:
    known, target = [], _parsed(canonical)
    for code in _KNOWN:
        parsed = _parsed(code)
        if _sort(code) == _sort(canonical) and parsed.is_compatible_with(target):
            known.append(code)
    meant = _MISTAKES.get(unit.lower())
    hint = f"; did you mean {meant!r}?" if meant in known else f"; one of {', '.join(known)}"
    return f"{unit!r} does not measure what {canonical!r} does{hint}"


def _exact(ratio: float) -> Fraction:
    """The short fraction that a float of 15 good digits stands for, or just the float."""
    exact = Fraction(ratio)
    for candidate in (
        exact.limit_denominator(10**4),
        Fraction(f"{ratio:.12g}"),
        1 / Fraction(f"{1 / ratio:.12g}"),
        exact.limit_denominator(10**7),
    ):
        if abs(candidate / exact - 1) < Fraction(1, 10**13):
            return candidate
    return Fraction(repr(ratio))


_NUMBER: Final = re.compile(
    r"^\s*([-+]?\d{1,40}(?:\.\d{1,40})?(?:[eE][-+]?\d{1,4})?)\s*(\S*)\s*$", re.ASCII
)


def parse_value(text: str, canonical: str) -> float:
    """Reads ``"198 V"`` or ``"26.7"`` into the canonical unit.

    Raises:
        UnitError: not a number, or a unit that does not fit.
    """
    match = _NUMBER.match(text)
    if match is None:
        raise UnitError(f"expected a number and a unit such as '198 V', got {text!r}")
    number, unit = match.groups()
    value = conversion(unit or canonical, canonical).apply(float(number))
    if not math.isfinite(value):
        raise UnitError(f"{text!r} is too large a number")
    return value
