"""Fuel dispensers: tanks that balance, prices, visits and replacements, from messages alone."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from decimal import Decimal
from functools import cache
from itertools import pairwise

import pytest

from simulators.clock import DAY, HOUR, parse_time
from simulators.fuel_tank import alpha, to_15, to_20
from tests.simulators.fleets import bodies, fleet, run


def prices_at(line, product, at):
    return [
        row["unit_price"]
        for row in line["parameters"]["price_list"]
        if row["product"] == product and parse_time(row["from"]) <= at < parse_time(row["until"])
    ]


def balance(sales, gauge, density):
    """(sold, dropped) at 20 Cel between neighbouring gauge readings of a tank without delivery."""
    found = []
    sales = sorted(sales, key=lambda sale: sale["ended_at"])
    ends = [sale["ended_at"] for sale in sales]
    for before, after in pairwise(gauge):
        level = [each["volume"] * to_20(each["temperature"], density) for each in (before, after)]
        sold = 0.0
        # no sale lasts an hour
        first, last = bisect(ends, before["ts"]), bisect(ends, after["ts"] + HOUR)
        for sale in sales[first:last]:
            # what ran between the two readings of it
            begin, end = max(sale["started_at"], before["ts"]), min(sale["ended_at"], after["ts"])
            if begin < end:
                share = (end - begin) / (sale["ended_at"] - sale["started_at"])
                sold += sale["volume"] * share * to_20(sale["temperature"], density)
        dropped = level[0] - level[1]
        # a tanker brings 12,000 L in half an hour: more than 100 L even to a reading in its first
        # ten seconds
        if dropped > sold - 100:
            found.append((sold, dropped))
    return found


@pytest.mark.parametrize(
    ("density", "temperature", "factor"),
    [(740, 25, 0.98770), (835, 5, 1.00851), (845, 30, 0.98740)],
)
def test_volumes_are_corrected_as_the_tables_do(density, temperature, factor):
    assert round(to_15(temperature, density), 5) == factor


def test_the_expansion_of_petrol_and_the_base_of_20_degrees():
    assert round(alpha(740), 7) == 0.0012256
    assert round(to_20(30, 740), 5) == 0.98758


def test_the_price_list_of_the_registry_is_what_sales_cost_and_changes_at_noon():
    made, _ = fleet("fuel_dispenser", devices=2, days=40)
    lines = {line["device_id"]: line for line in made.registry() if "valid_from" not in line}
    changed = set()
    last = {}
    for device, sale in bodies(list(made.messages()), "transaction"):
        at, product = sale["started_at"], sale["product"]
        assert prices_at(lines[device], product, at) == [sale["unit_price"]]
        if last.get(product, sale["unit_price"]) != sale["unit_price"]:
            changed.add((at + 8 * HOUR) // HOUR % 24)
        last[product] = sale["unit_price"]
    # one change is at noon, another at midnight
    assert 12 in changed
    assert changed & {0, 1, 2, 3}


def test_a_tank_falls_by_what_was_sold_but_for_noise_and_half_a_percent():
    messages, _ = run("fuel_dispenser", devices=3, days=10)
    sales, gauges = defaultdict(list), defaultdict(list)
    for device, body in bodies(messages, "transaction", "tank"):
        if body["type"] == "tank":
            gauges[device, body["tank"]].append(body)
        else:
            sales[device, body["product"]].append(body)
    assert len(gauges) == 9
    for key, gauge in gauges.items():
        density = sales[key][0]["density"]
        steps = balance(sales[key], gauge, density)
        assert len(steps) > 200
        # 1.5 L of noise a reading, 0.1 Cel of display are 3 L in a full tank
        assert all(abs(sold - dropped) < 25 for sold, dropped in steps)
        sold, dropped = (sum(side) for side in zip(*steps, strict=True))
        assert sold > 3000
        assert sold == pytest.approx(dropped, rel=0.003, abs=15)


def test_tankers_come_and_no_tank_runs_dry_or_over():
    messages, _ = run("fuel_dispenser", devices=4, days=20)
    rises = 0
    last = {}
    for device, body in bodies(messages, "tank"):
        key = device, body["tank"]
        assert 500 < body["volume"] < 30_000
        assert 5 < body["temperature"] < 28
        rises += body["volume"] > last.get(key, 30_000) + 2000
        last[key] = body["volume"]
    assert rises > 8


@cache
def months():
    """Registry lines by device, and the messages, of some dispensers over 62 days."""
    made, _ = fleet("fuel_dispenser", devices=8, days=62, interval=6 * HOUR, seed=10)
    found = defaultdict(list)
    for line in made.registry():
        found[line["device_id"]].append(line)
    return found, bodies(list(made.messages()))


def test_a_verification_visit_fills_test_cans_and_gives_a_new_certificate():
    found, messages = months()
    visited = 0
    for device, lines in found.items():
        assert lines[0]["parameters"]["k_factor"] > 0
        for line in lines[1:]:
            assert line["certificate"] != lines[0]["certificate"]
            assert line["valid_from"] == line["verified_at"]
            if line["commissioned_at"] == line["valid_from"]:
                continue
            visited += 1
            at = parse_time(line["verified_at"])
            mine = [
                body
                for name, body in messages
                if name == device
                and body["type"] == "transaction"
                and at - 2 * HOUR < body["started_at"] < at
            ]
            assert len(mine) == 12
            assert {body["volume"] for body in mine} == {20.0}
            assert {body["nozzle"] for body in mine} == {"1", "2", "3", "4"}
    assert visited == 8


def test_a_test_can_goes_back_into_its_tank():
    found, messages = months()
    at = parse_time(found["fd-110000-00001"][1]["verified_at"])
    messages = [each for each in messages if each[0] == "fd-110000-00001"]
    tank = [body for _, body in messages if body["type"] == "tank" and body["tank"] == "0"]
    before = [body for body in tank if body["ts"] < at - 2 * HOUR][-1]
    after = next(body for body in tank if body["ts"] > at)
    sales = [
        body
        for _, body in messages
        if body["type"] == "transaction"
        and body["product"] == "0"
        and before["ts"] < body["started_at"] < after["ts"]
    ]
    tests = sum(sale["volume"] for sale in sales if sale["volume"] == 20.0)
    dropped = before["volume"] - after["volume"]
    assert tests >= 60
    assert sum(sale["volume"] for sale in sales) - dropped == pytest.approx(tests, abs=15)


def test_what_a_dispenser_says_of_itself_is_what_the_registry_says_then():
    found, messages = months()
    replaced = 0
    for device, body in messages:
        if body["type"] != "transaction":
            continue
        valid = [
            line
            for line in found[device]
            if "valid_from" not in line or parse_time(line["valid_from"]) <= body["started_at"]
        ][-1]["parameters"]
        assert body["k_factor"] == valid["k_factor"]
        assert body["firmware_checksum"] == valid["firmware_checksum"]
        assert abs(body["pulses"] - body["volume"] * body["k_factor"]) <= 0.5 + 1e-6
        assert valid["q_min"] < body["flow_rate"] < valid["q_max"]
        assert body["volume"] >= valid["mmq"]
    for lines in found.values():
        replaced += len({line["serial_number"] for line in lines}) - 1
    assert replaced > 0


def test_the_totalisers_of_another_dispenser_begin_at_nothing():
    found, messages = months()
    new = {
        device: parse_time(line["valid_from"])
        for device, lines in found.items()
        for line in lines[1:]
        if line["commissioned_at"] == line["valid_from"]
    }
    assert new
    first = {}
    for device, body in messages:
        if device in new and body["ts"] > new[device] and body["type"] != "tank":
            first.setdefault((device, body["nozzle"]), body)
    for (device, _), body in first.items():
        assert body["ts"] < new[device] + DAY
        expected = Decimal(repr(body["volume"])) if body["type"] == "transaction" else Decimal(0)
        assert Decimal(repr(body["totaliser_volume"])) == expected
