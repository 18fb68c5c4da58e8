"""How a finding becomes a flag: deterministic ids, evidence, and conditions that last.

A flag's id is derived from the device, the code, the channel, the quantity and the *occasion*,
which comes from the data (sequence and measured time), never from the ledger offset: the same
messages imported again give the same ids.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.checks.catalogue import CATALOGUE
from gateway.quantities import BY_NAME
from gateway.records import Flag, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

Evidence = dict[str, Any]
"""JSON-able facts; always ``observed``, ``expected``, ``tolerance`` and ``unit``."""

_DAY = 86_400 * 10**9
TOGETHER = _DAY
"""Nanoseconds within which what comes and goes is one flag that counts: see `one_more`."""
SEVERITIES = ("info", "minor", "major", "critical")


def flag_id(device_id: str, code: str, channel: str | None, quantity: str, occasion: str) -> str:
    """The first 20 hex digits of SHA-256 over the parts as a JSON array."""
    parts = msgspec.json.encode([device_id, code, channel, quantity, occasion])
    return sha256(parts).hexdigest()[:20]


def occasion_of(reading: Reading) -> str:
    """What tells this reading from the others of its channel, from the data alone."""
    number = "" if reading.sequence is None else reading.sequence
    return f"{number}@{reading.measured_at}"


def unit_of(reading: Reading, quantity: str) -> str:
    """The UCUM unit of a quantity in this reading; money in the reading's currency."""
    unit = BY_NAME[reading.kind][quantity].unit
    return unit.replace("CUR", reading.currency or "CNY")


def finding(
    reading: Reading,
    code: str,
    evidence: Evidence,
    *,
    occasion: str,
    quantity: str = "",
    channel: str | None,
    severity: str | None = None,
    since: int | None = None,
    until: int | None = None,
    ledger_offset: int | None = None,
    basis: str | None = None,
    status: str = "open",
) -> Flag:
    """Makes a flag; ``measured_at`` is ``until``, both default to the reading's measured time."""
    info = CATALOGUE[code]
    end = reading.measured_at if until is None else until
    if quantity:
        evidence = {"quantity": quantity, **evidence}
    return Flag(
        id=flag_id(reading.device_id, code, channel, quantity, occasion),
        device_id=reading.device_id,
        kind=reading.kind,
        channel=channel,
        code=code,
        severity=severity or info.severity,
        measured_at=end,
        since=end if since is None else since,
        until=end,
        evidence=evidence,
        basis=basis or info.basis_for(reading.kind),
        profile=reading.profile,
        ledger_offset=reading.ledger_offset if ledger_offset is None else ledger_offset,
        status=status,
    )


def renewed(flag: Flag, changes: Mapping[str, Any], **fields: Any) -> Flag:  # noqa: ANN401 - fields of Flag
    """A later version of the same flag, its evidence updated with ``changes``."""
    return msgspec.structs.replace(flag, evidence={**flag.evidence, **changes}, **fields)


def one_more(before: Flag | None, at: int, changes: Mapping[str, Any] | None = None) -> Flag | None:
    """The flag before, open again and counting this too, where its last was at most a day ago.

    For what comes and goes: two instruments that answer to one name give it with every other
    message.

    Args:
        before: None where there was none.
        at: measured time of this one, ns.
        changes: of the evidence, beside ``count``.
    """
    if before is None or at - before.until > TOGETHER:
        return None
    told = {"count": before.evidence["count"] + 1, **(changes or {})}
    return renewed(before, told, until=max(before.until, at), status="open")


def prolong(
    conditions: dict[str, Flag],
    key: str,
    reading: Reading,
    changes: Mapping[str, Any],
    severity: str | None = None,
) -> Flag | None:
    """A lasting condition goes on: a flag where the severity rises, and once a day."""
    flag = conditions[key]
    counted = {"count": flag.evidence["count"] + 1, **changes}
    worse = severity is not None and SEVERITIES.index(severity) > SEVERITIES.index(flag.severity)
    conditions[key] = renewed(
        flag,
        counted,
        until=max(flag.until, reading.measured_at),
        severity=severity if worse else flag.severity,
    )
    another_day = conditions[key].until // _DAY != flag.until // _DAY
    return conditions[key] if worse or another_day else None


def end_condition(conditions: dict[str, Flag], key: str, measured_at: int) -> Flag | None:
    """A lasting condition is over, unless this reading is older than what the condition knows."""
    if measured_at < conditions[key].until:
        return None
    return msgspec.structs.replace(conditions.pop(key), status="ended")
