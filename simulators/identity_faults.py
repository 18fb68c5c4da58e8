"""Faults of who a device is: a verification that has run out, and two devices under one id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulators.clock import HOUR, parse_time, rfc3339
from simulators.faults import Case, Fault, Sent, began
from simulators.line import SEQUENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.instrument import Body, Instrument


class Expired(Fault):
    """The certificate runs out at the begin, and the device measures on.

    A later visit of the verification office ends it.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._renewed: int | None = None

    def attach(self, instrument: Instrument) -> None:
        """Asks when it is verified again."""
        versions = getattr(instrument, "versions", list)
        later = [each.since for each in versions() if each.since > self.case.begin]
        self._renewed = min(later, default=None)

    def register(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The certificate in force at the begin is valid until then."""
        begin = self.case.begin
        return [
            line | {"verified_until": rfc3339(begin)}
            if parse_time(line["verified_at"]) < begin <= parse_time(line["verified_until"])
            else line
            for line in lines
        ]

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Honest in all else."""
        if body["ts"] > self.case.begin and (self._renewed is None or at < self._renewed):
            self.lasts(body["ts"], body["ts"])
        return ((0, body),)


class Clone(Fault):
    """Another device of the same kind sends under this one's id, with numbers of its own."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._sequence = case.rng.randrange(SEQUENCES // 4, SEQUENCES // 2)
        self._readings: Iterator[tuple[int, Body]] = iter(())
        self._next: tuple[int, Body] | None = None

    def attach(self, instrument: Instrument) -> None:
        """Makes the twin."""
        del instrument
        if self.case.twin is None:
            raise TypeError("no other instrument of this kind")
        self._readings = self.case.twin().readings()
        self._next = next(self._readings, None)

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """What the twin sends within the next hour goes out with this message, each in its time."""
        sent: list[Sent] = [(0, body)]
        end = at + HOUR if self.case.until is None else min(at + HOUR, self.case.until - 1)
        while self._next is not None and self._next[0] <= end:
            when, other = self._next
            self._next = next(self._readings, None)
            if when < at:
                continue
            other["seq"] = self._sequence
            self._sequence = (self._sequence + 1) % SEQUENCES
            sent.append((when - at, other))
            self.lasts(began(other), other["ts"])
        return sent

    def finish(self, until: int) -> None:
        """One event, as long as both were heard."""
        if self._span and self._span[0] < until:
            self.case.happened(self._span[0], min(self._span[1], until))
        self._span = None
