"""``gateway run``: the service."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from typer.core import TyperCommand

from gateway import log as logs
from gateway.cli.output import examples
from gateway.config import table
from gateway.config_load import load
from gateway.service import serve

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class WithSettings(TyperCommand):
    """A command whose help ends with every setting."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's own types
        """The help, then the settings with type, default and environment variable."""
        super().format_help(ctx, formatter)
        typer.echo(settings_text())


def settings_text() -> str:
    """Every setting, one paragraph each."""
    lines = ["Settings (TOML key, type, default; environment variable):", ""]
    for row in table():
        head = f"  {row.key}  {row.type}, default {row.default}"
        lines.append(head + (f"; {row.variable}" if row.variable else ""))
        lines.append(f"      {row.help}")
    return "\n".join(lines)


@app.command(
    cls=WithSettings,
    epilog=examples(
        "gateway run --config gateway.toml", "GATEWAY_LOG__LEVEL=debug gateway run --data data"
    ),
)
def run(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings; see deploy/gateway.toml.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The data directory.")] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Takes messages in, keeps them, decides them, until SIGTERM or Ctrl-C.

    Then what was taken is written, acknowledged and decided, within 10 seconds; a second signal
    ends at once. Without a signal it only ends when the ledger fails for good.
    """
    flags: dict[str, Any] = {}
    if data is not None:
        flags["data_dir"] = data
    if log_level is not None:
        flags["log"] = {"level": log_level}
    settings = load(config, flags)
    logs.configure(settings.log.level, settings.log.format, secrets=settings.secrets())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
