"""What a profile may say under ``decode``: one model a format, and the envelope around it."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from gateway.profiles.mbus_headers import split_headers
from gateway.profiles.notation import Select, parse_path

Path = Annotated[tuple[str | int | Select, ...], BeforeValidator(parse_path)]


class Settings(BaseModel):
    """Base of the formats: unknown keys are faults, values are not coerced silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )


class Envelope(Settings):
    """An envelope of another format: where in it the payload stands, and how it is written.

    An envelope ``text`` is nothing but the payload, written in hexadecimal or base64.
    """

    format: Literal["json", "cbor", "msgpack", "text"] = "json"
    payload: Path | None = None
    encoding: Literal["base64", "hex", "text", "bytes"] = "base64"

    @model_validator(mode="after")
    def _place(self) -> Self:
        if (self.payload is None) != (self.format == "text"):
            raise ValueError(
                "say where the payload stands: 'payload: path' (an envelope 'text' is all payload)"
            )
        return self


class Format(Settings):
    """What every format has."""

    max_bytes: Annotated[int, Field(ge=1, le=64 * 1024 * 1024)] | None = None
    envelope: Envelope | Literal["lorawan"] | None = None


class Json(Format):
    """JSON (RFC 8259, strict)."""

    format: Literal["json"] = "json"


class Cbor(Format):
    """CBOR (RFC 8949)."""

    format: Literal["cbor"]


class MessagePack(Format):
    """MessagePack."""

    format: Literal["msgpack"]


class Senml(Format):
    """SenML (RFC 8428), JSON or CBOR, told apart by the first byte."""

    format: Literal["senml"]


BLANKS: Final = "blanks"
"""The delimiter of columns that any number of blanks or tabs separate."""

Name = Annotated[str, Field(min_length=1, max_length=128)]
ColumnNames = Annotated[list[Name], Field(min_length=1, max_length=500)]
Place = tuple[Annotated[int, Field(ge=0, le=10_000)], Annotated[int, Field(ge=1, le=10_000)]]


class Csv(Format):
    """Lines of text: separated columns (RFC 4180), columns of fixed width, or pairs.

    Attributes:
        columns: names of the columns in their order; without them the first row has them.  With a
            place each (``{serial: [0, 8]}``: first sign and number of signs) the columns are of
            fixed width.
        header: whether the first row names the columns; by default where ``columns`` does not.
            Both together: the first row must say these names.
        pairs: the sign between key and value, as ``=``; each line is a row of pairs, which the
            delimiter separates.
        delimiter: between columns or pairs; ``blanks`` is one blank or more, or tabs.
        quote: the sign around values that have delimiters in them, ``null`` for none.
        decimal: ``,`` where numbers are written 12,5.
        encoding: of the text.
        comment: lines that begin with it are left out.
        skip: how many lines stand before the table.
        short_rows: a row may have fewer values than there are columns: the last ones are absent.
    """

    format: Literal["csv"]
    columns: ColumnNames | dict[Name, Place] | None = None
    header: bool | None = None
    pairs: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=8)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = '"'
    decimal: Literal[".", ","] = "."
    encoding: Literal["utf-8", "ascii", "latin-1", "cp1252", "gb18030", "utf-16"] = "utf-8"
    comment: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    skip: Annotated[int, Field(ge=0, le=1000)] = 0
    short_rows: bool = False

    @property
    def named(self) -> bool:
        """Whether the first row names the columns."""
        return self.columns is None if self.header is None else self.header

    @field_validator("columns", mode="before")
    @classmethod
    def _columns_have_one_form(cls, columns: object) -> object:
        if columns is not None and not isinstance(columns, list | dict):
            raise ValueError("a list of names, or a mapping of names to [first sign, number]")
        return columns

    @model_validator(mode="after")
    def _one_layout(self) -> Self:
        if self.delimiter != BLANKS and (len(self.delimiter) > 1 or self.delimiter in "\r\n"):
            raise ValueError(f"delimiter: one sign, or {BLANKS!r}, got {self.delimiter!r}")
        if self.quote is not None and self.quote in {self.delimiter, "\r", "\n", self.decimal}:
            raise ValueError(f"quote: {self.quote!r} has another meaning already")
        if self.pairs is not None:
            if self.columns is not None or self.header is not None:
                raise ValueError("pairs name their values: leave 'columns' and 'header' out")
            if self.pairs == self.delimiter:
                raise ValueError("'pairs' and 'delimiter' are two signs")
        elif isinstance(self.columns, dict):
            if self.header:
                raise ValueError("columns of fixed width have no header: 'skip' lines before them")
        elif self.columns is None and self.header is False:
            raise ValueError("name the 'columns', or let the first row name them ('header: true')")
        elif self.columns is not None and len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"columns: {twice!r} stands twice")
        return self


class Dlt645(Format):
    """DL/T 645-2007 or 1997 frames.

    Attributes:
        edition: of the standard; they differ in control codes and in the width of a DI.
        items: DIs of the maker's own, or a maker's other layout of a standard one, by DI in
            hexadecimal (``04001501: XXXX.XX``); they come before the standard's.  Layouts are
            those of `gateway.decode.dlt645_items`.
    """

    format: Literal["dlt645"]
    edition: Literal["2007", "1997"] = "2007"
    items: dict[
        Annotated[str, Field(pattern=r"^([0-9A-F]{4}){1,2}$")],
        Annotated[
            str,
            Field(
                pattern=r"^(±?X{1,12}(\.X{1,8})?|YYMMDDhhmm(ss)?|YYMMDDWW(hhmmss)?|hhmmss|MMDDhhmm"
                r"|[ABH][1-9][0-9]?)\*?$"
            ),
        ],
    ] = {}

    @model_validator(mode="after")
    def _width_of_a_di(self) -> Self:
        digits = {"2007": 8, "1997": 4}[self.edition]
        for di in self.items:
            if len(di) != digits:
                raise ValueError(f"items: a DI of edition {self.edition} has {digits} digits: {di}")
        return self


