"""Registers that only grow: falls, rollovers, glitches and new levels."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.order import LATENESS
from gateway.devices import Registry
from gateway.errors import ProfileError
from gateway.records import Device
from gateway.times import rfc3339
from tests.checks.support import (
    MINUTE,
    T0,
    final,
    flags_of,
    in_the_end,
    judged,
    reading,
    water_layout,
)

LAYOUT = water_layout()


def series(*values, layout=LAYOUT, minutes=None):
    times = minutes or range(len(values))
    return [
        reading(layout, t, t, offset=o, late=600, volume=v)
        for o, (v, t) in enumerate(zip(values, times, strict=True))
    ]


def found(readings, layout=LAYOUT, settings=None):
    return [
        (f.code, f.status, f.evidence["observed"], f.evidence["expected"])
        for f in final(flags_of(readings, layout, settings)).values()
        if f.code.startswith("register")
    ]


def test_a_growing_or_standing_register_is_no_finding():
    assert flags_of(series(1.0, 1.0, 2.5, 2.5, 9.0), LAYOUT) == []


def test_a_fall_is_flagged_with_the_reading_before():
    (flag,) = flags_of(series(5.0, 3.0), LAYOUT)
    assert (flag.code, flag.severity) == ("register_decrease", "major")
    assert flag.evidence == {
        "quantity": "volume",
        "observed": 3.0,
        "expected": 5.0,
        "tolerance": 0.001,
        "unit": "m3",
        "previous_measured_at": rfc3339(T0),
        "previous_ledger_offset": 0,
        "full_scale": 100_000.0,
        "count": 1,
    }


def test_one_glitch_down_gives_one_flag_that_ends():
    (glitch,) = found(series(5.0, 3.0, 6.0, 7.0))
    assert glitch == ("register_decrease", "ended", 3.0, 5.0)


def test_one_glitch_up_gives_one_flag():
    (glitch,) = found(series(5.0, 900.0, 6.0, 7.0, 8.0))
    assert glitch == ("register_decrease", "ended", 6.0, 900.0)


def test_a_register_set_back_for_good_gives_one_flag_and_then_a_new_level():
    flags = flags_of(series(500.0, 0.0, 1.0, 2.0, 1.0), LAYOUT)
    assert [(f.evidence["expected"], f.status) for f in final(flags).values()] == [
        (500.0, "ended"),
        (2.0, "open"),
    ]


def test_a_register_that_runs_backwards_is_one_flag_that_counts():
    (flag,) = final(flags_of(series(50.0, 40.0, 30.0, 20.0), LAYOUT)).values()
    assert (flag.evidence["count"], flag.evidence["observed"]) == (3, 20.0)


def test_jitter_of_the_last_digit_is_no_fall_but_creeping_down_is():
    assert found(series(5.0, 4.999, 5.0, 5.001)) == []
    assert found(series(5.0, 4.9995, 4.998)) == [("register_decrease", "open", 4.998, 5.0)]


def test_a_rollover_is_told_and_the_register_goes_on():
    flags = flags_of(series(99_998.0, 3.0, 4.0), LAYOUT)
    assert [(f.code, f.severity) for f in flags] == [("register_rollover", "info")]


@pytest.mark.parametrize(
    ("before", "after"), [(90_000.0, 3.0), (99_998.0, 6_000.0)], ids=["not near the top", "too far"]
)
def test_a_step_too_large_for_a_rollover_is_a_fall(before, after):
    assert found(series(before, after))[0][0] == "register_decrease"


def test_a_fall_is_never_a_rollover_where_the_digits_are_not_known():
    layout = water_layout(full_scale=None)
    assert found(series(99_998.0, 3.0, layout=layout), layout)[0][0] == "register_decrease"


def test_the_registry_knows_the_digits_of_one_device():
    layout = water_layout(full_scale=None)
    device = Device(device_id="d1", parameters={"register_digits": 4})
    judge = Judge({"d1": device}, {})
    bound = judge.bind(layout, {}, "t")
    _, flags = judged(judge, bound, series(9_999.0, 3.0, layout=layout))
    assert [f.code for f in flags] == ["register_rollover"]


def test_a_rollover_that_is_not_to_be_told_is_no_fall_either():
    assert found(series(99_998.0, 3.0, 4.0), settings={"register_rollover": False}) == []


def test_late_readings_in_their_place_are_no_finding():
    assert found(series(1.0, 9.0, 3.0, 5.0, minutes=(0, 9, 3, 5))) == []


def test_a_late_reading_above_the_latest_gives_the_flag_that_order_would_have_given():
    late = final(flags_of(series(1.0, 5.0, 7.0, minutes=(0, 9, 3)), LAYOUT))
    in_order = final(flags_of(series(1.0, 7.0, 5.0, minutes=(0, 3, 9)), LAYOUT))
    (one,), (other,) = (
        [f for f in flags.values() if f.code == "register_decrease"] for flags in (late, in_order)
    )
    assert one.id == other.id
    assert one.evidence["observed"] == other.evidence["observed"] == 5.0
    assert one.evidence["expected"] == other.evidence["expected"] == 7.0


def test_late_readings_of_the_level_before_a_replacement_are_not_compared():
    readings = series(500.0, 0.0, 1.0, 499.0, 499.5, minutes=(0, 10, 11, 5, 6))
    assert len(found(readings)) == 1


@pytest.mark.parametrize("modulus", [2**32, None], ids=["numbered", "timed"])
def test_one_reading_from_the_far_future_does_not_make_all_that_follow_late(modulus):
    layout = water_layout(modulus=modulus)
    years = 60 * 24 * 365 * 50
    times = ((0, 1.0, 600), (1, 2.0, 0), (years, 3.0, 2 - years), (3, 1.5, 0))
    readings = [
        reading(layout, n if modulus else None, minute, offset=n, late=late, volume=value)
        for n, (minute, value, late) in enumerate(times)
    ]
    assert found(readings, layout) == [("register_decrease", "open", 1.5, 3.0)]


def test_a_late_message_of_a_clock_that_is_ahead_is_no_fall():
    day = 60 * 24
    readings = [
        reading(LAYOUT, number, day + minute, offset=offset, late=-day, volume=value)
        for offset, (number, minute, value) in enumerate(
            ((1, 1, 1.0), (2, 2, 2.0), (4, 4, 4.0), (3, 5, 3.0), (5, 5, 5.0))
        )
    ]
    assert found(readings) == []


def test_a_register_is_one_whatever_event_it_comes_in():
    periodic, alarm = LAYOUT, water_layout(event="alarm")
    judge = Judge({}, {})
    bounds = {layout.event: judge.bind(layout, {}, "t") for layout in (periodic, alarm)}
    flags = []
    judge.judge(bounds["periodic"], reading(periodic, 1, 1, offset=1, volume=9.0), flags)
    judge.judge(bounds["alarm"], reading(alarm, 2, 2, offset=2, volume=4.0), flags)
    assert [f.code for f in flags] == ["register_decrease"]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40), st.floats(0, 99_999))
def test_no_honest_register_is_ever_flagged_as_fallen(steps, start):
    total, readings = start, []
    for minute, step in enumerate(steps):
        total += step
        shown = round(total % 100_000.0, 3) % 100_000.0
        readings.append(reading(LAYOUT, minute, minute, offset=minute, volume=shown))
    assert all(f.code != "register_decrease" for f in flags_of(readings, LAYOUT))


def test_measured_times_bound_the_condition():
    flags = flags_of(series(50.0, 40.0, 30.0, 60.0), LAYOUT)
    assert (flags[-1].status, flags[-1].since, flags[-1].until) == (
        "ended",
        T0 + MINUTE,
        T0 + 2 * MINUTE,
    )


def test_a_clock_that_is_set_back_is_no_fall_where_numbers_tell_the_order():
    layout = LAYOUT
    readings = [
        reading(layout, n, t, offset=n, late=600, volume=float(n))
        for n, t in enumerate((0, 10, 20, 3, 4, 5))
    ]
    assert found(readings) == []


def test_a_clock_that_is_set_back_a_little_is_no_fall_without_numbers():
    layout = water_layout(modulus=None)
    readings = [
        reading(layout, None, t, offset=n, late=600, volume=float(n))
        for n, t in enumerate((0, 1, 2, 1.5, 1.7, 3))
    ]
    assert found(readings, layout) == []


def replaced_meter(*, serials=("1", "2"), at_minute=5):
    return Registry(
        [
            Device(device_id="d1", serial_number=serials[0]),
            Device(device_id="d1", serial_number=serials[1], valid_from=T0 + at_minute * MINUTE),
        ]
    )


def told_of(registry, readings, layout=LAYOUT, settings=None):
    judge = Judge(registry, {})
    _, flags = judged(judge, judge.bind(layout, settings or {}, "t"), readings)
    return [f.code for f in final(flags).values() if f.code.startswith(("register", "backflow"))]


@pytest.mark.parametrize("start", [0.0, 42.0])
def test_another_meter_of_the_registry_begins_anew(start):
    values = (500.0, 501.0, start, start + 1)
    readings = series(*values, minutes=(0, 4, 6, 7))
    assert told_of(replaced_meter(), readings) == []
    assert told_of({}, readings) == ["register_decrease"]


def test_work_that_is_dated_to_the_day_explains_a_fall_within_it_but_once():
    day = 24 * 60
    readings = series(500.0, 501.0, 0.0, 1.0, 0.5, minutes=(0, 10, day - 5, day, day + 2))
    assert told_of(replaced_meter(), readings) == ["register_decrease"]
    late = series(500.0, 501.0, 0.0, minutes=(0, day + 6, day + 7))
    assert told_of(replaced_meter(), late) == ["register_decrease"]


def test_another_certificate_of_the_same_meter_explains_no_fall():
    readings = series(500.0, 501.0, 0.0, 1.0, minutes=(0, 4, 6, 7))
    assert told_of(replaced_meter(serials=("1", "1")), readings) == ["register_decrease"]


MIDNIGHT = (T0 // MINUTE + 8 * 60) // 1440 * 1440 + 1440 - 8 * 60 - T0 // MINUTE
"""Minutes from T0 to the next midnight in Beijing."""


@pytest.mark.parametrize("by", ["profile", "registry"])
@pytest.mark.parametrize(
    ("before", "after", "codes"),
    [(-20, 20, []), (-5, -2, []), (5, 8, []), (-90, -60, ["register_decrease"])],
    ids=["over midnight", "clock ahead", "clock behind", "before midnight"],
)
def test_a_register_that_begins_anew_every_midnight_does_not_fall(by, before, after, codes):
    device = Device(device_id="d1", parameters={"resets": "daily"} if by == "registry" else {})
    settings = {"register_decrease": {"resets": "daily"}} if by == "profile" else {}
    readings = series(9.0, 0.1, 0.4, minutes=(MIDNIGHT + before, MIDNIGHT + after, MIDNIGHT + 99))
    assert told_of({"d1": device}, readings, settings=settings) == codes


def test_midnight_is_that_of_the_devices_own_zone():
    london = Device(device_id="d1", parameters={"resets": "daily", "time_zone": "Europe/London"})
    over = series(9.0, 0.1, 0.4, minutes=(MIDNIGHT - 20, MIDNIGHT + 20, MIDNIGHT + 99))
    assert told_of({"d1": london}, over) == ["register_decrease"]
    # 8 October 2025: London is an hour ahead of UTC, Beijing eight
    there = series(9.0, 0.1, 0.4, minutes=tuple(MIDNIGHT + 7 * 60 + m for m in (-20, 20, 99)))
    assert told_of({"d1": london}, there) == []


def test_a_zone_that_there_is_not_is_refused():
    judge = Judge({}, {})
    with pytest.raises(ProfileError, match="there is no time zone 'Peking'"):
        judge.bind(LAYOUT, {"register_decrease": {"time_zone": "Peking"}}, "test.yaml")


def test_midnight_explains_the_end_of_a_glitch():
    device = Device(device_id="d1", parameters={"resets": "daily"})
    judge = Judge({"d1": device}, {})
    readings = series(9.0, 5.0, 0.1, 0.2, minutes=[MIDNIGHT + m for m in (-90, -60, 20, 30)])
    _, flags = judged(judge, judge.bind(LAYOUT, {}, "t"), readings)
    (flag,) = (f for f in final(flags).values() if f.code == "register_decrease")
    assert flag.status == "ended"
    assert flag.evidence["outcome"] == "begins anew, as the registry or the meter says"


def test_flow_that_the_meter_itself_calls_reverse_is_no_fall():
    readings = [
        reading(LAYOUT, n, n, offset=n, volume=v, status=s)
        for n, (v, s) in enumerate(
            ((5.0, ()), (4.5, ("reverse_flow",)), (4.2, ("reverse_flow",)), (4.6, ()))
        )
    ]
    assert "register_decrease" not in told_of({}, readings)


@given(st.integers(1, 10**9))
def test_one_step_of_the_last_digit_is_jitter_whatever_binary_makes_of_it(units):
    readings = series(units / 1000, (units - 1) / 1000, units / 1000)
    assert all(f.code != "register_decrease" for f in flags_of(readings, LAYOUT))


def settled(readings, layout=LAYOUT):
    judge = Judge({}, {})
    return in_the_end(judge, judge.bind(layout, {}, "test.yaml"), readings)


def two_of_one_name(*, hours=40, layout=LAYOUT):
    """Two meters that answer to one name, each with a number and a register of its own."""
    readings = []
    for hour in range(hours):
        for first, number, low in ((0, 500, 100.0), (20, 9_000_000, 70.0)):
            minute = hour * 60 + first
            readings.append(
                reading(layout, number + hour, minute, offset=len(readings), late=1,
                        volume=low + hour / 10)
            )  # fmt: skip
    return readings


def test_two_meters_that_answer_to_one_name_give_one_fall_that_counts():
    fall, = (f for f in final(settled(two_of_one_name())).values()
             if f.code == "register_decrease")  # fmt: skip
    assert (fall.status, fall.evidence["count"], fall.evidence["returned"]) == ("open", 40, 39)
    assert (fall.evidence["observed"], fall.evidence["expected"]) == (70.0, 100.0)
    assert (fall.since, fall.until) == (T0 + 20 * MINUTE, T0 + (39 * 60 + 20) * MINUTE)


def test_an_instrument_that_began_anew_with_its_clock_behind_has_not_fallen():
    before = [reading(LAYOUT, n, n, offset=n, late=1, volume=10.0 + n) for n in range(20)]
    after = [
        reading(LAYOUT, n, 20 - 4 + n, offset=20 + n, late=240, volume=30.0 + n) for n in range(20)
    ]
    assert all(f.code == "sequence_gap" for f in final(settled([*before, *after])).values())


def test_falls_that_stop_end_after_a_quiet_day():
    quiet = [
        reading(LAYOUT, 540 + hour, (40 + hour) * 60, offset=80 + hour, late=1, volume=200.0 + hour)
        for hour in range(30)
    ]
    fall, = (f for f in final(settled([*two_of_one_name(), *quiet])).values()
             if f.code == "register_decrease")  # fmt: skip
    assert (fall.status, fall.evidence["outcome"]) == ("ended", "returned to the former level")
    assert fall.until == T0 + (39 * 60 + 20) * MINUTE


def test_two_glitches_a_week_apart_are_two_flags():
    week = 7 * 24 * 60
    glitches = series(5.0, 3.0, 6.0, 7.0, 4.0, 8.0, minutes=(0, 1, 2, week, week + 1, week + 2))
    assert found(glitches) == [
        ("register_decrease", "ended", 3.0, 5.0),
        ("register_decrease", "ended", 4.0, 7.0),
    ]


@given(st.randoms(use_true_random=False))
def test_two_meters_of_one_name_give_the_same_falls_however_their_messages_arrive(rng):
    readings = two_of_one_name(hours=12)
    arrived = []
    for one in readings:
        received = one.received_at + rng.randrange(LATENESS)
        arrived.append(msgspec.structs.replace(one, received_at=received))
    arrived.sort(key=lambda one: one.received_at)

    def falls(given_):
        return {
            f.id: (f.status, f.until, f.evidence["count"])
            for f in final(settled(given_)).values()
            if f.code == "register_decrease"
        }

    placed = [
        msgspec.structs.replace(one, ledger_offset=offset) for offset, one in enumerate(arrived)
    ]
    assert falls(placed) == falls(readings)
