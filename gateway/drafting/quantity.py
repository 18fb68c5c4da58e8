"""One quantity of a block as a profile says it, and what a person must be asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.drafting.fields import Field
from gateway.drafting.guess import PHASED, REGISTERS, plausible, scale_of, unit_of
from gateway.drafting.questions import Questions
from gateway.drafting.scopes import Scope
from gateway.drafting.times import form_of, zone_of
from gateway.drafting.vocabulary import vocabulary
from gateway.quantities import BY_NAME

_EVENT_VALUES: Final = frozenset(("volume", "energy"))
_SESSION: Final = frozenset(("energy", "energy_start", "energy_end"))
_SESSION_WH: Final = 500
_SALE_ML: Final = 2000
_THREE: Final = 3


class Quantities:
    """Writes the quantities of one block.

    Args:
        kind: of the instrument.
        scope: what the block reads.
        questions: where questions go.
        event: what kind of reading it makes.
        scales: scales that the messages' own arithmetic proves.
        zone: of local times, where the block's clock has told it.
    """

    def __init__(
        self,
        kind: str,
        scope: Scope,
        questions: Questions,
        *,
        event: str,
        scales: Mapping[str, str],
        zone: str | None,
    ) -> None:
        self.kind = kind
        self.scope = scope
        self.event = event
        self.scales = scales
        self.zone = zone
        self.questions = questions

    def write(
        self, name: str, pairs: Sequence[tuple[str | None, Field]]
    ) -> tuple[dict[str, Any], list[int]]:
        """What a profile says of the quantity, and the numbers of its questions."""
        known, first = BY_NAME[self.kind][name], pairs[0][1]
        said, asked = self._place(name, pairs)
        if known.type == "time":
            self._time(said, first)
        elif known.type in {"number", "money"}:
            asked += self._number(said, name, pairs)
        else:
            asked += self._words(said, name, first)
        if len(pairs) == 1 and not first.array and len(first.values) < self.scope.count:
            said["optional"] = True
        if first.absent and known.type in {"number", "money"}:
            said["absent"] = first.absent
            asked.append(self.questions.ask_alike("absent", f"{first.shown} {first.absent}"))
        asked += self._register(said, name, first)
        return said, asked

    def _place(
        self, name: str, pairs: Sequence[tuple[str | None, Field]]
    ) -> tuple[dict[str, Any], list[int]]:
        first = pairs[0][1]
        if first.array:
            phases = name in PHASED and first.array == _THREE
            names = ["L1", "L2", "L3"] if phases else [str(i + 1) for i in range(first.array)]
            asked = []
            if not phases:
                question = f"What are the {first.array} numbers of {first.shown}, in order?"
                asked.append(self.questions.ask(question))
            return {"each": self.scope.place(first), "channels": names}, asked
        if len(pairs) > 1 or pairs[0][0] is not None:
            own = "total" if self.kind == "electricity_meter" else "main"
            return {"channels": {c or own: self.scope.place(each) for c, each in pairs}}, []
        return {"from": self.scope.place(first)}, []

    def _time(self, said: dict[str, Any], each: Field) -> None:
        form = form_of(each, each.received)
        if form is None:
            return
        said["time"] = form.word
        if form.text:
            said["text"] = True
        if form.local:
            zone = self.zone or zone_of(each, None, form.word, each.received)
            said["zone"] = zone or "Asia/Shanghai"

    def _number(
        self, said: dict[str, Any], name: str, pairs: Sequence[tuple[str | None, Field]]
    ) -> list[int]:
        known, first = BY_NAME[self.kind][name], pairs[0][1]
        asked: list[int] = []
        scale = self.scales.get(name) or scale_of(first, name) or "1"
        if known.type == "number" and known.unit != "1":
            asked += self._unit(said, first, name, known.unit, sure=scale != "1")
        if scale != "1":
            said["scale"] = float(scale)
            shown = float(f"{first.numbers[-1] * float(scale):.9g}")
            if name not in self.scales:
                told = f"{first.shown} {first.values[-1]} as {shown:g}"
                asked.append(self.questions.ask_alike("scale", told))
        if known.type == "money" and name not in self.scales:
            asked.append(self.questions.ask_alike("money", f"{first.shown} {first.values[-1]}"))
        if any(each.text for _, each in pairs):
            said["text"] = True
        return asked

    def _unit(
        self, said: dict[str, Any], each: Field, name: str, canonical: str, *, sure: bool
    ) -> list[int]:
        unit, told = unit_of(each, canonical)
        if each.unit is not None and told:
            signs = vocabulary().signs
            words = {text: signs[text.strip().lower()] for text in dict.fromkeys(each.unit.values)}
            said["unit"] = {"from": self.scope.place(each.unit), "units": words}
            return []
        largest = max(map(abs, each.numbers), default=0.0)
        if not told and name in _SESSION and self.event == "session" and largest > _SESSION_WH:
            unit = "Wh"
        if not told and name == "volume" and canonical == "L" and largest > _SALE_ML:
            unit = "mL"
        said["unit"] = unit
        if told or sure or plausible(name):
            return []
        shown = f"{each.numbers[-1]:g}" if each.numbers else str(each.values[-1])
        return [self.questions.ask_alike("unit", f"{each.shown} {shown} in {unit}")]

    def _words(self, said: dict[str, Any], name: str, each: Field) -> list[int]:
        """A valve's or a flag's numbers, by words."""
        known = BY_NAME[self.kind][name].type
        values = list(dict.fromkeys(each.values))
        if known == "flag" and not all(isinstance(value, bool) for value in values):
            said["map"] = {0: False, 1: True}
            return [self.questions.ask(f"Does 1 of {each.shown} mean yes?")]
        if name == "valve" and not all(isinstance(value, str) for value in values):
            said["map"] = {0: "open", 1: "closed"} | {
                value: f"state {value}" for value in values if value not in (0, 1)
            }
            return [self.questions.ask(f"Which position is each number of {each.shown}?")]
        return []

    def _register(self, said: dict[str, Any], name: str, each: Field) -> list[int]:
        of_event = name in _EVENT_VALUES and (self.event != "periodic" or self.kind == "ev_charger")
        if name not in REGISTERS or of_event:
            return []
        face: dict[str, Any] = {}
        texts = [str(value) for value in each.values if value not in each.absent]
        widths = {len(text.partition(".")[0]) for text in texts}
        padded = each.text and any(text[0] == "0" and text[1:2].isdigit() for text in texts)
        if padded and len(widths) == 1:
            face["digits"] = widths.pop()
        if not each.grows and not face:
            return []
        if each.decimals:
            face["decimals"] = each.decimals
        said["register"] = face or True
        return [] if "digits" in face else [self.questions.ask_alike("register", each.shown)]
