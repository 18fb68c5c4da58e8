"""Numbers that are missing, late, wrapped, restarted or used twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.numbering import OPEN_GAPS
from tests.checks.support import final, flags_of, judged, reading, water_layout

LAYOUT = water_layout()


def numbered(*numbers, layout=LAYOUT, minutes=None):
    times = minutes or range(len(numbers))
    return [
        reading(layout, n, t, offset=o, late=0.5, volume=float(t))
        for o, (n, t) in enumerate(zip(numbers, times, strict=True))
    ]


def gaps(readings, layout=LAYOUT):
    return [
        (f.evidence["from"], f.evidence["to"], f.evidence["missing"])
        for f in final(flags_of(readings, layout)).values()
        if f.code == "sequence_gap" and "missing" in f.evidence
    ]


def test_numbers_in_order_and_the_first_of_a_device_are_no_finding():
    assert flags_of(numbered(500, 501, 502), LAYOUT) == []


def test_a_jump_is_flagged_at_once_with_what_is_missing():
    (flag,) = flags_of(numbered(1, 5), LAYOUT)
    assert (flag.code, flag.severity, flag.status) == ("sequence_gap", "minor", "open")
    evidence = {"observed": 5, "expected": 2, "missing": 3, "from": 2, "to": 4, "tolerance": 0}
    assert flag.evidence.items() >= evidence.items()
    assert flag.channel is None


def test_late_messages_shrink_the_gap_and_withdraw_it_when_all_have_come():
    flags = flags_of(numbered(1, 5, 2, 3, 4, minutes=(1, 5, 2, 3, 4)), LAYOUT)
    assert [(f.evidence["missing"], f.status) for f in flags] == [
        (3, "open"),
        (2, "open"),
        (1, "open"),
        (0, "withdrawn"),
    ]
    assert len({f.id for f in flags}) == 1


def test_a_late_message_in_the_middle_leaves_two_gaps_as_in_order():
    assert sorted(gaps(numbered(1, 5, 3, minutes=(1, 5, 3)))) == [(2, 2, 1), (4, 4, 1)]
    assert sorted(gaps(numbered(1, 3, 5, minutes=(1, 3, 5)))) == [(2, 2, 1), (4, 4, 1)]


def test_a_wrap_is_no_gap_and_a_gap_over_the_wrap_counts_rightly():
    layout = water_layout(modulus=256)
    assert gaps(numbered(254, 255, 0, 1, layout=layout), layout) == []
    assert gaps(numbered(254, 2, layout=layout), layout) == [(255, 1, 3)]


def test_a_number_used_again_after_the_wrap_is_no_conflict():
    layout = water_layout(modulus=16)
    assert flags_of(numbered(*(n % 16 for n in range(100)), layout=layout), layout) == []


def test_a_redelivery_from_before_the_wrap_is_a_duplicate():
    layout = water_layout(modulus=16)
    readings = numbered(*(n % 16 for n in range(40)), layout=layout)
    again = [
        reading(layout, n % 16, n, offset=100 + n, late=60, volume=float(n)) for n in range(25, 40)
    ]
    judge = Judge({}, {})
    new, flags = judged(judge, judge.bind(layout, {}, "t"), readings + again)
    assert new == [True] * 40 + [False] * 15
    assert flags == []


def test_a_counter_that_begins_again_is_told_once_and_is_no_gap_and_no_conflict():
    (flag,) = flags_of(numbered(*range(100), 0, 1, 2, 3), LAYOUT)
    assert (flag.code, flag.severity) == ("sequence_gap", "info")
    assert flag.evidence["restarted"] is True
    assert (flag.evidence["observed"], flag.evidence["expected"]) == (0, 100)


def test_restarts_within_a_day_share_one_flag():
    flags = flags_of(numbered(*range(50), *range(40), *range(30)), LAYOUT)
    assert [f.evidence["count"] for f in flags] == [1, 2]
    assert len({f.id for f in flags}) == 1


def test_a_counter_that_was_set_is_told_once_and_not_as_billions_that_are_missing():
    turns = [
        reading(LAYOUT, first + hour, hour * 60 + minute, offset=2 * hour + minute // 20, late=1)
        for hour in range(30)
        for minute, first in ((0, 500), (20, 1_700_000_000))
    ]
    (flag,) = final(flags_of(turns, LAYOUT)).values()
    assert (flag.code, flag.severity) == ("sequence_gap", "info")
    assert flag.evidence["restarted"]
    assert flag.evidence["count"] > 20


def test_numbers_that_a_busy_instrument_may_have_used_are_missing():
    (flag,) = final(flags_of(numbered(0, 20_000, minutes=(0, 60)), LAYOUT)).values()
    assert flag.evidence["missing"] == 19_999


def test_a_restart_whose_first_messages_were_lost_is_seen_at_the_second_number():
    flags = flags_of(numbered(*range(100), 5, 6, 7), LAYOUT)
    assert {(f.code, f.status) for f in flags} == {
        ("conflicting_duplicate", "open"),
        ("conflicting_duplicate", "withdrawn"),
        ("sequence_gap", "open"),
    }
    (left,) = final(flags).values()
    assert left.severity == "info"


def test_late_and_redelivered_messages_from_before_a_restart_are_neither_gap_nor_conflict():
    before = [*range(50), *range(51, 100)]
    readings = numbered(*before, 0, 1, 2)
    late = reading(LAYOUT, 50, 49.5, offset=200, late=90, volume=49.5)
    again = reading(LAYOUT, 60, 59, offset=201, late=90, volume=59.0)
    judge = Judge({}, {})
    new, flags = judged(judge, judge.bind(LAYOUT, {}, "t"), [*readings, late, again])
    assert new[-2:] == [True, False]
    assert [f.severity for f in final(flags).values()] == ["info"]


def test_one_forged_repeat_of_a_number_at_a_later_time_is_a_conflict():
    readings = numbered(*range(20))
    forged = reading(LAYOUT, 15, 30, offset=50, late=60, volume=30.0)
    following = reading(LAYOUT, 20, 31, offset=51, late=60, volume=31.0)
    (flag,) = flags_of([*readings, forged, following], LAYOUT)
    assert (flag.code, flag.status) == ("conflicting_duplicate", "open")


def test_channels_that_count_for_themselves_have_gaps_of_their_own():
    layout = water_layout(per_channel=True)
    readings = [
        reading(layout, n, o, offset=o, channel=c, volume=float(o))
        for o, (c, n) in enumerate([("a", 1), ("b", 40), ("a", 2), ("b", 41), ("a", 4)])
    ]
    (flag,) = flags_of(readings, layout)
    assert (flag.channel, flag.evidence["missing"]) == ("a", 1)


def test_channels_of_one_message_share_its_number():
    readings = [
        reading(LAYOUT, n, n, offset=n, channel=c, volume=float(n))
        for n in (1, 2, 5, 4)
        for c in ("a", "b", "c")
    ]
    flags = flags_of(readings, LAYOUT)
    assert [(f.evidence["missing"], f.status) for f in flags if f.evidence["to"] == 4] == [
        (2, "open"),
        (0, "withdrawn"),
    ]
    assert [f.evidence["missing"] for f in final(flags).values()] == [1]


def test_open_gaps_are_bounded():
    judge = Judge({}, {})
    judged(judge, judge.bind(LAYOUT, {}, "t"), numbered(*range(0, 200, 2)))
    assert len(judge.state().device("d1").numberings[""].gaps) == OPEN_GAPS


def test_ids_do_not_depend_on_the_place_in_the_ledger():
    shifted = [
        reading(LAYOUT, n, m, offset=1000 + m, late=60, volume=float(m))
        for m, n in enumerate((1, 5))
    ]
    assert [f.id for f in flags_of(numbered(1, 5), LAYOUT)] == [
        f.id for f in flags_of(shifted, LAYOUT)
    ]


def test_numbers_larger_than_any_counter_do_not_overflow():
    layout = water_layout(modulus=2**64)
    readings = numbered(2**63, 2**63 + 1, 2**63 + 3, layout=layout)
    assert [f.evidence["missing"] for f in flags_of(readings, layout)] == [1]


@pytest.mark.parametrize("code", ["sequence_gap", "conflicting_duplicate"])
def test_a_check_that_is_off_says_nothing(code):
    doubled = [*numbered(1, 5), reading(LAYOUT, 5, 1, offset=9, late=60, volume=7.0)]
    assert code in {f.code for f in flags_of(doubled, LAYOUT)}
    assert code not in {f.code for f in flags_of(doubled, LAYOUT, {code: False})}


@given(st.permutations(range(1, 14)), st.sets(st.integers(1, 13), max_size=6))
def test_flags_that_stay_open_name_exactly_what_never_came(order, lost):
    arrived = [0, *(n for n in order if n not in lost)]
    missing = [
        n
        for low, high, count in gaps(numbered(*arrived, minutes=arrived))
        for n in range(low, high + 1)
        if count == high - low + 1
    ]
    assert sorted(missing) == sorted(n for n in lost if n < max(arrived))


def test_a_restart_with_a_clock_that_was_lost_is_no_storm_of_conflicts():
    decades = -60 * 24 * 365 * 20
    rebooted = [
        reading(LAYOUT, n, decades + n, offset=100 + n, late=-decades, volume=100.0 + n)
        for n in range(20)
    ]
    flags = flags_of([*numbered(*range(50)), *rebooted], LAYOUT)
    assert [(f.code, f.severity) for f in flags] == [("sequence_gap", "info")]


def test_history_sent_again_with_other_values_is_a_conflict_for_every_reading():
    forged = [
        reading(LAYOUT, n, n, offset=100 + n, late=600, volume=900.0 + n) for n in range(5, 15)
    ]
    flags = final(flags_of([*numbered(*range(20)), *forged], LAYOUT)).values()
    assert [f.code for f in flags if f.code != "register_decrease"] == [
        "conflicting_duplicate"
    ] * 10


def test_a_clock_that_is_ahead_and_a_way_that_mixes_up_are_no_gap_and_no_fall():
    """By the time of receipt alone numbers that come late would look like a counter set back."""
    ahead, hour = 3 * 24 * 60, 60
    readings = [
        reading(LAYOUT, n, n * hour, offset=n, late=-ahead, volume=float(n)) for n in range(6)
    ]
    readings += [
        reading(LAYOUT, n, n * hour, offset=6 + o, late=12 * hour - n * hour - ahead + o / 6000,
                volume=float(n))
        for o, n in enumerate((7, 10, 6, 11, 8, 9))
    ]  # fmt: skip
    readings.append(reading(LAYOUT, 12, 12 * hour, offset=12, late=-ahead + 1, volume=12.0))
    flags = flags_of(readings, LAYOUT)
    assert {f.code for f in final(flags).values()} == {"future_timestamp"}
    assert any(f.code == "sequence_gap" for f in flags)
