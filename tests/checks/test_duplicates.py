"""A reading that comes twice is recognised by what it says, whatever came between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.window import LAST, SPAN
from gateway.times import rfc3339
from tests.checks.support import final, flags_of, judged, reading, water_layout

LAYOUT = water_layout()


def judge_all(readings, layout=LAYOUT):
    judge = Judge({}, {})
    return judged(judge, judge.bind(layout, {}, "test.yaml"), readings)


@pytest.mark.parametrize(
    "layout",
    [LAYOUT, water_layout(modulus=None), water_layout(measured=False)],
    ids=["numbered and timed", "timed", "numbered"],
)
def test_a_redelivered_reading_is_no_new_reading_and_no_finding(layout):
    number = 7 if layout.sequence_modulus else None
    first = reading(layout, number, 0, offset=1, volume=5.0)
    again = reading(layout, number, 0, offset=2, late=3, volume=5.0)
    assert judge_all([first, again], layout) == ([True, False], [])


def test_without_number_and_time_nothing_is_a_duplicate():
    layout = water_layout(modulus=None, measured=False)
    same = [reading(layout, None, 0, offset=n, volume=5.0) for n in (1, 2)]
    assert judge_all(same, layout) == ([True, True], [])


def test_a_numbered_reading_without_own_time_is_the_same_at_another_time_of_receipt():
    layout = water_layout(measured=False)
    first = reading(layout, 7, 0, offset=1, volume=5.0)
    again = reading(layout, 7, 3, offset=2, volume=5.0)
    assert judge_all([first, again], layout)[0] == [True, False]


def test_other_content_under_one_number_is_stored_and_flagged_with_both_contents():
    first = reading(LAYOUT, 7, 0, offset=1, volume=5.0)
    other = reading(LAYOUT, 7, 0, offset=2, volume=9.0)
    new, flags = judge_all([first, other])
    assert new == [True, True]
    (flag,) = (f for f in flags if f.code == "conflicting_duplicate")
    assert flag.severity == "major"
    assert flag.evidence["content"] == {"volume": 9.0}
    assert flag.evidence["earlier"] == [
        {"ledger_offset": 1, "measured_at": rfc3339(first.measured_at)}
    ]
    assert flag.evidence["observed"] not in flag.evidence["expected"]


def test_other_status_bits_are_other_content():
    first = reading(LAYOUT, 7, 0, offset=1, volume=5.0)
    other = reading(LAYOUT, 7, 0, offset=2, status=("leak",), volume=5.0)
    assert [f.code for f in judge_all([first, other])[1]] == ["conflicting_duplicate"]


def test_each_of_two_conflicting_readings_is_recognised_when_it_comes_again():
    first = reading(LAYOUT, 7, 0, offset=1, volume=5.0)
    other = reading(LAYOUT, 7, 0, offset=2, volume=9.0)
    again = [reading(LAYOUT, 7, 0, offset=n, volume=v) for n, v in ((3, 5.0), (4, 9.0))]
    new, flags = judge_all([first, other, *again])
    assert new == [True, True, False, False]
    assert len(flags) == 1


def test_readings_of_two_channels_of_one_message_are_not_duplicates():
    both = [reading(LAYOUT, 7, 0, offset=1, channel=c, volume=5.0) for c in ("a", "b")]
    assert judge_all(both) == ([True, True], [])


def test_a_redelivery_is_recognised_after_a_span_of_other_devices_messages():
    first = reading(LAYOUT, 7, 0, offset=0, volume=5.0)
    others = [
        reading(LAYOUT, n, n, offset=n + 1, device_id=f"other{n % 50}", volume=1.0)
        for n in range(2_000)
    ]
    again = reading(LAYOUT, 7, 0, offset=10 * SPAN, volume=5.0)
    assert judge_all([first, *others, again])[0][-1] is False


def test_a_redelivery_of_a_whole_window_of_one_device_is_recognised():
    count = 5_000
    first = [reading(LAYOUT, n, n, offset=n, volume=float(n)) for n in range(count)]
    again = [reading(LAYOUT, n, n, offset=count + n, volume=float(n)) for n in range(count)]
    new, flags = judge_all(first + again)
    assert new == [True] * count + [False] * count
    assert flags == []


def test_what_a_broker_sends_again_at_every_break_is_recognised_every_time():
    count, breaks = 200, 5
    first = [reading(LAYOUT, n, n, offset=n, volume=float(n)) for n in range(count)]
    again = [
        reading(LAYOUT, n, n, offset=each * (SPAN - count) + n, volume=float(n))
        for each in range(1, breaks + 1)
        for n in range(count)
    ]
    new, flags = judge_all(first + again)
    assert new == [True] * count + [False] * count * breaks
    assert flags == []


def test_what_is_neither_among_the_last_nor_within_the_span_is_forgotten():
    stream = [reading(LAYOUT, n, n, offset=n, volume=float(n)) for n in range(LAST + 1)]
    far = 2 * SPAN
    forgotten = reading(LAYOUT, 0, 0, offset=far, volume=0.0)
    remembered = reading(LAYOUT, 1, 1, offset=far, volume=1.0)
    assert judge_all([*stream, remembered])[0][-1] is False
    assert judge_all([*stream, forgotten])[0][-1] is True


@given(st.permutations(range(1, 9)), st.integers(0, 8), st.integers(0, 8))
def test_order_of_arrival_changes_neither_conflicts_nor_gaps(order, skipped, doubled):
    messages = [(0, 0.0), *((n, float(n)) for n in order if n != skipped)]
    if doubled:
        messages.append((doubled, 1000.0))
    arrived = [
        reading(LAYOUT, n, n, offset=o, late=60, volume=v) for o, (n, v) in enumerate(messages)
    ]
    in_order = [
        reading(LAYOUT, n, n, offset=o, late=60, volume=v)
        for o, (n, v) in enumerate(sorted(messages))
    ]
    codes = {"sequence_gap", "conflicting_duplicate"}

    def outcome(readings):
        return {
            (f.id, f.evidence.get("missing"), f.since, f.until)
            for f in final(flags_of(readings, LAYOUT)).values()
            if f.code in codes
        }

    assert outcome(arrived) == outcome(in_order)
