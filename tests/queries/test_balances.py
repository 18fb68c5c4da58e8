"""Balances against instruments that are simulated, so that the truth is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.access.roles import AccessDenied, Scope
from gateway.errors import ConfigError
from gateway.queries import balances
from gateway.queries.privacy import Privacy
from gateway.queries.seen import NotFound, Seen
from simulators.catalogue import KINDS
from simulators.clock import DAY, HOUR
from simulators.fleet import Fleet, Order, choose
from tests.queries.simulated import Simulated
from tests.simulators.fleets import START, device_of, fleet

STATION = "simulated-fs-0001"
GAUGE = "fs-110000-00004"
CHEATING = "fs-110000-00002"
DIESEL = "3"
"""The tank that only the cheating dispenser draws from."""
FEEDER = "fe-110000-00013"
THIEF = next(number for number in range(12) if KINDS["feeder"].cheats["feeder_theft"].fits(number))


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A station of which one dispenser gives too little, and how much by its truth."""
    made, events = fleet(
        "fuel_station", days=5.5, cheats=(("pulses_injected", 0.3),), interval=HOUR, seed=7
    )
    messages = list(made.messages())
    made.finish(made.order.until)
    assert [event.suspect for event in events] == [CHEATING]
    (fault,) = (each.fault for each in made.devices if each.fault is not None)
    simulated = Simulated(tmp_path_factory.mktemp("station"), "fuel_dispenser", made, messages)
    yield simulated, fault.short_by
    simulated.close()


def tank(station, channel, **more):
    simulated, _ = station
    asked = {"days": 5, "until": None, "flags": True} | more
    told = balances.of_site(simulated.seen(), STATION, **asked).told
    assert told["left_out"] == told["feeders"] == []
    return next(each for each in told["tanks"] if each["channel"] == channel)


def test_what_a_station_withholds_is_the_difference_within_the_tolerance(station):
    _, withheld = station
    assert 0.04 <= withheld <= 0.06
    told = tank(station, DIESEL)
    # A nozzle is off by 0.15 % at most, and the gauge has its noise.
    off = 0.0015 * told["sold"] + 20
    assert off < told["tolerance"]
    assert told["difference"] == pytest.approx(withheld * told["sold"], abs=off)
    assert told["difference"] > 3 * told["tolerance"]
    assert told["verdict"] == "surplus"
    assert len(told["days"]) == 5
    for day in told["days"][1:]:
        assert day["verdict"] == "surplus"
        assert day["difference"] == pytest.approx(withheld * day["sold"], abs=day["tolerance"])
    assert {(each["device_id"], each["nozzle"]) for each in told["nozzles"]} == {
        (CHEATING, "3"), (CHEATING, "4"),
    }  # fmt: skip
    assert all(each["sales"] > 50 for each in told["nozzles"])


def test_every_litre_of_a_day_is_somewhere(station):
    for channel in ("1", "2", DIESEL):
        told = tank(station, channel)
        added = 0.0
        before = told["opening"]
        for day in told["days"]:
            added += day["difference"]
            assert day["opening"] == pytest.approx(before)
            assert day["closing"] == pytest.approx(
                day["opening"] + day["delivered"] - day["sold"] + day["difference"]
            )
            assert day["cumulative"] == pytest.approx(added)
            before = day["closing"]
        assert told["closing"] == pytest.approx(before)
        assert told["line"]["difference"][-1] == pytest.approx(added, abs=0.01)
        assert told["line"]["tolerance"][-1] == pytest.approx(told["tolerance"], abs=0.01)


def test_a_delivery_is_what_the_tanker_brought(station):
    _, withheld = station
    found = [each for name in ("1", "2", DIESEL) for each in tank(station, name)["deliveries"]]
    assert len(found) > 2
    for each in found:
        litres = round(each["volume"], -3)
        assert litres >= 12_000
        # What was withheld while it flowed is taken for a part of it.
        assert each["volume"] == pytest.approx(litres, abs=20 + withheld * 1500)


def test_a_day_is_as_the_check_has_judged_it(station):
    simulated, _ = station
    told = tank(station, DIESEL)
    (flag,) = told["flags"]
    evidence = flag["evidence"]
    assert (flag["code"], flag["device_id"], evidence["days"]) == ("wet_stock_surplus", GAUGE, 1)
    until = datetime.fromisoformat(flag["to"])
    (day,) = (
        each for each in told["days"]
        if (until - datetime.fromisoformat(each["from"])).total_seconds() == 86_400
    )  # fmt: skip
    assert day["difference"] == pytest.approx(evidence["observed"])
    assert day["tolerance"] == pytest.approx(evidence["tolerance"])
    assert {flag.code for flag in simulated.flags if flag.code.startswith("wet_stock")} == {
        "wet_stock_surplus"
    }


def test_other_flags_of_a_tanks_devices_stand_beside_and_none_without_the_permission(station):
    simulated, _ = station
    told = tank(station, DIESEL)
    others = {f.id for f in simulated.flags if f.device_id == CHEATING and f.severity != "info"}
    assert {each["id"] for each in told["beside"]} <= others
    hidden = tank(station, DIESEL, flags=False)
    assert hidden["flags"] == hidden["beside"] == []


def test_fewer_days_are_the_last_of_more(station):
    more, fewer = tank(station, "2"), tank(station, "2", days=2)
    assert [day["from"] for day in fewer["days"]] == [day["from"] for day in more["days"][-2:]]
    for one, other in zip(fewer["days"], more["days"][-2:], strict=True):
        assert one["difference"] == pytest.approx(other["difference"], abs=0.01)
    earlier = tank(station, "2", days=1, until=noon(more["days"][1]["from"]))
    assert [day["from"] for day in earlier["days"]] == [more["days"][1]["from"]]


