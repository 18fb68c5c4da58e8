"""The price of a sale or charge against the posted list."""

from __future__ import annotations

import msgspec
import pytest

from gateway.devices import Registry
from gateway.profiles.layout import Layout
from gateway.times import rfc3339
from tests.checks.forecourt import SALE, Forecourt, device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading

CHARGE = Layout(
    "ev_charger", "session", "test@1.0.0", ("started_at", "ended_at", "energy", "energy_price"),
    {}, 2**32, sequence_per_channel=False, measured=True,
)  # fmt: skip


def row(price, since=None, until=None, product="92", **more):
    times = {"from": since, "until": until}
    told = {k: rfc3339(T0 + round(v * MINUTE)) for k, v in times.items() if v is not None}
    return {"product": product, "unit_price": price, **told, **more}


def posted(*rows, **parameters):
    return Registry([device(price_list=list(rows), **parameters)])


def judged(forecourt, devices, **given):
    return found(forecourt.made, devices=devices, only=["price_mismatch"], **given)


def dearer(by):
    def spoil(sale):
        sale["unit_price"] = round(sale["unit_price"] + by, 2)

    return spoil


def test_the_posted_price_is_right_with_and_without_the_sign_of_the_product():
    forecourt = Forecourt()
    forecourt.sell(50)
    assert judged(forecourt, posted(row(7.5))) == []
    assert judged(forecourt, posted(row(7.5, product="92#"), row(8.0, product="95"))) == []


@pytest.mark.parametrize(("by", "severity"), [(0.01, "major"), (-0.01, "minor")])
def test_one_cent_is_seen_and_dearer_is_worse_than_cheaper(by, severity):
    forecourt = Forecourt()
    forecourt.sell(4)
    forecourt.sell(10, spoil=dearer(by))
    forecourt.sell(30)
    flags = judged(forecourt, posted(row(7.5)))
    assert codes(flags) == ["price_mismatch"] * 2
    for flag in flags:
        assert (flag.severity, flag.status, flag.evidence["count"]) == (severity, "ended", 5)
        assert (flag.evidence["observed"], flag.evidence["expected"]) == (7.5 + by, 7.5)
        assert (flag.evidence["difference"], flag.evidence["unit"]) == (by, "CNY/L")
        assert flag.evidence["inputs"]["posted"][0]["unit_price"] == 7.5


def test_around_a_change_either_price_is_right_and_after_it_only_the_new_one():
    forecourt = Forecourt()
    forecourt.sell(10)
    change = forecourt.minute + 5
    devices = posted(row(7.5, until=change), row(7.6, since=change))
    forecourt.sale("1", pause=6)
    forecourt.sale("2", pause=6)
    assert judged(forecourt, devices) == []
    forecourt.sale("1", pause=20)
    (flag,) = judged(forecourt, devices)
    assert (flag.severity, flag.evidence["expected"]) == ("minor", 7.6)


def test_what_comes_long_after_the_change_is_judged_by_the_time_of_its_beginning():
    forecourt = Forecourt()
    forecourt.sell(10)
    change = forecourt.minute + 60
    forecourt.made = [
        (layout, msgspec.structs.replace(one, received_at=T0 + round((change + n) * MINUTE)))
        for n, (layout, one) in enumerate(forecourt.made)
    ]
    assert judged(forecourt, posted(row(7.5, until=change), row(7.9, since=change))) == []


def test_a_clock_that_is_two_hours_slow_makes_no_wrong_price():
    forecourt = Forecourt()
    forecourt.sell(4, spoil=dearer(-0.1))
    change = forecourt.minute
    devices = posted(row(7.4, until=change + 120), row(7.5, since=change + 120))
    forecourt.sell(4)
    forecourt.made = [
        (layout, msgspec.structs.replace(one, received_at=one.received_at + 125 * MINUTE))
        for layout, one in forecourt.made
    ]
    assert judged(forecourt, devices) == []


def test_without_a_row_that_says_it_nothing_is_judged():
    forecourt = Forecourt()
    forecourt.sell(20, spoil=dearer(1))
    for devices in (
        Registry([]),
        posted(row(7.5, product="95"), row(7.0, product="0")),
        posted(row(7.5, until=-100)),
        posted({"product": "92"}),
        Registry([device(price_list="7.5")]),
        Registry([device(price_list=[7.5])]),
        posted(row(7.5, hours=["noon"])),
        posted(row(7.5), time_zone="Nowhere/Here"),
    ):
        assert judged(forecourt, devices) == []


def charge(number, minute, price, connector="1"):
    return CHARGE, reading(
        CHARGE, number, minute, offset=number, channel=connector, late=0.1, energy=20.0,
        started_at=T0 + round((minute - 40) * MINUTE), ended_at=T0 + round(minute * MINUTE),
        energy_price=price,
    )  # fmt: skip


def test_a_charge_costs_what_its_hour_says():
    # T0 is 16:53:20 in Beijing
    devices = posted(
        row(1.2, product="energy", hours=list(range(8, 22))),
        row(0.4, product="energy", hours=[*range(8), 22, 23]),
        time_zone="Asia/Shanghai",
    )
    day = charge(1, 60, 1.2)
    night = charge(2, 12 * 60, 0.4)
    at_the_change = [charge(3, 5 * 60 + 40, 1.2, "2"), charge(4, 5 * 60 + 55, 0.4, "3")]
    assert found([day, *at_the_change, night], devices=devices, only=["price_mismatch"]) == []
    by_night = charge(5, 13 * 60, 1.2)
    (flag,) = found([day, night, by_night], devices=devices, only=["price_mismatch"])
    assert (flag.evidence["expected"], flag.evidence["unit"]) == (0.4, "CNY/kWh")
    assert flag.severity == "major"


def test_parameters_count():
    forecourt = Forecourt()
    forecourt.sell(20, spoil=dearer(0.04))
    devices = posted(row(7.5))
    assert len(judged(forecourt, devices)) == 2
    assert judged(forecourt, devices, checks={"price_mismatch": {"tolerance": 0.05}}) == []
    assert judged(forecourt, devices, checks={"price_mismatch": False}) == []


def test_a_backlog_of_wrong_prices_that_comes_late_is_one_flag():
    forecourt = Forecourt()
    forecourt.sell(4)
    start = len(forecourt.made)
    for _ in range(30):
        forecourt.sale("1", spoil=dearer(0.1))
    backlog = [m for m in forecourt.made[start:] if m[0] is SALE]
    forecourt.made = [m for m in forecourt.made if m not in backlog]
    for _ in range(10):
        forecourt.sale("2")
    arrival = T0 + round((forecourt.minute + 60) * MINUTE)
    forecourt.made += [
        (layout, msgspec.structs.replace(one, received_at=arrival + n * 10**9))
        for n, (layout, one) in enumerate(backlog)
    ]
    (flag,) = judged(forecourt, posted(row(7.5)))
    assert (flag.evidence["judged_late"], flag.evidence["count"]) == (True, 30)
    assert flag.until == backlog[-1][1].measured_at


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_and_restarted_the_flags_are_the_same(seed):
    forecourt = Forecourt(seed)
    forecourt.sell(10)
    for index in range(60):
        forecourt.sale("12"[index % 2], spoil=dearer(0.1 if index % 3 else 0), pause=index % 8)
    forecourt.sell(30)
    devices = posted(row(7.5))
    flags = the_same_however_it_comes(
        forecourt.made, seed, devices=devices, only=["price_mismatch"]
    )
    assert codes(flags) == ["price_mismatch"] * 2
