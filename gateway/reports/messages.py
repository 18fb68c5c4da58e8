"""A raw message on paper: bytes and text, decoded stage by stage, and its place in the ledger."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gateway.assembly import make_decider
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles import ProfileSet
from gateway.reports.paper import Facts, Heading, Listing, Notice, Table, Text, wrapped
from gateway.reports.words import label, moment, value
from gateway.store.export import DEFAULT_CURRENCY
from gateway.trace import bytes_of, document_of, trace, unread_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.ledger.proof import Proof
    from gateway.messages import Texts
    from gateway.queries.seen import World
    from gateway.records import Flag
    from gateway.reports.paper import Block
    from gateway.spans import Span
    from gateway.trace import Origin, Traced

_A_LINE: Final = 16
_MOST_BYTES: Final = 4_096
"""Bytes of a payload that are printed; of a longer one the hash, and where it is kept."""
_DIGITS: Final = 64
_MOST_TRACED: Final = 12
_MOST_UNREAD: Final = 30
_MOST_TEXT: Final = 120


class Decoded(NamedTuple):
    """A message as the profile reads it."""

    traced: list[Traced]
    spans: list[Span]
    unread: list[str]
    profile: str
    sha256: str


def raw(texts: Texts, proof: Proof) -> Iterator[Block]:
    """The message as it came: topic, time, hash, bytes, and text where it is any."""
    message = proof.message
    yield Facts(
        [
            (label(texts("evidence.offset")), str(message.ledger_offset)),
            (texts("evidence.received"), moment(message.received_at)),
            (texts("evidence.topic"), message.topic),
            (texts("evidence.size"), f"{len(message.payload)} B"),
            (texts("evidence.payload_sha256"), proof.payload_sha256),
        ]
    )
    shown = message.payload[:_MOST_BYTES]
    yield Text(texts("evidence.hex"))
    yield Listing(_dump(shown))
    try:
        text = shown.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and sum(not c.isprintable() and c not in "\r\n\t" for c in text) == 0:
        yield Text(texts("evidence.text"))
        yield wrapped(text)
    if len(message.payload) > _MOST_BYTES:
        yield Notice(texts("evidence.cut", shown=_MOST_BYTES, size=len(message.payload)))


def _dump(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), _A_LINE):
        part = data[at : at + _A_LINE]
        seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{at:06x}  {part.hex(' '):<47}  {seen}")
    return "\n".join(lines)


def decoded(world: World, proof: Proof, profile: str) -> Decoded | str:
    """The message read by a profile (``name@version``), each output traced; or why it cannot be.

    It is decoded alone: a format that needs messages before it cannot be shown so.
    """
    name = profile.partition("@")[0]
    known = world.profiles.profiles.get(name)
    if known is None:
        return f"{profile}: not loaded"
    message = proof.message
    decider = make_decider(
        ProfileSet({name: known}, world.profiles.bases), world.directory.registry, ()
    )
    route = decider.route(message.topic)
    if not route:
        return f"{known.name}: does not match the topic"
    plan, levels = route[0]
    context = Context(message.topic, message.received_at, levels, decider.devices)
    try:
        document = document_of(plan, message.payload, context)
        return Decoded(
            trace(plan, document, levels, message.received_at),
            bytes_of(plan, message.payload, context),
            [place for place, _ in unread_of(plan, document)],
            known.id,
            known.digest,
        )
    except DecodeError as error:
        return str(error)


def stages(texts: Texts, found: Decoded, flag: Flag, *, whole: bool) -> Iterator[Block]:
    """Decoding on paper: what each byte is for, then each output with place, raw value and rule.

    Args:
        texts: of the language.
        found: the message as decoded now.
        flag: which is about one of its readings; of the others it is only said how many there are.
        whole: whether to tell what each byte is for.
    """
    yield Facts(
        [
            (texts("evidence.profile"), found.profile),
            (texts("evidence.profile_sha256"), found.sha256),
        ]
    )
    if found.profile != flag.profile:
        yield Notice(texts("evidence.other_profile", then=flag.profile, now=found.profile), "bad")
    if found.spans and whole:
        yield Text(texts("evidence.bytes"))
        columns = [
            label(texts(f"evidence.{each}")) for each in ("at_bytes", "hex_bytes", "for_what")
        ]
        rows = list(_bytes(texts, found.spans))
        yield Table(columns, rows, widths=[2, 7, 9])
    columns = [
        label(texts(f"evidence.{each}"))
        for each in ("output", "value", "place", "raw_value", "rule")
    ]
    about = [
        each
        for each in found.traced
        if each.reading.device_id == flag.device_id and each.reading.channel == flag.channel
    ] or found.traced
    for traced in about[:_MOST_TRACED]:
        reading = traced.reading
        channel = f" · {reading.channel}" if reading.channel else ""
        yield Text(
            texts("evidence.reading", event=reading.event, device=reading.device_id) + channel
        )
        rows = [_row(each, reading.currency) for each in traced.origins]
        yield Table(columns, rows, widths=[6, 5, 7, 5, 5])
    more = len(found.traced) - min(len(about), _MOST_TRACED)
    if more:
        yield Text(texts("evidence.more_readings", count=more))
    if found.unread:
        yield Text(
            texts("evidence.unread", places=", ".join(found.unread[:_MOST_UNREAD]))
            + (" …" if len(found.unread) > _MOST_UNREAD else "")
        )


def _bytes(texts: Texts, spans: list[Span]) -> Iterator[list[str]]:
    """Rows of bytes with their purpose; neighbours of one purpose are one row."""
    for purpose, group in groupby(spans, key=lambda span: _purpose(texts, span)):
        together = list(group)
        data = b"".join(span.data for span in together)
        first = together[0].start
        last = first + len(data) - 1
        where = str(first) if last == first else f"{first}-{last}"
        yield [where, _cut(data.hex(" ")), purpose]


def _purpose(texts: Texts, span: Span) -> str:
    what = texts.word("span", span.what)
    return ", ".join(span.places) if span.what == "value" else what


def _row(origin: Origin, currency: str | None) -> list[str]:
    unit = origin.unit.replace("CUR", currency or DEFAULT_CURRENCY)
    told = f"{value(origin.name, origin.value)} {unit}".strip()
    raw_value = "" if origin.raw is None else _plain(origin.raw)
    return [origin.name, told, _cut(origin.place), _cut(raw_value), origin.rule]


def _plain(given: Any) -> str:  # noqa: ANN401 - any document
    return given if isinstance(given, str) else msgspec.json.encode(given).decode()


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def chained(texts: Texts, proof: Proof) -> Iterator[Block]:
    """The place of the message in the chain of hashes, and how to compute it without us."""
    row = proof.row
    yield Facts(
        [
            (texts("evidence.batch"), str(row.batch)),
            (texts("evidence.batch_messages"), f"{row.first_offset} … {proof.last_offset}"),
            (texts("evidence.content_sha256"), row.content_hash.hex()),
            (texts("evidence.previous"), row.previous.hex()),
            (texts("evidence.chain"), row.chain.hex()),
        ]
    )
    if proof.fault is None:
        yield Notice(texts("evidence.verified"), "good")
    else:
        yield Notice(texts("evidence.not_verified", fault=proof.fault), "bad")
    file = f"batch-{row.batch}.msgpack"
    yield Heading(texts("evidence.check_title"))
    typed = texts("evidence.hex_of_payload")
    yield Text(texts("evidence.check_payload"))
    yield Listing(f"printf '%s' '<{typed}>' | xxd -r -p | sha256sum\n# {proof.payload_sha256}")
    yield Text(texts("evidence.check_chain"))
    yield Listing(
        f"printf '%s' {_typed(proof.preimage.hex())} | xxd -r -p | sha256sum\n# {row.chain.hex()}"
    )
    yield Text(texts("evidence.check_content", file=file, offset=proof.message.ledger_offset))
    yield Listing(
        f"sha256sum {file}\n# {row.content_hash.hex()}\n"
        f"tail -c +{proof.payload_at + 1} {file} | head -c {len(proof.message.payload)} | sha256sum"
        f"\n# {proof.payload_sha256}"
    )
    yield Text(texts("evidence.check_ledger"))


def _typed(digits: str) -> str:
    """Long hexadecimal as arguments that a shell joins again."""
    parts = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
    return " \\\n  ".join(parts)
