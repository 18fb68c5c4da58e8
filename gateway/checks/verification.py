"""A device that measures after its verification has expired: ``verification_expired``.

The registry tells until when a device is verified: its version of the time of measurement counts,
so a reading that comes late is judged by the certificate of its day, and a new certificate (a new
version) ends the condition.  A device of which no certificate is known is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on
from gateway.checks.parameters import NotNegative, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.devices import EVER, LATEST
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Device, Flag, Reading

CODE: Final = "verification_expired"
_SECOND: Final = 10**9


class VerificationSettings(Settings):
    """Seconds after the end of the validity in which nothing is said."""

    grace: NotNegative = 0.0


class Verification(msgspec.Struct, array_like=True):
    """The flag that stands; the expiry and the end of the last one; whether none is known."""

    lasting: Lasting | None = None
    expired: int = 0
    until: int = 0
    unknown: bool = False


def _make(bound: Bound) -> SeriesCheck:
    grace = round(bound.settings.of(CODE, VerificationSettings).grace * _SECOND)

    def run(  # noqa: PLR0917 - as of every check
        memory: Verification, track: Track, reading: Reading, at: int, late: bool,
        flags: list[Flag],
    ) -> None:  # fmt: skip
        device = track.registered(at)
        until = device.verified_until if device is not None else None
        if device is not None and until is None and not memory.unknown:
            memory.unknown = True
            bound.not_judged(CODE, "the registry has no end of the verification")
        if device is None or until is None or not _expired(device, until + grace, at):
            if not late:
                _end(memory, flags)
            return
        standing = memory.lasting
        if standing is not None and memory.expired == until:
            go_on(standing, at, {}, flags)
        elif late:
            # One that stood and ended covers what belongs to it.
            if not (memory.expired == until and at <= memory.until):
                flag = _flag(reading, device, until, at, grace, late=True)
                flag.evidence["count"] = 1
                flags.append(msgspec.structs.replace(flag, status="ended"))
        else:
            _end(memory, flags)
            memory.expired = until
            memory.lasting = Lasting()
            begin(memory.lasting, _flag(reading, device, until, at, grace, late=False), flags)

    return SeriesCheck(CODE, Verification, False, run, quiet=_quiet)


def _quiet(memory: Verification, versions: tuple[tuple[int, Device], ...]) -> int:
    untils = [version.verified_until for _, version in versions]
    if None in untils and not memory.unknown:
        return EVER
    return min((until for until in untils if until is not None), default=LATEST)


def _expired(device: Device, until: int, at: int) -> bool:
    commissioned = device.commissioned_at
    return at > until and (commissioned is None or at >= commissioned)


def _end(memory: Verification, flags: list[Flag]) -> None:
    standing = memory.lasting
    if standing is not None and standing.flag is not None:
        memory.until = standing.flag.until
        end(standing, flags)
        memory.lasting = None


def _flag(reading: Reading, device: Device, until: int, at: int, grace: int, *, late: bool) -> Flag:
    commissioned = device.commissioned_at
    since = until if commissioned is None else max(until, commissioned)
    return finding(
        reading,
        CODE,
        {
            "observed": rfc3339(at),
            "expected": rfc3339(until),
            "tolerance": grace / _SECOND,
            "unit": "s",
            "formula": "measured_at <= verified_until + grace",
            "inputs": {
                "certificate": device.certificate,
                "verified_at": None if device.verified_at is None else rfc3339(device.verified_at),
                "verified_until": rfc3339(until),
                "commissioned_at": None if commissioned is None else rfc3339(commissioned),
                "registry_valid_from": None
                if device.valid_from is None
                else rfc3339(device.valid_from),
            },
            "judged_late": late,
        },
        occasion=str(until),
        channel=None,
        since=since,
        until=at,
    )


VERIFICATION_EXPIRED: Final = Series(CODE, VerificationSettings, _make)
