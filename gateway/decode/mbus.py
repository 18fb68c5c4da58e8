"""Answers of wired M-Bus meters (EN 13757-2 and -3), one meter or several a message.

The document::

    {"id": "11490378", "manufacturer": "ACW", "version": 14, "medium": "cold_water", "address": 8,
     "access": 10, "status": 0, "security": 0,
     "values": {"volume": 54.321, "volume_s1": 0.0, "time": "2014-03-13T11:11:00"},
     "records": [{"name": "volume", "dif": "04", "vif": "13", "quantity": "volume", "unit": "m3",
                  "function": "instantaneous", "storage": 0, "tariff": 0, "subunit": 0,
                  "value": 54.321}],
     "manufacturer_data": "00017513"}

``values`` are by derived name, in the units that `gateway.decode.mbus_vif` fixes for each quantity;
`gateway.decode.mbus_records` says how names are made and when a value is absent.  Times are local,
without zone.  ``medium`` is a word of `gateway.decode.mbus_address.MEDIA`; ``status`` has bit 2 for
low power, 3 and 4 for a permanent and a temporary error, 5 to 7 for the maker's own.  ``more`` says
that the meter has a further telegram; where that one stands in the same message its records are
joined.  With CI 73 (fixed structure) there is no manufacturer; with CI 78 nothing but ``address``
says who it is; an alarm (CI 71) has ``alarm`` instead of records.

Answers of several meters, or several of one, are under ``meters``, each as above; a message of one
has it under ``meters``, too.  Requests and acknowledgements are left out; a message of nothing else
carries no reading.

A payload of bare records (``records_at``) has ``values`` and ``records``, and under ``head`` what
stands before them, in hexadecimal.

No library: pyMeterBus 0.8 (BSD) takes sixty times as long over the corpus, stops at 3 of 51 frames,
and lets IndexError and KeyError through for changed bytes.  pymbusparser 0.5 (MIT, Rust) never
failed, but takes twice as long for JSON text and three times for a dictionary, has neither mode 7
nor compact frames, and its English words would need this module's table of names all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from gateway.decode.document import NO_PAYLOAD, Context, Document, Parse
from gateway.decode.mbus_address import Meter
from gateway.decode.mbus_fixed import read_fixed
from gateway.decode.mbus_frame import Frame, frames
from gateway.decode.mbus_records import Records
from gateway.decode.mbus_transport import Application, open_application, refuse_error
from gateway.errors import DecodeError
from gateway.profiles.formats import Mbus

MAX_BYTES: Final = 64 * 1024

_FIXED: Final = {0x73: False, 0x77: True}
"""CI of the fixed structure: whether high bytes come first."""


def compile_mbus(settings: Mbus) -> Parse:
    """A parser of one or several M-Bus frames.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``bad_checksum``,
        ``unparseable``, ``missing_key``, ``no_reading`` (the meter reports an application error),
        or ``no_payload``.
    """
    return _parser(settings.max_bytes or MAX_BYTES, settings.records_at)


@cache
def _parser(limit: int, records_at: int | None) -> Parse:
    def parse(payload: bytes, context: Context) -> Document:
        if len(payload) > limit:
            raise DecodeError("too_large", f"payload of {len(payload)} bytes, at most {limit}")
        if records_at is None:
            return _document(frames(payload), context)
        return _bare(payload, records_at)

    return Once(parse)


class Once:
    """A parser that parses a message once, however many profiles share its topic.

    What comes of it depends on payload, registry and the device that the topic names.
    """

    __slots__ = ("_device_id", "_devices", "_document", "_parse", "_payload", "_refusal")

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._payload: bytes | None = None
        self._devices: Mapping[str, Any] | None = None
        self._device_id: str | None = None
        self._document: Document = {}
        self._refusal: tuple[str, str] | None = None

    def __call__(self, payload: bytes, context: Context) -> Document:
        """The document of a message."""
        device_id = context.levels.get("device_id")
        if (
            payload is not self._payload
            or context.devices is not self._devices
            or device_id != self._device_id
        ):
            self._payload, self._devices = payload, context.devices
            self._device_id, self._refusal = device_id, None
            try:
                self._document = self._parse(payload, context)
            except DecodeError as error:
                self._refusal = error.reason, error.detail
        if self._refusal is not None:
            raise DecodeError(*self._refusal)
        return self._document


def _document(answers: list[Frame], context: Context) -> Document:
    meters: list[Document] = []
    refusal: DecodeError | None = None
    last: tuple[Meter | None, int, Records, Document] | None = None
    for frame in answers:
        ci = frame.body[0]
        if ci in _FIXED:
            found, records = read_fixed(frame.body, swapped=_FIXED[ci])
            meters.append(_filled({**found, "address": frame.address, "security": 0}, records))
            continue
        application = open_application(frame.body, None, context)
        if application.sort == "error":
            refusal = refusal or refuse_error(application, f"the meter at address {frame.address}")
            continue
        if application.sort in {"compact", "format"}:
            raise DecodeError(
                "unparseable", f"byte {frame.at}: CI {ci:02X}H is a frame of wireless M-Bus"
            )
        key = application.meter, frame.address
        if last is not None and last[:2] == key and last[2].more:
            _, _, records, document = last
        else:
            records = Records()
            document = describe(application, {"address": frame.address})
            meters.append(document)
        fill(application, document, records)
        last = *key, records, document
    if not meters:
        raise refusal or DecodeError(NO_PAYLOAD, "nothing but requests and acknowledgements")
    if len(meters) > 1:
        return {"meters": meters}
    return {**meters[0], "meters": meters}


def _bare(payload: bytes, at: int) -> Document:
    """Records without a frame around them, and what stands before them."""
    if len(payload) <= at:
        raise DecodeError("unparseable", f"{len(payload)} bytes, the records begin at byte {at}")
    records = Records()
    records.take(payload, at)
    return _filled({"head": payload[:at].hex()}, records)


def describe(application: Application, link: Mapping[str, Any]) -> Document:
    """Who sent an answer, and how: all of the document but what it says."""
    meter = application.meter
    found: Document = {}
    if meter is not None:
        found = {
            "id": meter.id,
            "manufacturer": meter.manufacturer,
            "version": meter.version,
            "medium": meter.medium,
        }
    found.update(link)
    if application.access is not None:
        found["access"] = application.access
        found["status"] = application.status
    found["security"] = application.mode
    if application.authentic:
        found["authentic"] = True
    return found


def fill(application: Application, document: Document, records: Records) -> None:
    """Reads what an answer says into its document; ``records`` has what came before it."""
    data, at = application.data, application.at
    if application.sort == "alarm":
        if at >= len(data):
            raise DecodeError("unparseable", "an alarm without its byte")
        document["alarm"] = data[at]
    elif application.sort == "records":
        records.take(data, at, swapped=application.swapped)
    _filled(document, records)


def _filled(document: Document, records: Records) -> Document:
    document["values"] = records.values
    document["records"] = records.records
    if records.manufacturer_data:
        document["manufacturer_data"] = records.manufacturer_data.hex()
    if records.more:
        document["more"] = True
    else:
        document.pop("more", None)
    return document
