"""What is said of a flag code, and the clauses and kinds that several codes share."""

from __future__ import annotations

from typing import Final

import msgspec


class CheckInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of one flag code, whatever the device.

    ``kinds`` is empty where the code applies to all.  ``basis`` is the clause by kind, ``""`` for
    the kinds not named.  ``evidence`` explains the keys beyond observed, expected, tolerance, unit.
    ``doc`` says in one paragraph what is judged; ``README.md`` has the whole of it.
    """

    code: str
    en: str
    zh: str
    severity: str
    basis: dict[str, str]
    tolerance: str = ""
    evidence: dict[str, str] = {}
    kinds: tuple[str, ...] = ()
    doc: str = ""

    @property
    def title(self) -> dict[str, str]:
        """The title as exported."""
        return {"en": self.en, "zh": self.zh}

    def applies_to(self, kind: str) -> bool:
        """Whether devices of this kind can have this flag."""
        return not self.kinds or kind in self.kinds

    def basis_for(self, kind: str) -> str:
        """The clause for a kind of device."""
        return self.basis.get(kind) or self.basis[""]


FORMULA: Final = {"formula": "what was computed"}
LATE: Final = {
    "judged_late": "whether it came after the readings that followed it were judged",
}
NEVER_LATE: Final = {"judged_late": "always false: a late reading is left out"}
"""Keys of the evidence that many codes have."""
ACCURACY: Final = (
    "计量法 (2018) art. 16 and 26; 计量法实施细则 art. 46 "
    "(broken accuracy, short measure, false data)"
)
VERIFIED: Final = "计量法 art. 9 and 25; 计量法实施细则 art. 43 (not verified, expired)"
STATION: Final = "加油站计量监督管理办法 (duties of the operator: truthful indication)"
RECORD: Final = "OIML D 31 and WELMEC 7.2 extensions L and T (stored and sent measurement data)"

FUEL: Final = ("fuel_dispenser",)
TAXI: Final = ("taximeter",)
POWER: Final = ("electricity_meter",)
FLOW: Final = ("water_meter", "gas_meter", "heat_meter")
EV: Final = ("ev_charger",)
SUPPLY: Final = (*POWER, *FLOW)
METERS: Final = (*SUPPLY, *EV)
PIPES: Final = ("water_meter", "gas_meter")
JJG443: Final = f"JJG 443-2023; {ACCURACY}; {STATION}"
JJG517: Final = f"JJG 517-2016; {ACCURACY}"
WATER: Final = "JJG 162-2019, GB/T 778"
