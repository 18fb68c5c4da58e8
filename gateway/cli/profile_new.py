"""``gateway profile new``: a first profile, from captured messages or from what it asks."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.prompt import Prompt

from gateway.assembly import read_profiles
from gateway.cli.decode import LARGEST_PAYLOAD
from gateway.cli.output import Profiles, counted, examples, progress_console, read_bytes
from gateway.config import packaged_profiles
from gateway.errors import ConfigError, DecodeError
from gateway.profiles.explain import hint
from gateway.profiles.schema import profile_schema
from gateway.quantities import KINDS
from gateway.records import RawMessage

EXAMPLES: Final = examples(
    "gateway profile new acme-w20 --from-capture acme.jsonl",
    "gateway profile new acme-w20 --from-capture message.json --topic acme/W20-0001/up",
    "gateway profile new acme-w20 --kind water_meter --vendor ACME --from-capture -",
    "gateway profile new",
)
_KINDS: Final = ", ".join(KINDS)
_SCHEMA: Final = "profile.schema.json"
_FEW: Final = 3


def new(
    name: Annotated[str | None, typer.Argument(help="Its name, such as acme-w20.")] = None,
    *,
    capture: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-capture",
            help="Messages of the device: a file of `gateway capture` or `mosquitto_sub -v`, or "
            "with --topic one payload; may be repeated.",
        ),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Topic of the captured payload, if it is one alone.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help=f"One of {_KINDS}.")] = None,
    vendor: Annotated[str | None, typer.Option(help="The maker.")] = None,
    model: Annotated[str | None, typer.Option(help="The model.")] = None,
    profiles: Profiles = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: NAME.yaml.")
    ] = None,
) -> None:
    """Writes a first profile: from captured messages, or from what it asks.

    It looks at real messages and guesses format, fields, units and registers; what only a person
    knows stands in the file as a numbered question. An existing file is never overwritten.
    """
    # The other commands on profiles need none of it: `check` is to answer within a second.
    from gateway.drafting.draft import About, draft  # noqa: PLC0415
    from gateway.drafting.messages import captured  # noqa: PLC0415

    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: no kind {kind!r}{hint(kind, list(KINDS))}")
    name = name or typer.prompt("Name of the profile, such as acme-w20")
    file = output or Path(f"{name}.yaml")
    if file.stem != name:
        raise ConfigError(f"-o {file}: the file must be named {name}.yaml, as the profile")
    if file.exists():
        raise ConfigError(f"{file} exists already; remove it, or choose another name")
    if not capture:
        kind = kind or Prompt.ask("Kind", choices=list(KINDS))
        vendor = vendor or typer.prompt("Maker", default="ACME")
        model = model or typer.prompt("Model", default=name)
        messages = _asked()
    else:
        messages = captured(capture, topic)
    _tell_readers(profiles, messages)
    try:
        drafted = draft(About(name, kind, vendor, model), messages, packaged_profiles())
    except DecodeError as error:
        raise ConfigError(f"profile new: {error.detail}") from None
    file.write_text(drafted.text, encoding="utf-8")
    schema_file = file.with_name(_SCHEMA)
    if not schema_file.exists():
        schema_file.write_text(json.dumps(profile_schema(), ensure_ascii=False), encoding="utf-8")
    out = progress_console()
    out.print(f"{file}: from {counted(len(messages), 'message')}", style="green")
    _tell_decided(drafted.decided)
    for number, question in enumerate(drafted.questions, 1):
        out.print(f"  {number}. {question}", markup=False)
    out.print(f"then: gateway profile check {file}; gateway profile test --profiles {file}")


def _asked() -> list[RawMessage]:
    """Messages that a person has as files: at least one, the more the better."""
    messages: list[RawMessage] = []
    topic = typer.prompt("Topic of one message, such as acme/W20-0001/up")
    sample = typer.prompt("File with the payload of that message")
    while sample:
        payload = read_bytes(Path(sample), LARGEST_PAYLOAD)
        messages.append(RawMessage(len(messages), time.time_ns(), topic, payload))
        sample = typer.prompt("File with another message (nothing: no more)", default="")
    return messages


def _tell_readers(profiles: list[Path] | None, messages: list[RawMessage]) -> None:
    """Says which profiles read the messages already: then two lines are all that is needed."""
    from gateway.drafting.draft import readers  # noqa: PLC0415 - see new

    found = readers(read_profiles(profiles or ()), messages)
    if found:
        progress_console().print(
            f"read already by {', '.join(found)}: a profile of your own may only need "
            f"'extends: {found[0]}' and its 'match'",
            style="yellow",
        )


def _tell_decided(decided: Counter[str]) -> None:
    """What the draft makes of the whole capture."""
    out = progress_console()
    refused = {why: count for why, count in decided.items() if why not in {"read", "ignored"}}
    if decided:
        out.print(
            f"of the capture: {decided['read']} read, {decided['ignored']} left out, "
            f"{sum(refused.values())} refused"
        )
    for why, count in list(refused.items())[:_FEW]:
        out.print(f"  {count} refused: {why}", style="yellow", markup=False)
