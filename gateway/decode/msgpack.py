"""MessagePack payloads: one object, timestamps as the format's own extension."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.decode.document import Context, Parse
from gateway.decode.plain import bounded, plain
from gateway.errors import DecodeError
from gateway.profiles.formats import MessagePack


def compile_msgpack(settings: MessagePack) -> Parse:
    """A parser of MessagePack; raises DecodeError as `gateway.decode.plain.plain`.

    Of two equal keys the parser keeps the last without a word; MessagePack has no cheap proof of
    unique keys as JSON has, so that is what happens.
    """
    limit = settings.max_bytes
    decode = msgspec.msgpack.Decoder(ext_hook=_refuse_extension).decode

    def parse(payload: bytes, _context: Context) -> Any:  # noqa: ANN401 - any document
        bounded(payload, limit)
        try:
            value = decode(payload)
        except DecodeError:
            raise
        except RecursionError as error:
            raise DecodeError("too_deep", "nested deeper than the parser goes") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError) as error:
            opening = payload[:16].hex(" ")
            raise DecodeError(
                "unparseable", f"no MessagePack: {error}; the payload begins {opening}"
            ) from error
        return plain(value)

    return parse


def _refuse_extension(code: int, _data: memoryview) -> Any:  # noqa: ANN401 - the library's hook
    raise DecodeError("unparseable", f"MessagePack extension {code} is none that is known")
