"""The JSON Schema of a profile file, for editors (``gateway profile schema``).

A file is a profile before inheritance: a mapping in it may say a part only, the base says the rest.
So nothing is required but what is never inherited, and ``decode`` without ``format`` may have the
keys of any format; with it, those of that format.  A file may also write one block where the models
hold a list of blocks, or one text where they hold a list of texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from gateway.profiles.models import FORMATS, ProfileModel
from gateway.profiles.notation import TIME_FORMS
from gateway.profiles.reference import meanings, summary
from gateway.quantities import KINDS, STATUS_WORDS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MODELINE: Final = "# yaml-language-server: $schema={schema}"
"""First line of a profile, by which editors find its schema."""

Json = dict[str, Any]

_ONE_OR_MANY: Final = ("read", "ignore", "status", "expect", "topic")
_WHOLE: Final = ("Title", "Caveat", "Condition", "Switch")
"""What is never completed by a base: their required keys stay so."""
_SCALAR: Final[Json] = {"type": ["string", "number", "boolean"]}
_PATH: Final[Json] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "items": {"type": ["string", "integer", "object"]}},
    ],
    "description": "dotted keys such as data.u[0] or meters[name=E1].value; or a list of keys",
}
_WHEN: Final[Json] = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            _SCALAR,
            {"type": "array", "minItems": 1, "items": _SCALAR},
            {"$ref": "#/$defs/Condition"},
        ]
    },
    "description": "path: value, [values], {in: [...]}, {is: present} or {is: absent}",
}
_TIMES: Final = ({"enum": list(TIME_FORMS)}, {"type": "string", "pattern": "%"})
_WORD: Final[Json] = {"enum": list(STATUS_WORDS)}
_EXPECTED: Final = (
    "device_id", "event", "channel", "sequence", "quality", "currency", "kind", "measured_at",
    "received_at", "status",
)  # fmt: skip
"""What a case may expect besides quantities."""
_CHECKS: Final = (
    "unregistered_device", "value_out_of_range", "sequence_gap", "conflicting_duplicate",
    "register_decrease", "register_rollover", "future_timestamp", "amount_mismatch",
    "fare_mismatch", "tariff_sum_mismatch", "silent_device", "burst_after_silence", "clock_drift",
    "identity_clash", "trip_overlap", "session_overlap", "session_energy_mismatch",
    "distance_mismatch", "waiting_time_mismatch", "impossible_speed", "distance_factor_shift",
    "tamper_alarm", "device_fault", "signature_invalid", "verification_expired",
    "totaliser_mismatch", "unbilled_delivery", "flow_rate_out_of_range", "below_minimum_quantity",
    "price_mismatch", "delivery_factor_shift", "round_amount_shortfall", "constant_changed",
    "firmware_changed", "voltage_out_of_limits", "frequency_out_of_limits", "phase_loss",
    "conversion_mismatch", "heat_balance_mismatch", "power_energy_mismatch",
    "energy_balance_mismatch", "wet_stock_surplus", "wet_stock_loss", "register_spike",
    "register_stuck", "zero_consumption", "consumption_drop", "leak_suspected", "burst_suspected",
    "backflow", "reverse_energy",
)  # fmt: skip


def profile_schema() -> Json:
    """JSON Schema (2020-12) of a profile file."""
    schema = ProfileModel.model_json_schema(
        by_alias=True, mode="validation", schema_generator=_Described
    )
    found: Json = _patched(schema)
    defs = found["$defs"]
    del defs["Select"]
    for name, definition in defs.items():
        if name not in _WHOLE:
            definition.pop("required", None)
    found["$schema"] = DIALECT
    found["title"] = "Device profile"
    found["required"] = ["profile", "version", "title"]
    _name_quantities(found)
    _name_words(defs)
    _complete_switches(defs)
    said = found["properties"]["decode"].get("description", "")
    found["properties"]["decode"] = {"description": said, **_decode(defs)}
    found |= _alone()
    return found


def _name_quantities(schema: Json) -> None:
    """Quantities by name, so that an editor offers them and a wrong one is found."""
    names = sorted({quantity.name for known in KINDS.values() for quantity in known})
    schema["properties"]["registers"]["items"] = {"enum": names}
    block, case = schema["$defs"]["Block"], schema["$defs"]["Case"]
    block["properties"] |= {name: {"$ref": "#/$defs/Quantity"} for name in names}
    block["additionalProperties"] = False
    expected = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": dict.fromkeys((*_EXPECTED, *names), True),
    }
    case["properties"]["expect"] |= {"anyOf": [expected, {"type": "array", "items": expected}]}
    checks = schema["properties"]["checks"]
    one = checks.pop("additionalProperties")
    checks["properties"] = dict.fromkeys(_CHECKS, one)
    checks["additionalProperties"] = False


def _name_words(defs: Json) -> None:
    """Words that a validator knows, where the models say 'a text'."""
    status = defs["Status"]["properties"]
    for key, word in (
        ("flags", _WORD),
        ("bits", _WORD),
        ("words", {"enum": [*STATUS_WORDS, None]}),
    ):
        for form in status[key]["anyOf"]:
            if form.get("type") == "object":
                form["additionalProperties"] = word
    for key in ("MeasuredAt", "Quantity"):
        place = defs[key]["properties"]["time"]
        place["anyOf"] = [*_TIMES, {"type": "null"}]
        place.pop("type", None)


def _complete_switches(defs: Json) -> None:
    """A switch that has a name may get more cases from a profile above."""
    whole = {"$ref": "#/$defs/Switch"}
    defs["PartOfSwitch"] = {k: v for k, v in defs["Switch"].items() if k != "required"}
    for form in defs["Binary"]["properties"]["types"]["patternProperties"].values():
        kinds = [kind for kind in form.pop("oneOf") if kind != whole]
        form["anyOf"] = [*kinds, {"$ref": "#/$defs/PartOfSwitch"}]


def _decode(defs: Json) -> Json:
    """The format that is named has its keys; without one the base names it: any format's keys."""
    branches: list[Json] = []
    keys: dict[str, list[Json]] = {}
    for name, model in FORMATS.items():
        definition = defs[model.__name__]
        reference = {"$ref": f"#/$defs/{model.__name__}"}
        named = {"properties": {"format": {"const": name}}, "required": ["format"]}
        branches.append({"if": named, "then": reference})
        for key, schema in definition["properties"].items():
            if key != "format" and schema not in keys.setdefault(key, []):
                keys[key].append(schema)
    defs["AnyFormat"] = {
        "type": "object",
        "description": "What the format of the base profile has.",
        "additionalProperties": False,
        "properties": {
            key: schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            for key, schemas in keys.items()
        },
    }
    nameless = {"not": {"required": ["format"]}}
    formats = {"enum": list(FORMATS), "description": "how the payload is read; json when absent"}
    return {
        "type": "object",
        "properties": {"format": formats},
        "allOf": [*branches, {"if": nameless, "then": {"$ref": "#/$defs/AnyFormat"}}],
    }


