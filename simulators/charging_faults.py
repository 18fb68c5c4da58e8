"""Cheats of EV chargers: in the amount, in the energy, in the price, in the times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from simulators.clock import HOUR, MINUTE
from simulators.ev_charger import EvCharger
from simulators.faults import Case, Fault, Sent
from simulators.instrument import half_up, units_of
from simulators.protocols.ocmf import CONNECTOR, FORGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body, Instrument

_FORGERY_SHOWS: Final = ("session_energy_mismatch", "power_energy_mismatch", "register_decrease")


def _bill(body: Body) -> None:
    """Computes the money anew from energy and price; the fee stays the same a kWh."""
    energy, unit_price = units_of(body["energy"], 2), units_of(body["energy_price"], 2)
    energy_amount = half_up(energy * unit_price, 100)
    body["energy_amount"] = energy_amount / 100
    body["amount"] = (energy_amount + units_of(body["service_fee"], 2)) / 100


class SessionFault(Fault, ABC):
    """A cheat in every other session; each is an event."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Alters a session and writes it down."""
        del at
        began = body.get("started_at", 0)
        if body["type"] != "session" or began < self.case.begin or body["energy"] < 1:
            return ((0, body),)
        if self._first or self.case.rng.random() < 0.5:
            self._first = False
            self.alter(body)
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)

    @abstractmethod
    def alter(self, body: Body) -> None:
        """Alters a session of 1 kWh or more."""


class AmountRaised(SessionFault):
    """The energy costs 3 to 8 % more than energy times price, at least 0.10 CNY."""

    def alter(self, body: Body) -> None:
        """The sum agrees with its parts."""
        amount = units_of(body["energy_amount"], 2)
        more = max(10, amount * self.case.rng.randint(30, 80) // 1000)
        body["energy_amount"] = (amount + more) / 100
        body["amount"] = (units_of(body["amount"], 2) + more) / 100


class EnergyInflated(SessionFault):
    """The session has 3 to 10 % more energy in it than its registers, at least 0.10 kWh."""

    def alter(self, body: Body) -> None:
        """Money follows from the energy that is shown."""
        energy = units_of(body["energy"], 2)
        body["energy"] = (energy + max(10, energy * self.case.rng.randint(30, 100) // 1000)) / 100
        _bill(body)


class PriceRaised(SessionFault):
    """A kWh costs 0.05 to 0.30 CNY more than the list says."""

    def alter(self, body: Body) -> None:
        """Money follows from the price that is shown."""
        raised = units_of(body["energy_price"], 2) + self.case.rng.randint(5, 30)
        body["energy_price"] = raised / 100
        _bill(body)


class Overlapping(Fault):
    """A session begins, by its own account, before the one before it on the connector ended."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._ended: dict[str, int] = {}

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Where the sessions follow each other within six hours; two in three of these."""
        del at
        if body["type"] != "session":
            return ((0, body),)
        rng, connector = self.case.rng, body["connector"]
        ended = self._ended.get(connector)
        self._ended[connector] = body["ended_at"]
        if ended is not None and body["started_at"] - ended < 6 * HOUR and rng.random() < 2 / 3:
            body["started_at"] = ended - rng.randint(2, 10) * MINUTE
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)


class CountsTooMuch(Fault):
    """The meter counts 1.3 to 1.6 kWh for each: more than the charger can give in that time.

    Where a session was slow the sum stays below the rating, and only the power that is told besides
    does not agree with the register.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._factor = case.rng.uniform(1.3, 1.6)
        self._rated = 0.0

    def attach(self, instrument: Instrument) -> None:
        """Opens the charger."""
        if not isinstance(instrument, EvCharger):
            raise TypeError(f"no charger: {instrument!r}")
        begin = self.case.begin
        instrument.count = lambda at: self._factor if at >= begin else 1.0
        self._rated = float(instrument.parameters()["rated_power"])

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """A session is an event; required where it had more energy than there was power for."""
        del at
        if body["type"] == "session" and body["started_at"] >= self.case.begin:
            since, until = body["started_at"], body["ended_at"]
            most = self._rated * (until - since) / HOUR
            if body["energy"] > 1.05 * most + 0.02:
                self.case.happened(since, until)
            else:
                self.case.may_show(self.case.device_id, ("power_energy_mismatch",), since, until)
        return ((0, body),)


class Forged(Fault):
    """Every other signed record has 1 to 4 kWh more in it than was signed.

    The register that it tells is above that with which the next session begins, and a short session
    may have more energy than the rating allows.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._since: int | None = None
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Marks sessions for the encoder, which signs; those of the connector that has records."""
        del at
        rng = self.case.rng
        if body["type"] != "session" or body["connector"] != CONNECTOR:
            return ((0, body),)
        if self._since is not None:
            span = (self._since, body["ended_at"])
            self.case.may_show(self.case.device_id, _FORGERY_SHOWS, *span)
            self._since = None
        if self._first or rng.random() < 0.5:
            self._first = False
            self._since = body["started_at"]
            body[FORGED] = rng.randint(100, 400) / 100
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)
