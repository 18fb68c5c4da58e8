"""A fuel dispenser with its nozzles: sales, totalisers, pulses that add up, and what leaves tanks.

All volumes are integers of 0.01 L and all money integers of 0.01 CNY, as the displays show them
(JJG 443: scale intervals).  A sale preset by amount shows the round amount exactly and a rounded
volume; any other amount is volume x price rounded half up.
"""

from __future__ import annotations

from heapq import heappop, heappush, merge
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from simulators.clock import DAY, HOUR, MINUTE, SECOND, local_hour
from simulators.fuel_prices import PRODUCTS, price, price_list
from simulators.fuel_service import Service
from simulators.fuel_tank import Gauge, Tank, to_20
from simulators.instrument import (
    Body,
    Setting,
    Version,
    day_curve,
    half_up,
    shown,
    start_register,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

VOLUME_SCALE: Final = 10**10
"""Totalisers of volume have 8 digits before the point and 2 after it."""

AMOUNT_SCALE: Final = 10**11
"""Totalisers of money have 9 digits before the point and 2 after it."""

Q_MAX: Final = 50.0
Q_MIN: Final = 5.0
"""Rated flow of a nozzle, L/min."""

MMQ: Final = 5.0
"""Minimum measured quantity, L; nobody buys less."""

_BUSY = day_curve(
    (1, 1, 1, 1, 1, 2, 4, 8, 9, 7, 6, 6, 6, 6, 6, 6, 7, 9, 10, 8, 6, 4, 3, 2)
)  # fmt: skip
_NOZZLES: Final = ("92", "92", "95", "0")
_PRESETS: Final = (10_000, 20_000, 20_000, 20_000, 30_000, 30_000, 15_000, 5_000, 40_000, 50_000)
_TEST: Final = 2_000
"""A test can holds 20 L."""


class Draft(msgspec.Struct):
    """A sale before it is measured: what a cheat in the dispenser may alter.

    ``amount`` is the preset one in 0.01 CNY, 0 for a sale by volume; ``volume`` in 0.01 L is that
    of a sale by volume.  The board counts ``k_used`` pulses a litre and tells ``k_told``.
    ``short`` is the share of the shown volume that does not come out, for another reason than the
    constant.
    """

    nozzle: str
    at: int
    unit_price: int
    amount: int
    volume: int
    k_used: float
    k_told: float
    flow: float
    checksum: str
    short: float = 0.0


class _Nozzle:
    """State of one nozzle; registers in display units."""

    def __init__(self, name: str, tank: Tank, setting: Setting) -> None:
        rng = setting.random(f"nozzle/{name}")
        self.name = name
        self.tank = tank
        self.sales_a_day = rng.uniform(10, 60)
        self.volume = start_register(rng, (10**6, 4 * 10**8), VOLUME_SCALE, 200_000)
        self.amount = start_register(rng, (10**7, 3 * 10**9), AMOUNT_SCALE, 1_000_000)
        # error of indication, well within the 0.30 % of JJG 443
        self.error = rng.uniform(-0.0015, 0.0015)


class _Sale(NamedTuple):
    """A sale under way; volume and amount in display units."""

    body: Body
    volume: int
    amount: int


class Dispenser:
    """One dispenser of a station.

    Args:
        setting: of the device.
        tanks: by the name of the nozzle that draws from each.
        gauge: device id of the tank gauge, None where it is the dispenser's own.
    """

    def __init__(
        self, setting: Setting, tanks: Mapping[str, Tank], gauge: str | None = None
    ) -> None:
        self._setting = setting
        self._rng = setting.random("sales")
        self._service = Service(setting)
        self._nozzles = [_Nozzle(name, tank, setting) for name, tank in tanks.items()]
        self._gauge = gauge
        self.alter: Callable[[Draft], None] = _leave
        """Set by a cheat; called with each sale before it is measured."""

    def parameters(self) -> Body:
        """What the certificate and the station say of it, as it is at the start."""
        nozzles = self._nozzles
        tank = {} if self._gauge is None else {each.name: self._gauge for each in nozzles}
        return {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "k_factor": self._service.at(self._setting.start).k_factor,
            "firmware_checksum": self._service.at(self._setting.start).checksum,
            "q_max": Q_MAX,
            "q_min": Q_MIN,
            "mmq": MMQ,
            **({"tank": tank} if tank else {}),
            "tank_channel": {each.name: each.tank.name for each in nozzles},
            "price_list": price_list(self._setting, tuple(each.tank.product for each in nozzles)),
        }

    def versions(self) -> list[Version]:
        """What the registry learns later: verification visits, and another dispenser."""
        return self._service.versions(self.parameters())

    def events(self) -> Iterator[tuple[int, Body]]:
        """Sales of all nozzles and totalisers every interval, without end."""
        setting = self._setting
        events: list[tuple[int, int, _Nozzle | None, _Sale | None]] = []
        for number, each in enumerate(self._nozzles):
            heappush(events, (self._next_sale(each, setting.start), number, each, None))
        phase = self._rng.randrange(setting.interval)
        heappush(events, (setting.start + phase, 90, None, None))
        while True:
            at, order, nozzle, sale = heappop(events)
            if nozzle is None:
                for each in self._nozzles:
                    yield at, self._totalisers(each, at)
                heappush(events, (at + setting.interval, order, None, None))
            elif sale is None:
                test = self._service.is_test(order, at)
                if self._service.closed(at) and not test:
                    heappush(events, (self._next_sale(nozzle, at), order, nozzle, None))
                    continue
                sale = self._sell(nozzle, at, test=test)
                heappush(events, (sale.body["ts"], order, nozzle, sale))
            else:
                yield at, self._booked(nozzle, sale)
                heappush(events, (self._next_sale(nozzle, at + MINUTE // 2), order, nozzle, None))

    def _next_sale(self, nozzle: _Nozzle, after: int) -> int:
        """Thinning: candidates at the busiest hour's rate, kept by the hour's share.

        A visit of the verification office in between comes first.
        """
        busiest = max(_BUSY)
        at = float(after)
        while True:
            at += self._rng.expovariate(nozzle.sales_a_day * busiest / DAY)
            if self._rng.random() * busiest <= _BUSY[local_hour(int(at))]:
                test = self._service.next_test(self._nozzles.index(nozzle), after)
                return min(int(at), test) if test else int(at)

    def _sell(self, nozzle: _Nozzle, at: int, *, test: bool) -> _Sale:
        rng, board = self._rng, self._service.at(at)
        unit_price = price(self._setting, nozzle.tank.product, at)
        amount = volume = 0
        if rng.random() < 0.6:
            amount = rng.choice(_PRESETS)
        else:
            usual = 6_000 if nozzle.tank.product != "0" else 14_000
            volume = max(500, min(40_000, round(rng.gauss(0.75, 0.3) * usual)))
        flow, warmer = rng.uniform(20, 40), rng.gauss(0, 0.4)
        if test:
            amount, volume = 0, _TEST
        draft = Draft(
            nozzle=nozzle.name,
            at=at,
            unit_price=unit_price,
            amount=amount,
            volume=volume,
            k_used=board.k_factor,
            k_told=board.k_factor,
            flow=flow,
            checksum=board.checksum,
        )
        self.alter(draft)
        return self._measure(nozzle, draft, warmer, returned=test)

    def _measure(self, nozzle: _Nozzle, draft: Draft, warmer: float, *, returned: bool) -> _Sale:
        """The sale as displays and pulses show it; what truly comes out leaves the tank."""
        at, tank = draft.at, nozzle.tank
        if draft.amount:
            amount, volume = draft.amount, half_up(draft.amount * 100, draft.unit_price)
        else:
            amount, volume = half_up(draft.volume * draft.unit_price, 100), draft.volume
        ended = at + max(5 * SECOND, round(volume / 100 / draft.flow * MINUTE))
        certified = self._service.at(at).k_factor
        # shown = pulses / k_used, true = pulses / certified
        true = volume / 100 * draft.k_used / certified * (1 - draft.short) / (1 + nozzle.error)
        temperature = round(tank.temperature(at) + warmer, 1)
        tank.draw(at, ended, true, temperature)
        if returned:
            litres = true * to_20(temperature, tank.density)
            tank.flow(ended + MINUTE, ended + 3 * MINUTE, litres)
        body: Body = {
            "type": "transaction",
            "seq": 0,
            "ts": ended,
            "nozzle": nozzle.name,
            "started_at": at,
            "ended_at": ended,
            "product": tank.product,
            "volume": volume / 100,
            "unit_price": draft.unit_price / 100,
            "amount": amount / 100,
            "totaliser_volume": None,
            "totaliser_amount": None,
            "pulses": round(volume * draft.k_used / 100),
            "k_factor": draft.k_told,
            "flow_rate": round(volume / 100 / ((ended - at) / MINUTE), 1),
            "temperature": temperature,
            "density": tank.density,
            "firmware_checksum": draft.checksum,
        }
        return _Sale(body, volume, amount)

    def _booked(self, nozzle: _Nozzle, sale: _Sale) -> Body:
        """The sale at its end, when the totalisers take it in."""
        self._renew(nozzle, sale.body["ts"])
        nozzle.volume += sale.volume
        nozzle.amount += sale.amount
        sale.body["totaliser_volume"] = shown(nozzle.volume, 2, VOLUME_SCALE)
        sale.body["totaliser_amount"] = shown(nozzle.amount, 2, AMOUNT_SCALE)
        return sale.body

    def _renew(self, nozzle: _Nozzle, at: int) -> None:
        """The totalisers of another dispenser begin at nothing."""
        if self._service.is_new(nozzle.name, at):
            nozzle.volume = nozzle.amount = 0

    def _totalisers(self, nozzle: _Nozzle, at: int) -> Body:
        self._renew(nozzle, at)
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "nozzle": nozzle.name,
            "totaliser_volume": shown(nozzle.volume, 2, VOLUME_SCALE),
            "totaliser_amount": shown(nozzle.amount, 2, AMOUNT_SCALE),
        }


def _leave(draft: Draft) -> None:
    """An honest board alters nothing."""
    del draft


def forecourt(dispensers: Sequence[Dispenser], gauge: Gauge) -> Iterator[tuple[int, int, Body]]:
    """What all dispensers and the gauge of a station send, in the order of time.

    Yields:
        Time, number of the dispenser (one more than the last for the gauge), and message.
    """

    def sold(number: int) -> Iterator[tuple[int, int, Body | None]]:
        for at, body in dispensers[number].events():
            yield at, number, body

    def read() -> Iterator[tuple[int, int, Body | None]]:
        for at in gauge.times():
            yield at, len(dispensers), None

    sources = (*map(sold, range(len(dispensers))), read())
    for at, number, body in merge(*sources, key=lambda each: each[:2]):
        if body is not None:
            yield at, number, body
        else:
            # read only now: every sale that began before has drawn from its tank
            for reading in gauge.read(at):
                yield at, number, reading


class FuelDispenser:
    """One dispenser with tanks and a gauge of its own; tanks are named by their product."""

    def __init__(self, setting: Setting) -> None:
        self.tanks = {
            product: Tank(product, product, made.density, setting)
            for product, made in PRODUCTS.items()
        }
        nozzles = {str(number): self.tanks[product] for number, product in enumerate(_NOZZLES, 1)}
        self.dispenser = Dispenser(setting, nozzles)
        self.gauge = setting.device_id
        self._gauge = Gauge(tuple(self.tanks.values()), setting, HOUR)

    def parameters(self) -> Body:
        """What the registry knows of dispenser and tanks."""
        return self.dispenser.parameters() | {"tanks": self._gauge.parameters()}

    def versions(self) -> list[Version]:
        """What the registry learns later."""
        tanks = {"tanks": self._gauge.parameters()}
        return [each.with_parameters(tanks) for each in self.dispenser.versions()]

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Sales of all nozzles, totalisers every interval, tanks every hour."""
        for at, _, body in forecourt((self.dispenser,), self._gauge):
            yield at, body
