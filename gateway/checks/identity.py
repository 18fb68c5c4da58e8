"""``identity_clash``: two devices send under one identity, each with a counter of its own.

In measured order the numbers of one device go on, whatever was late or lost, and a counter that
restarts leaves its old numbers for good.  Where they go back and forth between two counters that
both go on, two devices count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from pydantic import Field

from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on
from gateway.checks.numbering import WIDEST
from gateway.checks.parameters import Positive, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "identity_clash"
_HOUR: Final = 3_600 * 10**9
_ON: Final = 64
"""A counter goes on by at most this: more are missing seldom, and then it is a new counter."""


class IdentitySettings(Settings):
    """When two counters are two devices.

    Attributes:
        alternations: how often the numbers change between the two.
        within: hours in which they do, and without which it is over.
    """

    alternations: Annotated[int, Field(ge=2)] = 4
    within: Positive = 24.0


class Counters(msgspec.Struct, array_like=True):
    """The counter that was heard last, and the other: number, time and place in the ledger.

    ``since`` is the first change from one to the other, ``changed`` the latest.
    """

    number: int = -1
    at: int = 0
    offset: int = 0
    other: int = -1
    other_at: int = 0
    other_offset: int = 0
    alternations: int = 0
    since: int = 0
    changed: int = 0
    lasting: Lasting = msgspec.field(default_factory=Lasting)


def _make(bound: Bound) -> SeriesCheck | None:
    modulus = min(bound.layout.sequence_modulus or 0, WIDEST)
    if modulus < 4 * _ON or not bound.layout.measured:
        return None
    settings = bound.settings.of(CODE, IdentitySettings)
    within = round(settings.within * _HOUR)

    def run(
        known: Counters, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        number = reading.sequence
        if number is None or late:
            return
        last = known.number
        if last >= 0 and (0 <= number - last <= _ON or (number - last) % modulus <= _ON):
            known.number = number
            known.at = at
            known.offset = reading.ledger_offset
            if known.changed and at - known.changed > within:
                known.alternations = known.changed = 0
                end(known.lasting, flags)
            return
        goes_on = known.other >= 0 and 0 < (number - known.other) % modulus <= _ON
        heard = (known.number, known.at, known.offset)
        if goes_on:
            known.since = known.since if known.alternations else at
            known.alternations += 1
            known.changed = at
        else:
            known.alternations = 0
        expected, before = (known.other + 1) % modulus, known.other_at
        known.other, known.other_at, known.other_offset = heard
        known.number, known.at, known.offset = number, at, reading.ledger_offset
        if known.alternations < settings.alternations:
            return
        evidence = {
            "observed": number,
            "expected": (known.other + 1) % modulus,
            "tolerance": 0,
            "unit": "1",
            "counters": [
                {"went_on_from": (expected - 1) % modulus, "at": rfc3339(before)},
                {
                    "stood_at": known.other,
                    "at": rfc3339(known.other_at),
                    "ledger_offset": known.other_offset,
                },
            ],
            "alternations": known.alternations,
        }
        if known.lasting.flag is not None:
            go_on(known.lasting, at, evidence, flags)
            return
        flag = finding(
            reading,
            CODE,
            evidence,
            occasion=f"{known.since}",
            channel=bound.numbered_channel(reading),
            since=known.since,
            until=at,
        )
        begin(known.lasting, flag, flags)

    return SeriesCheck(CODE, Counters, per_channel=bound.layout.sequence_per_channel, run=run)


IDENTITY_CLASH: Final = Series(CODE, IdentitySettings, _make)
