"""The envelope around a payload: opened once a message, however many profiles share the topic."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from gateway.decode.document import Context, Parse
from gateway.decode.lorawan import Opened, from_base64, open_lorawan
from gateway.errors import DecodeError
from gateway.profiles.doc import told_path
from gateway.profiles.formats import Cbor, Envelope, Json, MessagePack
from gateway.profiles.notation import Select

Open = Callable[[bytes], Opened]


@cache
def open_envelope(settings: Envelope | Literal["lorawan"]) -> Open:
    """A function from a message to the envelope's document and the payload in it.

    It remembers the last message: profiles that share a topic ask for the same one in turn.
    It raises DecodeError where the envelope or the encoding cannot be read.
    """
    fresh = open_lorawan if settings == "lorawan" else _compile(settings)
    last: list[Any] = [None, None]

    def opened(payload: bytes) -> Opened:
        if last[0] is not payload:
            # Only when it could be read: a refusal is raised for each that asks.
            result = fresh(payload)
            last[:] = payload, result
        found: Opened = last[1]
        return found

    return opened


def _compile(settings: Envelope) -> Open:
    if settings.payload is None:
        return lambda payload: ({}, _bytes(_text(payload), settings.encoding, ""))
    parse = _parser(settings.format)
    path, place = settings.payload, told_path(settings.payload)

    def opened(payload: bytes) -> Opened:
        document = parse(payload, Context())
        value: Any = document
        for part in path:
            value = _step(value, part)
        if value is None:
            raise DecodeError("missing_field", f"the envelope has no payload at `$.{place}`")
        raw = _bytes(value, settings.encoding, place)
        return document if isinstance(document, dict) else {"items": document}, raw

    return opened


def _text(payload: bytes) -> str:
    try:
        return payload.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise DecodeError("unparseable", f"the message is no plain text: {error}") from error


def _parser(name: str) -> Parse:
    from gateway.decode.compile import compile_parser  # noqa: PLC0415 - which asks for this module

    kinds = {"json": Json(), "cbor": Cbor(format="cbor"), "msgpack": MessagePack(format="msgpack")}
    return compile_parser(kinds[name], Path())


def _step(value: Any, part: str | int | Select) -> Any:  # noqa: ANN401 - any document
    if isinstance(part, Select):
        items = value if isinstance(value, list) else []
        fits = (
            item
            for item in items
            if isinstance(item, dict)
            and all(item.get(key) in choices for key, choices in part.wanted)
        )
        return next(fits, None)
    if isinstance(part, int):
        return value[part] if isinstance(value, list) and part < len(value) else None
    return value.get(part) if isinstance(value, dict) else None


def _bytes(value: object, encoding: str, place: str) -> bytes:
    if encoding == "base64":
        return from_base64(value)
    if not isinstance(value, str):
        raise DecodeError("wrong_type", f"`$.{place}` is a text, got {str(value)[:40]!r}")
    if encoding == "text":
        return value.encode("utf-8", "surrogatepass")
    # Byte strings of CBOR and MessagePack come as hexadecimal text, too.
    text = value.strip().removeprefix("0x").removeprefix("0X")
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise DecodeError("unparseable", f"`$.{place}` is no hexadecimal text: {error}") from error
