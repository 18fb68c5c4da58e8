"""The dimensions of data quality, which flag counts in which, and how counts become scores.

GB/T 36344-2018 has six terms: 规范性 conformity, 完整性 completeness, 准确性 accuracy, 一致性
consistency, 时效性 timeliness, 可访问性 accessibility.  The first five are scored here.
Accessibility is a property of the system, not of a device's data: every reading that is stored can
be asked for, and nothing else is scored.  Traceability (可追溯性) is a term of ISO/IEC 25012
(GB/T 25000.12), and in legal metrology the link from a reading to a valid certificate.
"""

from __future__ import annotations

from typing import Final

import msgspec

DIMENSIONS: Final = (
    "completeness", "accuracy", "consistency", "timeliness", "conformity", "traceability",
)  # fmt: skip

ACCURACY: Final = frozenset(
    (
        "value_out_of_range", "register_spike", "register_stuck", "amount_mismatch",
        "price_mismatch", "flow_rate_out_of_range", "fare_mismatch", "distance_mismatch",
        "waiting_time_mismatch", "impossible_speed", "session_energy_mismatch",
        "conversion_mismatch", "heat_balance_mismatch", "power_energy_mismatch", "device_fault",
    )
)  # fmt: skip
CONSISTENCY: Final = frozenset(
    (
        "conflicting_duplicate", "register_decrease", "tariff_sum_mismatch", "identity_clash",
        "trip_overlap", "session_overlap", "totaliser_mismatch",
    )
)  # fmt: skip
TRACEABILITY: Final = frozenset(("signature_invalid", "firmware_changed", "constant_changed"))
LASTING: Final = frozenset(
    (
        "value_out_of_range", "device_fault", "register_stuck", "price_mismatch",
        "heat_balance_mismatch", "conversion_mismatch", "tariff_sum_mismatch", "identity_clash",
        "constant_changed", "firmware_changed",
    )
)  # fmt: skip
"""Codes of conditions: one that is open, with a count, stands until it has ended."""
GAPS: Final = "sequence_gap"

OF_CODE: Final[dict[str, str]] = {
    **dict.fromkeys(ACCURACY, "accuracy"),
    **dict.fromkeys(CONSISTENCY, "consistency"),
    **dict.fromkeys(TRACEABILITY, "traceability"),
    GAPS: "completeness",
}
"""The flags that count, by code.

All others tell something of the instrument, its user or its surroundings by data that are right (a
leak, a voltage beyond its limits, a drop of consumption), or are counted by the readings themselves
(late and early ones, those without a valid certificate, silence).
"""


class Counts(msgspec.Struct):
    """What is counted of a device and a day, or of many; all of it can be added up.

    Everything is in readings but ``devices``, ``quarantined`` and ``missing_numbers`` (messages).
    A message that is missing or in quarantine counts for as many readings as the messages of its
    device have that day.  ``assessed`` are the readings of devices of which it is known how many
    should have come, ``traced`` those that a registry could be asked about.
    """

    devices: int = 0
    readings: int = 0
    assessed: int = 0
    missing: int = 0
    missing_numbers: int = 0
    inaccurate: int = 0
    out_of_range: int = 0
    inconsistent: int = 0
    duplicates: int = 0
    late: int = 0
    early: int = 0
    quarantined: int = 0
    quarantined_readings: int = 0
    traced: int = 0
    registered: int = 0
    verified: int = 0
    raw: int = 0
    valid: int = 0
    questionable: int = 0
    estimated: int = 0
    derived: int = 0

    @property
    def expected(self) -> int:
        """How many readings should have come, of the devices of which that is known."""
        return self.assessed + self.missing

    def add(self, other: Counts) -> None:
        """Adds other counts to these."""
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_NAMES: Final = Counts.__struct_fields__


class Scores(msgspec.Struct, frozen=True):
    """Shares from 0 to 1, None where nothing was there to be judged; ``overall`` from 0 to 100.

    ``overall`` is the mean of those that are there, each weighing the same, times 100.
    """

    completeness: float | None
    accuracy: float | None
    consistency: float | None
    timeliness: float | None
    conformity: float | None
    traceability: float | None
    overall: float | None


def scores(counts: Counts) -> Scores:
    """The scores of counts; the formulas of README.md."""
    readings = counts.readings
    shares = (
        _share(counts.assessed, counts.expected),
        _share(readings - counts.inaccurate, readings),
        _share(readings - counts.inconsistent, readings),
        _share(readings - counts.late - counts.early, readings),
        _share(readings, readings + counts.quarantined_readings),
        _share(counts.verified, counts.traced),
    )
    known = [share for share in shares if share is not None]
    return Scores(*shares, 100 * sum(known) / len(known) if known else None)


def _share(part: int, whole: int) -> float | None:
    return max(0, part) / whole if whole > 0 else None


def formula(dimension: str, counts: Counts) -> str:
    """What a share was computed from, with its numbers."""
    c = counts
    return {
        "completeness": f"{c.assessed:,} / {c.expected:,}",
        "accuracy": f"({c.readings:,} - {c.inaccurate:,}) / {c.readings:,}",
        "consistency": f"({c.readings:,} - {c.inconsistent:,}) / {c.readings:,}",
        "timeliness": f"({c.readings:,} - {c.late:,} - {c.early:,}) / {c.readings:,}",
        "conformity": f"{c.readings:,} / ({c.readings:,} + {c.quarantined_readings:,})",
        "traceability": f"{c.verified:,} / {c.traced:,}",
    }[dimension]
