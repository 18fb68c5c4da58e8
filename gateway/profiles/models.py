"""What a device profile may say: Pydantic models of the YAML, one class a concept.

``read`` is one block or a list of blocks; a block turns a message (or each item of an array in it)
into one reading a channel.  Paths are dotted keys from the message's root, or from the item where
the block has ``each`` (then ``$.`` begins at the root); a key that itself has a dot is written as a
list; ``[0]`` takes an item of an array.
"""

from __future__ import annotations

import difflib
import functools
import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from gateway.profiles import formats
from gateway.profiles.binary import Binary
from gateway.profiles.instrument import Caveat, Instrument, Model, Moment, Title, Valid
from gateway.profiles.notation import (
    Select,
    check_path,
    check_time,
    check_topic,
    parse_each,
    parse_path,
)
from gateway.quantities import KINDS, STATUS_WORDS, Event

Scalar = str | bool | int | float

Path = Annotated[tuple[str | int | Select, ...], BeforeValidator(parse_path)]
Each = Annotated[tuple[str | int | Select, ...], BeforeValidator(parse_each)]
TimeWord = Annotated[str, AfterValidator(check_time)]
Quality = Literal["raw", "valid", "derived", "estimated", "questionable"]
TextForm = bool | Literal["hex"]
"""Whether a number comes as text; ``hex``: as hexadecimal digits."""


class Register(Model):
    """A totaliser's face: digits before the point, decimals after it, or its full scale.

    All three are of the number as it is sent, before ``scale`` and in the unit of the message.
    """

    digits: Annotated[int, Field(ge=1, le=18)] | None = None
    decimals: Annotated[int, Field(ge=0, le=9)] | None = None
    full_scale: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.digits is not None and self.full_scale is not None:
            raise ValueError("say 'digits' or 'full_scale', not both")
        return self


Present = Literal["present", "absent"]


class Condition(Model):
    """What a value must be: ``{in: [...]}``, or ``{is: present}`` / ``{is: absent}``."""

    in_: Annotated[list[Scalar], Field(min_length=1)] | None = Field(default=None, alias="in")
    is_: Present | None = Field(default=None, alias="is")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.in_ is None) == (self.is_ is None):
            raise ValueError("say either 'in: [values]' or 'is: present' / 'is: absent'")
        return self


def _condition(value: Any) -> Any:  # noqa: ANN401 - YAML is any data
    if isinstance(value, str | bool | int | float):
        return {"in": [value]}
    if isinstance(value, list):
        return {"in": value}
    return value


When = dict[
    Annotated[str, AfterValidator(check_path)], Annotated[Condition, BeforeValidator(_condition)]
]


def _topics(value: Any) -> Any:  # noqa: ANN401 - YAML is any data
    return [value] if isinstance(value, str) else value


class Match(Model):
    """Which messages are this model's: topics with named levels, and a look into the content."""

    topic: Annotated[
        list[Annotated[str, AfterValidator(check_topic)]],
        BeforeValidator(_topics),
        Field(min_length=1),
    ]
    when: When = Field(default={})


def _format(value: Any) -> Any:  # noqa: ANN401 - YAML is any data
    return (
        value.get("format", "json") if isinstance(value, dict) else getattr(value, "format", None)
    )


FORMATS: Final[dict[str, type[formats.Format]]] = {
    "json": formats.Json,
    "binary": Binary,
    "cbor": formats.Cbor,
    "msgpack": formats.MessagePack,
    "senml": formats.Senml,
    "csv": formats.Csv,
    "dlt645": formats.Dlt645,
    "dlt698": formats.Dlt698,
    "cjt188": formats.Cjt188,
    "mbus": formats.Mbus,
    "wmbus": formats.Wmbus,
    "dsmr": formats.Dsmr,
    "dlms": formats.Dlms,
    "ocpp": formats.Ocpp,
    "ocmf": formats.Ocmf,
    "sparkplug": formats.Sparkplug,
    "ts013": formats.Ts013,
}
"""The formats by the name that ``decode.format`` says."""

if TYPE_CHECKING:
    Decode = formats.Format
else:  # a choice made at run time, so that one table names the formats
    Decode = Annotated[
        functools.reduce(
            operator.or_, (Annotated[kind, Tag(name)] for name, kind in FORMATS.items())
        ),
        Discriminator(_format),
    ]
"""How the payload becomes a document: one of the formats, JSON where none is named."""


class MeasuredAt(Model):
    """The instrument's time. ``zone`` is for times without one; a device may override it.

    A local time that comes twice, at the end of summer time, is taken as the first of the two.
    Where date and time of day are two fields, ``then`` is the second: both are texts, and are read
    with one blank between them.
    """

    from_: Path = Field(alias="from")
    then: Path | None = None
    time: TimeWord = "iso"
    text: bool = False
    zone: str | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _joined(self) -> Self:
        _check_joined(self.then, self.time, text=self.text)
        return self


