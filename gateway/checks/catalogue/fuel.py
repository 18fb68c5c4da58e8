"""Codes of fuel dispensers (an amount is judged of EV chargers too)."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import ACCURACY, EV, FUEL, JJG443, STATION, CheckInfo

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
            "formula": "what was computed",
            "inputs": "the quantities it was computed from",
        },
        kinds=("fuel_dispenser", "ev_charger"),
        doc="The shown amount differs from price times quantity (EV: or from the sum of its parts)."
        " Critical where the customer pays more, major where less.",
        implemented=True,
    ),
    CheckInfo(
        code="totaliser_mismatch",
        en="Totaliser differs from the sales",
        zh="泵码数与交易量不符",
        severity="critical",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="unbilled_delivery",
        en="Fuel delivered without a sale",
        zh="未计费出油",
        severity="major",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="flow_rate_out_of_range",
        en="Flow outside the rated range",
        zh="流量超出范围",
        severity="minor",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="below_minimum_quantity",
        en="Sale below the minimum measured quantity",
        zh="低于最小被测量",
        severity="info",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="price_mismatch",
        en="Price is not the posted one",
        zh="单价与公示价不符",
        severity="major",
        basis={"": JJG443},
        kinds=(*FUEL, *EV),
    ),
    CheckInfo(
        code="delivery_factor_shift",
        en="Pulses per litre shifted",
        zh="脉冲当量偏移",
        severity="critical",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="wet_stock_surplus",
        en="Tank drops by less than was sold",
        zh="罐存下降少于销量 (短量)",
        severity="critical",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="wet_stock_loss",
        en="Tank drops by more than was sold",
        zh="罐存下降多于销量",
        severity="major",
        basis={"": JJG443},
        kinds=FUEL,
    ),
    CheckInfo(
        code="round_amount_shortfall",
        en="Short measure at round amounts",
        zh="整额加油短量",
        severity="critical",
        basis={"": JJG443},
        kinds=FUEL,
    ),
)
