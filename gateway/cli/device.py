"""``gateway device``: the registry of instruments."""

import getpass
import time
from collections import Counter
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from gateway.casebook import FILE_NAME, Casebook
from gateway.certificates import Period
from gateway.cli.device_report import (
    import_report,
    print_device,
    print_devices,
    print_import,
    print_records,
    show_report,
)
from gateway.cli.output import Data, Json, console, examples, existing, moment, print_table
from gateway.devices import Registry
from gateway.errors import ConfigError
from gateway.quantities import KINDS
from gateway.records import Device
from gateway.registry import RegistryError, as_line, read_files
from gateway.registry.validity import overdue
from gateway.times import DAY, rfc3339

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The registry: import, list, show, verify.",
)

Kind = Annotated[str | None, typer.Option(help="Only this kind of instrument.")]
Region = Annotated[
    str | None, typer.Option(help="Only regions that begin so (GB/T 2260: 11 is Beijing).")
]
Site = Annotated[str | None, typer.Option(help="Only devices of this site.")]


class Records(StrEnum):
    """What the registry has records of."""

    DEVICE = "device"
    SITE = "site"
    OWNER = "owner"
    CERTIFICATE = "certificate"


@app.command(
    "import",
    epilog=examples(
        "gateway device import devices.csv --data data --dry-run",
        "gateway device import devices.csv certificates/*.xml --data data",
        "gateway device import mended.csv --data data --correct",
    ),
)
def import_(  # noqa: PLR0917 - typer takes its options so
    files: Annotated[
        list[Path],
        typer.Argument(help="JSON Lines, CSV, or certificates (DCC, .xml); - is standard input."),
    ],
    data: Data = Path("data"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and tell only.")] = False,
    correct: Annotated[
        bool,
        typer.Option(
            "--correct", help="Replace what was wrong, instead of beginning a new version."
        ),
    ] = False,
    zone: Annotated[
        str, typer.Option(help="Time zone of the dates of certificates.")
    ] = "Asia/Shanghai",
    valid_for: Annotated[
        str | None,
        typer.Option(help="Validity of certificates that state none, such as P6M or P1Y."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The device that the certificate is of, by its id.")
    ] = None,
    json: Json = False,
) -> None:
    """Takes devices, sites, owners and certificates into the registry; none is removed.

    What differs from what is known holds from now on, or from its `valid_from`; what held before is
    kept, and what was measured before goes on being judged by it. Only with --correct is a version
    replaced. All files are judged whole before anything is written. A running gateway takes the
    registry over at SIGHUP, or when it starts.
    """
    paths = [None if str(file) == "-" else file for file in files]
    read = read_files(paths, zone=_zone(zone), valid_for=_period(valid_for))
    source = " ".join(str(file) for file in files)
    if read.faults and not data.exists():
        _refuse_or_report(read.faults, json=json, dry_run=dry_run)
    with Casebook(data) as casebook:
        made = casebook.import_read(
            read,
            source=source,
            actor=getpass.getuser(),
            dry_run=dry_run,
            correct=correct,
            device_id=device,
        )
    if json:
        typer.echo(msgspec.json.encode(import_report(made, dry_run=dry_run)))
        raise typer.Exit(2 if made.faults else 0)
    print_import(made, records=len(read.entries) + len(read.documents), dry_run=dry_run)
    if made.faults:
        raise RegistryError(made.faults)


def _refuse_or_report(faults: list[str], *, json: bool, dry_run: bool) -> None:
    """Ends with faults before a data directory is made for nothing."""
    if json:
        typer.echo(msgspec.json.encode({"faults": faults, "dry_run": dry_run}))
        raise typer.Exit(2)
    raise RegistryError(faults)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--zone: no time zone {name!r}, such as Asia/Shanghai") from None


def _period(text: str | None) -> Period | None:
    try:
        return None if text is None else Period.read(text)
    except ValueError as error:
        raise ConfigError(f"--valid-for: {error}") from None


def _kind(kind: str | None) -> None:
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: unknown kind {kind!r}; known are {', '.join(KINDS)}")


@app.command(
    "list",
    epilog=examples(
        "gateway device list --data data --kind water_meter --json",
        "gateway device list --data data --verified-until 2026-12-31",
        "gateway device list --data data --history --json > registry.jsonl",
    ),
)
def list_(  # noqa: PLR0917 - typer takes its options so
    data: Data = Path("data"),
    record: Annotated[Records, typer.Option(help="Of what.")] = Records.DEVICE,
    kind: Kind = None,
    region: Region = None,
    site: Site = None,
    verified_until: Annotated[
        str | None,
        typer.Option(help="Only verifications that end before: RFC 3339 or a date (UTC)."),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Every version, not only now's.")] = (
        False
    ),
    json: Json = False,
) -> None:
    """Lists the registry; with --json one object a line, as `device import` reads it.

    Only there keys of devices are told, so that the list can be imported elsewhere: keep it as safe
    as the data directory.
    """
    _kind(kind)
    before = moment(verified_until, "--verified-until")
    given = (("kind", kind), ("verified-until", verified_until))
    stray = [name for name, value in given if value is not None]
    if record is not Records.DEVICE and (stray or region or site):
        raise ConfigError(f"--record {record}: --{(stray or ['region', 'site'])[0]} is of devices")
    with Casebook(existing(data, FILE_NAME)) as casebook:
        if record is not Records.DEVICE:
            records = casebook.records(str(record))
            if json:
                for each in records:
                    typer.echo(msgspec.json.encode(as_line(each)))
            else:
                print_records(str(record), records)
            return
        registry = casebook.devices()
    now = time.time_ns()
    devices = [
        device
        for device in (registry.history() if history else _now(registry, now))
        if (kind is None or device.kind == kind)
        and (region is None or (device.region or "").startswith(region))
        and (site is None or device.site == site)
        and (before is None or (device.verified_until or before) < before)
    ]
    if json:
        for device in devices:
            typer.echo(msgspec.json.encode(as_line(device)))
        return
    print_devices(devices)


def _now(registry: Registry, now: int) -> list[Device]:
    """The version of each device that holds now; of one that begins later, the first."""
    return [registry.at(name, now) or registry.versions(name)[0] for name in registry]


@app.command("show", epilog=examples("gateway device show em-110000-00001 --data data"))
def show(
    device_id: Annotated[str, typer.Argument(help="The device.", metavar="ID")],
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Shows all that is known of a device: versions, certificates, children, and who did what."""
    with Casebook(existing(data, FILE_NAME)) as casebook:
        versions = casebook.records("device", device_id=device_id)
        if not versions:
            raise ConfigError(f"{device_id}: no such device; `gateway device list` tells them")
        report = show_report(casebook, device_id)
    if json:
        typer.echo(msgspec.json.encode(report))
        return
    print_device(report)


@app.command(
    "verify", epilog=examples("gateway device verify --data data --days 30 --region 1101 --json")
)
def verify(  # noqa: PLR0917 - typer takes its options so
    data: Data = Path("data"),
    days: Annotated[int, typer.Option(min=0, help="What ends within so many days, too.")] = 30,
    at: Annotated[
        str | None, typer.Option(help="As of this time: RFC 3339 or a date (UTC); default now.")
    ] = None,
    kind: Kind = None,
    region: Region = None,
    site: Site = None,
    json: Json = False,
) -> None:
    """Tells which verifications are missing, have expired, or soon will; exit 1 if there are any.

    With --json one object a line.
    """
    _kind(kind)
    now = moment(at, "--at") or time.time_ns()
    with Casebook(existing(data, FILE_NAME)) as casebook:
        registry = casebook.devices()
    found = [
        each
        for each in overdue(registry, now, now + days * DAY)
        if (kind is None or each.device.kind == kind)
        and (region is None or (each.device.region or "").startswith(region))
        and (site is None or each.device.site == site)
    ]
    found.sort(key=lambda each: (each.until or 0, each.device.device_id))
    if json:
        for each in found:
            line = as_line(each.device)
            line.pop("parameters", None)
            typer.echo(msgspec.json.encode({"state": each.state, **line}))
    else:
        counts = Counter(each.state for each in found)
        if found:
            print_table(
                "verifications to see to",
                ("device_id", "state", "verified_until", "certificate", "kind", "site", "owner"),
                [
                    (
                        each.device.device_id,
                        each.state,
                        each.until and rfc3339(each.until),
                        each.device.certificate,
                        each.device.kind,
                        each.device.site,
                        each.device.owner,
                    )
                    for each in found
                ],
            )
        told = ", ".join(f"{counts[state]:,} {state}" for state in ("missing", "expired"))
        console().print(
            f"{len(registry):,} devices: {told}, {counts['expiring']:,} expiring within {days} days"
        )
    raise typer.Exit(1 if found else 0)
