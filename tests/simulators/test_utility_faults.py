"""Faults of meters: what each does to the stream, computed here from the payloads alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulators.catalogue import KINDS
from simulators.clock import DAY, HOUR
from simulators.electricity_meter import has_three_phases
from tests.simulators.fleets import START, compared

METERS = ("electricity_meter", "water_meter", "gas_meter", "heat_meter")
MAIN = {
    "electricity_meter": ("energy", "import"),
    "water_meter": ("volume",),
    "gas_meter": ("volume",),
    "heat_meter": ("energy", "heating"),
}
FLOW = {
    "electricity_meter": ("power", "active"),
    "water_meter": ("flow_rate",),
    "gas_meter": ("flow_rate",),
    "heat_meter": ("power",),
}
SCALE = {"electricity_meter": 10**6, "water_meter": 10**6, "gas_meter": 10**6, "heat_meter": 10**8}


def at(body, place):
    for name in place:
        body = body[name]
    return body


def in_order(by_number):
    return sorted(
        (body for body in by_number.values() if body["type"] == "periodic"),
        key=lambda body: body["ts"],
    )


def used(bodies, kind, since=0, until=2**62):
    """By how much the main register moved in a span."""
    inside = [body for body in bodies if since <= body["ts"] <= until]
    return (at(inside[-1], MAIN[kind]) - at(inside[0], MAIN[kind])) % SCALE[kind]


def run(kind, cheat, days=4):
    honest, spoilt, events = compared(kind, cheat, days=days)
    return in_order(honest), in_order(spoilt), events


def sums_hold(bodies):
    for body in bodies:
        energy = body["energy"]
        apart = energy["import"] - sum(energy[f"T{n}"] for n in range(1, 5))
        apart = (apart + 5 * 10**5) % 10**6 - 5 * 10**5
        if abs(apart) > 0.08:
            return False
    return True


@pytest.mark.parametrize("kind", METERS)
def test_a_stuck_register_stands_while_flow_goes_on(kind):
    honest, spoilt, [event] = run(kind, "register_stuck")
    assert event.code == "register_stuck"
    after = [body for body in spoilt if body["ts"] >= event.since]
    assert len({at(body, MAIN[kind]) for body in after}) == 1
    true = {body["ts"]: at(body, FLOW[kind]) for body in honest}
    assert all(at(body, FLOW[kind]) == true[body["ts"]] for body in after)
    assert any(at(body, FLOW[kind]) for body in after)
    assert used(honest, kind, event.since) > 0


@pytest.mark.parametrize("kind", METERS)
def test_a_bypass_takes_the_same_share_of_registers_and_flow(kind):
    honest, spoilt, [event] = run(kind, "bypass")
    share = used(spoilt, kind, event.since) / used(honest, kind, event.since)
    assert 0.18 < share < 0.44
    pairs = [
        (at(a, FLOW[kind]), at(b, FLOW[kind]))
        for a, b in zip(honest, spoilt, strict=True)
        if b["ts"] >= event.since and abs(at(a, FLOW[kind])) > 0.3
    ]
    assert pairs
    assert all(b / a == pytest.approx(share, abs=0.03) for a, b in pairs)


@pytest.mark.parametrize("kind", METERS)
def test_a_spike_is_one_jump_after_which_the_register_goes_on(kind):
    honest, spoilt, [event] = run(kind, "register_spike")
    assert event.since == event.until
    more = [
        round(at(b, MAIN[kind]) - at(a, MAIN[kind]), 3) for a, b in zip(honest, spoilt, strict=True)
    ]
    assert len({each for each in more if each}) == 1
    assert max(more) > 50
    assert next(b["ts"] for b, each in zip(spoilt, more, strict=True) if each) == event.since


@pytest.mark.parametrize("kind", METERS)
def test_a_glitch_is_one_low_message_between_two_right_ones(kind):
    honest, spoilt, [event] = run(kind, "restart_glitch")
    other = [b for a, b in zip(honest, spoilt, strict=True) if a != b]
    assert [body["ts"] for body in other] == [event.since]
    [right] = [body for body in honest if body["ts"] == event.since]
    assert at(other[0], MAIN[kind]) < at(right, MAIN[kind])


@pytest.mark.parametrize("kind", METERS)
@pytest.mark.parametrize(
    "cheat", [name for name, made in KINDS["electricity_meter"].cheats.items() if not made.code]
)
def test_honest_troubles_let_no_register_fall_but_where_they_say_so(kind, cheat):
    if cheat not in KINDS[kind].cheats:
        return
    _, spoilt, _ = run(kind, cheat, days=8)
    falls = [(a, b) for a, b in pairwise(spoilt) if at(b, MAIN[kind]) < at(a, MAIN[kind]) - 1e-9]
    if cheat == "meter_replaced":
        assert len(falls) == 1
    elif cheat == "daily_reset":
        assert 5 <= len(falls) <= 9
        assert all((b["ts"] + 8 * HOUR) // DAY > (a["ts"] + 8 * HOUR) // DAY for a, b in falls)
    elif cheat == "register_jitter":
        digit = 0.01 if MAIN[kind][0] == "energy" else 0.001
        highest = 0.0
        for body in spoilt:
            highest = max(highest, at(body, MAIN[kind]))
            assert round(highest - at(body, MAIN[kind]), 3) in (0, digit)
    else:
        assert not falls
    if kind == "electricity_meter":
        assert sums_hold(spoilt)


@pytest.mark.parametrize("kind", ["electricity_meter", "water_meter", "gas_meter"])
def test_an_empty_home_uses_nothing_and_a_holiday_little(kind):
    honest, empty, _ = run(kind, "vacancy")
    begin = START + 6 * HOUR
    assert used(empty, kind, begin) == 0
    _, away, _ = run(kind, "holiday")
    assert 0.08 < used(away, kind, begin) / used(honest, kind, begin) < 0.4


@pytest.mark.parametrize("kind", METERS)
def test_a_dead_meter_shows_neither_use_nor_flow(kind):
    _, spoilt, [event] = run(kind, "meter_dead")
    after = [body for body in spoilt if body["ts"] >= event.since]
    assert {at(body, FLOW[kind]) for body in after} == {0}
    assert len({at(body, MAIN[kind]) for body in after}) == 1
    assert event.code == "zero_consumption"


def test_a_slow_register_takes_less_than_its_power_gives():
    honest, spoilt, [event] = run("electricity_meter", "register_slow")
    share = used(spoilt, "electricity_meter", event.since) / used(
        honest, "electricity_meter", event.since
    )
    assert 0.59 < share < 0.86
    assert [body["power"] for body in spoilt] == [body["power"] for body in honest]
    assert sums_hold(spoilt)


def test_voltage_off_limits_keeps_power_and_is_in_the_truth():
    honest, spoilt, events = run("electricity_meter", "voltage_off")
    for a, b in zip(honest, spoilt, strict=True):
        outside = not 198 <= b["voltage"]["L1"] <= 235.4
        assert outside == any(event.since <= b["ts"] <= event.until for event in events)
        assert a["power"] == b["power"]
        before, after = (x["voltage"]["L1"] * x["amperage"]["L1"] for x in (a, b))
        assert after == pytest.approx(before, rel=0.01, abs=0.2)


def test_frequency_off_limits_is_in_the_truth():
    _, spoilt, events = run("electricity_meter", "frequency_off")
    for body in spoilt:
        outside = not 49.8 <= body["frequency"] <= 50.2
        assert outside == any(event.since <= body["ts"] <= event.until for event in events)


def test_a_lost_phase_shows_amperage_without_voltage_and_misses_its_energy():
    honest, spoilt, [event] = run("electricity_meter", "phase_lost")
    after = [body for body in spoilt if body["ts"] >= event.since]
    for body in after:
        low = [phase for phase, volts in body["voltage"].items() if volts < 0.6 * 220]
        assert len(low) == 1
        assert body["amperage"][low[0]] > 0.05
    kind = "electricity_meter"
    share = used(spoilt, kind, event.since) / used(honest, kind, event.since)
    assert share == pytest.approx(2 / 3, abs=0.05)


def test_a_reversed_connection_exports_what_was_imported():
    honest, spoilt, events = run("electricity_meter", "energy_reversed")
    assert len(events) > 1
    for before, after in pairwise(spoilt):
        exported = after["energy"]["export"] - before["energy"]["export"]
        inside = any(event.since <= after["ts"] <= event.until for event in events)
        assert exported == pytest.approx(0, abs=1e-9) or inside
        assert (after["power"]["active"] < 0) == inside
    last, true = spoilt[-1]["energy"], honest[-1]["energy"]
    assert last["import"] + last["export"] == pytest.approx(true["import"], abs=0.03)
    assert sums_hold(spoilt)


@pytest.mark.parametrize("kind", ["water_meter", "gas_meter"])
def test_a_leak_never_rests(kind):
    honest, spoilt, [event] = run(kind, "leak", days=8)
    after = [body for body in spoilt if body["ts"] >= event.since]
    steps = [round(b["volume"] - a["volume"], 3) for a, b in pairwise(after)]
    assert min(steps) >= 0.005
    assert min(body["flow_rate"] for body in after) > 0
    assert min(round(b["volume"] - a["volume"], 3) for a, b in pairwise(honest)) == 0


def test_a_burst_is_near_the_largest_permanent_flow_for_some_hours():
    honest, spoilt, [event] = run("water_meter", "burst")
    assert 2 * HOUR <= event.until - event.since <= 9 * HOUR
    more = used(spoilt, "water_meter") - used(honest, "water_meter")
    assert 0.85 * 2.5 * 3 < more < 1.11 * 2.5 * 8
    burst = [body for body in spoilt if event.since <= body["ts"] < event.until]
    assert all(body["flow_rate"] > 0.8 * 2.5 for body in burst)


def test_backflow_turns_the_reverse_register_only():
    _, spoilt, events = run("water_meter", "backflow")
    assert len(events) >= 2
    for before, after in pairwise(spoilt):
        inside = any(event.since <= after["ts"] <= event.until for event in events)
        assert (after["volume_reverse"] > before["volume_reverse"]) == inside
        assert (after["flow_rate"] < 0) == inside
        if inside:
            assert after["volume"] == before["volume"]


@pytest.mark.parametrize("cheat", ["base_inflated", "factor_raised"])
def test_a_wrong_conversion_shows_against_pressure_and_temperature(cheat):
    _, spoilt, [event] = run("gas_meter", cheat)
    after = [body for body in spoilt if body["ts"] >= event.since]
    expected = true = 0.0
    for a, b in pairwise(after):
        factor = b["pressure"] / 101.325 * 293.15 / (b["temperature"] + 273.15)
        expected += (b["volume"] - a["volume"]) * factor
        true += b["volume_base"] - a["volume_base"]
        apart = b["conversion_factor"] / factor
        assert (apart > 1.02) == (cheat == "factor_raised")
    assert 1.025 < true / expected < 1.095


def test_inflated_heat_is_more_than_volume_and_temperatures_give():
    honest, spoilt, [event] = run("heat_meter", "heat_inflated")
    ratio = used(spoilt, "heat_meter", event.since) / used(honest, "heat_meter", event.since)
    assert 1.11 < ratio < 1.31
    for a, b in zip(honest, spoilt, strict=True):
        same = ("volume", "flow_rate", "flow_temperature", "return_temperature")
        assert all(a[name] == b[name] for name in same)


def test_phases_can_only_be_lost_where_there_are_three():
    fits = KINDS["electricity_meter"].cheats["phase_lost"].fits
    assert [index for index in range(20) if fits(index)] == [4, 9, 14, 19]
    assert all(has_three_phases(index) for index in range(20) if fits(index))