def _check_joined(then: Path | None, form: str, *, text: bool) -> None:
    epoch = form.startswith("epoch")
    if then is not None and epoch:
        raise ValueError(f"'then' joins two texts, date and time of day: {form} is one number")
    if text and not epoch:
        raise ValueError("'text' is for numbers such as epoch_s; other times are texts anyway")


class Sequence(Model):
    """The instrument's own numbering: ``modulus`` numbers, then 0 again; counted by ``scope``."""

    from_: Path = Field(alias="from")
    modulus: Annotated[int, Field(ge=2, le=2**63)] | None = None
    scope: Literal["device", "channel"] = "device"
    text: TextForm = False
    optional: bool = False


def _check_word(word: str) -> str:
    if word not in STATUS_WORDS:
        parts = sorted(word.split("_"))
        turned = [known for known in STATUS_WORDS if sorted(known.split("_")) == parts]
        near = turned or difflib.get_close_matches(word, STATUS_WORDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(STATUS_WORDS)}"
        raise ValueError(f"{word!r} is no status word; {hint}")
    return word


Word = Annotated[str, AfterValidator(_check_word)]


class Status(Model):
    """Status: ``bits`` of a number, ``words`` for a code, a ``list`` of status words, or ``flags``.

    ``flags`` are places by path that are true (or 1) where the word applies.
    """

    from_: Path | None = Field(default=None, alias="from")
    flags: dict[Annotated[str, AfterValidator(check_path)], Word] | None = None
    bits: dict[Annotated[int, Field(ge=0, le=62)], Word] | None = None
    words: dict[Scalar, Word | None] | None = None
    list_: bool = Field(default=False, alias="list")
    text: TextForm = False
    optional: bool = True

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.from_ is None) != (self.flags is not None):
            raise ValueError("say where it stands: 'from: path', or 'flags: {path: word}'")
        forms = (self.bits is not None, self.words is not None, self.list_)
        if sum(forms) != (self.flags is None):
            raise ValueError("say one of 'bits', 'words' or 'list: true'")
        if self.text and self.bits is None:
            raise ValueError("'text' is for the number of 'bits'; words are texts anyway")
        return self


ChannelName = Annotated[str, Field(min_length=1, max_length=128)]


class QualityFrom(Model):
    """The instrument's own word for the quality of its readings, by a map to ours."""

    from_: Path = Field(alias="from")
    map: dict[Scalar, Quality]
    default: Quality = "raw"


class Channel(Model):
    """A channel read from the message, with names of our own where they differ."""

    from_: Path = Field(alias="from")
    map: dict[Scalar, ChannelName] | None = None


class DeviceId(Model):
    """An identity read from the message; ``unless`` values fall back to ``otherwise``."""

    from_: Path = Field(alias="from")
    unless: list[Scalar] = Field(default=[])
    otherwise: str | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if self.unless and self.otherwise is None:
            raise ValueError("'unless' needs 'otherwise': who the device is then")
        return self


class UnitFrom(Model):
    """A unit that the message tells: UCUM code by the message's word (its own word if absent)."""

    from_: Path = Field(alias="from")
    units: dict[str, str] | None = None
    default: str | None = None


class ScaleFrom(Model):
    """A factor that the registry knows of each device, such as the weight of a pulse."""

    parameter: Annotated[str, Field(min_length=1)]
    default: Annotated[Decimal, Field(ge=Decimal("1e-9"), le=10**9)] | None = None


Terms = Annotated[list[Path], Field(min_length=2, max_length=16)]
OPERATIONS: Final = ("sum", "difference", "product", "quotient")
"""How a quantity may be derived from several places of the message."""


class Quantity(Model):
    """One field: where it stands, in which unit, and what kind of number it is."""

    from_: Path | None = Field(default=None, alias="from")
    then: Path | None = None
    sum_: Terms | None = Field(default=None, alias="sum")
    difference: Terms | None = None
    product: Terms | None = None
    quotient: Terms | None = None
    each: Path | None = None
    channels: dict[ChannelName, Path] | list[ChannelName] | None = None
    unit: str | UnitFrom | None = None
    scale: Annotated[Decimal, Field(ge=Decimal("1e-9"), le=10**9)] | ScaleFrom | None = None
    text: TextForm = False
    optional: bool = False
    absent: list[Scalar] = Field(default=[])
    map: dict[Scalar, Scalar] | None = None
    register_: Register | bool | None = Field(default=None, alias="register")
    time: TimeWord | None = None
    zone: str | None = None

    @model_validator(mode="after")
    def _place(self) -> Self:
        listed = self.each is not None and isinstance(self.channels, list)
        named = self.each is None and isinstance(self.channels, dict) and self.from_ is None
        plain = self.from_ is not None and self.each is None and self.channels is None
        derived = self.derived is not None and not (self.from_ or self.each or self.channels)
        told = [self.sum_, self.difference, self.product, self.quotient]
        if sum(terms is not None for terms in told) > 1 or not (
            listed or named or plain or derived
        ):
            raise ValueError(
                "say where it stands: 'from: path', or 'channels: {L1: path, ...}', "
                "or 'each: path' with 'channels: [L1, ...]'"
            )
        if self.derived is not None and not derived:
            raise ValueError(f"'{self.derived[0]}' says where it stands: leave the others out")
        if derived and self.map is not None:
            raise ValueError("'map' needs 'from': a derived number has no words")
        if self.then is not None and (self.time is None or not plain):
            raise ValueError("'then' is for a time whose date and time of day are two fields")
        if self.time is not None:
            _check_joined(self.then, self.time, text=bool(self.text))
        if self.channels is not None and len(set(self.channels)) < max(len(self.channels), 1):
            raise ValueError("each channel stands once, and there is at least one")
        return self

    @property
    def derived(self) -> tuple[str, list[Path]] | None:
        """The operation and its places, where the quantity is derived from several."""
        for word in OPERATIONS:
            terms = getattr(self, "sum_" if word == "sum" else word)
            if terms is not None:
                return word, terms
        return None


