"""Codes of fuel dispensers (an amount is judged of EV chargers too)."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import (
    ACCURACY,
    EV,
    FORMULA,
    FUEL,
    JJG443,
    LATE,
    STATION,
    CheckInfo,
)

_TANK_TOLERANCE: Final = (
    "0.5 % of what was sold (GB/T 1885 at 20 Cel; meters +-0.3 %, JJG 443; "
    "evaporation 0.1 %) and five standard deviations of the gauge's noise (1.5 L a reading)"
)
_TANK_EVIDENCE: Final = {
    **FORMULA,
    "inputs": "litres sold, how often the gauge's noise entered, shares; or both gauge readings",
    "days": "over how many days (1, 3 or 7); 0 where it went at once",
    "count": "days of the condition so far",
}
CODES: Final = (
    CheckInfo(
        code="amount_mismatch",
        en="Amount does not follow from quantity and price",
        zh="金额与数量、单价不符",
        severity="critical",
        basis={
            "": ACCURACY,
            "fuel_dispenser": f"JJG 443 (payment-amount error); {ACCURACY}; {STATION}",
            "ev_charger": f"JJG 1148, JJG 1149 (payment-amount error); {ACCURACY}",
        },
        tolerance="the smallest payment variable: price of one scale interval of the quantity, "
        "rounded up to one interval of money (JJG 443)",
        evidence={
            "difference": "observed minus expected",
            **FORMULA,
            "inputs": "the quantities it was computed from",
        },
        kinds=("fuel_dispenser", "ev_charger"),
        doc="The shown amount differs from price times quantity (EV: or from the sum of its parts)."
        " Critical where the customer pays more, major where less.",
    ),
    CheckInfo(
        code="totaliser_mismatch",
        en="Totaliser differs from the sales",
        zh="泵码数与交易量不符",
        severity="critical",
        basis={"": JJG443},
        tolerance="0.03 L and 0.03 CNY: two steps of the totaliser (0.01) and the rounding of "
        "the sale",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            "excess_amount": "money that no sale explains",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        kinds=FUEL,
        doc="A nozzle's totaliser stepped by another volume or amount than was sold. One flag "
        "while it lasts.",
    ),
    CheckInfo(
        code="unbilled_delivery",
        en="Fuel delivered without a sale",
        zh="未计费出油",
        severity="major",
        basis={"": JJG443},
        tolerance="0.3 L: a smaller growth is a mismatch and no delivery",
        evidence={
            "difference": "observed minus expected: what no sale explains",
            "excess_amount": "money that no sale explains",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        kinds=FUEL,
        doc="A nozzle's totaliser grew by more than was sold, and no message number is missing "
        "that could be a lost sale.",
    ),
    CheckInfo(
        code="flow_rate_out_of_range",
        en="Flow outside the rated range",
        zh="流量超出范围",
        severity="minor",
        basis={"": JJG443},
        tolerance="10 % beyond the rated flow, and one step of the clock (1 s)",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        kinds=FUEL,
        doc="A delivery was faster than the rated maximum, or several in a row slower than the "
        "minimum.",
    ),
    CheckInfo(
        code="below_minimum_quantity",
        en="Sale below the minimum measured quantity",
        zh="低于最小被测量",
        severity="info",
        basis={"": JJG443},
        tolerance="none: MMQ is a limit of the instrument",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        kinds=FUEL,
        doc="A sale of less than the minimum measured quantity, for which the maximum "
        "permissible error does not hold.",
    ),
    CheckInfo(
        code="price_mismatch",
        en="Price is not the posted one",
        zh="单价与公示价不符",
        severity="major",
        basis={
            "": f"{STATION}; {ACCURACY}",
            "ev_charger": f"JJG 1148, JJG 1149 (price in force by time of use); {ACCURACY}",
        },
        tolerance="half a step of the posted price (0.005), and 15 min around a change of price",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        kinds=(*FUEL, *EV),
        doc="The price of a sale or a charge is not the one posted for its product and time. "
        "Major where the customer pays more, minor where less.",
    ),
    CheckInfo(
        code="delivery_factor_shift",
        en="Pulses per litre shifted",
        zh="脉冲当量偏移",
        severity="critical",
        basis={"": JJG443},
        tolerance="one sale: rounding of pulses and volume, 1 pulse and 0.05 %; many: 0.05 % "
        "and h = 17 sigma of a CUSUM (a false alarm in 160,000 device-days)",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            "shift": "observed / expected - 1",
            "statistic": "S of the CUSUM, or the pulses by which the one sale is off",
            "reference": "k of the CUSUM in sigma at this sale",
            "threshold": "h of the CUSUM, or the pulses that are allowed",
            "sales": "n: how many sales made the statistic",
            "chart": "which sales are summed",
            "visible": "share by which the constant must be off to be seen: in this one sale, "
            "or within 20",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        kinds=FUEL,
        doc="Pulses a litre are not those of the certificate, in one sale by arithmetic or in "
        "many by CUSUM. Critical where less was delivered than shown, major where more.",
    ),
    CheckInfo(
        code="wet_stock_surplus",
        en="Tank drops by less than was sold",
        zh="罐存下降少于销量 (短量)",
        severity="critical",
        basis={"": JJG443},
        tolerance=_TANK_TOLERANCE,
        evidence=_TANK_EVIDENCE,
        kinds=FUEL,
        doc="Over a day, three or seven, a tank dropped by less than its nozzles sold: short "
        "measure, whatever the pumps say of their pulses. One flag while it lasts.",
    ),
    CheckInfo(
        code="wet_stock_loss",
        en="Tank drops by more than was sold",
        zh="罐存下降多于销量",
        severity="major",
        basis={"": JJG443},
        tolerance=_TANK_TOLERANCE,
        evidence=_TANK_EVIDENCE,
        kinds=FUEL,
        doc="Over a day, three or seven, or at once between two gauge readings, a tank "
        "dropped by more than its nozzles sold: leak, theft, or sales that are not told.",
    ),
    CheckInfo(
        code="round_amount_shortfall",
        en="Short measure at round amounts",
        zh="整额加油短量",
        severity="critical",
        basis={"": JJG443},
        tolerance="0.05 % and three sigma of rounding; alpha 1e-6 by Fisher's exact test",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            "chance": "that so many of the short sales are round by accident",
            "alpha": "chance below which it is told",
            "visible": "share that must be missing for a sale to be short",
            **FORMULA,
            "inputs": "what it was computed from",
        },
        kinds=FUEL,
        doc="Sales of round amounts are short by their pulses, others are not.",
    ),
)
