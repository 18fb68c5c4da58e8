"""What charging costs: by time of use, on a list that changes every 28 days.

Prices are integers of 0.01 CNY a kWh.  The price of a session is that of the hour it begins in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulators.clock import DAY, LOCAL_OFFSET, local_day, local_hour, rfc3339

if TYPE_CHECKING:
    from simulators.instrument import Setting


class Window(NamedTuple):
    """Hours of the day with one price."""

    hours: tuple[int, ...]
    price: int


WINDOWS: Final = (
    Window((10, 11, 19, 20), 148),
    Window((8, 9, 17, 18, 21), 122),
    Window((7, 12, 13, 14, 15, 16, 22), 86),
    Window((23, 0, 1, 2, 3, 4, 5, 6), 46),
)
_DAYS: Final = 28
_PERIODS: Final = 8
"""So many periods are in the registry's list: half a year from the start of a run."""


def _begin(period: int) -> int:
    return period * _DAYS * DAY - LOCAL_OFFSET


def _moved(setting: Setting, period: int) -> int:
    return setting.shared_random(f"charging/{period}").randint(-6, 6)


def price(setting: Setting, at: int) -> int:
    """What the list says for a session that begins now."""
    hour = local_hour(at)
    usual = next(window.price for window in WINDOWS if hour in window.hours)
    return usual + _moved(setting, local_day(at) // _DAYS)


def price_list(setting: Setting) -> list[dict[str, Any]]:
    """The list as the registry has it; behind its end nothing is known."""
    first = local_day(setting.start) // _DAYS
    return [
        {
            "product": "energy",
            "unit_price": (window.price + _moved(setting, period)) / 100,
            "from": rfc3339(_begin(period)),
            "until": rfc3339(_begin(period + 1)),
            "hours": list(window.hours),
        }
        for period in range(first, first + _PERIODS)
        for window in WINDOWS
    ]
