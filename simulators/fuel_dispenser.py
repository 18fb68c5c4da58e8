"""A fuel dispenser with its nozzles and tanks: sales, totalisers and gauges that add up.

All volumes are integers of 0.01 L and all money integers of 0.01 CNY, as the displays show them
(JJG 443: scale intervals).  A sale preset by amount shows the round amount exactly and a rounded
volume; any other amount is volume x price rounded half up.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.clock import DAY, HOUR, LOCAL_OFFSET, MINUTE, SECOND, local_day, local_hour, rfc3339
from simulators.instrument import Body, Setting, day_curve, half_up, shown, start_register

if TYPE_CHECKING:
    from collections.abc import Iterator

VOLUME_SCALE: Final = 10**10
"""Totalisers of volume have 8 digits before the point and 2 after it."""

AMOUNT_SCALE: Final = 10**11
"""Totalisers of money have 9 digits before the point and 2 after it."""

_BUSY = day_curve(
    (1, 1, 1, 1, 1, 2, 4, 8, 9, 7, 6, 6, 6, 6, 6, 6, 7, 9, 10, 8, 6, 4, 3, 2)
)  # fmt: skip
_PRODUCTS: Final = {
    # product: (price of a litre in 0.01 CNY about which it moves, density kg/m3 at 15 Cel)
    "92": (755, 738.0),
    "95": (805, 745.0),
    "0": (716, 842.0),
}
_NOZZLES: Final = ("92", "92", "95", "0")
_PRESETS: Final = (10_000, 20_000, 20_000, 20_000, 30_000, 30_000, 15_000, 5_000, 40_000, 50_000)
_TANK: Final = 3_000_000
_PRICE_DAYS: Final = 14


def price(setting: Setting, product: str, at: int) -> int:
    """The price list: 0.01 CNY a litre, the same in the whole run, changed every 14 days."""
    period = local_day(at) // _PRICE_DAYS
    usual = _PRODUCTS[product][0]
    return usual + setting.shared_random(f"price/{product}/{period}").randint(-35, 35)


class _Nozzle:
    """State of one nozzle; registers in display units."""

    def __init__(self, name: str, product: str, setting: Setting) -> None:
        rng = setting.random(f"nozzle/{name}")
        self.name = name
        self.product = product
        self.sales_a_day = rng.uniform(10, 60)
        self.volume = start_register(rng, (10**6, 4 * 10**8), VOLUME_SCALE, 200_000)
        self.amount = start_register(rng, (10**7, 3 * 10**9), AMOUNT_SCALE, 1_000_000)
        self.price = 0
        self.price_until = 0


class _Sale(NamedTuple):
    """A sale under way; volume and amount in display units."""

    body: Body
    volume: int
    amount: int


class FuelDispenser:
    """One dispenser; nozzles are channels ``1``...``4``, tanks are named by product."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("sales")
        # K to one decimal: what the seal covers, pulses of the encoder per litre
        self._k = round(rng.gauss(100.0, 0.1), 1)
        self._checksum = f"{setting.shared_random('firmware').getrandbits(32):08x}"
        self._nozzles = [
            _Nozzle(str(number), product, setting) for number, product in enumerate(_NOZZLES, 1)
        ]
        self._tanks = {product: rng.randint(_TANK // 3, _TANK) for product in _PRODUCTS}
        self._gauge = setting.random("gauge")

    def parameters(self) -> Body:
        """K, currency, and the price list of the first 60 days."""
        first = local_day(self._setting.start) // _PRICE_DAYS
        changes = [_midnight(period * _PRICE_DAYS) for period in range(first, first + 5)]
        return {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "k_factor": self._k,
            "unit_prices": {
                product: [
                    {"from": rfc3339(change), "price": price(self._setting, product, change) / 100}
                    for change in changes
                ]
                for product in _PRODUCTS
            },
        }

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Sales of all nozzles, totalisers every interval, tanks every hour."""
        setting = self._setting
        events: list[tuple[int, int, _Nozzle | None, _Sale | None]] = []
        for number, each in enumerate(self._nozzles):
            heappush(events, (self._next_sale(each, setting.start), number, each, None))
        phase = self._rng.randrange(setting.interval)
        heappush(events, (setting.start + phase, 90, None, None))
        heappush(events, (setting.start + self._rng.randrange(HOUR), 91, None, None))
        while True:
            at, order, nozzle, sale = heappop(events)
            if nozzle is not None and sale is None:
                sale = self._sell(nozzle, at)
                heappush(events, (sale.body["ts"], order, nozzle, sale))
            elif nozzle is not None and sale is not None:
                yield at, self._booked(nozzle, sale)
                heappush(events, (self._next_sale(nozzle, at + MINUTE // 2), order, nozzle, None))
            elif order == 90:
                for each in self._nozzles:
                    yield at, self._totalisers(each, at)
                heappush(events, (at + setting.interval, order, None, None))
            else:
                for product in self._tanks:
                    yield at, self._tank(product, at)
                heappush(events, (at + HOUR, order, None, None))

    def _next_sale(self, nozzle: _Nozzle, after: int) -> int:
        """Thinning: candidates at the busiest hour's rate, kept by the hour's share."""
        busiest = max(_BUSY)
        at = float(after)
        while True:
            at += self._rng.expovariate(nozzle.sales_a_day * busiest / DAY)
            if self._rng.random() * busiest <= _BUSY[local_hour(int(at))]:
                return int(at)

    def _price(self, nozzle: _Nozzle, at: int) -> int:
        if at >= nozzle.price_until:
            nozzle.price = price(self._setting, nozzle.product, at)
            nozzle.price_until = _midnight(local_day(at) + 1)
        return nozzle.price

    def _sell(self, nozzle: _Nozzle, at: int) -> _Sale:
        rng = self._rng
        unit_price = self._price(nozzle, at)
        if rng.random() < 0.6:
            amount = rng.choice(_PRESETS)
            volume = half_up(amount * 100, unit_price)
        else:
            usual = 6_000 if nozzle.product != "0" else 14_000
            volume = max(500, min(40_000, round(rng.gauss(0.75, 0.3) * usual)))
            amount = half_up(volume * unit_price, 100)
        flow = rng.uniform(20, 40)
        ended = at + max(5 * SECOND, round(volume / 100 / flow * MINUTE))
        body: Body = {
            "type": "transaction",
            "seq": 0,
            "ts": ended,
            "nozzle": nozzle.name,
            "started_at": at,
            "ended_at": ended,
            "product": nozzle.product,
            "volume": volume / 100,
            "unit_price": unit_price / 100,
            "amount": amount / 100,
            "totaliser_volume": None,
            "totaliser_amount": None,
            "pulses": round(volume * self._k / 100),
            "k_factor": self._k,
            "flow_rate": round(volume / 100 / ((ended - at) / MINUTE), 1),
            "temperature": round(_temperature(at) + rng.gauss(0, 0.4), 1),
            "density": _PRODUCTS[nozzle.product][1],
            "firmware_checksum": self._checksum,
        }
        return _Sale(body, volume, amount)

    def _booked(self, nozzle: _Nozzle, sale: _Sale) -> Body:
        """The sale at its end, when the totalisers take it in."""
        nozzle.volume += sale.volume
        nozzle.amount += sale.amount
        self._tanks[nozzle.product] -= sale.volume
        sale.body["totaliser_volume"] = shown(nozzle.volume, 2, VOLUME_SCALE)
        sale.body["totaliser_amount"] = shown(nozzle.amount, 2, AMOUNT_SCALE)
        return sale.body

    def _totalisers(self, nozzle: _Nozzle, at: int) -> Body:
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "nozzle": nozzle.name,
            "totaliser_volume": shown(nozzle.volume, 2, VOLUME_SCALE),
            "totaliser_amount": shown(nozzle.amount, 2, AMOUNT_SCALE),
        }

    def _tank(self, product: str, at: int) -> Body:
        """A gauge reading, 1 to 2 L of noise; a tanker comes when the tank is low."""
        rng = self._gauge
        if self._tanks[product] < _TANK // 5:
            self._tanks[product] += rng.randint(_TANK // 2, _TANK * 3 // 4)
        return {
            "type": "tank",
            "seq": 0,
            "ts": at,
            "tank": product,
            "volume": round(self._tanks[product] / 100 + rng.gauss(0, 1.5), 1),
            "temperature": round(_temperature(at), 1),
            "water_height": round(abs(rng.gauss(8, 0.5)), 1),
        }


def _midnight(day: int) -> int:
    """When a local day begins."""
    return day * DAY - LOCAL_OFFSET


def _temperature(at: int) -> float:
    """Buried tanks follow the season slowly: 8 to 24 degrees, warmest at the end of August."""
    day = local_day(at) % 365
    return 16.0 + 8.0 * (1 - abs((day - 240 + 182) % 365 - 182) / 91)
