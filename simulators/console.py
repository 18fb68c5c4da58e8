"""What the commands share: words, errors on standard error, and a run with its progress."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from simulators.clock import rfc3339
from simulators.options import Refused
from simulators.publish import BrokerUnreachable
from simulators.run import execute, wall_clock
from simulators.texts import Texts, language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulators.fleet import Fleet
    from simulators.run import Request

SAY = Texts(language(None))
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


def examples(*lines: str) -> str:
    """Examples below a help text, each on its own line."""
    return "\n\n".join((SAY("run.example"), *(f"`{line}`" for line in lines)))


def refuse(key: str, **facts: object) -> NoReturn:
    """Says what was used wrongly and leaves with 2."""
    ERRORS.print(SAY("error.prefix") + SAY(f"error.{key}", **facts), style="red", markup=False)
    raise typer.Exit(2)


def fail(error: Exception) -> NoReturn:
    """Says what went wrong and leaves with 2."""
    said = str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        said = f"{error.filename}: {error.strerror}"
    ERRORS.print(SAY("error.prefix") + said, style="red", markup=False)
    raise typer.Exit(2)


def carry_out(asked: Callable[[int, Mapping[str, str]], Request]) -> None:
    """Runs what was asked for, says what begins and what was done, and shows how far it is.

    Args:
        asked: makes the request from the wall clock (ms) and the environment.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[messages]}"),
        TimeRemainingColumn(),
        console=ERRORS,
        transient=True,
        disable=not ERRORS.is_terminal,
    )
    try:
        request = asked(wall_clock(), os.environ)
        start, until = request.order.start, request.order.until
        task = bar.add_task("", total=None if until is None else until - start, messages="")

        def progress(at: int, messages: int) -> None:
            bar.update(task, completed=at - start, description=rfc3339(at), messages=messages)

        with bar:
            summary = execute(request, lambda fleet: _announce(request, fleet), progress=progress)
    except Refused as refused:
        refuse(refused.key, **refused.facts)
    except BrokerUnreachable as error:
        refuse("broker", reason=error)
    except (OSError, ValueError) as error:
        fail(error)
    stopped = SAY("run.stopped") if summary.stopped else ""
    done = SAY(
        "run.done",
        messages=summary.messages,
        devices=summary.devices,
        device_days=f"{summary.device_days:.4g}",
        events=summary.events,
    )
    ERRORS.print(stopped + done, markup=False)


def _announce(request: Request, fleet: Fleet) -> None:
    """Says on standard error what begins."""
    order = request.order
    named = sorted({choice.cheat for choice in order.choices})
    cheats = ", ".join(named) or SAY("run.no_cheats")
    facts = {"devices": len(fleet.devices), "kinds": ", ".join(order.kinds), "seed": order.seed}
    ERRORS.print(SAY("run.started", **facts, cheats=cheats), markup=False)
    start = rfc3339(order.start)
    if request.broker is not None:
        where = SAY(
            "run.to_broker", host=request.broker.host, port=request.broker.port, start=start
        )
    else:
        until = "" if order.until is None else rfc3339(order.until)
        where = SAY("run.to_file", output=request.output, start=start, until=until)
    ERRORS.print(where, markup=False)
