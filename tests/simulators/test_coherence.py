"""Honest instruments: what they show adds up, computed here from the payloads alone."""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import pytest

from simulators.catalogue import KINDS
from simulators.clock import HOUR, MINUTE
from simulators.electricity_meter import ElectricityMeter
from simulators.gas_meter import conversion_factor
from simulators.instrument import Setting
from tests.simulators.fleets import START, bodies, fleet, run

CENT = Decimal("0.01")


def exact(number: float) -> Decimal:
    return Decimal(repr(number))


def by_channel(found, channel=None):
    """Bodies of one device (and channel) in measured order."""
    groups = defaultdict(list)
    for device, body in found:
        groups[device, body[channel] if channel else None].append(body)
    return {key: sorted(group, key=lambda body: body["ts"]) for key, group in groups.items()}


def test_an_amount_is_volume_times_price_within_half_a_volume_step():
    messages, _ = run("fuel_dispenser", devices=3)
    sales = bodies(messages, "transaction")
    assert len(sales) > 200
    preset = 0
    for _, sale in sales:
        volume, price, amount = (exact(sale[k]) for k in ("volume", "unit_price", "amount"))
        computed = (volume * price).quantize(CENT, ROUND_HALF_UP)
        if amount % 50 == 0:
            preset += 1
            assert abs(amount - volume * price) <= price * Decimal("0.005")
        else:
            assert amount == computed
    assert 0.4 < preset / len(sales) < 0.8


def test_totalisers_of_a_nozzle_are_the_exact_sum_of_its_sales():
    messages, _ = run("fuel_dispenser", devices=6)
    for sales in by_channel(bodies(messages, "transaction"), "nozzle").values():
        for before, after in pairwise(sales):
            for register, sold, scale in (
                ("totaliser_volume", "volume", 10**8),
                ("totaliser_amount", "amount", 10**9),
            ):
                step = (exact(after[register]) - exact(before[register])) % scale
                assert step == exact(after[sold])


def test_a_periodic_totaliser_is_that_of_the_last_sale():
    messages, _ = run("fuel_dispenser", devices=2)
    last = {}
    compared = 0
    for device, body in bodies(messages, "transaction", "periodic"):
        key = device, body["nozzle"]
        if body["type"] == "transaction":
            last[key] = body["totaliser_volume"]
        elif key in last:
            compared += 1
            assert body["totaliser_volume"] == last[key]
    assert compared > 50


def test_pulses_are_volume_times_k_within_half_a_pulse_and_flow_is_that_of_a_nozzle():
    messages, _ = run("fuel_dispenser", devices=2)
    for _, sale in bodies(messages, "transaction"):
        assert abs(sale["pulses"] - sale["volume"] * sale["k_factor"]) <= 0.5 + 1e-6
        assert 19 <= sale["flow_rate"] <= 41
        minutes = (sale["ended_at"] - sale["started_at"]) / MINUTE
        assert sale["volume"] / minutes == pytest.approx(sale["flow_rate"], abs=0.06)


