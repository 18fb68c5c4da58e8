"""A nozzle's totalisers against its sales: ``totaliser_mismatch``, ``unbilled_delivery``.

JJG 443: the totaliser cannot be reset and takes in every delivery.  Between two readings of a
nozzle it must step by the sales in between.  Steps by less than was sold are a mismatch whatever is
missing.  Steps by more are only judged where no message number is missing, as a lost sale is
honest: they are an unbilled delivery, unless no fuel can have flowed besides the sale (no time for
it) or every sale is taken in too large by the same share, which is a mismatch again.

A totaliser that is read while a sale runs may show a part of it: growth without a sale is told when
the next sale has begun after it, or after the longest delivery.  A totaliser that falls, or jumps
by more than can flow, is left to the checks of registers: the next reading is compared with the
last good one, and where it goes on from the other level, that is the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from pydantic import Field

from gateway.checks.episodes import Episode, right, wrong
from gateway.checks.findings import finding, occasion_of, unit_of
from gateway.checks.numbering import OPEN_GAPS
from gateway.checks.order import NEVER
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.registered import Registered
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

MISMATCH: Final = "totaliser_mismatch"
UNBILLED: Final = "unbilled_delivery"
_MINUTE: Final = 60 * 10**9
_DEAREST: Final = 100.0
"""Currency a litre that no fuel costs: money that steps by more is a jump of the register."""
_SAME_SHARE: Final = 0.01
_MOST_SHARE: Final = 0.3
"""No sale is taken in too large by more; a hidden sale may be as large as a told one."""
_UNNUMBERED: Final = -1


class TotaliserSettings(Settings):
    """When a totaliser agrees with the sales.

    Attributes:
        volume_tolerance: L; two steps of a totaliser of 0.01 L, and the rounding of the sale.
        amount_tolerance: currency, in the same way.
        settle_after: sales in a row that are taken in rightly and end the condition.
    """

    volume_tolerance: NotNegative = 0.03
    amount_tolerance: NotNegative = 0.03
    settle_after: Annotated[int, Field(ge=1)] = 10


class UnbilledSettings(Settings):
    """What is a delivery of its own.

    Attributes:
        smallest: L; growth by less is no delivery but a mismatch.
        longest_delivery: s; after that growth without a sale is told.
        q_max: L/min that can flow at most (JJG 443-2023: 200): what steps faster is a jump.
    """

    smallest: Positive = 0.3
    longest_delivery: Positive = 3600.0
    q_max: Positive = 200.0


class Shown(msgspec.Struct, array_like=True):
    """Both totalisers (-1: not told), and the reading that showed them."""

    volume: float = -1.0
    amount: float = -1.0
    at: int = NEVER
    measured_at: int = 0
    number: int = _UNNUMBERED
    ledger_offset: int = -1


class Totals(msgspec.Struct, array_like=True):
    """The last good totalisers of a nozzle, and what has happened since.

    ``sold`` and ``billed`` are the sales since; ``growing`` is a later reading that grew without a
    sale; ``odd`` says that the last reading fell or jumped; ``share`` is by how much of itself the
    last sale was taken in too large.
    """

    base: Shown = msgspec.field(default_factory=Shown)
    sold: float = 0.0
    billed: float = 0.0
    growing: Shown | None = None
    odd: bool = False
    share: float = 0.0
    episode: Episode = msgspec.field(default_factory=Episode)


class Now(NamedTuple):
    """What is judged: a reading, what it showed, and where what is found goes."""

    track: Track
    reading: Reading
    shown: Shown
    late: bool
    flags: list[Flag]


class Step(NamedTuple):
    """Steps of both totalisers from one reading to another, and what the sales explain of them."""

    volume: float
    sold: float
    amount: float
    billed: float

    @property
    def excess(self) -> float:
        """Litres that no sale explains."""
        return self.volume - self.sold

    @property
    def excess_amount(self) -> float:
        """Money that no sale explains."""
        return self.amount - self.billed


def _mismatch(bound: Bound) -> SeriesCheck | None:
    return _Totalisers(bound).check() if "totaliser_volume" in bound.layout.names else None


def _unbilled(bound: Bound) -> SeriesCheck | None:
    """Only where `_mismatch` is off: else that one judges both."""
    if MISMATCH not in bound.settings.off:
        return None
    return _mismatch(bound)


class _Totalisers:
    """The judgement of one layout."""

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self.bound = bound
        mismatch = bound.settings.of(MISMATCH, TotaliserSettings)
        self.unbilled = bound.settings.of(UNBILLED, UnbilledSettings)
        self.settle_after = mismatch.settle_after
        self.tolerance = self._tolerance("totaliser_volume", mismatch.volume_tolerance)
        self.amount_tolerance = self._tolerance("totaliser_amount", mismatch.amount_tolerance)
        self.places = tuple(
            names.index(name) if name in names else -1
            for name in ("totaliser_volume", "totaliser_amount", "volume", "amount", "started_at")
        )
        self.sale = bound.layout.event == "transaction"
        self.serials = Registered(bound.devices, lambda each, _: each.serial_number or "")

    def _tolerance(self, quantity: str, told: float) -> float:
        register = self.bound.layout.registers.get(quantity)
        step = 0.0 if register is None or register.resolution is None else register.resolution
        return max(told, 2 * step + 0.01) + 1e-6

    def check(self) -> SeriesCheck:
        """The check, with the plain case first."""
        at_volume, at_amount, at_sold, at_billed, _ = self.places
        sale, tolerance, money_off = self.sale, self.tolerance, self.amount_tolerance

        def run(  # noqa: PLR0917 - as of every check
            memory: Totals, track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
        ) -> None:
            values: tuple[Any, ...] = reading.values
            base, number = memory.base, _number(track, reading)
            if at < base.at or 0 <= number <= base.number:
                return
            volume = values[at_volume]
            amount = values[at_amount] if at_amount >= 0 else None
            sold = (values[at_sold] or 0.0) if sale and at_sold >= 0 else 0.0
            billed = (values[at_billed] or 0.0) if sale and at_billed >= 0 else 0.0
            if (
                volume is not None
                and amount is not None
                and base.at != NEVER
                and base.amount >= 0
                and memory.growing is None
                and memory.episode.now is None
                and not memory.odd
                and -tolerance <= volume - base.volume - (memory.sold + sold) <= tolerance
                and -money_off <= amount - base.amount - (memory.billed + billed) <= money_off
            ):
                # What a reading mostly is: both totalisers stepped by what was sold.
                base.volume, base.amount, base.at = volume, amount, at
                base.measured_at, base.number = reading.measured_at, number
                base.ledger_offset = reading.ledger_offset
                memory.sold = memory.billed = 0.0
                if sale:
                    memory.share = 0.0
                return
            memory.sold += sold
            memory.billed += billed
            if volume is None:
                return
            shown = Shown(
                volume, -1.0 if amount is None else amount, at, reading.measured_at, number,
                reading.ledger_offset,
            )  # fmt: skip
            excess = volume - base.volume - memory.sold
            money = shown.amount - base.amount - memory.billed
            if base.amount < 0 or amount is None:
                money = 0.0
            right_so = -tolerance <= excess <= tolerance and -money_off <= money <= money_off
            if base.at != NEVER and not (right_so and memory.growing is None):
                self._unexpected(memory, Now(track, reading, shown, late, flags))
                return
            if sale:
                memory.share = 0.0
                if memory.episode.now is not None:
                    right(memory.episode, reading, self.settle_after, flags)
            self._accept(memory, shown)

        return SeriesCheck(MISMATCH, Totals, True, run)

    @staticmethod
    def _accept(memory: Totals, now: Shown) -> None:
        memory.base = now
        memory.sold = memory.billed = 0.0
        memory.growing = None
        memory.odd = False

    def _unexpected(self, memory: Totals, now: Now) -> None:
        growing, shown = memory.growing, now.shown
        if growing is not None and self._was_delivery(now, growing):
            step = self._step(now.track, memory.base, growing, 0.0, 0.0)
            self._tell(memory, now._replace(shown=growing), step, extra=True)
            sold, billed = memory.sold, memory.billed
            self._accept(memory, growing)
            memory.sold, memory.billed = sold, billed
        step = self._step(now.track, memory.base, shown, memory.sold, memory.billed)
        most = self._possible(memory.base, shown) + step.sold
        if not -self.tolerance <= step.volume <= most or abs(step.excess_amount) > _DEAREST * most:
            if memory.odd:
                self.bound.not_judged(MISMATCH, "the totaliser fell or jumped")
                self._accept(memory, shown)
            else:
                memory.odd = True
        elif not self._off(step):
            if self.sale and memory.episode.now is not None:
                right(memory.episode, now.reading, self.settle_after, now.flags)
            self._accept(memory, shown)
        elif _told_twice(now):
            self.bound.not_judged(MISMATCH, "the number was used twice")
            self._accept(memory, shown)
        elif self._replaced(now.reading.device_id, memory.base, shown):
            self.bound.not_judged(MISMATCH, "another dispenser")
            self._accept(memory, shown)
        else:
            self._judge_off(memory, now, step)

    def _judge_off(self, memory: Totals, now: Now, step: Step) -> None:
        """A step that is possible, but is not what was sold."""
        shown = now.shown
        less = step.excess < -self.tolerance or (
            step.excess <= self.tolerance and step.excess_amount < -self.amount_tolerance
        )
        missing = _missing(now.track, memory.base, shown)
        if missing and not less:
            self.bound.not_judged(UNBILLED, missing)
            self._accept(memory, shown)
            return
        if shown.measured_at > shown.at and not less:
            # Behind a clock that is ahead, readings have no sure order.
            self.bound.not_judged(UNBILLED, "the instrument's clock is ahead")
            self._accept(memory, shown)
            return
        if step.excess > self.tolerance and not self.sale:
            memory.growing = memory.growing or shown
            return
        share = step.excess / step.sold if self.sale and step.sold else 0.0
        usual = 0 < share < _MOST_SHARE and abs(memory.share - share) < _SAME_SHARE * share
        extra = not usual and self._time_for_it(now.reading, memory.base, step)
        self._tell(memory, now, step, extra=extra)
        self._accept(memory, shown)
        memory.share = share if self.sale else memory.share

    def _tell(self, memory: Totals, now: Now, step: Step, *, extra: bool) -> None:
        """Flags what no sale explains: a delivery of its own where it can be one."""
        if extra and step.excess >= self.unbilled.smallest:
            self.bound.emit(self._flag(now, UNBILLED, memory.base, step), now.flags)
        elif MISMATCH not in self.bound.settings.off:
            found = self._flag(now, MISMATCH, memory.base, step)
            wrong(memory.episode, now.reading, found, now.flags, late=now.late)

    def _replaced(self, device_id: str, base: Shown, shown: Shown) -> bool:
        """Whether another instrument stands there since, by its serial number."""
        serials = self.serials.of
        return serials(device_id, base.measured_at) != serials(device_id, shown.measured_at)

    def _off(self, step: Step) -> bool:
        return abs(step.excess) > self.tolerance or abs(step.excess_amount) > self.amount_tolerance

    def _step(self, track: Track, base: Shown, now: Shown, sold: float, billed: float) -> Step:
        volume = _grown(track, "totaliser_volume", base.volume, now.volume)
        amount = 0.0
        if base.amount >= 0 and now.amount >= 0:
            amount = _grown(track, "totaliser_amount", base.amount, now.amount)
        else:
            billed = 0.0
        return Step(volume, sold, amount, billed)

    def _possible(self, base: Shown, now: Shown) -> float:
        """Litres that can have flowed besides the sales."""
        return max(1.0, (now.at - base.at) / _MINUTE) * self.unbilled.q_max

    def _was_delivery(self, now: Now, growing: Shown) -> bool:
        """Whether growth that was seen cannot be a part of a sale that ran."""
        if not self.sale:
            return now.shown.at - growing.at > self.unbilled.longest_delivery * 10**9
        started = self._started(now.reading)
        return started is not None and started > growing.measured_at

    def _started(self, reading: Reading) -> int | None:
        value = reading.values[self.places[4]] if self.places[4] >= 0 else None
        return value if isinstance(value, int) else None

    def _time_for_it(self, reading: Reading, base: Shown, step: Step) -> bool:
        """Whether the excess can have flowed between the last reading and this sale."""
        started = self._started(reading)
        if started is None:
            return True
        return (started - base.measured_at) / _MINUTE * self.unbilled.q_max >= step.excess

    def _flag(self, now: Now, code: str, base: Shown, step: Step) -> Flag:
        reading, shown = now.reading, now.shown
        money = abs(step.excess) <= self.tolerance
        quantity = "totaliser_amount" if money else "totaliser_volume"
        observed, expected = (step.amount, step.billed) if money else (step.volume, step.sold)
        return finding(
            reading,
            code,
            {
                "observed": round(observed, 3),
                "expected": round(expected, 3),
                "tolerance": round(self.amount_tolerance if money else self.tolerance, 3),
                "unit": unit_of(reading, quantity),
                "difference": round(observed - expected, 3),
                "formula": f"{quantity} - previous {quantity} = sum of the sales in between",
                "inputs": {
                    "totaliser_volume": shown.volume,
                    "totaliser_amount": None if shown.amount < 0 else shown.amount,
                    "previous_totaliser_volume": base.volume,
                    "previous_totaliser_amount": None if base.amount < 0 else base.amount,
                    "previous_measured_at": rfc3339(base.measured_at),
                    "previous_ledger_offset": base.ledger_offset,
                    "sold": round(step.sold, 3),
                    "billed": round(step.billed, 3),
                },
                "excess_amount": round(step.excess_amount, 3),
                "judged_late": now.late,
            },
            occasion=f"{base.measured_at} {shown.measured_at}" if code == UNBILLED
            else occasion_of(reading),
            quantity=quantity,
            channel=reading.channel,
            since=base.measured_at,
            until=shown.measured_at,
            ledger_offset=shown.ledger_offset,
        )  # fmt: skip


def _number(track: Track, reading: Reading) -> int:
    """The unwrapped number of a reading, -1 where it has none."""
    modulus, numbering = track.bound.modulus, track.numbering
    if not modulus or reading.sequence is None or numbering.extended < 0:
        return _UNNUMBERED
    return numbering.extended - (numbering.extended - reading.sequence) % modulus


def _told_twice(now: Now) -> bool:
    """Whether another content came under the same number: which of them is right is not known."""
    number = now.shown.number
    return number >= 0 and len(now.track.window.find(number, now.reading.ledger_offset)) > 1


def _missing(track: Track, base: Shown, now: Shown) -> str:
    """Why messages between two readings may be missing; empty where none is."""
    if base.number < 0 or now.number < 0:
        return "the instrument does not number its messages"
    gaps = track.numbering.gaps
    if any(gap.low <= now.number and gap.high >= base.number for gap in gaps):
        return "numbers are missing"
    if len(gaps) >= OPEN_GAPS and gaps[0].low > base.number:
        return "numbers may be missing"
    if base.at < track.numbering.restarted_at <= now.at:
        return "the numbering began again"
    return ""


def _grown(track: Track, quantity: str, before: float, now: float) -> float:
    """The step of a register; over its full scale where it fell by more than half of it."""
    step = now - before
    if step < 0:
        for dial in track.dials:
            if dial.quantity == quantity and 0 < dial.full_scale / 2 < -step:
                return step + dial.full_scale
    return step


TOTALISER_MISMATCH: Final = Series(MISMATCH, TotaliserSettings, _mismatch)
UNBILLED_DELIVERY: Final = Series(UNBILLED, UnbilledSettings, _unbilled)
