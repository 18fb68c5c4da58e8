"""Flow outside the rating, and sales below the minimum measured quantity."""

from __future__ import annotations

import pytest

from gateway.devices import Registry
from tests.checks.forecourt import REGISTERED, Forecourt, device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE

FLOW = "flow_rate_out_of_range"
SMALL = "below_minimum_quantity"


def faster(flow, *, shown=True):
    def spoil(sale):
        minutes = sale["volume"] / flow
        sale["started_at"] = sale["ended_at"] - round(minutes * MINUTE)
        sale["flow_rate"] = flow if shown else None

    return spoil


def flow_of(flow):
    return lambda sale: sale.update(flow_rate=flow)


def judged(forecourt, code, devices=REGISTERED, **given):
    return found(forecourt.made, devices=devices, only=[code], **given)


def test_rated_flow_is_right():
    forecourt = Forecourt()
    forecourt.sell(200)
    assert judged(forecourt, FLOW) == []
    assert judged(forecourt, SMALL) == []


@pytest.mark.parametrize("shown", [True, False])
def test_too_fast_is_told_at_once_whether_shown_or_computed(shown):
    forecourt = Forecourt()
    forecourt.sell(4)
    forecourt.sale("1", litres=60.0, spoil=faster(70.0, shown=shown))
    (flag,) = judged(forecourt, FLOW)
    assert (flag.severity, flag.channel) == ("minor", "1")
    assert flag.evidence["expected"] == {"q_min": 5.0, "q_max": 50.0}
    inputs = flag.evidence["inputs"]
    if shown:
        assert flag.evidence["observed"] == inputs["flow_rate"] == 70.0
    else:
        assert flag.evidence["observed"] == pytest.approx(60 / (60 / 70 + 1 / 60), abs=0.001)
    assert flag.evidence["difference"] == pytest.approx(flag.evidence["observed"] - 50, abs=0.001)


@pytest.mark.parametrize(("flow", "flags"), [(54.0, 0), (57.0, 1)])
def test_the_margin_is_a_tenth(flow, flags):
    forecourt = Forecourt()
    forecourt.sale("1", litres=60.0, spoil=faster(flow))
    assert len(judged(forecourt, FLOW)) == flags


def test_one_slow_sale_is_a_hand_on_the_trigger_and_three_are_a_fault():
    forecourt = Forecourt()
    forecourt.sell(4)
    forecourt.sale("1", spoil=flow_of(2.0))
    forecourt.sell(4)
    assert judged(forecourt, FLOW) == []
    for _ in range(5):
        forecourt.sale("1", spoil=flow_of(2.0))
    forecourt.sell(30)
    (flag,) = judged(forecourt, FLOW)
    assert (flag.evidence["observed"], flag.evidence["count"], flag.status) == (2.0, 3, "ended")
    assert flag.evidence["extreme"] == -3.0


def test_a_pause_is_not_slow():
    forecourt = Forecourt()
    for _ in range(10):
        forecourt.sale("1", spoil=lambda sale: sale.update(
            flow_rate=None, started_at=sale["ended_at"] - 30 * MINUTE))  # fmt: skip
    assert judged(forecourt, FLOW) == []


def test_limits_are_of_the_nozzle_of_the_registry_or_of_the_profile():
    forecourt = Forecourt()
    forecourt.sale("1", litres=60.0, spoil=faster(80.0))
    forecourt.sale("2", litres=60.0, spoil=faster(80.0))
    lorry = Registry([device(q_max={"1": 90.0, "2": 50})])
    assert [flag.channel for flag in judged(forecourt, FLOW, lorry)] == ["2"]
    assert judged(forecourt, FLOW, {}) == []
    by_profile = {FLOW: {"q_max": 60.0}}
    assert len(judged(forecourt, FLOW, {}, checks=by_profile)) == 2


def test_small_sales_are_one_piece_of_information_a_nozzle():
    forecourt = Forecourt()
    forecourt.sell(4)
    for index in range(8):
        forecourt.sale("1", litres=2.0 + index / 10)
    forecourt.sell(30)
    (flag,) = judged(forecourt, SMALL)
    assert (flag.severity, flag.status, flag.evidence["count"]) == ("info", "ended", 8)
    assert (flag.evidence["observed"], flag.evidence["expected"]) == (2.0, 5.0)


def test_mmq_is_that_of_the_registry_and_zero_litres_are_no_sale():
    forecourt = Forecourt()
    forecourt.sale("1", litres=2.0)
    forecourt.sale("2", litres=0.0)
    assert codes(judged(forecourt, SMALL)) == [SMALL]
    assert judged(forecourt, SMALL, Registry([device(mmq=2.0)])) == []


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_and_restarted_the_flags_are_the_same(seed):
    forecourt = Forecourt(seed)
    for index in range(80):
        if index % 4 == 0:
            forecourt.sale("1", litres=60.0, spoil=faster(80.0), pause=index % 5)
        elif index % 7 < 4:
            forecourt.sale("2", litres=3.0, spoil=flow_of(1.0), pause=index % 5)
        else:
            forecourt.sale("2", pause=1)
    given = {"devices": REGISTERED, "only": [FLOW, SMALL]}
    flags = the_same_however_it_comes(forecourt.made, seed, **given)
    assert {flag.code for flag in flags} == {FLOW, SMALL}
