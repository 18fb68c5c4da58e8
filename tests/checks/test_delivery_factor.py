"""Pulses a litre that leave the certified constant."""

from __future__ import annotations

from math import exp
from random import Random

import pytest

from gateway.checks.delivery_factor import DeliveryFactorSettings
from gateway.devices import Registry
from tests.checks.forecourt import REGISTERED, Forecourt, device
from tests.checks.runs import codes, found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0

CODE = "delivery_factor_shift"


def judged(forecourt, devices=REGISTERED, **given):
    return found(forecourt.made, devices=devices, only=[CODE], **given)


def by(k):
    """The board counts by another constant than it tells."""
    return lambda sale: sale.update(pulses=float(round(sale["volume"] * k)))


def test_honest_sales_are_right_for_a_year_of_nozzle_days():
    forecourt = Forecourt()
    forecourt.sell(12_000)
    assert judged(forecourt) == []


def test_a_constant_that_the_certificate_rounds_is_right():
    forecourt = Forecourt(k=99.96)
    forecourt.sell(3_000)
    assert judged(forecourt) == []


@pytest.mark.parametrize(("k", "severity"), [(99.0, "critical"), (101.0, "major")])
def test_a_large_shift_is_told_at_the_first_sale(k, severity):
    forecourt = Forecourt()
    forecourt.sell(20)
    began = forecourt.minute
    forecourt.sell(20, spoil=by(k))
    forecourt.sell(60)
    flags = judged(forecourt)
    assert codes(flags) == [CODE] * 2
    for flag in flags:
        evidence = flag.evidence
        assert (flag.severity, flag.status, evidence["count"]) == (severity, "ended", 10)
        assert evidence["chart"] == "single sale"
        assert evidence["observed"] == pytest.approx(k, abs=0.1)
        assert evidence["expected"] == 100.0
        assert evidence["shift"] == pytest.approx(k / 100 - 1, abs=0.001)
        inputs = evidence["inputs"]
        off = abs(inputs["pulses"] - evidence["expected"] * inputs["volume"])
        assert off == pytest.approx(evidence["statistic"])
        assert off > evidence["threshold"]
        assert began < (flag.since - T0) / MINUTE < began + 60


def test_one_sale_of_thirty_litres_shows_an_eighth_of_a_percent():
    for k, flags in ((99.9, 0), (99.87, 1)):
        forecourt = Forecourt()
        forecourt.sale("1", litres=30.0, spoil=by(k))
        assert len(judged(forecourt)) == flags


def test_a_shift_below_that_adds_up_within_the_sales_that_visible_promises():
    forecourt = Forecourt()
    forecourt.sell(20)
    rng = Random(8)
    for _ in range(25):
        forecourt.sale("1", litres=rng.randint(2900, 3100) / 100, spoil=by(99.91))
    (flag,) = judged(forecourt)
    evidence = flag.evidence
    assert evidence["chart"] == "all sales"
    assert evidence["statistic"] > evidence["threshold"] == 17.0
    assert evidence["sales"] <= 20
    assert evidence["visible"] < 0.0009
    assert evidence["inputs"]["pulses"] / evidence["inputs"]["volume"] == pytest.approx(
        99.9, abs=0.01
    )


def test_a_slow_shift_is_told_before_it_is_a_tenth_of_a_percent():
    forecourt = Forecourt()
    k = 100.0
    for _ in range(400):
        forecourt.sale("1", litres=30.0, spoil=by(k))
        k -= 0.0005
    (flag,) = judged(forecourt)
    assert flag.evidence["chart"] == "all sales"
    assert -0.001 < flag.evidence["shift"] < -0.0005


def test_short_only_at_some_hours_shows_in_the_chart_of_those_hours():
    forecourt = Forecourt(k=20.0)
    devices = Registry([device(k_factor=20.0)])
    # quarter of the day from 18 h UTC on: T0 is 08:53:20 UTC
    rng = Random(3)
    for _ in range(600):
        hour = (8 + 53 / 60 + forecourt.minute / 60) % 24
        k, litres = 19.98 if hour >= 18 else 20.0, rng.randint(2900, 3100) / 100
        forecourt.sale("1", litres=litres, spoil=by(k), pause=14)
    (flag,) = judged(forecourt, devices)
    assert flag.evidence["chart"] == "sales of 18-24 h UTC"
    assert flag.evidence["shift"] == pytest.approx(-0.001, abs=0.0003)


