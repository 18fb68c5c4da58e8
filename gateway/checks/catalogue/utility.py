"""Codes of electricity, water, gas and heat meters."""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue.info import (
    ACCURACY,
    EV,
    FLOW,
    FORMULA,
    METERS,
    NEVER_LATE,
    PIPES,
    POWER,
    SUPPLY,
    WATER,
    CheckInfo,
)

CODES: Final = (
    CheckInfo(
        code="tariff_sum_mismatch",
        en="Total differs from the sum of the tariff registers",
        zh="总电能与各费率电能之和不符",
        severity="major",
        basis={"": f"JJG 691 (sum of tariff registers); {ACCURACY}"},
        tolerance="0.02 kWh a tariff (display rounding)",
        evidence={
            "residual": "total minus the tariffs",
            "residual_before": "what it was before",
            **FORMULA,
            "inputs": "the tariff registers",
            "count": "messages off so far",
            "latest": "the residual of the latest of them",
        },
        kinds=("electricity_meter",),
        doc="The total register departs from the sum of its tariffs; one flag while it lasts.",
    ),
    CheckInfo(
        code="voltage_out_of_limits",
        en="Voltage outside the supply limits",
        zh="电压越限",
        severity="minor",
        basis={"": "GB/T 12325-2008 (deviation of supply voltage)"},
        tolerance="220 V: -10 % to +7 %; between phases ±7 % (GB/T 12325-2008)",
        evidence={
            "nominal": "the nominal voltage that the limits are of, V",
            "extreme": "farthest voltage so far",
            "count": "readings outside since the flag was given",
        },
        kinds=POWER,
        doc="The voltage of a phase stays outside the limits of the supply; one flag a phase.",
    ),
    CheckInfo(
        code="frequency_out_of_limits",
        en="Frequency outside the limits",
        zh="频率越限",
        severity="minor",
        basis={"": "GB/T 15945-2008 (deviation of power system frequency)"},
        tolerance="0.2 Hz; 0.5 Hz in small systems (GB/T 15945-2008)",
        evidence={
            "nominal": "the nominal frequency, Hz",
            "extreme": "farthest frequency so far",
            "count": "readings outside since the flag was given",
        },
        kinds=POWER,
        doc="The frequency stays outside the limits of the network; one flag while it lasts.",
    ),
    CheckInfo(
        code="phase_loss",
        en="Phase lost",
        zh="失压 (断相)",
        severity="major",
        basis={"": f"DL/T 645-2007 (loss of voltage, broken phase); {ACCURACY}"},
        tolerance="60 % of nominal voltage, 5 % of basic current: settings of the check, "
        "not of a standard",
        evidence={
            "nominal": "the nominal voltage, V",
            "amperage": "current of the phase, A; null where it is not sent",
            "basic_current": "the basic current, A",
            "others": "voltage of the other phases of the message, V",
            "count": "messages since the flag was given",
        },
        kinds=POWER,
        doc="A phase has lost its voltage while others have it. Major where current flows in it, "
        "minor where none does.",
    ),
    CheckInfo(
        code="reverse_energy",
        en="Energy flows backwards",
        zh="电能反向",
        severity="major",
        basis={"": ACCURACY},
        tolerance="0.1 kWh before a day without any (lifts and cranes brake)",
        evidence={
            **FORMULA,
            "inputs": "the register, and since when it grew",
            "count": "readings in which it grew since the flag was given",
            **NEVER_LATE,
        },
        kinds=POWER,
        doc="The export register grows where the registry does not say that something generates; "
        "one flag until a day has passed without.",
    ),
    CheckInfo(
        code="leak_suspected",
        en="Leak suspected",
        zh="疑似漏损",
        severity="minor",
        basis={"": WATER, "gas_meter": f"GB/T 6968; {ACCURACY}"},
        tolerance="3 L/h in every hour of 5 nights, and a tenth of the day's mean flow",
        evidence={
            **FORMULA,
            "inputs": "the nights, their hours and flows, and what it makes a day",
            "count": "nights since the flag was given",
            **NEVER_LATE,
        },
        kinds=PIPES,
        doc="The least hourly flow of each of the last nights (gas: of whole days) is above "
        "nothing, and much the same; one flag while it lasts.",
    ),
    CheckInfo(
        code="burst_suspected",
        en="Burst suspected",
        zh="疑似爆管",
        severity="major",
        basis={"": WATER, "gas_meter": f"GB/T 6968; {ACCURACY}"},
        tolerance="0.8 Q3 (gas: 0.8 Qmax) for 30 min, and twice the largest usual flow",
        evidence={
            **FORMULA,
            "inputs": "the register before, and how many times the usual flow it takes",
            "count": "readings above since the flag was given",
            **NEVER_LATE,
        },
        kinds=PIPES,
        doc="A flow near the largest that the meter is made for, for longer than half an hour, "
        "where it never has such; one flag while it lasts.",
    ),
    CheckInfo(
        code="backflow",
        en="Flow is backwards",
        zh="倒流",
        severity="minor",
        basis={"": WATER, "gas_meter": f"GB/T 6968; {ACCURACY}"},
        tolerance="20 L before a day without any (pressure shocks)",
        evidence={
            **FORMULA,
            "inputs": "the register, and since when it grew or fell",
            "count": "readings in which it went on since the flag was given",
            **NEVER_LATE,
        },
        kinds=FLOW,
        doc="The reverse register grows, or the main register falls while the meter itself tells "
        "of reverse flow (major); one flag until a day has passed without.",
    ),
    CheckInfo(
        code="consumption_drop",
        en="Consumption dropped for good",
        zh="用量持续下降",
        severity="minor",
        basis={"": ACCURACY},
        tolerance="half of the use of the same weekdays before, for 14 days, and 3 standard "
        "deviations",
        evidence={
            **FORMULA,
            "inputs": "the ratio, how many days are after, and the use and moves of each day",
            "measure": "whether the use of a day shows it, or the mean step",
            "visible_ratio": "the ratio below which a drop of this meter is seen",
            "looks_empty": "whether next to nothing is used: then it is only information",
            "count": "days since the flag was given",
            **NEVER_LATE,
        },
        kinds=SUPPLY,
        doc="From some day on much less is consumed, and longer than holidays last, while the "
        "peers consume as before.",
    ),
    CheckInfo(
        code="zero_consumption",
        en="No consumption",
        zh="零用量",
        severity="info",
        basis={"": ACCURACY},
        tolerance="3 times the longest usual pause, at least 24 h (VEE: zero)",
        evidence={
            **FORMULA,
            "inputs": "the register, its value, and since when it stands",
            "count": "readings since the flag was given",
            **NEVER_LATE,
        },
        kinds=METERS,
        doc="Nothing is consumed for much longer than this meter usually pauses; one flag while it "
        "lasts.",
    ),
    CheckInfo(
        code="energy_balance_mismatch",
        en="Feeder and meters do not balance",
        zh="台区电量不平衡",
        severity="major",
        basis={"": ACCURACY},
        tolerance="1.5 % of the day's energy beyond the technical loss learned from the feeder's "
        "own days, and five standard deviations of them; 12 % while nothing is learned",
        evidence={
            **FORMULA,
            "inputs": "day, master energy, hours, both loss factors, sum of P^2 t, days learned",
            "beyond": "unexplained loss since the condition began, kWh",
            "suspects": "members whose own series tells the unexplained loss: confidence (0..1), "
            "share of the registered energy that is missing",
            "count": "days off so far",
        },
        kinds=POWER,
        doc="The master meter of a feeder and its members differ by more than the technical loss; "
        "one flag while it lasts, with the members that the loss follows.",
    ),
    CheckInfo(
        code="conversion_mismatch",
        en="Base volume does not follow from the conversion",
        zh="标况体积与修正系数不符",
        severity="major",
        basis={"": f"GB/T 6968, EN 12405-1 (conversion to base conditions); {ACCURACY}"},
        tolerance="1 % and 0.3 % a bar of gauge pressure (ratio of compressibilities); in sums "
        "also one step of each register",
        evidence={
            **FORMULA,
            "inputs": "pressure, temperature and base conditions; or volume and number of steps",
            "latest": "what was observed last",
            "count": "readings or windows since the flag was given",
        },
        kinds=("gas_meter",),
        doc="The factor shown is not that of pressure and temperature, or the base volume grows "
        "otherwise than volume times factor.",
    ),
    CheckInfo(
        code="heat_balance_mismatch",
        en="Heat does not follow from volume and temperatures",
        zh="热量与流量、温差不符",
        severity="major",
        basis={"": f"JJG 225, EN 1434-1 (maximum permissible errors); {ACCURACY}"},
        tolerance="MPE of the class at the mean difference and flow, 2 % for sampling, and the "
        "steps of the registers",
        evidence={
            **FORMULA,
            "inputs": "volume, mean difference (K), heat coefficient (kWh/(m3 K)), mean flow, "
            "class and number of steps",
            "latest": "the energy of the last window",
            "count": "windows since the flag was given",
        },
        kinds=("heat_meter",),
        doc="Energy grows otherwise than volume times temperature difference times the heat "
        "coefficient of water; one flag while it lasts.",
    ),
    CheckInfo(
        code="power_energy_mismatch",
        en="Energy does not follow from power",
        zh="电能与功率不符",
        severity="minor",
        basis={"": ACCURACY, "ev_charger": f"JJG 1148, JJG 1149; {ACCURACY}"},
        tolerance="5 %, at least 4 standard errors of the window; sessions: 5 % and 0.02 kWh above "
        "rated power times time",
        evidence={
            **FORMULA,
            "inputs": "span, number of blocks and their median ratio; or rated power and span",
            "latest": "energy by expected energy of the last window or session",
            "count": "windows since the flag was given",
            "judged_late": "of a session: whether it came after its successors were judged",
        },
        kinds=(*POWER, *EV),
        doc="The energy register grows otherwise than the power shown says; or a session has more "
        "energy than the charger's rated power gives.",
    ),
)
