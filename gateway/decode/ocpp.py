"""OCPP 1.6-J and 2.0.1: calls of chargers as a bridge to MQTT passes them on.

A message is a call as on the WebSocket, ``[2, "id", "MeterValues", {...}]``, or its payload alone:
then the action stands in the topic (a level named ``action``) or in what is around it (the
settings' ``action`` and ``payload``).  The document::

    {"action": "MeterValues", "id": "19223201", "connector": 1, "channel": "1", "transaction": "5",
     "samples": [{"time": "2026-01-01T08:00:00Z", "channel": "1", "context": "Sample.Periodic",
                  "values": {"Energy.Active.Import.Register": 1250500.0}, "conditions": []},
                 {"time": "2026-01-01T08:00:00Z", "channel": "1-L1", "phase": "L1", ...}],
     "session": {"started_at": "2026-01-01T07:00:00Z", "ended_at": "2026-01-01T08:00:00Z",
                 "energy_start": 1250500.0, "energy_end": 1262750.0, "energy": 12250.0,
                 "conditions": []},
     "signed": [{...}], "conditions": []}

``values`` are in the units of `gateway.decode.ocpp_values`, energies of ``session`` in Wh.
``channel`` is the EVSE of 2.0.1, else the connector; a sample's also has its phase (``L1-N`` is
``L1``) and a place that has a meter of its own.  ``aside`` tells why a sample is no reading of its
moment: ``retold`` (the value of the begin, told again later), ``other`` (none of the quantities of
a charger), ``transaction_data`` (what a StopTransaction sums up).

``session`` is there when a transaction begins or ends, with what the message itself says: a call
that ends a transaction of 1.6 names neither the connector nor the begin, unless its
``transactionData`` or a signed record has them.

``signed`` are the OCMF documents (`gateway.decode.ocmf`) of signed values.  ``conditions`` are
status words: of a sample or a session those of the record that vouches for it, and
``signature_unverified`` where records came along and vouch for another value; at the top those of
an alarm, ``alarm`` is true then.

``CALLRESULT`` and ``CALLERROR`` are the actions of answers, which carry no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.decode.document import Context, Document, Parse
from gateway.decode.json import parse_json
from gateway.decode.ocpp_values import (
    ENERGY,
    Element,
    Units,
    read_meter_values,
    read_signed,
)
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocpp
from gateway.profiles.notation import Select

_CALLS: Final = frozenset({2, 6})  # CALL; SEND of 2.1
_ANSWERS: Final = {3: "CALLRESULT", 4: "CALLERROR", 5: "CALLERROR"}

_ERRORS: Final = {
    "PowerMeterFailure": "sensor_fault",
    "OverCurrentFailure": "overload",
    "UnderVoltage": "power_failure",
    "EVCommunicationError": "communication_fault",
    "WeakSignal": "communication_fault",
}
"""Status words for error codes of 1.6 (7.6); the others concern no measurement."""
_EVENTS: Final = {
    "TamperDetectionActivated": "tamper",
    "FirmwareUpdated": "program_changed",
    "InvalidFirmwareSignature": "tamper",
    "MemoryExhaustion": "memory_fault",
}
"""Status words for security events of both versions (2.0.1, part 2, appendix 1)."""

_SAME_WH: Final = 1.0
"""Energies closer than this are one: messages have whole watt hours, records more digits."""

Path = tuple[str | int | Select, ...]


def compile_ocpp(settings: Ocpp) -> Parse:
    """A parser of calls.

    Returns:
        A function that raises DecodeError with reason ``too_large``, ``unparseable``,
        ``too_deep``, ``duplicate_key``, ``absurd_number``, ``missing_field``, ``wrong_type`` or
        ``unknown_word``.
    """
    limit = settings.max_bytes
    action_at, payload_at, units = settings.action, settings.payload, settings.units

    def parse(payload: bytes, context: Context) -> Document:
        message = parse_json(payload, limit)
        document: Document = {"samples": []}
        body = message
        if payload_at is not None:
            document["message"] = message
            body = _at(message, payload_at)
        if isinstance(body, list):
            action, body = _call(body, document)
        else:
            action = _action(message, context, action_at)
        document["action"] = action
        read = _ACTIONS.get(action)
        if read is not None and body is not None:
            if not isinstance(body, dict):
                raise DecodeError("unparseable", f"the payload of {action[:80]} is no object")
            read(body, document, units, context)
        return document

    return parse


def _at(message: object, path: Path) -> Any:  # noqa: ANN401 - any JSON
    value: Any = message
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _call(frame: list[Any], document: Document) -> tuple[str, Any]:
    """The action of a frame and its payload; None where it is an answer (OCPP-J, 4.2)."""
    kind = frame[0] if frame and isinstance(frame[0], int) else None
    if kind in _ANSWERS and len(frame) >= 3:
        return _ANSWERS[kind], None
    if kind not in _CALLS or len(frame) != 4 or not isinstance(frame[2], str):
        raise DecodeError(
            "unparseable",
            f'a call is [2, "id", "action", {{...}}], got {str(frame)[:60]}',
        )
    if isinstance(frame[1], str):
        document["id"] = frame[1]
    return frame[2], frame[3]


def _action(message: object, context: Context, place: Path | None) -> str:
    """The action of a payload without a frame."""
    found = _at(message, place) if place is not None else None
    if found is None and context.envelope is not None and place is not None:
        found = _at(context.envelope, place)
    found = context.levels.get("action") if found is None else found
    if not isinstance(found, str) or not found:
        raise DecodeError(
            "missing_field",
            "no call, and nothing says the action: neither a topic level named action nor "
            "'decode.action'",
        )
    return found


# -- actions -----------------------------------------------------------------------------------


def _meter_values(said: Document, document: Document, units: Units, context: Context) -> None:
    channel = _connector(said, document)
    _identify(said.get("transactionId"), document)
    _take(read_meter_values(said.get("meterValue"), channel, units), document, context)


def _start_transaction(said: Document, document: Document, _: Units, __: Context) -> None:
    _connector(said, document)
    document["session"] = {
        "started_at": _time(said),
        "energy_start": _register(said, "meterStart"),
        "conditions": [],
    }


def _stop_transaction(said: Document, document: Document, units: Units, context: Context) -> None:
    _identify(said.get("transactionId"), document)
    elements = read_meter_values(said.get("transactionData"), None, units)
    _take(elements, document, context)
    session = {"ended_at": _time(said), "energy_end": _register(said, "meterStop")}
    _begin(session, elements)
    _close(session, document)
    for sample in document["samples"]:
        sample["aside"] = "transaction_data"


def _transaction_event(said: Document, document: Document, units: Units, context: Context) -> None:
    event = said.get("eventType")
    if event not in ("Started", "Updated", "Ended"):
        raise DecodeError("unknown_word", f"eventType {str(event)[:40]!r}")
    document["event"] = event
    channel = _connector(said, document)
    info = said.get("transactionInfo")
    _identify(info.get("transactionId") if isinstance(info, dict) else None, document)
    elements = read_meter_values(said.get("meterValue"), channel, units)
    _take(elements, document, context)
    session: Document = {}
    if event == "Started":
        session["started_at"] = _time(said)
        energies = _energies(elements)
        if energies:
            session["energy_start"] = energies[0]["values"][ENERGY]
    elif event == "Ended":
        session["ended_at"] = _time(said)
        energies = [s for s in _energies(elements) if s["context"] != "Transaction.Begin"]
        ends = [s for s in energies if s["context"] == "Transaction.End"] or energies
        if ends:
            session["energy_end"] = ends[-1]["values"][ENERGY]
        _begin(session, elements)
    if session:
        _close(session, document)


def _status_notification(said: Document, document: Document, _: Units, __: Context) -> None:
    _connector(said, document)
    status = said.get("status", said.get("connectorStatus"))
    for key, value in (("status", status), ("error", said.get("errorCode"))):
        if value is not None:
            document[key] = _word(value, key)
    _alarm(document, _ERRORS.get(document.get("error", "")), said)


def _security_event(said: Document, document: Document, _: Units, __: Context) -> None:
    document["event"] = _word(said.get("type"), "type")
    _alarm(document, _EVENTS.get(document["event"]), said)


_ACTIONS: Final[Mapping[str, Callable[[Document, Document, Units, Context], None]]] = {
    "MeterValues": _meter_values,
    "StartTransaction": _start_transaction,
    "StopTransaction": _stop_transaction,
    "TransactionEvent": _transaction_event,
    "StatusNotification": _status_notification,
    "SecurityEventNotification": _security_event,
}


# -- samples, sessions and what vouches for them -----------------------------------------------


def _take(elements: list[Element], document: Document, context: Context) -> None:
    """Samples and signed records of all elements; each sample with what its record says."""
    signed: list[Document] = []
    for element in elements:
        records = [read_signed(each, context) for each in element.signed]
        signed += records
        for record in records:
            _vouch(element, record)
        document["samples"] += element.samples
    if signed:
        document["signed"] = signed


def _vouch(element: Element, record: Document) -> None:
    """Judges the samples of a record's context; where there is none, the record's is one."""
    told = record["context"]
    energies = [
        sample
        for sample in element.samples
        if ENERGY in sample["values"] and sample["context"] == told and "phase" not in sample
    ]
    shown = _shown(record)
    for sample in energies:
        words = list(record["conditions"])
        if not any(_same(sample["values"][ENERGY], value) for value, _ in shown):
            words.append("signature_unverified")
        sample["conditions"] = list(dict.fromkeys([*sample["conditions"], *words]))
    if not energies:
        for value, reading in shown:
            if reading.get("register") != "total":
                continue
            sample = {
                "time": reading["time"],
                "context": told,
                "values": {ENERGY: value},
                "conditions": record["conditions"],
            }
            if element.channel:
                sample["channel"] = element.channel
            element.samples.append(sample)


def _shown(record: Document) -> list[tuple[float, Document]]:
    """The readings of imported energy of a record, in Wh."""
    parts = [record.get("start"), *record.get("interim", ()), record.get("end")]
    return [(_watt_hours(part), part) for part in parts if part is not None]


def _watt_hours(reading: Document) -> float:
    value = reading["value"]
    return round(value * 1000, 6) if reading["unit"] == "kWh" else float(value)


def _same(one: float, other: float) -> bool:
    return abs(one - other) < _SAME_WH


def _energies(elements: list[Element]) -> list[Document]:
    """The samples of the charger's main register, in the order of the message."""
    return [
        sample
        for element in elements
        for sample in element.samples
        if ENERGY in sample["values"]
        and "phase" not in sample
        and sample.get("channel") == element.channel
    ]


