"""Codes of taximeters."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import ACCURACY, FORMULA, JJG517, LATE, TAXI, CheckInfo

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
            **FORMULA,
            "inputs": "the quantities it was computed from",
        },
        kinds=("taximeter",),
        doc="The fare is outside what the tariff in force allows for the trip. Critical where the "
        "passenger pays more, major where less.",
    ),
    CheckInfo(
        code="trip_overlap",
        en="Trips overlap",
        zh="行程时间重叠",
        severity="major",
        basis={"": f"JJG 517-2016; {ACCURACY}"},
        tolerance="1 s: the step of the clock that is shown",
        evidence={
            **FORMULA,
            "inputs": "beginning and end of both, the number and the ledger offset of the other",
            **LATE,
        },
        kinds=("taximeter",),
        doc="A trip began before another of the same taximeter had ended.",
    ),
    CheckInfo(
        code="distance_mismatch",
        en="Distance differs from the track",
        zh="计程与轨迹不符",
        severity="major",
        basis={"": f"{JJG517}; JJG(京)177-2025 (distance judged by the track)"},
        tolerance="track: 10 % of it, at least 0.15 km, and one step; pulses: 0.2 % (MID MI-007), "
        "one step and one pulse",
        evidence={
            "difference": "observed minus expected",
            **FORMULA,
            "inputs": "the quantities it was computed from",
            **LATE,
        },
        kinds=TAXI,
        doc="The distance of a trip is far from the length of its track, or is not that of its "
        "pulses. Against the track major where the passenger pays more, else minor; against the "
        "pulses critical and major.",
    ),
    CheckInfo(
        code="waiting_time_mismatch",
        en="Waiting time cannot be",
        zh="低速等候时间不合理",
        severity="major",
        basis={"": JJG517},
        tolerance="two steps of the times as shown",
        evidence={
            "difference": "seconds that are missing",
            "formula": "what must hold",
            "inputs": "the quantities and parameters it was computed from",
            **LATE,
        },
        kinds=TAXI,
        doc="The waiting time of a trip is longer than the trip, or leaves no time to drive its "
        "distance. Critical where it is longer than the trip, else major.",
    ),
    CheckInfo(
        code="impossible_speed",
        en="Speed cannot be",
        zh="车速不合理",
        severity="minor",
        basis={"": JJG517},
        tolerance="trips: two steps of the times and one of the distance; positions: 0.1 km",
        evidence={
            **FORMULA,
            "inputs": "the quantities, positions and parameters it was computed from",
            **LATE,
        },
        kinds=TAXI,
        doc="A trip's mean or highest speed, or the step from one position to the next, cannot "
        "have been driven. A position that jumps and comes back is no finding.",
    ),
    CheckInfo(
        code="distance_factor_shift",
        en="Pulses per km shifted",
        zh="里程常数偏移",
        severity="critical",
        basis={"": f"{JJG517}; JJG(京)177-2025 (distance judged by the track)"},
        tolerance="track: +2 % and wear, -4 %, at least 6 standard errors; pulses: 0.2 % and two "
        "steps of the odometer",
        evidence={
            "difference": "observed minus expected",
            "against": "history: the taxi's own median before; limits: what a verified instrument "
            "may show; k_constant: the constant of the registry",
            **FORMULA,
            "inputs": "the ratios of the trips, or odometer and pulses at both ends",
            "detectable": "the share that could have been seen",
            "count": "trips or stretches so far",
        },
        kinds=TAXI,
        doc="Over many trips the meter counts more or less than before against its track, or it "
        "counts with another constant than the registry has; one flag while it lasts.",
    ),
)
