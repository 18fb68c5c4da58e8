"""Faults of any device, and honest troubles that the registry knows of."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulators.catalogue import KINDS
from simulators.clock import DAY, HOUR, MINUTE, parse_time
from tests.simulators.fleets import START, bodies, compared, fleet, run

WITH_ALARMS = [kind for kind, made in KINDS.items() if "tampered" in made.cheats]


@pytest.mark.parametrize("kind", WITH_ALARMS)
@pytest.mark.parametrize(
    ("cheat", "code"), [("tampered", "tamper_alarm"), ("faulty", "device_fault")]
)
def test_an_alarm_comes_once_with_a_number_of_its_own_and_bits_while_it_lasts(kind, cheat, code):
    _, spoilt, [event] = compared(kind, cheat, days=3)
    assert event.code == code
    alarms = [body for body in spoilt.values() if body["type"] == "alarm"]
    assert [body["ts"] for body in alarms] == [event.since]
    assert len(alarms[0]["alarms"]) == 1
    for body in spoilt.values():
        told = event.since <= body["ts"] <= event.until
        if body["type"] not in ("alarm", "tank"):
            assert bool(body.get("status")) == told
    numbers = sorted((number + 2**31) % 2**32 for number in spoilt)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_low_battery_shows_in_its_voltage():
    for seed in range(12):
        honest, spoilt, [event] = compared("water_meter", "faulty", seed=seed)
        [alarm] = [body for body in spoilt.values() if body["type"] == "alarm"]
        if alarm["alarms"] == ["battery_low"]:
            after = [b for b in spoilt.values() if b["ts"] > event.since]
            assert all(body["battery_voltage"] < 3.1 for body in after)
            assert all(body["battery_voltage"] > 3.4 for body in honest.values())
            return
    raise AssertionError("no device with a low battery among twelve")


def test_a_drifting_clock_falls_behind_by_minutes_a_day():
    messages, [event, *also] = run("water_meter", devices=1, days=5, cheats=(("clock_drift", 1.0),))
    assert not any(each.required for each in also)
    behind = [
        (m.received_at, m.received_at - b["ts"])
        for m, (_, b) in zip(messages, bodies(messages), strict=True)
    ]
    assert behind[0][1] < MINUTE
    assert 4 * MINUTE < behind[-1][1] < 21 * MINUTE
    for received, late in behind:
        if received < event.since:
            assert late < 1.5 * MINUTE


def test_a_silent_device_never_speaks_again():
    messages, [event] = run("gas_meter", devices=1, days=4, cheats=(("silent", 1.0),))
    last = bodies(messages)[-1][1]["ts"]
    assert event.since == last < START + 1.2 * DAY
    assert event.until == START + 4 * DAY


def test_a_backlog_comes_at_once_and_loses_nothing():
    honest, _ = run("electricity_meter", devices=1, days=7)
    messages, events = run("electricity_meter", devices=1, days=7, cheats=(("backlog", 1.0),))
    [event] = [each for each in events if each.required]
    assert [each.payload for each in messages] == [each.payload for each in honest]
    kept = [
        m
        for m, (_, body) in zip(messages, bodies(messages), strict=True)
        if m.received_at - body["ts"] > 10 * MINUTE
    ]
    assert len(kept) > 40
    assert all(0 <= m.received_at - event.until < 3 * MINUTE for m in kept)
    gaps = [b.received_at - a.received_at for a, b in pairwise(messages)]
    assert max(gaps) == pytest.approx(event.until - event.since, abs=20 * MINUTE)
    assert 12 * HOUR <= event.until - event.since <= 97 * HOUR


@pytest.mark.parametrize(
    ("kind", "cheat"),
    [
        (kind, cheat)
        for kind in ("electricity_meter", "water_meter", "gas_meter", "heat_meter")
        for cheat in ("meter_replaced", "verification_visit")
        if cheat in KINDS[kind].cheats
    ],
)
def test_the_registry_knows_of_another_meter_and_another_certificate(kind, cheat):
    made, _ = fleet(kind, devices=1, days=3, cheats=((cheat, 1.0),))
    first, second = made.registry()
    assert "valid_from" not in first
    when = parse_time(second["valid_from"])
    assert START + 2 * HOUR <= when <= START + 1.2 * DAY
    assert second["verified_at"] == second["valid_from"]
    assert second["certificate"] != first["certificate"]
    assert (second["serial_number"] == first["serial_number"]) == (cheat == "verification_visit")
    honest, spoilt, _ = compared(kind, cheat, days=3)
    other = [body["ts"] for n, body in spoilt.items() if body != honest[n]]
    assert when <= min(other) <= when + HOUR


def test_registers_that_reset_daily_say_so_in_the_registry():
    made, _ = fleet("water_meter", devices=1, cheats=(("daily_reset", 1.0),))
    [line] = made.registry()
    assert line["parameters"]["resets"] == "daily"
    assert line["parameters"]["q3"] == 2.5


def test_a_clock_that_is_set_now_and_then_is_never_a_minute_off():
    honest, spoilt, _ = compared("water_meter", "clock_set", days=20)
    off = [abs(spoilt[n]["ts"] - body["ts"]) for n, body in honest.items()]
    assert 30_000 < max(off) < MINUTE
    stamps = [spoilt[n]["ts"] for n in sorted(honest, key=lambda n: honest[n]["ts"])]
    assert stamps == sorted(stamps)