def _begin(session: Document, elements: list[Element]) -> None:
    """What a message that ends a transaction says of its begin."""
    for sample in _energies(elements):
        if sample["context"] == "Transaction.Begin":
            session["energy_start"] = sample["values"][ENERGY]
            if "aside" not in sample and sample["time"] != session["ended_at"]:
                session["started_at"] = sample["time"]
            return


def _close(session: Document, document: Document) -> None:
    """Completes a session by signed records, and says what vouches for it."""
    records = document.get("signed", [])
    words = [word for record in records for word in record["conditions"]]
    start = next((r["start"] for r in records if "start" in r), None)
    end = next((r["end"] for r in reversed(records) if "end" in r), None)
    told = [("energy_start", "started_at", start)]
    if "ended_at" in session:
        told.insert(0, ("energy_end", "ended_at", end))
    for key, moment, reading in told:
        if reading is None:
            continue
        value = _watt_hours(reading)
        if key not in session and _of_one_register(session, end, reading):
            session[key] = value
        if key in session and _same(session[key], value):
            session.setdefault(moment, reading["time"])
        elif key in session:
            words.append("signature_unverified")
    energy = next((r["energy"] for r in records if "energy" in r), None)
    if "energy_start" in session and "energy_end" in session:
        session["energy"] = round(session["energy_end"] - session["energy_start"], 6)
    elif energy is not None and "ended_at" in session:
        session["energy"] = _watt_hours(energy)
    session["conditions"] = list(dict.fromkeys(words))
    document["session"] = session


