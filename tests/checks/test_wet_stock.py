"""A tank against what its nozzles sold."""

from __future__ import annotations

import itertools
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.checks import Judge
from gateway.checks.petroleum import at_20, expansion
from gateway.checks.tanks import Book, Point, Tank, untold
from gateway.devices import Registry
from gateway.profiles.layout import Layout
from gateway.records import Device, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.records import Flag

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_760_054_400 * 10**9
SALE = Layout(
    "fuel_dispenser", "transaction", "test@1.0.0",
    ("volume", "started_at", "ended_at", "totaliser_volume", "temperature"), {}, 2**32, False, True,
)  # fmt: skip
GAUGE = Layout(
    "fuel_dispenser", "periodic", "test@1.0.0", ("tank_volume", "tank_temperature"), {}, 2**32,
    False, True,
)  # fmt: skip
ALIVE = Layout("fuel_dispenser", "periodic", "test@1.0.0", ("temperature",), {}, 2**32, False, True)


def pump(name: str, **more: Any) -> Device:
    parameters = {"tank": {"1": "g"}, "tank_channel": {"1": "T"}}
    return Device(device_id=name, parameters=parameters, **more)


TANKS = {"T": {"density_15": 740.0}}
REGISTRY = Registry([pump("a"), pump("b"), Device(device_id="g", parameters={"tanks": TANKS})])


def station(
    days: int,
    *,
    short: float = 0.0,
    leak: float = 0.0,
    stolen_at: int = -1,
    tests_at: int = -1,
    hidden: float = 0.0,
    alive: bool = False,
) -> list[Reading]:
    """Two nozzles on one tank: a sale each 20 minutes, a gauge reading each hour.

    Args:
        days: how long.
        short: share of what ``a`` sells that does not leave the tank, from day 4 on.
        leak: L/h that leave the tank besides, from day 4 on.
        stolen_at: the hour in which 400 L are pumped out.
        tests_at: the hour in which ``a`` sells three test cans, which are poured back.
        hidden: of how many of its sales ``b`` does not tell, though its totaliser does.
        alive: whether both pumps are heard between their sales, too.
    """
    rng = Random(4)
    level, temperature = 15_000.0, 24.0
    factor = at_20(temperature, 740.0)
    totals = {"a": 500.0, "b": 900.0}
    numbers = {"a": itertools.count(), "b": itertools.count(), "g": itertools.count()}
    offsets = itertools.count()
    readings: list[Reading] = []

    def say(layout: Layout, name: str, channel: str, at: int, values: tuple[Any, ...]) -> None:
        readings.append(
            Reading(
                name, "fuel_dispenser", layout.event, channel, at, at + 10**9,
                next(numbers[name]), "raw", (), "CNY", layout.profile, next(offsets), layout.names,
                values,
            )
        )  # fmt: skip

    for hour in range(days * 24 + 1):
        at = START + hour * HOUR
        shown = level / factor + rng.gauss(0, 1.5)
        say(GAUGE, "g", "T", at, (round(shown, 1), temperature))
        bad = hour >= 96
        level -= (leak if bad else 0.0) + (400.0 if hour == stolen_at else 0.0)
        for sale in range(3):
            name = "ab"[(hour + sale) % 2]
            started = at + (5 + sale * 20) * MINUTE
            volume = rng.randint(2000, 6000) / 100
            if hour == tests_at and name == "a":
                volume = 20.0
            else:
                level -= volume * factor * (1 - (short if bad and name == "a" else 0.0))
            totals[name] = round(totals[name] + volume, 2)
            if name != "b" or hour <= 24 or rng.random() >= hidden:
                values = (volume, started, started + 2 * MINUTE, totals[name], temperature)
                say(SALE, name, "1", started + 2 * MINUTE, values)
        for name in "ab" if alive else "":
            say(ALIVE, name, "1", at + 50 * MINUTE, (temperature,))
        if level < 4_000:
            level += 12_000.0
    return readings


def found(readings: Iterable[Reading], devices: Registry = REGISTRY, again: int = 0) -> list[Flag]:
    judge, flags = Judge(devices, {}), []
    bounds = {layout.names: judge.bind(layout, {}, "t") for layout in (SALE, GAUGE, ALIVE)}
    for index, reading in enumerate(readings):
        if reading.received_at >= judge.next_advance:
            judge.advance(reading.received_at, flags)
        judge.judge(bounds[reading.names], reading, flags)
        if again and index % again == 0:
            judge.restore(judge.snapshot())
    latest = {flag.id: flag for flag in flags if flag.code.startswith("wet_stock")}
    return list(latest.values())


def test_an_honest_tank_balances_through_deliveries():
    assert found(station(40)) == []


