"""Heat against volume, temperatures and the heat coefficient of water."""

from __future__ import annotations

from math import sin
from random import Random

import pytest

from gateway.checks.heat_balance import density, heat_coefficient, permissible_error
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading

NAMES = ("energy", "volume", "flow_temperature", "return_temperature")
HEAT = Layout(
    "heat_meter", "periodic", "test@1.0.0", NAMES,
    {"energy": Register(1e8, 0.01), "volume": Register(1e6, 0.001)}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
CODE = "heat_balance_mismatch"
HOUR = 60 * MINUTE


def hours(count, *, seed=1, share=1.0, since=0, apart=30.0, rate=0.5, pipe="return", step=0.01):
    """Hourly readings of a meter whose energy is ``share`` of the truth from hour ``since`` on.

    The truth is summed in sixty parts of an hour, with temperatures that move within it.
    """
    rng = Random(seed)
    energy, volume = 1000.0, 50.0
    made = []
    for n in range(count):
        back = supply = 0.0
        level = apart * rng.uniform(0.9, 1.1)
        for part in range(60):
            supply = 60 + 5 * sin((n * 60 + part) / 200) + level / 4
            back = supply - level * (1 + 0.05 * sin((n * 60 + part) / 30))
            k = heat_coefficient(supply, back, back if pipe == "return" else supply)
            moved = rate * rng.uniform(0.8, 1.2) / 60
            volume += moved
            energy += k * (supply - back) * moved * (share if n >= since else 1)
        made.append(
            reading(
                HEAT, n, n * 60, offset=n, late=0.1, channel="heating",
                energy=float(int(energy / step) * step), volume=int(volume * 1000) / 1000,
                flow_temperature=round(supply, 1), return_temperature=round(back, 1),
            )
        )  # fmt: skip
    return made


def found(readings, parameters=None, **settings):
    devices = {"d1": Device(device_id="d1", parameters=parameters or {})}
    checks = {CODE: settings} if settings else {}
    return Running([HEAT], devices, checks).judged(readings).found(CODE)


def test_water_is_as_the_tables_of_it_say():
    assert density(25.0) == pytest.approx(997.0, rel=3e-4)
    assert density(95.0) == pytest.approx(961.9, rel=3e-4)
    # the range that EN 1434's tables span for domestic heating
    assert 1.13 < heat_coefficient(90, 70, 70) < heat_coefficient(40, 30, 30) < 1.16


def test_permissible_errors_are_those_of_the_worked_examples():
    assert permissible_error(2, 30, 3, 0.6, 1.5) == pytest.approx(0.0345)
    assert permissible_error(3, 10, 3, 0.1, 1.5) == pytest.approx(0.0595)


@pytest.mark.parametrize("apart", [4.0, 10.0, 30.0, 60.0])
@pytest.mark.parametrize("pipe", ["flow", "return"])
def test_an_honest_meter_is_never_flagged_whether_its_pipe_is_known_or_not(apart, pipe):
    readings = hours(24 * 15, apart=apart, pipe=pipe)
    assert found(readings) == []
    assert found(readings, {"flow_sensor": pipe, "qp": 1.5}) == []


@pytest.mark.parametrize(("apart", "share"), [(30.0, 1.07), (30.0, 0.92), (10.0, 1.1), (4.0, 1.2)])
def test_heat_that_is_not_there_is_one_flag(apart, share):
    readings = hours(24 * 14, apart=apart, share=share, since=24 * 6)
    (flag,) = found(readings, {"flow_sensor": "return"})
    assert (flag.code, flag.severity, flag.channel) == (CODE, "major", "heating")
    assert T0 + 5 * 24 * HOUR <= flag.since <= T0 + 8 * 24 * HOUR
    inputs = flag.evidence["inputs"]
    again = inputs["volume"] * inputs["temperature_difference"] * inputs["heat_coefficient"]
    assert again == pytest.approx(flag.evidence["expected"], rel=1e-3)
    assert flag.evidence["observed"] / flag.evidence["expected"] == pytest.approx(share, abs=0.02)


def test_half_of_the_permissible_error_is_none():
    assert found(hours(24 * 14, share=1.02), {"flow_sensor": "return"}) == []


def test_a_register_of_whole_kilowatt_hours_is_judged_over_longer_windows():
    coarse = Layout(
        "heat_meter", "periodic", "test@1.0.0", NAMES,
        {"energy": Register(1e8, 1.0), "volume": Register(1e6, 0.001)}, 2**32,
        sequence_per_channel=False, measured=True,
    )  # fmt: skip

    def flags(share):
        readings = hours(24 * 20, apart=8.0, rate=0.1, share=share, step=1)
        return Running([coarse]).judged(readings).found(CODE)

    assert flags(1.0) == []
    assert len(flags(1.25)) == 1


def test_below_the_smallest_difference_nothing_is_judged():
    assert found(hours(24 * 10, apart=2.5, share=2.0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_order_of_arrival_and_restarts_change_nothing(seed):
    readings = hours(24 * 10, share=1.2, since=50, seed=seed)
    plain = Running([HEAT]).judged(readings).found(CODE)
    assert plain
    mixed = Running([HEAT], restart_every=31).judged(shuffled(readings, Random(seed))).found(CODE)
    assert told(mixed) == told(plain)
