"""``gateway replay``: a capture through the whole pipeline."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway import log as logs
from gateway.cli.output import (
    Json,
    Profiles,
    console,
    counted,
    examples,
    print_table,
    progress_console,
)
from gateway.replay import Replayed, replay

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(
    epilog=examples(
        "gateway replay day.jsonl.zst --data data --registry devices.csv",
        "zcat day.jsonl.gz | gateway replay - --data data --json",
    ),
)
def replay_(
    files: Annotated[
        list[Path], typer.Argument(help="Captures: .jsonl, .gz, .zst; - is standard input.")
    ],
    *,
    data: Annotated[Path, typer.Option("--data", help="The data directory, made when missing.")],
    profiles: Profiles = None,
    registry: Annotated[
        Path | None, typer.Option("--registry", help="Registry (JSONL, CSV) to take in first.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count and skip bad lines instead of stopping.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Appends captures to the ledger, decides them, and says what came of it.

    The time of receipt is the capture's. A capture replayed again is appended again, as anything
    that comes is kept. Its readings are recognised as duplicates only as far as the checks
    remember (the last 524,288 messages, and the last 16 of each device): replay a longer capture
    into a data directory of its own, or use `gateway reprocess`.
    """
    logs.configure("warning")
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} messages"),
        BarColumn(),
        TimeElapsedColumn(),
        console=progress_console(),
        transient=True,
        disable=not progress_console().is_terminal,
    ) as bar:
        task = bar.add_task("replay", total=None)
        done = replay(
            [None if str(file) == "-" else file for file in files],
            data,
            profiles=profiles or (),
            registry=registry,
            skip_bad=skip_bad,
            progress=lambda count: bar.update(task, completed=count),
        )
    if as_json:
        typer.echo(json.dumps(done.as_json(), ensure_ascii=False))
    else:
        _show(done)


def _show(done: Replayed) -> None:
    out = console()
    out.print(
        f"[bold]{done.messages:,}[/] messages in {done.seconds:.2f} s "
        f"({done.rate:,.0f} a second), [bold]{done.readings:,}[/] readings"
    )
    if done.pending_before:
        out.print(
            f"{counted(done.pending_before, 'message')} that were waiting in the ledger came first"
        )
    if done.duplicates:
        out.print(
            f"{counted(done.duplicates, 'duplicate')}: received before, kept in the ledger, "
            "stored once"
        )
    if done.ignored:
        out.print(f"{done.ignored:,} messages carry no readings, by their profile")
    if done.skipped_lines:
        out.print(
            f"[yellow]{counted(done.skipped_lines, 'bad line')} skipped, the first:[/] "
            + escape(done.first_skipped or "")
        )
    if done.flags:
        print_table("Flags", ("code", "flags"), list(done.flags.items()))
    if done.quarantined:
        print_table("Quarantined", ("reason", "messages"), list(done.quarantined.items()))
    if done.not_judged:
        print_table(
            "Not judged (no flag does not mean all is well here)",
            ("code", "why", "times"),
            [
                (code, reason, count)
                for code, reasons in done.not_judged.items()
                for reason, count in reasons.items()
            ],
        )
