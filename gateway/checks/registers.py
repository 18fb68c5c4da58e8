"""Registers that only grow: ``register_decrease`` and ``register_rollover``.

A register is compared with its last good value.  After a fall the good value is kept beside the
lower level: a reading back at the good value ends the condition (one glitch, one flag), a second
reading that goes on from the lower level makes that the new level.  A late reading is compared
with the latest one: where it is higher, the latest has fallen, and the flag is the one that the
readings in order would have given; a late reading of an earlier level is not compared.

No fall is what the registry explains (another meter, a register that begins anew at midnight), and
what the meter itself tells as flow backwards: that is `backflow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gateway.checks.catalogue.info import FLOW
from gateway.checks.findings import TOGETHER, finding, one_more, renewed, unit_of
from gateway.checks.replacements import replaced, reset
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Track
    from gateway.checks.local_days import Zone
    from gateway.checks.state import RegisterState
    from gateway.records import Flag, Reading


_ROUNDING: Final = 1e-12
"""272.357 less 0.001 is 272.35600000000005 in binary: more than 272.356."""


RETURNED: Final = "returned to the former level"


class _Shown(NamedTuple):
    value: float
    measured_at: int
    ledger_offset: int


class Dial(msgspec.Struct, frozen=True):
    """One register of one channel: where its value is, what it can show, what it has shown.

    ``tolerance``: a fall by at most this is jitter of the last digit.  ``span``: how far a step
    over the full scale may reach, 0 where the full scale is not known.  ``earlier``: where the
    registry has had other digits, the faces before this one, the newest first, each with the end
    of its time.  ``replaced``: when the registry says that the meter became another one.
    ``resets``: whose midnights begin the register anew by design, None where none does.
    """

    index: int
    quantity: str
    state: RegisterState
    tolerance: float
    full_scale: float
    span: float
    earlier: tuple[tuple[int, float, float], ...] = ()
    replaced: tuple[int, ...] = ()
    resets: Zone | None = None

    def at(self, measured_at: int) -> Dial:
        """The dial with the face that it had at a time."""
        face = None
        for end, *size in self.earlier:
            if measured_at >= end:
                break
            face = size
        if face is None:
            return self
        return msgspec.structs.replace(self, full_scale=face[0], span=face[1], earlier=())

    def reaches(self, value: float, level: float) -> bool:
        """Whether a value is at or above a level, but for jitter and the rounding of decimals."""
        return value >= level - self.tolerance - _ROUNDING * level

    def shown(self, reading: Reading) -> float:
        """The register's value in a reading that has it."""
        value: Any = reading.values[self.index]
        return float(value)


def judge(track: Track, reading: Reading, at: int, flags: list[Flag]) -> None:
    """Judges the registers of a reading: as it comes, or in its turn where two may be one name."""
    values: tuple[Any, ...] = reading.values
    for index, register in track.registers:
        value = values[index]
        if value is not None:
            if value >= register.value and at >= register.at and register.flag is None:
                register.value = value
                register.at = at
                register.offset = reading.ledger_offset
            else:
                unexpected(track, track.dial(index), reading, at, flags)


def unexpected(track: Track, dial: Dial, reading: Reading, at: int, flags: list[Flag]) -> None:
    """Judges a value that is not simply the next, higher one."""
    if dial.earlier:
        dial = dial.at(reading.measured_at)
    state, value = dial.state, dial.shown(reading)
    if at < state.at:
        _late(track, dial, reading, at, flags)
    elif state.flag is not None:
        _after_fall(track, dial, reading, at, flags)
    elif dial.reaches(value, state.value):
        if value >= state.value:
            _accept(state, reading, value, at)
    elif _explained(track, dial, reading, at):
        _accept(state, reading, value, at)
        state.level_since = at
    elif _rolled_over(dial, state.value, value):
        rollover = finding(
            reading,
            "register_rollover",
            _evidence(dial, reading, value, _Shown(state.value, state.at, state.offset)),
            occasion=f"@{reading.measured_at}",
            quantity=dial.quantity,
            channel=reading.channel,
        )
        track.bound.emit(rollover, flags)
        _accept(state, reading, value, at)
        state.level_since = at
    else:
        _fall(track, dial, reading, at, flags)


def _fall(track: Track, dial: Dial, reading: Reading, at: int, flags: list[Flag]) -> None:
    """A register has fallen: a flag of its own, or one more of one from which it returned."""
    state, value, measured = dial.state, dial.shown(reading), reading.measured_at
    state.low, state.low_at, state.up = value, at, False
    again = None
    if state.fall is not None and state.fall.evidence.get("outcome") == RETURNED:
        returned = state.fall.evidence.get("returned", 0) + 1
        again = one_more(state.fall, measured, {"returned": returned})
    state.flag = state.fall = again or finding(
        reading,
        "register_decrease",
        _evidence(dial, reading, value, _Shown(state.value, state.at, state.offset)),
        occasion=f"@{measured}",
        quantity=dial.quantity,
        channel=reading.channel,
    )
    track.bound.emit(state.flag, flags)


