"""JSON payloads: bytes straight into the profile's document struct (RFC 8259, strict).

Strict means: no NaN or Infinity, no duplicate keys, bounded depth and size.  The parser keeps the
last of two equal keys without a word, so uniqueness is proved apart, and cheaply: a document whose
every field is known needs a known number of quotation marks; the payload can hold more but never
fewer; when the numbers agree there is no further key, hence none twice.  When they do not agree
(fields that nobody reads, escapes), a second, thorough parser looks.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, Final

import jiter
import msgspec

from gateway.errors import DecodeError
from gateway.profiles.shape import Node

MAX_BYTES: Final = 1024 * 1024
"""Default bound of a payload; a profile may say another."""

_QUOTES: Final[dict[type, int]] = {
    str: 4, dt.datetime: 4, float: 2, int: 2, bool: 2, type(None): 0,
}  # fmt: skip
_NO_PROOF: Final = -1_000_000
_BARE: Final = frozenset({"number", "integer", "bool", "epoch"})
_QUOTED: Final = frozenset({"text", "moment"})

_BOUND: Final = re.compile(r"Expected `(?:int|float)[^`]*` ([<>]=?) (-?[0-9.e+]+)")
_LENGTH: Final = re.compile(r" of length <= ([0-9]+)")

Decoder = Callable[[bytes], Any]


def compile_json(root: Node, max_bytes: int | None = None) -> Decoder:
    """A decoder for documents of this shape.

    Returns:
        A function from payload bytes to an instance of the root's type.  It raises DecodeError with
        reason ``too_large``, ``unparseable``, ``too_deep``, ``missing_field``, ``wrong_type``,
        ``absurd_number``, ``bad_time`` or ``duplicate_key``.
    """
    limit = max_bytes or MAX_BYTES

    def too_large(payload: bytes) -> DecodeError:
        return DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")

    namespace: dict[str, Any] = {
        "Q": _QUOTES, "NO": _NO_PROOF, "LIMIT": limit, "TOO_LARGE": too_large,
        "DECODE": msgspec.json.Decoder(root.type).decode, "FAULTS": _FAULTS, "REFUSED": _refused,
        "REQUIRE_UNIQUE": _require_unique_keys,
    }  # fmt: skip
    lines: list[str] = []
    certain = _count(root, "d", namespace, lines)
    if certain is None:  # no proof is possible for this shape
        certain, lines = _NO_PROOF, []
    counting = "".join(f"    {line}\n" for line in lines)
    # The source is built from attribute names that shape.py made (f0, f1, ...): nothing of a
    # profile's text can reach it.  The count stands in the decoder itself: a call for it would
    # cost as much as the counting.
    source = _DECODER.format(certain=certain, counting=counting)
    exec(compile(source, "<decode>", "exec"), namespace)  # noqa: S102
    decode: Decoder = namespace["decode"]
    return decode


_FAULTS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DECODER: Final = """
def decode(payload):
    if len(payload) > LIMIT: raise TOO_LARGE(payload)
    try:
        d = DECODE(payload)
    except FAULTS as error:
        raise REFUSED(payload, error) from error
    n = {certain}
{counting}
    if payload.count(b'"') != n: REQUIRE_UNIQUE(payload)
    return d