def noon(text):
    """The noon of a day, ns."""
    return round(datetime.fromisoformat(text).timestamp() * 10**9) + DAY * 500_000


def test_a_gauge_heads_the_same_balance_and_a_dispenser_none(station):
    simulated, _ = station
    asked = {"days": 5, "until": None, "flags": True}
    told = balances.of_device(simulated.seen(), GAUGE, **asked).told
    assert told["tanks"] == balances.of_site(simulated.seen(), STATION, **asked).told["tanks"]
    assert balances.of_device(simulated.seen(), CHEATING, **asked).told["tanks"] == []


def test_who_may_not_see_it_all_sees_nothing(station):
    simulated, _ = station
    asked = {"days": 5, "until": None, "flags": True}
    for wrong in (0, balances.MOST_DAYS + 1):
        with pytest.raises(ConfigError):
            balances.of_site(simulated.seen(), STATION, **asked | {"days": wrong})
    for scope in (Scope("31", None), Scope("110000", "nobody")):
        with pytest.raises(NotFound):
            balances.of_site(simulated.seen(scope), STATION, **asked)
        with pytest.raises(NotFound):
            balances.of_device(simulated.seen(scope), GAUGE, **asked)
    blind = Seen(simulated.world, Scope("", None), Privacy(places=False, exact=False))
    for ask, name in ((balances.of_site, STATION), (balances.of_device, GAUGE)):
        with pytest.raises(AccessDenied):
            ask(blind, name, **asked)


THEFT_AFTER = 8
DAYS = 12


def _feeder(cheats):
    """A feeder of homes and shops; in its last days one of them takes more than it registers."""
    events = []
    order = Order(
        kinds=("feeder",), devices=13, seed=5, start=START, until=START + DAYS * DAY,
        cheats_from=START + THEFT_AFTER * DAY, interval=HOUR,
        choices=choose(("feeder",), cheats),
    )  # fmt: skip
    made = Fleet(order, events.append)
    messages = list(made.messages())
    made.finish(order.until)
    return made, messages, events


def _registers(messages):
    """Net register of each meter at each time, by its messages."""
    found = {}
    for message in messages:
        body = json.loads(message.payload)
        if body["type"] == "periodic":
            net = body["energy"]["import"] - body["energy"]["export"]
            found.setdefault(device_of(message), {})[body["ts"]] = net
    return found


@pytest.fixture(scope="module")
def feeder(tmp_path_factory):
    """The gateway after a theft, the registers as sent, and as they were without the theft."""
    made, messages, events = _feeder([("feeder_theft", 0.1)])
    (event,) = (each for each in events if each.code == "energy_balance_mismatch")
    _, honest, _ = _feeder([])
    simulated = Simulated(tmp_path_factory.mktemp("feeder"), "electricity_meter", made, messages)
    yield simulated, event.suspect, _registers(messages), _registers(honest)
    simulated.close()


def test_a_feeders_days_are_its_registers_and_its_loss_what_was_taken(feeder):
    simulated, thief, registers, honest = feeder
    answer = balances.of_device(simulated.seen(), FEEDER, days=6, until=None, flags=True)
    (told,) = answer.told["feeders"]
    assert sorted(answer.personal) == sorted(registers)
    assert len(told["members"]) == 12
    whole = [day for day in told["days"] if day["hours"] == 24]
    assert len(whole) >= 4
    for day in whole:
        begin = round(datetime.fromisoformat(day["from"]).replace(tzinfo=UTC).timestamp() * 1000)

        def grown(of, begin=begin):
            return of[begin + DAY] - of[begin]

        used = sum(grown(of) for name, of in registers.items() if name != FEEDER)
        stolen = grown(honest[thief]) - grown(registers[thief])
        assert day["supplied"] == pytest.approx(grown(registers[FEEDER]), abs=0.02)
        assert day["used"] == pytest.approx(used, abs=0.02)
        if day["verdict"] != "unknown" and day["learned"]:
            technical = day["expected_percent"] / 100 * day["supplied"]
            width = (day["high_percent"] - day["low_percent"]) / 200 * day["supplied"]
            assert day["loss"] - technical == pytest.approx(stolen, abs=width)
            assert (day["verdict"] == "unbalanced") == (stolen > width)
    assert any(day["verdict"] == "unbalanced" for day in whole)


@pytest.mark.parametrize("days", [6, 2])
def test_a_flagged_day_is_as_the_check_has_judged_it(feeder, days):
    """Whether the days in which the loss was learned are read or not: the flag tells it."""
    simulated, thief, _, _ = feeder
    answer = balances.of_device(simulated.seen(), FEEDER, days=days, until=None, flags=True)
    (told,) = answer.told["feeders"]
    (flag,) = told["flags"]
    evidence = flag["evidence"]
    assert [each["device_id"] for each in evidence["suspects"]] == [thief]
    (day,) = (day for day in told["days"] if day["from"] == evidence["inputs"]["day"])
    master = evidence["inputs"]["master"]
    expected, tolerance = evidence["expected"], evidence["tolerance"]
    assert day["supplied"] == pytest.approx(master)
    assert day["loss"] == pytest.approx(evidence["observed"])
    assert day["low_percent"] == pytest.approx(100 * (expected - tolerance) / master, rel=1e-3)
    assert day["high_percent"] == pytest.approx(100 * (expected + tolerance) / master, rel=1e-3)
