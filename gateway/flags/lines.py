"""Flags, histories, incidents and windows as JSON: for the command line, the API and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.flags.states import allowed
from gateway.store.export import flag_record, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.flags.incidents import Incident
    from gateway.flags.records import Case, FlagView, Occurrence

_INCIDENT_TIMES: Final = {"since": "from", "until": "to"}


def view_line(view: FlagView, titles: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A flag with the keys of the flags export, and what people have said of it.

    ``status`` is the one to show; ``condition`` what processing knows; ``version`` is to be given
    back with a decision; ``decision`` is the last one; ``allowed`` what can be decided now.
    """
    shown = msgspec.structs.replace(view.flag, status=view.status)
    line = flag_record(shown, titles)
    device, case = view.device, view.case
    extra = {
        "condition": view.flag.status,
        "region": device and device.region,
        "site": device and device.site,
        "version": view.version,
        "decision": case and _decision(case),
        "suppression": view.suppression,
        "gone": view.gone or None,
        "allowed": list(allowed("open" if case is None else case.state)),
    }
    return line | {key: value for key, value in extra.items() if value is not None}


def _decision(case: Case) -> dict[str, Any]:
    told = {"state": case.state, "at": rfc3339(case.at), "actor": case.actor, "reason": case.reason}
    return {key: value for key, value in told.items() if value is not None}


def case_line(case: Case) -> dict[str, Any]:
    """The state of one flag after a decision."""
    return {"id": case.flag_id, "version": case.version, **_decision(case)}


def history_lines(occurrences: Iterable[Occurrence]) -> list[dict[str, Any]]:
    """What happened to a flag, in its order; nothing absent, times as RFC 3339."""
    lines = []
    for each in occurrences:
        line = {k: v for k, v in msgspec.structs.asdict(each).items() if v is not None}
        if each.at is not None:
            line["at"] = rfc3339(each.at)
        lines.append(line)
    return lines


def incident_line(incident: Incident) -> dict[str, Any]:
    """An incident with its numbers of devices and flags, and its members."""
    told = msgspec.structs.asdict(incident)
    line = {_INCIDENT_TIMES.get(key, key): value for key, value in told.items()}
    line["from"], line["to"] = rfc3339(incident.since), rfc3339(incident.until)
    line["device_count"] = len(incident.devices)
    return line
