"""Registers that grow by other steps than the true ones: the base of most faults of meters.

What an honest meter showed is told anew: from each register's true step another one is made, in
thousandths of its last digit, so that a register that loses a third of every step loses a third in
the long run, and still never falls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from simulators.clock import HOUR
from simulators.faults import Case, Fault, Sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simulators.instrument import Body

PARTS: Final = 1_000
"""Parts of the last digit that steps are counted in."""


class Register(NamedTuple):
    """One register of a message: its place, decimals, and full scale in display units."""

    place: tuple[str, ...]
    decimals: int
    full_scale: int


class Dials(NamedTuple):
    """What a kind of meter shows: its registers, the first of them the main one.

    ``flows`` are instantaneous values that are proportional to what goes through.
    """

    registers: tuple[Register, ...]
    flows: tuple[tuple[str, ...], ...]

    def number(self, *place: str) -> int:
        """Which register is at this place of a message."""
        return [register.place for register in self.registers].index(place)


def holder(body: Body, place: tuple[str, ...]) -> Body:
    """The part of a message that has the last word of a place as its key, or an empty one."""
    for name in place[:-1]:
        body = body.get(name, {})
    return body


class Step(NamedTuple):
    """What happened since the message before: true steps in display units, and hours."""

    at: int
    hours: float
    units: Sequence[int]


class Altered(Fault, ABC):
    """Registers tell another story than what went through.

    Args:
        case: as for every fault.
        dials: what the meter shows.
    """

    lasting: ClassVar[bool] = True
    """Whether all that it alters is one event, from the first altered message to the last."""

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case)
        self.dials = dials
        self._shift = [0] * len(dials.registers)
        self._before: list[int] = []
        self._at = 0
        self.shown_by: str | None = None

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """Follows the true registers from the start, and alters what is shown from the begin."""
        if body["type"] != "periodic":
            return ((0, body),)
        places = [holder(body, register.place) for register in self.dials.registers]
        units = [
            round(place.get(register.place[-1], 0) * 10**register.decimals)
            for place, register in zip(places, self.dials.registers, strict=True)
        ]
        before, self._before = self._before, units
        since, self._at = self._at, body["ts"]
        if before and at >= self.case.begin:
            steps = [
                (now - then) % register.full_scale
                for now, then, register in zip(units, before, self.dials.registers, strict=True)
            ]
            step = Step(body["ts"], (body["ts"] - since) / HOUR, steps)
            more = self.alter(body, step)
            if more is not None:
                self._shift = [a + b for a, b in zip(self._shift, more, strict=True)]
                if self.lasting:
                    self.lasts(body["ts"], body["ts"])
            self._show(places, units)
        return ((0, body),)

    def _show(self, places: list[Body], units: list[int]) -> None:
        for place, register, true, shift in zip(
            places, self.dials.registers, units, self._shift, strict=True
        ):
            if shift and register.place[-1] in place:
                told = (true * PARTS + shift) // PARTS % register.full_scale
                place[register.place[-1]] = told / 10**register.decimals

    @abstractmethod
    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """What each register's step has more than the true one, in ``PARTS``; None for nothing.

        It may also change the instantaneous values of the message.
        """

    def scale(self, body: Body, parts: int) -> None:
        """Makes the instantaneous flows a part of what they are, in thousandths."""
        for place in self.dials.flows:
            place_holder = holder(body, place)
            if place[-1] in place_holder:
                place_holder[place[-1]] = round(place_holder[place[-1]] * parts / PARTS, 4)

    def finish(self, until: int) -> None:
        """Writes a lasting event down."""
        del until
        if self._span:
            self.case.happened(*self._span, shown_by=self.shown_by)
            self._span = None
