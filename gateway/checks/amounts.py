"""Money that must follow from a quantity and a price: ``amount_mismatch``.

JJG 443: the shown amount may differ from unit price x shown volume by at most the smallest payment
variable, which is the price of one scale interval of the volume, rounded up to one interval of
money.  JJG 1148 and 1149 say the same of energy.  Floats here are the decimals that were sent, so
``Decimal(repr(x))`` is the number the instrument showed; what is flagged has been compared in
decimals with 60 digits, exactly.

A float comparison before it lets the plain cases through.  It is sound: for an amount below
``10**10`` money intervals the error of ``amount - price * quantity`` in floats is under
``2**-51 * 10**10`` = 5e-6 of an interval, and only differences below 0.99 interval, which is below
the tolerance, are let through.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any

from gateway.checks.findings import finding, occasion_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.checks.bound import Bound, Track
    from gateway.checks.settings import AmountSettings
    from gateway.records import Flag, Reading

    Check = Callable[[Track, Reading, list[Flag]], None]

EXACT = Context(prec=60)
_SURE = 0.99
_WITHIN = 1e10


def shown(value: float) -> Decimal:
    """The decimal that an instrument showed, from the float that carries it."""
    return Decimal(repr(value))


def smallest_payment_variable(
    price: Decimal, quantity_interval: Decimal, money_interval: Decimal
) -> Decimal:
    """Price of one interval of the quantity, rounded up to an interval of money (JJG 443)."""
    intervals = EXACT.divide(EXACT.multiply(abs(price), quantity_interval), money_interval)
    whole = intervals.to_integral_value(ROUND_CEILING)
    return EXACT.multiply(max(whole, Decimal(1)), money_interval)


def amount_checks(bound: Bound, settings: AmountSettings) -> list[Check]:
    """The comparisons that this layout has the quantities for."""
    names = bound.layout.names
    checks: list[Check] = []
    for amount, price, quantity in (
        ("amount", "unit_price", "volume"),
        ("energy_amount", "energy_price", "energy"),
    ):
        if amount in names and price in names and quantity in names:
            checks.append(_product(bound, settings, amount, price, quantity))
    if {"amount", "energy_amount", "service_fee"} <= set(names):
        checks.append(_sum(bound, settings))
    return checks


def _product(
    bound: Bound, settings: AmountSettings, amount: str, price: str, quantity: str
) -> Check:
    names = bound.layout.names
    at_amount, at_price, at_quantity = map(names.index, (amount, price, quantity))
    sure = settings.money_interval * _SURE
    within = settings.money_interval * _WITHIN
    quantity_interval = shown(settings.quantity_interval)
    money_interval = shown(settings.money_interval)
    formula = f"{amount} = {price} x {quantity}"

    def check(_track: Track, reading: Reading, flags: list[Flag]) -> None:
        values: tuple[Any, ...] = reading.values
        money, unit_price, measured = values[at_amount], values[at_price], values[at_quantity]
        if money is None or unit_price is None or measured is None:
            bound.not_judged("amount_mismatch", "an input is missing")
            return
        if -sure < money - unit_price * measured < sure and money < within:
            return
        expected = EXACT.multiply(shown(unit_price), shown(measured))
        tolerance = smallest_payment_variable(shown(unit_price), quantity_interval, money_interval)
        if abs(EXACT.subtract(shown(money), expected)) > tolerance:
            inputs = {price: unit_price, quantity: measured}
            flags.append(
                _flag(
                    reading,
                    amount,
                    money,
                    expected=expected,
                    tolerance=tolerance,
                    formula=formula,
                    inputs=inputs,
                )
            )

    return check


def _sum(bound: Bound, settings: AmountSettings) -> Check:
    names = bound.layout.names
    at_amount, at_energy, at_fee = map(names.index, ("amount", "energy_amount", "service_fee"))
    sure = settings.money_interval * _SURE
    within = settings.money_interval * _WITHIN
    tolerance = shown(settings.money_interval)

    def check(_track: Track, reading: Reading, flags: list[Flag]) -> None:
        values: tuple[Any, ...] = reading.values
        money, energy, fee = values[at_amount], values[at_energy], values[at_fee]
        if money is None or energy is None or fee is None:
            bound.not_judged("amount_mismatch", "an input is missing")
            return
        if -sure < money - energy - fee < sure and money < within and energy < within:
            return
        expected = EXACT.add(shown(energy), shown(fee))
        if abs(EXACT.subtract(shown(money), expected)) > tolerance:
            inputs = {"energy_amount": energy, "service_fee": fee}
            formula = "amount = energy_amount + service_fee"
            flags.append(
                _flag(
                    reading,
                    "amount",
                    money,
                    expected=expected,
                    tolerance=tolerance,
                    formula=formula,
                    inputs=inputs,
                )
            )

    return check


def _flag(
    reading: Reading,
    quantity: str,
    observed: float,
    *,
    expected: Decimal,
    tolerance: Decimal,
    formula: str,
    inputs: dict[str, float],
) -> Flag:
    over = shown(observed) > expected
    return finding(
        reading,
        "amount_mismatch",
        {
            "observed": observed,
            "expected": float(expected),
            "tolerance": float(tolerance),
            "unit": reading.currency or "CNY",
            "difference": float(EXACT.subtract(shown(observed), expected)),
            "formula": formula,
            "inputs": inputs,
        },
        occasion=occasion_of(reading),
        quantity=quantity,
        channel=reading.channel,
        severity="critical" if over else "major",
    )
