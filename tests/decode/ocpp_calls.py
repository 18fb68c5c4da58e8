"""OCPP calls for the tests, in the shortest form that says it."""

import base64
import json

import pytest

from gateway.decode.document import Context
from gateway.decode.ocmf_signature import PARAMETER
from gateway.decode.ocpp import compile_ocpp
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocpp
from gateway.records import Device
from tests.ocmf_records import Signer, payload

NOW, THEN = "2026-03-02T08:30:00Z", "2026-03-02T07:00:00Z"

parse = compile_ocpp(Ocpp(format="ocpp"))
signer = Signer()
KNOWN = Context(
    levels={"device_id": "CP-1"},
    devices={"CP-1": Device(device_id="CP-1", parameters={PARAMETER: signer.der.hex()})},
)


def call(action: str, body: dict, context: Context | None = None, **settings) -> dict:
    parser = compile_ocpp(Ocpp(format="ocpp", **settings)) if settings else parse
    return parser(json.dumps([2, "17", action, body]).encode(), context or Context())


def value(number: object, measurand: str | None = None, unit: str | None = None, **more) -> dict:
    said = {"value": number, "measurand": measurand, "unit": unit} | more
    return {key: each for key, each in said.items() if each is not None}


def meter_values(*values: dict, connector: int = 1, **more) -> dict:
    item = {"timestamp": NOW, "sampledValue": list(values)}
    return {"connectorId": connector, "meterValue": [item]} | more


def refused(action: str, body: object, **settings) -> str:
    with pytest.raises(DecodeError) as error:
        call(action, body, **settings)
    return error.value.reason


def values_of(document: dict) -> dict:
    return {
        (sample.get("channel"), measurand): number
        for sample in document["samples"]
        for measurand, number in sample["values"].items()
    }


def stop(*items: dict, **more) -> dict:
    body = {"transactionId": 5, "meterStop": 1262750, "timestamp": NOW}
    return body | ({"transactionData": list(items)} if items else {}) | more


def item(time: str, *values: dict) -> dict:
    return {"timestamp": time, "sampledValue": list(values)}


def event(kind: str, *items: dict, **more) -> dict:
    body = {
        "eventType": kind, "timestamp": THEN if kind == "Started" else NOW, "seqNo": 0,
        "triggerReason": "CablePluggedIn", "transactionInfo": {"transactionId": "AB-1"},
    }  # fmt: skip
    return body | ({"meterValue": list(items)} if items else {}) | more


def energy(number: float, context: str) -> dict:
    return {"value": number, "context": context}


def hexadecimal(record: bytes) -> str:
    return record.hex().upper()


def as_it_is(record: bytes) -> str:
    return record.decode()


def oca(record: bytes, name: str = "signedMeterData", key: str = "") -> str:
    said = {
        name: base64.b64encode(record).decode(), "signingMethod": "", "encodingMethod": "OCMF",
        "publicKey": key,
    }  # fmt: skip
    return json.dumps(said)


def has_to_be(record: bytes) -> str:
    return oca(record, "signedMeterValue")


BOTH = signer.record(payload())
"""A charge from 1250.5 to 1262.75 kWh."""
