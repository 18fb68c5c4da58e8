"""Codes of EV chargers."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import ACCURACY, EV, RECORD, CheckInfo

CODES: Final = (
    CheckInfo(
        code="session_overlap",
        en="Sessions overlap",
        zh="充电时段重叠",
        severity="major",
        basis={"": f"JJG 1148, JJG 1149; {ACCURACY}"},
        tolerance="1 s: the step of the clock that is shown",
        evidence={
            "formula": "what was computed",
            "inputs": "beginning and end of both, the number and the ledger offset of the other",
            "judged_late": "whether it came after the sessions that followed it were judged",
        },
        kinds=("ev_charger",),
        doc="A session began before another on the same connector had ended.",
        implemented=True,
    ),
    CheckInfo(
        code="session_energy_mismatch",
        en="Session energy differs from its registers",
        zh="充电量与表码差不符",
        severity="critical",
        basis={"": f"JJG 1148, JJG 1149; {ACCURACY}"},
        kinds=EV,
    ),
    CheckInfo(
        code="signature_invalid",
        en="Signature is not valid",
        zh="数据签名无效",
        severity="critical",
        basis={"": RECORD},
        kinds=EV,
    ),
)
