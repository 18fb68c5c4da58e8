"""JSON payloads: bytes straight into the profile's document struct (RFC 8259, strict).

Strict means: no NaN or Infinity, no duplicate keys, bounded depth and size.  The parser keeps the
last of two equal keys without a word, so uniqueness is proved apart, and cheaply: a document whose
every field is known needs a known number of quotation marks; the payload can hold more but never
fewer; when the numbers agree there is no further key, hence none twice.  When they do not agree
(fields that nobody reads, escapes), a second, thorough parser looks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import jiter
import msgspec
from msgspec import UNSET

from gateway.errors import DecodeError
from gateway.profiles.shape import Node

MAX_BYTES: Final = 1024 * 1024
"""Default bound of a payload; a profile may say another."""

_QUOTES: Final[dict[type, int]] = {
    str: 4, dt.datetime: 4, float: 2, int: 2, bool: 2, type(None): 2, type(UNSET): 0,
}  # fmt: skip
_NO_PROOF: Final = -1_000_000

Decoder = Callable[[bytes], Any]


def compile_json(root: Node, max_bytes: int | None = None) -> Decoder:
    """A decoder for documents of this shape.

    Returns:
        A function from payload bytes to an instance of the root's type.  It raises DecodeError with
        reason ``too_large``, ``unparseable``, ``too_deep``, ``missing_field``, ``wrong_type``,
        ``absurd_number`` or ``duplicate_key``.
    """
    decode_bytes = msgspec.json.Decoder(root.type).decode
    quotes = _compile_quotes(root)
    limit = max_bytes or MAX_BYTES

    def decode(payload: bytes) -> Any:  # noqa: ANN401 - the struct is made at run time
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        try:
            document = decode_bytes(payload)
        except msgspec.ValidationError as error:
            # A duplicate or broken key elsewhere is the deeper fault, so it is named first.
            _require_unique_keys(payload)
            raise refusal(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DecodeError("unparseable", _opening(payload, str(error))) from error
        except RecursionError as error:
            raise DecodeError("too_deep", "nested deeper than the parser goes") from error
        if quotes is None or payload.count(b'"') != quotes(document):
            _require_unique_keys(payload)
        return document

    return decode


def refusal(error: msgspec.ValidationError) -> DecodeError:
    """The quarantine reason of a document that does not fit its shape."""
    text = str(error)
    if "missing required field" in text:
        return DecodeError("missing_field", text)
    if "out of range" in text or "Expected `float` <" in text or "Expected `float` >" in text:
        return DecodeError("absurd_number", text)
    if "RFC3339" in text:
        return DecodeError("bad_time", text)
    return DecodeError("wrong_type", text)


def _require_unique_keys(payload: bytes) -> None:
    try:
        jiter.from_json(payload, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        text = str(error)
        if "duplicate key" in text:
            raise DecodeError("duplicate_key", text) from error
        if "recursion" in text:
            raise DecodeError("too_deep", text) from error
        raise DecodeError("unparseable", _opening(payload, text)) from error


def _opening(payload: bytes, problem: str) -> str:
    shown = payload[:40].decode("utf-8", "backslashreplace")
    return f"{problem}; payload of {len(payload)} bytes begins {shown!r}"


def _compile_quotes(root: Node) -> Callable[[Any], int] | None:
    """A function from a document to the quotation marks its known fields need; None: no proof."""
    namespace: dict[str, Any] = {"Q": _QUOTES, "NO": _NO_PROOF}
    lines: list[str] = []
    constant = _count(root, "d", namespace, lines)
    if constant is None:
        return None
    body = "\n".join(f"    {line}" for line in lines)
    source = f"def quotes(d):\n    n = {constant}\n{body}\n    return n\n"
    # The source is built from attribute names that shape.py made (f0, f1, ...): nothing of a
    # profile's text can reach it.
    exec(compile(source, "<quotes>", "exec"), namespace)  # noqa: S102
    found: Callable[[Any], int] = namespace["quotes"]
    return found


def _count(node: Node, variable: str, namespace: dict[str, Any], lines: list[str]) -> int | None:
    """Marks that are certain below this object; what depends on the document goes to ``lines``."""
    if node.item is not None or not node.children:
        return None
    constant = 0
    for child in node.children.values():
        place = f"{variable}.{child.attribute}"
        if child.children:
            if child.item is not None or child.leaf - {"raw"}:
                return None
            inner = f"c{len(namespace)}"
            if child.required:
                constant += 2
                lines.append(f"{inner} = {place}")
            else:
                namespace[f"E{inner}"] = child.empty
                lines.append(f"{inner} = {place}")
                lines.append(f"if {inner} is not E{inner}: n += 2")
                lines.append(f"if {inner} is None: {inner} = E{inner}")
            namespace[inner] = None
            below = _count(child, inner, namespace, lines)
            if below is None:
                return None
            constant += below
        elif child.item is not None or "raw" in child.leaf or "words" in child.leaf:
            return None
        elif child.required and not child.nullable and len(child.leaf) == 1:
            leaf = next(iter(child.leaf))
            if leaf == "any":
                lines.append(f"n += Q.get({place}.__class__, NO)")
            else:
                constant += 4 if leaf in {"text", "moment"} else 2
        else:
            lines.append(f"n += Q.get({place}.__class__, NO)")
    return constant
