"""Cheats about money: raised amounts, double bookings, wrong fares, shifted tariff registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators import tariffs
from simulators.clock import local_hour
from simulators.electricity_meter import FULL_SCALE as ENERGY_SCALE
from simulators.faults import Case, Fault, Sent
from simulators.fuel_dispenser import AMOUNT_SCALE
from simulators.instrument import half_up, shown, units_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body


class AmountRaised(Fault):
    """Every other sale costs 2 to 5 % more than volume x price, at least 0.50 CNY."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._booked: dict[str, int] = {}
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """The totaliser of money takes the raised amounts in, so that the books agree."""
        del at
        if body["type"] == "tank":
            return ((0, body),)
        nozzle = body["nozzle"]
        rng = self.case.rng
        if body["type"] == "transaction" and (self._first or rng.random() < 0.5):
            self._first = False
            amount = units_of(body["amount"], 2)
            more = max(50, half_up(amount * rng.randint(20, 50), 1000))
            body["amount"] = (amount + more) / 100
            self._booked[nozzle] = self._booked.get(nozzle, 0) + more
            self.case.happened(body["started_at"], body["ended_at"])
        total = units_of(body["totaliser_amount"], 2) + self._booked.get(nozzle, 0)
        body["totaliser_amount"] = shown(total, 2, AMOUNT_SCALE)
        return ((0, body),)


class DoubleBooking(Fault):
    """One sale in four is sent again under its own number, with less volume and money in it."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """The second version is coherent in itself: only the number gives it away."""
        del at
        rng = self.case.rng
        if body["type"] != "transaction" or not (self._first or rng.random() < 0.25):
            return ((0, body),)
        self._first = False
        volume = units_of(body["volume"], 2) * rng.randint(40, 80) // 100
        pulses = body["pulses"] * volume // units_of(body["volume"], 2)
        amount = half_up(volume * units_of(body["unit_price"], 2), 100)
        second = body | {"volume": volume / 100, "amount": amount / 100, "pulses": pulses}
        self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body), (rng.randint(2_000, 20_000), second))


class Overcharge(Fault):
    """Half of the trips cost 15 to 40 % more than the tariff, at least 3 CNY."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Raises the shown fare."""
        del at
        rng = self.case.rng
        if body["type"] == "trip" and (self._first or rng.random() < 0.5):
            self._first = False
            body["fare"] += float(max(3, round(body["fare"] * rng.uniform(0.15, 0.40))))
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)


class NightRateByDay(Fault):
    """Trips between 6:00 and 22:00 run at the night rate where that makes 3 CNY or more."""

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Computes the fare anew as if it were night; surcharge and times stay true."""
        del at
        if body["type"] != "trip" or not all(
            6 <= local_hour(body[time]) < 22 for time in ("started_at", "ended_at")
        ):
            return ((0, body),)
        if tariffs.is_peak(body["started_at"]) != tariffs.is_peak(body["ended_at"]):
            # waiting may cost either rate here, which could cover the difference up
            return ((0, body),)
        distance, waiting = units_of(body["distance"], 2), body["waiting_time"] * 1000
        trip = (distance, waiting, body["started_at"])
        more = tariffs.whole_trip(*trip, night=True) - tariffs.whole_trip(*trip, night=False)
        if more >= 3:
            body["fare"] += float(more)
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)


class TariffShifted(Fault):
    """The valley register is written up by 20 to 80 kWh; the total knows nothing of it."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._more = case.rng.randint(2_000, 8_000)
        self._since: int | None = None
        self._last = 0

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """From now on the tariff registers don't add up."""
        del at
        energy = body["energy"]
        energy["T4"] = shown(units_of(energy["T4"], 2) + self._more, 2, ENERGY_SCALE)
        if self._since is None:
            self._since = body["ts"]
        self._last = body["ts"]
        return ((0, body),)

    def finish(self, until: int) -> None:
        """One event, to the last message that showed it."""
        del until
        if self._since is not None:
            self.case.happened(self._since, self._last)
