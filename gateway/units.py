"""Units: UCUM codes to one exact conversion, resolved when a profile is compiled.

At run time a conversion is one multiplication or one division by a whole number: ``W`` to ``kW`` is
``x / 1000``, which is correctly rounded where ``x * 0.001`` is not, so a register keeps its digits.
"""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

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
    "kWh", "Wh", "MWh", "J", "kJ", "MJ", "GJ", "W", "kW", "MW", "VA", "kVA", "var", "kvar",
    "var.h", "kvar.h", "V", "mV", "kV", "A", "mA", "Hz", "L", "mL", "m3", "dm3", "L/h", "L/min",
    "m3/h", "m3/s", "L/s", "Cel", "[degF]", "K", "Pa", "kPa", "hPa", "bar", "mbar", "km", "m",
    "[mi_i]", "km/h", "m/s", "[mi_i]/h", "s", "min", "h", "kg/m3", "g/cm3", "%", "1", "deg", "mm",
    "cm", "1/km", "1/L", "1/m3",
)  # fmt: skip


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
    return _TRADE.sub(lambda m: m["prefix"] + _ATOMS[m["unit"]], code)


def _power_sort(code: str) -> str:
    """Active, reactive and apparent power share a dimension and must not be mixed."""
    match = _TRADE.search(code)
    return match["unit"].replace(".", "").removesuffix("h") if match and "W" not in code else ""


@cache
def conversion(unit: str, canonical: str, scale: str = "1") -> Conversion:
    """How a value in ``unit`` (times ``scale``) becomes one in ``canonical``.

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
    if _power_sort(unit) != _power_sort(canonical):
        raise UnitError(f"{unit!r} does not measure what {canonical!r} does")
    from pint import DimensionalityError  # noqa: PLC0415

    registry = _registry()
    quantities = []
    for code in (unit, canonical):
        try:
            quantities.append(registry.from_ucum(_ucum(code)))
        except Exception as error:
            near = difflib.get_close_matches(code, _KNOWN, n=1, cutoff=0.5)
            choices = ", ".join(_KNOWN[:8])
            hint = f"; did you mean {near[0]!r}?" if near else f"; for example {choices}"
            raise UnitError(f"{code!r} is not a UCUM unit{hint}") from error
    source, target = quantities
    try:
        # Two points fix the line, whether the scale has an offset (temperatures) or not.
        zero, one = (
            registry.Quantity(raw * source.magnitude, source.units).to(target.units).magnitude
            / target.magnitude
            for raw in (0.0, 1.0)
        )
    except DimensionalityError as error:
        raise UnitError(f"{unit!r} does not measure what {canonical!r} does") from error
    ratio = Fraction(one - zero).limit_denominator(10**9) * factor
    return Conversion(ratio.numerator, ratio.denominator, Fraction(zero).limit_denominator(10**6))


_NUMBER: Final = re.compile(r"^\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(\S*)\s*$")


def parse_value(text: str, canonical: str) -> float:
    """Reads ``"198 V"`` or ``"26.7"`` into the canonical unit.

    Raises:
        UnitError: not a number, or a unit that does not fit.
    """
    match = _NUMBER.match(text)
    if match is None:
        raise UnitError(f"expected a number and a unit such as '198 V', got {text!r}")
    number, unit = match.groups()
    return conversion(unit or canonical, canonical).apply(float(number))
