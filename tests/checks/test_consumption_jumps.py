"""Steps that are too large, and what only looks like one."""

from __future__ import annotations

import pytest

from tests.checks.metering import DAY_MINUTES, Meter, codes, found, registered
from tests.checks.support import MINUTE, T0

PLATE = registered({"q3": 2.5, "q4": 3.125})
AT = 10 * 24 + 9
"""The number of the hourly reading in which something happens: on the tenth day."""


def jump(by, *, stays, at=AT, field="volume"):
    def change(number, body):
        if number == at or (stays and number > at):
            body[field] = round(body[field] + by, 3)

    return change


def test_a_jump_that_stays_is_one_spike_and_no_fall():
    meter = Meter()
    (flag,) = found(meter.readings(20, change=jump(60.0, stays=True)), meter.layout, PLATE)
    assert (flag.code, flag.severity, flag.status) == ("register_spike", "minor", "ended")
    assert flag.evidence["outcome"] == "goes on from the new level"
    at = T0 + (meter.first + AT * 60) * MINUTE
    assert (flag.since, flag.until) == (at - 60 * MINUTE, at)


def test_the_evidence_of_a_spike_can_be_recomputed():
    meter = Meter()
    readings = meter.readings(20, change=jump(60.0, stays=True))
    (flag,) = found(readings, meter.layout, PLATE)
    seen, told = flag.evidence, flag.evidence["inputs"]
    before, after = readings[AT - 1].values[0], readings[AT].values[0]
    assert (told["previous_value"], told["value"]) == (before, after)
    assert told["previous_ledger_offset"] == readings[AT - 1].ledger_offset
    assert seen["observed"] == pytest.approx(after - before)
    possible = max(
        told["times"] * told["usual_rate"] * told["hours"],
        told["largest_rate"] * (told["hours"] + 1 / 60),
    )
    assert seen["expected"] == pytest.approx(possible + seen["tolerance"], abs=1e-5)
    assert told["largest_rate"] == 1.25 * 3.125
    assert told["largest_rate_from"] == "1.25 x q4 of the registry"


@pytest.mark.parametrize("modulus", [2**32, None], ids=["numbered", "timed"])
@pytest.mark.parametrize("interval", [60, 5], ids=["hourly", "every five minutes"])
def test_a_glitch_upwards_is_one_flag_whenever_it_is_judged(modulus, interval):
    meter = Meter(modulus=modulus, interval=interval)
    at = 10 * DAY_MINUTES // interval + 5
    readings = meter.readings(12, change=jump(900.0, stays=False, at=at))
    (flag,) = found(readings, meter.layout, PLATE)
    assert (flag.code, flag.status) == ("register_spike", "ended")
    assert flag.evidence["outcome"] == "returned to the former level"


@pytest.mark.parametrize("shown", [0.0, 121.0], ids=["zero", "old value"])
def test_a_glitch_at_a_restart_is_one_fall_and_its_return_no_spike(shown):
    meter = Meter()

    def change(number, body):
        if number == AT:
            body["volume"] = shown

    (flag,) = found(meter.readings(20, change=change), meter.layout, PLATE)
    assert (flag.code, flag.status) == ("register_decrease", "ended")
    assert flag.evidence["outcome"] == "returned to the former level"


def test_after_a_glitch_the_use_is_that_since_the_last_good_value():
    # a glitch to zero a day: books that took each return for use would see 1 m3 a day, not 0.3
    meter = Meter()

    def change(number, body):
        if number % 24 == 5:
            body["volume"] = 0.0

    checks = {"register_decrease": False}
    flags = found(meter.readings(35, change=change), meter.layout, PLATE, checks=checks)
    assert flags == []


@pytest.mark.parametrize(
    ("litres", "flags"),
    [(3_850, 0), (4_000, 1)],
    ids=["within 1.25 Q4 for an hour and a minute", "above"],
)
def test_what_the_meter_can_pass_is_no_spike(litres, flags):
    meter = Meter(seed=3)
    checks = {"burst_suspected": False}
    one = meter.readings(20, change=jump(litres / 1000, stays=True, at=10 * 24 + 2))
    assert len(found(one, meter.layout, PLATE, checks=checks)) == flags


