"""Words of a message that are not plain numbers."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import moments
from gateway.errors import DecodeError
from gateway.moments import Identities, StatusBits, StatusWords, from_pattern, moment, status_list

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
SECOND = 10**9
NEW_YEAR = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-01-01T00:00:00Z", SHANGHAI, NEW_YEAR),
        ("2026-01-01T08:00:00+08:00", dt.UTC, NEW_YEAR),
        ("2026-01-01T08:00:00", SHANGHAI, NEW_YEAR),
        ("2026-01-01 08:00:00", SHANGHAI, NEW_YEAR),
        ("2026-01-01T00:00:00.25Z", dt.UTC, NEW_YEAR + SECOND // 4),
        ("2026-01-01T00:00:00.000001Z", dt.UTC, NEW_YEAR + 1000),
        ("2025-12-31T19:00:00-05:00", dt.UTC, NEW_YEAR),
    ],
)
def test_a_time_is_nanoseconds_utc(text, zone, expected):
    assert moment(text, zone) == expected
    assert moment(dt.datetime.fromisoformat(text), zone) == expected


def test_a_local_time_that_comes_twice_is_the_first_of_the_two():
    summer = moment("2026-10-25T02:30:00", BERLIN)
    assert summer == moment("2026-10-25T02:30:00+02:00", dt.UTC)
    assert moment("2026-10-25T03:30:00", BERLIN) - summer == 2 * 3600 * SECOND


def test_a_local_time_that_the_clock_leaps_over_is_the_one_that_the_old_offset_gives():
    assert moment("2026-03-29T02:30:00", BERLIN) == moment("2026-03-29T01:30:00Z", dt.UTC)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-01", "20260101T000000Z", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
     "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "0000-01-01T00:00:00Z", "x" * 5000],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_few_words(text):
    with pytest.raises(DecodeError, match="bad_time") as refused:
        moment(text, dt.UTC)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("1970-01-01T00:00:00Z", dt.UTC),
        ("1999-12-31T23:59:59Z", dt.UTC),
        ("2100-01-01T00:00:00Z", dt.UTC),
        ("0001-01-01T00:00:00+14:00", dt.UTC),
        ("0001-01-01T00:00:00", SHANGHAI),
        ("9999-12-31T23:59:59-12:00", dt.UTC),
        ("9999-12-31T23:59:59", SHANGHAI),
    ],
)
def test_a_clock_that_was_never_set_is_refused(text, zone):
    with pytest.raises(DecodeError, match="is the clock set"):
        moment(text, zone)


@given(st.datetimes(dt.datetime(2000, 1, 2), dt.datetime(2099, 12, 30)))  # noqa: DTZ001
def test_any_local_time_becomes_the_instant_that_zoneinfo_says(local):
    expected = local.replace(tzinfo=BERLIN).astimezone(dt.UTC) - dt.datetime(
        1970, 1, 1, tzinfo=dt.UTC
    )
    assert moment(local, BERLIN) == expected // dt.timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    ("text", "pattern", "zone", "expected"),
    [
        ("01/01/2026 08:00:00", "%d/%m/%Y %H:%M:%S", SHANGHAI, NEW_YEAR),
        ("260101080000", "%y%m%d%H%M%S", SHANGHAI, NEW_YEAR),
        ("2026-01-01T08:00:00+0800", "%Y-%m-%dT%H:%M:%S%z", dt.UTC, NEW_YEAR),
    ],
)
def test_a_time_by_a_pattern_is_nanoseconds_utc(text, pattern, zone, expected):
    assert from_pattern(text, pattern, zone) == expected


def test_a_time_that_does_not_fit_its_pattern_is_refused():
    with pytest.raises(DecodeError, match=r"bad_time: '1.1.26' does not fit '%d/%m/%Y'"):
        from_pattern("1.1.26", "%d/%m/%Y", dt.UTC)


# -- identities ----------------------------------------------------------------------------------


def test_an_identity_is_text_and_equal_ones_are_one_object():
    identify = Identities()
    assert identify(12345) == "12345"
    assert identify("m" + str(identify(1))) is identify("m1")


@pytest.mark.parametrize("name", ["电表-1", "Zähler 7", "a" * 128, "a/b", "é"])
def test_a_name_in_any_script_is_an_identity(name):
    assert Identities()(name) == name


@pytest.mark.parametrize("name", ["", "a" * 129, "a\nb", "a\0b", "\u202eabc", "a\u200bb", "\ud800"])
def test_what_cannot_be_printed_is_no_identity(name):
    with pytest.raises(DecodeError, match="bad_device_id"):
        Identities()(name)
    with pytest.raises(DecodeError, match="bad_channel"):
        Identities("channel")(name)


def test_made_up_names_do_not_fill_the_memory():
    identify = Identities()
    identify._known = {str(n): str(n) for n in range(moments.MAX_MEMORY)}
    assert identify("one more") == "one more"
    assert len(identify._known) == 1


# -- status --------------------------------------------------------------------------------------


def test_bits_become_words_in_the_order_of_the_bits():
    read = StatusBits({3: "leak", 0: "battery_low", 62: "tilt"})
    assert read[0] == ()
    assert read[0b1001] == ("battery_low", "leak")
    assert read[1 << 62 | 2] == ("tilt",)


def test_many_different_bits_do_not_fill_the_memory():
    read = StatusBits({0: "battery_low"})
    for number in range(10_000):
        assert read[number] == (("battery_low",) if number & 1 else ())
    assert len(read) <= 4096


def test_two_bits_of_one_word_say_it_once():
    read = StatusBits({2: "battery_low", 3: "battery_low", 4: "tilt"})
    assert read[0b01100] == ("battery_low",)
    assert read[0b11100] == ("battery_low", "tilt")


def test_a_status_text_becomes_a_word_or_none():
    read = StatusWords({"OK": None, "LOW": "battery_low", "": "clock_fault"})
    assert [read("OK"), read("LOW"), read("")] == [(), ("battery_low",), ("clock_fault",)]
    with pytest.raises(DecodeError, match="'low' is none of 'OK', 'LOW', ''"):
        read("low")


def test_a_list_of_words_is_taken_only_whole():
    assert status_list(["leak", "tilt"]) == ("leak", "tilt")
    assert status_list([]) == ()
    with pytest.raises(DecodeError, match="'leek' is none of seal_broken, "):
        status_list(["tilt", "leek"])
