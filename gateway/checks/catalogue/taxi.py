"""Codes of taximeters."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import ACCURACY, JJG517, TAXI, CheckInfo

CODES: Final = (
    CheckInfo(
        code="fare_mismatch",
        en="Fare does not follow from the tariff",
        zh="车费与运价标准不符",
        severity="critical",
        basis={"": f"JJG 517-2016 (fare); published tariff; {ACCURACY}"},
        tolerance="given by the tariff, with its reason",
        evidence={
            "difference": "observed minus the nearest fare that the tariff allows",
            "tariff": "the tariff judged by",
            "tariff_named": "the tariff that the reading names",
            "source": "where the tariff is published",
            "formula": "what was computed",
            "inputs": "the quantities it was computed from",
        },
        kinds=("taximeter",),
        doc="The fare is outside what the tariff in force allows for the trip. Critical where the "
        "passenger pays more, major where less.",
        implemented=True,
    ),
    CheckInfo(
        code="trip_overlap",
        en="Trips overlap",
        zh="行程时间重叠",
        severity="major",
        basis={"": f"JJG 517-2016; {ACCURACY}"},
        tolerance="1 s: the step of the clock that is shown",
        evidence={
            "formula": "what was computed",
            "inputs": "beginning and end of both, the number and the ledger offset of the other",
            "judged_late": "whether it came after the trips that followed it were judged",
        },
        kinds=("taximeter",),
        doc="A trip began before another of the same taximeter had ended.",
        implemented=True,
    ),
    CheckInfo(
        code="distance_mismatch",
        en="Distance differs from the track",
        zh="计程与轨迹不符",
        severity="major",
        basis={"": JJG517},
        kinds=TAXI,
    ),
    CheckInfo(
        code="waiting_time_mismatch",
        en="Waiting time cannot be",
        zh="低速等候时间不合理",
        severity="major",
        basis={"": JJG517},
        kinds=TAXI,
    ),
    CheckInfo(
        code="impossible_speed",
        en="Speed cannot be",
        zh="车速不合理",
        severity="minor",
        basis={"": JJG517},
        kinds=TAXI,
    ),
    CheckInfo(
        code="distance_factor_shift",
        en="Pulses per km shifted",
        zh="里程常数偏移",
        severity="critical",
        basis={"": JJG517},
        kinds=TAXI,
    ),
)
