"""Telegrams of wireless M-Bus (EN 13757-4), as OMS meters send them and gateways pass them on.

The document is that of `gateway.decode.mbus` for one meter, without ``address``::

    {"id": "76348799", "manufacturer": "KAM", "version": 27, "medium": "cold_water",
     "access": 12, "status": 0, "security": 5, "values": {"volume": 6.408}, "records": [...]}

Where a radio module sends for a meter (long header), the meter is who is named, and ``sender`` has
the id of the module, ``sender_manufacturer`` its maker.  ``authentic`` says that a MAC was there
and fits.  ``security`` is the mode of the transport layer; a cipher of the link layer is not in it.
Keys are the registry's (`gateway.decode.mbus_security`).

A compact frame (CI 79, 7B, 73) leaves out the headers of its records and names them by a signature,
the CRC of the headers.  The profile says them under ``formats``; the values are then those of the
whole frame, whose CRC is judged.  A frame of the format itself (CI 69 to 6B) carries no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from gateway.decode.checksums import CHECKSUMS
from gateway.decode.document import NO_PAYLOAD, Context, Document, Parse
from gateway.decode.mbus import Once, describe, fill
from gateway.decode.mbus_records import Records
from gateway.decode.mbus_transport import Application, open_application, refuse_error
from gateway.decode.wmbus_frame import Form, Link, read_link
from gateway.errors import DecodeError
from gateway.profiles.formats import Wmbus
from gateway.profiles.mbus_headers import split_headers

MAX_BYTES: Final = 1024

_CRC: Final = CHECKSUMS["crc16-en13757"]


def compile_wmbus(settings: Wmbus) -> Parse:
    """A parser of one telegram.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``bad_checksum``,
        ``unparseable``, ``missing_key``, ``unknown_word`` (a compact frame of a format that the
        profile does not say), ``no_reading`` (the meter reports an application error), or
        ``no_payload``.
    """
    return _parser(settings.max_bytes or MAX_BYTES, settings.frame, tuple(settings.formats))


@cache
def _parser(limit: int, form: Form, formats: tuple[str, ...]) -> Parse:
    layouts = {_CRC(headers): headers for headers in map(bytes.fromhex, formats)}

    def parse(payload: bytes, context: Context) -> Document:
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        link = read_link(payload, form, context)
        application = open_application(link.body, link.meter, context, link.authentication)
        meter = application.meter
        if application.sort == "error":
            raise refuse_error(application, f"meter {meter.name if meter else ''}")
        if application.sort in {"nothing", "format"}:
            raise DecodeError(NO_PAYLOAD, "a telegram that carries no value")
        if application.sort == "compact":
            application = _whole(application, layouts)
        document = describe(application, _sender(link, application))
        fill(application, document, Records())
        return document

    return Once(parse)


def _sender(link: Link, application: Application) -> dict[str, str]:
    if application.meter == link.meter:
        return {}
    return {"sender": link.meter.id, "sender_manufacturer": link.meter.manufacturer}


def _whole(application: Application, layouts: dict[int, bytes]) -> Application:
    """The whole frame that a compact one stands for: headers between its data."""
    data, at = application.data, application.at
    if len(data) < at + 4:
        raise DecodeError("unparseable", "a compact frame that is cut off")
    signature = int.from_bytes(data[at : at + 2], "little")
    told = int.from_bytes(data[at + 2 : at + 4], "little")
    headers = layouts.get(signature)
    if headers is None:
        raise DecodeError(
            "unknown_word",
            f"a compact frame of format {signature:04X}H: say the headers of its records under "
            "decode.formats, from a whole frame of the meter",
        )
    whole = b"".join(_joined(headers, data, at + 4))
    found = _CRC(whole)
    if found != told:
        raise DecodeError(
            "bad_checksum",
            f"the whole frame of format {signature:04X}H has CRC {found:04X}H, the telegram says "
            f"{told:04X}H",
        )
    return application._replace(sort="records", data=whole, at=0)


def _joined(headers: bytes, data: bytes, at: int) -> Iterator[bytes]:
    for header, size in split_headers(headers):
        if at + size > len(data):
            raise DecodeError("unparseable", f"the compact frame is cut off in byte {len(data)}")
        yield header
        yield data[at : at + size]
        at += size
    if at != len(data):
        raise DecodeError(
            "unparseable", f"{len(data) - at} bytes more than the format of the compact frame has"
        )
