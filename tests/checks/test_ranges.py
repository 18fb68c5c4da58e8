"""Lasting conditions: values out of range, clocks ahead; and devices nobody registered."""

import pytest

from gateway.checks import Judge
from gateway.records import Device
from tests.checks.support import MINUTE, T0, final, flags_of, judged, reading, water_layout

LAYOUT = water_layout()
LIMITS = {"value_out_of_range": {"flow_rate": {"low": 0.0, "high": 4.0}}}


def flows(*values, minutes=None):
    times = minutes or range(len(values))
    return [
        reading(LAYOUT, t, t, offset=o, late=600, flow_rate=v)
        for o, (v, t) in enumerate(zip(values, times, strict=True))
    ]


def ranges(readings):
    return [f for f in flags_of(readings, LAYOUT, LIMITS) if f.code == "value_out_of_range"]


def test_limits_are_within_the_range():
    assert ranges(flows(0.0, 4.0, 2.0)) == []


def test_a_lasting_condition_is_one_flag_at_its_start_and_once_more_at_its_end():
    start, end = ranges(flows(1.0, 5.0, 9.0, 6.0, 2.0, 2.0))
    assert start.id == end.id
    assert (start.status, start.since, start.until) == ("open", T0 + MINUTE, T0 + MINUTE)
    assert (end.status, end.since, end.until) == ("ended", T0 + MINUTE, T0 + 3 * MINUTE)
    assert end.evidence == {
        "quantity": "flow_rate",
        "observed": 5.0,
        "expected": {"low": 0.0, "high": 4.0},
        "tolerance": 0,
        "unit": "m3/h",
        "extreme": 9.0,
        "count": 3,
    }


def test_a_condition_that_comes_back_is_another_flag():
    assert len({f.id for f in ranges(flows(5.0, 1.0, 5.0, 1.0))}) == 2


def test_a_late_normal_value_does_not_end_a_condition_that_was_later():
    assert [f.status for f in ranges(flows(5.0, 5.0, 1.0, minutes=(1, 5, 3)))] == ["open"]


def test_an_absent_value_neither_begins_nor_ends_a_condition():
    assert [f.status for f in ranges(flows(5.0, None, 5.0, None))] == ["open"]


def test_one_sided_limits_hold_on_their_side_only():
    settings = {"value_out_of_range": {"flow_rate": {"high": 4.0}}}
    (flag,) = flags_of(flows(-1e9, 4.5), LAYOUT, settings)
    assert flag.evidence["expected"] == {"low": None, "high": 4.0}


@pytest.mark.parametrize(
    ("seconds", "severity"), [(59, None), (61, "minor"), (299, "minor"), (301, "major")]
)
def test_a_clock_ahead_is_flagged_by_how_far(seconds, severity):
    one = reading(LAYOUT, 1, 0, offset=1, late=-seconds / 60, volume=1.0)
    assert [f.severity for f in flags_of([one], LAYOUT)] == ([severity] if severity else [])


def test_a_clock_ahead_is_one_flag_while_it_lasts_and_grows_worse():
    readings = [
        reading(LAYOUT, n, n, offset=n, late=late, volume=float(n))
        for n, late in enumerate((0, -2, -3, -8, -7, 0, 0))
    ]
    flags = flags_of(readings, LAYOUT)
    assert [(f.status, f.severity) for f in flags] == [
        ("open", "minor"),
        ("open", "major"),
        ("ended", "major"),
    ]
    assert len({f.id for f in flags}) == 1
    assert (flags[-1].evidence["count"], flags[-1].evidence["extreme"]) == (4, 480.0)


def test_a_backlog_is_not_a_clock_ahead():
    assert flags_of([reading(LAYOUT, 1, 0, offset=1, late=100_000, volume=1.0)], LAYOUT) == []


def unregistered(devices, registry_known=None):
    judge = Judge(devices, {}, registry_known=registry_known)
    readings = [
        reading(LAYOUT, n, n, offset=n, channel=c, volume=float(n))
        for n in range(3)
        for c in (None, "x")
    ]
    return judged(judge, judge.bind(LAYOUT, {}, "t"), readings)[1]


def test_a_device_that_the_registry_does_not_know_is_flagged_once():
    flags = unregistered({"other": Device(device_id="other")})
    assert [(f.code, f.device_id) for f in flags] == [("unregistered_device", "d1")]


def test_without_a_registry_no_device_is_unregistered_but_with_an_empty_one_all_are():
    assert unregistered({}) == []
    assert len(unregistered({}, registry_known=True)) == 1


def test_a_registered_device_is_no_finding():
    assert unregistered({"d1": Device(device_id="d1")}) == []


def test_a_profile_of_another_version_goes_on_with_the_same_memory():
    judge = Judge({}, {})
    first, second = (judge.bind(LAYOUT, LIMITS, "t") for _ in range(2))
    flags = []
    for bound, one in zip((first, second, second), flows(5.0, 5.0, 1.0), strict=True):
        judge.judge(bound, one, flags)
    assert [f.status for f in final(flags).values()] == ["ended"]
