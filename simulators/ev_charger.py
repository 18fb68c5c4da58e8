"""An EV charger with two connectors: sessions by the time of day, registers, prices by time of use.

Energy is an integer of 0.01 kWh and money one of 0.01 CNY.  A car draws what charger and battery
allow, and above 80 % of its battery a third of that.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.charging_prices import price, price_list
from simulators.clock import DAY, HOUR, MINUTE, local_hour
from simulators.instrument import Body, Setting, day_curve, half_up, shown, start_register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL_SCALE: Final = 10**10
"""Registers have 8 digits before the point and 2 after it, in kWh."""

CONNECTORS: Final = ("1", "2")

_DEMAND: Final = day_curve(
    (5, 5, 4, 3, 2, 2, 3, 4, 6, 6, 6, 8, 9, 7, 6, 6, 6, 7, 8, 9, 9, 8, 8, 7)
)  # fmt: skip


class Model(NamedTuple):
    """Rated power of a connector in kW, volts, sessions of a connector and day, and whether DC."""

    rated: float
    volts: float
    sessions: tuple[float, float]
    direct: bool


_MODELS: Final = (
    Model(7.0, 224.0, (0.8, 2.5), direct=False),
    Model(60.0, 395.0, (5.0, 12.0), direct=True),
    Model(7.0, 224.0, (0.8, 2.5), direct=False),
    Model(120.0, 720.0, (6.0, 14.0), direct=True),
)


class _Session(NamedTuple):
    """A car at a connector: full power to ``slow``, a third to ``ended``; kW and ms."""

    started: int
    slow: int
    ended: int
    power: float
    charge: float
    battery: float

    def at(self, at: int) -> tuple[float, float]:
        """Energy so far in kWh and power now in kW."""
        fast = min(at, self.slow) - self.started
        tail = max(0, min(at, self.ended) - self.slow)
        energy = self.power * (fast + tail / 3) / HOUR
        return energy, self.power if at < self.slow else self.power / 3


class _Connector:
    """State of one connector; the register in units of 0.01 kWh, with what the last digit hides."""

    def __init__(self, name: str, setting: Setting, model: Model) -> None:
        rng = setting.random(f"connector/{name}")
        self.name = name
        self.sessions_a_day = rng.uniform(*model.sessions)
        self.register = start_register(rng, (10**4, 3 * 10**7), FULL_SCALE, 20_000)
        self.session: _Session | None = None
        self.factor = 1.0


class EvCharger:
    """One charger: half of them AC of 7 kW, the others DC of 60 and 120 kW a connector."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("sessions")
        self._noise = setting.random("noise")
        self._model = _MODELS[setting.index % len(_MODELS)]
        self._connectors = [_Connector(name, setting, self._model) for name in CONNECTORS]
        self._service = rng.randint(30, 80)
        self.count: Callable[[int], float] = _rightly
        """Set by a cheat: what a session that begins now counts for each true kWh."""

    def parameters(self) -> Body:
        """Rating and prices."""
        return {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "rated_power": self._model.rated,
            "price_list": price_list(self._setting),
            "service_price": self._service / 100,
        }

    def readings(self) -> Iterator[tuple[int, Body]]:
        """A session at its end, both connectors every interval."""
        setting = self._setting
        events: list[tuple[int, int]] = [
            (self._next_car(each, setting.start), number)
            for number, each in enumerate(self._connectors)
        ]
        events.append((setting.start + self._rng.randrange(setting.interval), 90))
        events.sort()
        while True:
            at, number = heappop(events)
            if number == 90:
                for each in self._connectors:
                    yield at, self._state(each, at)
                heappush(events, (at + setting.interval, number))
                continue
            connector = self._connectors[number]
            if connector.session is None:
                connector.session = self._plug_in(at)
                connector.factor = self.count(at)
                heappush(events, (connector.session.ended, number))
            else:
                yield at, self._bill(connector, connector.session)
                connector.session = None
                heappush(events, (self._next_car(connector, at + 3 * MINUTE), number))

    def _next_car(self, connector: _Connector, after: int) -> int:
        """Thinning: candidates at the busiest hour's rate, kept by the hour's share."""
        busiest = max(_DEMAND)
        at = float(after)
        while True:
            at += self._rng.expovariate(connector.sessions_a_day * busiest / DAY)
            if self._rng.random() * busiest <= _DEMAND[local_hour(int(at))]:
                return int(at)

    def _plug_in(self, at: int) -> _Session:
        rng, model = self._rng, self._model
        battery, charge = rng.uniform(38, 85), rng.uniform(0.12, 0.6)
        wanted = rng.choice((0.8, 0.85, 0.9, 1.0, rng.uniform(charge + 0.1, 1.0)))
        power = model.rated * rng.uniform(0.93, 0.99)
        if model.direct:
            power = min(power, battery * rng.uniform(0.9, 1.6))
        fast = max(0.0, min(0.8, wanted) - charge) * battery / power
        tail = max(0.0, wanted - 0.8) * battery / (power / 3)
        slow = at + max(MINUTE, round(fast * HOUR))
        return _Session(at, slow, slow + round(tail * HOUR), power, charge, battery)

    @staticmethod
    def _energy(connector: _Connector, session: _Session, at: int) -> int:
        """What the register has taken in of a session, in 0.01 kWh."""
        return int(session.at(at)[0] * connector.factor * 100)

    def _bill(self, connector: _Connector, session: _Session) -> Body:
        energy = self._energy(connector, session, session.ended)
        before, connector.register = connector.register, connector.register + energy
        unit_price = price(self._setting, session.started)
        energy_amount = half_up(energy * unit_price, 100)
        fee = half_up(energy * self._service, 100)
        return {
            "type": "session",
            "seq": 0,
            "ts": session.ended,
            "connector": connector.name,
            "started_at": session.started,
            "ended_at": session.ended,
            "energy": energy / 100,
            "energy_start": shown(before, 2, FULL_SCALE),
            "energy_end": shown(connector.register, 2, FULL_SCALE),
            "energy_price": unit_price / 100,
            "energy_amount": energy_amount / 100,
            "service_fee": fee / 100,
            "amount": (energy_amount + fee) / 100,
        }

    def _state(self, connector: _Connector, at: int) -> Body:
        session = connector.session
        register, power = connector.register, 0.0
        body: Body = {"type": "periodic", "seq": 0, "ts": at, "connector": connector.name}
        volts = round(self._model.volts + self._noise.uniform(-3, 3), 1)
        if session is not None:
            energy, power = session.at(at)
            register += self._energy(connector, session, at)
            if self._model.direct:
                share = min(1.0, session.charge + energy / session.battery)
                body["state_of_charge"] = round(share * 100)
        return body | {
            "energy_import": shown(register, 2, FULL_SCALE),
            "power": round(power, 3),
            "voltage": volts,
            "amperage": round(power * 1000 / volts, 2),
        }


def _rightly(at: int) -> float:
    """An honest charger counts every kWh once."""
    del at
    return 1.0
