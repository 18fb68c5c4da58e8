"""Codes of EV chargers."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import ACCURACY, EV, FORMULA, LATE, RECORD, CheckInfo

CODES: Final = (
    CheckInfo(
        code="session_overlap",
        en="Sessions overlap",
        zh="充电时段重叠",
        severity="major",
        basis={"": f"JJG 1148, JJG 1149; {ACCURACY}"},
        tolerance="1 s: the step of the clock that is shown",
        evidence={
            **FORMULA,
            "inputs": "beginning and end of both, the number and the ledger offset of the other",
            **LATE,
        },
        kinds=("ev_charger",),
        doc="A session began before another on the same connector had ended.",
    ),
    CheckInfo(
        code="session_energy_mismatch",
        en="Session energy differs from its registers",
        zh="充电量与表码差不符",
        severity="critical",
        basis={"": f"JJG 1148, JJG 1149; {ACCURACY}"},
        tolerance="one step of the energy or of the register as shown, the coarser",
        evidence={
            "difference": "observed minus expected",
            **FORMULA,
            "inputs": "the quantities it was computed from; of the charge before also its place",
            **LATE,
        },
        kinds=EV,
        doc="The energy of a charge is not the difference of its registers, or a charge begins "
        "below the end of the one before on its connector. Critical where the customer pays more, "
        "else major.",
    ),
    CheckInfo(
        code="signature_invalid",
        en="Signature is not valid",
        zh="数据签名无效",
        severity="critical",
        basis={"": RECORD},
        tolerance="none: the signature fits the bytes and the key, or not",
        evidence={
            "key_id": "first 16 hex digits of SHA-256 over the text of the registry's key; by "
            "serial number where it has several; null where it has none",
            "formula": "what was verified",
            "inputs": "event, channel, number and all status words of the first reading",
            "count": "readings so far",
            **LATE,
        },
        kinds=EV,
        doc="The signature of a record does not fit its bytes and the key; one flag until a record "
        "is valid again.",
    ),
)