def _blocks(value: Any) -> Any:  # noqa: ANN401 - YAML is any data
    return [value] if isinstance(value, dict) else value


class Block(BaseModel):
    """A block of ``read``: when it applies, whose reading it is, and its quantities by name.

    ``quality`` is that of readings with a time; where that of receipt stands in for the
    instrument's, they are questionable whatever the block says.
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, populate_by_name=True, allow_inf_nan=False
    )
    __pydantic_extra__: dict[str, Quantity]

    when: When = Field(default={})
    each: Each | None = None
    event: Event = "periodic"
    channel: ChannelName | Channel | None = None
    device_id: str | DeviceId | None = None
    measured_at: MeasuredAt | Literal["received"] = "received"
    quality: Quality | QualityFrom = "raw"
    sequence: Sequence | None = None
    status: Annotated[list[Status], BeforeValidator(_blocks)] = Field(default=[])

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The quantities of this block by canonical name."""
        return self.__pydantic_extra__


BLOCK_KEYS: Final = tuple(field.alias or name for name, field in Block.model_fields.items())


class Ignore(Model):
    """Messages (or items of an array) that carry no reading and are left out on purpose."""

    when: When = Field(default={})
    each: Each | None = None


def _check_hex(value: str) -> str:
    try:
        bytes.fromhex(value)
    except ValueError as error:
        raise ValueError(f"expected bytes such as '68 01 ff', got {value[:40]!r}") from error
    return value


class Earlier(Model):
    """A message that comes before a case's own, for formats that refer to it (Sparkplug births)."""

    topic: str
    payload: str | dict[str, Any] | list[Any] | None = None
    payload_hex: Annotated[str, AfterValidator(_check_hex)] | None = None

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        if (self.payload is None) == (self.payload_hex is None):
            raise ValueError("say the message: 'payload' (text or YAML) or 'payload_hex'")
        return self


class Case(Model):
    """A test message of the profile with what must come out of it.

    ``expect: []`` says that the message is ignored on purpose.  ``parameters`` are those of the
    registry of the device whose message it is: of the one that the topic names, and of those that
    ``expect`` names.
    """

    payload: str | dict[str, Any] | list[Any] | None = None
    payload_hex: Annotated[str, AfterValidator(_check_hex)] | None = None
    f_port: Annotated[int, Field(ge=0, le=255)] = 1
    topic: str | None = None
    before: list[Earlier] = Field(default=[])
    parameters: dict[str, Any] = Field(default={})
    received_at: Moment = "2026-01-01T00:00:00Z"
    expect: Annotated[list[dict[str, Any]], BeforeValidator(_blocks)] = Field(default=[])
    flags: list[str] | None = None
    quarantine: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        if (self.payload is None) == (self.payload_hex is None):
            raise ValueError("say the message: 'payload' (text or YAML) or 'payload_hex'")
        return self

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        said = "expect" in self.model_fields_set
        if said == (self.quarantine is not None) or not all(self.expect):
            raise ValueError(
                "say what must come out: 'expect: {energy_import: 1.5 kWh}', 'expect: []' where "
                "the message is ignored on purpose, or 'quarantine: reason'"
            )
        return self


class ProfileModel(Model):
    """A whole profile after inheritance."""

    profile: str
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    title: Title
    extends: str | list[str] | None = None
    abstract: bool = False
    valid: Valid | None = None
    instrument: Instrument = Instrument()
    caveats: list[str | Caveat] = Field(default=[])
    match: Match | None = None
    decode: Decode = formats.Json()
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "CNY"
    zone: str | None = None
    default_channel: ChannelName | None = None
    registers: list[str] = Field(default=[])
    read: Annotated[list[Block], BeforeValidator(_blocks)] = Field(default=[])
    ignore: Annotated[list[Ignore], BeforeValidator(_blocks)] = Field(default=[])
    checks: dict[str, dict[str, Any] | bool] = Field(default={})
    tests: list[Case] = Field(default=[])

    @model_validator(mode="after")
    def _complete(self) -> Self:
        lacking = [word for word, part in (("match", self.match), ("read", self.read)) if not part]
        if lacking and not self.abstract:
            words = " and ".join(map(repr, lacking))
            raise ValueError(f"a profile needs {words} (a base profile says 'abstract: true')")
        return self
