"""Voltage and frequency outside the limits of the supply."""

from __future__ import annotations

from random import Random

import pytest

from gateway.errors import ProfileError
from gateway.profiles.layout import Layout
from gateway.records import Device
from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading

PHASE = Layout(
    "electricity_meter", "periodic", "test@1.0.0", ("voltage", "amperage"), {}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
TOTAL = Layout(
    "electricity_meter", "periodic", "test@1.0.0", ("energy_import", "frequency"), {}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
VOLTAGE, FREQUENCY = "voltage_out_of_limits", "frequency_out_of_limits"


def voltages(values, *, channel="L1", every=15, device_id="d1"):
    return [
        reading(PHASE, n, n * every, offset=n, late=0.1, channel=channel, device_id=device_id,
                voltage=v, amperage=1.0)
        for n, v in enumerate(values)
    ]  # fmt: skip


def frequencies(values):
    return [
        reading(TOTAL, n, n * 15, offset=n, late=0.1, energy_import=float(n), frequency=f)
        for n, f in enumerate(values)
    ]


def found(readings, code=VOLTAGE, devices=None, **settings):
    checks = {code: settings} if settings else {}
    return Running([PHASE, TOTAL], devices, checks).judged(readings).found(code)


@pytest.mark.parametrize(
    ("low", "high", "flags"),
    [(198.0, 235.4, 0), (197.9, 230.0, 1), (210.0, 235.5, 1)],
)
def test_the_limits_of_220_volts_are_those_of_the_standard(low, high, flags):
    assert len(found(voltages([220.0, *[low] * 10, 220.0, *[high] * 10, *[220.0] * 5]))) == flags


def test_one_flag_from_the_first_to_the_last_reading_outside_with_the_extreme():
    (flag,) = found(voltages([220.0] * 4 + [240.0, 244.0, 241.0, 239.0] + [225.0] * 6))
    assert (flag.since, flag.until) == (T0 + 60 * MINUTE, T0 + 105 * MINUTE)
    assert (flag.status, flag.severity, flag.channel) == ("ended", "minor", "L1")
    assert flag.evidence["extreme"] == 244.0
    assert flag.evidence["expected"] == {"low": 198.0, "high": 235.4}
    assert flag.evidence["count"] == 2


def test_a_dip_of_two_readings_and_one_broken_reading_are_no_state_of_the_supply():
    values = [220.0, 190.0, 190.0, 221.0, 6553.5, 220.0, 190.0, 222.0] * 5
    assert found(voltages(values)) == []


def test_many_readings_within_ten_minutes_are_not_enough():
    assert found(voltages([190.0] * 9 + [220.0] * 9, every=1)) == []
    assert len(found(voltages([190.0] * 12 + [220.0] * 15, every=1))) == 1


def test_a_voltage_that_wavers_about_the_limit_is_one_condition():
    wavering = [235.6, 235.2] * 20
    (flag,) = found(voltages([*[236.0] * 4, *wavering, *[225.0] * 4]))
    assert flag.until == T0 + (4 + 38) * 15 * MINUTE


def test_below_sixty_percent_is_a_matter_of_phase_loss():
    assert found(voltages([220.0] * 3 + [100.0] * 20 + [220.0] * 3)) == []


@pytest.mark.parametrize(
    ("told_by", "value", "flags"),
    [(380.0, 360.0, 0), (380.0, 350.0, 1), (57.7, 58.0, 0), (57.7, 51.0, 1), ("x", 250.0, 1)],
)
def test_the_registry_tells_the_nominal_voltage(told_by, value, flags):
    device = Device(device_id="d1", parameters={"nominal_voltage": told_by})
    assert len(found(voltages([value] * 10), devices={"d1": device})) == flags


def test_limits_may_be_set_and_the_check_switched_off():
    europe = {"low": 207.0, "high": 253.0}
    assert found(voltages([240.0] * 10), **europe) == []
    assert len(found(voltages([254.0] * 10), **europe)) == 1
    assert found(voltages([240.0] * 10), high="0.253 kV") == []
    with pytest.raises(ProfileError, match=r"checks\.voltage_out_of_limits\.high: .*'3 m'"):
        found([], high="3 m")
    off = Running([PHASE], checks={VOLTAGE: False}).judged(voltages([190.0] * 9))
    assert off.found(VOLTAGE) == []


def test_the_frequency_is_judged_by_the_standard_and_not_beyond_what_a_network_has():
    assert found(frequencies([50.2, 49.8] * 10), FREQUENCY) == []
    (flag,) = found(frequencies([50.0] * 3 + [49.77, 49.6, 49.7] + [50.0] * 5), FREQUENCY)
    assert (flag.since, flag.until) == (T0 + 45 * MINUTE, T0 + 75 * MINUTE)
    assert flag.evidence["extreme"] == 49.6
    assert found(frequencies([60.0] * 10), FREQUENCY) == []
    assert len(found(frequencies([49.6] * 10), FREQUENCY, tolerance=0.5)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_order_of_arrival_and_restarts_change_nothing(seed):
    rng = Random(seed)
    values = [rng.choice([220.0, 220.0, 237.0]) for _ in range(30) for _ in range(4)]
    readings = voltages([v for v in values for _ in range(3)], every=5)
    plain = Running([PHASE]).judged(readings).found(VOLTAGE)
    assert plain
    mixed = Running([PHASE], restart_every=7).judged(shuffled(readings, rng)).found(VOLTAGE)
    assert told(mixed) == told(plain)
