"""``gateway flag suppress``, ``suppressions``, ``unsuppress``: windows of known maintenance."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.casebook import FILE_NAME, Casebook
from gateway.cli import flag_report as report
from gateway.cli.flag_options import (
    Actor,
    Device,
    Kind,
    Language,
    Reason,
    Region,
    Site,
    check_known,
    texts_in,
    who_decides,
)
from gateway.cli.output import Data, Json, examples, existing, moment
from gateway.errors import ConfigError
from gateway.flags.decisions import suppress, unsuppress, window_line
from gateway.flags.query import suppressions

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(
    "suppress",
    epilog=examples(
        "gateway flag suppress --data data --site station-7 --from 2026-03-01T08:00:00+08:00 "
        "--to 2026-03-01T18:00:00+08:00 --reason 'tank cleaning'",
    ),
)
def suppress_(  # noqa: PLR0917 - typer takes its options so
    from_: Annotated[str, typer.Option("--from", help="RFC 3339 or a date (UTC); included.")],
    to: Annotated[str, typer.Option("--to", help="RFC 3339 or a date (UTC); not included.")],
    data: Data = Path("data"),
    device: Device = None,
    site: Site = None,
    region: Region = None,
    kind: Kind = None,
    code: Annotated[
        list[str] | None, typer.Option(help="Only this flag code; may be repeated.")
    ] = None,
    reason: Reason = None,
    actor: Actor = None,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Makes a window of known maintenance, of a device, site, region or kind; a reason is needed.

    Flags whose whole span lies in it are kept and shown as `suppressed`. What began before it, or
    goes on after it, shows as before; so does what people have decided about.
    """
    check_known(kind=kind)
    for each in code or ():
        check_known(code=each)
    if region is not None and not (region.isascii() and region.isdigit() and len(region) <= 6):
        raise ConfigError(f"--region: the beginning of a GB/T 2260 code, got {region!r}")
    begin, end = moment(from_, "--from"), moment(to, "--to")
    with Casebook(existing(data, FILE_NAME)) as casebook:
        window = suppress(
            casebook,
            since=begin or 0,
            until=end or 0,
            reason=reason,
            actor=who_decides(actor),
            device_id=device,
            site=site,
            region=region,
            kind=kind,
            codes=code or (),
        )
    if json:
        typer.echo(msgspec.json.encode(window_line(window)))
        return
    report.print_suppressed(window, texts_in(lang))


@app.command("suppressions", epilog=examples("gateway flag suppressions --data data --json"))
def suppressions_(data: Data = Path("data"), lang: Language = None, json: Json = False) -> None:
    """Lists the windows of known maintenance, also those that are over or were lifted."""
    with Casebook(existing(data, FILE_NAME)) as casebook:
        found = suppressions(casebook)
    if json:
        for window in found:
            typer.echo(msgspec.json.encode(window_line(window)))
        return
    report.print_suppressions(found, texts_in(lang))


@app.command(
    "unsuppress",
    epilog=examples(
        "gateway flag unsuppress 3 --data data --reason 'wrong site'",
        "gateway flag unsuppress 3 --data data --from 2026-03-01T12:00:00+08:00",
    ),
)
def unsuppress_(  # noqa: PLR0917 - typer takes its options so
    number: Annotated[int, typer.Argument(help="Of `flag suppressions`.", metavar="NUMBER")],
    data: Data = Path("data"),
    from_: Annotated[
        str | None,
        typer.Option("--from", help="From then on only; default: as if it had never been."),
    ] = None,
    reason: Reason = None,
    actor: Actor = None,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Lifts a window of known maintenance: its flags show again."""
    with Casebook(existing(data, FILE_NAME)) as casebook:
        window = unsuppress(
            casebook,
            number,
            actor=who_decides(actor),
            reason=reason,
            from_=moment(from_, "--from"),
        )
    if json:
        typer.echo(msgspec.json.encode(window_line(window)))
        return
    report.print_lifted(window, texts_in(lang))
