"""OCPP 1.6-J: a charger's calls, bridged to MQTT one a message.

A periodic reading is ``MeterValues`` of its connector; a session is ``StopTransaction`` with the
registers of begin and end as ``transactionData`` (configuration StopTxnSampledData).

What it can't carry: numbers of messages, prices and amounts, and which connector a session was on;
registers of a transaction are whole watt hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulators.clock import rfc3339
from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body, Setting

PROFILES: Final = {"ev_charger": "ocpp16-charger"}
CARRIES: Final = frozenset({"time", "register"})

_SAMPLED: Final = (
    ("energy_import", "Energy.Active.Import.Register", "kWh"),
    ("power", "Power.Active.Import", "kW"),
    ("voltage", "Voltage", "V"),
    ("amperage", "Current.Import", "A"),
    ("state_of_charge", "SoC", "Percent"),
)


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Calls of one charger."""
    del kind, region
    topic = f"ocpp1.6/{setting.device_id}/call"
    number = 0

    def encode(body: Body) -> Iterable[Packet]:
        nonlocal number
        made = _call(body, number + 1)
        if made is None:
            return ()
        number += 1
        action, payload = made
        return (Packet(topic, msgspec.json.encode([2, f"{number}", action, payload])),)

    return encode


def _call(body: Body, number: int) -> tuple[str, dict[str, Any]] | None:
    if body["type"] == "periodic":
        values = [
            {"value": _text(body[name]), "measurand": measurand, "unit": unit}
            for name, measurand, unit in _SAMPLED
            if body.get(name) is not None
        ]
        sampled = {"timestamp": rfc3339(body["ts"]), "sampledValue": values}
        return "MeterValues", {"connectorId": int(body["connector"]), "meterValue": [sampled]}
    if body["type"] == "session":
        start, end = (round(body[name] * 1000) for name in ("energy_start", "energy_end"))
        return "StopTransaction", {
            "transactionId": number,
            "meterStop": end,
            "timestamp": rfc3339(body["ended_at"]),
            "reason": "Local",
            "transactionData": [
                _register(body["started_at"], start, "Transaction.Begin"),
                _register(body["ended_at"], end, "Transaction.End"),
            ],
        }
    return None


def _register(at: int, watt_hours: int, context: str) -> dict[str, Any]:
    value = {"value": str(watt_hours), "context": context, "unit": "Wh"}
    return {"timestamp": rfc3339(at), "sampledValue": [value]}


def _text(number: float) -> str:
    return repr(number)
