"""MessagePack payloads: one object, timestamps as the format's own extension (type -1).

Specification: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.decode.document import Context, Parse
from gateway.decode.plain import bounded, few, plain
from gateway.errors import DecodeError
from gateway.profiles.formats import MessagePack


def compile_msgpack(settings: MessagePack) -> Parse:
    """A parser of MessagePack.

    Returns:
        A function from bytes to a plain document.  Integer keys are text, byte strings are
        hexadecimal, timestamps RFC 3339 text.  It raises DecodeError ``too_large``,
        ``unparseable``, ``too_deep``, ``duplicate_key``, ``absurd_number`` or ``bad_time``.
    """
    limit = settings.max_bytes
    decode = msgspec.msgpack.Decoder(ext_hook=_refuse_extension).decode
    encode = msgspec.msgpack.Encoder().encode

    def parse(payload: bytes, _context: Context) -> Any:  # noqa: ANN401 - any document
        bounded(payload, limit)
        try:
            value = decode(payload)
            # The parser keeps the last of two equal keys without a word.  What is written again as
            # the same bytes had none; else (numbers in longer forms than need be) the pairs count.
            unique = encode(value) == payload
        except Exception as error:
            raise _refused(payload, error) from error
        few(payload, value)
        document = plain(value)  # which bounds the depth
        if not unique and _declared_pairs(payload) != _pairs(value):
            raise DecodeError(
                "duplicate_key", "a MessagePack map has a key twice, so it says two things"
            )
        return document

    return parse


def _refused(payload: bytes, error: Exception) -> DecodeError:
    """Why the library did not take a payload."""
    if isinstance(error, DecodeError):
        return error
    if isinstance(error, RecursionError):
        return DecodeError("too_deep", "MessagePack: nested deeper than the parser goes")
    told = " ".join(str(error).split())[:200] or type(error).__name__
    if "timestamp" in told.lower():
        return DecodeError("bad_time", f"MessagePack: {told}")
    opening = payload[:16].hex(" ")
    return DecodeError(
        "unparseable",
        f"no MessagePack: {told}; the payload of {len(payload)} bytes begins {opening}",
    )


def _refuse_extension(code: int, _data: memoryview) -> Any:  # noqa: ANN401 - the library's hook
    raise DecodeError(
        "unparseable",
        f"MessagePack extension {code} is the maker's own; only timestamps (-1) are read",
    )


# -- counting the pairs of all maps ------------------------------------------------------------

# By the first byte of an object: bytes after it that belong to it, and what stands in them:
# nothing that matters, or a length of so many bytes.
_FIXED: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
    **dict.fromkeys(range(0x80), 0), **dict.fromkeys(range(0xE0, 0x100), 0),
    **{0xA0 + length: length for length in range(32)},
    **dict.fromkeys(range(0x90, 0xA0), 0),
}  # fmt: skip
_LENGTH: Final = {
    0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4,
}  # fmt: skip
_EXTENSION: Final = frozenset({0xC7, 0xC8, 0xC9})
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAP: Final = {0xDE: 2, 0xDF: 4}


def _declared_pairs(payload: bytes) -> int:
    """How many pairs the maps of this payload say they have; it is known to be well formed.

    Objects follow each other without end marks, so that arrays need no attention.
    """
    at, pairs, end = 0, 0, len(payload)
    fixed = _FIXED
    while at < end:
        first = payload[at]
        at += 1
        size = fixed.get(first)
        if size is not None:
            at += size
        elif first < 0x90:
            pairs += first - 0x80
        elif first in _MAP:
            size = _MAP[first]
            pairs += int.from_bytes(payload[at : at + size], "big")
            at += size
        elif first in _ARRAY:
            at += _ARRAY[first]
        else:
            size = _LENGTH[first]
            at += size + int.from_bytes(payload[at : at + size], "big") + (first in _EXTENSION)
    return pairs


def _pairs(value: Any) -> int:  # noqa: ANN401 - what MessagePack can say
    """How many pairs all maps of a value have; its depth is bounded."""
    if isinstance(value, Mapping):
        # A key can be no map: the parser makes none that could be a key.
        return len(value) + sum(map(_pairs, value.values()))
    if isinstance(value, list):
        return sum(map(_pairs, value))
    return 0
