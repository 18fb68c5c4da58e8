"""Cheats and faults of fuel dispensers, in the metering board and in the books.

Those of the board alter a sale before it is measured, so that what the dispenser tells stays
coherent: the tank, and the pulses a litre, give them away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from simulators.clock import DAY
from simulators.faults import Case, Fault, Hidden, Sent
from simulators.fuel_dispenser import AMOUNT_SCALE, MMQ, Q_MAX, VOLUME_SCALE, Dispenser, Draft
from simulators.instrument import shown, units_of
from simulators.line import SEQUENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simulators.fuel_tank import Tank
    from simulators.instrument import Body, Instrument

SEEN_LITRES: Final = 60.0
"""Litres that must be missing or too many before a tank balance can be asked to tell..."""

SEEN_SHARE: Final = 0.008
"""...and the share of what the tank sold since: honest stations stay within about 0.3 % of sales
plus the noise of the gauge over days (domain: wet stock), which leaves room for both."""

SEEN_TIME: Final = 3 * DAY


@runtime_checkable
class Stocked(Protocol):
    """An instrument with tanks: by product, and the device that reads them."""

    tanks: Mapping[str, Tank]
    gauge: str


class BoardFault(Fault, ABC):
    """A cheat in the metering board: alters sales that begin after its begin.

    By itself it is one event, from the first altered sale to the end of the last.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._altered: set[tuple[str, int]] = set()
        self._stock: Stocked | None = None

    def attach(self, instrument: Instrument) -> None:
        """Takes the board over."""
        dispenser = getattr(instrument, "dispenser", None)
        if not isinstance(dispenser, Dispenser) or not isinstance(instrument, Stocked):
            raise TypeError(f"no dispenser with tanks: {instrument!r}")
        self._stock = instrument
        for tank in instrument.tanks.values():
            tank.watch(self.case.begin)
        dispenser.alter = self._alter

    def _alter(self, draft: Draft) -> None:
        if draft.at >= self.case.begin and self.alter(draft):
            self._altered.add((draft.nozzle, draft.at))

    @abstractmethod
    def alter(self, draft: Draft) -> bool:
        """Alters a sale; whether it did."""

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Messages stay as they are; notes the altered sales that are told."""
        del at
        if body["type"] == "transaction":
            key = body["nozzle"], body["started_at"]
            if key in self._altered:
                self._altered.remove(key)
                self.told(body)
        return ((0, body),)

    def told(self, body: Body) -> None:
        """An altered sale is told."""
        self.lasts(body["started_at"], body["ended_at"])

    def finish(self, until: int) -> None:
        """Less than was sold has left the tank too."""
        span = self._span
        super().finish(until)
        if span and self._stock is not None:
            self.case.may_show(self._stock.gauge, ("wet_stock_surplus",), *span)


class ConstantTold(BoardFault):
    """K is lowered by 1.5 to 3 %, and the dispenser tells so: more litres shown a pulse."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._factor = 1 - case.rng.uniform(0.015, 0.03)

    def alter(self, draft: Draft) -> bool:
        """Counts by the new constant and says so."""
        draft.k_used = draft.k_told = round(draft.k_used * self._factor, 1)
        return True


class ConstantSilent(BoardFault):
    """The board counts by a K that is 1.2 to 2 % too low, and tells the certified one."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._factor = 1 - case.rng.uniform(0.012, 0.02)

    def alter(self, draft: Draft) -> bool:
        """Counts by another constant than it says."""
        draft.k_used *= self._factor
        return True


class RoundAmounts(BoardFault):
    """A remote switch: seven in ten sales preset to 100, 200 or 300 CNY are 4 to 7 % short."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._factor = 1 - case.rng.uniform(0.04, 0.07)

    def alter(self, draft: Draft) -> bool:
        """Inspectors fill cans by volume: those sales are right."""
        on = self.case.rng.random() < 0.7
        if draft.amount not in (10_000, 20_000, 30_000) or not on:
            return False
        draft.k_used *= self._factor
        return True


class PulsesInjected(BoardFault):
    """The encoder gives 4 to 6 % too many pulses: all that the dispenser tells is coherent.

    Only the tank balance shows it, once enough is missing; asked for no sooner.

    Attributes:
        short_by: part of what is shown that does not come out.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.short_by = case.rng.uniform(0.04, 0.06)
        self._missing: dict[str, float] = {}

    def alter(self, draft: Draft) -> bool:
        """Less comes out than is shown."""
        draft.short = self.short_by
        return True

    def told(self, body: Body) -> None:
        """Adds up what is missing by product."""
        super().told(body)
        product = body["product"]
        missing = body["volume"] * self.short_by
        self._missing[product] = self._missing.get(product, 0.0) + missing

    def finish(self, until: int) -> None:
        """One event at the gauge, required where the tank balance can show it."""
        del until
        if self._span is None or self._stock is None:
            return
        since, last = self._span
        self._span = None
        seen = last - since >= SEEN_TIME and any(
            missing >= SEEN_LITRES and missing >= SEEN_SHARE * self._stock.tanks[product].drawn
            for product, missing in self._missing.items()
        )
        gauge = self._stock.gauge
        if seen:
            self.case.happened(since, last, shown_by=gauge)
        else:
            self.case.may_show(gauge, ("wet_stock_surplus",), since, last)


class PriceRaised(BoardFault):
    """A litre costs 0.05 to 0.30 CNY more than the price list says."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._more = case.rng.randint(5, 30)

    def alter(self, draft: Draft) -> bool:
        """Amounts follow from the price that is shown."""
        draft.unit_price += self._more
        return True

    def finish(self, until: int) -> None:
        """One event; nothing is short."""
        self._stock = None
        super().finish(until)


