"""A lasting drop of consumption, and what only looks like one."""

from __future__ import annotations

import random
from math import sqrt
from statistics import mean, stdev

import pytest

from gateway.checks import Judge
from gateway.checks.drops import amount, code
from gateway.devices import Registry
from gateway.records import Device
from tests.checks.metering import Meter, codes, found, registered
from tests.checks.support import T0, final

HOME = registered({"q3": 2.5, "q4": 3.125})
DAY = 86_400 * 10**9


def drops(flags):
    return [f for f in flags if f.code == "consumption_drop"]


@pytest.mark.parametrize("kind", ["electricity_meter", "water_meter", "gas_meter", "heat_meter"])
@pytest.mark.parametrize("seed", range(3))
def test_a_bypass_of_two_thirds_is_seen_after_two_or_three_weeks(kind, seed):
    meter = Meter(kind, seed=seed)
    readings = meter.readings(50, share=lambda day: 0.33 if day >= 20 else 1.0)
    (flag,) = found(readings, meter.layout, HOME)
    assert (flag.code, flag.severity, flag.status) == ("consumption_drop", "minor", "open")
    assert flag.evidence["inputs"]["ratio"] == pytest.approx(0.33, abs=0.12)
    told = readings[flag.ledger_offset].measured_at
    assert 11 <= (told - T0) / DAY - 20 <= 23
    assert abs((flag.since - T0) / DAY - 20) <= 2.5


