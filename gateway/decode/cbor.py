"""CBOR payloads (RFC 8949): one data item, well formed, with nothing behind it."""

from __future__ import annotations

import io
from typing import Any

import cbor2

from gateway.decode.document import Context, Parse
from gateway.decode.plain import bounded, plain
from gateway.errors import DecodeError
from gateway.profiles.formats import Cbor


def compile_cbor(settings: Cbor) -> Parse:
    """A parser of CBOR; raises DecodeError as `gateway.decode.plain.plain`."""
    limit = settings.max_bytes

    def parse(payload: bytes, _context: Context) -> Any:  # noqa: ANN401 - any document
        bounded(payload, limit)
        return plain(load(payload))

    return parse


def load(payload: bytes) -> Any:  # noqa: ANN401 - what CBOR can say
    """The only data item of a payload; raises DecodeError ``unparseable`` or ``too_deep``."""
    stream = io.BytesIO(payload)
    try:
        value = cbor2.CBORDecoder(stream, tag_hook=_refuse_tag).decode()
    except RecursionError as error:
        raise DecodeError("too_deep", "nested deeper than the parser goes") from error
    except DecodeError:
        raise
    # The library raises nearly any error for bad input: of a tag's content, of a strange key.
    except Exception as error:
        if isinstance(error.__cause__, DecodeError):
            raise error.__cause__ from None
        told = " ".join(str(error).split())[:200] or type(error).__name__
        opening = payload[:16].hex(" ")
        raise DecodeError(
            "unparseable", f"no CBOR (RFC 8949): {told}; the payload begins {opening}"
        ) from error
    left = len(payload) - stream.tell()
    if left:
        raise DecodeError("unparseable", f"{left} bytes stand behind the CBOR item")
    return value


def _refuse_tag(*arguments: Any) -> Any:  # noqa: ANN401 - the library's hook
    tag = next((each for each in arguments if isinstance(each, cbor2.CBORTag)), None)
    number = tag.tag if tag is not None else "?"
    raise DecodeError("unparseable", f"CBOR tag {number} is none that a measurement needs")
