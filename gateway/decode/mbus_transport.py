"""The transport layer of M-Bus, wired and wireless (EN 13757-7): whose data, and is it enciphered.

A CI byte says which header follows::

    long    id(4) manufacturer(2) version medium  access status configuration(2)
    short   access status configuration(2)
    none

The configuration has the security mode in bits 8 to 12 and the number of enciphered blocks of 16
bytes in bits 4 to 7; modes that need more have a byte behind it.  With a short header, or none, the
link layer says who it is.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.decode.document import Context
from gateway.decode.mbus_address import Meter, read_meter
from gateway.decode.mbus_security import Authentication, Security, decipher
from gateway.errors import DecodeError

_CI: Final[dict[int, tuple[str, str]]] = {
    0x72: ("long", "records"), 0x7A: ("short", "records"), 0x78: ("none", "records"),
    0x76: ("long", "records"),
    0x73: ("long", "compact"), 0x7B: ("short", "compact"), 0x79: ("none", "compact"),
    0x6B: ("long", "format"), 0x6A: ("short", "format"), 0x69: ("none", "format"),
    0x6F: ("long", "error"), 0x6E: ("short", "error"), 0x70: ("none", "error"),
    0x75: ("long", "alarm"), 0x74: ("short", "alarm"), 0x71: ("none", "alarm"),
    0x8B: ("long", "nothing"), 0x8A: ("short", "nothing"),
}  # fmt: skip
"""What a meter sends: the header that follows, and what comes after it."""

_SWAPPED: Final = 0x76
_LONG: Final = 12
_SHORT: Final = 4
_LAST_MODE: Final = 15
"""Wired meters older than the configuration have a signature there that nobody defined; what names
no mode is taken as that."""

APPLICATION_ERRORS: Final = (
    "unspecified error", "the telegram is too long for it", "too many records",
    "the record ends too early", "more than ten DIFEs", "more than ten VIFEs", "reserved",
    "it is busy", "too many readouts for this time", "access was denied", "unknown command",
    "a parameter is missing or wrong", "unknown receiver", "it could not decipher",
    "the key is not known", "the signature is wrong", "the block number is wrong",
)  # fmt: skip
"""What a meter says in an application error, by its code."""


class Application(NamedTuple):
    """An answer with its header taken off.

    Attributes:
        meter: None where neither header nor link layer says who it is.
        access: access number; None without a header.
        status: status byte; None without a header.
        sort: ``records``, ``compact``, ``alarm``, ``error``, or ``nothing``.
        data: all of it in plain, from ``at`` on.
        at: where the data begin.
        swapped: high byte first (CI 76).
        mode: security mode by which it came, 0 for plain.
        authentic: a MAC was there and fits.
    """

    meter: Meter | None
    access: int | None
    status: int | None
    sort: str
    data: bytes
    at: int
    swapped: bool
    mode: int
    authentic: bool


def open_application(
    body: bytes,
    link: Meter | None,
    context: Context,
    authentication: Authentication | None = None,
) -> Application:
    """Takes the header off an answer and deciphers what follows.

    Args:
        body: from the CI byte on.
        link: whom the link layer names.
        context: for keys.
        authentication: counter and MAC of the layer around it.

    Raises:
        DecodeError: ``unparseable``, or ``missing_key``.
    """
    ci = body[0]
    form = _CI.get(ci)
    if form is None:
        hint = "; DLMS over M-Bus is format dlms" if ci < 0x20 or ci in {0x7C, 0x7D} else ""
        raise DecodeError("unparseable", f"CI {ci:02X}H is no data of a meter{hint}")
    header, sort = form
    size = 1 + {"long": _LONG, "short": _SHORT, "none": 0}[header]
    if len(body) < size:
        raise DecodeError(
            "unparseable",
            f"CI {ci:02X}H has a header of {size - 1} bytes, {len(body) - 1} follow",
        )
    swapped = ci == _SWAPPED
    meter = link
    if header == "long":
        address, maker = body[1:5], body[5:7]
        if swapped:
            address, maker = address[::-1], maker[::-1]
        meter = read_meter(maker, address + body[7:9])
    access = status = None
    security = Security()
    if header != "none":
        access, status = body[size - 4], body[size - 3]
        told = int.from_bytes(body[size - 2 : size], "big" if swapped else "little")
        mode = told >> 8 & 0x1F
        if mode and (link is not None or mode <= _LAST_MODE):
            security = Security(mode, told >> 4 & 0x0F, access)
    authentic = False
    if security.mode or authentication is not None:
        body, size = decipher(
            body, size, security, meter, context=context, authentication=authentication
        )
        authentic = authentication is not None and bool(authentication.mac)
    return Application(meter, access, status, sort, body, size, swapped, security.mode, authentic)


def refuse_error(application: Application, who: str) -> DecodeError:
    """What is left of a message in which the meter says that it will not answer."""
    data, at = application.data, application.at
    code = data[at] if at < len(data) else 0
    known = code < len(APPLICATION_ERRORS)
    said = APPLICATION_ERRORS[code] if known else "an error of its maker's own"
    return DecodeError("no_reading", f"{who} reports application error {code}: {said}")
