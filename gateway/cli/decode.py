"""``gateway decode``: one message, shown stage by stage."""

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from gateway import log as logs
from gateway.assembly import DataDirectory, make_decider, read_devices, read_profiles
from gateway.cases import enveloped
from gateway.checks import CATALOGUE
from gateway.cli.output import Json, Profiles, examples, read_bytes
from gateway.cli.spans import plain_span, show_spans
from gateway.errors import ConfigError
from gateway.explain import Candidate, Explanation, explain
from gateway.profiles import ProfileSet
from gateway.records import Device
from gateway.store.export import flag_record, reading_record
from gateway.times import nanoseconds, rfc3339

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
LARGEST_PAYLOAD = 64 * 1024 * 1024


@app.command(
    epilog=examples(
        "gateway decode --topic tele/desk/SENSOR message.json",
        "mosquitto_sub -t meters/# -C 1 | gateway decode --topic meters/110000/water_meter/w1/up -",
    ),
)
def decode(
    file: Annotated[
        Path | None, typer.Argument(help="The payload; - or nothing is standard input.")
    ] = None,
    *,
    topic: Annotated[str, typer.Option("--topic", help="The MQTT topic it came on.")],
    profile: Annotated[str | None, typer.Option("--profile", help="Try this profile only.")] = None,
    profiles: Profiles = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Take the registry of this data directory.")
    ] = None,
    hexadecimal: Annotated[
        bool,
        typer.Option("--hex", help="It is hexadecimal; of a LoRaWAN device its own bytes."),
    ] = False,
    port: Annotated[int, typer.Option(help="With --hex of a LoRaWAN device: its port.")] = 1,
    received_at: Annotated[
        str | None, typer.Option("--received-at", help="Time of receipt, RFC 3339; default: now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decides one message as the service would, and shows each stage.

    Profiles whose topic fits, the places that were read, readings in canonical units, flags that
    this message alone can raise, or why it would go to quarantine: then the status is 1.
    """
    logs.configure("warning")
    loaded = _chosen(read_profiles(profiles or ()), profile)
    payload = read_bytes(file, LARGEST_PAYLOAD)
    devices: dict[str, Device] = {}
    if data is not None:
        devices = read_devices(DataDirectory(data), None)
    decider = make_decider(loaded, devices, [path for path in profiles or () if path.is_dir()])
    at = received(received_at)
    if hexadecimal:
        payload = from_hex(payload)
        route = decider.route(topic)
        if route and payload[:1] != b"{":
            payload = enveloped(route[0][0].profile, payload, port, rfc3339(at))
    told = explain(decider, topic, payload, at)
    if as_json:
        typer.echo(msgspec.json.encode(_machine(told)))
    else:
        _show(told, topic, payload)
    if told.quarantined is not None:
        raise typer.Exit(1)


def _chosen(profiles: ProfileSet, name: str | None) -> ProfileSet:
    if name is None:
        return profiles
    if name not in profiles.profiles:
        known = ", ".join(sorted(profiles.profiles))
        raise ConfigError(f"--profile: no profile {name!r}; known are {known}")
    return ProfileSet({name: profiles.profiles[name]}, profiles.bases)


def from_hex(text: bytes) -> bytes:
    """Bytes that are written in hexadecimal; raises ConfigError."""
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise ConfigError(f"--hex: the input is not hexadecimal: {error}") from None


def received(text: str | None) -> int:
    """The time of receipt that an option says, in nanoseconds; raises ConfigError."""
    if text is None:
        return time.time_ns()
    try:
        return nanoseconds(text)
    except ValueError as error:
        raise ConfigError(f"--received-at: {error}") from None


def _flags(told: Explanation) -> list[dict[str, object]]:
    titles = {info.code: info.title for info in CATALOGUE.values()}
    return [flag_record(flag, titles) for flag in told.flags]


def _machine(told: Explanation) -> dict[str, object]:
    refused = told.quarantined
    return {
        "candidates": [_plain(candidate) for candidate in told.candidates],
        "decoded": told.whole,
        "bytes": [plain_span(span) for span in told.spans],
        "document": told.document,
        "readings": [reading_record(reading) for reading in told.readings],
        "flags": _flags(told),
        "ignored": told.ignored,
        "quarantined": refused
        and {"stage": refused.stage, "reason": refused.reason, "detail": refused.detail},
        "notes": told.notes,
    }


def _plain(candidate: Candidate) -> dict[str, object]:
    plain = dataclasses.asdict(candidate)
    return {key: value for key, value in plain.items() if key not in {"spans", "unread"}}


def _show(told: Explanation, topic: str, payload: bytes) -> None:
    out = Console(highlight=False)
    out.rule("[bold]message", align="left")
    out.print(Text(topic, style="cyan"))
    out.print(Text(f"{len(payload):,} bytes", style="dim"))
    out.rule("[bold]profiles whose topic fits", align="left")
    for candidate in told.candidates:
        out.print(_candidate(candidate))
    if not told.candidates:
        out.print("none", style="yellow")
    if told.spans:
        out.rule("[bold]bytes of the payload", align="left")
        show_spans(told.spans, told.unread)
    whole = [] if told.whole is None else [told.whole]
    sections = [
        (f"decoded: {told.protocol}", whole),
        ("document: the places that are read", [told.document] if told.document else []),
        (f"readings: {len(told.readings)}", [reading_record(reading) for reading in told.readings]),
        (f"flags: {len(told.flags)}", _flags(told)),
    ]
    for title, records in sections:
        if records:
            out.rule(f"[bold]{title}", align="left")
        for record in records:
            out.print_json(msgspec.json.encode(record).decode())
    if told.ignored:
        out.print("its profile names it as a message without readings", style="green")
    for note in told.notes:
        out.print(Text(note, style="dim"))
    if told.quarantined is not None:
        out.rule("[bold red]quarantine", align="left")
        refused = told.quarantined
        out.print(Text(f"{refused.stage}: {refused.reason}: {refused.detail}", style="red"))


def _candidate(candidate: Candidate) -> Text:
    line = Text(f"{candidate.profile}  ", style="bold")
    line.append(candidate.verdict, style="green" if candidate.verdict == "reads it" else "yellow")
    for name, level in candidate.levels.items():
        line.append(f"\n    {name} = {level}", style="dim")
    return line
