"""Devices that fall silent, the backlogs that follow, and a way that fails for all of them."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading, water_layout

LAYOUT = water_layout()
SILENT, BURST = "silent_device", "burst_after_silence"
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def hourly(hours, *, device_id="d1", first=0, every=60):
    """Readings measured at these hours and received at once."""
    return [
        reading(LAYOUT, first + n, hour * every + 3, offset=int(hour), late=0.1,
                device_id=device_id, volume=float(hour))
        for n, hour in enumerate(hours)
    ]  # fmt: skip


def together(*devices):
    """The readings of several devices in the order of receipt."""
    return sorted(
        (one for readings in devices for one in readings), key=lambda one: one.received_at
    )


def delayed(one, received_at):
    return msgspec.structs.replace(one, received_at=received_at)


def running(readings, until=None, **checks):
    run = Running([LAYOUT], checks=checks).judged(readings)
    if until is not None:
        for step in range(run.judge.order.clock, T0 + until, 10 * MINUTE):
            run.clock(step)
    return run


def test_a_device_that_is_heard_is_not_silent_whatever_its_pauses():
    rng = Random(1)
    hours = [n + rng.uniform(-0.3, 0.3) for n in range(24 * 30) if rng.random() > 0.1]
    assert running(hourly(hours), 24 * 30 * HOUR).found(SILENT) == []


def test_silence_is_found_by_the_clock_alone_six_hours_after_the_last_message():
    run = running(hourly(range(24 * 5)), 24 * 5 * HOUR + 4 * HOUR)
    assert run.found(SILENT) == []
    run = running(hourly(range(24 * 5)), 24 * 5 * HOUR + 7 * HOUR)
    (flag,) = run.found(SILENT)
    assert (flag.severity, flag.status, flag.channel) == ("minor", "open", None)
    assert flag.since == T0 + (24 * 5 - 1) * HOUR + round(3.1 * MINUTE)
    assert flag.evidence["observed"] == 6 * 3600
    assert flag.evidence["expected"] == 3600
    assert 6 * HOUR < flag.measured_at - flag.since < 6 * HOUR + 25 * MINUTE


def test_the_flag_grows_once_a_day_and_ends_with_the_next_reading():
    readings = hourly([*range(24 * 5), *range(24 * 9, 24 * 10)])
    run = Running([LAYOUT])
    run.judged(readings[: 24 * 5])
    for step in range(T0 + 24 * 5 * HOUR, T0 + 24 * 9 * HOUR, 10 * MINUTE):
        run.clock(step)
    versions = [flag for flag in run.flags if flag.code == SILENT]
    assert len({flag.id for flag in versions}) == 1
    assert 4 <= len(versions) <= 5
    (flag,) = run.judged(readings[24 * 5 :]).found(SILENT)
    assert flag.status == "ended"
    assert flag.until == readings[24 * 5].received_at
    assert flag.evidence["observed"] == (flag.until - flag.since) // 10**9


def test_the_usual_pause_is_the_devices_own():
    # a taxi: every minute by day, nothing for nine hours of the night, and a day off each week
    minutes = [
        d * 1440 + m for d in range(28) for m in range(0, 900, 5) if d % 7 != 6 or d > 24
    ]  # fmt: skip
    flags = running(hourly(minutes, every=1), 28 * DAY).found(SILENT)
    assert len(flags) <= 1  # the first day off, before it is a habit
    daily = hourly(range(0, 24 * 20, 24))
    assert running(daily, 21 * DAY).found(SILENT) == []
    (flag,) = running(daily, 23 * DAY).found(SILENT)
    assert flag.evidence["expected"] == 24 * 3600


def test_a_new_device_is_given_a_day():
    assert running(hourly(range(5)), 20 * HOUR).found(SILENT) == []
    assert len(running(hourly(range(5)), 30 * HOUR).found(SILENT)) == 1


def test_the_limits_can_be_set_and_the_check_switched_off():
    readings = hourly(range(24 * 5))
    settings = {SILENT: {"least": 3600.0, "factor": 1.5}}
    assert len(running(readings, 5 * DAY + HOUR, **settings).found(SILENT)) == 1
    assert running(readings, 9 * DAY, **{SILENT: False}).found(SILENT) == []


def test_when_all_are_silent_nothing_is_said_and_who_stays_silent_is_told_afterwards():
    fleet = [f"d{n}" for n in range(20)]
    before = [hourly(range(24 * 5), device_id=name) for name in fleet]
    after = [
        hourly(range(24 * 8, 24 * 10), device_id=name, first=24 * 5) for name in fleet[:-1]
    ]  # fmt: skip
    run = Running([LAYOUT]).judged(together(*before))
    for step in range(T0 + 5 * DAY, T0 + 8 * DAY, MINUTE):
        run.clock(step)
    assert [flag for flag in run.flags if flag.code == SILENT] == []
    run.judged(together(*after))
    assert [flag.device_id for flag in run.found(SILENT)] == ["d19"]


def test_a_jump_of_the_clock_between_two_captures_is_no_storm():
    fleet = [f"d{n}" for n in range(20)]
    early = [hourly(range(24 * 5), device_id=name) for name in fleet]
    later = [hourly(range(24 * 60, 24 * 65), device_id=name, first=120) for name in fleet]
    run = Running([LAYOUT]).judged(together(*early, *later))
    assert run.found(SILENT) == []


def test_a_third_of_the_fleet_is_told_one_by_one():
    fleet = [hourly(range(24 * 5), device_id=f"d{n}") for n in range(3)]
    alive = [hourly(range(24 * 8), device_id=f"e{n}") for n in range(6)]
    flags = running(together(*fleet, *alive)).found(SILENT)
    assert [flag.device_id for flag in flags] == ["d0", "d1", "d2"]


def backlog(silent_from, silent_to, *, days=9, device_id="d1"):
    """Hourly readings, of which those of the silence come when it is over, 50 ms apart."""
    readings = hourly(range(24 * days), device_id=device_id)
    made, kept = [], 0
    for one in readings:
        hour = (one.measured_at - T0) / HOUR
        if silent_from <= hour < silent_to:
            kept += 1
            made.append(delayed(one, T0 + silent_to * HOUR + kept * 50_000_000))
        else:
            made.append(one)
    return sorted(made, key=lambda one: one.received_at)


def test_what_was_kept_in_a_silence_is_one_flag_with_the_measured_span_and_the_count():
    run = running(backlog(24 * 5, 24 * 5 + 30))
    flags = [flag for flag in run.found() if flag.code in {SILENT, BURST}]
    burst = next(flag for flag in flags if flag.code == BURST)
    assert [flag.code for flag in flags] == [SILENT, BURST]
    assert (burst.severity, burst.status) == ("info", "ended")
    assert (burst.since, burst.until) == (
        T0 + 120 * HOUR + 3 * MINUTE,
        T0 + 149 * HOUR + 3 * MINUTE,
    )
    assert burst.evidence["count"] == 30
    assert 29 * 3600 < burst.evidence["silence"] < 31 * 3600


def test_a_short_outage_and_an_upload_once_a_day_are_no_backlog():
    assert running(backlog(24 * 5, 24 * 5 + 2)).found(BURST) == []
    daily = [
        delayed(one, T0 + (one.measured_at - T0) // DAY * DAY + DAY + 7 * HOUR)
        for one in hourly(range(24 * 20))
    ]  # fmt: skip
    assert len(running(daily).found(BURST)) <= 1


def test_a_month_of_backlog_is_one_flag():
    run = running(backlog(24 * 5, 24 * 35, days=40))
    assert len(run.found(BURST)) == len(run.found(SILENT)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_order_of_arrival_and_restarts_change_nothing(seed):
    rng = Random(seed)
    fleet = []
    for n in range(8):
        begin = 24 * 4 + rng.randrange(48)
        fleet.append(backlog(begin, begin + rng.randint(8, 40), device_id=f"d{n}"))
    readings = together(*fleet)
    plain = Running([LAYOUT]).judged(readings)
    mixed = Running([LAYOUT], restart_every=53).judged(shuffled(readings, rng))
    for code in (SILENT, BURST):
        assert plain.found(code)
        assert told(mixed.found(code)) == told(plain.found(code))
