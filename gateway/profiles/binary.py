"""What a profile says of a binary payload: a layout in the vocabulary of Kaitai Struct.

A layout is a sequence of fields, sub-structures by name, and names of enumerated values.  It is
checked whole when the profile is loaded: `check` tells every fault with its key path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from gateway.profiles.binary_primitives import ALGORITHMS, ENCODINGS, PRIMITIVES
from gateway.profiles.binary_structures import Written, write
from gateway.profiles.formats import Format, Settings

Expression = Annotated[str, Field(min_length=1, max_length=500)] | int | float | bool
"""An expression of `gateway.profiles.expressions`, or a number."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


def _whole(value: Any) -> Any:  # noqa: ANN401 - what the file says
    """YAML 1.2 reads ``0x1F`` as a text; here it is a number."""
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value, 0)
    return value


def _keys(value: Any) -> Any:  # noqa: ANN401 - what the file says
    return {_whole(key): word for key, word in value.items()} if isinstance(value, dict) else value


def _sort(value: Any) -> str:  # noqa: ANN401 - what the file says
    """Which form of a type this is, so that faults are told of that form alone."""
    if isinstance(value, list | tuple):
        return "fields"
    if isinstance(value, Switch) or (
        isinstance(value, Mapping) and ("switch-on" in value or "cases" in value)
    ):
        return "switch"
    return "structure" if isinstance(value, Structure | Mapping) else "name"


def _some(value: Any) -> Any:  # noqa: ANN401 - what the file says
    """A limit by Field would be told as well when the only item is wrong."""
    if not value:
        raise ValueError("at least 1 item is needed")
    return value


_WHOLE: Final = re.compile(r"^-?(0[xX][0-9A-Fa-f]+|0[bB][01]+|[1-9][0-9]*|0)$")
_HEX: Final = re.compile(r"^([0-9A-Fa-f]{2}\s*)+$")

# What the validators above take, said for editors.
_HEX_NUMBER: Final = {"type": "string", "pattern": _WHOLE.pattern}
_BOUND: Final = {"anyOf": [{"type": "number"}, _HEX_NUMBER]}
_ABSENT: Final = {"type": ["integer", "string"]}
_ABSENTS: Final = {"anyOf": [_ABSENT, {"type": "array", "minItems": 1, "items": _ABSENT}]}
_BYTE: Final = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, _HEX_NUMBER]}
_CONTENTS: Final = {
    "anyOf": [
        {"type": "array", "minItems": 1, "items": _BYTE},
        {"type": "string", "pattern": _HEX.pattern},
    ]
}
_TYPE_NAME: Final = {
    "anyOf": [{"enum": list(PRIMITIVES)}, {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}]
}
_NUMBERS_OR_REST: Final = {"pattern": _WHOLE.pattern.replace("^", "^(_|").replace("$", ")$")}

Bound = Annotated[float, BeforeValidator(_whole), WithJsonSchema(_BOUND)]


class Switch(Settings):
    """A type chosen by a value.

    Attributes:
        switch_on: the value, an expression.
        cases: the type by the value: a whole number, a range ``1..5``, a text, or ``_`` for all
            others; without ``_`` a payload with another value is refused.
    """

    switch_on: Annotated[Expression, Field(alias="switch-on")]
    cases: Annotated[
        dict[str | int, Type],
        Field(max_length=1024, json_schema_extra={"minProperties": 1}),
        AfterValidator(_some),
    ]


class BatchSeries(Settings):
    """One series of samples in a batch report.

    Attributes:
        id: of the list of its samples, each with ``time`` (seconds since 1970) and ``value``.
        type: of a value in full.
        step: what a difference of one stands for (the vendor's "resolution").
    """

    id: Id
    type: Literal["b1", "b4", "u1", "u2", "u3", "u4", "s1", "s2", "s3", "s4", "f4"]
    step: Annotated[float, Field(gt=0)] = 1.0


