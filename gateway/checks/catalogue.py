"""Every flag code: title, severity, evidence, default tolerance with its source, legal basis.

The codes are those of the public surface.  ``implemented`` is False for a code that is reserved
and not judged by this version; profiles cannot set parameters for it.
"""

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
    implemented: bool = False

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


ACCURACY: Final = (
    "计量法 (2018) art. 16 and 26; 计量法实施细则 art. 46 "
    "(broken accuracy, short measure, false data)"
)
VERIFIED: Final = "计量法 art. 9 and 25; 计量法实施细则 art. 43 (not verified, expired)"
STATION: Final = "加油站计量监督管理办法 (duties of the operator: truthful indication)"
RECORD: Final = "OIML D 31 and WELMEC 7.2 extensions L and T (stored and sent measurement data)"

_BUILT: Final = (
    CheckInfo(
        code="unregistered_device",
        en="Device is not in the registry",
        zh="未登记的计量器具",
        severity="major",
        basis={"": VERIFIED},
        tolerance="none: the device is in the registry or not",
        doc="The device sends readings and the registry does not know it; once a device.",
        implemented=True,
    ),
    CheckInfo(
        code="value_out_of_range",
        en="Value is outside its physical limits",
        zh="数值超出物理范围",
        severity="minor",
        basis={"": "limits of the device's profile; " + RECORD},
        tolerance="0 beyond the limits that the profile gives",
        evidence={"extreme": "farthest value so far", "count": "readings outside so far"},
        doc="A quantity is outside the limits of its profile; one flag while it lasts.",
        implemented=True,
    ),
    CheckInfo(
        code="sequence_gap",
        en="Message numbers are missing",
        zh="报文序号缺失",
        severity="minor",
        basis={"": RECORD, "fuel_dispenser": f"{STATION}; {RECORD}"},
        tolerance="0: every number is expected once",
        evidence={
            "missing": "how many numbers are missing",
            "from": "first missing number",
            "to": "last missing number",
            "restarted": "true where the counter began again: what is missing cannot be said",
            "count": "restarts within a day",
        },
        doc="Numbers were skipped; withdrawn when late messages bring them. A counter that begins "
        "again is told as info.",
        implemented=True,
    ),
    CheckInfo(
        code="conflicting_duplicate",
        en="Same reading sent twice with different content",
        zh="重复报文内容不一致",
        severity="major",
        basis={"": f"{ACCURACY}; {RECORD}"},
        tolerance="0: content must be the same (VEE: duplicate)",
        evidence={
            "sequence": "the number used twice, or null where measured time is the identity",
            "content": "quantities of this reading",
            "earlier": "ledger offset and measured time of each earlier content",
        },
        doc="A reading has the identity of an earlier one and other content; both are stored.",
        implemented=True,
    ),
    CheckInfo(
        code="register_decrease",
        en="Register went backwards",
        zh="累计量倒走",
        severity="major",
        basis={
            "": ACCURACY,
            "fuel_dispenser": f"{ACCURACY}; JJG 443 (totaliser cannot be reset)",
            "taximeter": f"{ACCURACY}; JJG 517 (totalisers)",
        },
        tolerance="one step of the last digit where it is known, else 0 (VEE: register decrease)",
        evidence={
            "previous_measured_at": "time of the reading before, RFC 3339",
            "previous_ledger_offset": "ledger offset of the reading before",
            "full_scale": "where the register returns to zero, null where not known",
            "count": "further falls of the same condition",
            "outcome": "how it went on",
        },
        doc="A register that only grows fell, and not over its full scale.",
        implemented=True,
    ),
    CheckInfo(
        code="register_rollover",
        en="Register passed its full scale",
        zh="累计量翻转归零",
        severity="info",
        basis={"": "digits of the register, by the device's profile"},
        tolerance="the step is at most 5 % of the full scale (VEE: twice the largest step)",
        evidence={
            "previous_measured_at": "time of the reading before, RFC 3339",
            "previous_ledger_offset": "ledger offset of the reading before",
            "full_scale": "where the register returns to zero",
            "count": "always 1",
        },
        doc="A register returned to zero after its highest value.",
        implemented=True,
    ),
    CheckInfo(
        code="future_timestamp",
        en="Measured time is in the future",
        zh="测量时间超前于接收时间",
        severity="minor",
        basis={"": RECORD, "electricity_meter": f"JJG 691, DL/T 448 (?) (clock); {RECORD}"},
        tolerance="60 s minor, 5 min major (VEE: clock)",
        evidence={
            "received_at": "time of receipt of the first such reading, RFC 3339",
            "extreme": "farthest so far, s",
            "count": "readings ahead so far",
        },
        doc="The device's time is after the time of receipt; one flag while it lasts.",
        implemented=True,
    ),
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
        code="tariff_sum_mismatch",
        en="Total differs from the sum of the tariff registers",
        zh="总电能与各费率电能之和不符",
        severity="major",
        basis={"": f"JJG 691, DL/T 614 (?) (sum of tariff registers); {ACCURACY}"},
        tolerance="0.02 kWh a tariff (display rounding)",
        evidence={
            "residual": "total minus the tariffs",
            "residual_before": "what it was before",
            "formula": "what was computed",
            "inputs": "the tariff registers",
            "count": "messages off so far",
            "latest": "the residual of the latest of them",
        },
        kinds=("electricity_meter",),
        doc="The total register departs from the sum of its tariffs; one flag while it lasts.",
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
)

FUEL: Final = ("fuel_dispenser",)
TAXI: Final = ("taximeter",)
POWER: Final = ("electricity_meter",)
FLOW: Final = ("water_meter", "gas_meter", "heat_meter")
EV: Final = ("ev_charger",)
_JJG443: Final = f"JJG 443-2023; {ACCURACY}; {STATION}"
_JJG517: Final = f"JJG 517-2016; {ACCURACY}"
_WATER: Final = "JJG 162-2019, GB/T 778"

