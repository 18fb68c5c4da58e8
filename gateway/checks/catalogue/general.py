"""Codes of any kind of device: identity, time and order, registers."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import (
    ACCURACY,
    FORMULA,
    LATE,
    METERS,
    NEVER_LATE,
    RECORD,
    STATION,
    VERIFIED,
    CheckInfo,
)

CODES: Final = (
    CheckInfo(
        code="unregistered_device",
        en="Device is not in the registry",
        zh="未登记的计量器具",
        severity="major",
        basis={"": VERIFIED},
        tolerance="none: the device is in the registry or not",
        doc="The device sends readings and the registry does not know it; once a device.",
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
            "restarted": "true where the counter began again or was set: what is missing cannot be "
            "said",
            "count": "restarts, each within a day of the one before",
        },
        doc="Numbers were skipped; withdrawn when late messages bring them. A counter that begins "
        "again is told as info.",
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
            "count": "falls of the same condition",
            "returned": "how often it returned in between; absent where it did not",
            "outcome": "how it went on",
        },
        doc="A register that only grows fell, and not over its full scale.",
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
    ),
    CheckInfo(
        code="future_timestamp",
        en="Measured time is in the future",
        zh="测量时间超前于接收时间",
        severity="minor",
        basis={"": RECORD, "electricity_meter": f"JJG 691 (clock); {RECORD}"},
        tolerance="60 s minor, 5 min major (VEE: clock)",
        evidence={
            "received_at": "time of receipt of the first such reading, RFC 3339",
            "extreme": "farthest so far, s",
            "count": "readings ahead so far",
        },
        doc="The device's time is after the time of receipt; one flag while it lasts.",
    ),
    CheckInfo(
        code="verification_expired",
        en="Verification has expired",
        zh="检定证书已过期",
        severity="major",
        basis={"": VERIFIED},
        tolerance="the grace that is set, none by default",
        evidence={
            "formula": "what must hold",
            "inputs": "certificate, its times, and when the version of the device began",
            "count": "readings since",
            **LATE,
        },
        doc="The device measures after its verification has expired, by the version of the "
        "registry at the time; one flag from the expiry until a new certificate.",
    ),
    CheckInfo(
        code="identity_clash",
        en="Two devices use one identity",
        zh="器具身份冲突",
        severity="major",
        basis={"": RECORD},
        tolerance="4 changes between two counters that both go on, each within 24 h of the last",
        evidence={
            "counters": "where either counter stood and when",
            "alternations": "changes from one counter to the other so far",
            "count": "changes since the flag was given",
        },
        doc="The numbers of a device's messages change back and forth between two counters that "
        "both go on: two devices send under one identity. One flag while it lasts.",
    ),
    CheckInfo(
        code="firmware_changed",
        en="Program changed",
        zh="计量程序变更",
        severity="major",
        basis={"": ACCURACY},
        tolerance="none: the checksum is the registered one or not",
        evidence={
            "count": "wrong readings so far",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        doc="The program that the instrument tells is not the registered one, or changed with "
        "no new version of the device in the registry; or it tells itself that its program "
        "was changed.",
    ),
    CheckInfo(
        code="constant_changed",
        en="Meter constant changed",
        zh="仪表常数变更",
        severity="critical",
        basis={"": ACCURACY},
        tolerance="0.05 % against the registry (the certificate rounds it), none against what "
        "was told before",
        evidence={
            "difference": "observed minus expected",
            "extreme": "farthest difference so far",
            "count": "wrong readings so far",
            **FORMULA,
            "inputs": "what it was computed from",
            **LATE,
        },
        doc="The constant that the instrument tells is not the registered one, or changed with "
        "no new version of the device in the registry.",
    ),
    CheckInfo(
        code="tamper_alarm",
        en="Seal, cover or magnet alarm",
        zh="防作弊报警",
        severity="critical",
        basis={"": ACCURACY},
        tolerance="none: the word is told or not",
        evidence={
            "formula": "where the word comes from",
            "inputs": "event, channel, number and all status words of the first reading",
            "count": "readings so far",
            **LATE,
        },
        doc="The device says that a seal is broken, a cover open or a magnet near; one flag a word "
        "until it is gone. Severity by the word.",
    ),
    CheckInfo(
        code="device_fault",
        en="Device reports a fault",
        zh="器具自报故障",
        severity="minor",
        basis={"": ACCURACY},
        tolerance="none: the word is told or not",
        evidence={
            "formula": "where the word comes from",
            "inputs": "event, channel, number and all status words of the first reading",
            "count": "readings so far",
            **LATE,
        },
        doc="The device says that a part of it fails; one flag a word until it is gone. "
        "Severity by the word.",
    ),
    CheckInfo(
        code="clock_drift",
        en="Clock drifts",
        zh="时钟漂移",
        severity="minor",
        basis={"": RECORD, "electricity_meter": f"JJG 691 (clock); {RECORD}"},
        tolerance="60 s minor, 5 min major (VEE: clock)",
        evidence={
            **FORMULA,
            "inputs": "from and to of the window, and how many messages",
            "extreme": "farthest median so far, s",
            "count": "windows since the flag was given",
        },
        doc="The median delay from measurement to receipt says that the clock is behind; one flag "
        "while it lasts. A clock that is ahead is future_timestamp.",
    ),
    CheckInfo(
        code="silent_device",
        en="Device is silent",
        zh="器具长时间无数据",
        severity="minor",
        basis={"": RECORD},
        tolerance="3 usual pauses and at least 6 h (VEE: gap, inactive device)",
        evidence={
            "last_received_at": "when the device was heard last, RFC 3339",
            "days": "days that the usual pause is known from",
        },
        doc="Nothing comes of a device for much longer than it usually pauses; one flag while it "
        "lasts. Where most devices are silent together nothing is said.",
    ),
    CheckInfo(
        code="burst_after_silence",
        en="Backlog after silence",
        zh="静默后集中补报",
        severity="info",
        basis={"": RECORD},
        tolerance="2 messages, after 1 h of silence",
        evidence={
            "silence": "how long nothing came, s",
            "silent_from": "when the device was heard before, RFC 3339",
            "silent_to": "when it was heard again, RFC 3339",
            "count": "messages of the silence that came after it",
        },
        doc="What was measured in a silence came together after it; one flag, whose from and to "
        "are the measured span.",
    ),
    CheckInfo(
        code="register_stuck",
        en="Register stands still",
        zh="累计量停走",
        severity="minor",
        basis={"": ACCURACY},
        tolerance="20 steps of the last digit, in 3 readings with flow or power (VEE: stuck)",
        evidence={
            **FORMULA,
            "inputs": "since when it stands, the readings with flow or power, the last such rate",
            "count": "readings since the flag was given",
            **NEVER_LATE,
        },
        kinds=METERS,
        doc="The register stands while the meter itself shows flow or power; where it shows "
        "neither, after 60 days. `zero_consumption` tells of a register that stands first.",
    ),
    CheckInfo(
        code="register_spike",
        en="Register jumped",
        zh="累计量突变",
        severity="minor",
        basis={"": ACCURACY},
        tolerance="5 times the 99th percentile of its own steps, and 1.25 times the largest rated "
        "flow or power (VEE: spike)",
        evidence={
            **FORMULA,
            "inputs": "both values, the time between, the usual and the largest rate, its source",
            "outcome": "what the next reading showed",
            "count": "spikes, each within a day of the one before",
            **NEVER_LATE,
        },
        kinds=METERS,
        doc="A step that neither this register nor an instrument of its size can have made in the "
        "time between; one glitch is one flag.",
    ),
)
