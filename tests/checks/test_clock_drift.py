"""Clocks that are behind, networks that are late, and gateways that are wrong themselves."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from gateway.devices import Registry
from gateway.records import Device
from tests.checks.running import Running, shuffled, told
from tests.checks.support import MINUTE, T0, reading, water_layout

LAYOUT = water_layout()
CODE = "clock_drift"
SECOND = 10**9
HOUR = 60 * MINUTE


def drifting(behind, *, count=200, every=60, seed=1, network=None, device_id="d1"):
    """Readings whose stamps are ``behind(hour)`` seconds behind; received after the network's."""
    rng = Random(seed)
    made = []
    for n in range(count):
        true = T0 + n * every * MINUTE
        way = network(rng) if network else rng.uniform(0.05, 3)
        one = reading(LAYOUT, n, n * every, offset=n, device_id=device_id, volume=float(n))
        stamped = true - round(behind(n * every / 60) * SECOND)
        received = true + round(way * SECOND)
        made.append(msgspec.structs.replace(one, measured_at=stamped, received_at=received))
    return sorted(made, key=lambda each: each.received_at)


def found(readings, devices=None, code=CODE, **settings):
    checks = {CODE: settings} if settings else {}
    return Running([LAYOUT], devices, checks).judged(readings).found(code)


@pytest.mark.parametrize(
    ("behind", "severities"),
    [(0, []), (55, []), (64, ["minor"]), (290, ["minor"]), (310, ["major"])],
)
def test_a_clock_behind_is_minor_above_a_minute_and_major_above_five(behind, severities):
    flags = found(drifting(lambda _: behind))
    assert [flag.severity for flag in flags] == severities
    for flag in flags:
        assert flag.evidence["observed"] == pytest.approx(behind, abs=3)


def test_a_clock_that_loses_two_minutes_a_day_is_told_within_a_day_and_grows_major():
    flags = Running([LAYOUT]).judged(drifting(lambda hour: hour * 5, count=100))
    (flag,) = flags.found(CODE)
    assert flag.severity == "major"
    assert flag.since == pytest.approx(T0 + 12 * HOUR, abs=2 * HOUR)
    first = next(flag for flag in flags.flags if flag.code == CODE)
    assert first.severity == "minor"
    assert first.measured_at - first.since <= 26 * HOUR


@pytest.mark.parametrize("seed", range(5))
def test_a_network_that_is_late_now_and_then_or_in_batches_is_no_clock(seed):
    def late(rng):
        return rng.uniform(5, 900) if rng.random() < 0.3 else rng.uniform(0.05, 3)

    assert found(drifting(lambda _: 0, network=late, seed=seed, count=600)) == []
    assert len(found(drifting(lambda _: 150, network=late, seed=seed, count=600))) == 1


def test_a_backlog_of_days_and_daily_uploads_are_no_clock():
    readings = drifting(lambda _: 0, count=400)
    held = [
        msgspec.structs.replace(one, received_at=T0 + 200 * HOUR + n * 20_000_000)
        if 100 <= n < 200
        else one
        for n, one in enumerate(readings)
    ]
    assert found(held) == []
    daily = [
        msgspec.structs.replace(one, received_at=T0 + (n // 24 + 1) * 24 * HOUR + n)
        for n, one in enumerate(readings)
    ]
    assert found(daily) == []
    # four readings of a quarter of an hour in each hourly message
    hourly = [
        msgspec.structs.replace(one, received_at=T0 + (n // 4 + 1) * HOUR)
        for n, one in enumerate(drifting(lambda _: 0, every=15, count=400))
    ]
    run = Running([LAYOUT]).judged(hourly)
    assert run.found(CODE) == []


def test_a_clock_that_is_ahead_is_told_by_future_timestamp_alone():
    ahead = drifting(lambda _: -120)
    assert found(ahead) == []
    assert len(found(ahead, code="future_timestamp")) == 1
    assert found(drifting(lambda _: 120), code="future_timestamp") == []


def test_the_flag_ends_when_the_clock_is_right_again():
    (flag,) = found(drifting(lambda hour: 200 if hour < 100 else 0))
    assert flag.status == "ended"
    assert T0 + 95 * HOUR <= flag.until <= T0 + 100 * HOUR


def test_a_version_of_the_registry_ends_it_at_once():
    devices = Registry([
        Device(device_id="d1"), Device(device_id="d1", valid_from=T0 + 100 * HOUR),
    ])  # fmt: skip
    run = Running([LAYOUT], devices)
    run.judged(drifting(lambda hour: 200 if hour < 100 else 0, count=103))
    flags = [flag for flag in run.flags if flag.code == CODE]
    assert flags[-1].status == "ended"


def test_a_wrong_clock_of_the_gateway_is_no_fault_of_all_devices():
    fleet = [
        one for n in range(10)
        for one in drifting(lambda hour: 120 if hour > 60 else 0, seed=n, device_id=f"d{n}")
    ]  # fmt: skip
    fleet.sort(key=lambda each: each.received_at)
    run = Running([LAYOUT]).judged(fleet)
    assert run.found(CODE) == []
    assert run.judge.not_judged[CODE, "most devices of the profile are behind alike"] > 0


def test_one_of_a_model_that_always_sends_two_hours_later_is_judged_by_the_others():
    frozen = [
        one for n in range(10)
        for one in drifting(
            lambda _, n=n: 7200 + (900 if n == 4 else 0), seed=n, device_id=f"d{n}", count=300
        )
    ]  # fmt: skip
    frozen.sort(key=lambda each: each.received_at)
    flags = found(frozen)
    assert [flag.device_id for flag in flags if flag.status == "open"] == ["d4"]
    assert found(drifting(lambda _: 7200), expected=7200.0) == []


def test_the_median_is_of_twenty_messages_at_least():
    assert found(drifting(lambda _: 100, count=24)) == []
    assert len(found(drifting(lambda _: 100, count=26))) == 1


@pytest.mark.parametrize("seed", range(4))
def test_order_of_arrival_and_restarts_change_nothing_that_counts(seed):
    rng = Random(seed)
    readings = drifting(lambda hour: hour * 2, seed=seed)
    plain = Running([LAYOUT]).judged(readings).found(CODE)
    assert plain
    mixed = Running([LAYOUT], restart_every=9).judged(shuffled(readings, rng)).found(CODE)
    assert told(mixed) == told(plain)
