"""A vendor's LoRaWAN codec in JavaScript (LoRa Alliance TS013-1.0.0), run unmodified in QuickJS.

The codec has no host: no files, no network, no clock.  What it is given is the message.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import quickjs

from gateway.decode.document import Context, Document, Parse
from gateway.decode.plain import bounded
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013

MAX_MEMORY: Final = 32 * 1024 * 1024
MAX_SECONDS: Final = 0.1
MAX_STACK: Final = 256 * 1024
MAX_WORDS: Final = 300
"""Of an error's text as a vendor's codec says it."""

_ENTRY: Final = """
(function (codec) {
  "use strict";
  const stringify = JSON.stringify;
  const module = {exports: {}};
  const found = codec(module, module.exports);
  const all = Object.assign({}, found, module.exports);
  const entry = all.decodeUplink || all.Decode || all.Decoder;
  if (typeof entry !== "function") throw new TypeError("no decodeUplink");
  globalThis.decode__ = function (port, time, ...bytes) {
    let result;
    if (entry === all.decodeUplink) {
      result = entry({bytes, fPort: port, recvTime: new Date(time)});
    } else if (entry === all.Decode) {
      result = {data: entry(port, bytes, {})};
    } else {
      result = {data: entry(bytes, port)};
    }
    return stringify(result);
  };
})
"""
_NAMES: Final = ("decodeUplink", "Decode", "Decoder")


def compile_ts013(settings: Ts013, source: str) -> Parse:
    """A parser that runs a codec.

    Args:
        settings: what the profile says under ``decode``.
        source: the codec.

    Returns:
        A function from bytes to ``{"data": ..., "warnings": [...]}`` as the codec returned them.
        It raises DecodeError ``too_large``, ``codec_refused`` (the codec's own errors),
        ``codec_failed`` (an exception) or ``codec_stopped`` (beyond a limit).

    Raises:
        ValueError: the source is no JavaScript, or has none of the functions.
    """
    limit = settings.max_bytes
    try:
        call = _load(source)
    except quickjs.JSException as error:
        raise ValueError(_told(error)) from error
    loads = msgspec.json.Decoder().decode

    def parse(payload: bytes, context: Context) -> Document:
        nonlocal call
        bounded(payload, limit)
        envelope = context.envelope or {}
        port = envelope.get("f_port") or 1
        try:
            text = call(port, context.received_at / 1e6, *payload)
        except quickjs.StackOverflow as error:
            raise DecodeError("codec_stopped", _told(error)) from error
        except quickjs.JSException as error:
            told = _told(error)
            if told.startswith("InternalError"):
                call = _load(source)
                raise DecodeError("codec_stopped", told) from error
            raise DecodeError("codec_failed", told) from error
        if not isinstance(text, str):
            raise DecodeError("codec_failed", "the codec returned nothing")
        result = loads(text)
        if not isinstance(result, dict):
            raise DecodeError("codec_failed", "the codec returned no object")
        if result.get("errors"):
            raise DecodeError("codec_refused", str(result["errors"])[:MAX_WORDS])
        document: Document = {"data": result.get("data")}
        if result.get("warnings"):
            document["warnings"] = result["warnings"]
        return document

    return parse


def _load(source: str) -> Any:  # noqa: ANN401 - a function of QuickJS
    engine = quickjs.Context()
    engine.set_memory_limit(MAX_MEMORY)
    engine.set_max_stack_size(MAX_STACK)
    engine.set_time_limit(MAX_SECONDS)
    entry = engine.eval(_ENTRY)
    names = ",".join(f"{name}:typeof {name}=='function'?{name}:undefined" for name in _NAMES)
    codec = engine.eval(f"(function(module,exports){{{source}\n;return {{{names}}}}})")
    entry(codec)
    return engine.get("decode__")


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_WORDS]