def _after_fall(track: Track, dial: Dial, reading: Reading, at: int, flags: list[Flag]) -> None:
    state, value = dial.state, dial.shown(reading)
    flag = state.flag
    if flag is None or at < state.low_at:
        return
    if state.up:
        _after_falls(track, dial, reading, at, flags)
        return
    if dial.reaches(value, state.value):
        outcome = RETURNED
        if "returned" in flag.evidence:
            state.up = True
            if value >= state.value:
                _accept(state, reading, value, at)
            return
    elif _explained(track, dial, reading, at):
        outcome = "begins anew, as the registry or the meter says"
        state.level_since = at
        state.value = value
    elif dial.reaches(value, state.low):
        outcome = "goes on from the new level"
        state.level_since = state.low_at
        state.value = value
    else:
        state.low, state.low_at = value, at
        changes = {"observed": value, "count": flag.evidence["count"] + 1}
        state.flag = renewed(flag, changes, until=max(flag.until, reading.measured_at))
        state.fall = state.flag
        track.bound.emit(state.flag, flags)
        return
    if value >= state.value:
        _accept(state, reading, value, at)
    state.flag = None
    state.fall = renewed(flag, {"outcome": outcome}, status="ended")
    track.bound.emit(state.fall, flags)


def _after_falls(track: Track, dial: Dial, reading: Reading, at: int, flags: list[Flag]) -> None:
    """Judges a value of a register that has fallen and returned again and again."""
    state, flag, value = dial.state, dial.state.flag, dial.shown(reading)
    if flag is not None and reading.measured_at <= flag.until + TOGETHER:
        if dial.reaches(value, state.value):
            if value >= state.value:
                _accept(state, reading, value, at)
            return
        if not (_explained(track, dial, reading, at) or _rolled_over(dial, state.value, value)):
            _fall(track, dial, reading, at, flags)
            return
    if flag is not None:
        state.flag, state.up = None, False
        state.fall = renewed(flag, {}, status="ended")
        track.bound.emit(state.fall, flags)
    unexpected(track, dial, reading, at, flags)


def _late(track: Track, dial: Dial, reading: Reading, at: int, flags: list[Flag]) -> None:
    state, value = dial.state, dial.shown(reading)
    if at < state.level_since or state.flag is not None:
        return
    if track.line is not None and track.line.doubted(reading.received_at):
        return  # the clock of who began anew may be behind, or it is another's reading
    bound = track.bound
    if not bound.modulus and state.at - at <= bound.clock_minor:
        # Without numbers a clock that was set back a little cannot be told from a late reading.
        state.value = max(state.value, value)
        return
    if dial.reaches(state.value, value):
        return
    before = _Shown(value, reading.measured_at, reading.ledger_offset)
    over = _rolled_over(dial, value, state.value)
    flag = finding(
        reading,
        "register_rollover" if over else "register_decrease",
        _evidence(dial, reading, state.value, before),
        occasion=f"@{state.at}",
        quantity=dial.quantity,
        channel=reading.channel,
        until=state.at,
        ledger_offset=state.offset,
    )
    bound.emit(flag, flags)
    state.level_since = state.at
    if not over:
        state.fall = flag


def _explained(track: Track, dial: Dial, reading: Reading, at: int) -> bool:
    """Whether a fall is none: another meter, its design, or flow that the meter itself reverses."""
    before = dial.state.at
    if dial.replaced and replaced(dial.replaced, before, at, dial.state.level_since):
        return True
    if dial.resets is not None and reset(dial.resets, before, at):
        return True
    return (
        "reverse_flow" in reading.status
        and reading.kind in FLOW
        and "backflow" not in track.bound.settings.off
    )


def _accept(state: RegisterState, reading: Reading, value: float, at: int) -> None:
    state.value, state.at, state.offset = value, at, reading.ledger_offset


def _rolled_over(dial: Dial, before: float, after: float) -> bool:
    return dial.span > 0 and dial.full_scale - before + after <= dial.span


def _evidence(dial: Dial, reading: Reading, value: float, before: _Shown) -> dict[str, object]:
    return {
        "observed": value,
        "expected": before.value,
        "tolerance": dial.tolerance,
        "unit": unit_of(reading, dial.quantity),
        "previous_measured_at": rfc3339(before.measured_at),
        "previous_ledger_offset": before.ledger_offset,
        "full_scale": dial.full_scale if dial.span > 0 else None,
        "count": 1,
    }
