"""Cheats: each does what it says, when the truth says so, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from simulators.catalogue import KINDS
from simulators.clock import DAY, HOUR
from simulators.fleet import TooManyCheats, UnknownCheat, choose
from tests.simulators.fleets import START, bodies, compared, device_of, fleet, run

EVERY = [
    (kind, cheat)
    for kind, made in KINDS.items()
    for cheat, wrong in made.cheats.items()
    # only signed records show it, which are no JSON: test_ev_charger has it
    if wrong.code and wrong.code != "signature_invalid"
]
HONEST = [
    (kind, cheat)
    for kind, made in KINDS.items()
    for cheat, wrong in made.cheats.items()
    if not wrong.code
]
SLOW = ("backlog", "pulses_injected", "tank_leak")
"""What takes days to be seen."""


@pytest.mark.parametrize(("kind", "cheat"), EVERY)
def test_every_cheat_leaves_a_truth_after_its_begin_and_honest_messages_before(kind, cheat):
    honest, spoilt, events = compared(kind, cheat, days=6 if cheat in SLOW else 3, also=True)
    begin = START + 2 * HOUR
    made = KINDS[kind].cheats[cheat]
    assert made.code in {event.code for event in events if event.required}
    for event in events:
        assert event.code in (made.code, *made.also, "wet_stock_surplus", "wet_stock_loss")
        assert event.code == made.code or not event.required
        assert event.cheat == cheat
        # a hole or a fall shows against the last message before it; a car may charge for hours
        earlier = (8 if kind == "ev_charger" else 1) * HOUR
        assert begin - earlier <= event.since <= event.until
    if cheat != "unregistered_clone":
        before = {n: body for n, body in honest.items() if body["ts"] < begin}
        assert before
        assert all(spoilt[n] == body for n, body in before.items())


@pytest.mark.parametrize(("kind", "cheat"), HONEST)
def test_honest_troubles_leave_honest_messages_before_and_nothing_in_the_truth(kind, cheat):
    honest, spoilt, events = compared(kind, cheat, days=3, also=True)
    assert not events
    assert set(spoilt) == set(honest)
    before = [n for n, body in honest.items() if body["ts"] < START + 2 * HOUR]
    if cheat != "daily_reset":
        assert all(spoilt[n] == honest[n] for n in before)
    assert spoilt != honest or cheat == "register_jitter"


def test_a_raised_amount_is_in_the_truth_and_no_other_is():
    honest, spoilt, events = compared("fuel_dispenser", "amount_raised")
    spans = {(event.since, event.until) for event in events}
    raised = {n for n, body in spoilt.items() if body.get("amount") != honest[n].get("amount")}
    assert len(raised) > 10
    for number, body in spoilt.items():
        if body["type"] == "transaction":
            assert ((body["started_at"], body["ended_at"]) in spans) == (number in raised)
    for number in raised:
        assert spoilt[number]["amount"] >= honest[number]["amount"] + 0.49


def test_books_take_raised_amounts_in():
    _, spoilt, _ = compared("fuel_dispenser", "amount_raised")
    sales = defaultdict(list)
    for body in spoilt.values():
        if body["type"] == "transaction":
            sales[body["nozzle"]].append(body)
    for of_nozzle in sales.values():
        of_nozzle.sort(key=lambda body: body["ts"])
        for before, after in pairwise(of_nozzle):
            step = Decimal(repr(after["totaliser_amount"])) - Decimal(
                repr(before["totaliser_amount"])
            )
            assert step % 10**9 == Decimal(repr(after["amount"]))


@pytest.mark.parametrize(
    ("kind", "cheat", "register"),
    [
        ("taximeter", "odometer_set_back", "total_distance"),
        ("water_meter", "register_set_back", "volume"),
        ("gas_meter", "register_set_back", "volume_base"),
    ],
)
def test_a_set_back_register_falls_once_and_then_runs_on(kind, cheat, register):
    honest, spoilt, [event] = compared(kind, cheat)
    readings = sorted(
        (body["ts"], body[register], honest[n][register])
        for n, body in spoilt.items()
        if register in body
    )
    falls = [(a, b) for a, b in pairwise(readings) if b[1] < a[1]]
    assert [(a[0], b[0]) for a, b in falls] == [(event.since, event.until)]
    back = {round(true - shown, 3) for at, shown, true in readings if at >= event.until}
    assert len(back) == 1
    assert back.pop() > 0


def test_a_set_back_meter_still_adds_up_by_tariff():
    _, spoilt, [event] = compared("electricity_meter", "register_set_back")
    after = [body["energy"] for body in spoilt.values() if body["ts"] >= event.until]
    assert after
    for energy in after:
        assert energy["import"] == pytest.approx(
            sum(energy[f"T{n}"] for n in range(1, 5)), abs=0.04
        )


def test_a_shifted_tariff_register_no_longer_adds_up():
    _, spoilt, [event] = compared("electricity_meter", "tariff_shifted")
    for body in spoilt.values():
        energy = body["energy"]
        apart = abs(energy["import"] - sum(energy[f"T{n}"] for n in range(1, 5)))
        assert (apart > 19) == (event.since <= body["ts"] <= event.until)


@pytest.mark.parametrize(
    ("kind", "cheat", "hidden"),
    [
        ("fuel_dispenser", "sales_hidden", "transaction"),
        ("taximeter", "trips_hidden", "trip"),
        ("water_meter", "messages_lost", "periodic"),
    ],
)
def test_hidden_messages_leave_holes_that_the_truth_names(kind, cheat, hidden):
    honest, spoilt, events = compared(kind, cheat, days=3)
    missing = set(honest) - set(spoilt)
    assert missing
    last = max(spoilt)
    for number in missing:
        assert honest[number]["type"] == hidden
        if number < last:
            at = honest[number]["ts"]
            assert any(event.since <= at <= event.until for event in events)


def test_a_double_booking_is_two_sales_under_one_number():
    messages, events = run("fuel_dispenser", devices=1, cheats=(("double_booking", 1.0),))
    events = [event for event in events if event.required]
    by_number = defaultdict(list)
    for _, body in bodies(messages):
        by_number[body["seq"]].append(body)
    doubles = [pair for pair in by_number.values() if len(pair) == 2]
    assert len(doubles) == len(events) > 3
    for first, second in doubles:
        assert second["amount"] < first["amount"]
        assert second["ts"] == first["ts"]
        price, volume = Decimal(repr(second["unit_price"])), Decimal(repr(second["volume"]))
        assert abs(price * volume - Decimal(repr(second["amount"]))) <= Decimal("0.005")


def test_an_overcharged_fare_is_at_least_three_yuan_too_high():
    for cheat in ("overcharge", "night_rate_by_day"):
        honest, spoilt, events = compared("taximeter", cheat, days=2)
        more = [body["fare"] - honest[n]["fare"] for n, body in spoilt.items() if "fare" in body]
        assert len([each for each in more if each]) == len(events)
        assert all(each == 0 or each >= 3 for each in more)


def test_a_clock_that_is_ahead_is_ahead_of_the_receipt_by_days():
    messages, [event] = run("gas_meter", devices=1, cheats=(("clock_ahead", 1.0),))
    [(_, body)] = bodies(messages[-1:])
    assert body["ts"] - messages[-1].received_at > 0.99 * DAY
    assert body["ts"] == event.until
    assert event.line()["clock_ahead_s"] * 1000 == event.clock_ahead >= DAY


def test_an_unregistered_device_is_not_in_the_registry_and_silent_before_its_begin():
    made, events = fleet("water_meter", devices=10, cheats=(("unregistered_clone", 0.2),))
    messages = list(made.messages())
    made.finish(START + DAY)
    strangers = {event.device_id for event in events}
    assert len(strangers) == 2
    registered = {line["device_id"] for line in made.registry()}
    assert registered == {device_of(each) for each in messages} - strangers
    first = min(each.received_at for each in messages if device_of(each) in strangers)
    assert first >= START + 2 * HOUR


def test_a_share_hits_that_many_devices_and_no_device_twice():
    made, _ = fleet("taximeter", devices=200, cheats=(("overcharge", 0.05), ("clock_ahead", 0.1)))
    cheats = [device.fault.case.cheat for device in made.devices if device.fault]
    assert 8 <= cheats.count("overcharge") <= 12
    assert 18 <= cheats.count("clock_ahead") <= 22


def test_a_cheat_in_a_tiny_fleet_still_hits_somebody():
    made, _ = fleet("taximeter", devices=3, cheats=(("overcharge", 0.01),))
    assert len([device for device in made.devices if device.fault]) == 1


def test_cheats_are_found_by_name_by_kind_and_all_at_once():
    kinds = ("water_meter", "gas_meter")
    assert {each.kind for each in choose(kinds, [("register_set_back", 0.1)])} == set(kinds)
    assert [each.kind for each in choose(kinds, [("gas_meter.clock_ahead", 0.1)])] == ["gas_meter"]
    every = choose(kinds, [("all", 0.01)])
    assert [(each.kind, each.cheat) for each in every] == [
        (kind, name) for kind in kinds for name, made in KINDS[kind].cheats.items() if made.code
    ]
    with pytest.raises(UnknownCheat, match="overcharge"):
        choose(kinds, [("overcharge", 0.1)])
    with pytest.raises(TooManyCheats):
        choose(kinds, [("clock_ahead", 0.6), ("messages_lost", 0.6)])


def test_all_cheats_share_what_the_named_ones_leave():
    chosen = choose(("gas_meter",), [("all", 1.0), ("clock_ahead", 0.4), ("honest", 0.0)])
    shares = {each.cheat: each.share for each in chosen}
    assert shares["clock_ahead"] == 0.4
    others = {share for cheat, share in shares.items() if cheat != "clock_ahead" and share}
    assert len(others) == 1
    assert sum(shares.values()) == pytest.approx(1)
    assert {each.share for each in choose(("gas_meter",), [("all", 0.001)])} == {0.001}
