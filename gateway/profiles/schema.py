"""The JSON Schema of a profile file, for editors (``gateway profile schema``).

A file is a profile before inheritance, so that nothing but its name is required; and it may write
one block where the models hold a list of blocks, or one text where they hold a list of texts.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from gateway.profiles.models import ProfileModel
from gateway.quantities import KINDS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MODELINE: Final = "# yaml-language-server: $schema={schema}"
"""First line of a profile, by which editors find its schema."""

_ONE_OR_MANY: Final = ("read", "ignore", "status", "expect", "topic")
_PATH: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "items": {"type": ["string", "integer", "object"]}},
    ],
    "description": "dotted keys such as data.u[0] or meters[name=E1].value; or a list of keys",
}
_WHEN: Final[dict[str, Any]] = {
    "type": "object",
    "description": "path: value, [values], {in: [...]}, {is: present} or {is: absent}",
}


def profile_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a profile file."""
    schema = ProfileModel.model_json_schema(
        by_alias=True, mode="validation", schema_generator=_Lenient
    )
    found: dict[str, Any] = _patched(schema)
    found["$schema"] = DIALECT
    found["title"] = "Device profile"
    found["required"] = ["profile", "version", "title"]
    # Named, so that an editor offers them.
    block = found["$defs"]["Block"]
    names = sorted({quantity.name for known in KINDS.values() for quantity in known})
    block["properties"] |= dict.fromkeys(names, block["additionalProperties"])
    return found


class _Lenient(GenerateJsonSchema):
    """Leaves out what JSON cannot say, instead of refusing."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as its base


def _patched(node: Any) -> Any:  # noqa: ANN401 - JSON Schema is any data
    if isinstance(node, list):
        return [_patched(item) for item in node]
    if not isinstance(node, dict):
        return node
    if _is_path(node):
        return dict(_PATH)
    node = {name: _patched(inner) for name, inner in node.items() if name != "default"}
    properties = node.get("properties")
    if isinstance(properties, dict):
        for name in _ONE_OR_MANY:
            many = properties.get(name)
            if isinstance(many, dict) and many.get("type") == "array":
                properties[name] = {"anyOf": [many["items"], many]}
        if "when" in properties:
            properties["when"] = dict(_WHEN)
    return node


def _is_path(node: dict[str, Any]) -> bool:
    """Whether this is how pydantic writes a path: an array of keys, positions and selections."""
    items = node.get("items")
    if node.get("type") != "array" or not isinstance(items, dict):
        return False
    return {"$ref": "#/$defs/Select"} in items.get("anyOf", ())
