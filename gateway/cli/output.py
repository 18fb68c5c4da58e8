"""What the commands share: common options, and how they show things."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from gateway.errors import ConfigError
from gateway.times import nanoseconds

Data = Annotated[Path, typer.Option("--data", help="The data directory.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Machine output on standard output.")]
Profiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--profiles",
        help="Directory of device profiles; may be repeated. Default: those of the gateway.",
    ),
]


_PIPE_WIDTH: Final = 500  # nobody reads a pipe by eye, and a broken line is of no use to grep
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_WHOLE_WIDTH: Final = 48  # names up to this long are never broken


def examples(*commands: str) -> str:
    """The end of a help text: each example on a line of its own, to be copied."""
    return "\n\n".join(("Examples:", *(f"`{command}`" for command in commands)))


def counted(count: int, noun: str) -> str:
    """``1 profile``, ``2 profiles``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def console() -> Console:
    """Where results go."""
    return Console(highlight=False, soft_wrap=True)


def progress_console() -> Console:
    """Where progress goes, so that results can be piped."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def existing(data: Path, what: str) -> Path:
    """``data``, when it holds ``what``.

    Raises:
        ConfigError: the command would otherwise make an empty one, and say nothing of it.
    """
    if not (data / what).exists():
        raise ConfigError(
            f"--data {data}: there is no {what} in it; name the data directory of a gateway"
        )
    return data


def moment(text: str | None, option: str) -> int | None:
    """The time of an option, RFC 3339 or a date (its beginning in UTC), as ns; None without one.

    Raises:
        ConfigError: it is neither.
    """
    if text is None:
        return None
    try:
        return nanoseconds(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}, or as a date: 2026-03-01") from None


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    to: Console | None = None,
) -> None:
    """A table; absent cells stay empty, and text of devices is shown as text, never as markup.

    Nothing is cut off: what is too wide for the terminal goes on in the next line, the first
    column, which names the row, last of all.
    """
    out = to or Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = _PIPE_WIDTH
    texts = [[Text("" if cell is None else str(cell)) for cell in row] for row in rows]
    named = max((row[0].cell_len for row in texts), default=0)
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        whole = 0 if number else min(named, _WHOLE_WIDTH)
        table.add_column(column, overflow="fold", min_width=whole or None)
    for row in texts:
        table.add_row(*row)
    out.print(table)


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while it is a terminal; gives what to call with done and all."""
    to = progress_console()
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=to, transient=True, disable=not to.is_terminal) as bar:
        task = bar.add_task(unit, total=0)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell


def read_bytes(path: Path | None, limit: int) -> bytes:
    """The bytes of a file, or of standard input when it is None or ``-``.

    Raises:
        ConfigError: it cannot be read, or is longer than ``limit``.
    """
    try:
        if path is None or str(path) == "-":
            return _bounded(sys.stdin.buffer, "<stdin>", limit)
        with path.open("rb") as file:
            return _bounded(file, str(path), limit)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _bounded(stream: IO[bytes], name: str, limit: int) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise ConfigError(f"{name}: more than {limit:,} bytes")
    return data
