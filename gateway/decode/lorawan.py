"""LoRaWAN uplinks as network servers send them: The Things Stack v3, ChirpStack v4 and v3.

One document whatever the server: who (``device``, ``dev_eui``), where (``application``), which
model the server knows (``model``), ``f_port``, ``f_cnt``, ``received_at`` (RFC 3339) and the
payload's bytes.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from gateway.decode.document import NO_PAYLOAD
from gateway.decode.json import parse_json
from gateway.errors import DecodeError

Opened = tuple[dict[str, Any], bytes]
_HEX_EUI: Final = 16


def open_lorawan(payload: bytes) -> Opened:
    """The envelope's document and the payload in it.

    Raises:
        DecodeError: no JSON, no uplink of a server that is known, or (``no_payload``) an uplink
            that carries none: MAC commands only.
    """
    uplink = parse_json(payload)
    if not isinstance(uplink, dict):
        raise DecodeError("wrong_type", "an uplink is a JSON object")
    if isinstance(uplink.get("uplink_message"), dict):
        document, data = _things_stack(uplink, uplink["uplink_message"])
    elif isinstance(uplink.get("deviceInfo"), dict):
        document, data = _chirpstack(uplink, uplink["deviceInfo"])
    elif "devEUI" in uplink:
        document, data = _chirpstack_v3(uplink)
    else:
        raise DecodeError(
            "missing_field",
            "no uplink of The Things Stack v3 (`$.uplink_message`), ChirpStack v4 "
            "(`$.deviceInfo`) or v3 (`$.devEUI`)",
        )
    if data is None or data == "":
        raise DecodeError(NO_PAYLOAD, "the uplink carries no payload")
    raw = from_base64(data)
    document["payload"] = raw.hex()
    return {key: value for key, value in document.items() if value is not None}, raw


def from_base64(data: object) -> bytes:
    """Bytes of a text in base64, standard or URL-safe, padded or not.

    Raises:
        DecodeError: ``unparseable``.
    """
    if not isinstance(data, str):
        raise DecodeError("wrong_type", f"the payload is a text in base64, got {str(data)[:40]!r}")
    text = data.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("unparseable", f"the payload is no base64: {error}") from error


def _things_stack(uplink: dict[str, Any], message: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    who = _mapping(uplink.get("end_device_ids"))
    version = _mapping(message.get("version_ids"))
    brand, model = version.get("brand_id"), version.get("model_id")
    settings = _mapping(message.get("settings"))
    document = {
        "network": "things_stack",
        "device": _text(who.get("device_id")),
        "dev_eui": _eui(who.get("dev_eui")),
        "application": _text(_mapping(who.get("application_ids")).get("application_id")),
        "model": f"{brand}/{model}" if brand and model else None,
        # A port that is absent is 0 in protobuf's JSON, and port 0 is for MAC commands only.
        "f_port": _whole(message.get("f_port")),
        "f_cnt": _whole(message.get("f_cnt")) or 0,
        "received_at": _text(
            message.get("received_at") or settings.get("time") or uplink.get("received_at")
        ),
        "rssi": _rssi(message.get("rx_metadata")),
    }
    return document, message.get("frm_payload")


def _chirpstack(uplink: dict[str, Any], info: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    document = {
        "network": "chirpstack",
        "device": _text(info.get("deviceName")),
        "dev_eui": _eui(info.get("devEui")),
        "application": _text(info.get("applicationName")),
        "model": _text(info.get("deviceProfileName")),
        "f_port": _whole(uplink.get("fPort")),
        "f_cnt": _whole(uplink.get("fCnt")) or 0,
        "received_at": _text(uplink.get("time")),
        "rssi": _rssi(uplink.get("rxInfo")),
    }
    return document, uplink.get("data")


def _chirpstack_v3(uplink: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    seen = uplink.get("rxInfo")
    first = _mapping(seen[0]) if isinstance(seen, list) and seen else {}
    document = {
        "network": "chirpstack_v3",
        "device": _text(uplink.get("deviceName")),
        "dev_eui": _eui(uplink.get("devEUI")),
        "application": _text(uplink.get("applicationName")),
        "model": _text(uplink.get("deviceProfileName")),
        "f_port": _whole(uplink.get("fPort")),
        "f_cnt": _whole(uplink.get("fCnt")) or 0,
        "received_at": _text(first.get("time")),
        "rssi": _rssi(seen),
    }
    return document, uplink.get("data")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if whole else None  # type: ignore[return-value]


def _eui(value: object) -> str | None:
    """The EUI as 16 lower-case hex digits; ChirpStack v3 may send it in base64."""
    if not isinstance(value, str) or not value:
        return None
    plain = value.replace("-", "").replace(":", "").lower()
    try:
        if len(plain) == _HEX_EUI:
            return bytes.fromhex(plain).hex()
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        return None
    return raw.hex() if len(raw) * 2 == _HEX_EUI else None


def _rssi(seen: object) -> float | None:
    """The best of the gateways that heard it."""
    found = [
        each["rssi"]
        for each in (seen if isinstance(seen, list) else ())
        if isinstance(each, dict)
        and isinstance(each.get("rssi"), int | float)
        and not isinstance(each["rssi"], bool)
    ]
    return max(found, default=None)
