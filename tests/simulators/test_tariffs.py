"""The Beijing tariff against worked examples and against Decimal arithmetic of its own."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.clock import HOUR, parse_time
from simulators.tariffs import Fare, whole_trip
from tests.simulators.fleets import bodies, run

NOON = parse_time("2026-01-05T12:00:00+08:00")
PEAK = parse_time("2026-01-05T08:00:00+08:00")
NIGHT = parse_time("2026-01-05T23:30:00+08:00")
MINUTE = 60_000


def fare(kilometres: float, minutes: int, at: int) -> Decimal:
    """The exact fare of a trip in one piece."""
    running = Fare()
    running.add(round(kilometres * 100), minutes * MINUTE, at)
    return Decimal(running.exact) / 10**6


@pytest.mark.parametrize(
    ("kilometres", "minutes", "at", "expected"),
    [
        (8.4, 0, NOON, "25.42"),
        (8.4, 11, NOON, "30.02"),
        (20, 0, NOON, "57.85"),
        (20, 0, NIGHT, "66.82"),
        (3, 0, NOON, "13"),
        (0.5, 4, NOON, "13"),
        (8.4, 11, PEAK, "34.62"),
        (15, 0, NOON, "40.6"),
    ],
)
def test_the_worked_examples(kilometres, minutes, at, expected):
    assert fare(kilometres, minutes, at) == Decimal(expected)


def test_the_night_begins_at_23_and_ends_at_5():
    day = fare(10, 0, NOON)
    start = parse_time("2026-01-05T00:00:00+08:00")
    nights = [h for h in range(24) if fare(10, 0, start + h * HOUR) != day]
    assert nights == [0, 1, 2, 3, 4, 23]


def test_waiting_counts_only_full_five_minutes_over_the_whole_trip():
    running = Fare()
    for _ in range(9):
        running.add(0, MINUTE, NOON)
    assert running.exact == 15_300_000
    running.add(0, MINUTE, NOON)
    assert running.exact == 17_600_000


def test_each_stretch_costs_the_rate_of_its_moment():
    running = Fare()
    running.add(500, 0, parse_time("2026-01-05T22:59:00+08:00"))
    running.add(500, 0, NIGHT)
    assert Decimal(running.exact) / 10**6 == Decimal(13) + 2 * Decimal("2.3") + 5 * Decimal("2.76")


@given(st.lists(st.integers(0, 800), min_size=1, max_size=30), st.booleans())
def test_a_fare_does_not_depend_on_how_the_way_is_cut(stretches, night):
    running = Fare()
    for stretch in stretches:
        running.add(stretch, 0, NIGHT if night else NOON)
    assert running.shown == whole_trip(sum(stretches), 0, NOON, night=night)


def test_shown_fares_lie_within_the_tariff_computed_from_the_message_alone():
    messages, _ = run("taximeter", devices=10, days=2)
    trips = [trip for _, trip in bodies(messages, "trip")]
    longer = 0
    for trip in trips:
        distance = Decimal(repr(trip["distance"]))
        longer += distance > 15
        kilometres = max(Decimal(0), distance - 3) + max(Decimal(0), distance - 15) / 2
        units = trip["waiting_time"] // 300
        low = 13 + Decimal("2.3") * (kilometres + units)
        high = 13 + Decimal("2.76") * (kilometres + 2 * units)
        whole = Decimal(1)
        assert low.quantize(whole, ROUND_HALF_UP) <= Decimal(trip["fare"])
        assert Decimal(trip["fare"]) <= high.quantize(whole, ROUND_HALF_UP)
        assert trip["fare"] == int(trip["fare"])
        assert trip["surcharge"] == 1
    assert len(trips) > 100
    assert longer > 3
