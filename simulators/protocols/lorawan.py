"""LoRaWAN uplinks of a water meter, as The Things Stack v3 or ChirpStack v4 sends them by MQTT.

The payload is the one that the gateway's profile of the Axioma Qalcosonic W1 reads (port 100, low
byte first): time, status, register in litres, then time and register of the first logged hour and
the differences of the hours after it.  The log has the readings before this one, as long as they
are an hour apart and only grow; the first reading of a meter goes into the log alone.

What it can't carry: numbers of messages (the frame counter is the radio's), milliseconds, flow,
pressure, temperature, reverse volume, battery, valve.
"""

from __future__ import annotations

import base64
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulators.clock import rfc3339
from simulators.protocols.fields import is_periodic, scaled
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simulators.instrument import Body, Setting

PROFILES: Final = {"water_meter": "axioma-qalcosonic-w1"}
CARRIES: Final = frozenset({"time", "register"})

_PORT: Final = 100
_HOUR: Final = 3600
_LOGGED: Final = 15
_STEP: Final = 0xFFFF
"""The largest difference of an hour, in litres."""


class _Meter:
    """The register in litres by time in seconds: the log's hours."""

    def __init__(self) -> None:
        self._log: list[tuple[int, int]] = []

    def payload(self, body: Body) -> bytes | None:
        """What the meter sends, or None where its log is still empty."""
        at, litres = body["ts"] // 1000, scaled(body, "volume", 1000)
        if litres is None or not 0 <= litres < 2**32:
            return None
        log, last = self._log, self._log[-1] if self._log else None
        payload = None if last is None or at < last[0] else _packed(at, litres, log)
        follows = last is not None and at - last[0] == _HOUR and 0 <= litres - last[1] <= _STEP
        self._log = [*log[-_LOGGED:], (at, litres)] if follows else [(at, litres)]
        return payload


def _packed(at: int, litres: int, log: list[tuple[int, int]]) -> bytes:
    first, start = log[0]
    steps = [after[1] - before[1] for before, after in pairwise(log)]
    return struct.pack(f"<IBIII{len(steps)}H", at, 0, litres, first, start, *steps)


def identity(kind: str, region: str, index: int) -> str:
    """The DevEUI, 16 hexadecimal digits, by which ChirpStack names a device."""
    del kind
    return f"{region}fe{index + 1:08x}"


def things_stack(kind: str, region: str, setting: Setting) -> Encode:
    """Uplinks in the envelope of The Things Stack v3."""
    del kind
    application = f"water-{region}"
    topic = f"v3/{application}@simulated/devices/{setting.device_id}/up"
    eui = identity("", region, setting.index).upper()

    def wrap(at: str, counter: int, data: str) -> Packet:
        uplink = {
            "end_device_ids": {
                "device_id": setting.device_id,
                "application_ids": {"application_id": application},
                "dev_eui": eui,
            },
            "received_at": at,
            "uplink_message": {
                "f_port": _PORT,
                "f_cnt": counter,
                "frm_payload": data,
                "received_at": at,
                "version_ids": {"brand_id": "axioma", "model_id": "w1"},
            },
        }
        return Packet(topic, msgspec.json.encode(uplink))

    return _encoder(wrap)


def chirpstack(kind: str, region: str, setting: Setting) -> Encode:
    """Uplinks in the envelope of ChirpStack v4."""
    del kind
    application = f"water-{region}"
    topic = f"application/{application}/device/{setting.device_id}/event/up"

    def wrap(at: str, counter: int, data: str) -> Packet:
        uplink: dict[str, Any] = {
            "deduplicationId": f"{setting.device_id}-{counter}",
            "time": at,
            "deviceInfo": {
                "applicationId": application,
                "applicationName": application,
                "deviceProfileName": "axioma-qalcosonic-w1",
                "deviceName": f"meter {setting.index + 1}",
                "devEui": setting.device_id,
            },
            "fCnt": counter,
            "fPort": _PORT,
            "data": data,
        }
        return Packet(topic, msgspec.json.encode(uplink))

    return _encoder(wrap)


def _encoder(wrap: Callable[[str, int, str], Packet]) -> Encode:
    meter, counter = _Meter(), 0

    def encode(body: Body) -> Iterable[Packet]:
        nonlocal counter
        payload = meter.payload(body) if is_periodic(body) else None
        if payload is None:
            return ()
        counter = (counter + 1) % 2**32
        # the radio's own time of receipt is not known here: the meter's stands in for it
        return (wrap(rfc3339(body["ts"]), counter, base64.b64encode(payload).decode()),)

    return encode
