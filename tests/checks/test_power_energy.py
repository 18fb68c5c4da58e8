"""Energy against power: registers over days, charging sessions one by one."""

from __future__ import annotations

from random import Random

import pytest

from gateway.checks.steps import EXCHANGED, Faces, Registers
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading

NAMES = ("energy_import", "energy_export", "power_active")
DIAL = Register(1e6, 0.01)
METER = Layout(
    "electricity_meter", "periodic", "test@1.0.0", NAMES,
    {"energy_import": DIAL, "energy_export": DIAL}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
SESSION = Layout(
    "ev_charger", "session", "test@1.0.0", ("energy", "started_at", "ended_at"), {}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
CODE = "power_energy_mismatch"
DAY = 24 * 60 * MINUTE
DAYS = 20


def home(rng):
    """kW minute by minute: a base, a fridge, a kettle of 2 kW six times a day, evenings."""
    base, kettles = rng.uniform(0.08, 0.3), {rng.randrange(1440) for _ in range(6)}

    def power(minute):
        at = minute % 1440
        watts = base + (0.12 if minute // 20 % 3 == 0 else 0.0)
        watts += 2.0 if any(0 <= at - kettle < 3 for kettle in kettles) else 0.0
        return watts + (0.4 if 1080 <= at < 1320 else 0.0)

    return power


def shop(rng):
    """A steady load with a compressor that is on for a third of the time."""
    base, phase = rng.uniform(1.0, 4.0), rng.randrange(30)
    return lambda minute: base + (3.0 if (minute + phase) % 33 < 11 else 0.0)


def sun(rng):
    """A roof: imports at night, exports at noon."""
    load, roof = rng.uniform(0.3, 0.5), rng.uniform(2.0, 4.0)

    def power(minute):
        at = minute % 1440
        return load - (roof * (1 - abs(at - 720) / 300) if 420 < at < 1020 else 0.0)

    return power


def quarters(load, *, seed=1, share=1.0, since=0, mean=True, days=DAYS):
    """Quarter-hourly readings; power is the interval's mean, or a sample at its end.

    From day ``since`` on the registers take ``share`` of what was used.
    """
    power = load(Random(seed))
    taken = given = 0.0
    made = []
    for n in range(days * 96):
        watts = [power(n * 15 + minute) for minute in range(15)]
        part = sum(watts) / 15 / 4 * (share if n >= since * 96 else 1)
        taken, given = taken + max(part, 0), given + max(-part, 0)
        shown = sum(watts) / 15 if mean else watts[-1]
        made.append(
            reading(
                METER, n, n * 15, offset=n, late=0.1, channel="total",
                energy_import=int(taken * 100) / 100, energy_export=int(given * 100) / 100,
                power_active=round(shown, 3),
            )
        )  # fmt: skip
    return made


def found(readings, devices=None, **settings):
    checks = {CODE: settings} if settings else {}
    return Running([METER, SESSION], devices, checks).judged(readings).found(CODE)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("load", [home, shop, sun])
def test_honest_registers_are_never_flagged_whatever_is_switched(load, mean, seed):
    assert found(quarters(load, seed=seed, mean=mean)) == []


@pytest.mark.parametrize("load", [home, shop])
@pytest.mark.parametrize("share", [0.6, 0.85, 0.92, 1.15])
def test_a_register_that_takes_otherwise_is_one_flag_from_the_day_it_began(load, share):
    (flag,) = found(quarters(load, share=share, since=6))
    assert T0 + 5 * DAY <= flag.since <= T0 + 8 * DAY
    assert flag.evidence["latest"] == pytest.approx(share, abs=0.03)
    difference = abs(flag.evidence["observed"] - flag.evidence["expected"])
    assert difference > flag.evidence["tolerance"]


def test_samples_of_a_steady_load_show_a_register_that_takes_a_half():
    assert len(found(quarters(home, share=0.5, since=6, mean=False))) == 1


def test_three_percent_is_within_the_tolerance():
    assert found(quarters(shop, share=0.97)) == []


def test_a_condition_ends_with_the_first_day_that_is_right():
    bad = quarters(shop, share=0.8, since=4, days=10)
    back = quarters(shop, days=20)[960:]
    rise = bad[-1].values[0] - back[0].values[0] + 1
    back = [
        reading(METER, one.sequence, one.sequence * 15, offset=one.sequence, late=0.1,
                channel="total", energy_import=round(one.values[0] + rise, 2),
                energy_export=one.values[1], power_active=one.values[2])
        for one in back
    ]  # fmt: skip
    (flag,) = found(bad + back)
    assert flag.status == "ended"
    assert flag.until <= T0 + 12 * DAY


def test_outages_and_one_jump_of_the_register_are_no_mismatch():
    readings = [one for one in quarters(home) if not 300 < one.sequence < 420]
    jumped = [
        reading(METER, one.sequence, one.sequence * 15, offset=one.sequence, late=0.1,
                channel="total", energy_import=one.values[0] + (500 if one.sequence > 900 else 0),
                energy_export=one.values[1], power_active=one.values[2])
        for one in readings
    ]  # fmt: skip
    assert found(jumped) == []


def session(energy, minutes, number=1, channel="A"):
    end = number * 1000
    return reading(
        SESSION, number, end, offset=number, late=0.1, channel=channel, energy=energy,
        started_at=T0 + (end - minutes) * MINUTE, ended_at=T0 + end * MINUTE,
    )  # fmt: skip


@pytest.mark.parametrize(("energy", "flags"), [(6.9, 0), (7.3, 0), (7.5, 1), (40.0, 1)])
def test_a_session_has_no_more_energy_than_rated_power_gives(energy, flags):
    charger = {"d1": Device(device_id="d1", parameters={"rated_power": 7})}
    assert len(found([session(energy, 60)], charger)) == flags


def test_rated_power_by_connector_and_by_setting_and_not_known():
    parameters = {"rated_power": {"A": 7, "B": 60}}
    charger = {"d1": Device(device_id="d1", parameters=parameters)}
    flags = found([session(30.0, 60, 1, "A"), session(30.0, 60, 2, "B")], charger)
    assert [flag.channel for flag in flags] == ["A"]
    assert flags[0].evidence["inputs"]["rated_power"] == 7.0
    assert len(found([session(30.0, 60)], rated_power=22.0)) == 1
    unknown = Running([SESSION]).judged([session(30.0, 60)])
    assert unknown.found(CODE) == []
    assert unknown.judge.not_judged[CODE, "the rated power is not known"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_order_of_arrival_and_restarts_change_nothing(seed):
    readings = quarters(home, share=0.8, since=3, seed=seed, days=10)
    plain = Running([METER]).judged(readings).found(CODE)
    assert plain
    mixed = Running([METER], restart_every=101).judged(shuffled(readings, Random(seed))).found(CODE)
    assert told(mixed) == told(plain)


def test_layouts_of_one_device_with_other_registers_disturb_no_reading():
    steps = Registers()
    names = ("energy_import", "energy_export")
    layout = Layout(
        "electricity_meter", "periodic", "test@1.0.0", names,
        dict.fromkeys(names, Register(1e6, 0.01)), None, False, True,
    )  # fmt: skip
    both = Faces(layout, ("energy_import", "energy_export"))
    one = Faces(layout, ("energy_import",))
    assert both.grown(steps, 1, [1.0, 2.0], 0) is EXCHANGED
    assert one.grown(steps, 2, [1.5], 0) is EXCHANGED
    assert one.grown(steps, 3, [2.0], 0) == [0.5]
