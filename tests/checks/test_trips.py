"""Distance, waiting time and speed of single trips."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.profiles.layout import Layout
from gateway.records import Device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading

NAMES = (
    "started_at", "ended_at", "distance", "waiting_time", "gps_distance", "max_speed", "pulses",
    "k_constant",
)  # fmt: skip
TRIPS = Layout("taximeter", "trip", "test@1.0.0", NAMES, {}, 65536, False, True)
MINE = {"distance_mismatch", "waiting_time_mismatch", "impossible_speed"}


def trip(number=1, minutes=20.0, distance=8.0, waiting=180.0, **more):
    """By default 8 km in 20 minutes, three of them waiting."""
    end = number * 60.0
    return TRIPS, reading(
        TRIPS, number, end, offset=number, late=0.1,
        started_at=T0 + round((end - minutes) * MINUTE), ended_at=T0 + round(end * MINUTE),
        distance=distance, waiting_time=waiting, **more,
    )  # fmt: skip


def flags_of(*trips, **given):
    return found(trips, only=MINE, **given)


# -- distance ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "track", "severity"),
    [
        (8.0, 7.88, None),
        (8.0, 8.0, None),
        (8.0, 7.3, None),
        (8.0, 7.2, "major"),
        (8.0, 8.8, None),
        (8.0, 9.0, "minor"),
        # a short trip has a floor of 0.15 km and one step
        (1.15, 1.0, None),
        (1.17, 1.0, "major"),
        (0.25, 0.1, None),
    ],
)
def test_a_single_trip_may_be_a_tenth_off_its_track(distance, track, severity):
    flags = flags_of(trip(distance=distance, gps_distance=track))
    assert [(f.code, f.severity) for f in flags] == (
        [] if severity is None else [("distance_mismatch", severity)]
    )


def test_the_evidence_of_the_track_is_enough_to_compute_it_again():
    (flag,) = flags_of(trip(distance=8.0, gps_distance=6.0))
    told = flag.evidence
    assert told["difference"] == told["inputs"]["distance"] - told["inputs"]["gps_distance"] == 2.0
    assert told["tolerance"] == pytest.approx(0.61)
    assert (flag.since, flag.until) == (T0 + 40 * MINUTE, T0 + 60 * MINUTE)


def test_a_trip_without_a_track_is_not_judged():
    assert flags_of(trip(gps_distance=0.0)) == []
    assert flags_of(trip(gps_distance=None)) == []


@pytest.mark.parametrize(
    ("pulses", "severity"), [(8000, None), (8020, None), (7900, "critical"), (8100, "major")]
)
def test_pulses_of_a_trip_are_its_distance_by_the_constant(pulses, severity):
    flags = flags_of(trip(pulses=float(pulses), k_constant=1000.0))
    assert [f.severity for f in flags] == ([] if severity is None else [severity])


def test_the_constant_of_the_registry_comes_before_that_of_the_instrument():
    one = trip(pulses=7200.0, k_constant=900.0)
    assert flags_of(one) == []
    known = {"d1": Device(device_id="d1", parameters={"k_constant": 1000})}
    (flag,) = flags_of(one, devices=known)
    assert flag.evidence["inputs"]["k_constant"] == 1000.0
    assert flag.evidence["expected"] == pytest.approx(7.2)


@settings(max_examples=120)
@given(st.integers(60, 5000), st.sampled_from([600, 950, 1000, 2000]), st.floats(0, 1))
def test_an_honest_distance_by_whole_pulses_is_no_finding(steps, constant, phase):
    """The meter shows whole steps of 10 m and counts whole pulses."""
    driven = (steps + phase) / 100
    one = trip(minutes=90, distance=steps / 100, pulses=float(int(driven * constant)),
               k_constant=float(constant))  # fmt: skip
    assert flags_of(one) == []


# -- waiting time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "waiting", "severity"),
    [(20, 180, None), (20, 1202, "critical"), (20, 1203, "critical"), (20, 1500, "critical")],
)
def test_waiting_is_not_longer_than_the_trip(minutes, waiting, severity):
    flags = flags_of(trip(minutes=minutes, distance=0.2, waiting=float(waiting)))
    expected = severity if waiting > minutes * 60 + 2 else None
    assert [f.severity for f in flags] == ([] if expected is None else [expected])
    assert severity is None or waiting >= 1202


def test_waiting_must_leave_time_to_drive():
    # 8 km at 130 km/h are 222 s: of 1200 s 978 s may be waiting, and while it waits it may creep.
    assert flags_of(trip(waiting=978.0)) == []
    (flag,) = flags_of(trip(waiting=1150.0))
    assert (flag.code, flag.severity) == ("waiting_time_mismatch", "major")
    told = flag.evidence["inputs"]
    left = max(0, told["distance"] - told["interval"]
               - told["switching_speed"] * told["waiting_time"] / 3600)  # fmt: skip
    driving = 3600 * left / told["speed"]
    assert flag.evidence["difference"] == pytest.approx(
        told["waiting_time"] + driving - told["duration"]
    )


def test_the_highest_speed_of_a_trip_is_a_tighter_witness():
    assert flags_of(trip(waiting=600.0, max_speed=60.0)) == []
    (flag,) = flags_of(trip(waiting=950.0, max_speed=60.0))
    assert flag.code == "waiting_time_mismatch"
    assert flag.evidence["inputs"]["speed"] == pytest.approx(66.0)
    assert flags_of(trip(waiting=950.0)) == []


def test_times_of_whole_minutes_are_allowed_for():
    one = trip(minutes=3, distance=0.5, waiting=240.0)
    assert codes(flags_of(one)) == ["waiting_time_mismatch"]
    assert flags_of(one, checks={"waiting_time_mismatch": {"time_interval": 60.0}}) == []


# -- speed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "distance", "top", "observed"),
    [
        (20, 8.0, 62.0, None),
        (20, 8.0, 160.0, None),
        (20, 8.0, 161.0, 161.0),
        (20, 43.3, None, None),
        (20, 45.0, None, 134.8),
        # the mean is never above the highest
        (20, 20.0, 55.0, None),
        (20, 22.0, 55.0, 65.9),
        (0, 0.05, None, None),
        (0, 3.0, None, 5382.0),
    ],
)
def test_no_trip_is_faster_than_a_taxi_or_than_itself(minutes, distance, top, observed):
    flags = flags_of(trip(minutes=minutes, distance=distance, waiting=0.0, max_speed=top))
    assert codes(flags) == ([] if observed is None else ["impossible_speed"])
    assert observed is None or flags[0].evidence["observed"] == pytest.approx(observed, rel=1e-3)


def test_a_trip_that_cannot_be_driven_at_all_is_no_matter_of_waiting():
    assert codes(flags_of(trip(minutes=10, distance=30.0, waiting=300.0))) == ["impossible_speed"]


def test_a_trip_that_ends_before_it_begins_is_not_judged():
    assert flags_of(trip(minutes=-5)) == []


@settings(max_examples=120)
@given(
    st.lists(st.tuples(st.integers(0, 55), st.integers(10, 60)), min_size=3, max_size=60),
    st.floats(0, 0.999),
)
def test_an_honest_trip_of_any_course_is_right(legs, phase):
    """Legs of a speed (km/h) and a length (s); below 12 km/h it waits."""
    seconds = sum(length for _, length in legs)
    waiting = sum(length for speed, length in legs if speed < 12)
    metres = sum(speed / 3.6 * length for speed, length in legs)
    one = trip(
        minutes=int(seconds + phase) / 60, distance=int(metres / 10) / 100,
        waiting=float(waiting), max_speed=float(max(speed for speed, _ in legs)),
        gps_distance=round(metres / 1000 * 0.985, 2) or None,
    )  # fmt: skip
    assert flags_of(one) == []


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sets(st.integers(1, 19), max_size=4))
def test_the_order_of_arrival_and_restarts_change_nothing(seed, wrong):
    trips = [trip(n, gps_distance=5.0 if n in wrong else 7.9, waiting=180.0) for n in range(20)]
    flags = the_same_however_it_comes(trips, seed, only=MINE)
    assert len(flags) == len(wrong)
