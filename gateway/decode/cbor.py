"""CBOR payloads (RFC 8949): one data item, valid, with nothing behind it.

The parser is cbor2.  Of its tags only those that say a plain value are read (times, numbers,
texts); all others are refused: shared references and string references would let a few bytes stand
for gigabytes, and regular expressions, MIME or sets are no data of a measurement.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, NoReturn

import cbor2
import msgspec

from gateway.decode.document import Context, Parse
from gateway.decode.plain import MAX_DEPTH, bounded, few, plain
from gateway.errors import DecodeError
from gateway.profiles.formats import Cbor

MAX_EXPONENT: Final = 64
"""Of a decimal fraction, ±: beyond it no register is scaled."""

_ASKED_AGAIN: Final = 16 * 1024
"""Of a payload whose fault is worth a second reading to tell where it is."""

_UNDEFINED: Final = b"\xf7"


def compile_cbor(settings: Cbor) -> Parse:
    """A parser of CBOR.

    Returns:
        A function from bytes to a plain document.  Integer keys are text, byte strings are
        hexadecimal, tagged times RFC 3339 text, decimal fractions numbers; ``undefined`` is absent.
        It raises DecodeError ``too_large``, ``unparseable``, ``too_deep``, ``duplicate_key``,
        ``absurd_number`` or ``bad_time``.
    """
    limit = settings.max_bytes

    def parse(payload: bytes, _context: Context) -> Any:  # noqa: ANN401 - any document
        bounded(payload, limit)
        value = load(payload)
        few(payload, value)
        return plain(value)

    return parse


def load(payload: bytes) -> Any:  # noqa: ANN401 - what CBOR can say
    """The only data item of a payload, as the library has it but for tags.

    Raises:
        DecodeError: ``unparseable``, ``too_deep``, ``duplicate_key``, ``absurd_number`` or
            ``bad_time``, with the byte where reading stopped.
    """
    stream = io.BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        stream, max_depth=MAX_DEPTH, allow_duplicate_keys=False, semantic_decoders=_TAGS
    )
    try:
        value = decoder.decode()
    # The library raises nearly any error for bad input: of a tag's content, of a strange key.
    except Exception as error:
        raise _refused(payload, error) from error
    end = stream.tell()
    if end != len(payload):
        raise DecodeError(
            "unparseable",
            f"{len(payload) - end} bytes stand behind the CBOR item, which ends at byte {end}",
        )
    return _without_undefined(value) if _UNDEFINED in payload else value


def _refused(payload: bytes, error: Exception) -> DecodeError:
    """Why the library did not take a payload."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DecodeError):
            return cause
        cause = cause.__cause__
    told = " ".join(str(error).split())[:200] or type(error).__name__
    if error.__cause__ is not None:
        told += f" ({' '.join(str(error.__cause__).split())[:100]})"
    if "nesting depth" in told or isinstance(error, RecursionError):
        return DecodeError("too_deep", f"CBOR: nested deeper than {MAX_DEPTH} levels")
    if "uplicate map key" in told:
        key = told.partition("key: ")[2]
        return DecodeError("duplicate_key", f"a CBOR map has the key {key} twice")
    # How far the library had read when it gave up: it must not read ahead, so it is asked again.
    if len(payload) <= _ASKED_AGAIN:
        stream = io.BytesIO(payload)
        try:
            cbor2.CBORDecoder(
                stream, max_depth=MAX_DEPTH, semantic_decoders=_TAGS, read_size=1
            ).decode()
        except Exception:  # noqa: BLE001 - the same as above
            told = f"{told}, before byte {stream.tell()} of {len(payload)}"
    opening = payload[:16].hex(" ")
    return DecodeError("unparseable", f"no CBOR (RFC 8949): {told}; the payload begins {opening}")


