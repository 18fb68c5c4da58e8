"""What fuel costs: one list for all stations, changed every 14 days, at midnight and noon in turn.

Prices are integers of 0.01 CNY a litre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulators.clock import DAY, HOUR, LOCAL_OFFSET, local_day, rfc3339

if TYPE_CHECKING:
    from simulators.instrument import Setting


class Product(NamedTuple):
    """A fuel: the price about which it moves, and its density at 15 Cel in kg/m3."""

    price: int
    density: float


PRODUCTS: Final = {
    "92": Product(755, 738.0),
    "95": Product(805, 745.0),
    "0": Product(716, 842.0),
}
_DAYS: Final = 14
_PERIODS: Final = 12
"""So many periods are in the registry's list: 168 days from the start of a run."""


def change(period: int) -> int:
    """When a period begins: at midnight, every other one at noon."""
    return period * _DAYS * DAY - LOCAL_OFFSET + (12 * HOUR if period % 2 == 0 else 0)


def period_of(at: int) -> int:
    """The period that is in force."""
    period = local_day(at) // _DAYS
    return period - 1 if at < change(period) else period


def price(setting: Setting, product: str, at: int) -> int:
    """What the list says, the same in the whole run."""
    rng = setting.shared_random(f"price/{product}/{period_of(at)}")
    return PRODUCTS[product].price + rng.randint(-35, 35)


def price_list(setting: Setting, products: tuple[str, ...]) -> list[dict[str, Any]]:
    """The list as the registry has it; behind its end nothing is known."""
    first = period_of(setting.start)
    return [
        {
            "product": product,
            "unit_price": price(setting, product, change(period)) / 100,
            "from": rfc3339(change(period)),
            "until": rfc3339(change(period + 1)),
        }
        for product in dict.fromkeys(products)
        for period in range(first, first + _PERIODS)
    ]