_Row = tuple[str, str, str, str, str, tuple[str, ...]]
_RESERVED: Final[tuple[_Row, ...]] = (
    ("verification_expired", "Verification has expired", "检定证书已过期", "major", VERIFIED, ()),
    ("identity_clash", "Two devices use one identity", "器具身份冲突", "major", RECORD, ()),
    ("firmware_changed", "Program changed", "计量程序变更", "major", ACCURACY, ()),
    ("constant_changed", "Meter constant changed", "仪表常数变更", "critical", ACCURACY, ()),
    ("tamper_alarm", "Seal, cover or magnet alarm", "防作弊报警", "critical", ACCURACY, ()),
    ("device_fault", "Device reports a fault", "器具自报故障", "minor", ACCURACY, ()),
    ("clock_drift", "Clock drifts", "时钟漂移", "minor", RECORD, ()),
    ("silent_device", "Device is silent", "器具长时间无数据", "minor", RECORD, ()),
    ("burst_after_silence", "Backlog after silence", "静默后集中补报", "info", RECORD, ()),
    ("register_stuck", "Register stands still", "累计量停走", "minor", ACCURACY, ()),
    ("register_spike", "Register jumped", "累计量突变", "minor", ACCURACY, ()),
    (
        "totaliser_mismatch", "Totaliser differs from the sales", "泵码数与交易量不符", "critical",
        _JJG443, FUEL,
    ),
    ("unbilled_delivery", "Fuel delivered without a sale", "未计费出油", "major", _JJG443, FUEL),
    (
        "flow_rate_out_of_range", "Flow outside the rated range",
        "流量超出范围", "minor", _JJG443, FUEL,
    ),
    (
        "below_minimum_quantity", "Sale below the minimum measured quantity", "低于最小被测量",
        "info", _JJG443, FUEL,
    ),
    (
        "price_mismatch", "Price is not the posted one",
        "单价与公示价不符", "major", _JJG443, (*FUEL, *EV),
    ),
    (
        "delivery_factor_shift", "Pulses per litre shifted", "脉冲当量偏移", "critical", _JJG443,
        FUEL,
    ),
    (
        "wet_stock_surplus",
        "Tank drops by less than was sold", "罐存下降少于销量 (短量)", "critical",
        _JJG443, FUEL,
    ),
    (
        "wet_stock_loss", "Tank drops by more than was sold",
        "罐存下降多于销量", "major", _JJG443, FUEL,
    ),
    (
        "round_amount_shortfall", "Short measure at round amounts", "整额加油短量", "critical",
        _JJG443, FUEL,
    ),
    (
        "distance_mismatch", "Distance differs from the track",
        "计程与轨迹不符", "major", _JJG517, TAXI,
    ),
    (
        "waiting_time_mismatch", "Waiting time cannot be", "低速等候时间不合理", "major", _JJG517,
        TAXI,
    ),
    ("impossible_speed", "Speed cannot be", "车速不合理", "minor", _JJG517, TAXI),
    ("distance_factor_shift", "Pulses per km shifted", "里程常数偏移", "critical", _JJG517, TAXI),
    (
        "voltage_out_of_limits", "Voltage outside the supply limits", "电压越限", "minor",
        "GB/T 12325-2008", POWER,
    ),
    (
        "frequency_out_of_limits", "Frequency outside the limits", "频率越限", "minor",
        "GB/T 15945-2008", POWER,
    ),
    ("phase_loss", "Phase lost", "失压 (断相)", "major", f"DL/T 645-2007; {ACCURACY}", POWER),
    ("reverse_energy", "Energy flows backwards", "电能反向", "major", ACCURACY, POWER),
    ("leak_suspected", "Leak suspected", "疑似漏损", "minor", _WATER, FLOW),
    ("burst_suspected", "Burst suspected", "疑似爆管", "major", _WATER, FLOW),
    ("backflow", "Flow is backwards", "倒流", "minor", _WATER, FLOW),
    ("consumption_drop", "Consumption dropped for good", "用量持续下降", "minor", ACCURACY, ()),
    ("zero_consumption", "No consumption", "零用量", "info", ACCURACY, ()),
    (
        "energy_balance_mismatch", "Feeder and meters do not balance", "台区电量不平衡", "major",
        ACCURACY, POWER,
    ),
    (
        "conversion_mismatch", "Base volume does not follow from the conversion",
        "标况体积与修正系数不符", "major", f"GB/T 6968; {ACCURACY}", ("gas_meter",),
    ),
    (
        "heat_balance_mismatch", "Heat does not follow from volume and temperatures",
        "热量与流量、温差不符", "major", f"JJG 225; {ACCURACY}", ("heat_meter",),
    ),
    (
        "power_energy_mismatch", "Energy does not follow from power", "电能与功率不符", "minor",
        ACCURACY, (*POWER, *EV),
    ),
    (
        "session_energy_mismatch", "Session energy differs from its registers",
        "充电量与表码差不符", "critical", f"JJG 1148, JJG 1149; {ACCURACY}", EV,
    ),
    ("signature_invalid", "Signature is not valid", "数据签名无效", "critical", RECORD, EV),
)  # fmt: skip

CATALOGUE: Final[dict[str, CheckInfo]] = {
    **{info.code: info for info in _BUILT},
    **{
        code: CheckInfo(code=code, en=en, zh=zh, severity=severity, basis={"": basis}, kinds=kinds)
        for code, en, zh, severity, basis, kinds in _RESERVED
    },
}
"""All codes; those that this version judges first."""
