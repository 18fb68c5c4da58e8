"""The consumption of a meter, reading by reading: the memory that several checks share.

One pass over a meter's readings in measured order feeds `register_spike`, `register_stuck`,
`zero_consumption`, `consumption_drop`, `leak_suspected`, `burst_suspected`, `backflow` and
`reverse_energy`: they ask for the same things (the last good value, the step, the local day), and a
million meters are to be remembered.  What most readings show, a step of a usual size, is judged
here; all else is in `turns`.  A reading that is judged late is left out: the step after it has
what it would have shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway.checks.lasting import Lasting
from gateway.checks.local_days import DAY, HOUR
from gateway.checks.order import NEVER

if TYPE_CHECKING:
    from gateway.checks.bound import Track
    from gateway.records import Device, Flag, Reading

DOWN: Final = 0.9990375
UP: Final = 1.1
"""The largest usual rate follows the 99th percentile of all steps: up by a tenth where a step is
above it, down by 0.1 % where it is not, which is in balance where one in a hundred is above."""
REMEMBERED_DAYS: Final = 56
DAY_BYTES: Final = 3


class Suspect(msgspec.Struct, array_like=True):
    """A value off the line, until the next one shows what it was; ``up``: a jump, else a fall."""

    value: float
    at: int
    offset: int
    up: bool


class Standing(msgspec.Struct, array_like=True):
    """Of a register that stands: how often something flowed, and how much that would make."""

    times: int = 0
    amount: float = 0.0


class Nights(msgspec.Struct, array_like=True):
    """Nights in a row in which it never stopped: how many, the least flow, since when.

    ``above`` are the last ones with far more than that: somebody's use, or the leak itself where
    the first night had only a part of it.
    """

    count: int
    least: float
    largest: float
    since: int
    above: int = 0


class Backwards(msgspec.Struct, array_like=True):
    """What the reverse register grew by, since when, and when it last did."""

    grown: float
    since: int
    at: int


class Use(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of one register.

    Attributes:
        value, at, offset: the last good value, its time, and its reading's place in the ledger.
        moved_at: when it last grew.
        usual: the 99th percentile of its rates, unit/h.
        pause: the longest usual pause, hours.
        day_end: the midnight that ends the local day.
        today: what was consumed since its beginning.
        known: whether that is all of it.
        moves: how often the register moved in it.
        unsettled: why the next reading is no ordinary one: `CLOCK`, `FLOW`.
        window_at, window_today: where the present hour of the night began.
        low, windows: the least rate of the hours of this night, and how many there were.
        days: three bytes a day, see `drops`.
        nights, reverse, backwards, standing, suspect: see there.
        conditions: what lasts, by code.
    """

    value: float = 0.0
    at: int = NEVER
    offset: int = -1
    moved_at: int = NEVER
    usual: float = 0.0
    pause: int = 0
    day_end: int = NEVER
    today: float = 0.0
    known: bool = False
    moves: int = 0
    unsettled: int = 0
    window_at: int = NEVER
    window_today: float = 0.0
    low: float = 0.0
    windows: int = 0
    days: bytes = b""
    nights: Nights | None = None
    reverse: float | None = None
    backwards: Backwards | None = None
    standing: Standing | None = None
    suspect: Suspect | None = None
    conditions: dict[str, Lasting] | None = None

    @property
    def learned(self) -> bool:
        """Whether it was watched for long enough to know what is usual."""
        return len(self.days) >= DAY_BYTES * LEARNING

    def lasting(self, code: str) -> Lasting | None:
        """What lasts of a code."""
        return None if self.conditions is None else self.conditions.get(code)

    def begin(self, code: str) -> Lasting:
        """Remembers that something of a code lasts."""
        if self.conditions is None:
            self.conditions = {}
        return self.conditions.setdefault(code, Lasting())

    def forget(self, code: str) -> None:
        """It is over."""
        if self.conditions is not None:
            self.conditions.pop(code, None)
            if not self.conditions:
                self.conditions = None


class Now:
    """A reading that is not an ordinary step, with all that is needed to judge it.

    ``before``, ``since`` and ``offset`` are the value, time and ledger offset that ``step`` is
    reckoned from.
    """

    __slots__ = (
        "at", "before", "device", "flags", "offset", "reading", "since", "step", "track", "use",
        "value",
    )  # fmt: skip

    def __init__(
        self, use: Use, track: Track, reading: Reading, at: int, flags: list[Flag]
    ) -> None:
        self.use, self.track, self.reading = use, track, reading
        self.at, self.flags = at, flags
        self.device: Device | None = None
        self.value = 0.0
        self.step = 0.0
        self.before, self.since, self.offset = use.value, use.at, use.offset

    @property
    def hours(self) -> float:
        """Hours in which the step was made."""
        return (self.at - self.since) / HOUR


CLOCK: Final = 1
"""The device's clock ran back: the time since the reading before says nothing."""
FLOW: Final = 2
"""The flow may be a burst."""
LEARNING: Final = 3
"""Midnights after which what is usual counts as known."""


def follow(use: Use, rate: float, largest: float) -> None:
    """Lets the usual rate follow a rate above it.

    Args:
        use: the memory.
        rate: of this step, unit/h.
        largest: more than this is never usual.
    """
    if use.learned:
        use.usual = min(use.usual * UP, largest)
    elif rate > use.usual:
        use.usual = min(rate, largest)
    if use.usual <= 0.0:
        use.usual = min(rate, largest)


def hours(span: int) -> float:
    """Nanoseconds as hours."""
    return span / HOUR


def since_days(since: int, at: int) -> int:
    """How many days lie between two midnights, whatever summer time does."""
    return round((at - since) / DAY)
