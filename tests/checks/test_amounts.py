"""Money against quantity and price, exactly, with the smallest payment variable as tolerance."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.checks.amounts import smallest_payment_variable
from gateway.profiles.layout import Layout
from tests.checks.support import judged, reading

SALE = Layout(
    "fuel_dispenser",
    "transaction",
    "t@1",
    ("volume", "unit_price", "amount"),
    {},
    None,
    False,
    True,
)
SESSION = Layout(
    "ev_charger",
    "session",
    "t@1",
    ("energy", "energy_price", "energy_amount", "service_fee", "amount"),
    {},
    None,
    False,
    True,
)


def judge_one(layout, settings=None, **quantities):
    judge = Judge({}, {})
    bound = judge.bind(layout, settings or {}, "t")
    one = reading(layout, None, 0, offset=1, channel="1", currency="CNY", **quantities)
    return judged(judge, bound, [one])[1], dict(judge.not_judged)


def sale(volume, unit_price, amount, **settings):
    return judge_one(SALE, settings, volume=volume, unit_price=unit_price, amount=amount)[0]


@pytest.mark.parametrize(
    ("price", "expected"), [("8.12", "0.09"), ("7.00", "0.07"), ("0.5", "0.01"), ("0", "0.01")]
)
def test_smallest_payment_variable_is_the_price_of_one_interval_rounded_up(price, expected):
    hundredth = Decimal("0.01")
    assert smallest_payment_variable(Decimal(price), hundredth, hundredth) == Decimal(expected)


@pytest.mark.parametrize("amount", [100.0, 99.99, 100.04])
def test_a_sale_preset_by_amount_is_legal(amount):
    assert sale(12.32, 8.12, amount) == []


def test_the_tolerance_itself_is_still_legal_and_a_cent_more_is_not():
    # 10.00 L at 8.12: 81.20, smallest payment variable 0.09.
    assert sale(10.0, 8.12, 81.29) == []
    assert sale(10.0, 8.12, 81.11) == []
    assert len(sale(10.0, 8.12, 81.30)) == 1
    assert len(sale(10.0, 8.12, 81.10)) == 1


def test_evidence_lets_a_stranger_recompute():
    (flag,) = sale(30.0, 7.85, 240.5)
    assert (flag.code, flag.severity, flag.channel) == ("amount_mismatch", "critical", "1")
    assert flag.evidence == {
        "quantity": "amount",
        "observed": 240.5,
        "expected": 235.5,
        "tolerance": 0.08,
        "unit": "CNY",
        "difference": 5.0,
        "formula": "amount = unit_price x volume",
        "inputs": {"unit_price": 7.85, "volume": 30.0},
    }
    assert "JJG 443" in flag.basis


def test_an_amount_in_the_customers_favour_is_wrong_but_short_changes_nobody():
    assert [f.severity for f in sale(30.0, 7.85, 230.5)] == ["major"]


def test_an_amount_of_absurd_size_is_still_compared_exactly():
    assert sale(1e9, 123456.78, 123456780000000.0) == []
    assert len(sale(1e9, 123456.78, 123456780003000.0)) == 1


def test_intervals_are_parameters():
    assert len(sale(10.0, 8.12, 81.25, amount_mismatch={"quantity_interval": 0.001})) == 1
    assert sale(10.0, 8.12, 81.25, amount_mismatch=False) == []


def test_a_missing_input_is_counted_and_never_a_flag():
    flags, not_judged = judge_one(SALE, volume=10.0, amount=81.2)
    assert flags == []
    assert not_judged == {("amount_mismatch", "an input is missing"): 1}


@given(st.integers(0, 40_000), st.integers(1, 3_000), st.integers(-60, 60))
def test_the_verdict_is_that_of_exact_arithmetic(volume, price, off):
    exact = Decimal(volume) * Decimal(price) / 10_000
    amount = exact.quantize(Decimal("0.01")) + Decimal(off) / 100
    tolerance = smallest_payment_variable(Decimal(price) / 100, Decimal("0.01"), Decimal("0.01"))
    flags = sale(volume / 100, price / 100, float(amount))
    assert bool(flags) == (abs(amount - exact) > tolerance)


def session(**changes):
    whole = {
        "energy": 20.0,
        "energy_price": 0.65,
        "energy_amount": 13.0,
        "service_fee": 8.0,
        "amount": 21.0,
    }
    return judge_one(SESSION, **{**whole, **changes})


def test_an_honest_session_is_no_finding():
    assert session() == ([], {})


def test_energy_money_and_total_are_judged_apart():
    flags, _ = session(energy_amount=14.0, amount=23.0)
    assert [(f.evidence["quantity"], f.severity) for f in flags] == [
        ("energy_amount", "critical"),
        ("amount", "critical"),
    ]
    assert len({f.id for f in flags}) == 2
    assert "JJG 1148" in flags[0].basis


def test_a_session_without_service_fee_is_not_judged_for_its_total():
    flags, not_judged = session(service_fee=None)
    assert flags == []
    assert not_judged == {("amount_mismatch", "an input is missing"): 1}