class EachSale(BoardFault):
    """A cheat of which every altered sale is an event."""

    def told(self, body: Body) -> None:
        """Writes the sale down."""
        self.case.happened(body["started_at"], body["ended_at"])


class FlowBeyondRating(EachSale):
    """One sale in three flows at 1.3 to 1.8 times Qmax, where the flow meter is out of class."""

    def alter(self, draft: Draft) -> bool:
        """Faster."""
        rng = self.case.rng
        faster = rng.uniform(1.3, 1.8) * Q_MAX
        if rng.random() > 1 / 3:
            return False
        draft.flow = faster
        return True


class BelowMinimum(EachSale):
    """One sale in five is of 1 to 4 L, below the minimum measured quantity."""

    def alter(self, draft: Draft) -> bool:
        """Less."""
        rng = self.case.rng
        volume = rng.randint(100, round(MMQ * 80))
        if rng.random() > 0.2:
            return False
        draft.amount, draft.volume = 0, volume
        return True


class ProgramChanged(BoardFault):
    """The program of the board is another one; nothing else is to be seen yet."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._checksum = f"{case.rng.getrandbits(32):08x}"

    def alter(self, draft: Draft) -> bool:
        """Tells its checksum, as it must."""
        draft.checksum = self._checksum
        return True

    def finish(self, until: int) -> None:
        """One event; nothing is short."""
        self._stock = None
        super().finish(until)


class SalesHidden(Hidden):
    """Sales are withheld and their numbers are missing; the tank drops by more than is told."""

    def __init__(self, case: Case) -> None:
        super().__init__(case, ("transaction",), 0.15)
        self._gauge: str | None = None

    def attach(self, instrument: Instrument) -> None:
        """Notes the gauge."""
        self._gauge = instrument.gauge if isinstance(instrument, Stocked) else None

    def shown(self, since: int, until: int) -> None:
        """A hole; a balance of the day may show it, too."""
        super().shown(since, until)
        if self._gauge is not None:
            self.case.may_show(self._gauge, ("wet_stock_loss",), since, until + DAY)


class SalesUnbooked(Fault):
    """One sale in twelve is not told, and the numbers close up; only the totalisers know."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._left_out = 0
        self._since: dict[str, int] = {}
        self._first = True
        self._gauge: str | None = None

    def attach(self, instrument: Instrument) -> None:
        """Notes the gauge: the tank drops by more than is told."""
        self._gauge = instrument.gauge if isinstance(instrument, Stocked) else None

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """An event once a later message of the nozzle shows the totaliser."""
        del at
        body["seq"] = (body["seq"] - self._left_out) % SEQUENCES
        nozzle = body.get("nozzle")
        if nozzle is None:
            return ((0, body),)
        chosen = self._first or self.case.rng.random() < 1 / 12
        if body["type"] == "transaction" and chosen:
            self._first = False
            self._left_out += 1
            self._since.setdefault(nozzle, body["started_at"])
            return ()
        since = self._since.pop(nozzle, None)
        if since is not None:
            self.case.happened(since, body["ts"])
            if self._gauge is not None:
                self.case.may_show(self._gauge, ("wet_stock_loss",), since, body["ts"] + DAY)
        return ((0, body),)


class TotaliserSlow(Fault):
    """The totalisers take in nine tenths of each sale: what the tax office reads is too little."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._behind: dict[str, tuple[int, int]] = {}

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Both totalisers fall behind, sale by sale."""
        del at
        nozzle = body.get("nozzle")
        if nozzle is None:
            return ((0, body),)
        volume, amount = self._behind.get(nozzle, (0, 0))
        if body["type"] == "transaction":
            volume += units_of(body["volume"], 2) // 10
            amount += units_of(body["amount"], 2) // 10
            self._behind[nozzle] = volume, amount
            self.lasts(body["started_at"], body["ended_at"])
        for name, less, scale in (
            ("totaliser_volume", volume, VOLUME_SCALE),
            ("totaliser_amount", amount, AMOUNT_SCALE),
        ):
            body[name] = shown(units_of(body[name], 2) - less, 2, scale)
        return ((0, body),)
