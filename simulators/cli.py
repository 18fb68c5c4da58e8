"""The command ``simulate``: list, run, score, recorded."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import structlog
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from simulators.capture import BadLine, capture_lines, json_line, objects, writing
from simulators.catalogue import KINDS
from simulators.clock import MINUTE, SECOND, parse_duration, rfc3339
from simulators.fleet import Fleet
from simulators.line import Troubles
from simulators.options import Options, Refused, Where
from simulators.publish import BrokerUnreachable
from simulators.recorded import Recorded, nyc_taxi, water_flow
from simulators.run import Request, execute, wall_clock
from simulators.score import CodeScore, Score, read_flags, read_truth, score
from simulators.texts import LANGUAGES, Texts, language

_SAY = Texts(language(None))
_ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)

app = typer.Typer(
    help=_SAY("app.help"),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _examples(*lines: str) -> str:
    """Examples below a help text, each on its own line."""
    return "\n\n".join((_SAY("run.example"), *(f"`{line}`" for line in lines)))


def _refuse(key: str, **facts: object) -> NoReturn:
    """Says what was used wrongly and leaves with 2."""
    _ERRORS.print(_SAY("error.prefix") + _SAY(f"error.{key}", **facts), style="red", markup=False)
    raise typer.Exit(2)


def _fail(error: Exception) -> NoReturn:
    said = str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        said = f"{error.filename}: {error.strerror}"
    _ERRORS.print(_SAY("error.prefix") + said, style="red", markup=False)
    raise typer.Exit(2)


@app.command("list", help=_SAY("list.help"), epilog=_examples("simulate list --lang zh"))
def list_(
    lang: Annotated[str | None, typer.Option(help=_SAY("list.lang"), metavar="en|zh")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help=_SAY("list.json"))] = False,
) -> None:
    """Kinds of instruments, and what can be wrong with them."""
    if lang is not None and lang not in LANGUAGES:
        _refuse("lang", got=lang, known=", ".join(LANGUAGES))
    say = Texts(language(lang))
    if json:
        kinds = {
            name: {
                "name": say(f"kind.{name}.name"),
                "what": say(f"kind.{name}.what"),
                "interval_s": kind.interval // SECOND,
                "cheats": {
                    cheat: {"code": made.code, "what": say(f"cheat.{cheat}")}
                    for cheat, made in kind.cheats.items()
                },
            }
            for name, kind in KINDS.items()
        }
        sys.stdout.write(msgspec.json.encode(kinds).decode() + "\n")
        return
    console = Console(highlight=False)
    for name, kind in KINDS.items():
        title = say("list.title", kind=name, name=say(f"kind.{name}.name"))
        console.print(f"[bold]{title}[/bold]")
        what = say(f"kind.{name}.what")
        console.print(say("list.every", what=what, interval=_minutes(kind.interval)))
        table = Table(expand=False)
        for heading in ("list.cheat", "list.does", "list.code"):
            # Chinese has no spaces to break at: without "fold" the end of a text would be cut off
            table.add_column(say(heading), overflow="fold", no_wrap=heading != "list.does")
        for cheat, made in kind.cheats.items():
            code = made.code or say("list.no_code")
            table.add_row(f"[cyan]{cheat}[/cyan]", say(f"cheat.{cheat}"), code)
        console.print(table)
    console.print(say("list.hint", kind="fuel_dispenser", cheat="amount_raised"), soft_wrap=True)


def _minutes(span: int) -> str:
    return f"{span // MINUTE} min"


_WHAT: dict[str, Any] = {"rich_help_panel": _SAY("run.group_what")}
_WHEN: dict[str, Any] = {"rich_help_panel": _SAY("run.group_when")}
_WHERE: dict[str, Any] = {"rich_help_panel": _SAY("run.group_where")}
_TROUBLE: dict[str, Any] = {"rich_help_panel": _SAY("run.group_trouble")}

_RUN_EXAMPLES = _examples(
    "simulate run taximeter --days 3 -o trips.jsonl.zst",
    "simulate run all --devices 100 --cheat all:0.02 --days 2 -o capture.jsonl"
    " --truth truth.jsonl --registry registry.jsonl",
    "simulate run fuel_dispenser --cheat amount_raised:0.2 --cheat sales_hidden"
    " --broker mqtt://localhost:1883 --speed x60",
)


@app.command(help=_SAY("run.help"), epilog=_RUN_EXAMPLES)
def run(
    kind: Annotated[
        str, typer.Argument(help=_SAY("run.kind", kinds=", ".join(KINDS)), show_default=False)
    ],
    *,
    devices: Annotated[
        int, typer.Option(min=1, max=1_000_000, help=_SAY("run.devices"), metavar="N", **_WHAT)
    ] = 10,
    cheat: Annotated[
        list[str] | None, typer.Option(help=_SAY("run.cheat"), metavar="NAME:SHARE", **_WHAT)
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help=_SAY("run.interval"), metavar="DURATION", **_WHAT)
    ] = None,
    seed: Annotated[int, typer.Option(help=_SAY("run.seed"), metavar="N", **_WHAT)] = 1,
    region: Annotated[
        str, typer.Option(help=_SAY("run.region"), metavar="CODE", **_WHAT)
    ] = "110000",
    start: Annotated[
        str | None, typer.Option(help=_SAY("run.start"), metavar="TIME", **_WHEN)
    ] = None,
    days: Annotated[
        float, typer.Option(min=0, show_default=False, help=_SAY("run.days"), metavar="N", **_WHEN)
    ] = 0,
    hours: Annotated[
        float, typer.Option(min=0, show_default=False, help=_SAY("run.hours"), metavar="N", **_WHEN)
    ] = 0,
    speed: Annotated[
        str | None, typer.Option(help=_SAY("run.speed"), metavar="SPEED", **_WHEN)
    ] = None,
    cheats_after: Annotated[
        str | None, typer.Option(help=_SAY("run.cheats_after"), metavar="DURATION", **_WHEN)
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help=_SAY("run.broker"), metavar="URL", **_WHERE)
    ] = None,
    username: Annotated[
        str | None, typer.Option(help=_SAY("run.username"), metavar="NAME", **_WHERE)
    ] = None,
    password_env: Annotated[
        str | None, typer.Option(help=_SAY("run.password_env"), metavar="NAME", **_WHERE)
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option(help=_SAY("run.ca_file"), metavar="FILE", **_WHERE)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help=_SAY("run.output"), metavar="FILE", **_WHERE),
    ] = None,
    truth: Annotated[
        str | None, typer.Option(help=_SAY("run.truth"), metavar="FILE", **_WHERE)
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help=_SAY("run.registry"), metavar="FILE", **_WHERE)
    ] = None,
    duplicate_rate: Annotated[
        float,
        typer.Option(min=0, max=1, help=_SAY("run.duplicate_rate"), metavar="SHARE", **_TROUBLE),
    ] = 0.005,
    late_rate: Annotated[
        float, typer.Option(min=0, max=1, help=_SAY("run.late_rate"), metavar="SHARE", **_TROUBLE)
    ] = 0.005,
    restart_rate: Annotated[
        float, typer.Option(min=0, max=24, help=_SAY("run.restart_rate"), metavar="N", **_TROUBLE)
    ] = 0.1,
    outage_rate: Annotated[
        float, typer.Option(min=0, max=24, help=_SAY("run.outage_rate"), metavar="N", **_TROUBLE)
    ] = 0.05,
) -> None:
    """Runs a fleet into a broker or a capture."""
    options = Options(
        kind=kind,
        devices=devices,
        cheats=tuple(cheat or ()),
        cheats_after=cheats_after,
        seed=seed,
        start=start,
        days=days,
        hours=hours,
        interval=interval,
        region=region,
        troubles=Troubles(duplicate_rate, late_rate, restart_rate, outage_rate),
        where=Where(
            speed=speed,
            broker=broker,
            username=username,
            password_env=password_env,
            ca_file=ca_file,
            output=output,
            truth=truth,
            registry=registry,
        ),
    )
    try:
        request = options.request(wall_clock(), os.environ)
        summary = execute(request, lambda fleet: _announce(request, fleet))
    except Refused as refused:
        _refuse(refused.key, **refused.facts)
    except BrokerUnreachable as error:
        _refuse("broker", reason=error)
    except (OSError, ValueError) as error:
        _fail(error)
    stopped = _SAY("run.stopped") if summary.stopped else ""
    done = _SAY(
        "run.done",
        messages=summary.messages,
        devices=summary.devices,
        device_days=f"{summary.device_days:.4g}",
        events=summary.events,
    )
    _ERRORS.print(stopped + done, markup=False)


def _announce(request: Request, fleet: Fleet) -> None:
    """Says on standard error what begins."""
    order = request.order
    named = sorted({choice.cheat for choice in order.choices})
    cheats = ", ".join(named) or _SAY("run.no_cheats")
    facts = {"devices": len(fleet.devices), "kinds": ", ".join(order.kinds), "seed": order.seed}
    _ERRORS.print(_SAY("run.started", **facts, cheats=cheats), markup=False)
    start = rfc3339(order.start)
    if request.broker is not None:
        where = _SAY(
            "run.to_broker", host=request.broker.host, port=request.broker.port, start=start
        )
    else:
        until = "" if order.until is None else rfc3339(order.until)
        where = _SAY("run.to_file", output=request.output, start=start, until=until)
    _ERRORS.print(where, markup=False)


@app.command(
    "score",
    help=_SAY("score.help"),
    epilog=_examples(
        "simulate score flags.jsonl truth.jsonl --device-days 200",
        "gateway export flags --data DIR --format jsonl | simulate score - truth.jsonl --json",
    ),
)
def score_(
    flags: Annotated[str, typer.Argument(help=_SAY("score.flags"), show_default=False)],
    truth: Annotated[str, typer.Argument(help=_SAY("score.truth"), show_default=False)],
    *,
    json: Annotated[bool, typer.Option("--json", help=_SAY("score.json"))] = False,
    device_days: Annotated[
        float | None, typer.Option(min=0, help=_SAY("score.device_days"), metavar="N")
    ] = None,
    grace: Annotated[str, typer.Option(help=_SAY("score.grace"), metavar="DURATION")] = "1h",
    min_recall: Annotated[
        float | None, typer.Option(min=0, max=1, help=_SAY("score.min_recall"), metavar="SHARE")
    ] = None,
    max_false: Annotated[
        float | None, typer.Option(min=0, help=_SAY("score.max_false"), metavar="N")
    ] = None,
) -> None:
    """Compares flags with the truth."""
    try:
        result = score(
            read_flags(flags, objects(flags)),
            read_truth(truth, objects(truth)),
            device_days=device_days,
            grace=parse_duration(grace),
        )
    except (OSError, ValueError) as error:
        _fail(error)
    if json:
        sys.stdout.write(msgspec.json.encode(result.as_json()).decode() + "\n")
    else:
        _show_score(result)
    failures = _failures(result, min_recall, max_false)
    for failure in failures:
        _ERRORS.print(failure, style="red", markup=False)
    if failures:
        raise typer.Exit(1)


def _failures(result: Score, min_recall: float | None, max_false: float | None) -> list[str]:
    """What is worse than was wanted; no events is no recall to miss."""
    found = []
    recall, rate = result.overall.recall, result.overall.false_per_10000_device_days
    if min_recall is not None and recall is not None and recall < min_recall:
        what = _SAY("score.recall")
        found.append(_SAY("score.failed", what=what, got=recall, wanted=f">= {min_recall:g}"))
    if max_false is not None and rate is not None and rate > max_false:
        what = _SAY("score.rate")
        found.append(_SAY("score.failed", what=what, got=rate, wanted=f"<= {max_false:g}"))
    return found


def _show_score(result: Score) -> None:
    console = Console(highlight=False)
    rows = [(code, *_cells(tally)) for code, tally in result.codes.items()]
    rows.append((_SAY("score.overall"), *_cells(result.overall)))
    names = ("code", "found", "recall", "flags_column", "false", "rate", "delay")
    table = Table(title=_SAY("score.title"), box=None)
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        # headings may wrap between words, numbers may not
        heading = _SAY(f"score.{name}")
        justify: Literal["left", "right"] = "left" if name == "code" else "right"
        width = max(cell_len(text) for text in (*heading.split(), *cells))
        table.add_column(heading, justify=justify, width=width)
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_row(*rows[-1], style="bold")
    console.print(table)
    days = _SAY(f"score.days_{result.device_days_from}", days=f"{result.device_days:.4g}")
    console.print(days, soft_wrap=True)
    if result.overall.false_beside_fault:
        console.print(_SAY("score.beside"), soft_wrap=True)


def _cells(tally: CodeScore) -> list[str]:
    rate, delay = tally.false_per_10000_device_days, tally.delay_median_s
    return [
        f"{tally.found}/{tally.events}",
        "" if tally.recall is None else f"{tally.recall:.1%}",
        str(tally.flags),
        f"{tally.false} ({tally.false_beside_fault})" if tally.false else "0",
        "" if rate is None else f"{rate:.1f}",
        "" if delay is None else f"{delay:.0f} s",
    ]


@app.command(
    help=_SAY("recorded.help"),
    epilog=_examples("simulate recorded nyc-taxi nyc-taxi-trips.csv -o trips.jsonl"),
)
def recorded(
    series: Annotated[str, typer.Argument(help=_SAY("recorded.series"), show_default=False)],
    file: Annotated[str, typer.Argument(help=_SAY("recorded.file"), show_default=False)],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help=_SAY("recorded.output"), metavar="FILE", show_default=False
        ),
    ],
    registry: Annotated[
        str | None, typer.Option(help=_SAY("recorded.registry"), metavar="FILE")
    ] = None,
    region: Annotated[str, typer.Option(help=_SAY("run.region"), metavar="CODE")] = "110000",
) -> None:
    """Turns a measured series into a capture."""
    try:
        found = _recorded(series, file, region)
        with writing(output) as stream:
            for block in capture_lines(found.messages):
                stream.write(block)
        if registry:
            with writing(registry) as stream:
                stream.write(b"".join(map(json_line, found.registry)))
    except (OSError, BadLine) as error:
        _fail(error)
    counts = {"messages": len(found.messages), "devices": len(found.registry)}
    _ERRORS.print(_SAY("recorded.done", **counts), markup=False)


def _recorded(series: str, file: str, region: str) -> Recorded:
    if series == "nyc-taxi":
        return nyc_taxi(file)
    if series == "water-flow":
        return water_flow(file, region)
    _refuse("series", got=series, known="nyc-taxi, water-flow")


def main() -> None:
    """Entry point of the command."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    # paho tells of every broken link by itself; the publisher says it once, in its own words
    logging.getLogger("mqtt").addHandler(logging.NullHandler())
    app(prog_name="simulate")
