"""Base volume of gas against volume, factor, pressure and temperature."""

from __future__ import annotations

from random import Random

import pytest

from gateway.checks.conversion import factor_of
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading

DIAL = Register(1e6, 0.001)
NAMES = ("volume", "volume_base", "temperature", "pressure", "conversion_factor")
GAS = Layout(
    "gas_meter", "periodic", "test@1.0.0", NAMES, {"volume": DIAL, "volume_base": DIAL}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
CODE = "conversion_mismatch"
HOUR = 60 * MINUTE


def hours(
    count,
    *,
    seed=1,
    base=1.0,
    factor=1.0,
    since=0,
    start=(100.0, 104.0),
    use=0.4,
    bases=(101.325, 20),
):
    """Hourly readings; from hour ``since`` on base volume and factor are shares of the truth."""
    rng = Random(seed)
    volume, converted = start
    made = []
    for n in range(count):
        pressure = round(103.3 + rng.uniform(-0.2, 0.2), 2)
        temperature = round(12 + rng.uniform(-1.5, 1.5), 1)
        true = factor_of(pressure, temperature, *bases)
        shown = round(true * (factor if n >= since else 1), 5)
        used = use * rng.choice((0, 0, 0.5, 1, 2))
        volume = (volume + used) % 1e6
        converted = (converted + used * shown * (base if n >= since else 1)) % 1e6
        made.append(
            reading(
                GAS, n, n * 60, offset=n, late=0.1, volume=int(volume * 1000) / 1000,
                volume_base=int(converted * 1000) / 1000, temperature=temperature,
                pressure=pressure, conversion_factor=shown,
            )
        )  # fmt: skip
    return made


def found(readings, devices=None, **settings):
    checks = {CODE: settings} if settings else {}
    return Running([GAS], devices, checks).judged(readings).found(CODE)


def test_the_worked_example_of_the_domain():
    assert factor_of(103.3, 12.0, 101.325, 20.0) == pytest.approx(1.04809, abs=5e-6)


@pytest.mark.parametrize("seed", range(10))
def test_an_honest_converter_is_never_flagged(seed):
    assert found(hours(24 * 40, seed=seed)) == []


@pytest.mark.parametrize("share", [0.97, 1.02, 1.03, 1.09])
def test_base_volume_that_grows_otherwise_is_one_flag_from_the_window_where_it_began(share):
    (flag,) = found(hours(24 * 20, base=share, since=24 * 8))
    assert (flag.code, flag.severity) == (CODE, "major")
    assert flag.evidence["quantity"] == "volume_base"
    assert T0 + 7 * 24 * HOUR <= flag.since <= T0 + 9 * 24 * HOUR
    assert flag.evidence["observed"] / flag.evidence["expected"] == pytest.approx(share, abs=0.01)
    assert abs(flag.evidence["observed"] - flag.evidence["expected"]) > flag.evidence["tolerance"]


@pytest.mark.parametrize(("share", "flags"), [(1.009, 0), (1.012, 1), (0.988, 1), (1.05, 1)])
def test_the_factor_is_recomputed_from_pressure_and_temperature(share, flags):
    assert len(found(hours(24 * 4, factor=share, since=30))) == flags


def test_a_factor_that_is_wrong_tells_since_when_and_with_what():
    (flag,) = found(hours(24 * 4, factor=1.05, since=30))
    assert flag.since == T0 + 30 * HOUR
    inputs = flag.evidence["inputs"]
    expected = (
        inputs["pressure"] / inputs["base_pressure"]
        * (inputs["base_temperature"] + 273.15) / (inputs["temperature"] + 273.15)
    )  # fmt: skip
    assert flag.evidence["expected"] == pytest.approx(expected)
    assert flag.evidence["quantity"] == "conversion_factor"


@pytest.mark.parametrize(
    "parameters",
    [{"conversion": {"p_base": 101.325, "t_base": 15}}, {"base_temperature": 15.0}],
)
def test_the_registry_tells_the_base_conditions(parameters):
    elsewhere = hours(24 * 4, bases=(101.325, 15))
    assert len(found(elsewhere)) == 1
    assert found(elsewhere, {"d1": Device(device_id="d1", parameters=parameters)}) == []


def test_compressibility_widens_the_tolerance_under_pressure():
    def at(pressure, share):
        shown = factor_of(pressure, 12.0, 101.325, 20.0) * share
        return [
            reading(GAS, n, n * 60, offset=n, late=0.1, temperature=12.0, pressure=pressure,
                    conversion_factor=shown)
            for n in range(6)
        ]  # fmt: skip

    assert len(found(at(103.0, 1.02))) == 1
    assert found(at(501.0, 1.02)) == []
    assert len(found(at(501.0, 1.04))) == 1


def test_a_restart_that_shows_zero_once_and_a_rollover_are_no_mismatch():
    readings = hours(24 * 12, start=(999_990.0, 999_950.0), use=2.0)
    glitched = readings[100]
    values = (0.0, 0.0, *glitched.values[2:])
    readings[100] = type(glitched)(
        *(getattr(glitched, name) for name in glitched.__struct_fields__[:-1]), values
    )
    assert found(readings) == []


def test_a_replaced_meter_begins_anew():
    before = hours(24 * 8)
    after = hours(24 * 16, start=(3.0, 3.0))[24 * 8 :]
    devices = {"d1": Device(device_id="d1")}
    assert found(before + after, devices) == []


def test_no_gas_is_no_mismatch_however_long():
    assert found(hours(24 * 30, use=0.0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_order_of_arrival_and_restarts_change_nothing(seed):
    readings = hours(24 * 15, base=1.04, since=100, seed=seed)
    plain = Running([GAS]).judged(readings).found(CODE)
    assert plain
    mixed = Running([GAS], restart_every=31).judged(shuffled(readings, Random(seed))).found(CODE)
    assert told(mixed) == told(plain)
