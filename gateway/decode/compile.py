"""From a profile's ``decode`` to one function: envelope, format, and the struct that is read.

JSON without an envelope goes straight from bytes into the struct (`gateway.decode.json`).  Any
other format is parsed into a plain document, which is then converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.decode.document import Context, Parse
from gateway.decode.json import parse_json, refusal
from gateway.errors import ProfileError
from gateway.profiles.binary import Binary
from gateway.profiles.formats import Format, Ts013
from gateway.profiles.models import Condition
from gateway.profiles.scalars import Among
from gateway.profiles.shape import Node

Documents = Callable[[bytes, Context], Any]
"""The struct of the profile's shape, or None where the envelope says that it is another's."""

# Imported where a profile asks for them: some bring large libraries that most gateways never need.
_MODULES: Final = {
    "binary": "binary",
    "cbor": "cbor",
    "cjt188": "cjt188",
    "csv": "csv_text",
    "dlms": "dlms",
    "dlt645": "dlt645",
    "dlt698": "dlt698",
    "dsmr": "dsmr",
    "mbus": "mbus",
    "msgpack": "msgpack",
    "ocmf": "ocmf",
    "ocpp": "ocpp",
    "senml": "senml",
    "sparkplug": "sparkplug",
    "wmbus": "wmbus",
}


def compile_parser(settings: Format, file: Path) -> Parse:
    """The parser of a format, by its settings; ``file`` is the profile's, beside its codec.

    Raises:
        ProfileError: the codec cannot be read or is no JavaScript.
    """
    name: str = settings.format  # type: ignore[attr-defined]
    if name == "json":
        limit = settings.max_bytes
        return lambda payload, _: parse_json(payload, limit)
    if isinstance(settings, Ts013):
        return _codec(settings, file)
    module = import_module(f"gateway.decode.{_MODULES[name]}")
    parse: Parse = getattr(module, f"compile_{name}")(settings)
    return parse


def _codec(settings: Ts013, file: Path) -> Parse:
    from gateway.decode.ts013 import compile_ts013  # noqa: PLC0415 - brings QuickJS along

    path = file.parent / settings.codec
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file}: decode.codec: {path}: {error}") from error
    try:
        parse: Parse = compile_ts013(settings, source)
    except ValueError as error:
        # It begins with the codec's name, and its line and column where there is one.
        raise ProfileError(f"{path.parent}/{error} (decode.codec of {file})") from error
    return parse


def compile_documents(
    parse: Parse,
    settings: Format,
    root: Node,
    expected: Mapping[tuple[Any, ...], Condition],
    inside: Mapping[tuple[Any, ...], Condition] | None = None,
) -> Documents:
    """A decoder for documents of this shape.

    Args:
        parse: the format's parser.
        settings: what the profile says under ``decode``.
        root: the shape; its ``type`` is what comes out.
        expected: conditions on the envelope, by their path below it: a message that fails them is
            not this profile's, unless the registry says that its device is.
        inside: the same for the document, where there is no envelope: it is asked before the
            document is converted, as many profiles may share a topic.
    """
    kind, convert = root.type, msgspec.convert
    outside, within = _tests(expected), _tests(inside or {})
    direct = _direct(settings, root)
    if settings.envelope is None:

        def plain(payload: bytes, context: Context) -> Any:  # noqa: ANN401 - made at run time
            try:
                document = parse(payload, context)
                if within and not context.registered and not _as_expected(document, within):
                    return None
                return convert(document, kind)
            except msgspec.ValidationError as error:
                raise refusal(error) from error

        return plain if direct is None else _first(direct, plain)

    from gateway.decode.envelope import open_envelope  # noqa: PLC0415 - see _MODULES

    opened = open_envelope(settings.envelope)

    def enveloped(payload: bytes, context: Context) -> Any:  # noqa: ANN401 - made at run time
        envelope, inner = opened(payload)
        if outside and not context.registered and not _as_expected(envelope, outside):
            return None
        context.envelope = envelope
        found = None if direct is None else direct(inner, context)
        if found is not None:
            return found
        document = parse(inner, context)
        named = document if isinstance(document, dict) else {"items": document}
        try:
            return convert({**named, "envelope": envelope}, kind)
        except msgspec.ValidationError as error:
            raise refusal(error) from error

    return enveloped


def _direct(settings: Format, root: Node) -> Parse | None:
    """A parser that makes the struct without a document between, where there is one."""
    if not isinstance(settings, Binary):
        return None
    from gateway.decode.binary import compile_direct  # noqa: PLC0415 - see _MODULES

    return compile_direct(settings, root)


def _first(direct: Parse, other: Documents) -> Documents:
    """The struct by the direct way, and by the other where that gives none."""

    def decode(payload: bytes, context: Context) -> Any:  # noqa: ANN401 - made at run time
        found = direct(payload, context)
        return other(payload, context) if found is None else found

    return decode


_Test = tuple[tuple[Any, ...], Callable[[Any], bool]]


def _tests(expected: Mapping[tuple[Any, ...], Condition]) -> tuple[_Test, ...]:
    """Each path with what its value must pass."""

    def test(condition: Condition) -> Callable[[Any], bool]:
        if condition.is_ == "present":
            return lambda value: value is not None
        if condition.is_ == "absent":
            return lambda value: value is None
        return Among(condition.in_ or ())

    return tuple((path, test(condition)) for path, condition in expected.items())


def _as_expected(document: Any, tests: tuple[_Test, ...]) -> bool:  # noqa: ANN401 - any document
    for path, test in tests:
        value = document
        for part in path:
            inside = isinstance(value, dict) and part in value
            value = value[part] if inside else None
        if not test(value):
            return False
    return True
