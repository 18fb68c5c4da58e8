"""What each key of a profile means, in a sentence: for the hints of editors.

Keys of formats are described where their models are (``Attributes`` of the docstring); here are
the others, by the class of `gateway.profiles.models`.
"""

from __future__ import annotations

import inspect
import re
from typing import Final

from pydantic import BaseModel

_TIME: Final = "form of the time: iso (default), epoch_s, epoch_ms, epoch_us, epoch_ns, or strptime"
_THEN: Final = "where the time of day stands, if it is a field of its own"
_TEXT: Final = "true: the number comes as text; hex: as hexadecimal digits"
_ZONE: Final = "time zone of local times, as Asia/Shanghai"

MEANINGS: Final[dict[str, dict[str, str]]] = {
    "ProfileModel": {
        "profile": "the file's name without .yaml",
        "version": "three numbers; raise it when what comes out changes: readings carry it",
        "kind": "kind of instrument, one of those below; the base profile says it",
        "title": "name for people, in English and Chinese",
        "valid": "the time for which this version reads messages; always when absent",
        "extends": "the profile below, such as kinds/water-meter, or several: later ones on top",
        "abstract": "true: a base for others, matches no message",
        "instrument": "whom the profile is for: maker, model, type approval, limits of the plate",
        "caveats": "sentences for whoever evaluates the readings",
        "match": "which messages are this model's",
        "decode": "the format of the payload and the envelope around it; JSON when absent",
        "currency": "ISO 4217 code of money that has none; the registry's comes first",
        "zone": f"{_ZONE}; UTC when absent; the registry's of a device comes first",
        "default_channel": "channel of readings that name none",
        "registers": "quantities that only grow, in every block",
        "read": "how a message becomes readings: one block, or a list of blocks",
        "ignore": "messages, or items of an array, that no block reads, and that carry no reading",
        "checks": "limits and tolerances by check; false switches a check off",
        "tests": "messages with what must come out of them",
    },
    "Title": {"en": "in English", "zh": "in Chinese"},
    "Instrument": {
        "vendor": "the maker",
        "model": "the model",
        "models": "the models, when the profile is for several",
        "accuracy_class": "by the standard, as on the plate",
        "type_approval": "the type approval: its number, or number, authority and dates",
        "standard": "the standard that the instrument conforms to",
        "firmware": "the firmware that the profile was made for",
        "link": "where the maker describes the messages",
        "ratings": "limits of the plate with their units; beyond them a reading is flagged",
    },
    "Ratings": {
        "q1": "least flow rate (ISO 4064), as 0.016 m3/h",
        "q2": "transitional flow rate",
        "q3": "permanent flow rate",
        "q4": "overload flow rate: more is flagged",
        "q_min": "least flow rate (gas, fuel)",
        "q_max": "greatest flow rate: more is flagged",
        "i_st": "starting current (IEC 62053), as 20 mA",
        "i_min": "least current",
        "i_tr": "transitional current",
        "i_max": "greatest current: more is flagged",
        "p_max": "greatest power: more is flagged",
    },
    "TypeApproval": {
        "number": "as on the plate",
        "authority": "who gave it",
        "issued": "the day it was given",
        "until": "the last day it holds",
        "link": "where the certificate is to be found",
    },
    "Valid": {"from": "the first moment", "until": "the moment after the last"},
    "Caveat": {"text": "the sentence", "link": "where more is to be found"},
    "Match": {
        "topic": "a level is literal, a name such as `{device_id}`, or a last `#`",
        "when": "conditions on the content, where several models share a topic",
    },
    "Condition": {"in": "any of these values", "is": "whether there is a value at all"},
    "Block": {
        "when": "the block is for messages (items) that meet all of these conditions, by path; by "
        "`{name}` on a level of the topic",
        "each": "path of an array: the block is for each of its items. `$`: the message itself; "
        "`sites[].meters`: an array in an array; `meters.*`: a mapping of any keys",
        "event": "what kind of reading it is; periodic when absent",
        "channel": "nozzle, phase, tariff: a name, a template such as `{nozzle}`, or a path",
        "device_id": 'who it is: a template such as "{$.site}-{pump}", or a path',
        "measured_at": "the instrument's time; without it the time of receipt stands in, and the "
        "reading is `questionable`",
        "quality": "of readings with a time of the instrument: a word, or where it stands",
        "sequence": "the device's own numbering",
        "status": "status words by bit, by text, or by place; a list where it stands in several",
    },
    "Ignore": {"when": "which messages (items)", "each": "path of the array, for its items"},
    "MeasuredAt": {
        "from": "where it stands",
        "then": _THEN,
        "time": _TIME,
        "text": "true: the number comes as text",
        "zone": _ZONE,
        "optional": "true: it may be absent; the time of receipt then stands in",
    },
    "Sequence": {
        "from": "where it stands",
        "modulus": "so many numbers, then 0 again: 65536 for 16 bits",
        "scope": "who counts: the device, or each channel for itself",
        "text": _TEXT,
        "optional": "true: it may be absent",
    },
    "Status": {
        "from": "where it stands",
        "bits": "a number: status word by bit, the lowest is 0",
        "words": "a code: status word by text or number; null for 'all is well'; no other may come",
        "list": "true: a list of status words",
        "text": _TEXT,
        "flags": "instead of from: status word by the path of a truth value",
        "optional": "true (default): it may be absent",
    },
    "QualityFrom": {
        "from": "where the instrument's own word stands",
        "map": "our word by that of the instrument",
        "default": "where it is absent",
    },
    "Channel": {"from": "where it stands", "map": "our name by the message's"},
    "DeviceId": {
        "from": "where it stands",
        "unless": "values that mean 'not known'",
        "otherwise": "the template that then says who it is",
    },
    "UnitFrom": {
        "from": "where the message tells the unit",
        "units": "UCUM code by the message's word; without it the word is the code",
        "default": "the unit when the message tells none",
    },
    "ScaleFrom": {
        "parameter": "the registry's parameter of the device",
        "default": "for devices without it",
    },
    "Register": {
        "digits": "digits before the point, of the number as it is sent: 6 returns to zero at 10^6",
        "decimals": "digits after its point, 0 for a whole number: the step in which it counts",
        "full_scale": "instead of digits: the number, as it is sent, at which it is zero again",
    },
    "Quantity": {
        "from": "where it stands",
        "then": _THEN,
        "sum": "instead of from: the places it is the sum of; absent where one of them is",
        "difference": "instead of from: the first place less the others",
        "product": "instead of from: the places it is the product of",
        "quotient": "instead of from: the first place divided by the others; absent if one is 0",
        "each": "path of an array that has one value a channel; channels names them",
        "channels": "path by channel; or, beside each, the channels' names in order",
        "unit": "the unit that the device sends, as UCUM code; or where the message tells it",
        "scale": "factor of the raw number (0.01 of hundredths), or the registry's parameter",
        "text": _TEXT,
        "optional": "true: it may be absent",
        "absent": "raw values that mean 'no value'",
        "map": "raw values to words, numbers or truth values; any other is refused",
        "register": "it only grows: true, or its face; false: it does not",
        "time": _TIME,
        "zone": _ZONE,
    },
    "Case": {
        "payload": "the message as text, or as YAML",
        "payload_hex": "instead: its bytes in hexadecimal; of a LoRaWAN device its own bytes",
        "f_port": "with payload_hex of a LoRaWAN device: the port of the uplink",
        "topic": "its topic; that of match when absent",
        "before": "messages that come first, such as the birth that an alias refers to",
        "received_at": "time of receipt",
        "parameters": "what the registry knows of the device, as its keys",
        "expect": "what must come out: a mapping, or a list, one a reading; `null`: absent; "
        "`[]`: the message is ignored on purpose",
        "flags": "codes of the flags that must be raised, no more and no less",
        "quarantine": "instead of expect: the reason of the refusal",
        "note": "what the case shows",
    },
    "Earlier": {
        "topic": "its topic",
        "payload": "the message as text, or as YAML",
        "payload_hex": "instead: its bytes in hexadecimal",
    },
    "Envelope": {
        "format": "of the envelope; `text`: nothing but the payload, in hexadecimal or base64",
        "payload": "the path of the payload in it; of an envelope `text` there is none",
        "encoding": "how the payload is written there",
    },
    "Format": {
        "format": "how the payload is read; the base profile may say it",
        "max_bytes": "largest payload; 1 MiB when absent",
        "envelope": "what the payload comes in: `lorawan`, or a mapping, see Envelopes",
    },
    "Ts013": {"codec": "the codec's file beside the profile"},
}

_ATTRIBUTE: Final = re.compile(r"^    (\w+(?:, \w+)*): (.+)$")


def summary(model: type[BaseModel]) -> str:
    """What a class's docstring says of the whole."""
    return inspect.cleandoc(model.__doc__ or "").partition("\n\nAttributes:\n")[0]


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What each key of a model means, as far as it is said anywhere."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        found |= _attributes(base.__doc__ or "") | MEANINGS.get(base.__name__, {})
    keys = {name: field.alias or name for name, field in model.model_fields.items()}
    return {keys.get(name, name): text for name, text in found.items()}


def _attributes(docstring: str) -> dict[str, str]:
    """Texts of the section ``Attributes`` by name."""
    section = inspect.cleandoc(docstring).partition("\n\nAttributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if match := _ATTRIBUTE.match(line):
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return {name: text.replace("``", "`") for name, text in found.items()}
