"""Taxis: streets, odometers, tracks and fares that agree, from messages alone."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from statistics import fmean

import pytest

from simulators import tariffs
from simulators.clock import DAY, HOUR, MINUTE, local_hour
from simulators.instrument import Setting
from simulators.streets import CELL, SPAN, City, Drive, city
from simulators.taximeter import Taximeter
from tests.simulators.fleets import START, bodies, fleet, run

LATEST = START + 8 * DAY


def by_device(found):
    groups = defaultdict(list)
    for device, body in found:
        groups[device].append(body)
    return {device: sorted(group, key=lambda body: body["ts"]) for device, group in groups.items()}


def test_streets_are_at_least_as_long_as_straight_lines_and_lead_both_ways():
    made = City(3)
    assert len(made.crossings) == SPAN**2
    streets = [
        (here, there, street)
        for here in range(SPAN**2)
        for there, street in made.streets[here].items()
    ]
    for here, there, street in streets:
        assert made.streets[there][here] is street
        assert street.chord == pytest.approx(made.distance(here, there))
        assert street.chord <= street.length < 1.11 * street.chord
        assert 200 < street.chord < 2 * CELL
    assert 0.01 < fmean(street.tunnel for _, _, street in streets) < 0.04
    # one in twelve of the grid is missing
    assert 0.89 < len(streets) / (4 * SPAN * (SPAN - 1)) < 0.94


def test_all_taxis_of_a_run_drive_in_one_city_and_other_runs_in_another():
    assert city(5) is city(5)
    assert city(5).crossings == City(5).crossings != City(6).crossings


def test_a_drive_reaches_its_goal_by_road():
    rng = Setting(1, "a", 0, START, MINUTE).random("way")
    drive = Drive(1, rng, 0.0)
    ratios = []
    for _ in range(200):
        drive.head_for(6_000)
        driven = 0.0
        while not drive.arrived:
            went = drive.go(150.0)
            assert went <= 150
            driven += went
        assert driven < 60_000
        ratios.append(driven / 6_000)
    assert 0.8 < fmean(ratios) < 1.3
    assert drive.go(100) == 0


def test_an_odometer_moves_as_the_track_does():
    messages, _ = run("taximeter", devices=3, days=0.5, interval=20_000)
    moved = hidden = 0
    for track in by_device(bodies(messages, "periodic")).values():
        for before, after in pairwise(track):
            road = (after["total_distance"] - before["total_distance"]) % 10**7
            assert road <= 0.55
            occupied = (after["occupied_distance"] - before["occupied_distance"]) % 10**7
            assert occupied <= road + 1e-6
            if "longitude" not in before or "longitude" not in after:
                hidden += 1
                continue
            east = (after["longitude"] - before["longitude"]) * 85.4
            north = (after["latitude"] - before["latitude"]) * 111.0
            # the meter may be 1.2 % below the road, and cuts to 10 m
            assert (east**2 + north**2) ** 0.5 <= road * 1.013 + 0.011
            moved += road > 0
    assert moved > 100
    # tunnels hide the sky
    assert 0 < hidden < moved / 10


def test_pulses_divided_by_k_are_the_odometer():
    made, _ = fleet("taximeter", devices=3, days=0.5)
    constants = {
        line["device_id"]: line["parameters"]["k_constant"]
        for line in made.registry()
        if "valid_from" not in line
    }
    for device, track in by_device(bodies(list(made.messages()), "periodic")).items():
        road = (track[-1]["total_distance"] - track[0]["total_distance"]) % 10**7
        pulses = track[-1]["pulses"] - track[0]["pulses"]
        assert road > 50
        assert pulses / constants[device] == pytest.approx(road, abs=0.03)


def test_a_track_is_one_to_two_percent_short_and_the_trip_is_possible():
    messages, _ = run("taximeter", devices=8, days=2)
    trips = by_device(bodies(messages, "trip"))
    assert sum(map(len, trips.values())) > 100
    for of_taxi in trips.values():
        ratio = sum(t["distance"] for t in of_taxi) / sum(t["gps_distance"] for t in of_taxi)
        assert 0.995 < ratio < 1.03
        for trip in of_taxi:
            assert 0.94 < trip["distance"] / trip["gps_distance"] < 1.08
            seconds = (trip["ended_at"] - trip["started_at"]) / 1000
            assert 0 <= trip["waiting_time"] <= seconds
            assert trip["distance"] / seconds * 3600 <= trip["max_speed"] <= 130
            assert 0.8 <= trip["distance"] < 80


def test_trips_of_a_taxi_do_not_overlap():
    messages, _ = run("taximeter", devices=4, days=2)
    for trips in by_device(bodies(messages, "trip")).values():
        assert all(a["ended_at"] <= b["started_at"] for a, b in pairwise(trips))


def test_a_fare_is_that_of_the_tariff_where_one_rate_holds_throughout():
    messages, _ = run("taximeter", devices=6, days=2)
    plain = 0
    for _, trip in bodies(messages, "trip"):
        times = (trip["started_at"], trip["ended_at"])
        if len({(tariffs.is_night(at), tariffs.is_peak(at)) for at in times}) > 1:
            continue
        night = tariffs.is_night(times[0])
        units = (round(trip["distance"] * 100), trip["waiting_time"] * 1000, times[0])
        plain += 1
        assert trip["fare"] == tariffs.whole_trip(*units, night=night)
        assert trip["surcharge"] == 1.0
    assert plain > 60


def test_a_new_verification_has_another_k_and_no_trip_spans_it():
    taxis = (Taximeter(Setting(3, f"tx-{n}", n, START, 6 * HOUR)) for n in range(200))
    taxi = next(each for each in taxis if each.versions() and each.versions()[0].since < LATEST)
    [version] = taxi.versions()
    first, second = (each["k_constant"] for each in (taxi.parameters(), version.parameters))
    assert 0.003 < abs(second / first - 1) < 0.013
    seen = set()
    for at, body in taxi.readings():
        if at > version.since + 2 * DAY:
            break
        if body["type"] == "trip":
            assert (body["started_at"] < version.since) == (body["ended_at"] < version.since)
            assert body["k_constant"] == (first if at < version.since else second)
            seen.add(body["k_constant"])
    assert seen == {first, second}


def test_taxis_work_by_shifts():
    messages, _ = run("taximeter", devices=1, days=4)
    hours = {local_hour(trip["started_at"]) for _, trip in bodies(messages, "trip")}
    assert 8 <= len(hours) <= 17
