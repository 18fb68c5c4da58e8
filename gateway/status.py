"""The gateway's state in one record: what the status topic, the metrics and the demo show."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from gateway.alerts.spec import AlertState
from gateway.processing import State as ProcessingState
from gateway.worker_messages import SinkState

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLES: Final = 10_000
_SAMPLE_S: Final = 0.1


class SourceStatus(msgspec.Struct, frozen=True):
    """One broker: whether it is there, how often it was lost, what is wrong now."""

    name: str
    connected: bool
    reconnects: int
    error: str | None


class LedgerStatus(msgspec.Struct, frozen=True):
    """``state`` is ``ledger_full`` while nothing is acknowledged; ``bytes`` is on disk."""

    state: str
    first_offset: int
    next_offset: int
    bytes: int


class ProcessingStatus(msgspec.Struct, frozen=True):
    """``lag_s``: how long the oldest message that is not decided has been in the ledger."""

    state: ProcessingState
    next_offset: int
    lag_s: float
    restarts: int
    error: str | None
    not_judged: dict[str, int]


class Balance(msgspec.Struct, frozen=True):
    """Messages since the ledger began, by decision; ``received`` is the sum of the others."""

    received: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    ignored: int = 0
    pending: int = 0

    def verdict(self) -> str:
        """``ok``, or by how much the counters are out."""
        decided = self.stored + self.quarantined + self.duplicates + self.ignored
        missing = self.received - decided - self.pending
        return "ok" if missing == 0 else f"wrong: {missing} messages without a decision"


class Status(msgspec.Struct, frozen=True):
    """One look at the gateway; times are RFC 3339 UTC.

    ``received`` and ``appended`` count messages from sources since this start; a message between
    the two is in memory and not acknowledged.  ``readings``, ``flags`` and ``messages`` count
    since the ledger began; ``removed`` what retention has removed, by kind and ``quarantine``.
    """

    name: str
    version: str
    state: Literal["starting", "online", "stopping", "offline"]
    at: str
    started_at: str
    received: int
    appended: int
    messages: Balance
    balance: str
    readings: int
    duplicate_readings: int
    flags: int
    ledger: LedgerStatus
    processing: ProcessingStatus
    sources: tuple[SourceStatus, ...]
    sinks: tuple[SinkState, ...]
    alerts: tuple[AlertState, ...] = ()
    removed: dict[str, int] = {}


def status_topic(name: str) -> str:
    """Where a gateway publishes its status."""
    return f"supervision/gateway/{name}/status"


class Lag:
    """How long the oldest undecided message has waited, from a few samples of commits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[int, float]] = deque(maxlen=_SAMPLES)

    def committed(self, next_offset: int) -> None:
        """The ledger reached ``next_offset`` just now."""
        now = self._clock()
        if not self._samples or now - self._samples[-1][1] >= _SAMPLE_S:
            self._samples.append((next_offset, now))

    def seconds(self, decided: int, next_offset: int) -> float:
        """The wait of the oldest message at or past ``decided``."""
        while self._samples and self._samples[0][0] <= decided:
            self._samples.popleft()
        if decided >= next_offset or not self._samples:
            return 0.0
        return self._clock() - self._samples[0][1]
