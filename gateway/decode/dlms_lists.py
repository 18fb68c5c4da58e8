"""Tables for DLMS messages: units, and lists whose meaning only a maker's description tells.

Sources: the codes of units of IEC 62056-6-2, table "enumerated values for physical units"; the
description of Kaifa's lists for the Norwegian customer port (KFM_001) and of Kamstrup's
(Kamstrup_V0001), as published for the port's developers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

UNITS: Final[dict[int, str]] = {
    1: "a", 2: "mo", 3: "wk", 4: "d", 5: "h", 6: "min", 7: "s", 8: "deg", 9: "Cel", 11: "m",
    12: "m/s", 13: "m3", 14: "m3", 15: "m3/h", 16: "m3/h", 17: "m3/d", 18: "m3/d", 19: "L",
    20: "kg", 21: "N", 22: "N.m", 23: "Pa", 24: "bar", 25: "J", 26: "J/h", 27: "W", 28: "VA",
    29: "var", 30: "Wh", 31: "VAh", 32: "var.h", 33: "A", 34: "C", 35: "V", 36: "V/m", 37: "F",
    38: "Ohm", 39: "Ohm.m", 40: "Wb", 41: "T", 42: "A/m", 43: "H", 44: "Hz", 45: "1/Wh",
    46: "1/var.h", 47: "1/VAh", 48: "V2.h", 49: "A2.h", 50: "kg/s", 51: "S", 52: "K",
    53: "1/(V2.h)", 54: "1/(A2.h)", 55: "1/m3", 56: "%", 57: "A.h", 60: "Wh/m3", 61: "J/m3",
    62: "%", 63: "g/m3", 64: "Pa.s", 65: "J/kg", 66: "g/cm2", 67: "atm", 72: "dB",
}  # fmt: skip
"""UCUM code (or the trade's form of it) of a COSEM unit; 10 is money, 255 a pure number."""


class Scale(NamedTuple):
    """What a value must be multiplied by, as an exponent of ten, and its unit then."""

    exponent: int
    unit: str


_TEXT: Final = Scale(0, "")

KAMSTRUP: Final[dict[tuple[int, int], Scale]] = {
    **{(c, 7): Scale(0, "W") for c in (1, 2, 21, 22, 41, 42, 61, 62)},
    **{(c, 7): Scale(0, "var") for c in (3, 4)},
    **{(c, 7): Scale(-2, "A") for c in (31, 51, 71)},
    **{(c, 7): Scale(0, "V") for c in (32, 52, 72)},
    **{(c, 7): Scale(-2, "") for c in (13, 33, 53, 73)},
    **{(c, 8): Scale(1, "Wh") for c in (1, 2, 21, 22, 41, 42, 61, 62)},
    **{(c, 8): Scale(1, "var.h") for c in (3, 4)},
}
"""Scale by groups C and D: energies are sent in tens of Wh, currents in hundredths of A."""

_NAMES: Final = (("1-1:0.2.129", _TEXT), ("0-0:96.1.0", _TEXT), ("0-0:96.1.7", _TEXT))
_POWERS: Final = (
    ("1-0:1.7.0", Scale(0, "W")), ("1-0:2.7.0", Scale(0, "W")),
    ("1-0:3.7.0", Scale(0, "var")), ("1-0:4.7.0", Scale(0, "var")),
)  # fmt: skip
_ONE_PHASE: Final = (("1-0:31.7.0", Scale(-3, "A")), ("1-0:32.7.0", Scale(-1, "V")))
_THREE_PHASES: Final = (
    *((f"1-0:{c}.7.0", Scale(-3, "A")) for c in (31, 51, 71)),
    *((f"1-0:{c}.7.0", Scale(-1, "V")) for c in (32, 52, 72)),
)
_HOURLY: Final = (
    ("0-0:1.0.0", _TEXT), ("1-0:1.8.0", Scale(0, "Wh")), ("1-0:2.8.0", Scale(0, "Wh")),
    ("1-0:3.8.0", Scale(0, "var.h")), ("1-0:4.8.0", Scale(0, "var.h")),
)  # fmt: skip

KAIFA: Final[dict[int, tuple[tuple[str, Scale], ...]]] = {
    1: _POWERS[:1],
    9: (*_NAMES, *_POWERS, *_ONE_PHASE),
    13: (*_NAMES, *_POWERS, *_THREE_PHASES),
    14: (*_NAMES, *_POWERS, *_ONE_PHASE, *_HOURLY),
    18: (*_NAMES, *_POWERS, *_THREE_PHASES, *_HOURLY),
}
"""Lists 1, 2 and 3 by how many values they have: OBIS code and scale in their order."""
