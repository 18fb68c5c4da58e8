"""Steps between positions: what cannot be driven, and what only looks like it."""

from __future__ import annotations

from math import cos, radians
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checks.positions import Place, great_circle
from gateway.profiles.layout import Layout
from tests.checks.runs import found, the_same_however_it_comes
from tests.checks.support import reading

MINE = {"impossible_speed"}
WAY = Layout(
    "taximeter", "periodic", "test@1.0.0", ("speed", "longitude", "latitude"), {}, 65536,
    False, True,
)  # fmt: skip
EAST, NORTH = 116.4, 39.9


def at(number, east, north=0.0, *, minute=None, late=0.02):
    """A position so many km from the centre, one a minute."""
    return WAY, reading(
        WAY, number, number if minute is None else minute, offset=number, late=late, speed=30.0,
        longitude=EAST + east / 111.195 / cos(radians(NORTH)), latitude=NORTH + north / 111.195,
    )  # fmt: skip


def flags_of(places, **given):
    return found(places, only=MINE, **given)


def drive(count, start=0.0, step=0.8, first=0):
    return [at(first + n, start + n * step) for n in range(count)]


def test_the_great_circle_is_that_of_known_places():
    beijing, shanghai = Place(0, 0, 116.4074, 39.9042), Place(0, 0, 121.4737, 31.2304)
    assert great_circle(beijing, shanghai) == pytest.approx(1067.3, rel=1e-3)
    assert great_circle(Place(0, 0, 0.0, 0.0), Place(0, 0, 1.0, 0.0)) == pytest.approx(
        111.195, 1e-4
    )
    assert great_circle(Place(0, 0, 179.9, 10.0), Place(0, 0, -179.9, 10.0)) < 25


def test_a_drive_is_right_up_to_the_highest_speed():
    assert flags_of(drive(60, step=2.6)) == []
    assert flags_of(drive(60, step=0.0)) == []


def test_a_car_that_is_elsewhere_and_stays_there_is_flagged_once():
    places = drive(20) + drive(20, start=40.0, first=20)
    (flag,) = flags_of(places)
    told = flag.evidence
    assert (flag.since, flag.until) == (places[19][1].measured_at, places[20][1].measured_at)
    inputs = told["inputs"]
    way = great_circle(
        Place(0, 0, inputs["other_longitude"], inputs["other_latitude"]),
        Place(0, 0, inputs["longitude"], inputs["latitude"]),
    )
    assert told["observed"] == pytest.approx(3600 * (way - told["tolerance"]) / inputs["seconds"])
    assert told["observed"] > 1000


def test_the_smallest_jump_that_is_seen():
    assert flags_of(drive(10, 0, 0.1) + drive(10, 3.6, 0.1, first=10)) == []
    assert len(flags_of(drive(10, 0, 0.1) + drive(10, 3.75, 0.1, first=10))) == 1


@pytest.mark.parametrize("length", [1, 2])
def test_a_fix_that_jumps_and_comes_back_is_no_finding(length):
    places = drive(40)
    for n in range(length):
        places[20 + n] = at(20 + n, 60.0 + 55 * n, 30.0)
    assert flags_of(places) == []


def test_fixes_that_jump_about_are_no_finding():
    rng = Random(5)
    places = drive(400)
    for n in range(10, 390, 7):
        places[n] = at(n, rng.uniform(-90, 90), rng.uniform(-90, 90))
    assert flags_of(places) == []


def test_what_was_driven_without_satellites_is_spread_over_the_tunnel():
    # twelve minutes at 60 km/h, in which the last fix is repeated
    tunnel = [at(10 + n, 8.0) for n in range(12)]
    assert flags_of([*drive(11)[:10], *tunnel, *drive(10, start=20.0, first=22)]) == []


def test_no_position_and_a_long_gap_are_not_judged():
    places = drive(20)
    places[5] = (WAY, reading(WAY, 5, 5, offset=5, late=0.02, longitude=0.0, latitude=0.0))
    places[6] = (WAY, reading(WAY, 6, 6, offset=6, late=0.02, longitude=None, latitude=None))
    assert flags_of(places) == []
    assert flags_of(drive(10) + [at(10 + n, 300.0, minute=45 + n) for n in range(10)]) == []


def test_a_clock_that_was_set_back_makes_no_speed():
    # From reading 20 on the clock is five minutes slow; the messages come as they are measured.
    places = drive(20) + [at(n, n * 0.8, minute=n - 5, late=5.02) for n in range(20, 50)]
    assert flags_of(places) == []


def test_a_clock_that_is_ahead_makes_no_speed_when_a_backlog_comes_at_once():
    # All are measured a day ahead; ten are kept and received within a second, the last out of turn.
    places = []
    for n in range(60):
        received = n if not 20 <= n < 30 else 30
        ahead = 1440.0
        places.append(at(n, n * 1.5, minute=n + ahead, late=received - n - ahead + n * 1e-4))
    places[40], places[41] = places[41], places[40]
    assert flags_of(places) == []


def test_two_cars_on_one_identity_are_left_to_another_check():
    mixed = [at(n, n * 0.5 + (80.0 if n % 2 else 0.0)) for n in range(60)]
    assert flags_of(mixed) == []


def test_the_limit_and_the_proof_can_be_set():
    fast = drive(10) + drive(10, start=11.0, first=10)
    assert flags_of(fast, checks={"impossible_speed": {"top": 100.0}})
    away = drive(10) + drive(3, start=60.0, first=10) + drive(10, start=10.0, first=13)
    assert len(flags_of(away, checks={"impossible_speed": {"confirm": 2}})) >= 1
    assert flags_of(away, checks={"impossible_speed": {"confirm": 3}}) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(-0.5, 1.0), st.floats(-0.5, 0.5)), min_size=5, max_size=60))
def test_no_course_within_the_limits_is_a_finding(steps):
    east = north = 0.0
    places = []
    for n, (a, b) in enumerate(steps):
        east, north = east + a, north + b
        places.append(at(n, east, north))
    assert flags_of(places) == []


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(5, 35))
def test_the_order_of_arrival_and_restarts_change_nothing(seed, moved):
    places = drive(moved) + drive(40 - moved, start=60.0 + moved, first=moved)
    # The last ones must be there to confirm it.
    flags = the_same_however_it_comes(places, seed, only=MINE)
    assert len(flags) == 1
