"""``gateway quality``: how good the data are, by the terms of GB/T 36344."""

import csv
import datetime as dt
import io
import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from gateway.casebook import FILE_NAME, Casebook
from gateway.cli import quality_report as report
from gateway.cli.output import Data, Json, Profiles, examples, existing
from gateway.devices import Registry
from gateway.errors import ConfigError
from gateway.messages import Texts, language
from gateway.quality.assess import (
    BY,
    Detail,
    Instruments,
    assess,
    assessment_line,
    detail,
    terms_of,
)
from gateway.quality.counts import Terms, latest_receipt
from gateway.quality.dimensions import Counts, Scores
from gateway.registry.tables import read_versions
from gateway.store.asked import open_store
from gateway.store.export import rfc3339
from gateway.store.reading import StoreReader

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

By = StrEnum("By", {name.upper(): name for name in BY})  # type: ignore[misc]
_MOST_DAYS = 400


class Lang(StrEnum):
    """The language of what is shown."""

    EN = "en"
    ZH = "zh"


@app.command(
    epilog=examples(
        "gateway quality --data data --date 2026-03-01",
        "gateway quality --data data --by region --since 2026-03-01 --until 2026-04-01 --total",
        "gateway quality --data data --by firmware --date 2026-03-01",
        "gateway quality --data data --device em-110000-00001 --date 2026-03-01",
    ),
)
def quality(  # noqa: PLR0917 - typer takes its options so
    data: Data = Path("data"),
    by: Annotated[By, typer.Option(help="What is assessed.")] = By.DEVICE,  # type: ignore[attr-defined]
    date: Annotated[
        str | None, typer.Option(help="One day; default: that of the latest receipt.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="First day; included.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day; not included.")] = None,
    total: Annotated[bool, typer.Option("--total", help="All days as one.")] = False,
    device: Annotated[str | None, typer.Option(help="What is behind one device's quality.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone in which days begin.")] = "Asia/Shanghai",
    on_time: Annotated[
        float, typer.Option(min=0, help="Minutes after which a reading is late.")
    ] = 10,
    profiles: Profiles = None,
    lang: Annotated[
        Lang | None, typer.Option("--lang", help="Language of the texts; default: by the locale.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
    json: Json = False,
) -> None:
    """Tells how good the data are, by the terms of GB/T 36344-2018, with the counts behind it.

    Completeness, accuracy, consistency, timeliness, conformity and traceability are shares from 0
    to 1; what cannot be judged is left out, never written as 0 or 1. With --json one object a
    line. The formulas are in gateway/quality/README.md.
    """
    if json and as_csv:
        raise ConfigError("--json or --csv, not both")
    if device is not None and as_csv:
        raise ConfigError("--device has more than one table: take --json")
    where = _zone(zone)
    store = open_store(
        existing(data, "store.duckdb"), memory_limit="2GB", threads=min(8, os.cpu_count() or 1)
    )
    try:
        devices, terms = _people(data, round(on_time * 60e9), device)
        first, last = _days(store, where, date, since, until)
        texts = Texts(language(None if lang is None else str(lang)))
        if device is not None:
            told = detail(store, devices, first, last, zone=where, terms=terms)
            if json:
                typer.echo(msgspec.json.encode(_detail_line(told)))
            else:
                report.print_detail(told, (first, last, zone), texts)
            return
        found = assess(
            store, devices, first, last, zone=where, by=str(by), terms=terms, total=total,  # type: ignore[arg-type]
            instruments=Instruments(devices, _of_profile(by, profiles)),
        )  # fmt: skip
    finally:
        store.close()
    lines = (assessment_line(each, str(by)) for each in found)  # type: ignore[arg-type]
    if json:
        for line in lines:
            typer.echo(msgspec.json.encode(line))
    elif as_csv:
        sys.stdout.write(_csv(lines, str(by)))
    else:
        report.print_assessments(found, (first, last, zone), texts)


def _people(data: Path, on_time: int, device: str | None) -> tuple[Registry, Terms]:
    """The registry, and the flags that people dismissed, if there is a casebook."""
    if not (data / FILE_NAME).exists():
        return Registry(), terms_of(None, on_time=on_time, device_id=device)
    with Casebook(data) as casebook:
        devices = casebook.devices() if device is None else _one(casebook, device)
        return devices, terms_of(casebook, on_time=on_time, device_id=device)


def _one(casebook: Casebook, device_id: str) -> Registry:
    """The registry of one device, empty where that is not registered."""
    with casebook.transaction(reading=True) as connection:
        return read_versions(connection, [device_id])


def _of_profile(by: By, profiles: list[Path] | None) -> dict[str, tuple[str | None, str | None]]:
    """Vendor and model that profiles name; only read where they are asked for."""
    if str(by) not in {"vendor", "model", "firmware"}:
        return {}
    from gateway.assembly import read_profiles  # noqa: PLC0415 - loading profiles takes a second

    found: dict[str, tuple[str | None, str | None]] = {}
    for name, profile in read_profiles(profiles or ()).profiles.items():
        instrument = profile.model.instrument
        found[name.partition("@")[0]] = instrument.vendor, instrument.model
    return found


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--zone: no time zone {name!r}, such as Asia/Shanghai") from None


def _days(
    store: StoreReader,
    zone: dt.tzinfo,
    date: str | None,
    since: str | None,
    until: str | None,
) -> tuple[dt.date, dt.date]:
    """The first and the last day."""
    if date is not None and (since or until):
        raise ConfigError("--date is one day; --since and --until are several")
    if date is not None:
        day = _day(date, "--date")
        return day, day
    if since is None and until is None:
        latest = latest_receipt(store)
        if latest is None:
            raise ConfigError("the store has no readings; name a day with --date")
        day = dt.datetime.fromtimestamp(latest // 10**9, zone).date()
        return day, day
    if since is None:
        raise ConfigError("--until needs --since")
    first = _day(since, "--since")
    if until is None:
        latest = latest_receipt(store)
        end = dt.datetime.fromtimestamp((latest or 0) // 10**9, zone).date()
        last = max(first, end)
    else:
        last = _day(until, "--until") - dt.timedelta(days=1)
    if last < first:
        raise ConfigError(f"--until {until} is not after --since {since}")
    if (last - first).days >= _MOST_DAYS:
        raise ConfigError(f"at most {_MOST_DAYS} days at once")
    return first, last


def _day(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: {text!r} is no day, such as 2026-03-01") from None


def _detail_line(told: Detail) -> dict[str, Any]:
    return {
        **assessment_line(told.total),
        "days": [assessment_line(each) for each in told.days],
        "flags": [
            {
                "id": flag.id,
                "code": flag.code,
                "dimension": flag.dimension,
                "from": rfc3339(flag.since),
                "to": rfc3339(flag.until),
                "readings": flag.readings,
            }
            for flag in told.flags
        ],
        "quarantine": told.quarantine,
    }


def _csv(lines: Iterable[dict[str, Any]], by: str) -> str:
    text = io.StringIO()
    more = ["model"] if by == "firmware" else []
    columns = [by, *more, "date", "kind", *Scores.__struct_fields__, "expected"]
    writer = csv.DictWriter(text, [*columns, *Counts.__struct_fields__])
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
