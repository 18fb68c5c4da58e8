"""Two trips of one taximeter, two sessions on one connector."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.judge import CLOCK_STEP
from gateway.checks.order import HOLD, LATENESS
from gateway.profiles.layout import Layout
from gateway.records import Reading
from tests.checks.support import T0, final, reading

SECOND = 10**9
MINUTE = 60 * SECOND
TRIPS = Layout(
    "taximeter", "trip", "test@1.0.0", ("started_at", "ended_at", "distance"), {}, 65536,
    sequence_per_channel=False, measured=True,
)  # fmt: skip
SESSIONS = Layout(
    "ev_charger", "session", "test@1.0.0", ("started_at", "ended_at", "energy"), {}, 65536,
    sequence_per_channel=False, measured=True,
)  # fmt: skip


def trip(number, start, end, *, layout=TRIPS, late=0.1, channel=None) -> Reading:
    """From minute ``start`` to ``end``, measured at its end."""
    return reading(
        layout, number, end, offset=number, late=late, channel=channel,
        started_at=T0 + round(start * MINUTE), ended_at=T0 + round(end * MINUTE),
    )  # fmt: skip


def found(trips, *, layout=TRIPS, restart=False, checks=None):
    judge = Judge({}, {})
    bound = judge.bind(layout, checks or {}, "test.yaml")
    flags = []
    for one in trips:
        if one.received_at >= judge.next_advance:
            judge.advance(one.received_at, flags)
        judge.judge(bound, one, flags)
        if restart:
            blob = judge.snapshot()
            judge = Judge({}, {})
            bound = judge.bind(layout, checks or {}, "test.yaml")
            judge.restore(blob)
            assert judge.snapshot() == blob
    judge.foresee(flags)
    judge.advance(judge.order.clock + HOLD + CLOCK_STEP, flags)
    return sorted(final(flags).values(), key=lambda flag: flag.id)


def told(flags):
    return [(f.id, f.code, f.since, f.until, f.evidence["observed"]) for f in flags]


def test_trips_one_after_another_are_right():
    assert found([trip(n, n * 10, n * 10 + 10) for n in range(50)]) == []


def test_a_trip_that_begins_before_the_last_has_ended_is_flagged_with_both():
    trips = [trip(n, n * 10, n * 10 + 10) for n in range(50)]
    trips[30] = trip(30, 295, 310)
    (flag,) = found(trips)
    assert (flag.code, flag.severity) == ("trip_overlap", "major")
    assert flag.evidence["observed"] == 300
    assert (flag.since, flag.until) == (T0 + 295 * MINUTE, T0 + 300 * MINUTE)
    assert (flag.evidence["inputs"]["sequence"], flag.evidence["inputs"]["other_sequence"]) == (
        30, 29,
    )  # fmt: skip


@pytest.mark.parametrize(("overlap_s", "flags"), [(0.9, 0), (1.0, 0), (1.1, 1)])
def test_the_step_of_the_clock_is_no_overlap(overlap_s, flags):
    trips = [trip(1, 0, 10), trip(2, 10 - overlap_s / 60, 20)]
    assert len(found(trips)) == flags


def test_a_trip_without_its_ends_is_not_judged():
    one = reading(TRIPS, 1, 0, offset=1, started_at=None, ended_at=T0)
    assert found([one]) == []


def test_sessions_overlap_on_one_connector_only():
    ab = [
        trip(1, 0, 60, layout=SESSIONS, channel="1"),
        trip(2, 30, 90, layout=SESSIONS, channel="2"),
    ]
    assert found(ab, layout=SESSIONS) == []
    aa = [
        trip(1, 0, 60, layout=SESSIONS, channel="1"),
        trip(2, 30, 90, layout=SESSIONS, channel="1"),
    ]
    assert [f.code for f in found(aa, layout=SESSIONS)] == ["session_overlap"]


def test_a_check_that_is_off_says_nothing():
    assert found([trip(1, 0, 10), trip(2, 5, 20)], checks={"trip_overlap": False}) == []


def test_a_trip_that_comes_after_its_turn_is_judged_late_and_says_so():
    trips = [trip(n, n * 10, n * 10 + 10) for n in range(50) if n != 30]
    late = trip(30, 295, 310, late=100)
    (flag,) = found([*trips[:40], late, *trips[40:]])
    assert flag.evidence["judged_late"] is True
    assert flag.evidence["observed"] == 300


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, LATENESS // SECOND), min_size=25, max_size=25),
    st.sets(st.integers(1, 24), max_size=4),
    st.booleans(),
)
def test_displaced_by_the_lateness_at_most_the_flags_are_the_same(delays, early, restart):
    trips = [trip(n, n * 10 - (3 if n in early else 0), n * 10 + 10) for n in range(25)]
    in_order = found(trips)
    assert len(in_order) == len(early)
    order = sorted(range(25), key=lambda n: trips[n].received_at + delays[n] * SECOND)
    assert told(found([trips[n] for n in order], restart=restart)) == told(in_order)
