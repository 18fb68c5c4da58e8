"""The script that the gateway is measured against: what a competent user writes in an afternoon.

MQTT with QoS 1 and a persistent session (paho-mqtt), ``json``, six fields, a unit conversion, a
range check, and the batching writer of ``influxdb-client``.  It acknowledges on receipt, as paho
does by itself, so what is in its buffer at a crash is lost: the gateway's league is another.

``--style point`` writes with ``Point`` objects, as the library's first example does; ``--style
line`` builds line protocol by hand, which its documentation names as the faster way.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import paho.mqtt.client as mqtt
from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from paho.mqtt.enums import CallbackAPIVersion

FIELDS = {
    "water_meter": ("volume", "volume_reverse", "flow_rate", "temperature", "pressure",
                    "battery_voltage"),
    "gas_meter": ("volume", "volume_base", "flow_rate", "temperature", "pressure",
                  "conversion_factor"),
    "fuel_dispenser": ("volume", "unit_price", "amount", "totaliser_volume", "totaliser_amount",
                       "started_at"),
    "taximeter": ("total_distance", "occupied_distance", "speed", "longitude", "latitude",
                  "pulses"),
    "ev_charger": ("energy_import", "power", "voltage", "amperage", "state_of_charge"),
}  # fmt: skip
LIMITS = {
    "water_meter": ("flow_rate", 0, 20),
    "gas_meter": ("flow_rate", 0, 20),
    "fuel_dispenser": ("volume", 0, 200),
    "taximeter": ("speed", 0, 150),
    "ev_charger": ("power", 0, 350),
}


def read(topic: str, payload: bytes) -> tuple[str, str, int, dict[str, Any]]:
    """Kind, device, time and fields of a message."""
    _, _region, kind, device, _ = topic.split("/")
    message = json.loads(payload)
    fields = {name: float(message[name]) for name in FIELDS[kind]}
    fields["seq"] = int(message["seq"])
    name, low, high = LIMITS[kind]
    fields["in_range"] = low <= fields[name] <= high
    if "flow_rate" in fields:
        fields["flow_rate"] *= 1000.0 / 60.0  # m3/h to L/min
    return kind, device, int(message["ts"]), fields


def as_point(kind: str, device: str, at: int, fields: dict[str, Any]) -> Point:
    """The library's own object."""
    point = Point(kind).tag("device", device).time(at, WritePrecision.MS)
    for name, value in fields.items():
        point.field(name, value)
    return point


def as_line(kind: str, device: str, at: int, fields: dict[str, Any]) -> str:
    """Line protocol by hand."""
    values = ",".join(
        f"{name}={value}" + ("i" if name == "seq" else "") for name, value in fields.items()
    )
    return f"{kind},device={device} {values} {at}"


def main() -> None:
    """Drains ``--count`` messages and prints how long it took, as one JSON object."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host", required=True)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--url", required=True)
    arguments.add_argument("--count", type=int, required=True)
    arguments.add_argument("--style", choices=("point", "line"), default="point")
    options = arguments.parse_args()
    make = as_point if options.style == "point" else as_line
    influx = InfluxDBClient(options.url, token="none", org="none", enable_gzip=True)
    writer = influx.write_api(write_options=WriteOptions(batch_size=5_000, flush_interval=1_000))
    seen = 0
    first = 0.0

    def on_message(client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        nonlocal seen, first
        first = first or time.perf_counter()
        writer.write(
            "metering", record=make(*read(message.topic, message.payload)), write_precision="ms"
        )
        seen += 1
        if seen == options.count:
            client.disconnect()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="plain-script", clean_session=False)
    client.on_message = on_message
    client.on_connect = lambda client, *_: client.subscribe("meters/#", qos=1)
    client.connect(options.host, options.port)
    cpu = time.process_time()
    client.loop_forever()
    writer.close()  # returns when the last batch is written
    seconds = time.perf_counter() - first
    print(json.dumps({"seconds": seconds, "cpu_s": time.process_time() - cpu, "messages": seen}))


if __name__ == "__main__":
    main()
