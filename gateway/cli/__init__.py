"""The ``gateway`` command: a light root that imports a command only when it is called.

Exit status: 0 fine, 1 something is wrong, 2 used wrongly (also: settings or profiles are wrong,
another process has the data).
"""

# No "from __future__ import annotations" in this package: typer reads annotations at run time.
import typer

from gateway import __version__
from gateway.cli.root import Root

app = typer.Typer(
    name="gateway",
    cls=Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would print local variables, and secrets among them
    rich_markup_mode="markdown",
    help="Takes in telemetry of measuring instruments, keeps it as evidence, and flags what is "
    "wrong.\n\nBegin with `gateway demo`.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Takes the options before the command."""
    del version


def main() -> None:
    """The entry of the console script."""
    app()
