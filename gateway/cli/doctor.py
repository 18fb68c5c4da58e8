"""``gateway doctor``: what is wrong, and how to mend it."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from gateway import log as logs
from gateway.cli.output import Json, console, examples
from gateway.config_load import load
from gateway.doctor import Finding, examine
from gateway.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "bad": ("BAD ", "bold red")}


@app.command(epilog=examples("gateway doctor --config gateway.toml"))
def doctor(
    *,
    config: Annotated[Path | None, typer.Option("--config", help="The settings.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The data directory.")] = None,
    as_json: Json = False,
) -> None:
    """Looks at settings, disk, clock, ledger, store, profiles, registry, brokers and databases.

    Changes nothing, consumes nothing, may run beside the gateway. Ends with 1 when something is
    wrong.
    """
    logs.configure("error")
    flags: dict[str, Any] = {} if data is None else {"data_dir": data}
    findings: list[Finding] = []
    try:
        settings = load(config, flags)
    except ConfigError as error:
        for fault in str(error).splitlines():
            findings.append(Finding("settings", "bad", fault, "mend the settings"))
            _tell(findings[-1], quiet=as_json)
    else:
        for finding in examine(settings):
            findings.append(finding)
            _tell(finding, quiet=as_json)
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _tell(finding: Finding, *, quiet: bool) -> None:
    if quiet:
        return
    mark, style = _MARKS[finding.state]
    line = Text(f"{mark}  ", style=style)
    line.append(f"{finding.what}: ", style="bold")
    line.append(finding.detail, style="default")
    if finding.mend and finding.state != "ok":
        line.append(f"\n      to mend: {finding.mend}", style="cyan")
    console().print(line)
