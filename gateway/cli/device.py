"""``gateway device``: the registry of instruments."""

import getpass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.casebook import FILE_NAME, Casebook
from gateway.cli.output import Data, Json, console, examples, existing, print_table
from gateway.errors import ConfigError
from gateway.quantities import KINDS
from gateway.records import Device
from gateway.registry import read_registry
from gateway.times import rfc3339

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The registry: import, list.",
)
_TIMES = ("commissioned_at", "verified_at", "verified_until")


@app.command(
    "import",
    epilog=examples("gateway device import devices.csv --data data --dry-run"),
)
def import_(
    file: Annotated[Path, typer.Argument(help="JSON Lines or CSV; - is standard input.")],
    data: Data = Path("data"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and count only.")] = False,
    json: Json = False,
) -> None:
    """Takes devices into the registry: new ones are added, changed ones replaced, none removed.

    The file is judged whole before anything is written. A running gateway reads the registry
    when it starts.
    """
    devices = read_registry(None if str(file) == "-" else file)
    with Casebook(data) as casebook:
        summary = casebook.import_devices(
            devices, source=str(file), actor=getpass.getuser(), dry_run=dry_run
        )
    if json:
        typer.echo(msgspec.json.encode({**msgspec.structs.asdict(summary), "dry_run": dry_run}))
        return
    would = "would be " if dry_run else ""
    console().print(
        f"{len(devices)} devices read: {summary.added} {would}added, "
        f"{summary.changed} {would}changed, {summary.unchanged} unchanged"
    )


@app.command("list", epilog=examples("gateway device list --data data --kind water_meter --json"))
def list_(
    data: Data = Path("data"),
    kind: Annotated[str | None, typer.Option(help="Only this kind of instrument.")] = None,
    region: Annotated[
        str | None, typer.Option(help="Only regions that begin so (GB/T 2260: 11 is Beijing).")
    ] = None,
    json: Json = False,
) -> None:
    """Lists the registry; with --json one object a line, as `device import` reads it."""
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: unknown kind {kind!r}; known are {', '.join(KINDS)}")
    with Casebook(existing(data, FILE_NAME)) as casebook:
        devices = [
            device
            for device in casebook.devices().values()
            if (kind is None or device.kind == kind)
            and (region is None or (device.region or "").startswith(region))
        ]
    if json:
        for device in devices:
            typer.echo(msgspec.json.encode(as_registry_line(device)))
        return
    print_table(
        f"{len(devices)} devices",
        ("device_id", "kind", "profile", "region", "owner", "verified_until"),
        [
            (
                device.device_id,
                device.kind,
                device.profile,
                device.region,
                device.owner,
                device.verified_until and rfc3339(device.verified_until),
            )
            for device in devices
        ],
    )


def as_registry_line(device: Device) -> dict[str, object]:
    """A device in the registry's own format: nothing absent, times as RFC 3339."""
    line = {
        key: value
        for key, value in msgspec.structs.asdict(device).items()
        if value is not None and value != {}
    }
    for key in _TIMES:
        if key in line:
            line[key] = rfc3339(line[key])
    return line
