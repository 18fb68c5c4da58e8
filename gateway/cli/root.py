"""The root of the command line: lists every command, imports only the one that is called."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from gateway.errors import ConfigError, GatewayError, LedgerLocked, ProfileError, StoreLocked

if TYPE_CHECKING:
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter

COMMANDS: Final = {
    "run": "The service: intake, processing, sinks.",
    "demo": "The main job on embedded parts: broker, simulators with some cheats, gateway.",
    "doctor": "Broker, disk, clock, profiles, database: what is wrong and how to mend it.",
    "capture": "Live messages into a capture file.",
    "replay": "A capture through the whole pipeline, as fast as it goes.",
    "decode": "One message, shown stage by stage.",
    "export": "Readings, flags, quarantine or devices out of the store.",
    "reprocess": "Decides the ledger anew, with the profiles and the registry of today.",
    "profile": "Device profiles: list, check, test.",
    "device": "The registry: import, list, show, verify.",
    "flag": "Flags: list, show, decide, suppress, incidents, report.",
    "alert": "Alerts: list, test, what was not taken, send it again.",
    "quality": "Data quality by device, model, vendor or region, from counts.",
    "report": "A district's week or month on paper, HTML or PDF.",
    "user": "People who log in: add, list, role, password, token.",
    "ledger": "The ledger: verify, show, prove, prune.",
}
_USED_WRONGLY: Final = (ConfigError, ProfileError, LedgerLocked, StoreLocked)


class Root(TyperGroup):
    """A group whose commands live in modules of their own, imported when called."""

    _listing = False

    def list_commands(self, ctx: Context) -> list[str]:
        """The commands in the order of a first reading, not of the alphabet."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command's own module; in a list, only its line of help."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        module = importlib.import_module(f"gateway.cli.{cmd_name}")
        command: Command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Help from the table above: the modules stay unread, so it is there at once."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def invoke(self, ctx: Context) -> Any:  # noqa: ANN401 - as the base class
        """Runs the command; an error of ours is one clean message, never a traceback."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            fail(error)
        except BrokenPipeError:  # the reader of our output has enough: no fault
            sys.stderr.close()
            raise typer.Exit(0) from None


def fail(error: GatewayError) -> NoReturn:
    """Prints an error on standard error and ends with its exit status."""
    for line in str(error).splitlines():
        typer.secho(f"error: {line}", fg="red", err=True)
    raise typer.Exit(2 if isinstance(error, _USED_WRONGLY) else 1)
