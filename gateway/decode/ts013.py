"""A vendor's LoRaWAN codec in JavaScript (LoRa Alliance TS013-1.0.0), run unmodified in QuickJS.

The engine is quickjs-ng, in this process: a call costs some microseconds, and regular expressions
can be stopped as loops can.  A codec has no host (no files, no network), and no clock: what it asks
the time is told when the message was received.

A codec cannot carry anything from one message to the next: its file is run anew for each, or is
one that nothing can change (ts013_kept.py); the surroundings are frozen; and what it leaves in the
global object is taken away.  So a message read again gives the same document, whatever was read
before it.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import quickjs

from gateway.decode.document import Context, Document, Parse
from gateway.decode.plain import bounded
from gateway.decode.ts013_kept import kept
from gateway.decode.ts013_source import modular, patched, script, strict_script
from gateway.errors import DecodeError
from gateway.profiles.formats import Ts013

MAX_BYTES: Final = 4096
"""Of a payload, where the profile says nothing: LoRaWAN has 242 at most."""

MAX_SOURCE: Final = 2 * 1024 * 1024
MAX_LOAD_S: Final = 1.0
MAX_LOAD_MEMORY: Final = 64 * 1024 * 1024
MAX_S: Final = 0.1
"""Of the processor, for one message: real codecs need a thousandth of it.

The engine counts the time of the whole process, other threads too."""
MAX_MEMORY: Final = 2 * 1024 * 1024
"""For one message, over what the loaded codec has."""
MAX_STACK: Final = 1024 * 1024
MAX_WORDS: Final = 300
"""Of an error's text as a codec says it."""
MAX_SIGNS: Final = 256 * 1024
"""Of a document, as JSON."""

# The codec begins on this line of what the engine is given, so that its lines are told from those
# of the host, which are all before it.
_FIRST_LINE: Final = 2001
_HOST: Final = tuple(
    Path(__file__).with_name(f"ts013_{part}.js").read_text("utf-8")
    for part in ("bounds", "buffer", "closed", "host")
)
_FRAME: Final = re.compile(r"<input>:(\d+)(?::(\d+))?")
# What the engine says of its limits, and how it is told.
_CALL_LIMITS: Final = {
    "InternalError: interrupted": f"ran longer than {MAX_S} s for one message",
    "InternalError: out of memory": f"asked for more than {MAX_MEMORY >> 20} MiB of memory",
    "RangeError: Maximum call stack size exceeded": "called itself too deep",
    "null": "threw null, as the engine does when memory is used up",
}
_LOAD_LIMITS: Final = {
    "InternalError: interrupted": f"ran longer than {MAX_LOAD_S:.0f} s when it was loaded",
    "InternalError: out of memory": f"asked for more than {MAX_LOAD_MEMORY >> 20} MiB of memory",
    "RangeError: Maximum call stack size exceeded": "called itself too deep when it was loaded",
}
# What is promised is never done, since a codec answers at once, but it takes memory: a codec that
# promises gets a new engine after so many messages.
_PROMISES: Final = re.compile(r"\b(?:async|await|Promise)\b")
_PROMISED: Final = 1000

# A kept codec that had to be asked again so often more than it answered is kept no longer.
_DOUBTS: Final = 1000
# A new engine counts as so many.
_SPOILED: Final = 20

Run = Callable[..., str]
"""``run(port, milliseconds, *bytes)``: see ``prepare`` and ``keep`` in ts013_host.js."""


def compile_ts013(settings: Ts013, source: str) -> Parse:
    """A parser that runs a codec.

    Args:
        settings: what the profile says under ``decode``.
        source: the codec.  It has ``decodeUplink(input)``, or the older ``Decode(fPort, bytes,
            variables)`` or ``Decoder(bytes, port)``, in this order; as a plain function, exported,
            or in an object named ``driver``, which goes before both.

    Returns:
        A function from bytes to ``{"data": ...}`` as the codec returned it (in JSON's sense: what
        is undefined is absent, NaN is null), with its ``warnings`` where it has some.  What
        ``decodeUplink`` returns without any of data, errors and warnings is the data, as it was
        before TS013.  It raises
        DecodeError ``too_large``, ``too_deep``, ``codec_refused`` (errors that the codec returned),
        ``codec_failed`` (an exception, or no document) or ``codec_stopped`` (a limit of time,
        memory or stack).

    Raises:
        ValueError: the source is no JavaScript, throws, or has none of the functions.
    """
    return Codec(settings, source).parse


