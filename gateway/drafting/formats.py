"""The format of unknown messages, told by trying every decoder on them and on what is in them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.decode.compile import compile_parser
from gateway.decode.document import Context, Parse
from gateway.decode.lorawan import open_lorawan
from gateway.drafting.fields import words_of
from gateway.drafting.tables import tables_of
from gateway.drafting.text import path_text
from gateway.drafting.vocabulary import vocabulary
from gateway.errors import DecodeError
from gateway.profiles.models import FORMATS
from gateway.records import RawMessage
from gateway.spans import leaves

FEWEST: Final = 0.8
"""Share of the messages that a format must read to be taken for theirs."""

_NOWHERE: Final = Path()
_FRAMES: Final[tuple[dict[str, str], ...]] = (
    {"format": "dlt645"}, {"format": "dlt645", "edition": "1997"}, {"format": "dlt698"},
    {"format": "cjt188"}, {"format": "mbus"}, {"format": "wmbus"}, {"format": "dlms"},
)  # fmt: skip
_TEXTS: Final = ({"format": "ocmf"}, {"format": "dsmr"})
_SHORTEST: Final = 4
_DECODED: Final = (("object",), ("uplink_message", "decoded_payload"))


@dataclass
class Sniffed:
    """What the messages are made of.

    Attributes:
        decode: what a profile says under ``decode``; empty for plain JSON.
        documents: of the messages that can be read, with their numbers.
        inner: the payload inside of an envelope, by the message's number.
        below: where a network server's decoded object stands, and nothing else is of interest.
    """

    decode: dict[str, Any]
    documents: dict[int, Any]
    inner: dict[int, bytes] = field(default_factory=dict)
    below: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """The format's name."""
        return str(self.decode.get("format", "json"))

    @property
    def lorawan(self) -> bool:
        """Whether they come from a LoRaWAN network server."""
        return self.decode.get("envelope") == "lorawan"


def sniff(messages: Sequence[RawMessage]) -> Sniffed:
    """The format that most messages have; ``binary`` where none fits.

    Raises:
        DecodeError: text that no decoder reads.
    """
    for attempt in (_sparkplug, _json, _texts, _bytes):
        found = attempt(messages)
        if found is not None:
            return found
    if all(_is_text(message.payload) for message in messages):
        begins = messages[0].payload[:60].decode("utf-8", "replace")
        raise DecodeError(
            "unparseable",
            f"the messages are text that no decoder reads; the first begins {begins!r}. Formats of "
            "text are json, csv, senml, dsmr and ocmf: a profile says one under 'decode'",
        )
    return Sniffed({"format": "binary"}, {}, {i: m.payload for i, m in enumerate(messages)})


