"""Cheats of fuel: each does what it says, tells the truth about it, and the messages show it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from simulators.clock import HOUR, parse_time
from simulators.fuel_cheats import FUEL, STATION
from tests.simulators.fleets import START, bodies, fleet, run
from tests.simulators.test_fuel_dispenser import balance, prices_at

BEGIN = START + 2 * HOUR


def exact(number):
    return Decimal(repr(number))


class Cheated:
    """One dispenser that cheats from two hours on: its registry, sales, other messages, truth."""

    def __init__(self, cheat, days=1.0, kind="fuel_dispenser", seed=7):
        made, self.events = fleet(kind, days=days, devices=1, cheats=((cheat, 0.01),), seed=seed)
        self.messages = bodies(list(made.messages()))
        made.finish(made.order.until)
        self.lines = list(made.registry())
        self.required = [event for event in self.events if event.required]
        self.sales = [body for _, body in self.messages if body["type"] == "transaction"]
        self.sales.sort(key=lambda body: body["ts"])

    def parameters(self, at):
        valid = [
            line
            for line in self.lines
            if "valid_from" not in line or parse_time(line["valid_from"]) <= at
        ]
        return valid[-1]["parameters"]

    def by_nozzle(self, *types):
        groups = defaultdict(list)
        for _, body in self.messages:
            if body["type"] in types:
                groups[body["nozzle"]].append(body)
        return groups

    def told(self, body, code=None):
        return any(
            event.since <= body["started_at"] and body["ended_at"] <= event.until
            for event in self.events
            if code is None or event.code == code
        )


def factor(sale):
    return sale["pulses"] / sale["volume"]


def test_a_constant_that_is_told_is_not_the_certified_one():
    cheated = Cheated("constant_raised")
    [event] = cheated.required
    assert event.code == "constant_changed"
    certified = cheated.parameters(START)["k_factor"]
    for sale in cheated.sales:
        wrong = sale["started_at"] >= BEGIN
        assert (sale["k_factor"] != certified) == wrong == cheated.told(sale)
        assert factor(sale) == pytest.approx(sale["k_factor"], rel=0.002)
    assert {each.code for each in cheated.events} == {
        "constant_changed",
        "delivery_factor_shift",
        "wet_stock_surplus",
    }


def test_a_secret_constant_shows_in_pulses_alone():
    cheated = Cheated("constant_secret")
    [event] = cheated.required
    assert event.code == "delivery_factor_shift"
    certified = cheated.parameters(START)["k_factor"]
    for sale in cheated.sales:
        assert sale["k_factor"] == certified
        shift = factor(sale) / certified - 1
        if sale["started_at"] >= BEGIN:
            assert -0.022 < shift < -0.010
        else:
            assert abs(shift) < 0.001


def test_round_amounts_are_short_and_no_others():
    cheated = Cheated("round_amounts_short", days=2)
    certified = cheated.parameters(START)["k_factor"]
    short = [s for s in cheated.sales if factor(s) / certified < 0.97]
    assert len(short) > 20
    assert {sale["amount"] for sale in short} <= {100.0, 200.0, 300.0}
    right = [
        sale
        for sale in cheated.sales
        if sale["amount"] in (100.0, 200.0, 300.0) and sale["started_at"] >= BEGIN
    ]
    assert 0.5 < len(short) / len(right) < 0.85
    [event] = cheated.required
    assert event.since == short[0]["started_at"]
    assert event.until == max(sale["ended_at"] for sale in short)


def stock(cheated, gauge, channel, product, since):
    """(sold, dropped) of a tank at 20 Cel since a time."""
    density = next(sale["density"] for sale in cheated.sales if sale["product"] == product)
    readings = [
        body
        for device, body in cheated.messages
        if device == gauge and body["type"] == "tank" and body["tank"] == channel
        if body["ts"] >= since
    ]
    sales = [sale for sale in cheated.sales if sale["product"] == product]
    steps = balance(sales, readings, density)
    return tuple(sum(side) for side in zip(*steps, strict=True))


def test_injected_pulses_are_coherent_and_the_tank_drops_by_less():
    cheated = Cheated("pulses_injected", days=5)
    [event] = cheated.required
    assert event.code == "wet_stock_surplus"
    certified = cheated.parameters(START)["k_factor"]
    for sale in cheated.sales:
        assert factor(sale) == pytest.approx(certified, rel=0.001)
    for product in ("92", "95", "0"):
        sold, dropped = stock(cheated, "fd-110000-00001", product, product, BEGIN)
        assert 0.032 < 1 - dropped / sold < 0.068


def test_a_surplus_too_small_to_be_seen_is_not_asked_for():
    cheated = Cheated("pulses_injected", days=1)
    assert cheated.required == []
    assert [event.code for event in cheated.events] == ["wet_stock_surplus"]


def test_a_leak_is_what_the_tank_loses_beside_its_sales():
    cheated = Cheated("tank_leak", days=5)
    [event] = cheated.required
    assert (event.code, event.since) == ("wet_stock_loss", BEGIN)
    sold, dropped = stock(cheated, "fd-110000-00001", "0", "0", BEGIN)
    hours = (event.until - event.since) / HOUR
    assert 2.5 < (dropped - sold) / hours < 6.5
    sold, dropped = stock(cheated, "fd-110000-00001", "92", "92", BEGIN)
    assert abs(dropped - sold) < 0.004 * sold + 10


def test_a_theft_is_a_fall_at_night_that_the_truth_names():
    cheated = Cheated("tank_theft", days=8)
    assert cheated.required
    readings = [
        body for _, body in cheated.messages if body["type"] == "tank" and body["tank"] == "0"
    ]
    for event in cheated.required:
        assert 1 <= (event.since + 8 * HOUR) // HOUR % 24 <= 4
        before = [body for body in readings if body["ts"] <= event.since][-1]
        after = next(body for body in readings if body["ts"] >= event.until)
        sold = sum(
            sale["volume"]
            for sale in cheated.sales
            if sale["product"] == "0" and before["ts"] < sale["ended_at"] < after["ts"] + HOUR
        )
        assert before["volume"] - after["volume"] > 280
        assert before["volume"] - after["volume"] < 820 + sold


def test_a_raised_price_is_not_that_of_the_list_and_the_amount_follows_from_it():
    cheated = Cheated("price_raised")
    for sale in cheated.sales:
        [listed] = prices_at(
            {"parameters": cheated.parameters(sale["ts"])}, sale["product"], sale["started_at"]
        )
        assert (sale["unit_price"] != listed) == (sale["started_at"] >= BEGIN)
        apart = exact(sale["amount"]) - exact(sale["unit_price"]) * exact(sale["volume"])
        assert abs(apart) <= exact(sale["unit_price"]) * Decimal("0.005") + Decimal("0.005")
    assert [event.code for event in cheated.events] == ["price_mismatch"]


@pytest.mark.parametrize(
    ("cheat", "code", "wrong"),
    [
        ("flow_beyond_rating", "flow_rate_out_of_range", lambda s: s["flow_rate"] > 50),
        ("below_minimum", "below_minimum_quantity", lambda s: s["volume"] < 5),
    ],
)
def test_a_sale_outside_the_rating_is_an_event_of_its_own(cheat, code, wrong):
    cheated = Cheated(cheat, days=2)
    found = [sale for sale in cheated.sales if wrong(sale)]
    assert len(found) > 10
    spans = {(sale["started_at"], sale["ended_at"]) for sale in found}
    assert spans == {(event.since, event.until) for event in cheated.required}
    assert {event.code for event in cheated.required} == {code}
    for sale in cheated.sales:
        minutes = (sale["ended_at"] - sale["started_at"]) / 60_000
        assert sale["volume"] / minutes == pytest.approx(sale["flow_rate"], abs=0.06)


def test_a_changed_program_has_another_checksum_than_the_certificate():
    cheated = Cheated("program_changed")
    certified = cheated.parameters(START)["firmware_checksum"]
    for sale in cheated.sales:
        assert (sale["firmware_checksum"] != certified) == (sale["started_at"] >= BEGIN)
    assert [event.code for event in cheated.events] == ["firmware_changed"]


def test_unbooked_sales_leave_no_gap_but_a_step_of_the_totaliser():
    cheated = Cheated("sales_unbooked", days=2)
    numbers = sorted(body["seq"] for _, body in cheated.messages)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    unexplained = set()
    for found in cheated.by_nozzle("transaction", "periodic").values():
        found.sort(key=lambda body: (body["ts"], body["seq"]))
        for before, after in pairwise(found):
            step = exact(after["totaliser_volume"]) - exact(before["totaliser_volume"])
            if step % 10**8 != exact(after.get("volume", 0.0)):
                unexplained.add(after["ts"])
    assert len(unexplained) > 5
    assert unexplained == {event.until for event in cheated.required}
    assert {event.code for event in cheated.required} == {"unbilled_delivery"}


def test_a_slow_totaliser_steps_by_nine_tenths_of_each_sale_and_never_falls():
    cheated = Cheated("totaliser_slow")
    [event] = cheated.required
    assert event.code == "totaliser_mismatch"
    checked = 0
    for found in cheated.by_nozzle("transaction").values():
        for before, after in pairwise(found):
            step = exact(after["totaliser_volume"]) - exact(before["totaliser_volume"])
            if after["started_at"] >= BEGIN:
                checked += 1
                assert (
                    0 <= step % 10**8 - exact(after["volume"]) * Decimal("0.9") <= Decimal("0.01")
                )
    assert checked > 50


def test_a_station_shares_tanks_among_three_dispensers_and_a_gauge():
    made, events = fleet("fuel_station", devices=5, days=2.5)
    assert len(made.devices) == 8
    found = bodies(list(made.messages()))
    lines = {line["device_id"]: line for line in made.registry() if "valid_from" not in line}
    assert {line["kind"] for line in lines.values()} == {"fuel_dispenser"}
    assert len({line["site"] for line in lines.values()}) == 2
    sales = defaultdict(list)
    gauges = defaultdict(list)
    for device, body in found:
        if body["type"] == "transaction":
            parameters = lines[device]["parameters"]
            tank = parameters["tank"][body["nozzle"]], parameters["tank_channel"][body["nozzle"]]
            assert lines[tank[0]]["site"] == lines[device]["site"]
            assert lines[tank[0]]["parameters"]["tanks"][tank[1]]["product"] == body["product"]
            sales[tank].append(body)
        elif body["type"] == "tank":
            gauges[device, body["tank"]].append(body)
    assert set(sales) == set(gauges)
    assert len(gauges) == 6
    for key, readings in gauges.items():
        steps = balance(sales[key], readings, sales[key][0]["density"])
        assert all(abs(sold - dropped) < 25 for sold, dropped in steps)
    assert events == []


def test_of_a_station_the_gauge_shows_what_a_dispenser_does():
    cheated = Cheated("pulses_injected", days=6, kind="fuel_station")
    [event] = cheated.required
    assert event.device_id == "fs-110000-00004"
    assert event.line()["suspect"] in {f"fs-110000-{n:05d}" for n in (1, 2, 3)}
    leaking = Cheated("tank_leak", days=5, kind="fuel_station")
    [event] = leaking.required
    assert (event.device_id, event.suspect) == ("fs-110000-00004", None)
    sold, dropped = stock(leaking, "fs-110000-00004", "3", "0", BEGIN)
    assert dropped - sold > 3 * (event.until - event.since) / HOUR - 0.003 * sold - 12


def test_a_cheat_at_one_dispenser_leaves_the_others_as_they_were():
    honest = bodies(run("fuel_station", devices=4)[0])
    spoilt = bodies(run("fuel_station", devices=4, cheats=(("constant_secret", 0.01),))[0])
    devices = {device for device, _ in honest}
    changed = {
        device
        for device in devices
        if [b for d, b in honest if d == device] != [b for d, b in spoilt if d == device]
    }
    # the dispenser and, as physics wants, the gauge
    assert len(changed) == 2
    assert "fs-110000-00004" in changed


def test_tank_cheats_are_of_the_gauge_and_all_others_of_dispensers():
    for name, cheat in STATION.items():
        assert cheat.fits(3) == (cheat.code == "wet_stock_loss"), name
        assert cheat.fits(4) != cheat.fits(3)
    assert set(STATION) < set(FUEL)