class Codec:
    """A codec in its engine, which is made anew when a message broke it."""

    def __init__(self, settings: Ts013, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise ValueError(f"the codec has {len(source)} signs, at most {MAX_SOURCE}")
        self._name = Path(settings.codec).name
        self._limit = settings.max_bytes or MAX_BYTES
        self._port = settings.f_port
        self._variables = json.dumps(settings.variables) if settings.variables else ""
        self._source = source.removeprefix("\ufeff")
        self._modular = modular(self._source)
        self._patched = patched(self._source)
        self._promises = _PROMISES.search(self._source) is not None
        self._open = False
        self._used = 0
        self._run: Run | None = self._load()
        self._keeps = None if self._open else kept(self._source)
        self._doubts = 0
        self._kept: Run | None = self._keep()

    @property
    def keeps(self) -> bool:
        """Whether the codec's file is run once only, not anew for each message."""
        return self._keeps is not None

    def parse(self, payload: bytes, context: Context) -> Document:
        """See `compile_ts013`."""
        bounded(payload, self._limit)
        port, time = self._port, context.received_at // 1_000_000 * 1.0
        if context.envelope is not None:
            said = context.envelope.get("f_port")
            if type(said) is int and 0 <= said <= 255:
                port = said
            time = _received(context.envelope, time)
        text = self._called(port, time, payload)
        if text[0] != "{":
            raise self._refused(text[0], text[1:])
        try:
            document: Document = _loads(text)
        except RecursionError as error:
            raise DecodeError("too_deep", f"{self._name}: the document is nested deep") from error
        except msgspec.DecodeError as error:
            raise DecodeError("codec_failed", f"{self._name}: no Unicode text: {error}") from error
        return document

    def _refused(self, sign: str, said: str) -> DecodeError:
        """What a codec made in the place of a document, by the sign of ts013_host.js."""
        if sign == "!":
            return DecodeError("codec_refused", self._told(said, {}))
        if sign == "#":
            return DecodeError("codec_stopped", self._told(said, _CALL_LIMITS))
        if sign == "+":
            return DecodeError("too_large", self._told(said, {}))
        return DecodeError("codec_failed", self._told(said, {}))

    def _called(self, port: int, time: float, payload: bytes) -> str:
        """What the codec says; a limit that a used engine met is asked of a new one again.

        What messages before it left in the engine's memory must not decide.
        """
        if self._keeps is not None:
            text = self._called_kept(port, time, payload)
            if text:
                return text
        while True:
            used = self._used
            run = self._run or self._load()
            self._run, self._used = None, 0
            try:
                text = run(port, time, *payload)
            except (quickjs.JSException, UnicodeDecodeError) as error:
                text = "#" + self._placed(error)
            spoiled = text[0] == "~"
            if spoiled:
                text = text[1:]
            if text[0] != "#":
                kept = not self._open and (not self._promises or used < _PROMISED)
                if kept and not spoiled:
                    self._run, self._used = run, used + 1
                return text
            if not used:
                return text

    def _called_kept(self, port: int, time: float, payload: bytes) -> str:
        """What the kept codec says; empty where the message is to be read by a fresh run."""
        run = self._kept or self._keep()
        self._kept = None
        if run is None:
            return ""
        try:
            text = run(port, time, *payload)
        except (quickjs.JSException, UnicodeDecodeError):
            text = "~"
        if text[0] in "{!":
            self._kept = run
            self._doubts = max(0, self._doubts - 1)
            return text
        if text[0] == "^":
            self._kept = run
            self._doubts += 1
        else:
            self._doubts += _SPOILED
        if self._doubts > _DOUBTS:
            self._keeps = None
        return ""

    def _keep(self) -> Run | None:
        """A new engine with the codec in it that need not run its file again, where that may be."""
        if self._keeps is None:
            return None
        engine, host = self._engine()
        try:
            codec = engine.eval(strict_script(self._source, _FIRST_LINE, self._keeps))
            texts = json.dumps(self._keeps.texts)
            run = host("keep", codec, self._variables, self._modular, texts)
        except quickjs.JSException:
            run = "no strict mode"
        if not callable(run):
            self._keeps = None
            return None
        self._limit_calls(engine)
        called: Run = run
        return called

    def _engine(self) -> tuple[Any, Any]:
        """A new engine and what ts013_host.js gives in it."""
        engine = quickjs.Context()
        engine.set_memory_limit(MAX_LOAD_MEMORY)
        engine.set_max_stack_size(MAX_STACK)
        engine.set_time_limit(MAX_LOAD_S)
        bounds, buffer, closed, host = (engine.eval(part) for part in _HOST)
        watched = bounds()
        return engine, host(watched, buffer(watched), closed, MAX_WORDS, MAX_SIGNS)

    def _limit_calls(self, engine: Any) -> None:  # noqa: ANN401 - of QuickJS
        engine.set_time_limit(MAX_S)
        engine.set_memory_limit(engine.memory()["malloc_size"] + MAX_MEMORY)

    def _load(self) -> Run:
        """A new engine with the codec in it.

        Raises:
            ValueError: see `compile_ts013`.
        """
        engine, host = self._engine()
        try:
            codec = self._compiled(engine)
            run = host(
                "prepare",
                codec,
                _FIRST_LINE,
                self._variables,
                self._modular,
                self._open,
                self._patched,
            )
        except quickjs.JSException as error:
            raise ValueError(self._told(self._placed(error), _LOAD_LIMITS)) from error
        if run == "patches":
            # It alters what cannot be put back, so each message gets a new engine.
            self._open = True
            return self._load()
        if not callable(run):
            raise ValueError(self._told(run, _LOAD_LIMITS))  # noqa: TRY004 - it is a text
        self._limit_calls(engine)
        called: Run = run
        return called

    def _compiled(self, engine: quickjs.Context) -> Any:  # noqa: ANN401 - a function of QuickJS
        try:
            return engine.eval(script(self._source, _FIRST_LINE))
        except quickjs.JSException:
            # A file with `import` and `export` is none that a function can hold as it stands.
            converted = script(self._source, _FIRST_LINE, module=True)
            if converted is None:
                raise
            self._modular = True
            return engine.eval(converted)

    def _told(self, text: str, limits: Mapping[str, str]) -> str:
        """The codec's file before what was said, which begins with a line where that is known."""
        for words, plainly in limits.items():
            text = text.replace(words, plainly)
        shown = "".join(sign if sign.isprintable() else " " for sign in text)
        between = ":" if re.match(r"\d+:\d+:", shown) else ": "
        return f"{self._name}{between}{' '.join(shown.split())}"

    def _placed(self, error: Exception) -> str:
        """What the engine said, behind the place in the codec where it tells one."""
        said, _, stack = str(error).partition("\n")
        said = said[:MAX_WORDS]
        for line, column in _FRAME.findall(stack):
            at = int(line) - _FIRST_LINE + 1
            if at > self._source.count("\n") + 1:
                return f"SyntaxError: the file ends before its functions do ({said})"
            if at >= 1:
                return f"{at}:{column or 1}: {said}"
        return said


_loads: Final = msgspec.json.Decoder().decode


def _received(envelope: Any, otherwise: float) -> float:  # noqa: ANN401 - any document
    """When the network server received the uplink, in milliseconds since 1970 UTC."""
    said = envelope.get("received_at")
    if not isinstance(said, str):
        return otherwise
    try:
        when = dt.datetime.fromisoformat(said)
        return (when - _EPOCH) // _MILLISECOND * 1.0
    except (ValueError, TypeError):  # another form; without a zone
        return otherwise


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
