"""When a device is heard: what the ledger's clock tells of silence, backlogs and slow clocks.

Three codes share one memory a device, so that a reading costs two comparisons and one store:
``silent_device`` and ``burst_after_silence`` look at the pauses between messages, ``clock_drift``
at the delay from measurement to receipt.  A reading goes through `hear` only where its pause or its
delay is remarkable; silence itself is found by the ledger's clock, from a heap of due times.

All is judged in the order of receipt, for receipt is what is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

import msgspec
from pydantic import Field, model_validator

from gateway.checks.lasting import Lasting
from gateway.checks.order import NEVER
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.records import Flag

if TYPE_CHECKING:
    from gateway.checks.bound import Bound
    from gateway.records import Reading

SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
DAYS: Final = 14
"""Days whose longest pauses are remembered."""
_MOST_MINUTES: Final = 65_535
_NEW: Final = 3
"""Days after which a device's rhythm is known."""
_ALWAYS: Final = 2**62
"""Nanoseconds that no pause and no delay exceeds: nothing is remarkable."""


class SilentSettings(Settings):
    """How long a device may be silent: ``factor`` usual pauses, ``least`` seconds at any rate.

    ``least_new`` seconds while its rhythm is not known.  When more than ``share`` of at least
    ``fleet`` devices are silent together, it is the way to the gateway and not the devices.
    """

    factor: Positive = 3.0
    least: Positive = 21_600.0
    least_new: Positive = 86_400.0
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    fleet: Annotated[int, Field(ge=2)] = 5


class BurstSettings(Settings):
    """Seconds of silence, and messages of it that come after it."""

    silence: Annotated[float, Field(ge=1800)] = 3600.0
    messages: Annotated[int, Field(ge=2)] = 3


class DriftSettings(Settings):
    """Seconds behind: above ``minor``, above ``major``; ``expected`` is the usual delay of the way.

    ``messages`` are those whose median is judged.
    """

    minor: Positive = 60.0
    major: Positive = 300.0
    expected: NotNegative = 0.0
    messages: Annotated[int, Field(ge=20, le=500)] = 20

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minor > self.major:
            raise ValueError("`minor` must not be above `major`")
        return self


class Watch(msgspec.Struct, array_like=True, gc=False):
    """A device is back after a silence: what of the silence comes now.

    ``since`` and ``returned`` are times of receipt, ``first`` and ``last`` measured times.
    """

    since: int
    returned: int
    until: int
    count: int = 0
    first: int = 0
    last: int = 0
    offset: int = -1
    latest: int = NEVER


class Drift(msgspec.Struct, array_like=True, gc=False):
    """Delays of messages that came as they were measured, while a clock is suspected."""

    delays: list[int] = []
    measured: list[int] = []
    passed_over: int = 0
    last_received: int = NEVER
    last_measured: int = NEVER
    windows: int = 0
    since: int = 0
    until: int = 0
    lasting: Lasting = msgspec.field(default_factory=Lasting)


class Pace(msgspec.Struct, array_like=True, frozen=True):
    """The settings that a device's rhythm is judged by, in ns; one for all devices of a layout."""

    least: int = 0
    least_new: int = 0
    factor: float = 3.0
    share: float = 0.5
    fleet: int = 5
    silence: int = 0
    messages: int = 3
    limit: int = _ALWAYS


class Rhythm(msgspec.Struct, array_like=True, gc=False):
    """When one device is heard.

    ``pause`` and ``late`` are the pause and the delay (ns) above which a reading is remarkable.
    ``longest`` is the longest pause since ``rolled``; ``days`` has those of the days before, two
    bytes each.  ``queued`` is when the ledger's clock looks at the device next; ``words`` says that
    a status word of the device stands.
    """

    heard: int = NEVER
    pause: int = NEVER
    late: int = _ALWAYS
    longest: int = 0
    days: bytes = b""
    rolled: int = NEVER
    roll: int = NEVER
    queued: int = NEVER
    kind: str = ""
    profile: str = ""
    pace: Pace = Pace()
    silent: Flag | None = None
    watch: Watch | None = None
    drift: Drift | None = None
    words: bool = False

    @property
    def known_days(self) -> int:
        """How many days the rhythm is known from."""
        return len(self.days) // 2

    def learn(self, pause: int) -> None:
        """A day's longest pause; kept in whole minutes, 45 days at most."""
        minutes = min(-(-pause // MINUTE), _MOST_MINUTES)
        self.days = self.days[-2 * (DAYS - 1) :] + minutes.to_bytes(2)

    def usual(self) -> int:
        """The longest pause of the last days: a night, or a day off each week."""
        return MINUTE * self._pauses()[-1] if self.days else self.longest

    def typical(self) -> int:
        """The longest pause of a day as it mostly is."""
        if not self.days:
            return self.longest
        pauses = self._pauses()
        return MINUTE * pauses[len(pauses) // 2]

    def _pauses(self) -> list[int]:
        days = self.days
        return sorted(int.from_bytes(days[at : at + 2]) for at in range(0, len(days), 2))

    def allowance(self) -> int:
        """The pause that is silence."""
        pace = self.pace
        least = pace.least if self.known_days >= _NEW else pace.least_new
        return max(least, round(pace.factor * self.usual()))

    def attend(self) -> None:
        """Sets what is remarkable from now on."""
        self.pause = min(self.longest, self.back_after())
        if self.silent is not None:
            self.pause = 0
        watched = self.watch is not None or self.drift is not None
        self.late = NEVER if watched else self.pace.limit

    def back_after(self) -> int:
        """The pause after which a backlog may come: clearly longer than a day's typical one."""
        silence, typical = self.pace.silence, self.typical()
        return max(silence, typical + typical // 2) if silence else _ALWAYS


def pace_of(bound: Bound) -> Pace:
    """The settings of a layout."""
    off, of = bound.settings.off, bound.settings.of
    silent = of("silent_device", SilentSettings)
    burst = of("burst_after_silence", BurstSettings)
    drift = of("clock_drift", DriftSettings)
    limit = round((drift.expected + drift.minor) * SECOND)
    return Pace(
        least=0 if "silent_device" in off else round(silent.least * SECOND),
        least_new=round(silent.least_new * SECOND),
        factor=silent.factor,
        share=silent.share,
        fleet=silent.fleet,
        silence=0 if "burst_after_silence" in off else round(burst.silence * SECOND),
        messages=burst.messages,
        limit=_ALWAYS if "clock_drift" in off else limit,
    )


def adopt(rhythm: Rhythm, pace: Pace, reading: Reading) -> None:
    """Takes over the settings that the device's readings are judged by.

    A device of which several profiles read is judged by the last of them in the alphabet, whichever
    was read first.
    """
    if reading.profile.partition("@")[0] < rhythm.profile.partition("@")[0]:
        return
    rhythm.kind, rhythm.profile, rhythm.pace = reading.kind, reading.profile, pace
    rhythm.attend()