def test_a_mixture_is_one_flag_while_it_lasts():
    forecourt = Forecourt()
    rng = Random(5)
    for _ in range(300):
        forecourt.sale("1", spoil=by(98.5 if rng.random() < 0.3 else 100.0))
    (flag,) = judged(forecourt)
    assert flag.status == "open"
    assert 60 < flag.evidence["count"] < 120


def test_a_new_certificate_brings_its_constant():
    forecourt = Forecourt()
    forecourt.sell(20)
    visit = T0 + round((forecourt.minute + 30) * MINUTE)
    forecourt.k = 100.3
    forecourt.sell(200)
    adjusted = Registry([device(k_factor=100.0), device(k_factor=100.3, valid_from=visit)])
    assert judged(forecourt, adjusted) == []
    assert judged(forecourt)


def test_a_constant_a_nozzle():
    forecourt = Forecourt()
    for _ in range(10):
        forecourt.sale("1")
        forecourt.sale("2", spoil=by(120.0))
    assert judged(forecourt, Registry([device(k_factor={"1": 100.0, "2": 120.0})])) == []


def test_without_a_registered_constant_the_told_one_counts():
    forecourt = Forecourt()
    forecourt.sell(20)
    forecourt.sell(20, spoil=by(99.0))
    flags = judged(forecourt, {})
    assert codes(flags) == [CODE] * 2
    assert flags[0].evidence["inputs"]["constant"] == "told by the instrument"


def silent(k=100.0):
    return lambda sale: sale.update(k_factor=None, pulses=float(round(sale["volume"] * k)))


def test_with_neither_the_first_sales_under_the_certificate_count():
    devices = Registry([device()])
    forecourt = Forecourt()
    forecourt.sell(70, spoil=silent())
    assert judged(forecourt, devices) == []
    forecourt.sell(20, spoil=silent(99.0))
    flags = judged(forecourt, devices)
    assert codes(flags) == [CODE] * 2
    assert flags[0].evidence["inputs"]["constant"] == "of its own first sales"
    assert judged(forecourt, {}) == []
    anew = T0 + round(forecourt.minute * MINUTE) - 10 * 24 * 60 * MINUTE
    renewed = Registry([device(), device(valid_from=anew)])
    assert codes(judged(forecourt, renewed)) == [CODE] * 2


def test_pulses_in_another_unit_are_not_judged():
    forecourt = Forecourt()
    forecourt.sell(20)
    assert judged(forecourt, Registry([device(k_factor=1000.0)])) == []


def test_the_false_alarms_that_the_page_states():
    settings = DeliveryFactorSettings()
    b = settings.threshold + 1.166
    mean_run = (exp(2 * settings.drift * b) - 2 * settings.drift * b - 1) / (2 * settings.drift**2)
    sales_a_day, charts = 4 * 60, 4
    assert mean_run / (sales_a_day * charts) > 150_000


def test_in_control_with_the_whole_allowance_used_up_the_charts_stay_low():
    """A million uniform roundings with a constant off by the allowance: the page's worst case."""
    rng = Random(11)
    highest = total = 0.0
    for _ in range(1_000_000):
        # x / sigma of a sum of two uniform roundings
        total = max(0.0, total + (rng.random() + rng.random() - 1) * 6**0.5 - 0.5)
        highest = max(highest, total)
    assert highest < DeliveryFactorSettings().threshold


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_and_restarted_the_flags_are_the_same(seed):
    forecourt = Forecourt(seed)
    forecourt.sell(20)
    k = (99.0, 99.88, 100.2, 99.9)[seed]
    for index in range(120):
        forecourt.sale("12"[index % 2], spoil=by(k if index % 3 else 100.0), pause=index % 9)
    flags = the_same_however_it_comes(forecourt.made, seed, devices=REGISTERED, only=[CODE])
    assert flags
