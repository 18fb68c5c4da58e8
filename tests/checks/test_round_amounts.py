"""Short measure at round amounts only."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from gateway.checks.round_amounts import chance
from tests.checks.forecourt import REGISTERED, Forecourt
from tests.checks.runs import codes, found, the_same_however_it_comes

CODE = "round_amount_shortfall"


def judged(forecourt, **given):
    return found(forecourt.made, devices=REGISTERED, only=[CODE], **given)


def short_at(amounts, share=0.05, rate=1.0, rng=None):
    def spoil(sale):
        on = rate == 1.0 or rng.random() < rate
        if sale["amount"] in amounts and on:
            sale["pulses"] = float(round(sale["volume"] * 100 * (1 - share)))

    return spoil


def test_honest_sales_are_right():
    forecourt = Forecourt()
    forecourt.sell(3000)
    assert judged(forecourt) == []


@pytest.mark.parametrize("share", [0.05, 0.002])
def test_short_at_round_amounts_is_one_flag_of_the_device(share):
    forecourt = Forecourt()
    forecourt.sell(30)
    forecourt.sell(120, spoil=short_at({100, 150, 200, 300}, share))
    forecourt.sell(100)
    (flag,) = judged(forecourt)
    evidence = flag.evidence
    assert (flag.severity, flag.channel, flag.status) == ("critical", None, "ended")
    assert evidence["observed"] == pytest.approx(-share, rel=0.06)
    assert abs(evidence["expected"]) < 0.0002
    assert evidence["chance"] < evidence["alpha"] == 1e-6
    counts = [
        evidence["inputs"][name]
        for name in ("short_round", "short_other", "full_round", "full_other")
    ]
    assert chance(*counts) == evidence["chance"]
    assert counts[0] <= 40


def test_a_switch_that_is_used_for_some_round_amounts_and_not_always_is_seen():
    forecourt = Forecourt()
    forecourt.sell(200, spoil=short_at({100, 200}, rate=0.7, rng=Random(2)))
    assert codes(judged(forecourt)) == [CODE]


@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_short_at_any_amount_is_no_matter_of_round_ones(rate):
    rng = Random(4)

    def spoil(sale):
        if rng.random() < rate:
            sale["pulses"] = float(round(sale["volume"] * 97))

    forecourt = Forecourt()
    forecourt.sell(1500, spoil=spoil)
    assert judged(forecourt) == []
    assert "delivery_factor_shift" in codes(found(forecourt.made, devices=REGISTERED))


def test_short_at_other_amounts_only_is_not_this():
    def spoil(sale):
        if sale["amount"] % 10:
            sale["pulses"] = float(round(sale["volume"] * 95))

    forecourt = Forecourt()
    forecourt.sell(400, spoil=spoil)
    assert judged(forecourt) == []


def test_fishers_exact_test_by_counting_every_way():
    short_round, short_other, full_round, full_other = 3, 1, 2, 4
    rounds, others = short_round + full_round, short_other + full_other
    as_many = every = 0
    for drawn in product((0, 1), repeat=rounds + others):
        if sum(drawn) == short_round + short_other:
            every += 1
            as_many += sum(drawn[:rounds]) >= short_round
    assert chance(short_round, short_other, full_round, full_other) == as_many / every


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_and_restarted_the_flags_are_the_same(seed):
    forecourt = Forecourt(seed)
    spoil = short_at({100, 150, 200, 300}, rate=0.8, rng=Random(seed))
    for index in range(160):
        forecourt.sale("12"[index % 2], spoil=spoil, pause=index % 9)
    flags = the_same_however_it_comes(forecourt.made, seed, devices=REGISTERED, only=[CODE])
    assert codes(flags) == [CODE]
