"""Heat meters: energy follows from volume and temperatures, and there is a season for it."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import pytest

from simulators.clock import DAY, HOUR, parse_time
from simulators.heat_meter import heat_coefficient
from simulators.weather import heating_season, outdoors, sunshine
from tests.simulators.fleets import START, bodies, run


def readings(**options):
    messages, _ = run("heat_meter", **options)
    found = defaultdict(list)
    for device, body in bodies(messages):
        found[device].append(body)
    return list(found.values())


def test_the_heat_coefficient_is_that_of_water():
    # density and specific heat of water, rounded, as tables of steam give them
    for flow, back, density, heat in ((60, 40, 992.22, 4.1796), (90, 60, 983.2, 4.191)):
        assert heat_coefficient(flow, back) == pytest.approx(density * heat / 3600, rel=0.001)
    assert 1.13 < heat_coefficient(95, 70) < heat_coefficient(30, 20) < 1.165


def test_energy_is_volume_times_difference_times_k():
    for series in readings(devices=6, days=4):
        energy = expected = 0.0
        for before, after in pairwise(series):
            volume = (after["volume"] - before["volume"]) % 10**6
            mean = [
                (before[name] + after[name]) / 2
                for name in ("flow_temperature", "return_temperature")
            ]
            step = heat_coefficient(*mean) * (mean[0] - mean[1]) * volume
            moved = (after["energy"]["heating"] - before["energy"]["heating"]) % 10**8
            # two displays cut to 0.01 kWh, and two to 1 L of some kWh a cubic metre each
            assert moved == pytest.approx(step, abs=0.02 + 0.001 * 1.2 * (mean[0] - mean[1]))
            energy += moved
            end = after["flow_temperature"] - after["return_temperature"]
            expected += 1.15 * end * volume
        assert energy == pytest.approx(expected, rel=0.012)


def test_what_is_shown_at_a_moment_agrees():
    for series in readings(devices=4, days=2):
        for body in series:
            apart = body["flow_temperature"] - body["return_temperature"]
            assert body["temperature_difference"] == pytest.approx(apart, abs=0.006)
            assert 3 < apart < 60
            k = heat_coefficient(body["flow_temperature"], body["return_temperature"])
            assert body["power"] == pytest.approx(k * apart * body["flow_rate"], rel=0.01)
            assert 0 < body["flow_rate"] < 1.5


def test_nothing_is_heated_out_of_season():
    summer = parse_time("2026-06-01T00:00:00+08:00")
    for series in readings(devices=3, days=3, start=summer):
        assert {body["flow_rate"] for body in series} == {0}
        assert series[0]["energy"] == series[-1]["energy"]
        assert all(body["temperature_difference"] <= 0.11 for body in series)


def test_colder_days_take_more():
    days = []
    for series in readings(devices=8, days=20):
        by_day = defaultdict(list)
        for body in series:
            by_day[body["ts"] // DAY].append(body)
        for day, found in by_day.items():
            if len(found) == 24:
                used = (found[-1]["energy"]["heating"] - found[0]["energy"]["heating"]) % 10**8
                cold = sum(20 - outdoors(7, body["ts"]) for body in found) / 24
                days.append((day, used, cold))
    coldest = sorted(days, key=lambda each: each[2])
    tenth = len(coldest) // 10
    assert sum(used for _, used, _ in coldest[-tenth:]) > 1.15 * sum(
        used for _, used, _ in coldest[:tenth]
    )


def test_the_weather_is_that_of_beijing_and_the_same_for_all():
    year = [START + day * DAY + 4 * HOUR for day in range(365)]
    months = [outdoors(1, at) for at in year]
    assert -8 < sum(months[:31]) / 31 < 2
    assert 24 < sum(months[178:209]) / 31 < 34
    assert outdoors(1, START) == outdoors(1, START)
    assert outdoors(1, START) != outdoors(2, START)
    assert sum(heating_season(at) for at in year) == pytest.approx(120, abs=3)
    assert sunshine(1, START) == 0
    assert all(0 < sunshine(1, at + 8 * HOUR) <= 0.8 for at in year)
