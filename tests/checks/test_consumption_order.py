"""The same flags in any order within the lateness, and over any restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.consumption import CONSUMPTION
from gateway.checks.order import LATENESS
from gateway.checks.use import DAY_BYTES, REMEMBERED_DAYS
from tests.checks.metering import Meter, found, registered

if TYPE_CHECKING:
    from gateway.records import Flag, Reading

SECOND = 10**9
PLATE = registered({"q3": 2.5, "q4": 3.125, "time_zone": "Asia/Shanghai"})
CODES = {series.code for series in CONSUMPTION} | {"register_decrease"}


def story(modulus: int | None) -> tuple[Meter, list[Reading]]:
    """A month of a water meter to which everything happens."""
    meter = Meter(modulus=modulus)
    held = {}

    def change(number, body):
        if number == 100:
            body["volume"] = 0.0
        if number == 125:
            body["volume"] = 9_000.0
        if number >= 150:
            body["volume"] = round(body["volume"] + 100, 3)
        if 180 <= number < 207:
            held.setdefault("volume", body["volume"])
            body["volume"], body["flow_rate"] = held["volume"], 0.2 if number % 7 == 0 else 0.0
        body["volume_reverse"] = round(0.05 * max(0, min(number, 294) - 290), 3)
        body["volume"] = round(body["volume"], 3)

    def more(day: float) -> float:
        return 2_300.0 if 14 <= day < 14.2 else 9.0 if day >= 15 else 0.0

    return meter, meter.readings(24, change=change, more=more)


def told(flags: list[Flag]) -> list[tuple[object, ...]]:
    """What must be the same, whatever the order of arrival; only of what is judged here."""
    return [
        (f.id, f.code, f.severity, f.since, f.until, f.evidence["observed"], f.evidence["expected"])
        for f in flags
        if f.code in CODES
    ]


@pytest.mark.parametrize("modulus", [2**32, None], ids=["numbered", "timed"])
def test_the_story_has_every_flag_once(modulus):
    meter, readings = story(modulus)
    seen = [f[1] for f in told(found(readings, meter.layout, PLATE))]
    assert sorted(seen) == [
        "backflow", "burst_suspected", "leak_suspected", "register_decrease", "register_spike",
        "register_spike", "register_stuck", "zero_consumption",
    ]  # fmt: skip


@settings(max_examples=8)
@given(
    st.sampled_from([2**32, None]),
    st.lists(st.integers(0, LATENESS // SECOND), min_size=40, max_size=40),
)
def test_displaced_by_the_lateness_at_most_the_flags_are_the_same(modulus, delays):
    meter, readings = story(modulus)
    in_order = told(found(readings, meter.layout, PLATE))
    order = sorted(
        range(len(readings)),
        key=lambda n: readings[n].received_at + delays[n % len(delays)] * SECOND,
    )
    assert told(found([readings[n] for n in order], meter.layout, PLATE)) == in_order


@pytest.mark.parametrize("interval", [4, 5])
@pytest.mark.parametrize("modulus", [2**32, None], ids=["numbered", "timed"])
def test_readings_that_overtake_each_other_give_the_same_flags(modulus, interval):
    meter = Meter("electricity_meter", interval=interval, modulus=modulus)
    at = 5 * 1440 // interval

    def change(number, body):
        if number in {at, at + 90}:
            body["energy_import"] = 9_000.0 if number == at else 0.0
        if number >= at + 400:
            body["energy_import"] = round(body["energy_import"] + 500, 2)

    readings = meter.readings(7, change=change)
    in_order = told(found(readings, meter.layout, PLATE))
    assert [f[1] for f in in_order] == ["register_decrease", "register_spike", "register_spike"]
    swapped = [readings[n ^ 1] for n in range(len(readings) // 2 * 2)]
    again = told(found(swapped, meter.layout, PLATE))
    assert [f for f in again if f[1] == "register_spike"] == in_order[1:]


@pytest.mark.parametrize("every", [1, 7, 50])
def test_a_restart_changes_nothing(every):
    meter, readings = story(None)
    whole = found(readings, meter.layout, PLATE)
    assert found(readings, meter.layout, PLATE, restart=every) == whole


def test_a_late_reading_is_left_out_and_the_step_after_it_has_its_part():
    meter = Meter()
    readings = meter.readings(20)
    late = readings.pop(240)
    moved = type(late)(
        *(
            getattr(late, f) if f != "received_at" else late.measured_at + 5 * 3_600 * SECOND
            for f in late.__struct_fields__
        )
    )
    readings.insert(245, moved)
    assert told(found(readings, meter.layout, PLATE)) == []


def test_what_is_remembered_of_a_meter_is_bounded():
    meter = Meter()
    readings = meter.readings(80)
    judge = Judge(PLATE, {}, registry_known=True)
    bound = judge.bind(meter.layout, {}, "test.yaml")
    for one in readings:
        judge.judge(bound, one, [])
    (use,) = [kept for key, kept in judge.state().device("d1").series.items() if "use" in key]
    assert len(use.days) == DAY_BYTES * REMEMBERED_DAYS
    assert use.conditions is None
    assert use.suspect is None
