"""Formulas of evidence with their numbers put in."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reports.formula import Computed, compute, told


@pytest.mark.parametrize(
    ("formula", "numbers", "put_in", "value"),
    [
        (
            "amount = unit_price x volume", {"unit_price": 8.02, "volume": 37.41},
            "8.02 × 37.41", "300.0282",
        ),
        (
            "total = sum of the tariffs + residual_before",
            {"T1": 1.1, "T2": 2, "residual_before": 0.0}, "1.1 + 2 + 0", "3.1",
        ),
        ("distance - gps_distance", {"distance": 10.5, "gps_distance": 9}, "10.5 − 9", "1.5"),
        ("abs(a - b) * (c + d)", {"a": 1, "b": 3, "c": 2, "d": 2}, "abs(1 − 3) × (2 + 2)", "8"),
        ("a - (b - c)", {"a": 1, "b": 2, "c": 3}, "1 − (2 − 3)", "2"),
        (
            "3600 * distance / (ended_at - started_at)",
            {"distance": 2, "started_at": "2026-03-01T08:00:00Z", "ended_at": 1772352060 * 10**9},
            "3600 × 2 ÷ (1772352060 − 1772352000)", "120",
        ),
        (
            "min(ended_at, other.ended_at) - 1", {"ended_at": 5, "other": {"ended_at": 4}},
            "min(5, 4) − 1", "3",
        ),
        (
            "q_min <= flow_rate <= q_max", {"q_min": 5, "flow_rate": 51.5, "q_max": 50},
            "5 ≤ 51.5 ≤ 50", False,
        ),
        ("volume >= mmq", {"volume": 5, "mmq": 5.0}, "5 ≥ 5", True),
    ],
)  # fmt: skip
def test_arithmetic_is_computed_in_decimals(formula, numbers, put_in, value):
    wanted = value if isinstance(value, bool) else Decimal(value)
    assert compute(formula, numbers) == Computed(put_in, wanted)


@pytest.mark.parametrize(
    "formula",
    [
        "fare by the tariff, from distance, waiting_time, started_at and ended_at",
        "unit_price = the price posted when the sale began",
        "median(received_at - measured_at)", "missing + 1", "1 / zero", "__import__('os')",
        "a.__class__", "a ** 9999999", "1 + 1", "(" * 5000, "ln(zero)", "'a' * 3", "[1][0] + a",
    ],
)  # fmt: skip
def test_what_is_no_arithmetic_over_what_is_there_stays_a_sentence(formula):
    assert compute(formula, {"a": 1.5, "zero": 0, "missing": None, "distance": 1.0}) is None


@given(
    st.text(alphabet="abx+-*/()<>=., 0123456789_", max_size=60),
    st.dictionaries(
        st.sampled_from("abx"), st.floats() | st.integers() | st.text(max_size=3) | st.none()
    ),
)
def test_no_formula_breaks_a_report(formula, numbers):
    found = compute(formula, numbers)
    assert found is None or isinstance(found.value, bool | Decimal)


def test_numbers_are_written_plainly():
    numbers = map(Decimal, ("1E+3", "0.10", "-0", "3769931.1", "0.1234567890123456"))
    assert list(map(told, numbers)) == ["1000", "0.1", "0", "3769931.1", "0.123456789012"]
