"""The command ``simulate``: list, run, fleet, score, recorded."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import structlog
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from simulators.capture import BadLine, capture_lines, json_line, objects, writing
from simulators.catalogue import KINDS
from simulators.clock import DAY, HOUR, MINUTE, SECOND, parse_duration, parse_time
from simulators.console import ERRORS, SAY, carry_out, examples, fail, refuse
from simulators.fleet_file import read_fleet
from simulators.line import Troubles
from simulators.options import Options, Where
from simulators.recorded import Recorded, nyc_taxi, water_flow
from simulators.run import Request
from simulators.score import CodeScore, Score, read_flags, read_truth, score
from simulators.texts import LANGUAGES, Texts, language

app = typer.Typer(
    help=SAY("app.help"),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command("list", help=SAY("list.help"), epilog=examples("simulate list --lang zh"))
def list_(
    lang: Annotated[str | None, typer.Option(help=SAY("list.lang"), metavar="en|zh")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help=SAY("list.json"))] = False,
) -> None:
    """Kinds of instruments, and what can be wrong with them."""
    if lang is not None and lang not in LANGUAGES:
        refuse("lang", got=lang, known=", ".join(LANGUAGES))
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


_WHAT: dict[str, Any] = {"rich_help_panel": SAY("run.group_what")}
_WHEN: dict[str, Any] = {"rich_help_panel": SAY("run.group_when")}
_WHERE: dict[str, Any] = {"rich_help_panel": SAY("run.group_where")}
_TROUBLE: dict[str, Any] = {"rich_help_panel": SAY("run.group_trouble")}

Start = Annotated[str | None, typer.Option(help=SAY("run.start"), metavar="TIME", **_WHEN)]
Speed = Annotated[str | None, typer.Option(help=SAY("run.speed"), metavar="SPEED", **_WHEN)]
ToBroker = Annotated[str | None, typer.Option(help=SAY("run.broker"), metavar="URL", **_WHERE)]
Username = Annotated[str | None, typer.Option(help=SAY("run.username"), metavar="NAME", **_WHERE)]
PasswordEnv = Annotated[
    str | None, typer.Option(help=SAY("run.password_env"), metavar="NAME", **_WHERE)
]
CaFile = Annotated[str | None, typer.Option(help=SAY("run.ca_file"), metavar="FILE", **_WHERE)]
Output = Annotated[
    str | None, typer.Option("--output", "-o", help=SAY("run.output"), metavar="FILE", **_WHERE)
]
TruthFile = Annotated[str | None, typer.Option(help=SAY("run.truth"), metavar="FILE", **_WHERE)]
RegistryFile = Annotated[
    str | None, typer.Option(help=SAY("run.registry"), metavar="FILE", **_WHERE)
]

_RUN_EXAMPLES = examples(
    "simulate run taximeter --days 3 -o trips.jsonl.zst",
    "simulate run all --devices 100 --cheat all:0.02 --days 2 -o capture.jsonl"
    " --truth truth.jsonl --registry registry.jsonl",
    "simulate run fuel_dispenser --cheat amount_raised:0.2 --cheat sales_hidden"
    " --broker mqtt://localhost:1883 --speed x60",
)


@app.command(help=SAY("run.help"), epilog=_RUN_EXAMPLES)
def run(
    kind: Annotated[
        str, typer.Argument(help=SAY("run.kind", kinds=", ".join(KINDS)), show_default=False)
    ],
    *,
    devices: Annotated[
        int, typer.Option(min=1, max=1_000_000, help=SAY("run.devices"), metavar="N", **_WHAT)
    ] = 10,
    cheat: Annotated[
        list[str] | None, typer.Option(help=SAY("run.cheat"), metavar="NAME:SHARE", **_WHAT)
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help=SAY("run.interval"), metavar="DURATION", **_WHAT)
    ] = None,
    seed: Annotated[int, typer.Option(help=SAY("run.seed"), metavar="N", **_WHAT)] = 1,
    region: Annotated[
        str, typer.Option(help=SAY("run.region"), metavar="CODE", **_WHAT)
    ] = "110000",
    start: Start = None,
    days: Annotated[
        float, typer.Option(min=0, show_default=False, help=SAY("run.days"), metavar="N", **_WHEN)
    ] = 0,
    hours: Annotated[
        float, typer.Option(min=0, show_default=False, help=SAY("run.hours"), metavar="N", **_WHEN)
    ] = 0,
    speed: Speed = None,
    cheats_after: Annotated[
        str | None, typer.Option(help=SAY("run.cheats_after"), metavar="DURATION", **_WHEN)
    ] = None,
    cheats_spread: Annotated[
        str | None, typer.Option(help=SAY("run.cheats_spread"), metavar="DURATION", **_WHEN)
    ] = None,
    broker: ToBroker = None,
    username: Username = None,
    password_env: PasswordEnv = None,
    ca_file: CaFile = None,
    output: Output = None,
    truth: TruthFile = None,
    registry: RegistryFile = None,
    duplicate_rate: Annotated[
        float,
        typer.Option(min=0, max=1, help=SAY("run.duplicate_rate"), metavar="SHARE", **_TROUBLE),
    ] = 0.005,
    late_rate: Annotated[
        float, typer.Option(min=0, max=1, help=SAY("run.late_rate"), metavar="SHARE", **_TROUBLE)
    ] = 0.005,
    restart_rate: Annotated[
        float, typer.Option(min=0, max=24, help=SAY("run.restart_rate"), metavar="N", **_TROUBLE)
    ] = 0.1,
    outage_rate: Annotated[
        float, typer.Option(min=0, max=24, help=SAY("run.outage_rate"), metavar="N", **_TROUBLE)
    ] = 0.05,
) -> None:
    """Runs a fleet into a broker or a capture."""
    options = Options(
        kind=kind,
        devices=devices,
        cheats=tuple(cheat or ()),
        cheats_after=cheats_after,
        cheats_spread=cheats_spread,
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
    carry_out(options.request)


_FLEET_EXAMPLES = examples(
    "simulate fleet simulators/fleets/district.yaml -o capture.jsonl.zst --truth truth.jsonl"
    " --registry registry.jsonl",
    "simulate fleet simulators/fleets/station.yaml --broker mqtt://localhost:1883 --speed x60",
    "simulate fleet simulators/fleets/honest.yaml --days 0.5 -o honest.jsonl",
)


@app.command("fleet", help=SAY("fleet.help"), epilog=_FLEET_EXAMPLES)
def fleet_(
    file: Annotated[str, typer.Argument(help=SAY("fleet.file"), show_default=False)],
    *,
    seed: Annotated[int | None, typer.Option(help=SAY("fleet.seed"), metavar="N", **_WHAT)] = None,
    start: Start = None,
    days: Annotated[
        float, typer.Option(min=0, show_default=False, help=SAY("fleet.days"), metavar="N", **_WHEN)
    ] = 0,
    hours: Annotated[
        float, typer.Option(min=0, show_default=False, help=SAY("run.hours"), metavar="N", **_WHEN)
    ] = 0,
    speed: Speed = None,
    broker: ToBroker = None,
    username: Username = None,
    password_env: PasswordEnv = None,
    ca_file: CaFile = None,
    output: Output = None,
    truth: TruthFile = None,
    registry: RegistryFile = None,
) -> None:
    """Runs the fleet of a file into a broker or a capture."""
    where = Where(
        speed=speed,
        broker=broker,
        username=username,
        password_env=password_env,
        ca_file=ca_file,
        output=output,
        truth=truth,
        registry=registry,
    )
    span = round(days * DAY + hours * HOUR)

    def asked(now: int, environment: Mapping[str, str]) -> Request:
        where.check()
        order = read_fleet(file, SAY).order(
            where, now, seed=seed, span=span, start=None if start is None else parse_time(start)
        )
        return where.request(order, environment)

    carry_out(asked)


@app.command(
    "score",
    help=SAY("score.help"),
    epilog=examples(
        "simulate score flags.jsonl truth.jsonl --device-days 200",
        "gateway export flags --data DIR --format jsonl | simulate score - truth.jsonl --json",
    ),
)
def score_(
    flags: Annotated[str, typer.Argument(help=SAY("score.flags"), show_default=False)],
    truth: Annotated[str, typer.Argument(help=SAY("score.truth"), show_default=False)],
    *,
    json: Annotated[bool, typer.Option("--json", help=SAY("score.json"))] = False,
    device_days: Annotated[
        float | None, typer.Option(min=0, help=SAY("score.device_days"), metavar="N")
    ] = None,
    grace: Annotated[str, typer.Option(help=SAY("score.grace"), metavar="DURATION")] = "1h",
    min_recall: Annotated[
        float | None, typer.Option(min=0, max=1, help=SAY("score.min_recall"), metavar="SHARE")
    ] = None,
    max_false: Annotated[
        float | None, typer.Option(min=0, help=SAY("score.max_false"), metavar="N")
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
        fail(error)
    if json:
        sys.stdout.write(msgspec.json.encode(result.as_json()).decode() + "\n")
    else:
        _show_score(result)
    failures = _failures(result, min_recall, max_false)
    for failure in failures:
        ERRORS.print(failure, style="red", markup=False)
    if failures:
        raise typer.Exit(1)


def _failures(result: Score, min_recall: float | None, max_false: float | None) -> list[str]:
    """What is worse than was wanted; no events is no recall to miss."""
    found = []
    recall, rate = result.overall.recall, result.overall.false_per_10000_device_days
    if min_recall is not None and recall is not None and recall < min_recall:
        what = SAY("score.recall")
        found.append(SAY("score.failed", what=what, got=recall, wanted=f">= {min_recall:g}"))
    if max_false is not None and rate is not None and rate > max_false:
        what = SAY("score.rate")
        found.append(SAY("score.failed", what=what, got=rate, wanted=f"<= {max_false:g}"))
    return found


def _show_score(result: Score) -> None:
    console = Console(highlight=False)
    rows = [(code, *_cells(tally)) for code, tally in result.codes.items()]
    rows.append((SAY("score.overall"), *_cells(result.overall)))
    names = ("code", "found", "recall", "flags_column", "false", "rate", "delay")
    table = Table(title=SAY("score.title"), box=None)
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        # headings may wrap between words, numbers may not
        heading = SAY(f"score.{name}")
        justify: Literal["left", "right"] = "left" if name == "code" else "right"
        width = max(cell_len(text) for text in (*heading.split(), *cells))
        table.add_column(heading, justify=justify, width=width)
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_row(*rows[-1], style="bold")
    console.print(table)
    days = SAY(f"score.days_{result.device_days_from}", days=f"{result.device_days:.4g}")
    console.print(days, soft_wrap=True)
    if result.overall.false_beside_fault:
        console.print(SAY("score.beside"), soft_wrap=True)


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
    help=SAY("recorded.help"),
    epilog=examples("simulate recorded nyc-taxi nyc-taxi-trips.csv -o trips.jsonl"),
)
def recorded(
    series: Annotated[str, typer.Argument(help=SAY("recorded.series"), show_default=False)],
    file: Annotated[str, typer.Argument(help=SAY("recorded.file"), show_default=False)],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help=SAY("recorded.output"), metavar="FILE", show_default=False
        ),
    ],
    registry: Annotated[
        str | None, typer.Option(help=SAY("recorded.registry"), metavar="FILE")
    ] = None,
    region: Annotated[str, typer.Option(help=SAY("run.region"), metavar="CODE")] = "110000",
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
        fail(error)
    counts = {"messages": len(found.messages), "devices": len(found.registry)}
    ERRORS.print(SAY("recorded.done", **counts), markup=False)


def _recorded(series: str, file: str, region: str) -> Recorded:
    if series == "nyc-taxi":
        return nyc_taxi(file)
    if series != "water-flow":
        refuse("series", got=series, known="nyc-taxi, water-flow")
    return water_flow(file, region)


def main() -> None:
    """Entry point of the command."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    # paho tells of every broken link by itself; the publisher says it once, in its own words
    logging.getLogger("mqtt").addHandler(logging.NullHandler())
    app(prog_name="simulate")