def _without_undefined(value: Any) -> Any:  # noqa: ANN401 - what CBOR can say
    """The value with ``undefined`` as null; the parser has bounded how deep it is."""
    if value is cbor2.undefined:
        return None
    if isinstance(value, Mapping):
        return {key: _without_undefined(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_undefined(item) for item in value]
    return value


# -- tags (RFC 8949 §3.4 and the IANA registry of CBOR tags) ------------------------------------

_TagDecoder = Callable[[Any, bool], Any]


class _Tags(dict[int, _TagDecoder]):
    """What each tag's content means; any that is not listed is refused, also the library's own."""

    def __missing__(self, tag: int) -> _TagDecoder:
        def refuse(_content: object, _immutable: bool) -> NoReturn:
            raise DecodeError(
                "unparseable", f"CBOR tag {tag} is none that says a time, a number or a text"
            )

        return refuse


def _itself(content: Any, _immutable: bool) -> Any:  # noqa: ANN401 - any content
    return content


def _date_time(content: object, _immutable: bool) -> str:
    """Tag 0: RFC 3339 text."""
    try:
        when = msgspec.convert(content, dt.datetime)
    except msgspec.ValidationError:
        when = None
    if when is None or when.tzinfo is None:
        raise DecodeError(
            "bad_time", f"CBOR tag 0 of {str(content)[:60]!r}, which is no RFC 3339 time"
        )
    return when.isoformat()


def _epoch(content: Any, _immutable: bool) -> str:  # noqa: ANN401 - any content
    """Tag 1: seconds since 1970 UTC."""
    if type(content) in {int, float}:
        with suppress(ValueError, OverflowError, OSError):
            return dt.datetime.fromtimestamp(content, dt.UTC).isoformat()
    raise DecodeError("bad_time", f"CBOR tag 1 of {str(content)[:60]!r}, no time in seconds")


def _day_number(content: Any, _immutable: bool) -> str:  # noqa: ANN401 - any content
    """Tag 100: days since 1970-01-01 (RFC 8943)."""
    if type(content) is int:
        with suppress(OverflowError):
            return (dt.date(1970, 1, 1) + dt.timedelta(days=content)).isoformat()
    raise DecodeError("bad_time", f"CBOR tag 100 of {str(content)[:60]!r}, no number of days")


def _day(content: object, _immutable: bool) -> str:
    """Tag 1004: full-date of RFC 3339 (RFC 8943)."""
    try:
        return msgspec.convert(content, dt.date).isoformat()
    except msgspec.ValidationError:
        raise DecodeError(
            "bad_time", f"CBOR tag 1004 of {str(content)[:60]!r}, which is no date (RFC 3339)"
        ) from None


def _unsigned_bignum(content: object, _immutable: bool) -> int:
    """Tag 2: most significant byte first."""
    if not isinstance(content, bytes):
        raise DecodeError("unparseable", "CBOR tag 2 or 3 (bignum) stands on no byte string")
    significant = content.lstrip(b"\0")
    if len(significant) > 8:
        raise DecodeError("absurd_number", f"a bignum of {len(significant)} bytes, at most 8")
    return int.from_bytes(significant, "big")


def _negative_bignum(content: object, immutable: bool) -> int:
    """Tag 3: -1 - n."""
    return -1 - _unsigned_bignum(content, immutable)


def _pair(tag: int, content: Any) -> tuple[int, int]:  # noqa: ANN401 - any content
    whole = isinstance(content, list | tuple) and len(content) == 2
    if not whole or any(type(part) is not int for part in content):
        raise DecodeError("unparseable", f"CBOR tag {tag} stands on no pair of whole numbers")
    return content[0], content[1]


def _decimal_fraction(content: object, _immutable: bool) -> float | int:
    """Tag 4: [exponent, mantissa], mantissa × 10^exponent."""
    exponent, mantissa = _pair(4, content)
    if not -MAX_EXPONENT <= exponent <= MAX_EXPONENT:
        raise DecodeError("absurd_number", f"a decimal fraction with the exponent {exponent}")
    if exponent >= 0:
        return mantissa * int(10**exponent)
    return float(Decimal(mantissa).scaleb(exponent))


def _bigfloat(content: object, _immutable: bool) -> float:
    """Tag 5: [exponent, mantissa], mantissa × 2^exponent."""
    exponent, mantissa = _pair(5, content)
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        raise DecodeError("absurd_number", f"a bigfloat with the exponent {exponent}") from None


def _rational(content: object, _immutable: bool) -> float:
    """Tag 30: [numerator, denominator]."""
    numerator, denominator = _pair(30, content)
    if denominator <= 0:
        raise DecodeError("absurd_number", f"a rational number with denominator {denominator}")
    return numerator / denominator


_TAGS: Final = _Tags({
    0: _date_time, 1: _epoch, 2: _unsigned_bignum, 3: _negative_bignum, 4: _decimal_fraction,
    5: _bigfloat, 30: _rational, 100: _day_number, 1004: _day,
    # How a byte string would be shown, what a text is, and "this is CBOR": the content says it.
    21: _itself, 22: _itself, 23: _itself, 24: _itself, 32: _itself, 33: _itself, 34: _itself,
    55799: _itself,
})  # fmt: skip
