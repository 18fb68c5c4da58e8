"""RFC 3339 to nanoseconds and back, to the last digit."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.times import TimeReader, nanoseconds, rfc3339

WHOLE = 1_772_323_200_000_000_000


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01T00:00:00Z", WHOLE),
        ("2026-03-01T08:00:00+08:00", WHOLE),
        ("2026-03-01t00:00:00z", WHOLE),
        ("2026-03-01 00:00:00.5Z", WHOLE + 500_000_000),
        ("2026-03-01T00:00:00.123456789Z", WHOLE + 123_456_789),
        ("2026-03-01T00:00:00.1234567891Z", WHOLE + 123_456_789),
        ("1969-12-31T23:59:59.9Z", -100_000_000),
    ],
)
def test_a_time_keeps_all_its_digits(text, at):
    assert nanoseconds(text) == at
    assert TimeReader().read([text, text]) == [at, at]
    near = ["2026-03-01T00:00:59.5Z", "1969-12-31T23:59:00.1Z"]
    assert TimeReader().read([*near, text])[2] == at


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T00:00:00",
        "2026-03-01T00:00:00.5",
        "2026-03-01T00:00:00.1_0Z",
        "2026-03-01T00:00:00.+5Z",
        "2026-03-01T00:00:00.²Z",
        "2026-02-30T00:00:00Z",
        "2026-03-01T24:00:01Z",
        "2026-03-01T00:00:60Z",
        "2026-03-01T00:00:6Z",
        "2026-03-01T00:00:0²Z",
        "2026-03-01T00:00:01.Z",
        "9999-01-01T00:00:00Z",
        "now",
        "",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="time"):
        nanoseconds(text)
    reader = TimeReader()
    reader.read(["2026-03-01T00:00:00.5Z"])
    with pytest.raises(ValueError, match="time"):
        reader.read([text])


@given(st.lists(st.integers(-(2**62), 2**63 - 1), max_size=5))
def test_text_and_back_is_the_same_time(times):
    texts = [rfc3339(at) for at in times]
    assert TimeReader().read(texts) == times
    assert [nanoseconds(text) for text in texts] == times


@given(st.lists(st.integers(0, 10**12), min_size=2))
def test_times_near_each_other_are_told_apart(steps):
    times = [WHOLE + step for step in steps]
    assert TimeReader().read([rfc3339(at) for at in times]) == times


def test_text_is_what_other_programs_read():
    at = nanoseconds("2026-03-01T12:34:56.789Z")
    assert datetime.fromisoformat(rfc3339(at)) == datetime(
        2026, 3, 1, 12, 34, 56, 789_000, tzinfo=UTC
    )