def test_without_a_rating_a_step_must_be_twenty_times_the_usual():
    meter = Meter("electricity_meter", interval=15)
    at = 10 * 96
    for kwh, flags in ((15.0, []), (30.0, ["register_spike"])):
        change = jump(kwh, stays=True, at=at, field="energy_import")
        assert codes(found(meter.readings(15, change=change), meter.layout)) == flags


def test_the_registry_or_the_profile_makes_it_sharper():
    rated = registered({"rated_power": 10.0})
    settings = {"register_spike": {"maximum": 12.0}}
    for registry, checks in ((rated, {}), ({}, settings)):
        meter = Meter("electricity_meter", interval=15)
        change = jump(6.0, stays=True, at=10 * 96, field="energy_import")
        flags = found(meter.readings(15, change=change), meter.layout, registry, checks=checks)
        assert codes(flags) == ["register_spike"]


def test_a_long_silence_and_its_backfill_are_no_spike():
    meter = Meter("electricity_meter", interval=15)
    readings = meter.readings(30)
    silent = [r for n, r in enumerate(readings) if not 10 * 96 < n < 24 * 96]
    assert "register_spike" not in codes(found(silent, meter.layout))
    backfilled = [*silent[: 10 * 96], *silent[10 * 96 :], *readings[10 * 96 + 1 : 24 * 96]]
    assert "register_spike" not in codes(found(backfilled, meter.layout))


def test_another_meter_that_begins_higher_is_no_spike():
    meter = Meter()
    when = T0 + (meter.first + AT * 60 - 30) * MINUTE
    registry = registered(
        {"serial_number": "1", "parameters": {"q4": 3.125}},
        {"serial_number": "2", "parameters": {"q4": 3.125}, "valid_from": when},
    )
    readings = meter.readings(20, change=jump(600.0, stays=True))
    assert found(readings, meter.layout, registry) == []
    assert codes(found(readings, meter.layout, PLATE)) == ["register_spike"]


def test_a_rollover_is_no_spike():
    meter = Meter()
    flags = found(meter.readings(20, start=10**9 - 2_000), meter.layout, PLATE)
    assert [flag.code for flag in flags] == ["register_rollover"]


def test_a_clock_that_is_set_back_makes_no_spike():
    meter = Meter("electricity_meter", interval=15)

    def change(number, body):
        if number >= 10 * 96:
            body["minute"] -= 25

    checks = {"register_spike": {"maximum": 1.5}}
    assert codes(found(meter.readings(14, change=change), meter.layout, checks=checks)) == []


def burst(rate, first, last):
    """A flow from day to day, litres an hour."""
    return {"more": lambda day: rate if first <= day < last else 0.0}


def test_a_flow_near_q3_is_a_burst_with_a_beginning_and_an_end():
    meter = Meter()
    flags = found(meter.readings(20, **burst(2_300, 10, 10.25)), meter.layout, PLATE)
    (flag,) = flags
    assert (flag.code, flag.severity, flag.status) == ("burst_suspected", "major", "ended")
    assert flag.evidence["observed"] >= 2.0 == flag.evidence["tolerance"]
    assert 4 <= (flag.until - flag.since) / (60 * MINUTE) <= 7


@pytest.mark.parametrize(("minutes", "flags"), [(20, 0), (45, 1)])
def test_a_burst_lasts_more_than_half_an_hour(minutes, flags):
    meter = Meter(interval=5, first=0)
    flow = burst(2_300, 10, 10 + minutes / DAY_MINUTES)
    one = meter.readings(14, share=lambda _: 0.2, **flow)
    assert len(found(one, meter.layout, PLATE)) == flags


def test_a_factory_that_runs_near_q3_every_day_has_no_burst():
    meter = Meter()
    one = meter.readings(20, more=lambda day: 2_300 if 0.7 < day % 1 < 0.95 else 0.0)
    assert found(one, meter.layout, PLATE) == []


def test_a_part_of_an_hour_shows_by_the_flow_of_the_moment():
    meter = Meter()
    at = 10 * 24

    def change(number, body):
        if number >= at:
            body["volume"] = round(body["volume"] + 1.2, 3)
        if number == at:
            body["flow_rate"] = 2.4

    flags = found(meter.readings(14, change=change), meter.layout, PLATE)
    assert codes(flags) == ["burst_suspected"]


def test_where_q3_is_not_known_nothing_is_a_burst():
    meter = Meter()
    one = meter.readings(20, **burst(2_300, 10, 10.25))
    assert found(one, meter.layout, registered({})) == []
