"""Every key of a profile, as tables for the vendors' guide: made from the models themselves.

``gateway profile doc --reference`` prints it; the guide has it between two marks, `make docs`
writes it there anew, and a test holds that both are the same.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.checks.catalogue import CATALOGUE
from gateway.checks.settings import MODELS as CHECKS
from gateway.profiles import formats, instrument, models
from gateway.profiles.notation import TIME_FORMS, Select
from gateway.profiles.reference import meanings, summary
from gateway.quantities import EVENTS, KINDS, STATUS_WORDS, export_key

BEGIN: Final = "<!-- reference: made by `gateway profile doc --reference`, do not edit -->"
END: Final = "<!-- end of the reference -->"

SECTIONS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("The profile", models.ProfileModel),
    ("`title`", instrument.Title),
    ("`valid`", instrument.Valid),
    ("`instrument`", instrument.Instrument),
    ("`instrument.type_approval`", instrument.TypeApproval),
    ("`instrument.ratings`", instrument.Ratings),
    ("`caveats`", instrument.Caveat),
    ("`match`", models.Match),
    ("A condition of `when`", models.Condition),
    ("`decode`", formats.Format),
    ("`decode.envelope`", formats.Envelope),
    ("A block of `read`", models.Block),
    ("`measured_at`", models.MeasuredAt),
    ("`quality`", models.QualityFrom),
    ("`sequence`", models.Sequence),
    ("`status`", models.Status),
    ("`channel`", models.Channel),
    ("`device_id`", models.DeviceId),
    ("A quantity", models.Quantity),
    ("`unit`", models.UnitFrom),
    ("`scale`", models.ScaleFrom),
    ("`register`", models.Register),
    ("`ignore`", models.Ignore),
    ("A case of `tests`", models.Case),
    ("`before` of a case", models.Earlier),
)
"""The tables of keys by their headings; those of formats have one of their own."""
_SPECIAL: Final = {
    (models.ProfileModel, "kind"): "a kind of those below",
    (models.ProfileModel, "extends"): "text or list of texts",
    (models.ProfileModel, "decode"): "mapping, see `decode`, and the format's own settings",
    (models.ProfileModel, "read"): "mapping or list of mappings, see A block of `read`",
    (models.ProfileModel, "ignore"): "mapping or list of mappings, see `ignore`",
    (models.ProfileModel, "checks"): "mapping, see `checks`",
    (models.Match, "topic"): "text or list of texts, required",
    (models.Match, "when"): "conditions by path, see A condition of `when`",
    (models.Block, "when"): "conditions by path, see A condition of `when`",
    (models.Ignore, "when"): "conditions by path, see A condition of `when`",
    (models.Status, "flags"): "mapping of paths to texts",
    (models.Block, "status"): "mapping or list of mappings, see `status`",
    (models.Case, "expect"): "mapping or list of mappings",
    (models.Case, "payload"): "text or anything",
}
"""Where a validator takes more than the model's type says."""
_TITLES: Final = {model: title for title, model in SECTIONS}


def key_reference() -> str:
    """The tables, from the first mark to the last."""
    lines = [BEGIN, ""]
    for title, model in SECTIONS:
        lines += [f"### {title}", ""]
        said = summary(model).replace("``", "`")
        if said and model is not formats.Format:
            lines += [" ".join(said.split()), ""]
        lines += [*_keys(model, ()), ""]
    lines += ["### Settings of each format", "", *_formats(), ""]
    lines += ["### `checks`", "", *_checks(), ""]
    lines += ["### Kinds, quantities and units", "", *_quantities(), ""]
    lines += ["### Words", "", *_words(), "", END]
    return "\n".join(lines) + "\n"


def _keys(model: type[BaseModel], without: Iterable[str]) -> Iterator[str]:
    said = meanings(model)
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in without:
            told = _SPECIAL.get((model, key)) or form_of(field)
            rows.append((f"`{key}`", told, said.get(key, "")))
    if model is models.Block:
        rows.append(("any quantity", "mapping", "see A quantity; its key is a name of its kind"))
    yield from _table(("key", "is", "means"), rows)


def _formats() -> Iterator[str]:
    shared = set(formats.Format.model_fields) | {"format"}
    rows = []
    for name, model in models.FORMATS.items():
        said = meanings(model)
        own = {field.alias or key: field for key, field in model.model_fields.items()}
        what = " ".join(summary(model).partition("\n\n")[0].split()).replace("``", "`")
        rows.append((f"`{name}`", "", what))
        for key, field in own.items():
            if key not in shared:
                rows.append((f"· `{key}`", form_of(field), said.get(key, "")))
    yield (
        "The layout of `binary` is described in [BINARY.md](BINARY.md#reference), the document of "
        "each format in [FORMATS.md](FORMATS.md)."
    )
    yield ""
    yield from _table(("format, setting", "is", "means"), rows)


