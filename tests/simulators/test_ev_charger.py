"""EV chargers: sessions, registers and money that add up, and each cheat's truth."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import pairwise

import pytest
from ecdsa import BadSignatureError, VerifyingKey
from ecdsa.util import sigdecode_der

from simulators.clock import HOUR, local_hour, parse_time, rfc3339
from tests.simulators.fleets import START, bodies, fleet

CENT = Decimal("0.01")
BEGIN = START + 2 * HOUR


def exact(number):
    return Decimal(repr(number))


@cache
def month():
    """Registry lines, and the messages of four chargers over 30 days."""
    made, _ = fleet("ev_charger", devices=4, days=30)
    return {line["device_id"]: line for line in made.registry()}, bodies(list(made.messages()))


def drawn(body):
    """What the registers of a session say, also where they rolled over."""
    step = exact(body["energy_end"]) - exact(body["energy_start"])
    return step if step >= 0 else step + 10**8


def channels(found):
    groups = defaultdict(list)
    for device, body in found:
        groups[device, body["connector"]].append(body)
    return {key: sorted(group, key=lambda body: body["ts"]) for key, group in groups.items()}


def sessions(found):
    return [(device, body) for device, body in found if body["type"] == "session"]


def listed(line, at):
    return [
        row["unit_price"]
        for row in line["parameters"]["price_list"]
        if parse_time(row["from"]) <= at < parse_time(row["until"])
        and local_hour(at) in row["hours"]
    ]


def test_money_follows_from_energy_and_the_price_of_the_hour():
    lines, found = month()
    prices = set()
    for device, body in sessions(found):
        energy, price = exact(body["energy"]), exact(body["energy_price"])
        assert listed(lines[device], body["started_at"]) == [body["energy_price"]]
        prices.add(body["energy_price"])
        assert exact(body["energy_amount"]) == (energy * price).quantize(CENT, ROUND_HALF_UP)
        service = exact(lines[device]["parameters"]["service_price"])
        assert exact(body["service_fee"]) == (energy * service).quantize(CENT, ROUND_HALF_UP)
        assert exact(body["amount"]) == exact(body["energy_amount"]) + exact(body["service_fee"])
    # four windows, and a new list within the month
    assert 4 < len(prices) <= 8


def test_registers_of_a_connector_run_through_sessions_and_periodic_messages():
    _, found = month()
    for body in (body for _, body in sessions(found)):
        assert drawn(body) == exact(body["energy"])
    for group in channels(found).values():
        of_sessions = [body for body in group if body["type"] == "session"]
        assert of_sessions
        for before, after in pairwise(of_sessions):
            assert before["energy_end"] == after["energy_start"]
            assert before["ended_at"] < after["started_at"]
        shown = [body["energy_import"] for body in group if body["type"] == "periodic"]
        assert all((after - before) % 10**8 < 40 for before, after in pairwise(shown))


def test_power_is_below_the_rating_and_agrees_with_the_register():
    lines, found = month()
    charging = 0
    for (device, _), group in channels(found).items():
        rated = lines[device]["parameters"]["rated_power"]
        for body in group:
            if body["type"] == "session":
                hours = (body["ended_at"] - body["started_at"]) / HOUR
                assert body["energy"] <= rated * hours
        periodic = [body for body in group if body["type"] == "periodic"]
        for before, after in pairwise(periodic):
            assert 0 <= after["power"] < rated
            assert after["power"] * 1000 == pytest.approx(
                after["voltage"] * after["amperage"], abs=5
            )
            if before["power"] == after["power"] > 0:
                charging += 1
                step = (after["energy_import"] - before["energy_import"]) % 10**8
                hours = (after["ts"] - before["ts"]) / HOUR
                assert step <= after["power"] * hours + 0.011
    assert charging > 100


def test_a_battery_fills_while_the_car_charges():
    _, found = month()
    states = [body for _, body in found if "state_of_charge" in body]
    assert len(states) > 100
    assert all(10 <= body["state_of_charge"] <= 100 for body in states)


class Cheated:
    """One charger that cheats from two hours on; the second of a fleet is a DC one."""

    def __init__(self, cheat, days=3.0):
        made, events = fleet("ev_charger", devices=2, days=days, cheats=((cheat, 1.0),))
        found = bodies(list(made.messages()))
        made.finish(made.order.until)
        self.line = {line["device_id"]: line for line in made.registry()}["ev-110000-00002"]
        mine = [event for event in events if event.device_id == "ev-110000-00002"]
        self.codes = {event.code for event in mine if event.required}
        self.spans = {(event.since, event.until) for event in mine if event.required}
        self.found = [each for each in found if each[0] == "ev-110000-00002"]
        self.sessions = [body for _, body in sessions(self.found)]

    def wrong(self, check):
        return {(b["started_at"], b["ended_at"]) for b in self.sessions if check(b)}


def product_is_off(body):
    apart = exact(body["energy_amount"]) - exact(body["energy"]) * exact(body["energy_price"])
    return abs(apart) > CENT


def energy_is_off(body):
    return drawn(body) != exact(body["energy"])


def test_a_raised_amount_is_more_than_energy_times_price():
    cheated = Cheated("charge_raised")
    assert cheated.wrong(product_is_off) == cheated.spans
    assert len(cheated.spans) > 3
    assert cheated.codes == {"amount_mismatch"}


def test_inflated_energy_is_more_than_the_registers_and_paid_for():
    cheated = Cheated("energy_inflated")
    assert cheated.wrong(energy_is_off) == cheated.spans
    assert cheated.wrong(product_is_off) == set()
    assert cheated.codes == {"session_energy_mismatch"}


def test_a_raised_tariff_is_not_that_of_the_list():
    cheated = Cheated("tariff_raised")
    off = cheated.wrong(lambda b: listed(cheated.line, b["started_at"]) != [b["energy_price"]])
    assert off == cheated.spans
    assert cheated.wrong(product_is_off) == set()
    assert cheated.codes == {"price_mismatch"}


def test_overlapping_sessions_are_those_of_the_truth():
    cheated = Cheated("sessions_overlapping")
    wrong = set()
    for group in channels(sessions(cheated.found)).values():
        wrong |= {
            (b["started_at"], b["ended_at"])
            for a, b in pairwise(group)
            if b["started_at"] < a["ended_at"]
        }
    assert wrong == cheated.spans
    assert wrong


def test_a_meter_that_counts_too_much_shows_more_energy_than_the_rating_allows():
    cheated = Cheated("counts_too_much", days=8)
    rated = cheated.line["parameters"]["rated_power"]

    def impossible(body):
        return body["energy"] > 1.05 * rated * (body["ended_at"] - body["started_at"]) / HOUR + 0.02

    assert cheated.wrong(impossible) == cheated.spans
    assert cheated.spans
    assert cheated.codes == {"power_energy_mismatch"}
    # registers, energy and money agree
    assert cheated.wrong(energy_is_off) == cheated.wrong(product_is_off) == set()


def test_a_forged_record_is_one_that_the_registered_key_does_not_vouch_for():
    made, events = fleet("ev_charger", devices=2, days=14, cheats=(("record_forged", 0.01),))
    [device] = [each for each in made.devices if each.fault]
    assert device.registration()["profile"] == "ocmf-record"
    key = VerifyingKey.from_der(
        bytes.fromhex(device.registration()["parameters"]["ocmf_public_key"])
    )
    records = [each.payload for each in made.messages() if each.topic.startswith("ocmf/")]
    made.finish(made.order.until)
    forged = set()
    for record in records:
        _, signed, signature = record.split(b"|")
        try:
            key.verify(
                bytes.fromhex(json.loads(signature)["SD"]), signed, hashlib.sha256, sigdecode_der
            )
        except BadSignatureError:
            begin, end = json.loads(signed)["RD"]
            forged.add(tuple(each["TM"].split(" ")[0].replace(",", ".") for each in (begin, end)))
    assert 0 < len(forged) < len(records)
    told = {
        tuple(rfc3339(at).replace("Z", "+0000") for at in (event.since, event.until))
        for event in events
        if event.required
    }
    assert forged == told
    assert {event.code for event in events if event.required} == {"signature_invalid"}