class Dlt698(Format):
    """DL/T 698.45 frames and objects."""

    format: Literal["dlt698"]


class Cjt188(Format):
    """CJ/T 188 frames.

    Attributes:
        flow_decimals: digits after the point of a heat meter's flow rate; the standard's 4, some
            makers send 2.
    """

    format: Literal["cjt188"]
    flow_decimals: Annotated[int, Field(ge=0, le=8)] = 4


class Mbus(Format):
    """Wired M-Bus frames (EN 13757-2/-3).

    Attributes:
        records_at: of a payload that is no frame but bare records, as radio modules pass them on:
            the byte where the first begins.
    """

    format: Literal["mbus"]
    records_at: Annotated[int | None, Field(ge=0, le=255)] = None


class Wmbus(Format):
    """Wireless M-Bus telegrams (EN 13757-4, OMS); keys come from the registry.

    Attributes:
        frame: ``a`` and ``b``: the frame formats with their CRCs, as they go through the air;
            ``plain``: without CRCs; ``auto`` tells them apart by their lengths and CRCs.
        formats: of compact frames: DIFs and VIFs of the records of the whole frame, in
            hexadecimal, without the data.
    """

    format: Literal["wmbus"]
    frame: Literal["auto", "a", "b", "plain"] = "auto"
    formats: Annotated[
        list[Annotated[str, Field(pattern=r"^([0-9A-F]{2} ?){2,120}$")]], Field(max_length=64)
    ] = []

    @field_validator("formats")
    @classmethod
    def _headers_of_records(cls, formats: list[str]) -> list[str]:
        for headers in formats:
            split_headers(bytes.fromhex(headers))
        return formats


class Dsmr(Format):
    """DSMR P1 telegrams and IEC 62056-21 data messages.

    Attributes:
        checksum: ``auto`` asks for the CRC of telegrams that tell their version (DSMR 4 and
            later); ``required`` asks for it, or for the BCC, always.  One that is there is judged
            in any case.
        zone: time zone of the meter's clock; S and W then only tell the hour that comes twice.
            Without it S is +02:00 and W +01:00, and a time without either stays local.
    """

    format: Literal["dsmr"]
    checksum: Literal["auto", "required"] = "auto"
    zone: str | None = None

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ValueError, OSError, LookupError) as error:
                raise ValueError(f"{zone!r} is no time zone, as Europe/Dublin") from error
        return zone


class Dlms(Format):
    """DLMS/COSEM data notifications (IEC 62056-5-3).

    Attributes:
        layout: ``obis`` for messages that name their values (pairs of OBIS code and value, with or
            without scaler and unit, as Aidon sends them); ``kamstrup`` for pairs whose scale only
            the maker's description tells; ``kaifa`` for lists without OBIS codes, by position.
    """

    format: Literal["dlms"]
    layout: Literal["obis", "kamstrup", "kaifa"] = "obis"


class Ocpp(Format):
    """OCPP 1.6 and 2.0.1 calls over a bridge to MQTT.

    Attributes:
        action: where in the message (or its envelope) the action stands, if it is no call
            ``[2, "id", "action", {...}]`` and the topic has no level named ``action``.
        payload: where the call or its payload stands in an object around it; what is around it
            is ``message`` of the document.
        units: of measurands whose unit the charger tells wrongly, whatever the message says.
    """

    format: Literal["ocpp"]
    action: Path | None = None
    payload: Path | None = None
    units: dict[str, Literal["Wh", "kWh", "W", "kW", "A", "V", "Percent"]] = {}


class Ocmf(Format):
    """OCMF signed charging records.

    The public key is the registry's parameter ``ocmf_public_key`` of the device: one as text, or a
    mapping of them by the serial number of meter or gateway.

    Attributes:
        public_key: where in the envelope the key stands, if it is passed on there.  It is used
            where the registry has none, and the document says so (``signature.self_attested``).
        meter_serial: whether a record must name its meter, as OCMF demands (table 3).
            ``optional`` is for instruments that are meter and gateway in one and name the gateway.
    """

    format: Literal["ocmf"]
    public_key: Path | None = None
    meter_serial: Literal["required", "optional"] = "required"


class Sparkplug(Format):
    """Eclipse Sparkplug B payloads."""

    format: Literal["sparkplug"]


class Ts013(Format):
    """A vendor's JavaScript codec (LoRa Alliance TS013), run in QuickJS.

    Attributes:
        codec: its file, beside the profile.
        f_port: the port of messages whose envelope tells none.
        variables: what ChirpStack calls the device's variables, the same for all devices.
    """

    format: Literal["ts013"]
    codec: str
    f_port: Annotated[int, Field(ge=1, le=255)] = 1
    variables: dict[str, str | bool | int | float] = {}

    @field_validator("codec")
    @classmethod
    def _codec_is_a_script(cls, codec: str) -> str:
        if re.fullmatch(r"[^\s/\\][^\\\n]*\.[cm]?js", codec) is None:
            raise ValueError(f"{codec!r} is no script beside the profile, as codec.js")
        return codec