def _of_one_register(session: Document, end: Document | None, reading: Document) -> bool:
    """Whether a signed reading may stand beside the session's own values."""
    if reading.get("register") != "total":
        return False
    if reading is end or "energy_end" not in session:
        return True
    return end is not None and _same(session["energy_end"], _watt_hours(end))


def _alarm(document: Document, word: str | None, said: Document) -> None:
    document["conditions"] = [word] if word else []
    if word:
        document["alarm"] = True
    if said.get("timestamp") is not None:
        document["time"] = _time(said)


# -- fields ------------------------------------------------------------------------------------


def _connector(said: Document, document: Document) -> str | None:
    """Notes connector and EVSE; returns the channel: the EVSE of 2.0.1, else the connector."""
    evse = said.get("evse")
    if isinstance(evse, dict):
        evse_id, connector = evse.get("id"), evse.get("connectorId")
    else:
        evse_id, connector = said.get("evseId"), said.get("connectorId")
    for key, value in (("connector", connector), ("evse", evse_id)):
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
                raise DecodeError("wrong_type", f"{key} is no small number: {str(value)[:40]!r}")
            document[key] = value
            document["channel"] = str(value)
    channel: str | None = document.get("channel")
    return channel


def _identify(value: object, document: Document) -> None:
    """Notes a transaction's identity: a number in 1.6, a text in 2.0.1."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DecodeError("wrong_type", "transactionId is neither a text nor a number")
    document["transaction"] = str(value)[:255]


def _time(said: Document) -> str:
    value = said.get("timestamp")
    if value is None:
        raise DecodeError("missing_field", "the call has no timestamp")
    return _word(value, "timestamp")


def _word(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise DecodeError("wrong_type", f"{key} is no text: {str(value)[:60]!r}")
    return value[:255]


def _register(said: Document, key: str) -> float:
    """A register in whole watt hours, as transactions of 1.6 have it."""
    value = said.get(key)
    if value is None:
        raise DecodeError("missing_field", f"the call has no {key}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError("wrong_type", f"{key} is no number: {str(value)[:60]!r}")
    if not -1e15 < value < 1e15:
        raise DecodeError("absurd_number", f"{key} is no number that an instrument shows")
    return float(value)