def test_the_evidence_of_a_drop_can_be_recomputed_from_its_days():
    meter = Meter()
    readings = meter.readings(45, share=lambda day: 0.3 if day >= 13 else 1.0)
    (flag,) = found(readings, meter.layout, HOME)
    told, seen = flag.evidence["inputs"], flag.evidence
    days = told["days"]
    assert seen["measure"] == "use of a day"
    end = min(days - 10, days // 2)
    before = [day for day in told["uses"][:-days] if day is not None]
    # fewer than three of each weekday are known before: the mean of all days is the usual one
    usual = mean(before)
    assert max(before) < 3 * usual
    after = [day / usual for day in told["uses"][-days:]]
    assert told["ratio"] == pytest.approx(mean(after), abs=0.001)
    spread = stdev(day / usual for day in before)
    level = sorted(after)[len(after) // 2]
    assert seen["visible_ratio"] == pytest.approx(
        min(
            0.5,
            level + (1 - level) / 4,
            1 - 2.5 * spread * sqrt(1 / end + 1 / len(before)),
            1 - 3 * spread * sqrt(1 / len(after) + 1 / len(before)),
        ),
        abs=0.002,
    )
    assert max(mean(after), mean(after[:end]), mean(after[-end:])) < seen["visible_ratio"]
    assert seen["expected"] == pytest.approx(usual, rel=0.001)
    assert seen["observed"] == pytest.approx(usual * told["ratio"], rel=0.001)
    shown = readings[flag.ledger_offset].values[0]
    since = max(r.values[0] for r in readings if r.measured_at <= flag.since)
    assert shown - since == pytest.approx(sum(told["uses"][-days:]), abs=0.1)


def test_where_little_is_used_now_and_then_the_size_of_the_steps_shows_it():
    cook = random.Random(5)
    eaten = [0.0]
    for _ in range(24 * 60):
        eaten.append(eaten[-1] + (cook.uniform(0.3, 0.6) if cook.random() < 0.06 else 0.0))

    def cooker(cut):
        meter = Meter("gas_meter", first=0)

        def change(number, body):
            told = min(number, 20 * 24)
            body["volume"] = round(100 + eaten[told] + cut * (eaten[number] - eaten[told]), 3)
            body["flow_rate"] = 0.0

        return found(meter.readings(55, change=change), meter.layout, HOME)

    assert codes(cooker(1.0)) == []
    (flag,) = drops(cooker(0.35))
    assert flag.severity == "minor"
    told, days = flag.evidence["inputs"], flag.evidence["inputs"]["days"]
    if flag.evidence["measure"] == "mean step":
        steps = [
            sum(use for use in told["uses"][part] if use is not None) / sum(told["moves"][part])
            for part in (slice(1, -days), slice(-days, None))
        ]
        assert told["ratio"] == pytest.approx(steps[1] / steps[0], abs=0.02)


@pytest.mark.parametrize(
    ("share", "days"), [(0.35, 10), (0.12, 10), (0.5, 11)], ids=["home less", "away", "long"]
)
@pytest.mark.parametrize("kind", ["electricity_meter", "water_meter"])
def test_a_holiday_is_no_drop(share, days, kind):
    for seed in range(4):
        meter = Meter(kind, seed=seed)
        readings = meter.readings(50, share=lambda day: share if 20 <= day < 20 + days else 1.0)
        assert codes(found(readings, meter.layout, HOME)) == []


@pytest.mark.parametrize("left", [0.0, 0.04])
def test_an_empty_house_is_information_and_ends(left):
    meter = Meter("electricity_meter", interval=60)
    readings = meter.readings(80, share=lambda day: left if 20 <= day < 60 else 1.0)
    flags = found(readings, meter.layout, HOME)
    assert codes(flags) == []
    (flag,) = drops(flags)
    assert (flag.severity, flag.status) == ("info", "ended")
    assert flag.evidence["looks_empty"] is True


def test_a_house_that_is_used_a_little_again_is_a_drop():
    meter = Meter("electricity_meter", interval=60)
    share = {0: 1.0, 1: 0.03, 2: 0.35}
    readings = meter.readings(75, share=lambda day: share[0 if day < 20 else 1 if day < 40 else 2])
    (flag,) = drops(found(readings, meter.layout, HOME))
    assert flag.severity == "minor"


def test_weekends_are_no_drop_and_hide_none():
    meter = Meter("electricity_meter", interval=60)
    week = lambda day: 0.1 if int(day) % 7 in {2, 3} else 1.0  # noqa: E731
    assert codes(found(meter.readings(60, share=week), meter.layout, HOME)) == []
    meter = Meter("electricity_meter", interval=60)
    cut = meter.readings(60, share=lambda day: week(day) * (0.35 if day >= 30 else 1.0))
    assert codes(found(cut, meter.layout, HOME)) == ["consumption_drop"]


def test_a_season_that_fades_is_no_drop():
    meter = Meter("gas_meter")
    readings = meter.readings(90, share=lambda day: 0.98**day)
    assert codes(found(readings, meter.layout, HOME)) == []


def test_another_meter_hides_no_day_but_its_own():
    meter = Meter()
    at = 20 * 24
    when = T0 + 20 * DAY
    registry = registered(
        {"serial_number": "1", "parameters": {}},
        {"serial_number": "2", "parameters": {}, "valid_from": when},
    )
    first = {}

    def change(number, body):
        first.setdefault("value", body["volume"]) if number == at else None
        if number >= at:
            body["volume"] = round(body["volume"] - first["value"], 3)

    assert found(meter.readings(45, change=change), meter.layout, registry) == []


def neighbours(count, share, *, parent=None):
    """Readings of several meters in the order of receipt."""
    meters = [
        Meter("electricity_meter", seed=n, device_id=f"d{n}", interval=120) for n in range(count)
    ]
    devices = Registry(
        [
            Device(
                device_id=m.device_id,
                region="110000",
                parameters={"parent": parent} if parent else {},
            )
            for m in meters
        ]
    )
    readings = [
        r
        for n, m in enumerate(meters)
        for r in m.readings(50, share=lambda day, n=n: share(n, day))
    ]
    readings.sort(key=lambda r: r.received_at)
    judge = Judge(devices, {})
    bound = judge.bind(meters[0].layout, {}, "test.yaml")
    flags = []
    for one in readings:
        if one.received_at >= judge.next_advance:
            judge.advance(one.received_at, flags)
        judge.judge(bound, one, flags)
    return {f.device_id for f in drops(final(flags).values()) if f.severity != "info"}


@pytest.mark.parametrize("parent", [None, "feeder-1"], ids=["region", "feeder"])
def test_what_all_neighbours_do_is_no_drop(parent):
    assert neighbours(12, lambda _n, day: 0.4 if day >= 20 else 1.0, parent=parent) == set()


def test_what_one_of_them_does_is_one():
    only = neighbours(12, lambda n, day: 0.4 if day >= 20 and n == 3 else 1.0)
    assert only == {"d3"}


@pytest.mark.parametrize("use", [1e-5, 0.001, 0.123, 7.0, 12_345.6, 1e9])
def test_a_days_use_is_kept_to_a_thousandth(use):
    assert amount(code(use)) == pytest.approx(use, rel=0.0006)
    assert amount(code(0.0)) == 0.0
    assert amount(0) is None
