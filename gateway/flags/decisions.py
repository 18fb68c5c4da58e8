"""Deciding about flags, and suppressing them: one transaction each, with its rows of audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from gateway.errors import ConfigError
from gateway.flags import tables
from gateway.flags.records import Case, Event, Suppression
from gateway.flags.states import (
    ACTIONS,
    DecisionConflict,
    DecisionRefused,
    allowed,
    checked_actor,
    checked_reason,
    decided,
)
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.casebook import Casebook
    from gateway.records import Flag

_SHOWN = 20


class Refusal(msgspec.Struct, frozen=True):
    """A flag that could not be decided about; ``conflict`` where somebody was quicker."""

    flag_id: str
    detail: str
    conflict: bool


class Decided(msgspec.Struct, frozen=True):
    """What came of a decision about several flags: their cases now, and those refused."""

    cases: list[Case]
    refused: list[Refusal]


def decide(
    casebook: Casebook,
    action: str,
    flags: Sequence[Flag],
    *,
    actor: str,
    reason: str | None = None,
    expected: Mapping[str, int] | None = None,
    skip_refused: bool = False,
) -> Decided:
    """Takes one decision about flags: all of them, or none.

    Args:
        casebook: where it is kept.
        action: a key of `states.ACTIONS`.
        flags: as they are now; one that is named twice is decided once.
        actor: who.
        reason: why.
        expected: the version of the case that was looked at, by flag; 0 where there was none yet.
            Where it is another one by now, somebody was quicker, whatever he decided.
        skip_refused: decide about the others where some cannot be.

    Raises:
        ConfigError: no such action, no flag, or a reason that is needed is missing.
        DecisionConflict: somebody else has decided about at least one flag since.
        DecisionRefused: the state of at least one flag does not allow it.
    """
    if action not in ACTIONS:
        raise ConfigError(f"no decision {action!r}; known are {', '.join(ACTIONS)}")
    if not flags:
        raise ConfigError(f"{action}: no flag is named")
    actor = checked_actor(actor)
    reason = checked_reason(reason, needed=ACTIONS[action].needs_reason, what=action)
    by_id = {flag.id: flag for flag in flags}
    versions = expected or {}
    now = casebook.now()
    with casebook.transaction() as connection:
        known = tables.read_cases(connection, list(by_id))
        cases: list[Case] = []
        events: list[Event] = []
        refused: list[Refusal] = []
        for flag_id, flag in by_id.items():
            case = known.get(flag_id)
            refusal = _refusal(action, flag_id, case, versions.get(flag_id))
            if refusal is not None:
                refused.append(refusal)
                continue
            event = _event(action, flag, case, (now, actor, reason))
            events.append(event)
            cases.append(Case(flag_id, event.after, event.number, now, actor, reason, flag))
        if refused and not skip_refused:
            raise _raised(refused)
        try:
            tables.write(connection, cases, events)
        except sa.exc.IntegrityError:
            # Only where a database lets two read before one of them writes, as SQLite does not.
            raise DecisionConflict(
                f"{action}: somebody else has decided about these flags at this moment: look again"
            ) from None
        casebook.audited(
            connection,
            [
                {
                    "at": now,
                    "actor": actor,
                    "action": f"flag.{action}",
                    "subject": event.flag_id,
                    "detail": _detail(event, by_id[event.flag_id]),
                }
                for event in events
            ],
        )
    return Decided(cases, refused)


def _refusal(action: str, flag_id: str, case: Case | None, expected: int | None) -> Refusal | None:
    """Why the decision cannot be taken; None where it can."""
    version, state = (0, "open") if case is None else (case.version, case.state)
    told = f"flag {flag_id}: {_history(case)}"
    if expected is not None and expected != version:
        return Refusal(
            flag_id,
            f"{told}; you looked at version {expected}, this is {version}: look at it again",
            conflict=True,
        )
    if state not in ACTIONS[action].before:
        choices = ", ".join(allowed(state))
        return Refusal(
            flag_id, f"{told}; cannot {action} it now, allowed are {choices}", conflict=False
        )
    return None


def _history(case: Case | None) -> str:
    if case is None:
        return "is open, nobody has decided anything"
    why = f" ({case.reason:.80})" if case.reason else ""
    return f"is {case.state} by {case.actor} at {rfc3339(case.at)}{why}"


def _raised(refused: list[Refusal]) -> DecisionRefused:
    lines = [refusal.detail for refusal in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        lines.append(f"and {len(refused) - _SHOWN:,} more")
    if len(refused) > 1:
        lines.append("nothing was decided; --skip-refused decides about the others")
    type_ = DecisionConflict if any(each.conflict for each in refused) else DecisionRefused
    return type_("\n".join(lines))


def _event(action: str, flag: Flag, case: Case | None, said: tuple[int, str, str | None]) -> Event:
    version, before = (0, "open") if case is None else (case.version, case.state)
    at, actor, reason = said
    return Event(
        flag_id=flag.id,
        number=version + 1,
        at=at,
        actor=actor,
        action=action,
        before=before,
        after=decided(action, before),
        reason=reason,
        condition=flag.status,
        severity=flag.severity,
        until=flag.until,
    )


def _detail(event: Event, flag: Flag) -> dict[str, Any]:
    told = {
        "device_id": flag.device_id,
        "code": flag.code,
        "before": event.before,
        "after": event.after,
        "version": event.number,
        "condition": event.condition,
    }
    return told if event.reason is None else told | {"reason": event.reason}


def suppress(
    casebook: Casebook,
    *,
    since: int,
    until: int,
    reason: str | None,
    actor: str,
    device_id: str | None = None,
    site: str | None = None,
    region: str | None = None,
    kind: str | None = None,
    codes: Sequence[str] = (),
) -> Suppression:
    """Makes a window of known maintenance; flags in it are kept, and shown as suppressed.

    Raises:
        ConfigError: it ends before it begins, or would suppress everything everywhere.
    """
    if until <= since:
        raise ConfigError(f"the window ends at {rfc3339(until)}, not after {rfc3339(since)}")
    if not any((device_id, site, region, kind)):
        raise ConfigError(
            "a window is of a device, site, region or kind: it cannot suppress everything"
        )
    made = Suppression(
        device_id=device_id,
        site=site,
        region=region,
        kind=kind,
        codes=tuple(sorted(set(codes))),
        since=since,
        until=until,
        reason=checked_reason(reason, needed=True, what="a suppression") or "",
        at=casebook.now(),
        actor=checked_actor(actor),
    )
    with casebook.transaction() as connection:
        number = tables.add_suppression(connection, made)
        made = msgspec.structs.replace(made, id=number)
        casebook.audited(connection, [_audit_of_window("flag.suppress", made, made.actor)])
    return made


def unsuppress(
    casebook: Casebook,
    number: int,
    *,
    actor: str,
    reason: str | None = None,
    from_: int | None = None,
) -> Suppression:
    """Lifts a window: as if it had never been, or from a time on.

    Raises:
        ConfigError: there is no such window, or the time does not lie in it.
        DecisionConflict: somebody else has lifted it.
    """
    actor = checked_actor(actor)
    reason = checked_reason(reason, needed=False, what="unsuppress")
    now = casebook.now()
    with casebook.transaction() as connection:
        known = tables.read_suppression(connection, number)
        if known is None:
            raise ConfigError(f"no suppression {number}; `gateway flag suppressions` tells them")
        if known.lifted_at is not None:
            raise DecisionConflict(
                f"suppression {number}: lifted by {known.lifted_by} at {rfc3339(known.lifted_at)}"
            )
        begin = known.since if from_ is None else from_
        if not known.since <= begin < known.until:
            raise ConfigError(
                f"--from: {rfc3339(begin)} is not in suppression {number}, which is from "
                f"{rfc3339(known.since)} to {rfc3339(known.until)}"
            )
        fields = {
            "lifted_from": begin,
            "lifted_at": now,
            "lifted_by": actor,
            "lifted_reason": reason,
        }
        tables.lift_suppression(connection, number, fields)
        lifted = msgspec.structs.replace(known, **fields)
        casebook.audited(connection, [_audit_of_window("flag.unsuppress", lifted, actor)])
    return lifted


def _audit_of_window(action: str, window: Suppression, actor: str) -> dict[str, Any]:
    at = window.lifted_at if window.lifted_at is not None else window.at
    return {
        "at": at,
        "actor": actor,
        "action": action,
        "subject": f"suppression {window.id}",
        "detail": window_line(window),
    }


def window_line(window: Suppression) -> dict[str, Any]:
    """A window as JSON: nothing absent, times as RFC 3339."""
    line: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(window).items():
        if value is None or value == ():
            continue
        if name in {"since", "until", "at", "lifted_from", "lifted_at"}:
            line[{"since": "from", "until": "to"}.get(name, name)] = rfc3339(value)
        else:
            line[name] = list(value) if name == "codes" else value
    return line
