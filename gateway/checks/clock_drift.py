"""A clock that is behind: ``clock_drift``, by the median delay from measurement to receipt.

Networks only delay.  A clock that is behind by a minute delays *every* message by a minute more; so
the median of many messages tells it, and no single late one does.  What comes faster than it was
measured is a backlog, whose delay is that of the outage, and is passed over.

A clock that is ahead is ``future_timestamp``'s matter, reading by reading: it is not told twice.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.checks.findings import finding
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.order import NEVER
from gateway.checks.rhythm import SECOND, Drift, DriftSettings
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.checks.rhythm import Rhythm
    from gateway.records import Flag, Reading

CODE: Final = "clock_drift"
_WINDOWS: Final = 2
"""Windows in a row that must agree, so that the others of the model have shown theirs."""
_MOST: Final = 0.75
"""Of a window: a clock delays every message, a bad network many of them."""
_FEW: Final = 3
"""Messages after which a suspicion is dropped when most of them are in time."""
_FLEET: Final = 5
_RENEWED: Final = 8
"""The median of a fleet is reckoned anew when this share of it has told a new delay."""


class Model(msgspec.Struct, array_like=True):
    """Devices of one profile: how many there are, and the median delay (s) of those behind.

    ``middle`` and ``scatter`` are those of ``behind`` as it was ``told`` delays ago.
    """

    devices: int = 0
    behind: dict[str, float] = {}
    told: int = 0
    middle: float = 0.0
    scatter: float = 0.0


def model_of(bound: Bound, profile: str) -> Model:
    """What is remembered of the devices of a profile together, whatever its version."""
    return bound.group(CODE, profile.partition("@")[0], Model)


def sample(track: Track, reading: Reading, flags: list[Flag]) -> None:
    """Takes one reading while a clock is suspected; the first one begins the suspicion."""
    rhythm, bound = track.rhythm, track.bound
    drift = rhythm.drift
    if drift is None:
        if reading.received_at - reading.measured_at <= rhythm.pace.limit:
            return
        drift = rhythm.drift = Drift()
        rhythm.attend()
    before, measured = drift.last_measured, reading.measured_at
    if measured <= before:
        return  # another channel of the message, or older
    received = reading.received_at
    faster = received - drift.last_received < (measured - before) / 2
    if drift.delays and faster:
        drift.passed_over += 1
    else:
        drift.delays.append(received - measured)
        drift.measured.append(measured)
    drift.last_received, drift.last_measured = received, measured
    if _corrected(track, reading, before):
        _forget(rhythm, bound, reading.device_id, flags)
        return
    if len(drift.delays) >= bound.settings.of(CODE, DriftSettings).messages:
        _judge(rhythm, drift, bound, reading, flags)
    elif drift.lasting.flag is None and not drift.windows and len(drift.delays) >= _FEW:
        late = sum(delay > rhythm.pace.limit for delay in drift.delays)
        if 2 * late < len(drift.delays):
            _forget(rhythm, bound, reading.device_id, flags)


def _judge(
    rhythm: Rhythm,
    drift: Drift,
    bound: Bound,
    reading: Reading,
    flags: list[Flag],
) -> None:
    """A window is full."""
    if drift.passed_over > len(drift.delays):
        bound.not_judged(CODE, "messages come in batches: their delay is no clock's")
        _forget(rhythm, bound, reading.device_id, flags)
        return
    settings = bound.settings.of(CODE, DriftSettings)
    behind = round(median(drift.delays) / SECOND, 3)
    model = model_of(bound, rhythm.profile)
    model.behind[reading.device_id] = behind
    model.told += 1
    expected, slack = _expected(model, settings)
    # Half of the tolerance ends what stands: a median that wavers about it is one condition.
    standing = drift.lasting.flag is not None
    enough = settings.minor / (2 if standing else 1)
    if behind - expected > enough + slack:
        if standing or _most_behind(drift, expected + settings.minor + slack):
            _behind(
                rhythm, drift, reading,
                behind=behind, right=(expected, slack), settings=settings, flags=flags,
            )  # fmt: skip
        else:
            drift.windows = 0
    elif behind > settings.expected + enough:
        bound.not_judged(CODE, "most devices of the profile are behind alike")
        end(drift.lasting, flags)
        drift.windows = 0
    else:
        _forget(rhythm, bound, reading.device_id, flags)
    # The next window takes over three quarters of this one.
    gone = settings.messages // 4
    drift.delays, drift.measured = drift.delays[gone:], drift.measured[gone:]
    drift.passed_over = 0


def _most_behind(drift: Drift, limit: float) -> bool:
    late = sum(delay > limit * SECOND for delay in drift.delays)
    return late >= _MOST * len(drift.delays)


def _behind(
    rhythm: Rhythm,
    drift: Drift,
    reading: Reading,
    *,
    behind: float,
    right: tuple[float, float],
    settings: DriftSettings,
    flags: list[Flag],
) -> None:
    """A window says that the clock is behind what is right (s) by more than the tolerance."""
    expected, slack = right
    late = [
        at
        for at, delay in zip(drift.measured, drift.delays, strict=True)
        if delay > rhythm.pace.limit
    ]
    drift.windows += 1
    drift.until = late[-1] if late else drift.until
    if drift.windows == 1:
        drift.since = late[0]
    severity = "major" if behind - expected > settings.major + slack else "minor"
    standing = drift.lasting.flag
    if standing is not None:
        changes = {"extreme": max(standing.evidence["extreme"], round(behind))}
        go_on(drift.lasting, drift.until, changes, flags, severity)
        return
    if drift.windows < _WINDOWS:
        return
    evidence: dict[str, Any] = {
        "observed": round(behind),
        "expected": expected,
        "tolerance": settings.minor + slack,
        "unit": "s",
        "formula": "median(received_at - measured_at)",
        "inputs": {
            "from": rfc3339(drift.measured[0]),
            "to": rfc3339(drift.measured[-1]),
            "messages": len(drift.delays),
        },
        "extreme": round(behind),
    }
    flag = finding(
        reading,
        CODE,
        evidence,
        occasion=f"@{drift.since}",
        channel=None,
        severity=severity,
        since=drift.since,
        until=drift.until,
    )
    begin(drift.lasting, flag, flags)


def _expected(model: Model, settings: DriftSettings) -> tuple[float, float]:
    """The delay of a right clock, and how far those of the model scatter, in s.

    Fixed, so that a device's flag hangs on no other device: the gateway's clock is disciplined and
    looked after by ``gateway doctor``.  Only where most devices of a profile are behind alike it is
    the gateway's clock, or the way that they all take: then their median counts.
    """
    behind = model.behind
    if model.devices < _FLEET or 2 * len(behind) <= model.devices:
        return settings.expected, 0.0
    if not model.middle or model.told * _RENEWED >= len(behind):
        middle = median(behind.values())
        model.scatter = median(abs(delay - middle) for delay in behind.values())
        model.middle, model.told = middle, 0
    return round(model.middle, 1), round(5 * model.scatter, 1)


def _corrected(track: Track, reading: Reading, before: int) -> bool:
    """Whether a version of the device began since the message before: its clock was set."""
    return before != NEVER and any(
        before < begun <= reading.measured_at for begun, _ in track.versions[:-1]
    )


def _forget(rhythm: Rhythm, bound: Bound, device_id: str, flags: list[Flag]) -> None:
    """The clock is right, or cannot be judged."""
    if rhythm.drift is not None and rhythm.drift.lasting.flag is not None:
        end(rhythm.drift.lasting, flags)
    rhythm.drift = None
    model_of(bound, rhythm.profile).behind.pop(device_id, None)
    rhythm.attend()
