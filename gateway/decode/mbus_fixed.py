"""The fixed data structure of old M-Bus meters (EN 1434-3; CI 73, or 77 with high bytes first).

``id(4) access status units(2) counter 1(4) counter 2(4)``: two counters without names, which the
medium and their units tell.  The two top bits of both unit bytes are the medium.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from gateway.decode.mbus_records import Records
from gateway.errors import DecodeError

SIZE: Final = 16

_MEDIA: Final = (
    "other", "oil", "electricity", "gas", "heat", "steam", "warm_water", "water",
    "heat_cost_allocator", "unknown", "gas", "heat", "warm_water", "water", "heat_cost_allocator",
    "unknown",
)  # fmt: skip
_BINARY: Final = 0x01
_HISTORIC: Final = 0x02
_FAULTS: Final = 0x1C
_SAME_AS_FIRST: Final = 0x3E

_JOULE: Final = Fraction(1, 3_600_000)
_UNITS: Final[dict[int, tuple[str, str, Fraction]]] = {
    **{0x02 + i: ("energy", "kWh", Fraction(10) ** (i - 3)) for i in range(9)},
    **{0x0B + i: ("energy", "kWh", Fraction(10) ** (i + 3) * _JOULE) for i in range(9)},
    **{0x14 + i: ("power", "kW", Fraction(10) ** (i - 3)) for i in range(9)},
    **{0x1D + i: ("power", "kW", Fraction(10) ** (i + 3) * _JOULE) for i in range(9)},
    **{0x26 + i: ("volume", "m3", Fraction(10) ** (i - 6)) for i in range(9)},
    **{0x2F + i: ("flow_rate", "m3/h", Fraction(10) ** (i - 6)) for i in range(9)},
    0x38: ("temperature", "Cel", Fraction(1, 1000)),
    0x39: ("hca", "", Fraction(1)),
    0x3F: ("number", "", Fraction(1)),
}


def read_fixed(body: bytes, *, swapped: bool) -> tuple[dict[str, Any], Records]:
    """Who the meter is, and its two counters as records.

    Bits 0 and 1 of the status byte say how the counters are to be read, the others are as in
    EN 13757-7: 2 power low, 3 permanent and 4 temporary error.  The second counter of a unit 3E is
    the first at a due date, its name ``volume_s1``; of two with one name the second is
    ``volume_2``.

    Raises:
        DecodeError: ``unparseable``.
    """
    if len(body) != 1 + SIZE:
        raise DecodeError(
            "unparseable",
            f"CI {body[0]:02X}H: the fixed structure has {SIZE} bytes, got {len(body) - 1}",
        )
    step = -1 if swapped else 1
    identity, access, status = body[1:5][::-step], body[5], body[6]
    units = body[7], body[8]
    document: dict[str, Any] = {
        "id": identity.hex().upper(),
        "medium": _MEDIA[units[0] >> 6 | units[1] >> 6 << 2],
        "access": access,
        "status": status & _FAULTS,
    }
    records = Records()
    stored = int(bool(status & _HISTORIC))
    for i, unit in enumerate(units):
        raw = body[9 + 4 * i : 13 + 4 * i][::step]
        code, storage = unit & 0x3F, stored
        if i and code == _SAME_AS_FIRST:
            code, storage = units[0] & 0x3F, 1
        quantity, symbol, factor = _UNITS.get(code, (f"unit_{code:02x}", "", Fraction(1)))
        name = f"{quantity}_s{storage}" if storage else quantity
        record: dict[str, Any] = {
            "name": name,
            "dif": "",
            "vif": f"{unit & 0x3F:02x}",
            "quantity": quantity,
            "unit": symbol,
            "function": "instantaneous",
            "storage": storage,
            "tariff": 0,
            "subunit": 0,
        }
        records.add(name, _number(raw, factor, binary=bool(status & _BINARY)), record)
    return document, records


def _number(raw: bytes, factor: Fraction, *, binary: bool) -> float | None:
    if binary:
        count = int.from_bytes(raw, "little", signed=True)
    else:
        digits = raw[::-1].hex()
        if not digits.isdecimal():
            return None
        count = int(digits)
    if factor.denominator == 1:
        return count * factor.numerator
    return count * factor.numerator / factor.denominator
