"""How good a check is: flags against the truth.

An event counts as found when a flag of its device and code overlaps it.  A flag that overlaps no
event of its device and code is false; withdrawn flags are neither.  Flags of severity ``info`` can
find an event and are never false.  An event that is not required makes flags right and is no miss.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulators.capture import BadLine
from simulators.clock import DAY, HOUR, SECOND, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE: Final = HOUR
"""A flag this long after the end of an event still counts as found."""


class Truth(msgspec.Struct, frozen=True):
    """One event of the truth file, in milliseconds."""

    device_id: str
    code: str
    since: int
    until: int
    clock_ahead: int
    required: bool = True


class Raised(msgspec.Struct, frozen=True):
    """One flag of a flags export that was not withdrawn; ``until`` None: still under way.

    ``counts`` is whether it would be false without an event: not where it is only information.
    """

    device_id: str
    code: str
    at: int
    since: int
    until: int | None
    counts: bool


class CodeScore(msgspec.Struct):
    """The score of one flag code; rates are None where there is nothing to divide by."""

    events: int = 0
    found: int = 0
    flags: int = 0
    false: int = 0
    false_beside_fault: int = 0
    recall: float | None = None
    precision: float | None = None
    false_per_10000_device_days: float | None = None
    delay_median_s: float | None = None


class Score(msgspec.Struct):
    """The whole score.  ``device_days_from`` says where the device-days come from."""

    overall: CodeScore
    codes: dict[str, CodeScore]
    device_days: float
    device_days_from: str

    def as_json(self) -> dict[str, Any]:
        """The shape of ``detection.json``."""
        return {
            "overall": msgspec.to_builtins(self.overall)
            | {"device_days": self.device_days, "device_days_from": self.device_days_from},
            "codes": msgspec.to_builtins(self.codes),
        }


def read_truth(file: str, lines: Iterable[tuple[int, dict[str, Any]]]) -> list[Truth]:
    """Reads the lines of a truth file.

    Raises:
        BadLine: a key is missing, or a time is none.
    """
    found = []
    for number, line in lines:
        with_errors = _Line(file, number, line)
        since = with_errors.time("from")
        found.append(
            Truth(
                device_id=with_errors.text("device_id"),
                code=with_errors.text("code"),
                since=since,
                until=with_errors.time("to"),
                clock_ahead=round(float(line.get("clock_ahead_s", 0)) * SECOND),
                required=line.get("required") is not False,
            )
        )
    return found


def read_flags(file: str, lines: Iterable[tuple[int, dict[str, Any]]]) -> list[Raised]:
    """Reads the lines of a flags export.

    Raises:
        BadLine: a key is missing, or a time is none.
    """
    found = []
    for number, line in lines:
        checked = _Line(file, number, line)
        if line.get("status") == "withdrawn":
            continue
        at = checked.time("measured_at")
        found.append(
            Raised(
                device_id=checked.text("device_id"),
                code=checked.text("code"),
                at=at,
                since=checked.time("from") if line.get("from") else at,
                until=checked.time("to") if line.get("to") else None,
                counts=line.get("severity") != "info",
            )
        )
    return found


class _Line(msgspec.Struct, frozen=True):
    """A line whose faults say where they are."""

    file: str
    number: int
    line: dict[str, Any]

    def text(self, key: str) -> str:
        found = self.line.get(key)
        if not isinstance(found, str):
            raise BadLine(self.file, self.number, f"{key} must be a text, got {found!r}")
        return found

    def time(self, key: str) -> int:
        try:
            return parse_time(self.text(key))
        except BadLine:
            raise
        except ValueError as error:
            raise BadLine(self.file, self.number, f"{key}: {error}") from error


def score(
    flags: Iterable[Raised],
    truths: Iterable[Truth],
    device_days: float | None = None,
    grace: int = GRACE,
) -> Score:
    """Compares flags with the truth.

    Args:
        flags: what was raised.
        truths: what was wrong.
        device_days: devices x days that were watched; without it they are counted from the files,
            which sees only devices that are named there, and so never flatters.
        grace: milliseconds after an event's end in which a flag still counts.
    """
    flags, truths = list(flags), list(truths)
    events: dict[tuple[str, str], list[Truth]] = defaultdict(list)
    faulty: dict[str, list[Truth]] = defaultdict(list)
    for truth in truths:
        events[truth.device_id, truth.code].append(truth)
        faulty[truth.device_id].append(truth)
    codes: dict[str, CodeScore] = defaultdict(CodeScore)
    delays: dict[str, list[int]] = defaultdict(list)
    flagged: dict[tuple[str, str], list[Raised]] = defaultdict(list)
    for flag in flags:
        flagged[flag.device_id, flag.code].append(flag)
        right = any(_overlap(flag, each, grace) for each in events[flag.device_id, flag.code])
        if not right and not flag.counts:
            continue
        tally = codes[flag.code]
        tally.flags += 1
        if not right:
            tally.false += 1
            tally.false_beside_fault += any(
                _overlap(flag, each, grace) for each in faulty[flag.device_id]
            )
    for event in (each for each in truths if each.required):
        codes[event.code].events += 1
        mine = flagged[event.device_id, event.code]
        if hits := [each for each in mine if _overlap(each, event, grace)]:
            codes[event.code].found += 1
            delays[event.code].append(_delay(hits, event))
    known = device_days is not None
    days = device_days if device_days is not None else _device_days(flags, truths)
    overall = CodeScore()
    for tally in codes.values():
        for name in ("events", "found", "flags", "false", "false_beside_fault"):
            setattr(overall, name, getattr(overall, name) + getattr(tally, name))
    _rates(overall, [delay for each in delays.values() for delay in each], days)
    for code, tally in codes.items():
        _rates(tally, delays[code], days)
    return Score(
        overall=overall,
        codes=dict(sorted(codes.items())),
        device_days=round(days, 4),
        device_days_from="given" if known else "files",
    )


def _overlap(flag: Raised, event: Truth, grace: int) -> bool:
    """Whether they share a moment, by the true clock or by the device's own."""
    until = flag.until if flag.until is not None else max(flag.since, flag.at)
    for ahead in {0, event.clock_ahead}:
        if flag.since - ahead <= event.until + grace and until - ahead >= event.since:
            return True
    return False


def _delay(hits: list[Raised], event: Truth) -> int:
    return max(0, min(each.at for each in hits) - event.clock_ahead - event.since)


def _device_days(flags: list[Raised], truths: list[Truth]) -> float:
    spans = [(each.device_id, each.since, each.until or each.since) for each in flags]
    spans += [(each.device_id, each.since, each.until) for each in truths]
    if not spans:
        return 0.0
    whole = max(until for _, _, until in spans) - min(since for _, since, _ in spans)
    return len({device_id for device_id, _, _ in spans}) * whole / DAY


def _rates(tally: CodeScore, delays: list[int], device_days: float) -> None:
    if tally.events:
        tally.recall = round(tally.found / tally.events, 6)
    if tally.flags:
        tally.precision = round(1 - tally.false / tally.flags, 6)
    if device_days:
        tally.false_per_10000_device_days = round(tally.false / device_days * 10_000, 4)
    if delays:
        tally.delay_median_s = median(delays) / SECOND