def _is_text(payload: bytes) -> bool:
    try:
        return _printable(payload.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _enough(found: dict[int, Any], messages: Sequence[RawMessage]) -> bool:
    return len(found) >= FEWEST * len(messages)


def _parser(settings: dict[str, Any]) -> Parse | None:
    model = FORMATS[settings["format"]]
    try:
        return compile_parser(model.model_validate(settings), _NOWHERE)
    except (ImportError, ValueError):
        return None


def _read(
    settings: dict[str, Any], messages: Sequence[RawMessage], inner: dict[int, bytes]
) -> dict[int, Any]:
    """The documents of the messages that this format reads."""
    parse = _parser(settings)
    found: dict[int, Any] = {}
    if parse is None:
        return found
    for i, payload in inner.items():
        try:
            document = parse(payload, Context(messages[i].topic, messages[i].received_at))
        except DecodeError:
            continue
        if isinstance(document, dict | list) and next(leaves(document), None) is not None:
            found[i] = document
    return found


def _sparkplug(messages: Sequence[RawMessage]) -> Sniffed | None:
    if not all(message.topic.startswith("spBv1.0/") for message in messages):
        return None
    whole = {i: message.payload for i, message in enumerate(messages)}
    found = _read({"format": "sparkplug"}, messages, whole)
    return Sniffed({"format": "sparkplug"}, found, whole) if _enough(found, messages) else None


# -- JSON, and what may be in it -----------------------------------------------------------------


def _json(messages: Sequence[RawMessage]) -> Sniffed | None:
    parse = _parser({"format": "json"})
    documents: dict[int, Any] = {}
    for i, message in enumerate(messages):
        try:
            documents[i] = parse(message.payload, Context()) if parse is not None else None
        except DecodeError:
            continue
    if not _enough(documents, messages):
        return None
    for attempt in (_lorawan, _calls, _senml, _enveloped):
        found = attempt(messages, documents)
        if found is not None:
            return found
    return Sniffed({}, documents)


def _lorawan(messages: Sequence[RawMessage], documents: dict[int, Any]) -> Sniffed | None:
    inner: dict[int, bytes] = {}
    for i, message in enumerate(messages):
        try:
            inner[i] = open_lorawan(message.payload)[1]
        except DecodeError:
            continue
    if len(inner) < FEWEST * len(messages):
        return None
    for below in _DECODED:
        objects = {i: _at(document, below) for i, document in documents.items()}
        if all(isinstance(each, dict) and each for each in objects.values()):
            return Sniffed({}, documents, inner, below)
    for settings in _FRAMES[:6]:
        found = _read(settings, messages, inner)
        if len(found) >= FEWEST * len(inner):
            return Sniffed({**settings, "envelope": "lorawan"}, found, inner)
    return Sniffed({"format": "binary", "envelope": "lorawan"}, {}, inner)


def _at(value: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _calls(messages: Sequence[RawMessage], documents: dict[int, Any]) -> Sniffed | None:
    """OCPP calls: ``[2, "id", "MeterValues", {...}]``."""
    calls = [d for d in documents.values() if isinstance(d, list) and len(d) > 2 and d[0] in (2, 3)]
    if len(calls) < FEWEST * len(documents):
        return None
    whole = {i: message.payload for i, message in enumerate(messages)}
    found = _read({"format": "ocpp"}, messages, whole)
    return Sniffed({"format": "ocpp"}, found, whole) if _enough(found, messages) else None


def _senml(messages: Sequence[RawMessage], documents: dict[int, Any]) -> Sniffed | None:
    """Arrays of records with the keys of RFC 8428."""
    keys = {"n", "bn", "v", "vs", "vb", "u", "t", "bt"}
    packs = [
        document
        for document in documents.values()
        if isinstance(document, list)
        and document
        and all(
            isinstance(r, dict) and {"n", "bn"} & r.keys() and keys & r.keys() for r in document
        )
    ]
    if len(packs) < FEWEST * len(documents):
        return None
    whole = {i: message.payload for i, message in enumerate(messages)}
    found = _read({"format": "senml"}, messages, whole)
    return Sniffed({"format": "senml"}, found, whole) if _enough(found, messages) else None


def _enveloped(messages: Sequence[RawMessage], documents: dict[int, Any]) -> Sniffed | None:
    """A text of the document that is a frame in hexadecimal or base64, or a record of its own."""
    first = next(iter(documents.values()))
    places = [place for place, value in _text_places(first, ()) if len(value) > 2 * _SHORTEST]
    for place in places:
        for encoding, open_ in _ENCODINGS.items():
            inner = _opened(documents, place, open_)
            if len(inner) < FEWEST * len(documents):
                continue
            choices = _TEXTS if encoding == "text" else _FRAMES
            for settings in choices:
                found = _read(settings, messages, inner)
                if len(found) >= FEWEST * len(inner):
                    envelope = {"payload": path_text(place), "encoding": encoding}
                    return Sniffed({**settings, "envelope": envelope}, found, inner)
    return _own_bytes(documents, places)


def _own_bytes(documents: dict[int, Any], places: list[tuple[str, ...]]) -> Sniffed | None:
    """Bytes of the maker's own in a field that is named so, where no other field is a number."""
    for place in places:
        if "".join(words_of(place[-1])) not in vocabulary().payload_keys:
            continue
        for encoding in ("hex", "base64"):
            inner = _opened(documents, place, _ENCODINGS[encoding])
            if len(inner) == len(documents):
                envelope = {"payload": path_text(place), "encoding": encoding}
                return Sniffed({"format": "binary", "envelope": envelope}, {}, inner)
    return None


def _text_places(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ANN401
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _text_places(inner, (*path, key))
    elif isinstance(value, str):
        yield path, value


def _opened(
    documents: dict[int, Any], place: tuple[str, ...], open_: Callable[[str], bytes | None]
) -> dict[int, bytes]:
    found = {}
    for i, document in documents.items():
        value = _at(document, place)
        opened = open_(value) if isinstance(value, str) else None
        if opened:
            found[i] = opened
    return found


def from_hex(text: str) -> bytes | None:
    """The bytes of hexadecimal text; None where it is none."""
    plain = re.sub(r"[\s:]", "", text).removeprefix("0x")
    if len(plain) < 2 * _SHORTEST or re.fullmatch(r"([0-9A-Fa-f]{2})+", plain) is None:
        return None
    return bytes.fromhex(plain)


def _from_base64(text: str) -> bytes | None:
    if len(text) % 4 or re.fullmatch(r"[A-Za-z0-9+/]{6,}={0,2}", text) is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


_ENCODINGS: Final[dict[str, Callable[[str], bytes | None]]] = {
    "hex": from_hex, "base64": _from_base64, "text": lambda text: text.encode(),
}  # fmt: skip


# -- texts and bytes -----------------------------------------------------------------------------


def _texts(messages: Sequence[RawMessage]) -> Sniffed | None:
    texts: dict[int, str] = {}
    for i, message in enumerate(messages):
        try:
            texts[i] = message.payload.decode("utf-8")
        except UnicodeDecodeError:
            continue
    if not _enough(texts, messages) or not all(map(_printable, texts.values())):
        return None
    opened = {i: raw for i, text in texts.items() if (raw := from_hex(text.strip())) is not None}
    if len(opened) >= FEWEST * len(texts):
        envelope = {"format": "text", "encoding": "hex"}
        for settings in _FRAMES:
            found = _read(settings, messages, opened)
            if len(found) >= FEWEST * len(opened):
                return Sniffed({**settings, "envelope": envelope}, found, opened)
        return Sniffed({"format": "binary", "envelope": envelope}, {}, opened)
    whole = {i: message.payload for i, message in enumerate(messages)}
    for settings in (*_TEXTS, *tables_of(list(texts.values()))):
        found = _read(settings, messages, whole)
        if _enough(found, messages):
            return Sniffed(dict(settings), found, whole)
    return None


def _printable(text: str) -> bool:
    return all(sign.isprintable() or sign in "\r\n\t\x02\x03" for sign in text)


def _bytes(messages: Sequence[RawMessage]) -> Sniffed | None:
    whole = {i: message.payload for i, message in enumerate(messages)}
    plain = ({"format": "senml"}, {"format": "cbor"}, {"format": "msgpack"})
    for settings in (*_FRAMES, *plain):
        found = _read(settings, messages, whole)
        if _enough(found, messages):
            return Sniffed(dict(settings), found, whole)
    return None
