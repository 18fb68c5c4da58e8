"""What is wrong with a profile, in words for the engineer who wrote it.

Pydantic reports a choice between forms (a text or a mapping) as one error for each form; here each
place gets one line that says what may stand there and what was got.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from gateway.profiles import binary, formats, instrument, models
from gateway.profiles.source import Key
from gateway.quantities import KINDS

_FORMS: Final = {
    "string_type": "a text",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
}


_FORMATS: Final = tuple(models.FORMATS)


def explain(
    errors: Sequence[tuple[Key, Any]], data: Mapping[str, Any]
) -> Iterator[tuple[Key, str]]:
    """Key and message of each fault, from pydantic's errors with their keys in the file."""
    by_key: dict[Key, list[Any]] = {}
    for key, error in errors:
        if error["type"] == "union_tag_invalid":  # the format is what chooses
            if not isinstance(error["input"], Mapping):  # a text has a method of that name
                got = error["input"]
                shown = got if got in _FORMATS else "json"
                yield key, f"expected a mapping like {{format: {shown}}}, got {_shown(got)}"
                continue
            got = error["input"].get("format")
            yield (*key, "format"), f"{_shown(got)} is no 'format'{hint(str(got), _FORMATS)}"
            continue
        by_key.setdefault(key, []).append(error)
    for key, found in by_key.items():
        plain = [error for error in found if _form(error) is None]
        if plain:
            for error in plain:
                yield key, _message(error, data)
        elif not any(len(other) > len(key) and other[: len(key)] == key for other in by_key):
            wanted = list(dict.fromkeys(str(_form(error)) for error in found))
            got = found[0].get("input")
            bare = isinstance(got, int | float) and "a text" in wanted
            quote = ": put it in quotation marks" if bare else ""
            yield key, f"expected {' or '.join(wanted)}, got {_shown(got)}{quote}"


def _form(error: Any) -> str | None:  # noqa: ANN401 - pydantic's own record
    """What one form of a choice would be; None when the error is no matter of forms."""
    if error["type"] == "literal_error" and str(error["loc"][-1]).startswith("literal["):
        return str(error["ctx"]["expected"])
    return _FORMS.get(error["type"])


def hint(word: str, choices: Sequence[str]) -> str:
    """``; did you mean 'kWh'?``, or the choices when none is near and they are few."""
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; one of {', '.join(sorted(choices))}" if len(choices) <= 24 else ""


def _message(  # noqa: PLR0911 - a sort of error each
    error: Any,  # noqa: ANN401 - pydantic's own record
    data: Mapping[str, Any],
) -> str:
    kind, loc, got = error["type"], error["loc"], error.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(loc, data)
    if kind == "missing":
        way = "; say 'extends: kinds/...' or a kind" if loc == ("kind",) else ""
        return f"key {loc[-1]!r} is missing{way}"
    text = str(error["msg"]).removeprefix("Value error, ")
    if kind in {"value_error", "layout"}:
        return text
    if loc[0] == "kind":
        return f"no kind {data.get('kind')!r}{hint(str(data.get('kind')), list(KINDS))}"
    if kind == "literal_error":
        expected = error["ctx"]["expected"].replace("' or '", "', '").strip("'").split("', '")
        name = next((str(part) for part in reversed(loc) if part in _NAMED), str(loc[-1]))
        return f"{_shown(got)} is no {name!r}{hint(str(got), expected)}"
    if kind == "string_pattern_mismatch":
        place = "items" if "items" in loc else str(loc[-1])
        sample = _SAMPLES.get("di" if loc[-1] == "[key]" else place, text)
        return f"expected {sample}, got {_shown(got)}"
    if kind == "invalid_key":
        return f"a key is a text, got {_shown(got)}"
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        return "must not be empty" if least == 1 else f"needs at least {least} items"
    text = text.replace("Input should", "must").replace("String should", "must")
    return f"{text[0].lower()}{text[1:]}, got {_shown(got)}"


_NAMED: Final = frozenset(
    ("event", "quality", "scope", "is", "format", "encoding", "edition", "layout", "checksum",
     "endian", "bit-endian", "trailing", "repeat", "sign")
)  # fmt: skip
"""Keys whose name says what their word is; a word below a mapping is told by the key above it."""
_SAMPLES: Final = {
    "version": "three numbers such as '1.0.0'",
    "currency": "a code such as CNY",
    "id": "a name of letters, digits and _",
    "di": "a data identifier of hexadecimal digits, such as '04001501'",
    "items": "a layout such as 'XXXX.XX', 'YYMMDDhhmm' or 'A8'",
}


def _unknown_key(loc: Sequence[str | int], data: Mapping[str, Any]) -> str:
    key = str(loc[-1])
    said = f"unknown key {key!r}"
    if loc[0] == "decode" and "envelope" not in loc[:-1] and len(loc) < 4:
        owners = [
            name
            for name, model in models.FORMATS.items()
            if key in {field.alias or own for own, field in model.model_fields.items()}
        ]
        if owners:
            present = data["decode"].get("format")
            what = f"it is a key of {', '.join(owners)}"
            told = f"of {present!r}; {what}" if present else f"without 'format'; {what}"
            return f"{said} {told}"
    return f"{said}{hint(key, _known_keys(loc, data))}"


def _shown(value: object) -> str:
    if isinstance(value, dict | list) and len(repr(value)) > 60:
        return f"{'a mapping' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return "nothing" if value is None else repr(value)[:80]


def _part_of_layout(loc: Sequence[str | int], data: Any) -> type[BaseModel]:  # noqa: ANN401
    """The model of a mapping inside of a binary layout."""
    path: list[str | int] = []
    for part in loc:  # names of forms are no keys
        inside = part in data if isinstance(data, dict) else part in range(len(data))
        if inside:
            data = data[part]
            path.append(part)
    if len(path) == 1:
        return binary.Binary
    if isinstance(path[-1], int) or path[-2] == "instances":
        return binary.BinaryField
    if path[-2] == "series":
        return binary.BatchSeries
    return binary.Switch if {"switch-on", "cases"} & set(data) else binary.Structure


_PLACES: Final[dict[str, type[BaseModel]]] = {
    "title": instrument.Title,
    "instrument": instrument.Instrument,
    "ratings": instrument.Ratings,
    "type_approval": instrument.TypeApproval,
    "valid": instrument.Valid,
    "caveats": instrument.Caveat,
    "quality": models.QualityFrom,
    "unit": models.UnitFrom,
    "scale": models.ScaleFrom,
    "match": models.Match,
    "measured_at": models.MeasuredAt,
    "sequence": models.Sequence,
    "status": models.Status,
    "register": models.Register,
    "channel": models.Channel,
    "device_id": models.DeviceId,
    "when": models.Condition,
    "ignore": models.Ignore,
    "tests": models.Case,
}


def _known_keys(loc: Sequence[str | int], data: Mapping[str, Any]) -> list[str]:
    """The keys that may stand where an unknown one was found."""
    model: type[BaseModel] = models.Quantity if len(loc) > 1 else models.ProfileModel
    if loc[0] == "decode" and len(loc) > 1:
        said = data["decode"].get("format", "json")
        model = models.FORMATS.get(said, formats.Json)
        if "envelope" in loc[:-1]:
            model = formats.Envelope
        elif model is binary.Binary:
            model = _part_of_layout(loc[:-1], data)
        return [field.alias or name for name, field in model.model_fields.items()]
    for part in loc[:-1]:
        model = _PLACES.get(str(part), model)
    return [field.alias or name for name, field in model.model_fields.items()]