def _checks() -> Iterator[str]:
    yield "`false` switches a check off; a mapping sets parameters over those of the base profile."
    yield ""
    rows = []
    for code, model in CHECKS.items():
        own = {key: field for key, field in model.model_fields.items() if key != "root"}
        parameters = [f"`{key}` {form_of(field)}" for key, field in own.items()]
        if not own and model.model_fields:
            parameters = ["by quantity: `low`, `high` (`198 V`); `null` lifts a limit of the base"]
        means = " ".join(text for text in (CATALOGUE[code].doc, _first(model)) if text)
        rows.append((f"`{code}`", "; ".join(parameters) or "none", means))
    yield from _table(("check", "parameters", "means"), rows)


def _first(model: type[BaseModel]) -> str:
    if not model.model_fields:
        return ""
    return " ".join(summary(model).partition("\n\n")[0].split()).replace("``", "`")


def _quantities() -> Iterator[str]:
    yield "A unit of the same dimension may be sent; the canonical one is what is stored."
    for kind, quantities in KINDS.items():
        yield ""
        yield f"**`{kind}`**"
        yield ""
        rows = [
            (f"`{q.name}`", q.type, _unit(q.unit, q.type), f"`{export_key(q)}`") for q in quantities
        ]
        yield from _table(("quantity", "type", "canonical unit", "exported as"), rows)


def _unit(unit: str, kind: str) -> str:
    return "" if kind in {"text", "flag", "time"} or unit == "1" else f"`{unit}`"


def _words() -> Iterator[str]:
    yield f"* `event`: {_listed(EVENTS)}"
    yield f"* `time`: {_listed(TIME_FORMS)}, or a strptime pattern"
    yield f"* status words: {_listed(STATUS_WORDS)}"


def _listed(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def form_of(field: FieldInfo) -> str:
    """What a key's value is, in words, and its default."""
    told = _form(field.annotation, field.metadata)
    default = field.default
    if default is PydanticUndefined:
        return f"{told}, required"
    if isinstance(default, bool | int | float | str) and default not in ("", False):
        return f"{told}, default `{str(default).lower() if isinstance(default, bool) else default}`"
    return told


_SCALARS: Final[dict[Any, str]] = {
    str: "text", bool: "`true` or `false`", int: "whole number", float: "number", bytes: "bytes",
    Any: "anything",
}  # fmt: skip


def _form(kind: Any, metadata: Iterable[Any] = ()) -> str:  # noqa: ANN401, PLR0911 - a type a line
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _form(arguments[0], arguments[1:])
    if kind in _SCALARS:
        return _SCALARS[kind] + _bounds(metadata)
    if origin is Literal:
        return " ".join(f"`{word}`" for word in arguments)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"mapping, see {_TITLES[kind]}" if kind in _TITLES else "mapping"
    if origin in (types.UnionType, typing.Union):
        if {str, bool, int, float} <= set(arguments):
            rest = [each for each in arguments if each not in _SCALARS and each is not type(None)]
            return " or ".join(["value", *(_form(each) for each in rest)])
        forms = [_form(each, metadata) for each in arguments if each is not type(None)]
        return " or ".join(dict.fromkeys(form for form in forms if form))
    if origin is tuple and Select in _flat(arguments):
        return "path"
    if origin in (list, tuple):
        return f"list of {_plural(_form(arguments[0]))}"
    if origin is dict:
        return f"mapping of {_plural(_form(arguments[0]))} to {_form(arguments[1])}"
    return _NAMED.get(getattr(kind, "__name__", ""), "number")


_NAMED: Final = {"Decimal": "number"}


def _flat(arguments: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for each in arguments:
        inner = typing.get_args(each)
        found += _flat(inner) if inner else [each]
    return found


def _plural(form: str) -> str:
    if form in {"text", "path", "number", "whole number", "value"}:
        return f"{form}s"
    return form.replace("mapping", "mappings", 1)


def _bounds(metadata: Iterable[Any]) -> str:
    low = high = None
    for each in metadata:
        for part in getattr(each, "metadata", [each]):
            if isinstance(part, annotated_types.Ge | annotated_types.Gt):
                low = getattr(part, "ge", getattr(part, "gt", None))
            elif isinstance(part, annotated_types.Le | annotated_types.Lt):
                high = getattr(part, "le", getattr(part, "lt", None))
    if low is None and high is None:
        return ""
    return f" from {low}" if high is None else f" {low if low is not None else 0} to {high}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        cells = (" ".join(cell.split()).replace("|", r"\|") for cell in row)
        yield "| " + " | ".join(cells) + " |"


def renewed(guide: str) -> str:
    """A guide's text with the tables of today between the two marks."""
    before, _, rest = guide.partition(BEGIN)
    return before + key_reference().rstrip("\n") + rest.partition(END)[2]


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
