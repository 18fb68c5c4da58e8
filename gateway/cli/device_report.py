"""What ``gateway device`` shows: the report of an import, and all that is known of a device."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from rich.text import Text

from gateway.audit import AuditEntry
from gateway.casebook import Casebook, summary
from gateway.cli.output import console, counted, print_table, progress_console
from gateway.devices import named_devices, shown_parameters
from gateway.records import Device
from gateway.registry import Record, as_line
from gateway.registry.changes import Plan, as_report
from gateway.registry.codes import province
from gateway.registry.relations import RELATIONS
from gateway.times import rfc3339

SHOWN: Final = 50
"""Rows of a table of changes; all of them are in the report with --json."""
_WORDS: Final = {"add": "added", "change": "changed", "correct": "corrected"}
_LONG: Final = 60


def import_report(made: Plan, *, dry_run: bool) -> dict[str, Any]:
    """The report of an import as JSON."""
    counts = msgspec.structs.asdict(summary(made))
    return {
        **counts,
        "dry_run": dry_run,
        "changes": as_report(change for change in made.changes if not change.implied),
        "warnings": made.warnings,
        "faults": made.faults,
    }


def print_import(made: Plan, *, records: int, dry_run: bool) -> None:
    """The report of an import: what changes field by field, what is odd, and the numbers."""
    told = [change for change in made.changes if change.action != "add"]
    if told:
        rows = [
            (change.name, change.key[0], _WORDS[change.action], _begin(change.after), *row)
            for change in told[:SHOWN]
            for row in _field_rows(change.fields)
        ]
        columns = ("name", "record", "", "valid_from", "field", "before", "after")
        print_table("what changes", columns, rows)
        if len(told) > SHOWN:
            console().print(f"and {len(told) - SHOWN:,} more; --json tells all")
    errors = progress_console()
    for warning in made.warnings[:SHOWN]:
        errors.print(Text(f"warning: {warning}", style="yellow"))
    if len(made.warnings) > SHOWN:
        errors.print(f"and {len(made.warnings) - SHOWN:,} more warnings; --json tells all")
    if made.faults:
        return
    would = "would be " if dry_run else ""
    numbers = summary(made)
    corrected = f"{numbers.corrected} {would}corrected, " if numbers.corrected else ""
    console().print(
        f"{counted(records, 'record')} read: {numbers.added} {would}added, "
        f"{numbers.changed} {would}changed, {corrected}{numbers.unchanged} unchanged"
    )


def _begin(record: Record) -> str | None:
    begin = getattr(record, "valid_from", None)
    return None if begin is None else rfc3339(begin)


def _field_rows(fields: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str | None, str | None]]:
    for name, pair in fields.items():
        if name != "valid_from":
            yield name, _short(pair["before"]), _short(pair["after"])


def _short(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def print_devices(devices: Sequence[Device]) -> None:
    """The registry as a table."""
    print_table(
        f"{len(devices)} devices",
        ("device_id", "kind", "profile", "region", "site", "owner", "verified_until", "valid_from"),
        [
            (
                device.device_id,
                device.kind,
                device.profile,
                _region(device.region),
                device.site,
                device.owner,
                device.verified_until and rfc3339(device.verified_until),
                _begin(device),
            )
            for device in devices
        ],
    )


def print_records(kind: str, records: Sequence[Record]) -> None:
    """Sites, owners or certificates as a table."""
    lines = [as_line(record) for record in records]
    columns = list(type(records[0]).__struct_fields__) if records else ["none"]
    rows = [[_short(line.get(name)) for name in columns] for line in lines]
    print_table(f"{len(records)} {kind}s", columns, rows)


def _region(code: str | None) -> str | None:
    """A region with the name of its province, where it is one."""
    if code is None:
        return None
    names = province(code)
    return code if names is None else f"{code} {names[0]} {names[1]}"


def show_report(casebook: Casebook, device_id: str) -> dict[str, Any]:
    """All that is known of a device, as JSON; the newest first."""
    versions = [
        version
        for version in casebook.records("device", device_id=device_id)
        if isinstance(version, Device)
    ]
    latest = versions[-1]
    naming = casebook.naming(device_id)
    report: dict[str, Any] = {
        "device": _shown_line(latest),
        "versions": [_shown_line(version) for version in reversed(versions)],
        "certificates": [
            as_line(record)
            for record in sorted(
                casebook.records("certificate", device_id=device_id),
                key=lambda record: getattr(record, "verified_at", None) or 0,
                reverse=True,
            )
        ],
        "children": {
            relation: [
                name for name, device in naming.items()
                if device_id in named_devices(device, relation)
            ]
            for relation in RELATIONS
        },
    }  # fmt: skip
    for kind, name in (("site", latest.site), ("owner", latest.owner)):
        found = casebook.records(kind, **{kind: name}) if name is not None else []
        if found:
            report[kind] = as_line(found[-1])
    report["audit"] = [_audit_line(entry) for entry in casebook.audit_of(device_id)]
    return report


def _shown_line(device: Device) -> dict[str, Any]:
    """A line of the registry without keys and passwords."""
    line = as_line(device)
    if "parameters" in line:
        line["parameters"] = shown_parameters(line["parameters"])
    return line


def _audit_line(entry: AuditEntry) -> dict[str, Any]:
    return msgspec.structs.asdict(entry) | {"at": rfc3339(entry.at)}


def print_device(report: dict[str, Any]) -> None:
    """All that is known of a device."""
    device = report["device"]
    rows = [(name, _short(_named(name, value))) for name, value in device.items()]
    print_table(device["device_id"], ("field", "now"), rows)
    for kind in ("site", "owner"):
        if kind in report:
            told = {k: v for k, v in report[kind].items() if k not in ("record", kind)}
            print_table(f"{kind} {report[kind][kind]}", ("field", "now"), list(told.items()))
    if len(report["versions"]) > 1:
        print_table("versions", ("valid_from", "field", "before", "after"),
                    list(_version_rows(report["versions"])))  # fmt: skip
    if report["certificates"]:
        columns = ("number", "verified_at", "valid_until", "laboratory", "result")
        rows = [
            (*(line.get(name) for name in columns), len(line.get("errors", ())) or None)
            for line in report["certificates"]
        ]
        print_table("certificates", (*columns, "points"), rows)
    for relation, names in report["children"].items():
        if names:
            print_table(f"{relation} of", ("device_id",), [(n,) for n in names])
    print_table(
        "audit", ("at", "actor", "action", "subject"),
        [(e["at"], e["actor"], e["action"], e["subject"]) for e in report["audit"]],
    )  # fmt: skip


def _named(name: str, value: object) -> object:
    return _region(value) if name == "region" and isinstance(value, str) else value


def _flat(line: dict[str, Any]) -> dict[str, Any]:
    """A line with its parameters one by one."""
    plain = {name: value for name, value in line.items() if name != "parameters"}
    own = line.get("parameters", {}).items()
    return plain | {f"parameters.{name}": value for name, value in own}


def _version_rows(versions: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    """What each version changed, the newest first."""
    flat = [_flat(version) for version in versions]
    for after, before in zip(flat, [*flat[1:], {}], strict=True):
        begin = after.get("valid_from", "since ever")
        names = [n for n in dict.fromkeys((*before, *after)) if n != "valid_from"]
        changed = [n for n in names if before.get(n) != after.get(n)] if before else []
        for name in changed or [""]:
            yield begin, name, _short(before.get(name)), _short(after.get(name))
            begin = ""