def test_sales_that_are_not_told_but_in_the_totaliser_count_as_sold():
    assert found(station(20, hidden=0.2)) == []


def test_a_sale_that_is_told_late_by_the_totaliser_alone_is_no_surplus():
    """The gauge is read between the sale and the next told one: what it missed is explained."""
    flags = found(station(20, hidden=0.4, alive=True))
    # What a delivery hides, and two sales in one hour before anything explains them, is a loss.
    assert {flag.code for flag in flags} <= {"wet_stock_loss"}
    assert len(flags) < 6


def test_a_sale_that_is_told_again_after_the_next_one_left_the_tank_once():
    readings, told = [], {}
    for number, reading in enumerate(station(20)):
        readings.append(reading)
        if reading.event == "transaction":
            before = told.get(reading.device_id)
            told[reading.device_id] = reading
            if before is not None and number % 5 == 0:
                less = (before.values[0] * 0.6, *before.values[1:])
                offset = 10**6 + number
                readings.append(msgspec.structs.replace(before, values=less, ledger_offset=offset))
    assert found(readings) == []


def test_litres_of_which_only_a_totaliser_tells_the_day_widen_the_tolerance_of_each_it_may_be():
    day = START // DAY
    tank = Tank(anchor=Point(START + HOUR, 9000.0, 1), days=[Book(day - 2), Book(day - 1)])
    tank.today = Book(day)
    untold(tank, (START - HOUR, START + 2 * HOUR), 40.0, 1.5)
    assert [book.untold for book in (*tank.days, tank.today)] == [0.0, 40.0, 40.0]
    untold(tank, (START + 2 * HOUR, START + 3 * HOUR), 25.0, 1.5)  # no gauge was read meanwhile
    assert tank.today.untold == 40.0


def test_a_pump_that_gives_less_shows_in_the_tank():
    (flag,) = found(station(12, short=0.05))
    assert (flag.device_id, flag.channel, flag.code) == ("g", "T", "wet_stock_surplus")
    assert flag.severity == "critical"
    assert START + 4 * DAY <= flag.since <= START + 5 * DAY
    told = flag.evidence
    assert told["observed"] > told["tolerance"] > told["inputs"]["sold"] * 0.005
    inputs = told["inputs"]
    assert told["tolerance"] == pytest.approx(
        inputs["share"] * inputs["sold"]
        + inputs["noises"] * inputs["gauge_noise"] * (2 * inputs["ends"]) ** 0.5
    )


def test_a_leak_is_a_loss():
    (flag,) = found(station(14, leak=3.0))
    assert flag.code == "wet_stock_loss"
    assert flag.evidence["observed"] < -flag.evidence["tolerance"]


def test_a_theft_is_told_at_once_and_once():
    (flag,) = found(station(12, stolen_at=150))
    assert flag.code == "wet_stock_loss"
    assert flag.evidence["days"] == 0
    assert flag.evidence["observed"] == pytest.approx(-400, abs=15)
    assert flag.since == START + 150 * HOUR
    assert flag.until == START + 151 * HOUR


def test_test_cans_of_a_verification_are_poured_back():
    verified = START + 150 * HOUR + 2 * HOUR
    new = pump("a", valid_from=verified, verified_at=verified)
    known = Registry([*REGISTRY.history(), new])
    assert found(station(12, tests_at=150), known) == []


def test_another_order_and_a_restart_change_nothing():
    readings = station(9, short=0.06)
    expected = found(readings)
    assert expected
    assert found(readings, again=97) == expected
    rng = Random(2)
    when = {id(r): r.received_at + rng.randrange(600) * 10**9 for r in readings}
    shuffled = sorted(readings, key=lambda r: when[id(r)])
    moved = [msgspec.structs.replace(r, received_at=when[id(r)]) for r in shuffled]
    assert [(f.id, f.since, f.until, f.evidence) for f in found(moved)] == [
        (f.id, f.since, f.until, f.evidence) for f in expected
    ]


@pytest.mark.parametrize(
    ("temperature", "density", "factor"),
    [(30.0, 740.0, 0.98758), (20.0, 845.0, 1.0)],
)
def test_volumes_at_20_are_those_of_the_tables(temperature: float, density: float, factor: float):
    assert at_20(temperature, density) == pytest.approx(factor, abs=2e-5)


def test_the_expansion_is_that_of_the_standard():
    assert expansion(740.0) == pytest.approx(0.0012256, abs=1e-7)
    # At 15 Cel: to 20 and back by the worked factors of the other products.
    assert at_20(5.0, 835.0) * at_20(15.0, 835.0) ** -1 == pytest.approx(1.00851, abs=2e-5)
    assert at_20(30.0, 845.0) / at_20(15.0, 845.0) == pytest.approx(0.98740, abs=2e-5)
