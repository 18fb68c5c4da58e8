"""Fleets and lines: deterministic by seed, in order of arrival, honest troubles only."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import pytest

from simulators.catalogue import KINDS, MIXTURE
from simulators.clock import DAY
from simulators.line import LONGEST_PENDING, SEQUENCES, Line, Troubles
from simulators.options import when_cheats_begin
from tests.simulators.fleets import START, bodies, device_of, fleet, run

ALL = MIXTURE
ROUGH = Troubles(duplicate=0.1, late=0.1, restarts=3, outages=2)


def test_the_same_seed_gives_the_same_messages_and_another_seed_others():
    options = {"devices": 10, "days": 0.3, "cheats": (("all", 0.1),), "troubles": ROUGH}
    first, second = run(*ALL, seed=5, **options), run(*ALL, seed=5, **options)
    assert first == second
    assert run(*ALL, seed=6, **options)[0] != first[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_fleet_holds_the_smaller_one_unchanged(kind):
    small, _ = run(kind, devices=3, days=0.3, troubles=ROUGH)
    large, _ = run(kind, devices=9, days=0.3, troubles=ROUGH)
    known = {device_of(each) for each in small}
    assert [each for each in large if device_of(each) in known] == small


def test_messages_come_in_the_order_of_arrival():
    messages, _ = run(*ALL, devices=20, troubles=ROUGH)
    assert all(a.received_at <= b.received_at for a, b in pairwise(messages))
    assert len({device_of(each) for each in messages}) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_troubles_lose_nothing_and_alter_nothing(kind):
    smooth, _ = run(kind, devices=2)
    rough, _ = run(kind, devices=2, troubles=Troubles(0.1, 0.1, 0.0, 3))
    assert {each.payload for each in rough} == {each.payload for each in smooth}
    assert len(rough) > len(smooth)
    late = sum(
        body["ts"] + 10_000 < message.received_at
        for message, (_, body) in zip(rough, bodies(rough), strict=True)
    )
    assert late > 0.05 * len(rough)
    # nothing arrives before it was measured
    for message, (_, body) in zip(rough, bodies(rough), strict=True):
        assert message.received_at > body["ts"]


def test_a_restart_pauses_periodic_messages_and_goes_on_counting():
    calm, _ = run("taximeter", devices=2)
    messages, _ = run("taximeter", devices=2, troubles=Troubles(0, 0, 5, 0))
    assert len({each.payload for each in messages}) < len(calm)
    numbers = defaultdict(set)
    for device, body in bodies(messages):
        numbers[device].add(body["seq"])
    for seen in numbers.values():
        assert max(seen) - min(seen) + 1 == len(seen)
    # no trip is lost by a restart
    trips = {(device, body["ended_at"]) for device, body in bodies(messages, "trip")}
    assert trips == {(device, body["ended_at"]) for device, body in bodies(calm, "trip")}


def test_numbers_begin_again_after_the_largest():
    made, _ = fleet("water_meter", devices=150, days=2)
    wrapped = 0
    for device in made.devices:
        found = [
            json.loads(each.payload)["seq"] for each in device.line.messages(0, START + 2 * DAY)
        ]
        steps = {(b - a) % SEQUENCES for a, b in pairwise(found)}
        assert steps == {1}
        wrapped += SEQUENCES - 1 in found and 0 in found
    assert wrapped >= 1


def test_a_line_that_is_away_keeps_a_bounded_number_of_messages():
    made, _ = fleet("taximeter", devices=1, interval=100, troubles=Troubles(0, 0, 0, 24))
    line: Line = made.devices[0].line
    largest = 0
    for _ in line.messages(0, START + DAY // 4):
        largest = max(largest, len(line._pending))
    assert LONGEST_PENDING // 2 < largest < LONGEST_PENDING + 10


def test_the_registry_knows_every_device_and_what_checks_need():
    made, _ = fleet(*ALL, devices=15)
    lines = list(made.registry())
    assert len({line["device_id"] for line in lines}) == 15
    for line in lines:
        assert line["profile"] == line["kind"].replace("_", "-") + "-reference"
        assert line["verified_until"] > "2026-01-06"
        assert line["region"] == "110000"
    parameters = {line["kind"]: line["parameters"] for line in lines}
    assert parameters["taximeter"]["tariff"] == "beijing-2013"
    assert parameters["fuel_dispenser"]["k_factor"] > 0


def test_a_run_ends_with_its_span_whatever_was_still_held_back():
    messages, _ = run("taximeter", devices=10, days=0.1, troubles=Troubles(0.1, 0.1, 0, 20))
    calm, _ = run("taximeter", devices=10, days=0.1)
    assert {each.payload for each in messages} == {each.payload for each in calm}
    end = START + DAY // 10
    assert messages[-1].received_at <= end + 300
    assert sum(each.received_at == end + 300 for each in messages) > 10


@pytest.mark.parametrize("devices", [1, 40])
def test_messages_made_ahead_are_the_same_in_the_same_order(devices):
    options = {"devices": devices, "days": 2, "cheats": (("all", 0.1),), "troubles": ROUGH}
    (one, told_one), (other, told_other) = (fleet("electricity_meter", **options) for _ in range(2))
    assert list(one.messages(ahead=True)) == list(other.messages())
    one.finish(START + 2 * DAY)
    other.finish(START + 2 * DAY)
    assert sorted(told_one, key=repr) == sorted(told_other, key=repr)


def test_a_run_made_ahead_that_is_stopped_tells_nothing_of_what_was_not_sent():
    made, told = fleet("water_meter", devices=60, days=30, cheats=(("messages_lost", 1.0),))
    for message in made.messages(ahead=True):
        if message.received_at > START + 2 * DAY:
            break
    made.finish(START + 2 * DAY)
    assert told
    assert max(event.since for event in told) <= START + 2 * DAY


def test_cheats_of_a_long_run_begin_at_times_of_their_own():
    after, spread = when_cheats_begin(START, START + 60 * DAY, None, None)
    assert (after, spread) == (15 * DAY, 15 * DAY)
    assert when_cheats_begin(START, START + 3 * DAY, None, None) == (3 * DAY // 4, 0)
    assert when_cheats_begin(START, START + 60 * DAY, 5, None) == (5, 0)
    assert when_cheats_begin(START, None, None, DAY) == (5 * 60_000, DAY)
    made, _ = fleet("water_meter", devices=60, cheats=(("leak", 1.0),), cheats_spread=10 * DAY)
    begins = sorted(device.fault.case.begin - made.order.cheats_from for device in made.devices)
    assert 0 <= begins[0] < DAY
    assert 9 * DAY < begins[-1] < 10 * DAY
    assert len(set(begins)) == 60