def _alone() -> Json:
    """A profile without a base says all it needs itself, and reads JSON where it names none."""
    based = {"properties": {"extends": {"not": {"type": "null"}}}, "required": ["extends"]}
    abstract = {"properties": {"abstract": {"const": True}}, "required": ["abstract"]}
    plain = {"if": {"not": {"required": ["format"]}}, "then": {"$ref": "#/$defs/Json"}}
    return {
        "if": {"not": {"anyOf": [based, abstract]}},
        "then": {"required": ["kind", "match", "read"], "properties": {"decode": plain}},
    }


class _Described(GenerateJsonSchema):
    """Puts each key's meaning beside it, and leaves out what JSON cannot say."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as its base

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        found = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        found["description"] = summary(model).replace("``", "`")
        for key, text in meanings(model).items():
            if key in found.get("properties", {}):
                found["properties"][key]["description"] = text
        for one in found.get("properties", {}).values():
            one.pop("title", None)
        return found

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Json:
        # What a key that is left out means is said by the base profile, not by the model.
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> Json:
        found = super().dict_schema(schema)
        if "patternProperties" in found:
            found["additionalProperties"] = False
        return found


def _patched(node: Any) -> Any:  # noqa: ANN401 - JSON Schema is any data
    if isinstance(node, list):
        return [_patched(item) for item in node]
    if not isinstance(node, dict):
        return node
    if _is_path(node):
        return {**_PATH, **_said(node)}
    node = {name: _patched(inner) for name, inner in node.items()}
    properties = node.get("properties")
    if isinstance(properties, dict):
        for name in _ONE_OR_MANY:
            many = properties.get(name)
            if isinstance(many, dict) and many.get("type") == "array":
                said = _said(many)
                many.pop("description", None)
                properties[name] = {"anyOf": [many["items"], many], **said}
        if "when" in properties:
            properties["when"] = {**_WHEN, **_said(properties["when"], _WHEN["description"])}
    return node


def _said(node: Mapping[str, Any], more: str = "") -> Json:
    """The description of a place, if it has one."""
    said = node.get("description")
    return {"description": f"{said}; {more}" if more else said} if said else {}


def _is_path(node: Json) -> bool:
    """Whether this is how pydantic writes a path: an array of keys, positions and selections."""
    items = node.get("items")
    if node.get("type") != "array" or not isinstance(items, dict):
        return False
    return {"$ref": "#/$defs/Select"} in items.get("anyOf", ())