class BinaryField(Settings):
    """One field.

    Attributes:
        id: its key in the document; with a leading ``_`` it is left out there.  A structure without
            an id joins the one around it; bytes without one are skipped.
        type: a primitive, the name of a structure, a list of fields, or a switch.
        size: bytes, or ``eos`` for all that are left; of a structure: the bytes it lies in.
        endian: order of this field's bytes, where it is not the layout's.
        repeat: the field is a list: ``eos`` up to the end, ``expr`` a number of times, ``until`` a
            condition holds.
        repeat_expr: of ``repeat: expr``: the number of items.
        repeat_until: of ``repeat: until``: the list ends with the item (``_``) for which it holds.
        condition: the field is there only when this holds (``if``).
        enum: the words for its numbers.
        contents: the bytes that must stand here, as a list or in hexadecimal.
        value: what is told instead of the number read (``_``); without a type, a computed field.
        absent: numbers read that mean 'not available'.
        valid: the least and greatest number that may be read.
        encoding: of a text.
        digits: of a BCD number, at most two a byte.
        sign: where a BCD number carries its sign: a first digit of 0xF, or the first bit.
        algorithm: of a checksum.
        over: the bytes that a checksum is of, from (included) to (not included).
        collect: in a structure that joins: every occurrence adds an item to a list of this id.
        tag_bits: of a batch (Watteco's batch report): how long the tag of a series is.
        flags: of a batch: its first byte, where the layout has read it already.
        series: of a batch: what the device sends, by tag.
        doc: for the reader.
    """

    id: Id | None = None
    type: Type | None = None
    size: Expression | None = None
    endian: Literal["le", "be"] | None = None
    repeat: Literal["expr", "eos", "until"] | None = None
    repeat_expr: Annotated[Expression | None, Field(alias="repeat-expr")] = None
    repeat_until: Annotated[Expression | None, Field(alias="repeat-until")] = None
    condition: Annotated[Expression | None, Field(alias="if")] = None
    enum: str | None = None
    contents: Annotated[bytes, WithJsonSchema(_CONTENTS)] | None = None
    value: Expression | None = None
    absent: (
        Annotated[
            tuple[Annotated[int | str, BeforeValidator(_whole)], ...],
            Field(min_length=1, max_length=64),
            WithJsonSchema(_ABSENTS),
        ]
        | None
    ) = None
    valid: tuple[Bound, Bound] | None = None
    encoding: Annotated[str, Field(json_schema_extra={"examples": [*ENCODINGS]})] | None = None
    digits: Annotated[int, Field(ge=1, le=32)] | None = None
    sign: Literal["digit", "bit"] | None = None
    algorithm: Annotated[str, Field(json_schema_extra={"enum": [*ALGORITHMS]})] | None = None
    over: tuple[Expression, Expression] | None = None
    collect: bool = False
    tag_bits: Annotated[int | None, Field(alias="tag-bits", ge=1, le=8)] = None
    flags: Expression | None = None
    series: Annotated[dict[int, BatchSeries], Field(max_length=256)] | None = None
    doc: str = ""

    @field_validator("contents", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:  # noqa: ANN401 - what the file says
        if isinstance(value, bytes):
            return value
        if isinstance(value, str) and _HEX.match(value):
            return bytes.fromhex(value)
        if isinstance(value, list):
            value = [_whole(byte) for byte in value]
        if (
            isinstance(value, list)
            and value
            and all(type(b) is int and 0 <= b < 256 for b in value)
        ):
            return bytes(value)
        raise ValueError("contents are bytes: [0x68, 0x01], or hexadecimal text '68 01'")

    @field_validator("absent", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:  # noqa: ANN401 - what the file says
        return (value,) if isinstance(value, int | str) else value


class Structure(Settings):
    """A structure.

    Attributes:
        seq: fields in the order of the bytes.
        instances: values computed after them, by id.
        doc: for the reader.
    """

    seq: Annotated[tuple[BinaryField, ...], Field(max_length=1024)] = ()
    instances: dict[Id, Expression | BinaryField] = Field(default={})
    doc: str = ""


Fields = Annotated[tuple[BinaryField, ...], Field(max_length=1024)]
Complex = Annotated[
    Annotated[Fields, Tag("fields")]
    | Annotated[Structure, Tag("structure")]
    | Annotated[Switch, Tag("switch")],
    Discriminator(_sort),
]
Type = Annotated[
    Annotated[str, Field(min_length=1, max_length=64), WithJsonSchema(_TYPE_NAME), Tag("name")]
    | Annotated[Fields, Tag("fields")]
    | Annotated[Structure, Tag("structure")]
    | Annotated[Switch, Tag("switch")],
    Discriminator(_sort),
]
Enum = Annotated[
    dict[int | Literal["_"], str],
    Field(max_length=1024, json_schema_extra={"propertyNames": _NUMBERS_OR_REST}),
    BeforeValidator(_keys),
    AfterValidator(_some),
]


class Binary(Format):
    """A binary layout.

    Attributes:
        endian: order of bytes where a type does not say it (``u2`` but not ``u2be``).
        bit_endian: whether bit fields fill a byte from its highest bit (be) or its lowest (le).
        trailing: bytes after the last field are a fault, or are of no interest.
        seq: the fields of the payload, in the order of the bytes.
        instances: values computed after them, by id.
        types: structures by name; a list of fields is a structure.
        enums: words by number; ``_`` stands for every other number.
        doc: for the reader.
    """

    format: Literal["binary"]
    endian: Literal["le", "be"] = "be"
    bit_endian: Annotated[Literal["le", "be"], Field(alias="bit-endian")] = "be"
    trailing: Literal["refuse", "ignore"] = "refuse"
    seq: Annotated[
        tuple[BinaryField, ...],
        Field(max_length=1024, json_schema_extra={"minItems": 1}),
        AfterValidator(_some),
    ]
    instances: dict[Id, Expression | BinaryField] = Field(default={})
    types: dict[Id, Complex] = Field(default={})
    enums: dict[Id, Enum] = Field(default={})
    doc: str = ""

    _written: Written | None = PrivateAttr(default=None)

    @property
    def written(self) -> Written:
        """The function of this layout; written once, as it is asked for at every turn."""
        if self._written is None:
            self._written = write(self)
        return self._written

    @model_validator(mode="after")
    def _checked(self) -> Self:
        faults = check(self)
        if faults:
            raise ValidationError.from_exception_data("Binary", [
                InitErrorDetails(
                    type=PydanticCustomError("layout", "{message}", {"message": message}),
                    loc=path, input=None,
                )
                for path, message in faults
            ])  # fmt: skip
        return self


def check(layout: Binary) -> list[tuple[tuple[str | int, ...], str]]:
    """Every fault of a layout: the key path below ``decode``, and what is wrong there."""
    return layout.written.faults


Switch.model_rebuild()
BinaryField.model_rebuild()
Structure.model_rebuild()
Binary.model_rebuild()
