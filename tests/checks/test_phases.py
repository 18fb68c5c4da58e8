"""A phase without voltage while others have it."""

from __future__ import annotations

from random import Random

import pytest

from gateway.profiles.layout import Layout
from gateway.records import Device
from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading

PHASE = Layout(
    "electricity_meter", "periodic", "test@1.0.0", ("voltage", "amperage"), {}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
WELL = {"L1": (221.0, 3.0), "L2": (222.0, 2.5), "L3": (220.0, 3.2)}
CODE = "phase_loss"


def messages(*states):
    """One message a state: phases by name with voltage and amperage."""
    return [
        reading(PHASE, n, n * 15, offset=n, late=0.1, channel=name, voltage=volts, amperage=amps)
        for n, state in enumerate(states)
        for name, (volts, amps) in state.items()
    ]


def without(name, volts=3.0, amps=2.5):
    return WELL | {name: (volts, amps)}


def found(readings, devices=None, **settings):
    checks = {CODE: settings} if settings else {}
    return Running([PHASE], devices, checks).judged(readings).found(CODE)


def test_voltage_lost_while_current_flows_is_major_from_the_first_message_to_the_last():
    (flag,) = found(messages(*[WELL] * 4, *[without("L2")] * 6, *[WELL] * 4))
    assert (flag.severity, flag.channel, flag.status) == ("major", "L2", "ended")
    assert (flag.since, flag.until) == (T0 + 60 * MINUTE, T0 + 135 * MINUTE)
    assert flag.evidence["observed"] == 3.0
    assert flag.evidence["amperage"] == 2.5
    assert flag.evidence["others"] == {"L1": 221.0, "L3": 220.0}
    assert flag.evidence["count"] == 5


def test_a_phase_that_is_off_without_current_is_minor_and_grows_major_when_current_flows():
    dark = without("L3", 0.0, 0.01)
    (minor,) = found(messages(*[WELL] * 4, *[dark] * 6))
    assert (minor.severity, minor.status) == ("minor", "open")
    (major,) = found(messages(*[WELL] * 4, *[dark] * 6, *[without("L3", 0.0, 1.0)] * 3))
    assert (major.id, major.severity) == (minor.id, "major")


def test_a_phase_that_never_had_voltage_is_connected_so():
    assert found(messages(*[without("L2", 0.0, 0.0)] * 20)) == []
    assert len(found(messages(*[without("L2", 0.0, 1.0)] * 20))) == 1


def test_one_message_is_no_loss_and_a_supply_that_fails_as_a_whole_is_none():
    dead = dict.fromkeys(WELL, (0.0, 0.0))
    assert found(messages(*[WELL] * 4, without("L1"), WELL, *[dead] * 5, *[WELL] * 4)) == []


def test_a_meter_of_one_phase_cannot_lose_one():
    one = {"L1": (220.0, 2.0)}
    assert found(messages(*[one] * 4, *[{"L1": (20.0, 2.0)}] * 9, one)) == []


def test_the_threshold_is_sixty_percent_and_five_percent_of_basic_current():
    assert found(messages(*[WELL] * 4, *[without("L1", 132.1)] * 6)) == []
    assert len(found(messages(*[WELL] * 4, *[without("L1", 131.9)] * 6))) == 1
    weak = messages(*[without("L1", 10.0, 0.3)] * 6)
    assert [flag.severity for flag in found(weak)] == ["major"]
    large = {"d1": Device(device_id="d1", parameters={"basic_current": 20})}
    assert found(weak, devices=large) == []


def test_phases_that_come_in_pieces_are_judged_when_the_next_message_begins():
    pieces = messages(*[WELL] * 4, *[without("L2")] * 6)
    thin = [one for one in pieces if one.channel != "L3" or one.sequence % 2]
    (flag,) = found(thin)
    assert flag.channel == "L2"


@pytest.mark.parametrize("seed", range(5))
def test_order_of_arrival_and_restarts_change_nothing(seed):
    rng = Random(seed)
    states = [s for _ in range(8) for s in [rng.choice([WELL, without("L1"), without("L3")])] * 5]
    readings = messages(*states)
    plain = Running([PHASE]).judged(readings).found(CODE)
    assert plain
    mixed = Running([PHASE], restart_every=4).judged(shuffled(readings, rng)).found(CODE)
    assert told(mixed) == told(plain)
