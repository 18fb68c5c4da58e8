"""What can be wrong with electricity, water, gas and heat meters, and what only looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators import electricity_meter, gas_meter, heat_meter, water_meter
from simulators.billing_faults import TariffShifted
from simulators.cheats import ANY, BELOW_ZERO, LOST, Cheat, set_back
from simulators.device_faults import Alarmed, Glitch
from simulators.electricity_meter import generates, has_three_phases
from simulators.faults import Absurd
from simulators.feeder import is_master, may_steal
from simulators.honest import ClockSet, DailyReset, Jitter, Replaced, Visited
from simulators.registers import Dials, Register
from simulators.supply_faults import FrequencyOff, VoltageOff
from simulators.utility_faults import (
    Backflow,
    BaseInflated,
    FactorRaised,
    HeatInflated,
    Inflow,
    PhaseLost,
    Reversed,
    Share,
    ShareOfMember,
    Spike,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.faults import Case, Fault

_ENERGIES: Final = ("import", "export", "T1", "T2", "T3", "T4", "reactive_import")

ELECTRICITY_DIALS: Final = Dials(
    tuple(Register(("energy", name), 2, electricity_meter.FULL_SCALE) for name in _ENERGIES),
    (
        *(("power", name) for name in ("active", "reactive", "apparent")),
        *(("amperage", phase) for phase in ("L1", "L2", "L3")),
    ),
)
"""What electricity meters show."""

WATER_DIALS: Final = Dials(
    tuple(Register((name,), 3, water_meter.FULL_SCALE) for name in ("volume", "volume_reverse")),
    (("flow_rate",),),
)
"""What water meters show."""

GAS_DIALS: Final = Dials(
    tuple(Register((name,), 3, gas_meter.FULL_SCALE) for name in ("volume", "volume_base")),
    (("flow_rate",),),
)
"""What gas meters show."""

HEAT_DIALS: Final = Dials(
    (
        Register(("energy", "heating"), 2, heat_meter.ENERGY_SCALE),
        Register(("volume",), 3, heat_meter.VOLUME_SCALE),
    ),
    (("power",), ("flow_rate",)),
)
"""What heat meters show."""

_DROP: Final = "consumption_drop"
_POWER: Final = "power_energy_mismatch"


def _share(
    dials: Dials,
    least: int,
    most: int,
    *,
    flows: bool = True,
    days: tuple[int, int] | None = None,
) -> Callable[[Case], Fault]:
    return lambda case: Share(case, dials, least, most, flows=flows, days=days)


def _common(dials: Dials, spike: tuple[int, int]) -> dict[str, Cheat]:
    """What every kind of meter can have."""
    return {
        "messages_lost": LOST,
        "register_stuck": Cheat(
            "register_stuck",
            _share(dials, 0, 0, flows=False),
            (_POWER, _DROP, "zero_consumption"),
        ),
        "register_spike": Cheat("register_spike", lambda case: Spike(case, dials, *spike)),
        "bypass": Cheat(_DROP, _share(dials, 200, 420)),
        "meter_dead": Cheat("zero_consumption", _share(dials, 0, 0), (_DROP, "register_stuck")),
        "restart_glitch": Cheat("register_decrease", lambda case: Glitch(case, dials)),
        "program_changed": Cheat(
            "firmware_changed",
            lambda case: Alarmed(case, ("program_changed",), (1, 2)),
            ("tamper_alarm",),
        ),
        **ANY,
    }


def _honest(dials: Dials, load: float) -> dict[str, Cheat]:
    """What every kind of meter may honestly do."""
    return {
        "meter_replaced": Cheat(None, lambda case: Replaced(case, dials)),
        "vacancy": Cheat(None, _share(dials, 0, 0, days=(15, 45))),
        "holiday": Cheat(None, _share(dials, 120, 350, days=(6, 10))),
        "verification_visit": Cheat(None, lambda case: Visited(case, dials, load)),
        "clock_set": Cheat(None, ClockSet),
        "register_jitter": Cheat(None, lambda case: Jitter(case, dials)),
        "daily_reset": Cheat(None, lambda case: DailyReset(case, dials)),
    }


_ELECTRICITY = {
    "register_set_back": set_back(
        2,
        dict.fromkeys(("energy.import", "energy.T2"), electricity_meter.FULL_SCALE),
        also=(_POWER,),
    ),
    "tariff_shifted": Cheat("tariff_sum_mismatch", TariffShifted),
    "overvoltage": Cheat(
        "value_out_of_range",
        lambda case: Absurd(case, "voltage.L1", 6553.5),
        ("voltage_out_of_limits",),
    ),
    "register_slow": Cheat(_POWER, _share(ELECTRICITY_DIALS, 600, 850, flows=False)),
    "voltage_off": Cheat("voltage_out_of_limits", VoltageOff),
    "frequency_off": Cheat("frequency_out_of_limits", FrequencyOff),
    "phase_lost": Cheat(
        "phase_loss",
        lambda case: PhaseLost(case, ELECTRICITY_DIALS),
        ("voltage_out_of_limits", _DROP),
        has_three_phases,
    ),
    "energy_reversed": Cheat(
        "reverse_energy",
        lambda case: Reversed(case, ELECTRICITY_DIALS),
        (_DROP, _POWER),
        lambda index: not generates(index),
    ),
}

ELECTRICITY: Final = {
    **_ELECTRICITY,
    **_common(ELECTRICITY_DIALS, (80_000, 900_000)),
    **_honest(ELECTRICITY_DIALS, 6.0),
}
"""Of electricity meters."""

_WATER = {
    "register_set_back": set_back(3, {"volume": water_meter.FULL_SCALE}),
    "sensor_absurd": Cheat(
        "value_out_of_range", lambda case: Absurd(case, "temperature", BELOW_ZERO)
    ),
    "leak": Cheat("leak_suspected", lambda case: Inflow(case, WATER_DIALS, 0.006, 0.03)),
    "burst": Cheat(
        "burst_suspected",
        lambda case: Inflow(
            case, WATER_DIALS, 0.88 * water_meter.Q3, 1.1 * water_meter.Q3, (3.0, 8.0)
        ),
        ("register_spike",),
    ),
    "backflow": Cheat("backflow", lambda case: Backflow(case, WATER_DIALS)),
}

WATER: Final = {
    **_WATER,
    **_common(WATER_DIALS, (60_000, 900_000)),
    **_honest(WATER_DIALS, 2.0),
}
"""Of water meters."""

_GAS = {
    "register_set_back": set_back(
        3, dict.fromkeys(("volume", "volume_base"), gas_meter.FULL_SCALE)
    ),
    "sensor_absurd": Cheat(
        "value_out_of_range",
        lambda case: Absurd(case, "temperature", BELOW_ZERO),
        ("conversion_mismatch",),
    ),
    "leak": Cheat("leak_suspected", lambda case: Inflow(case, GAS_DIALS, 0.03, 0.15)),
    "base_inflated": Cheat("conversion_mismatch", lambda case: BaseInflated(case, GAS_DIALS)),
    "factor_raised": Cheat("conversion_mismatch", lambda case: FactorRaised(case, GAS_DIALS)),
}

GAS: Final = {
    **_GAS,
    **_common(GAS_DIALS, (100_000, 900_000)),
    **_honest(GAS_DIALS, 2.5),
}
"""Of gas meters."""

_HEAT = {
    "register_set_back": set_back(
        2, {"energy.heating": heat_meter.ENERGY_SCALE}, also=("heat_balance_mismatch",)
    ),
    "sensor_absurd": Cheat(
        "value_out_of_range",
        lambda case: Absurd(case, "flow_temperature", BELOW_ZERO),
        ("heat_balance_mismatch",),
    ),
    "heat_inflated": Cheat("heat_balance_mismatch", lambda case: HeatInflated(case, HEAT_DIALS)),
}
_HEAT_HONEST = _honest(HEAT_DIALS, 0.0)

HEAT: Final = {
    **_HEAT,
    **_common(HEAT_DIALS, (50_000, 500_000)),
    "register_spike": Cheat(
        "register_spike",
        lambda case: Spike(case, HEAT_DIALS, 50_000, 500_000),
        ("heat_balance_mismatch",),
    ),
    **{name: _HEAT_HONEST[name] for name in ("meter_replaced", "clock_set", "daily_reset")},
    "holiday": Cheat(None, _share(HEAT_DIALS, 300, 550, days=(6, 10))),
}
"""Of heat meters: they are taken away for verification, and keep the frost out when empty."""

# not "silent": below a meter that is silent for good no balance can be struck
_IN_GROUPS = {name: ANY[name] for name in ("backlog", "tampered", "faulty")}

FEEDER: Final = {
    "feeder_theft": Cheat(
        "energy_balance_mismatch",
        lambda case: ShareOfMember(case, ELECTRICITY_DIALS, 300, 600, flows=True),
        (_DROP,),
        may_steal,
    ),
    "illegal_tap": Cheat(
        "energy_balance_mismatch", _share(ELECTRICITY_DIALS, 1150, 1300), fits=is_master
    ),
    "messages_lost": LOST,
    **_IN_GROUPS,
}
"""Of feeders: theft by a member, or by somebody who has no meter at all."""

DISTRICT: Final = {
    "district_leak": Cheat(
        "leak_suspected", lambda case: Inflow(case, WATER_DIALS, 0.08, 0.4), fits=is_master
    ),
    "messages_lost": LOST,
    **_IN_GROUPS,
}
"""Of water districts: a leak of the main."""
