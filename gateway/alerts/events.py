"""What is told of a flag: pure functions of the flag now and of what was told before."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.store.export import flag_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.alerts.spec import AlertSpec, Event
    from gateway.flags.records import FlagView
    from gateway.records import Flag

SEVERITIES: Final = ("info", "minor", "major", "critical")
_KEPT: Final = ("id", "device_id", "kind", "channel", "code", "severity", "from", "to", "title",
                "region", "site", "vendor", "model")  # fmt: skip


class Told(msgspec.Struct, frozen=True):
    """What an alert knows of one flag.

    ``version`` counts what was told; 0 for a flag that is known and was never told, because it was
    there before the alert or (``held``) lies in a window of known maintenance.  ``key`` is that of
    the last version.  ``summary`` is JSON of what tells people which flag it was, should the store
    lose it.
    """

    flag_id: str
    version: int
    key: str
    severity: str
    condition: str
    held: bool = False
    summary: bytes = b"{}"


def key_of(flag: Flag) -> str:
    """The idempotency key of a flag in its present version: its id, and a digest of the version.

    The same finding has the same key for every alert, after a restart, a reprocess, and a restored
    backup.
    """
    content = [flag.severity, flag.status, flag.since, flag.until, flag.evidence]
    digest = sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
    return f"{flag.id}-{digest[:12]}"


def event_of(flag: Flag, told: Told | None) -> Event | None:
    """What has happened to a flag since it was last told; None where nothing is to be told."""
    condition = flag.status
    if told is None or (told.version == 0 and told.held):
        return None if condition == "withdrawn" else "raised"
    if condition == "withdrawn":
        return None if told.version == 0 or told.condition == "withdrawn" else "withdrawn"
    worse = SEVERITIES.index(flag.severity) > SEVERITIES.index(told.severity)
    event: Event | None = "prolonged"
    if told.version == 0:
        event = "severity_raised" if worse else None
    elif key_of(flag) == told.key:
        event = None
    elif told.condition == "withdrawn":
        event = "raised"
    elif worse:
        event = "severity_raised"
    elif condition == "ended" and told.condition != "ended":
        event = "ended"
    return event


def takes(spec: AlertSpec, view: FlagView) -> bool:
    """Whether a flag passes the filters of an alert; what is registered of its device counts."""
    flag, device = view.flag, view.device
    region = (device.region if device is not None else None) or ""
    vendor = device.vendor if device is not None else None
    return (
        SEVERITIES.index(flag.severity) >= SEVERITIES.index(spec.severity)
        and (not spec.codes or flag.code in spec.codes)
        and (not spec.kinds or flag.kind in spec.kinds)
        and (not spec.regions or region.startswith(spec.regions))
        and (not spec.vendors or vendor in spec.vendors)
    )


def record_of(view: FlagView, titles: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A flag with the keys of the flags export, and what is registered of its device."""
    record = flag_record(msgspec.structs.replace(view.flag, status=view.status), titles)
    record["condition"] = view.flag.status
    device = view.device
    if device is not None:
        record |= {
            name: value
            for name in ("region", "site", "vendor", "model")
            if (value := getattr(device, name)) is not None
        }
    if view.suppression is not None:
        record["suppression"] = view.suppression
    return record


def summary_of(record: Mapping[str, Any]) -> bytes:
    """What is kept of a record that was told."""
    return msgspec.json.encode({name: record[name] for name in _KEPT if name in record})


def gone_record(told: Told) -> dict[str, Any]:
    """What is told of a flag that the latest processing does not find any more."""
    record: dict[str, Any] = msgspec.json.decode(told.summary)
    return record | {"status": "withdrawn", "condition": "withdrawn", "gone": True}


def gone_key(told: Told) -> str:
    """The idempotency key of that."""
    return f"{told.flag_id}-gone-{told.key.rpartition('-')[2]}"
