"""A nozzle's totalisers against its sales."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from gateway.devices import Registry
from tests.checks.forecourt import SALE, Forecourt, device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0

BOOKS = ("totaliser_mismatch", "unbilled_delivery")


def judged(forecourt, **given):
    return found(forecourt.made, only=BOOKS, **given)


def less(share):
    def book(sale):
        sale["totaliser_volume"] -= round(sale["volume"] * share, 2)

    return book


def test_sales_that_are_taken_in_are_right():
    forecourt = Forecourt()
    forecourt.sell(300)
    assert judged(forecourt) == []


def test_a_totaliser_that_takes_in_less_is_one_flag_a_nozzle_while_it_lasts():
    forecourt = Forecourt()
    forecourt.sell(20)

    def slow(sale):
        total = forecourt.totals["1" if sale["totaliser_volume"] < 6_000 else "2"]
        total[0] -= round(sale["volume"] * 10)
        sale["totaliser_volume"] = total[0] / 100

    first = forecourt.minute
    forecourt.sell(40, booked=slow)
    last = forecourt.minute
    forecourt.sell(30)
    flags = judged(forecourt)
    assert codes(flags) == ["totaliser_mismatch"] * 2
    for flag in flags:
        assert (flag.severity, flag.status) == ("critical", "ended")
        assert flag.evidence["count"] == 20
        assert flag.evidence["observed"] == pytest.approx(flag.evidence["expected"] * 0.9, abs=0.02)
        assert first < (flag.until - T0) / MINUTE < last + 0.001


@pytest.mark.parametrize(("off", "flags"), [(0.03, 0), (0.04, 1)])
def test_the_tolerance_is_two_steps_and_the_rounding_of_the_sale(off, flags):
    forecourt = Forecourt()
    forecourt.sell(20)

    def book(sale):
        forecourt.totals["1"][0] -= round(off * 100)
        sale["totaliser_volume"] -= off

    forecourt.sale("1", litres=20.0, booked=book)
    forecourt.sell(20)
    assert codes(judged(forecourt)) == ["totaliser_mismatch"] * flags


def test_money_alone_that_is_not_taken_in_is_a_mismatch_of_money():
    forecourt = Forecourt()
    forecourt.sell(20)

    def book(sale):
        forecourt.totals["1"][1] -= 50_00
        sale["totaliser_amount"] -= 50

    forecourt.sale("1", litres=20.0, booked=book)
    (flag,) = judged(forecourt)
    assert (flag.evidence["quantity"], flag.evidence["unit"]) == ("totaliser_amount", "CNY")
    assert flag.evidence["difference"] == -50


@pytest.mark.parametrize("seen_by_periodic", [True, False])
def test_a_sale_that_is_not_told_is_an_unbilled_delivery(seen_by_periodic):
    forecourt = Forecourt()
    forecourt.sell(20)
    before = forecourt.minute
    forecourt.sale("1", litres=31.5, told=False, pause=5)
    if seen_by_periodic:
        forecourt.minute += 65
    forecourt.sale("1", litres=10.0, pause=5)
    forecourt.sell(20)
    (flag,) = judged(forecourt)
    assert (flag.code, flag.severity, flag.channel) == ("unbilled_delivery", "major", "1")
    assert flag.evidence["difference"] == 31.5
    assert flag.evidence["excess_amount"] == 236.25
    assert flag.since <= T0 + (before + 6) * MINUTE <= flag.until
    inputs = flag.evidence["inputs"]
    step = inputs["totaliser_volume"] - inputs["previous_totaliser_volume"]
    assert step - inputs["sold"] == pytest.approx(31.5)


def test_a_lost_sale_is_no_unbilled_delivery_and_is_counted_as_not_judged():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", litres=31.5, lost=True)
    forecourt.sell(20)
    assert judged(forecourt) == []
    assert codes(found(forecourt.made)) == ["sequence_gap"]


def test_a_lost_sale_excuses_no_totaliser_that_takes_in_less():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", litres=8.0, lost=True)
    forecourt.sale("1", litres=50.0, booked=less(0.5))
    assert codes(judged(forecourt)) == ["totaliser_mismatch"]


def test_a_sale_that_comes_hours_late_is_taken_in():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", litres=31.5)
    late = forecourt.made.pop()
    for _ in range(8):
        forecourt.sale("2")
    forecourt.made.append((SALE, msgspec.structs.replace(
        late[1], received_at=T0 + round((forecourt.minute + 1) * MINUTE))))  # fmt: skip
    forecourt.sell(20)
    assert judged(forecourt) == []


def test_a_totaliser_read_while_a_sale_runs_shows_a_part_of_it():
    forecourt = Forecourt()
    forecourt.sell(20)
    minute = forecourt.minute

    def begin(sale):
        sale["started_at"] = T0 + round((minute + 5) * MINUTE)

    forecourt.minute += 6
    forecourt.totals["1"][0] += 800
    forecourt.totals["1"][1] += 6000
    forecourt.periodic(forecourt.minute)
    forecourt.totals["1"][0] -= 800
    forecourt.totals["1"][1] -= 6000
    forecourt.sale("1", litres=40.0, spoil=begin, pause=0)
    forecourt.sell(20)
    assert judged(forecourt) == []


def test_more_than_time_permits_is_a_mismatch_and_no_delivery():
    forecourt = Forecourt()
    forecourt.sell(20)

    def much(sale):
        forecourt.totals["1"][0] += 10_00
        forecourt.totals["1"][1] += 75_00
        sale["totaliser_volume"] += 10
        sale["totaliser_amount"] += 75

    forecourt.sale("1", litres=10.0, pause=5)
    forecourt.sale("1", litres=10.0, booked=much, pause=0.01)
    assert codes(judged(forecourt)) == ["totaliser_mismatch"]


def test_every_sale_taken_in_too_large_by_the_same_share_is_a_mismatch():
    forecourt = Forecourt()
    forecourt.sell(20)

    def more(sale):
        forecourt.totals["1"][0] += round(sale["volume"] * 10)
        sale["totaliser_volume"] += round(sale["volume"] * 0.1, 2)

    for litres in (20.0, 30.0, 40.0, 25.0):
        forecourt.sale("1", litres=litres, booked=more)
    assert codes(judged(forecourt)).count("totaliser_mismatch") == 1
    assert codes(judged(forecourt)).count("unbilled_delivery") == 1


def test_hidden_sales_as_large_as_the_told_ones_are_deliveries_all_the_same():
    forecourt = Forecourt()
    forecourt.sell(20)
    for _ in range(3):
        forecourt.sale("1", litres=26.67, told=False, pause=4)
        forecourt.sale("1", litres=26.67, pause=4)
    assert codes(judged(forecourt)) == ["unbilled_delivery"] * 3


@pytest.mark.parametrize("shown", [0.0, 4321.0])
def test_a_restart_that_shows_an_old_value_for_once_is_no_mismatch(shown):
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", booked=lambda sale: sale.update(totaliser_volume=shown))
    forecourt.sell(20)
    assert judged(forecourt) == []


def test_a_totaliser_set_back_is_judged_from_its_new_level_on():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.totals["1"] = [1000_00, 2000_00]
    forecourt.sell(20)
    assert judged(forecourt) == []
    forecourt.sale("1", litres=30.0, booked=less(0.1))
    assert codes(judged(forecourt)) == ["totaliser_mismatch"]


def test_a_totaliser_passes_its_full_scale():
    forecourt = Forecourt()
    forecourt.totals["1"] = [99_999_990_00, 999_999_950_00]

    def wrap(sale):
        sale["totaliser_volume"] = round(sale["totaliser_volume"] % 1e8, 2)
        sale["totaliser_amount"] = round(sale["totaliser_amount"] % 1e9, 2)

    for _ in range(30):
        forecourt.sale("1", booked=wrap, pause=1)
        forecourt.next_totals = forecourt.minute + 1000
    assert judged(forecourt) == []


def test_another_dispenser_begins_at_its_own_totals():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.minute += 600
    forecourt.next_totals = forecourt.minute
    new = T0 + round((forecourt.minute - 300) * MINUTE)
    forecourt.totals = {"1": [5600_00, 40000_00], "2": [8000_00, 60000_00]}
    forecourt.sell(20)
    replaced = Registry([device(), device(valid_from=new, serial_number="2")])
    assert judged(forecourt, devices=replaced) == []
    verified = Registry([device(), device(valid_from=new)])
    assert codes(judged(forecourt, devices=verified)) == ["unbilled_delivery"] * 2


def test_a_sale_sent_twice_under_its_number_is_compared_once():
    forecourt = Forecourt()
    forecourt.sell(20)
    one = forecourt.sale("1", litres=30.0)
    values = (12.0, *one.values[1:])
    later = msgspec.structs.replace(one, values=values, received_at=one.received_at + MINUTE)
    forecourt.made.append((SALE, later))
    forecourt.sell(20)
    assert judged(forecourt) == []


def test_of_two_contents_under_one_number_neither_is_held_against_the_totaliser():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.number += 1
    one = forecourt.sale("1", litres=30.0)
    values = (12.0, *one.values[1:])
    earlier = msgspec.structs.replace(one, values=values, received_at=one.received_at - 10**9)
    forecourt.made.insert(-1, (SALE, earlier))
    forecourt.sell(20)
    assert judged(forecourt) == []
    assert "conflicting_duplicate" in codes(found(forecourt.made))


def test_jitter_of_a_display_unit_is_no_mismatch():
    forecourt = Forecourt()
    rng = Random(3)

    def jitter(sale):
        sale["totaliser_volume"] = round(sale["totaliser_volume"] - rng.choice((0, 0.01)), 2)

    for _ in range(200):
        forecourt.sale("1", booked=jitter)
    assert judged(forecourt) == []


def test_an_instrument_without_numbers_is_not_judged_for_more_but_for_less():
    def unnumbered(forecourt):
        forecourt.made = [
            (layout, msgspec.structs.replace(one, sequence=None)) for layout, one in forecourt.made
        ]

    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", litres=31.5, told=False, pause=5)
    forecourt.sell(20)
    unnumbered(forecourt)
    assert judged(forecourt) == []
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", litres=30.0, booked=less(0.1))
    unnumbered(forecourt)
    assert codes(judged(forecourt)) == ["totaliser_mismatch"]


def test_each_of_the_two_can_be_switched_off():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sale("1", litres=31.5, told=False, pause=5)
    forecourt.sale("1", litres=30.0, pause=5)
    forecourt.sale("1", litres=30.0, booked=less(0.1))
    both = ["unbilled_delivery", "totaliser_mismatch"]
    assert codes(judged(forecourt)) == both
    for off in both:
        left = [code for code in both if code != off]
        assert codes(judged(forecourt, checks={off: False})) == left
    assert judged(forecourt, checks=dict.fromkeys(both, False)) == []


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_and_restarted_the_flags_are_the_same(seed):
    forecourt = Forecourt(seed)
    rng = Random(seed)
    for index in range(80):
        nozzle = rng.choice("12")
        if rng.random() < 0.1:
            forecourt.sale(nozzle, booked=less(0.1))
        else:
            told, lost = rng.random() > 0.1, rng.random() < 0.05
            forecourt.sale(nozzle, told=told, lost=lost and told, pause=index % 7)
    assert the_same_however_it_comes(forecourt.made, seed, only=BOOKS)
