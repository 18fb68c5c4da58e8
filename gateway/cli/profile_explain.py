"""``gateway profile explain``: where each output of one message comes from."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from gateway.assembly import make_decider, read_profiles
from gateway.cases import default_topic, enveloped
from gateway.cli.decode import LARGEST_PAYLOAD, from_hex, received
from gateway.cli.output import Json, Profiles, examples, print_table, read_bytes
from gateway.cli.spans import offsets, plain_span, show_spans
from gateway.decode.document import Context
from gateway.errors import ConfigError, DecodeError
from gateway.profiles import Profile, ProfileSet
from gateway.profiles.explain import hint
from gateway.spans import Span
from gateway.times import rfc3339
from gateway.trace import Origin, Traced, bytes_of, document_of, trace, unread_of

EXAMPLES: Final = examples(
    "gateway profile explain acme-w20 message.json --profiles profiles",
    "gateway profile explain dlt645-2007-meter frame.hex --hex --json",
)
_TIMES: Final = ("measured_at", "started_at", "ended_at")
_MOST_UNREAD: Final = 40


def explain(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="Name of the profile.")],
    payload: Annotated[
        Path | None, typer.Argument(help="The payload; - or nothing is standard input.")
    ] = None,
    *,
    topic: Annotated[str | None, typer.Option(help="Its topic; default: the profile's.")] = None,
    as_hex: Annotated[
        bool,
        typer.Option("--hex", help="It is hexadecimal; of a LoRaWAN device its own bytes."),
    ] = False,
    port: Annotated[int, typer.Option(help="With --hex of a LoRaWAN device: its port.")] = 1,
    received_at: Annotated[
        str | None, typer.Option("--received-at", help="Time of receipt, RFC 3339; default: now.")
    ] = None,
    profiles: Profiles = None,
    as_json: Json = False,
) -> None:
    """Traces each output of one message to its place, its raw value and the rule in between.

    Of bytes it says which of them make which output, and which nothing reads. Ends with 1 when the
    profile refuses the message.
    """
    loaded = read_profiles(profiles or ())
    if name not in loaded.profiles:
        raise ConfigError(
            f"profile explain: no profile {name!r}{hint(name, list(loaded.profiles))}"
        )
    profile = loaded.profiles[name]
    decider = make_decider(
        ProfileSet({name: profile}, loaded.bases),
        {},
        [path for path in profiles or () if path.is_dir()],
    )
    chosen = topic or default_topic(profile)
    route = decider.route(chosen)
    if not route:
        raise ConfigError(f"profile explain: {name} does not match the topic {chosen!r}")
    plan, levels = route[0]
    message = read_bytes(payload, LARGEST_PAYLOAD)
    at = received(received_at)
    if as_hex:
        message = enveloped(profile, from_hex(message), port, rfc3339(at))
    context = Context(chosen, at, levels, registered=True)
    try:
        document = document_of(plan, message, context)
        traced = trace(plan, document, levels, at)
        spans = bytes_of(plan, message, context)
    except DecodeError as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    unread = [place for place, _ in unread_of(plan, document)]
    if as_json:
        told = {
            "document": document,
            "readings": [_plain(each) for each in traced],
            "bytes": [plain_span(span) for span in spans],
            "unread": unread,
        }
        typer.echo(msgspec.json.encode(told))
    else:
        _show(traced, spans, unread_of(plan, document), profile)
    if not traced:
        typer.secho("no block of the profile reads this message", fg="red", err=True)
        raise typer.Exit(1)


def _plain(traced: Traced) -> dict[str, object]:
    return {
        "event": traced.reading.event,
        "channel": traced.reading.channel,
        "outputs": [dataclasses.asdict(origin) for origin in traced.origins],
    }


def _show(
    traced: Sequence[Traced], spans: Sequence[Span], unread: list[tuple[str, Any]], profile: Profile
) -> None:
    for each in traced:
        reading = each.reading
        channel = f", channel {reading.channel}" if reading.channel else ""
        columns = ["output", "value", "from", "raw", "rule"]
        if spans:
            columns.insert(3, "bytes")
        print_table(
            f"{reading.event} of {reading.device_id}{channel}",
            columns,
            [_row(origin, spans) for origin in each.origins],
        )
    if spans:
        show_spans(spans, {place for place, _ in unread})
    elif unread:
        out = Console(highlight=False, soft_wrap=True)
        out.print(Text(f"not read by {profile.name}:", style="yellow"))
        for place, value in unread[:_MOST_UNREAD]:
            out.print(Text(f"  {place}: {str(value)[:60]}", style="dim"))
        if len(unread) > _MOST_UNREAD:
            out.print(Text(f"  and {len(unread) - _MOST_UNREAD} more", style="dim"))


def _row(origin: Origin, spans: Sequence[Span]) -> list[str]:
    value = f"{origin.value} {origin.unit}".strip()
    if origin.name in _TIMES:
        value = rfc3339(int(str(origin.value)))
    raw = "" if origin.raw is None else str(origin.raw)
    row = [origin.name, value, origin.place, raw, origin.rule]
    if spans:
        row.insert(3, _offsets(origin.place, spans))
    return row


def _offsets(place: str, spans: Sequence[Span]) -> str:
    """The offsets of the bytes that make up a value."""
    wanted = set(place.split(", "))
    return ", ".join(
        offsets(span) for span in spans if span.what == "value" and wanted & set(span.places)
    )