def test_a_nozzle_sells_one_thing_at_a_time_and_more_by_day():
    messages, _ = run("fuel_dispenser", devices=10)
    sales = bodies(messages, "transaction")
    for of_nozzle in by_channel(sales, "nozzle").values():
        assert all(a["ended_at"] <= b["started_at"] for a, b in pairwise(of_nozzle))
        assert len({sale["product"] for sale in of_nozzle}) == 1
    hours = [(sale["started_at"] + 8 * HOUR) // HOUR % 24 for _, sale in sales]
    assert hours.count(8) > 3 * hours.count(2)


@pytest.mark.parametrize("interval", [60_000, 15 * MINUTE, 5 * HOUR])
def test_tariff_registers_sum_to_the_total_but_for_the_last_digit(interval):
    messages, _ = run("electricity_meter", devices=20, interval=interval, days=1)
    found = bodies(messages)
    assert found
    for _, body in found:
        energy = body["energy"]
        parts = sum(exact(energy[f"T{n}"]) for n in (1, 2, 3, 4))
        # modulo the full scale: the total may have rolled over when its parts have not
        apart = (exact(energy["import"]) - parts) % 10**6
        assert apart < Decimal("0.04")


def test_only_the_tariff_register_of_the_hour_moves():
    messages, _ = run("electricity_meter", devices=5)
    hours = {1: {19, 20}, 2: {9, 10, 11, 17, 18, 21, 22}, 4: {23, 0, 1, 2, 3, 4, 5, 6}}
    for readings in by_channel(bodies(messages)).values():
        for before, after in pairwise(readings):
            hour = (after["ts"] + 8 * HOUR) // HOUR % 24
            if (before["ts"] + 8 * HOUR) // HOUR % 24 != hour:
                continue
            moved = {
                n for n in (1, 2, 3, 4) if before["energy"][f"T{n}"] != after["energy"][f"T{n}"]
            }
            now = next((n for n, of_day in hours.items() if hour in of_day), 3)
            assert moved <= {now}


def test_power_energy_voltage_and_amperage_agree():
    messages, _ = run("electricity_meter", devices=10)
    for readings in by_channel(bodies(messages)).values():
        for before, after in pairwise(readings):
            used, given = (
                (after["energy"][name] - before["energy"][name]) % 10**6
                for name in ("import", "export")
            )
            hours = (after["ts"] - before["ts"]) / HOUR
            power = after["power"]
            assert used - given == pytest.approx(power["active"] * hours, abs=0.021)
            exact = power["apparent"] * power["factor"]
            assert abs(power["active"]) == pytest.approx(exact, rel=0.005)
            apparent = sum(
                after["voltage"][phase] * after["amperage"][phase] / 1000
                for phase in after["voltage"]
            )
            assert apparent == pytest.approx(power["apparent"], rel=0.01, abs=0.001)
            assert all(198 <= volts <= 235.4 for volts in after["voltage"].values())
            assert 49.8 <= after["frequency"] <= 50.2


def test_some_registers_roll_over_at_their_full_scale():
    indexes = range(200)
    starts = [
        next(ElectricityMeter(Setting(3, f"em-{i}", i, START, 15 * MINUTE)).readings())[1]
        for i in indexes
    ]
    near = [i for i in indexes if starts[i]["energy"]["import"] > 999_990]
    assert 1 <= len(near) <= 20
    meter = ElectricityMeter(Setting(3, f"em-{near[0]}", near[0], START, HOUR)).readings()
    shown = [next(meter)[1]["energy"]["import"] for _ in range(24 * 20)]
    falls = [(a, b) for a, b in pairwise(shown) if b < a]
    assert len(falls) == 1
    assert falls[0][0] > 999_000
    assert falls[0][1] < 1_000


def test_a_water_register_never_falls_and_uses_what_a_household_does():
    messages, _ = run("water_meter", devices=30, days=3)
    used = []
    for readings in by_channel(bodies(messages)).values():
        steps = [(b["volume"] - a["volume"]) % 10**6 for a, b in pairwise(readings)]
        assert all(0 <= step < 2.5 for step in steps)
        used.append(sum(steps) / 3)
    assert 0.1 < sum(used) / len(used) < 1.0


def test_base_volume_follows_the_gas_law():
    # domain: p 103.3 kPa and 12 degrees give 1.04809
    assert round(conversion_factor(103.3, 12.0), 5) == 1.04809
    messages, _ = run("gas_meter", devices=10)
    flowing = 0
    for readings in by_channel(bodies(messages)).values():
        for before, after in pairwise(readings):
            measured = (after["volume"] - before["volume"]) % 10**6
            base = (after["volume_base"] - before["volume_base"]) % 10**6
            assert base == pytest.approx(measured * after["conversion_factor"], abs=0.0025)
            kelvin = after["temperature"] + 273.15
            factor = after["pressure"] / 101.325 * 293.15 / kelvin
            assert after["conversion_factor"] == pytest.approx(factor, abs=6e-6)
            flowing += measured > 0
    assert flowing > 20


@pytest.mark.parametrize("kind", KINDS)
def test_sequence_numbers_have_no_holes_and_times_do_not_fall(kind):
    messages, _ = run(kind, devices=3, days=0.5)
    for found in by_channel(bodies(messages)).values():
        # seen from half way, numbers that begin again after 4294967295 go on
        ordered = sorted(found, key=lambda body: (body["seq"] + 2**31) % 2**32)
        assert {(b["seq"] - a["seq"]) % 2**32 for a, b in pairwise(ordered)} == {1}
        assert all(a["ts"] <= b["ts"] for a, b in pairwise(ordered))


def test_only_homes_with_panels_export_and_only_by_day():
    made, _ = fleet("electricity_meter", devices=20, days=3)
    lines = {line["device_id"]: line["parameters"] for line in made.registry()}
    exporting = set()
    for (device, _), readings in by_channel(bodies(list(made.messages()))).items():
        for before, after in pairwise(readings):
            given = (after["energy"]["export"] - before["energy"]["export"]) % 10**6
            if given:
                exporting.add(device)
                assert 6 <= (before["ts"] + 8 * HOUR) // HOUR % 24 <= 18
    assert exporting == {device for device, known in lines.items() if known.get("generates")}
    assert len(exporting) == 2


def test_a_household_draws_no_water_in_most_hours_of_the_night():
    messages, _ = run("water_meter", devices=30, days=4)
    quiet = nights = 0
    for readings in by_channel(bodies(messages)).values():
        assert len({body["volume_reverse"] for body in readings}) == 1
        for before, after in pairwise(readings):
            if 2 <= (before["ts"] + 8 * HOUR) // HOUR % 24 < 5:
                nights += 1
                quiet += before["volume"] == after["volume"]
    assert quiet / nights > 0.6
