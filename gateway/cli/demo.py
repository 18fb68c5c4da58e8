"""``gateway demo``: the main job on embedded parts."""

import asyncio
import signal
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.live import Live

from gateway import log as logs
from gateway.cli.output import Json, examples, progress_console
from gateway.demo import DemoOptions, Outcome, demo
from gateway.demo_view import View
from gateway.status import Status
from gateway.worker_messages import Report

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
_LINE_EVERY_S = 5.0
_SHORT_SPEED = 3600
_LONG_SPEED = 600
_SIMULATED_DAYS = 6


class Lang(StrEnum):
    """The language of the live view."""

    EN = "en"
    ZH = "zh"


@app.command(epilog=examples("gateway demo", "gateway demo --seconds 30 --lang zh"))
def demo_(
    *,
    seconds: Annotated[
        float | None, typer.Option(min=5, help="End by itself after this long; default: Ctrl-C.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the data here; default: thrown away.")
    ] = None,
    devices: Annotated[int, typer.Option(min=10, max=5000, help="Instruments.")] = 60,
    lang: Annotated[Lang, typer.Option(help="Language of the live view.")] = Lang.EN,
    as_json: Json = False,
) -> None:
    """Shows the gateway at work: broker, instruments of five kinds with some cheats, gateway.

    Simulated time runs 600 times as fast, or faster for a short demo. At the end it says what
    came of it, and ends with 0 only if nothing was lost, nothing is in quarantine and every
    kind of cheat that was played has its flag.
    """
    logs.configure("error")
    speed = _LONG_SPEED
    if seconds is not None:
        speed = round(min(_SHORT_SPEED, _SIMULATED_DAYS * 86_400 / seconds))
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as scratch:
        options = DemoOptions(
            data=data or Path(scratch), seconds=seconds, devices=devices, speed=speed
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(_shown(options, View(lang.value)))
    if as_json:
        typer.echo(msgspec.json.encode(outcome))
    else:
        Console(highlight=False).print(View(lang.value).summary(outcome))
    if outcome.faults:
        raise typer.Exit(1)


async def _shown(options: DemoOptions, view: View) -> Outcome:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    to = progress_console()
    if not to.is_terminal:
        return await demo(options, _Lines(view).show, stop)
    with Live(console=to, refresh_per_second=4, transient=True) as live:
        return await demo(
            options, lambda status, report: live.update(view.render(status, report)), stop
        )


class _Lines:
    """A line every few seconds, where there is no terminal to draw on."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._last = time.monotonic()

    def show(self, status: Status, report: Report | None) -> None:
        """Says how it stands."""
        rate = self._view.rate(status)
        if time.monotonic() - self._last < _LINE_EVERY_S:
            return
        self._last = time.monotonic()
        flags = sum(report.flags.values()) if report else 0
        typer.echo(
            f"{rate:,.0f} messages/s, {status.received:,} received, "
            f"{status.messages.pending:,} pending, {flags:,} flags, "
            f"{status.messages.quarantined:,} quarantined, balance {status.balance}",
            err=True,
        )