"""


def _refused(payload: bytes, error: Exception) -> DecodeError:
    """Why the parser did not take a payload."""
    if isinstance(error, msgspec.ValidationError):
        # A duplicate or broken key elsewhere is the deeper fault, so it is named first.
        _require_unique_keys(payload)
        return refusal(error)
    if isinstance(error, RecursionError):
        return DecodeError("too_deep", "nested deeper than the parser goes")
    return DecodeError("unparseable", _opening(payload, str(error)))


def refusal(error: msgspec.ValidationError) -> DecodeError:
    """The quarantine reason of a document that does not fit its shape."""
    text = str(error)
    body, _, at = text.partition(" - at `")
    place = at.removesuffix("`") or "$"
    if match := _MISSING.search(text):
        return DecodeError("missing_field", f"`{place}.{match[1]}` is missing ({_OPTIONAL})")
    match = _MISMATCH.fullmatch(body)
    if match is None:
        return _beyond(body, place)
    wanted, got = _named(match[1]), _named(match[2])
    if match[2] == "null" and at:
        return DecodeError("missing_field", f"`{place}` is null ({_OPTIONAL})")
    way = ""
    if match[2] == "str" and wanted == "a number":
        way = "; 'text: true' in the profile if the device sends its numbers as text"
    return DecodeError("wrong_type", f"`{place}` is {got}, expected {wanted}{way}")


def _beyond(body: str, place: str) -> DecodeError:
    """A value of the right type that no instrument sends."""
    if "RFC3339" in body:
        sample = "2026-01-01T08:00:00+08:00 (RFC 3339)"
        return DecodeError("bad_time", f"`{place}` is no time such as {sample}")
    if match := _BOUND.search(body):
        return DecodeError("absurd_number", f"`{place}` must be {match[1]} {float(match[2]):g}")
    if "out of range" in body:
        return DecodeError("absurd_number", f"`{place}` is a number beyond all bounds")
    if match := _LENGTH.search(body):
        return DecodeError("wrong_type", f"`{place}` is longer than {match[1]}")
    return DecodeError("wrong_type", f"`{place}`: {body[:1].lower()}{body[1:]}")


_OPTIONAL: Final = "'optional: true' if it may be"
_MISSING: Final = re.compile(r"missing required field `(.*?)`")
_MISMATCH: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_NAMES: Final = {
    "int": "a number", "float": "a number", "str": "a text", "datetime": "a time as text",
    "bool": "true or false", "object": "an object", "array": "an array",
}  # fmt: skip


def _named(types: str) -> str:
    """``int | str`` as "a whole number or a text"."""
    if types == "int":
        return "a whole number"
    kinds = [kind for kind in types.split(" | ") if kind != "null"]
    if kinds == ["float"]:
        return "a number"
    names = ["a whole number" if kind == "int" and "float" not in kinds else _NAMES.get(kind, kind)
             for kind in kinds]  # fmt: skip
    return " or ".join(dict.fromkeys(names))


def parse_json(payload: bytes, max_bytes: int | None = None) -> Any:  # noqa: ANN401 - any JSON
    """A plain document, where no struct can be decoded from the bytes; as strict as the decoder.

    Raises:
        DecodeError: ``too_large``, ``unparseable``, ``too_deep``, ``duplicate_key`` or
            ``absurd_number``.
    """
    limit = max_bytes or MAX_BYTES
    if len(payload) > limit:
        raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
    return _require_unique_keys(payload)


def _require_unique_keys(payload: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return jiter.from_json(
            payload, catch_duplicate_keys=True, cache_mode="keys", allow_inf_nan=False
        )
    except ValueError as error:
        text = str(error)
        if "duplicate key" in text:
            raise DecodeError("duplicate_key", text) from error
        if "recursion" in text:
            raise DecodeError("too_deep", text) from error
        if "number out of range" in text:
            raise DecodeError("absurd_number", text) from error
        raise DecodeError("unparseable", _opening(payload, text)) from error


def _opening(payload: bytes, problem: str) -> str:
    if not payload:
        return "the payload is empty"
    if payload.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        problem = "the payload begins with a byte order mark; JSON is UTF-8 without one"
    shown = payload[:40].decode("utf-8", "backslashreplace")
    return f"{problem}; payload of {len(payload)} bytes begins {shown!r}"


def _count(node: Node, variable: str, namespace: dict[str, Any], lines: list[str]) -> int | None:
    """Marks that are certain below this object; what depends on the document goes to ``lines``."""
    if node.item is not None or not node.children:
        return None
    constant = 0
    for child in node.children.values():
        place = f"{variable}.{child.attribute}"
        if child.children and child.item is None and not child.leaf - {"raw"}:
            below = _count_object(child, place, namespace, lines)
        else:
            below = _count_leaf(child, place, namespace, lines)
        if below is None:
            return None
        constant += below
    return constant


def _count_object(
    child: Node, place: str, namespace: dict[str, Any], lines: list[str]
) -> int | None:
    inner = f"c{len(lines)}"
    lines.append(f"{inner} = {place}")
    if child.required:
        below = _count(child, inner, namespace, lines)
        return None if below is None else below + 2
    empty = _known(namespace, child.empty)
    lines.append(f"if {inner} is not {empty}: n += 2")
    lines.append(f"if {inner} is None: {inner} = {empty}")
    return _count(child, inner, namespace, lines)


def _count_leaf(child: Node, place: str, namespace: dict[str, Any], lines: list[str]) -> int | None:
    if child.children or child.item is not None or "words" in child.leaf:
        if child.required:
            return None
        # Nothing is proved of a document that has it; one without it costs nothing.
        absent = _known(namespace, child.empty)
        lines.append(f"if {place} is not {absent}: n += NO")
    elif len(child.leaf) == 1 and child.leaf <= _BARE:
        if child.required:
            return 2  # the marks of its key
        # Most of what a profile names is there, and the branch not taken is the cheap one.
        lines.append(f"if {place} is None: n -= 2")
        return 2
    elif len(child.leaf) == 1 and child.leaf <= _QUOTED:
        if not child.required:
            lines.append(f"if {place} is None: n -= 4")
        return 4
    else:
        lines.append(f"n += Q.get({place}.__class__, NO)")
    return 0


def _known(namespace: dict[str, Any], value: object) -> str:
    name = f"E{len(namespace)}"
    namespace[name] = value
    return name
