"""Captures of formats that nobody told the gateway of, each of another maker's taste."""

from __future__ import annotations

import base64
import datetime as dt
import json
import struct
from typing import Any

import cbor2

from gateway.records import RawMessage

T0 = dt.datetime(2026, 3, 2, 6, 0, tzinfo=dt.UTC)


def at(minutes: float) -> dt.datetime:
    return T0 + dt.timedelta(minutes=minutes)


def local(moment: dt.datetime, hours: int = 8, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return (moment + dt.timedelta(hours=hours)).strftime(form)


def message(number: int, topic: str, body: Any, received: dt.datetime) -> RawMessage:
    if isinstance(body, bytes):
        payload = body
    elif isinstance(body, str):
        payload = body.encode()
    else:
        payload = json.dumps(body, ensure_ascii=False).encode()
    return RawMessage(number, int(received.timestamp()) * 10**9, topic, payload)


def dispenser() -> list[RawMessage]:
    """Nested JSON with arrays of sales, money in hundredths, volumes in millilitres."""
    found, number = [], 997
    for i in range(8):
        sales = []
        for gun in range(1, 2 + i % 2):
            millilitres, price = 15_250 + 3_110 * i, (789, 812)[i % 2]
            sales.append(
                {
                    "seq": number, "gun": gun, "grade": "92#",
                    "begin": local(at(i - 2)), "end": local(at(i - 0.1)),
                    "sale": {"vol_ml": millilitres, "price_fen": price,
                             "money_fen": round(millilitres * price / 1000)},
                    "pumpTotal": f"{123456.78 + 33 * i + 1000 * gun:010.2f}",
                }
            )  # fmt: skip
            number = (number + 1) % 1000
        site = f"SX-{1 + i % 2:03d}"
        body = {"site": site, "ver": 3, "records": sales}
        found.append(message(i, f"station/{site}/forecourt", body, at(i)))
    return found


def pinyin() -> list[RawMessage]:
    """Flat keys in pinyin, scaled whole numbers, two meters on one topic."""
    return [
        message(i, "dnb/up", {
            "bh": f"00004{i % 2}1177", "sj": local(at(15 * i)),
            "zxygz": round(1023.17 + 0.31 * i + 500 * (i % 2), 2), "fxygz": 0.12,
            "dy_a": 2203 + i, "dy_b": 2210, "dy_c": 2198, "dl_a": 1.52, "dl_b": 1.41, "dl_c": 1.6,
            "gl": 0.912, "glys": 985, "pl": 4998, "dcdy": 3.61, "zt": 0,
        }, at(15 * i))
        for i in range(6)
    ]  # fmt: skip


def taxi() -> list[RawMessage]:
    """Trips, times as digits."""
    form = "%Y%m%d%H%M%S"
    return [
        message(i, f"taxi/jingB{1000 + i % 2}/trip", {
            "plate": f"京B{1000 + i % 2}", "tripNo": 100 + i,
            "getOn": local(at(30 * i - 25), 8, form), "getOff": local(at(30 * i), 8, form),
            "mileage": 3 + 2.3 * i, "waiting": 120 + 30 * i, "fare": 13 + 5 * i,
            "fuelSurcharge": 1, "kValue": 1060,
        }, at(30 * i))
        for i in range(5)
    ]  # fmt: skip


def charger() -> list[RawMessage]:
    """Sorts of messages on one topic, two chargers on it, milliseconds."""
    found = []
    for i in range(12):
        who = {"chargerId": f"CP{1 + i % 2}"}
        now = int(at(i).timestamp() * 1000)
        if i % 4 == 3:
            body = {"messageType": "ChargingSession", **who, "connectorId": 1, "sessionId": f"s{i}",
                    "startTime": now - 3_600_000, "endTime": now, "meterStart": 100_000 + 2000 * i,
                    "meterStop": 112_250 + 2000 * i, "energy": 12_250, "cost": 1837,
                    "currency": "EUR"}  # fmt: skip
        elif i % 4 == 1:
            body = {"messageType": "Heartbeat", **who, "uptime": 60 * i}
        else:
            body = {"messageType": "MeterValues", **who, "connectorId": 1, "timestamp": now,
                    "power": 7200 + i, "voltage": 231.2, "current": 31.1,
                    "soc": 50 + i}  # fmt: skip
        found.append(message(i, "ev/site9", body, at(i)))
    return found


def keyed() -> list[RawMessage]:
    """Values by name in an array, each with its unit."""
    return [
        message(i, f"gw/lc-77/meters/W{100 + i % 2}", {
            "gw": "lc-77", "ts": at(60 * i).isoformat().replace("+00:00", "Z"),
            "points": [
                {"name": "Volume", "value": 321.045 + i, "unit": "m³"},
                {"name": "FlowRate", "value": 120, "unit": "l/h"},
                {"name": "Temp", "value": 14.5, "unit": "°C"},
                {"name": "RSSI", "value": -80, "unit": "dBm"},
            ],
        }, at(60 * i))
        for i in range(4)
    ]  # fmt: skip


def texts() -> list[RawMessage]:
    """Numbers as padded text, date and time of day apart, dashes for no value."""
    return [
        message(i, f"gas/{5501 + i % 2}", {
            "meterNo": f"G{5501 + i % 2}", "date": local(at(60 * i), 1, "%d.%m.%Y"),
            "time": local(at(60 * i), 1, "%H:%M:%S"), "Vb": f"{10233.5 + i:010.2f}",
            "V": f"{9988.1 + i:010.2f}", "p": "---" if i == 2 else "103.3", "T": "12.5",
            "lowBattery": False, "tamper": i == 3,
        }, at(60 * i))
        for i in range(6)
    ]  # fmt: skip


def cbor() -> list[RawMessage]:
    """CBOR with arrays of phases."""
    return [
        message(i, f"m/{900 + i % 2}/cbor", cbor2.dumps({
            "id": f"{900 + i % 2}", "t": int(at(10 * i).timestamp()), "kWh": 1234.56 + i,
            "W": [230, 240, 250], "U": [229.9, 230.1, 231.0], "n": i,
        }), at(10 * i))
        for i in range(5)
    ]  # fmt: skip


def dlt645(address: str, di: str, data: bytes) -> bytes:
    """An answer of DL/T 645-2007, written from the standard."""
    body = bytes.fromhex(di)[::-1] + data
    frame = b"\x68" + bytes.fromhex(address)[::-1] + b"\x68\x91" + bytes([len(body)])
    frame += bytes(byte + 0x33 & 0xFF for byte in body)
    return b"\xfe\xfe" + frame + bytes([sum(frame) & 0xFF, 0x16])


def frames() -> list[RawMessage]:
    """DL/T 645 in hexadecimal in JSON."""
    found = []
    for i in range(4):
        raw = dlt645("000000000161", "00010000", bytes([0x20 + i, 0x34, 0x12, 0]))
        raw += dlt645("000000000161", "02010100", bytes([0x05, 0x22]))
        body = {"imei": f"8612{i % 2}", "signal": 20, "frame": raw.hex().upper(),
                "ts": int(at(i).timestamp())}  # fmt: skip
        found.append(message(i, f"dtu/8612{i % 2}/raw", body, at(i)))
    return found


def hex_text() -> list[RawMessage]:
    """DL/T 645 in hexadecimal and nothing else."""
    return [
        message(i, f"dtu/a{i % 2}",
                dlt645("000000000161", "00010000", bytes([0x20 + i, 0x34, 0x12, 0])).hex(), at(i))
        for i in range(4)
    ]  # fmt: skip


def uplink(number: int, device: str, port: int, data: bytes, minutes: float) -> RawMessage:
    """An uplink as ChirpStack hands it on."""
    body = {
        "time": at(minutes).isoformat(), "fCnt": number, "fPort": port,
        "deviceInfo": {"devEui": device, "deviceProfileName": "ACME-W5"},
        "data": base64.b64encode(data).decode(),
    }  # fmt: skip
    return message(number, f"application/9/device/{device}/event/up", body, at(minutes))


def lorawan() -> list[RawMessage]:
    """Bytes of the maker's own on two ports."""
    found = []
    for i in range(12):
        seconds, total = int(at(60 * i).timestamp()), 100_000 + 35 * i + 50_000 * (i % 2)
        data = struct.pack("<BIIHbB", 1, seconds, total, 3600 - i, 18, 0)
        port = 5 if i % 4 == 3 else 1
        device = f"0102030405060{i % 2:03x}"
        found.append(uplink(i, device, port, bytes([9, 0, i]) if port == 5 else data, 60 * i))
    return found


def bare() -> list[RawMessage]:
    """A topic for each value, nothing but a number in it."""
    found = []
    for i in range(12):
        device = f"plug{1 + i % 2}"
        values = {"power": 100 + 3 * i, "energy": 5000 + 10 * i + 1000 * (i % 2), "state": 1,
                  "voltage": 231.4}  # fmt: skip
        for metric, value in values.items():
            topic = f"home/{device}/meter/{metric}"
            found.append(message(len(found), topic, str(value), at(i)))
    return found


def batch() -> list[RawMessage]:
    """Several meters in one message of a concentrator."""
    return [
        message(i, "concentrator/c1/batch", {
            "concentrator": "c1", "time": at(15 * i).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "meters": [
                {"meterId": f"M{k}", "reading": {"total": 1000.5 + 2 * i + 100 * k, "flow": 0.12},
                 "valveState": k % 2, "alarm": {"leak": k == 1 and i == 2, "lowBattery": False}}
                for k in range(3)
            ],
        }, at(15 * i))
        for i in range(4)
    ]  # fmt: skip


def decoded() -> list[RawMessage]:
    """Uplinks of The Things Stack whose codec has decoded them."""
    return [
        message(i, f"v3/app@ttn/devices/wm-{i % 2}/up", {
            "end_device_ids": {"device_id": f"wm-{i % 2}", "dev_eui": f"70b3d5000000{i % 2:04x}"},
            "received_at": at(60 * i).isoformat(),
            "uplink_message": {
                "f_port": 2, "f_cnt": i, "frm_payload": "AQID",
                "decoded_payload": {"totalVolume": 12.345 + i, "temperature": 15,
                                    "battery_mv": 3600, "alarms": {"leak": False, "burst": False}},
            },
        }, at(60 * i))
        for i in range(5)
    ]  # fmt: skip


def phases() -> list[RawMessage]:
    """An array of phases beside registers by tariff; the epoch as text, a number that wraps."""
    return [
        message(i, f"elec/{300 + i % 2}/data", {
            "sn": f"{300 + i % 2}", "ts": str(int(at(i).timestamp())), "seq": (65533 + i) % 65536,
            "phases": [{"phase": phase, "u": 230.1, "i": 5.5, "p": 1200} for phase in "ABC"],
            "energy": {"imp": {"total": 5000.11 + i, "T1": 1000.0, "T2": 4000.11 + i},
                       "exp": {"total": 0.0}},
            "freq": 50.01,
        }, at(i))
        for i in range(5)
    ]  # fmt: skip


def characters() -> list[RawMessage]:
    """Keys in Chinese."""
    return [
        message(i, f"heat/{88 + i % 2}", {
            "表号": f"HT{88 + i % 2}", "采集时间": local(at(60 * i)), "累计热量": 12.345 + i,
            "累计流量": 456.78 + i, "供水温度": 61.2, "回水温度": 41.3, "瞬时流量": 0.65,
            "状态": "正常",
        }, at(60 * i))
        for i in range(5)
    ]  # fmt: skip


def presence() -> list[RawMessage]:
    """Two sorts of messages that only their keys tell apart."""
    found = []
    for i in range(8):
        topic = f"wm/{7000 + i % 2}/up"
        if i % 2 == i // 2 % 2:
            body = {"ts": int(at(i).timestamp()), "volume_m3": 100.5 + i, "flow_lph": 12}
        else:
            body = {"alarm": {"leak": True, "tamper": False}, "when": int(at(i).timestamp())}
        found.append(message(i, topic, body, at(i)))
    return found


def table() -> list[RawMessage]:
    """Lines with semicolons, a decimal comma, and a row of names."""
    found = []
    for i in range(4):
        row = f"{local(at(60 * i), 1, '%d.%m.%Y %H:%M')};H{i % 2};{12.5 + i / 10:.3f};61,2;41,0"
        number = row.replace(f"{12.5 + i / 10:.3f}", f"{12.5 + i / 10:.3f}".replace(".", ","))
        text = f"Zeit;Serie;Energie_MWh;Vorlauf;Ruecklauf\r\n{number}\r\n"
        found.append(message(i, f"logger/heat/H{i % 2}", text, at(60 * i)))
    return found


def pairs() -> list[RawMessage]:
    """Keys and values on one line."""
    return [
        message(i, f"w/W{i % 2}9/kv", f"VOL={1000 + 5 * i}.25 FLOW=0.12 T=14.5 BAT=3.61", at(i))
        for i in range(5)
    ]  # fmt: skip


def scaled() -> list[RawMessage]:
    """Whole numbers for decimals, a number that stands for none, a version that is no volume."""
    return [
        message(i, f"nb/86{i % 2}/up", {
            "v": "1.2", "imei": f"86{i % 2}", "cnt": i, "rt": int(at(60 * i).timestamp()),
            "acc": 123_456 + 7 * i, "inst": -9999 if i == 2 else 35, "tmp": 215, "bv": 362,
            "alm": {"rev": 0, "lowbat": 0},
        }, at(60 * i))
        for i in range(6)
    ]  # fmt: skip


def wallbox() -> list[RawMessage]:
    """Phases and units in names, a state in words."""
    return [
        message(i, f"wallbox/wb{i % 2}/status", {
            "ts": at(i).timestamp(), "state": ("Charging", "Available")[i % 2],
            "session_kwh": 3.2 + i, "total_kwh": 1500.2 + i, "power_kw": 7.2,
            "l1_a": 31.1, "l2_a": 0.0, "l3_a": 0.0, "l1_v": 230.1, "error": None,
        }, at(i))
        for i in range(4)
    ]  # fmt: skip


def forecourt() -> list[RawMessage]:
    """Pumps with nozzles, an array in an array."""
    return [
        message(i, f"fc/S{i % 2}7/state", {
            "station": f"S{i % 2}7", "ts": int(at(15 * i).timestamp()),
            "pumps": [
                {"pumpNo": p, "nozzles": [
                    {"nozzle": n, "grade": "E10", "totaliser_l": 10_000.5 * p + n + 20 * i}
                    for n in (1, 2)
                ]}
                for p in (1, 2, 3)
            ],
        }, at(15 * i))
        for i in range(4)
    ]  # fmt: skip


def by_serial() -> list[RawMessage]:
    """Meters by their serial number, as keys."""
    return [
        message(i, "mbus/gw-3/all", {
            "time": at(60 * i).isoformat(),
            "meters": {
                f"1234567{k}": {"volume_m3": 100.5 + i + k, "flow_m3h": 0.12, "alarm": "OK"}
                for k in range(3)
            },
        }, at(60 * i))
        for i in range(3)
    ]  # fmt: skip
