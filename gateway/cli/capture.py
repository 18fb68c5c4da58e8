"""``gateway capture``: live messages into a capture file."""

import asyncio
import secrets
import signal
from pathlib import Path
from typing import Annotated, Literal

import typer
import uvloop

from gateway import log as logs
from gateway.capture import CaptureWriter
from gateway.cli.output import examples, progress_console
from gateway.config import SourceSettings
from gateway.config_load import load
from gateway.errors import ConfigError, SourceRefused
from gateway.sources import BrokerSettings
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt311 import Mqtt311Source

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
_LOOK_S = 0.2


@app.command(
    epilog=examples(
        "gateway capture 'meters/#' -o day.jsonl.zst",
        "gateway capture 'tele/+/SENSOR' --host broker --username u --password-file pw -o - | less",
    ),
)
def capture(
    topics: Annotated[list[str], typer.Argument(help="Topic filters.")],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The capture: .jsonl, .gz, .zst; - is stdout.")
    ],
    config: Annotated[
        Path | None, typer.Option("--config", help="Take the first broker of these settings.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Broker; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; default 1883.")] = None,
    protocol: Annotated[str | None, typer.Option(help="mqtt5 or mqtt311; default mqtt5.")] = None,
    username: Annotated[str | None, typer.Option(help="User name.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the password.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after this long.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
) -> None:
    """Listens beside the gateway, under a session of its own, and writes what comes.

    Ends at Ctrl-C, after --seconds or --count. It listens with QoS 0 and acknowledges nothing,
    so nothing is taken away from the gateway.
    """
    logs.configure("warning")
    settings = load(config, _flags(config, host, port, protocol, username, password_file))
    source = _source(settings.source[0], tuple(topics))
    with CaptureWriter(None if str(output) == "-" else output) as writer:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_listen(source, writer, seconds, count))
        progress_console().print(f"{writer.written:,} messages captured")


def _flags(
    config: Path | None,
    *options: object,
) -> dict[str, object]:
    names = ("host", "port", "type", "username", "password_file")
    given = {name: value for name, value in zip(names, options, strict=True) if value is not None}
    if config is not None and given:
        raise ConfigError("capture: say --config, or the broker by its own options, not both")
    return {} if config is not None else {"source": [given]}


def _source(settings: SourceSettings, topics: tuple[str, ...]) -> Mqtt5Source | Mqtt311Source:
    quiet = settings.model_copy(
        update={"topics": topics, "qos": 0, "share": None, "client_id": None, "session_expiry": 0}
    )
    broker: BrokerSettings = quiet.broker(client_id=f"gateway-capture-{secrets.token_hex(4)}")
    kind: Literal["mqtt5", "mqtt311"] = settings.type
    return Mqtt5Source(broker) if kind == "mqtt5" else Mqtt311Source(broker)


async def _listen(
    source: Mqtt5Source | Mqtt311Source,
    writer: CaptureWriter,
    seconds: float | None,
    count: int | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    running = asyncio.create_task(source.run())
    writing = asyncio.create_task(_write(source, writer, count))
    waiting = asyncio.create_task(stop.wait())
    refused = asyncio.create_task(_refusal(source))
    try:
        await asyncio.wait(
            {running, writing, waiting, refused}, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        await source.close()
        for task in (waiting, refused, writing):
            task.cancel()
        await asyncio.gather(running, waiting, refused, writing, return_exceptions=True)
    for task in (writing, refused):
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _write(
    source: Mqtt5Source | Mqtt311Source, writer: CaptureWriter, count: int | None
) -> None:
    async for arrivals in source.arrivals():
        room = len(arrivals) if count is None else min(len(arrivals), count - writer.written)
        writer.write(
            arrivals.topics[:room], arrivals.payloads[:room], [arrivals.received_at] * room
        )
        writer.flush()
        source.acknowledge(arrivals)
        if count is not None and writer.written >= count:
            return


async def _refusal(source: Mqtt5Source | Mqtt311Source) -> None:
    """Ends with an error when the first connection fails: a person is waiting."""
    while not source.connected:
        if source.last_error is not None:
            raise SourceRefused(source.last_error)
        await asyncio.sleep(_LOOK_S)
    await asyncio.Event().wait()
