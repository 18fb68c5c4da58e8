"""``gateway reprocess``: the ledger decided anew."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway import log as logs
from gateway.cli.output import Data, Json, Profiles, console, examples, progress_bar
from gateway.reprocess import reprocess

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(
    epilog=examples("gateway reprocess --data data --profiles profiles --quarantine-only"),
)
def reprocess_(
    *,
    data: Data = Path("data"),
    profiles: Profiles = None,
    quarantine_only: Annotated[
        bool, typer.Option("--quarantine-only", help="Only messages in quarantine, as late ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decides the ledger again with the profiles and the registry of today.

    A new store is built beside the old one and takes its place when it is complete; a fault on
    the way leaves the old one as it was. The gateway must be stopped; of one that runs, quarantine
    can be decided again by its console or by POST /api/v1/quarantine/reprocess. Sinks deliver
    again: what they write has the same identity, so nothing is there twice.
    """
    logs.configure("warning")
    with progress_bar("messages") as tell:
        done = reprocess(
            data, profiles=profiles or (), quarantine_only=quarantine_only, progress=tell
        )
    if as_json:
        typer.echo(msgspec.json.encode(done))
        return
    before, after = done.before, done.after
    console().print(
        f"{done.decided:,} messages decided again: "
        f"readings {before.readings:,} -> {after.readings:,}, "
        f"quarantined {before.quarantined:,} -> {after.quarantined:,}, "
        f"flags {done.flags_before:,} -> {done.flags_after:,}"
    )
