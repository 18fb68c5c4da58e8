"""Readable pages of profiles: one a profile, and the catalogue of all (Markdown)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final

from gateway.profiles.instrument import Caveat
from gateway.profiles.load import Profile, ProfileSet
from gateway.profiles.models import (
    Block,
    Case,
    Channel,
    DeviceId,
    MeasuredAt,
    QualityFrom,
    Quantity,
    Register,
    ScaleFrom,
    UnitFrom,
    When,
)
from gateway.profiles.notation import ITEMS, Path, Select
from gateway.quantities import BY_NAME, KINDS

KIND_TITLES: Final[dict[str, str]] = {
    "fuel_dispenser": "Fuel dispensers 加油机",
    "taximeter": "Taximeters 计价器",
    "electricity_meter": "Electricity meters 电能表",
    "water_meter": "Water meters 水表",
    "gas_meter": "Gas meters 燃气表",
    "heat_meter": "Heat meters 热量表",
    "ev_charger": "EV chargers 充电桩",
}
_SHOWN_CASES: Final = 3


def models_of(profile: Profile) -> list[tuple[str, str]]:
    """Vendor and model of every instrument that the profile names; a reference has none."""
    instrument = profile.model.instrument
    if instrument.vendor in (None, "any"):
        return []
    named = instrument.models or ([instrument.model] if instrument.model else [])
    return [(str(instrument.vendor), model) for model in named]


def protocol_of(profile: Profile) -> str:
    """The format, and the envelope around it."""
    decode = profile.model.decode
    name = str(getattr(decode, "format", "json"))
    if decode.envelope is None:
        return name
    outer = decode.envelope if isinstance(decode.envelope, str) else decode.envelope.format
    return f"{name} in {outer}"


def quantities_of(profile: Profile) -> list[str]:
    """The quantities that it reads, in the order of the kind."""
    read = {name for block in profile.model.read for name in block.quantities}
    return [quantity.name for quantity in KINDS[profile.kind] if quantity.name in read]


def instruments_of(profile: Profile) -> str:
    """Vendor and models, or the title where the profile is of no maker."""
    models = models_of(profile)
    if not models:
        return profile.model.title.en
    return f"{models[0][0]} {', '.join(model for _, model in models)}"


def catalogue(
    profiles: ProfileSet,
    cases: Mapping[str, int],
    root: FilePath | None = None,
    *,
    index: bool = False,
) -> str:
    """The page of all profiles: kind, vendor, model, protocol, quantities, cases.

    Args:
        profiles: what is shown.
        cases: the number of cases by profile.
        root: profiles below this directory are linked from there; None: none is.
        index: the profiles' pages stand beside this one, and are linked.
    """
    found = list(profiles.profiles.values())
    models = {model for profile in found for model in models_of(profile)}
    lines = [
        "# Catalogue of profiles",
        "",
        "Made by `gateway profile doc --catalogue`.",
        "",
        f"{len(models)} models, {len(found)} profiles, {sum(cases.values())} cases.",
        "",
    ]
    by_kind = {kind: sorted((p for p in found if p.kind == kind), key=_name) for kind in KINDS}
    lines += _table(
        ("kind", "models", "profiles", "cases", "protocols"),
        (_of_kind(kind, of, cases) for kind, of in by_kind.items() if of),
    )
    for kind, of in by_kind.items():
        if of:
            lines += ["", f"## {KIND_TITLES[kind]}", ""]
            lines += _table(
                ("profile", "instruments", "protocol", "quantities", "cases"),
                (_row(profile, cases[profile.name], root, index=index) for profile in of),
            )
    return "\n".join(lines) + "\n"


def _name(profile: Profile) -> str:
    return profile.name


def _of_kind(kind: str, of: Sequence[Profile], cases: Mapping[str, int]) -> tuple[str, ...]:
    models = {model for profile in of for model in models_of(profile)}
    protocols = sorted({protocol_of(profile) for profile in of})
    count = sum(cases[profile.name] for profile in of)
    return KIND_TITLES[kind], str(len(models)), str(len(of)), str(count), ", ".join(protocols)


def _row(profile: Profile, cases: int, root: FilePath | None, *, index: bool) -> tuple[str, ...]:
    name = f"`{profile.name}`"
    if index:
        name = f"[{profile.name}]({profile.name}.md)"
    elif root is not None and profile.file.is_relative_to(root):
        name = f"[{profile.name}]({profile.file.relative_to(root).as_posix()})"
    return (
        name,
        instruments_of(profile),
        protocol_of(profile),
        ", ".join(quantities_of(profile)),
        str(cases),
    )


def page(profile: Profile) -> str:
    """The page of one profile: what it is for, what it reads from where, its messages."""
    model = profile.model
    lines = [f"# {model.title.en}", "", model.title.zh, ""]
    lines += _table(("", ""), _facts(profile))
    if model.caveats:
        lines += ["", "## Caveats", ""]
        lines += [f"* {_caveat(caveat)}" for caveat in model.caveats]
    lines += ["", "## What it reads"]
    for number, block in enumerate(model.read, 1):
        lines += ["", *_block(profile, block, number, len(model.read))]
    if model.ignore:
        lines += ["", "## Left out on purpose", ""]
        lines += [f"* {_conditions(ignore.when) or 'every message'}" for ignore in model.ignore]
    if model.tests:
        lines += ["", "## Messages", ""]
        for case in model.tests[:_SHOWN_CASES]:
            lines += [*_case(case), ""]
        more = len(model.tests) - _SHOWN_CASES
        if more > 0:
            lines += [f"{more} more in `{profile.file.name}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _facts(profile: Profile) -> Iterator[tuple[str, str]]:
    model, instrument = profile.model, profile.model.instrument
    yield "profile", f"`{profile.id}`"
    yield "SHA-256 of its content", f"`{profile.digest}`"
    yield "kind", KIND_TITLES[profile.kind]
    if models_of(profile):
        yield "instruments", instruments_of(profile)
    yield "protocol", protocol_of(profile)
    if model.match is not None:
        yield "topics", ", ".join(f"`{topic}`" for topic in model.match.topic)
    if model.valid is not None:
        valid = (("from", model.valid.from_), ("until", model.valid.until))
        yield "valid", ", ".join(f"{word} {at}" for word, at in valid if at is not None)
    told = instrument.model_dump(
        exclude={"vendor", "model", "models", "ratings"}, exclude_none=True
    )
    for key, value in told.items():
        parts = value.items() if isinstance(value, dict) else ()
        text = ", ".join(f"{word} {part}" for word, part in parts) or str(value)
        yield key.replace("_", " "), text
    ratings = instrument.ratings.model_dump(exclude_none=True)
    if ratings:
        yield "ratings", ", ".join(f"{key} {value}" for key, value in ratings.items())


def _block(profile: Profile, block: Block, number: int, of: int) -> Iterator[str]:
    if of > 1:
        yield f"### Block {number}: {block.event}"
        yield ""
    if block.when:
        yield f"Where {_conditions(block.when)}."
        yield ""
    if block.each is not None:
        yield f"For each item of `{told_path(block.each)}`."
        yield ""
    at = block.measured_at
    measured = "time of receipt"
    if isinstance(at, MeasuredAt):
        second = f", `{told_path(at.then)}`" if at.then is not None else ""
        measured = f"`{told_path(at.from_)}`{second} ({at.time})"
    rows: list[tuple[str, ...]] = [("measured_at", measured, "", "")]
    if block.sequence is not None:
        rows.append(("sequence", f"`{told_path(block.sequence.from_)}`", "", ""))
    if isinstance(block.device_id, DeviceId):
        rows.append(("device_id", f"`{told_path(block.device_id.from_)}`", "", ""))
    elif block.device_id is not None:
        rows.append(("device_id", f"`{block.device_id}`", "", ""))
    if isinstance(block.quality, QualityFrom):
        rows.append(("quality", f"`{told_path(block.quality.from_)}`", "", ""))
    if isinstance(block.channel, Channel):
        rows.append(("channel", f"`{told_path(block.channel.from_)}`", "", ""))
    rows += [_quantity(profile, name, quantity) for name, quantity in block.quantities.items()]
    rows += [
        ("status", f"`{told_path(status.from_)}`" if status.from_ else "flags", "", _words(status))
        for status in block.status
    ]
    yield from _table(("quantity", "from", "as sent", "notes"), rows)


def _words(status: Any) -> str:  # noqa: ANN401 - one of several mappings
    words = status.bits or status.words or status.flags or {}
    return ", ".join(f"{raw}: {word}" for raw, word in words.items()) or "list of words"


def _quantity(profile: Profile, name: str, quantity: Quantity) -> tuple[str, ...]:
    known = BY_NAME[profile.kind][name]
    notes = []
    if quantity.optional:
        notes.append("may be absent")
    if quantity.text:
        notes.append("sent as text")
    if quantity.absent:
        notes.append("no value: " + ", ".join(map(str, quantity.absent)))
    if quantity.register_ is not None and quantity.register_ is not False:
        notes.append(_face(quantity))
    if quantity.map:
        notes.append(", ".join(f"{raw} = {word}" for raw, word in quantity.map.items()))
    return f"{name} ({known.unit})", places(quantity), _sent(quantity), "; ".join(notes)


def _face(quantity: Quantity) -> str:
    face = quantity.register_
    if not isinstance(face, Register):
        return "register"
    if face.full_scale is not None:
        return f"register, returns to 0 at {face.full_scale:g}"
    parts = [f"{face.digits} digits" if face.digits else "", f"{face.decimals} decimals"]
    return "register of " + ", ".join(part for part in parts if part and "None" not in part)


def places(quantity: Quantity) -> str:
    """Where a quantity stands in the message, in words."""
    if quantity.derived is not None:
        operation, paths = quantity.derived
        return f"{operation} of " + ", ".join(f"`{told_path(path)}`" for path in paths)
    if isinstance(quantity.channels, dict):
        return "<br>".join(f"{c}: `{told_path(path)}`" for c, path in quantity.channels.items())
    if quantity.each is not None:
        return f"items of `{told_path(quantity.each)}`: {', '.join(quantity.channels or ())}"
    second = f", `{told_path(quantity.then)}`" if quantity.then is not None else ""
    return f"`{told_path(quantity.from_ or ())}`{second}"


def _sent(quantity: Quantity) -> str:
    unit = quantity.unit
    text = f"unit in `{told_path(unit.from_)}`" if isinstance(unit, UnitFrom) else unit or ""
    if isinstance(quantity.scale, ScaleFrom):
        return f"{text} × registry's {quantity.scale.parameter}".strip()
    return f"{text} × {quantity.scale}".strip() if quantity.scale is not None else text


def told_path(path: Path) -> str:
    """A path as a profile writes it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif isinstance(part, Select) or part == ITEMS:
            text += str(part)
        else:
            text += f".{part}" if text else part
    return text or "$"


def _conditions(when: When) -> str:
    return " and ".join(f"`{path}` {_condition(c.in_, c.is_)}" for path, c in when.items())


def _condition(among: Iterable[Any] | None, present: str | None) -> str:
    if present is not None:
        return f"is {present}"
    return "is " + " or ".join(repr(value) for value in among or ())


def _caveat(caveat: str | Caveat) -> str:
    if isinstance(caveat, str):
        return caveat
    return f"[{caveat.text}]({caveat.link})" if caveat.link else caveat.text


def _case(case: Case) -> Iterator[str]:
    if case.note:
        yield f"{case.note}"
        yield ""
    if case.payload_hex is not None:
        payload = case.payload_hex
    elif isinstance(case.payload, str):
        payload = case.payload
    else:
        payload = json.dumps(case.payload)
    yield "```"
    yield payload.strip()
    yield "```"
    if case.quarantine is not None:
        yield ""
        yield f"goes to quarantine: `{case.quarantine}`"
    elif not case.expect:
        yield ""
        yield "is ignored on purpose"
    else:
        yield ""
        yield "gives"
        yield ""
    for expected in case.expect:
        yield "* " + ", ".join(f"{key} {_told(value)}" for key, value in expected.items())


def _told(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "absent" if value is None else str(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
