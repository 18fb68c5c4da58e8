"""``gateway export``: what the store holds, in files that others read."""

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from gateway import log as logs
from gateway.casebook import FILE_NAME, Casebook
from gateway.checks import CATALOGUE
from gateway.cli.export_url import fetch
from gateway.cli.output import Data, examples, existing, moment, progress_console
from gateway.devices import Registry
from gateway.errors import ConfigError
from gateway.flags.query import Desk, with_status
from gateway.quality.codes import QUALITY_CODES, code_of
from gateway.quantities import KINDS
from gateway.records import Flag
from gateway.store.asked import open_store
from gateway.store.export import (
    export_devices,
    export_flags,
    export_quarantine,
    export_readings,
)
from gateway.store.reading import StoreReader

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class What(StrEnum):
    """What can be exported."""

    READINGS = "readings"
    FLAGS = "flags"
    QUARANTINE = "quarantine"
    DEVICES = "devices"


class QualityCodes(StrEnum):
    """Whose codes of quality."""

    ESPI = "espi"
    IEC_61968_9 = "iec61968-9"


class Format(StrEnum):
    """How it is written; lp is InfluxDB line protocol."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    LP = "lp"


@app.command(
    epilog=examples(
        "gateway export readings --data data --kind water_meter -o readings.jsonl",
        "gateway export flags --data data --code amount_mismatch --since 2026-03-01",
        "GATEWAY_TOKEN=mgw_… gateway export flags --url https://gateway.example -o flags.csv",
    ),
)
def export(  # noqa: C901 - one place for the options of one command
    what: Annotated[What, typer.Argument(help="readings, flags, quarantine or devices")],
    *,
    data: Data = Path("data"),
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Default: by the suffix of the file, else jsonl."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File; default is standard output.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="RFC 3339 or a date (UTC); included.")] = None,
    until: Annotated[
        str | None, typer.Option(help="RFC 3339 or a date (UTC); not included.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Only this device.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind of instrument.")] = None,
    code: Annotated[str | None, typer.Option(help="Only this flag code.")] = None,
    url: Annotated[
        str | None,
        typer.Option(help="The API of a gateway elsewhere; its token in GATEWAY_TOKEN."),
    ] = None,
    quality_codes: Annotated[
        QualityCodes | None,
        typer.Option(help="Readings get a quality_code, in the codes of this system, too."),
    ] = None,
) -> None:
    """Writes readings, flags, quarantine or devices out of the store.

    Times are those of the measurement. The status of a flag is what people decided about it; else
    `suppressed`, where it lies in a window of known maintenance; else `open` or `ended`. What is
    absent is left out, never written as 0. While a gateway runs it is asked; nothing has to be
    stopped.
    """
    logs.configure("warning")
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: unknown kind {kind!r}; known are {', '.join(KINDS)}")
    if code is not None and code not in CATALOGUE:
        raise ConfigError(f"--code: unknown flag code {code!r}; known are {', '.join(CATALOGUE)}")
    given = {"since": since, "until": until, "device": device, "kind": kind, "code": code}
    _only_for(what, **given, **{"quality-codes": quality_codes})
    begin, end = moment(since, "--since"), moment(until, "--until")
    chosen = str(format_ or _by_suffix(output))
    if chosen == Format.LP and what not in (What.READINGS, What.FLAGS):
        raise ConfigError(
            f"export {what}: --format lp is for readings and flags, which have a time; "
            "take jsonl, csv or parquet"
        )
    if chosen == Format.LP and quality_codes is not None:
        raise ConfigError("--quality-codes: not with --format lp, whose fields are fixed")
    if url is not None:
        if quality_codes is not None:
            raise ConfigError("--quality-codes: not with --url")
        _from_elsewhere(url, what, chosen, given, output)
        return
    store = open_store(existing(data, "store.duckdb"))
    try:
        with _opened(output) as out:
            match what:
                case What.READINGS:
                    written = export_readings(
                        store,
                        out,
                        chosen,
                        kind=kind,
                        device_id=device,
                        since=begin,
                        until=end,
                        quality_codes=_codes(quality_codes),
                    )
                case What.FLAGS:
                    written = export_flags(
                        store,
                        out,
                        chosen,
                        titles={info.code: info.title for info in CATALOGUE.values()},
                        code=code,
                        device_id=device,
                        kind=kind,
                        since=begin,
                        until=end,
                        restate=_restated(store, data),
                    )
                case What.QUARANTINE:
                    written = export_quarantine(store, out, chosen)
                case What.DEVICES:
                    written = export_devices(store, out, chosen, _registry(data))
            out.flush()
    finally:
        store.close()
    progress_console().print(f"{what}: {written:,} written")


def _from_elsewhere(
    url: str, what: What, chosen: str, given: dict[str, str | None], output: Path | None
) -> None:
    if chosen == Format.LP:
        raise ConfigError("--format lp: not with --url; take jsonl, csv or parquet")
    with _opened(output) as out:
        size = fetch(url, str(what), chosen, given, out)
        out.flush()
    progress_console().print(f"{what}: {size:,} bytes")


def _registry(data: Path) -> Registry | None:
    """The registry beside the store, if there is one."""
    if not (data / FILE_NAME).exists():
        return None
    with Casebook(data) as casebook:
        return casebook.devices()


def _codes(scheme: QualityCodes | None) -> dict[str, int | str | None] | None:
    if scheme is None:
        return None
    return {word: code_of(word, str(scheme)) for word in QUALITY_CODES}


def _restated(store: StoreReader, data: Path) -> Callable[[Iterator[Flag]], Iterator[Flag]] | None:
    """What gives flags the status by people's decisions, if there is a casebook."""
    if not (data / FILE_NAME).exists():
        return None

    def restate(flags: Iterator[Flag]) -> Iterator[Flag]:
        with Casebook(data) as casebook:
            yield from with_status(Desk(store, casebook), flags)

    return restate


def _only_for(what: What, **given: str | None) -> None:
    """Options that would be silently without effect are refused."""
    allowed = {
        What.READINGS: {"since", "until", "device", "kind", "quality-codes"},
        What.FLAGS: {"since", "until", "device", "kind", "code"},
    }.get(what, set())
    stray = [name for name, value in given.items() if value is not None and name not in allowed]
    if stray:
        raise ConfigError(
            f"export {what}: --{' and --'.join(stray)} cannot be used here; "
            f"usable are {', '.join('--' + name for name in sorted(allowed)) or 'none'}"
        )


def _by_suffix(output: Path | None) -> str:
    suffix = output.suffix.removeprefix(".") if output else ""
    return suffix if suffix in list(Format) else Format.JSONL


class _Stdout:
    def __enter__(self) -> IO[bytes]:
        return sys.stdout.buffer

    def __exit__(self, *_failure: object) -> None:
        sys.stdout.buffer.flush()


def _opened(output: Path | None) -> IO[bytes] | _Stdout:
    if output is None or str(output) == "-":
        return _Stdout()
    try:
        return output.open("wb")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from None
