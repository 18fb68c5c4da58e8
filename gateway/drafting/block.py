"""Blocks of ``read`` for one sort of messages, with a question wherever only a person knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.drafting.choice import Chosen, choose, money_scales
from gateway.drafting.fields import Field, words_of
from gateway.drafting.groups import Group
from gateway.drafting.guess import (
    MODULI,
    PHASED,
    identity_words,
    is_channel,
    is_sequence,
    is_status,
    span_words,
    status_word,
)
from gateway.drafting.messages import UNTOLD
from gateway.drafting.quantity import Quantities
from gateway.drafting.questions import Questions, mark
from gateway.drafting.scopes import Scope
from gateway.drafting.text import entry, path_text
from gateway.drafting.times import Form, form_of, pair_of, rank_of, zone_of
from gateway.drafting.vocabulary import vocabulary
from gateway.profiles.notation import ABOVE, VALUES

_EVENTS: Final = {"fuel_dispenser": "transaction", "taximeter": "trip", "ev_charger": "session"}
_OF_EVENT: Final = frozenset(
    ("amount", "unit_price", "started_at", "fare", "energy_start", "energy_end")
)
_CHANNELLED: Final = frozenset(("fuel_dispenser", "ev_charger"))
_PHASE_NAMES: Final = {"A": "L1", "B": "L2", "C": "L3", "a": "L1", "b": "L2", "c": "L3"}
_SHOWN: Final = 40
_KEY_RANK: Final = 90


@dataclass
class Common:
    """What all blocks of the draft share.

    Attributes:
        kind: of the instrument.
        questions: where questions go.
        device_in_topic: a level of the topic names the device.
        unread: places that no block reads, with some of their values.
        own_devices: blocks that name the device themselves.
    """

    kind: str
    questions: Questions
    device_in_topic: bool
    unread: dict[str, str] = field(default_factory=dict)
    own_devices: list[bool] = field(default_factory=list)


@dataclass
class Clock:
    """The instrument's time: its place, that of the time of day where it is apart, its form."""

    place: Field
    then: Field | None
    form: Form


class Block:
    """Writes one block."""

    def __init__(self, scope: Scope, group: Group, common: Common) -> None:
        self.scope = scope
        self.group = group
        self.common = common
        self.questions = common.questions
        self.lines: list[str] = []
        self.chosen: Chosen = {}
        self.event = "periodic"
        self.unread: list[Field] = []

    def write(self) -> list[str]:
        """The lines of the block; none where it has nothing to read."""
        fields = self.scope.fields
        clock = self._clock()
        sequence = next((each for each in fields if is_sequence(each)), None)
        identity = self._identity()
        channel = self._channel_field()
        around = [sequence, identity, channel]
        around += [clock.place, clock.then] if clock is not None else []
        units = [each.unit for each in fields if each.unit is not None]
        told = {at for at, asked in self.group.when.items() if asked != {"is": "present"}}
        when = [each for each in fields if each.shown in told]
        left = [
            each
            for each in fields
            if not _among(each, [*around, *units, *when]) and each.path[0] not in (ABOVE, VALUES)
        ]
        self.chosen = choose(left, self.common.kind)
        rest = [each for each in left if not self._is_chosen(each)]
        statuses, asked, used = self._statuses(rest)
        if not self.chosen and not statuses:
            self.unread = rest
            return []
        self.common.own_devices.append(identity is not None)
        self._put_head(channel, identity)
        self._put_clock(clock)
        self._put_sequence(sequence)
        self._put_status(statuses, asked)
        self._put_quantities(clock)
        self._note_unread([each for each in rest if not _among(each, used)])
        return self.lines

    def _is_chosen(self, each: Field) -> bool:
        return any(each is found for pairs in self.chosen.values() for _, found in pairs)

    def _put(self, key: str, value: Any, *asked: int) -> None:  # noqa: ANN401 - any data
        self.lines += entry(key, value, 4, mark(*asked))

    # -- which messages, whose, which channel

    def _put_head(self, channel: Field | None, identity: Field | None) -> None:
        if self.group.when and self.scope.each is None:
            self._put("when", self.group.when)
        if self.scope.each is not None:
            self._put("each", path_text(self.scope.each))
        if not self.chosen:
            self._put("event", "alarm")
        elif _OF_EVENT & self.chosen.keys() and self.common.kind in _EVENTS:
            self.event = _EVENTS[self.common.kind]
            question = f"Is each of these messages one whole {self.event}?"
            self._put("event", self.event, self.questions.ask(question))
        if identity is not None:
            self._put("device_id", {"from": self.scope.place(identity)})
        elif (above := self._part_above()) is not None:
            place = self.scope.place(above)
            question = (
                f"Is each {above.path[-1]} a device of its own, or a part of one that a channel "
                "should name?"
            )
            self._put("device_id", f"{{device_id}}-{{{place}}}", self.questions.ask(question))
        if channel is not None:
            self._put("channel", self._channel(channel))

    def _identity(self) -> Field | None:
        """A field that identifies the device where the topic does not, or item by item."""
        ranked = []
        for each in (*self.scope.fields, *self.scope.outer):
            rank = _KEY_RANK if each.path == (VALUES,) else identity_words(each)
            if rank is None or (self.common.device_in_topic and not self._item_by_item(each)):
                continue
            if not is_channel(each) or not self.common.device_in_topic:
                ranked.append((_among(each, self.scope.outer), rank, each))
        ranked.sort(key=lambda entry: entry[:2])
        return ranked[0][2] if ranked else None

    def _part_above(self) -> Field | None:
        """A field of the items around these that tells them apart, as a pump its nozzles."""
        if not self.common.device_in_topic:
            return None
        above = [each for each in self.scope.fields if each.path[0] == ABOVE]
        told = [e for e in above if is_channel(e) and len(set(map(str, e.values))) > 1]
        return told[0] if told else None

    def _item_by_item(self, each: Field) -> bool:
        """Whether items of one message are of different devices."""
        inside = self.scope.each is not None and _among(each, self.scope.fields)
        return inside and len(set(each.values)) > 1

    def _channel_field(self) -> Field | None:
        for each in self.scope.fields:
            several = len(set(map(str, each.values))) > 1
            if self._is_device(each):
                continue
            if (
                each.path[0] != ABOVE
                and is_channel(each)
                and (self.scope.each is not None or several or self.common.kind in _CHANNELLED)
            ):
                return each
        return None

    def _is_device(self, each: Field) -> bool:
        """Whether it says only what the topic's level of the device says."""
        told = [message.levels.get("device_id") for message in self.group.messages]
        return self.scope.each is None and list(map(str, each.values)) == told

    def _channel(self, channel: Field) -> dict[str, Any]:
        values = list(dict.fromkeys(channel.values))
        said: dict[str, Any] = {"from": self.scope.place(channel)}
        phased = PHASED & self.chosen.keys() and {"phase", "line"} & set(words_of(channel.name))
        if phased and all(str(value) in _PHASE_NAMES for value in values):
            said["map"] = {value: _PHASE_NAMES[str(value)] for value in values}
        elif phased and set(values) <= {1, 2, 3}:
            said["map"] = {value: f"L{value}" for value in values}
        return said

    # -- when, and the own numbering

    def _clock(self) -> Clock | None:
        found: list[tuple[float, Clock]] = []
        for place, fields in enumerate((self.scope.fields, self.scope.outer)):
            for each in fields:
                form = form_of(each, each.received)
                if form is not None and rank_of(each, form) < float("inf"):
                    found.append((rank_of(each, form) + 60 * place, Clock(each, None, form)))
            pair = pair_of(fields, [at for each in fields[:1] for at in each.received])
            if pair is not None and not found:
                return Clock(*pair)
        return min(found, key=lambda entry: entry[0])[1] if found else None

    def _put_clock(self, clock: Clock | None) -> None:
        if clock is None:
            self.questions.ask(
                "No field looks like the instrument's clock: readings take the time of receipt and "
                "are marked questionable. Is there one?"
            )
            return
        each, then, form = clock.place, clock.then, clock.form
        said: dict[str, Any] = {"from": self.scope.place(each)}
        if then is not None:
            said["then"] = self.scope.place(then)
        if form.word != "iso":
            said["time"] = form.word
        if form.text:
            said["text"] = True
        asked = []
        if form.local:
            told = any(at != UNTOLD for at in each.received)
            zone = zone_of(each, then, form.word, each.received) if told else None
            said["zone"] = self.zone = zone or "Asia/Shanghai"
            shown = str(each.values[0]) + (f" {then.values[0]}" if then is not None else "")
            why = " (by the times of receipt it is this one)" if zone else ""
            if told and not zone:
                why = " (none agrees with receipt)"
            asked.append(
                self.questions.ask(f"In which zone is the clock that says {shown!r}?{why}")
            )
        if len(each.values) < self.scope.count and _among(each, self.scope.fields):
            said["optional"] = True
        self._put("measured_at", said, *asked)

    zone: str | None = None

    def _put_sequence(self, sequence: Field | None) -> None:
        if sequence is None:
            return
        said: dict[str, Any] = {"from": self.scope.place(sequence)}
        falls = [step for step in sequence.steps() if step < 0]
        most = int(max(sequence.numbers))
        modulus = next((m for m in MODULI if falls and most < m and -min(falls) > m // 2), None)
        asked = []
        if modulus is not None:
            said["modulus"] = modulus
        else:
            question = (
                f"After which number does {sequence.shown} begin anew? (65535: modulus: 65536)"
            )
            asked.append(self.questions.ask(question))
        if sequence.text:
            said["text"] = True
        if len(sequence.values) < self.scope.count:
            said["optional"] = True
        self._put("sequence", said, *asked)

    # -- status

    def _statuses(
        self, fields: Sequence[Field]
    ) -> tuple[list[dict[str, Any]], list[str], list[Field]]:
        """Mappings of status, the questions they leave, and the fields they read."""
        flags: dict[str, str] = {}
        found: list[dict[str, Any]] = []
        asked: list[str] = []
        used: list[Field] = []
        for each in fields:
            word = status_word(each.name)
            told = all(isinstance(value, bool) or value in (0, 1) for value in each.values)
            if word is not None and told and not is_status(each):
                flags[str(self.scope.place(each))] = word
                used.append(each)
            elif is_status(each) and _is_words(each):
                words = {value: _status_of(value) for value in dict.fromkeys(each.values)}
                found.append({"from": self.scope.place(each), "words": words})
                used.append(each)
                asked.append(
                    f"Which other words can {each.shown} have, and is null (all is well) right? A "
                    "word that is not named here sends its message to quarantine."
                )
        if flags:
            found.append({"flags": flags})
        return found, asked, used

    def _put_status(self, found: Sequence[dict[str, Any]], asked: Sequence[str]) -> None:
        if not found:
            return
        numbers = [self.questions.ask(question) for question in asked]
        if len(found) == 1:
            self._put("status", found[0], *numbers)
            return
        self.lines.append(f"    status:{mark(*numbers)}")
        for each in found:
            (first, *rest) = entry("x", each, 6)
            text = first.strip().removeprefix("x:").strip()
            if text:
                self.lines.append(f"      - {text}")
            else:
                self.lines += [f"      - {rest[0].strip()}", *rest[1:]]

    # -- quantities

    def _put_quantities(self, clock: Clock | None) -> None:
        kind = self.common.kind
        scales = money_scales(self.chosen, kind)
        writer = Quantities(
            kind, self.scope, self.questions, event=self.event, scales=scales, zone=self.zone
        )
        if clock is not None and self.event != "periodic" and clock.then is None:
            # The end of the event is its time, and is told as such besides.
            span = span_words(clock.place)
            if (
                span is not None
                and span not in self.chosen
                and _among(clock.place, self.scope.fields)
            ):
                self.chosen[span] = [(None, clock.place)]
        for name, pairs in self.chosen.items():
            said, asked = writer.write(name, pairs)
            self._put(name, said, *asked)

    def note_all(self) -> None:
        """Shows the places of a block that was not written."""
        self._note_unread(self.unread)

    def _note_unread(self, rest: Sequence[Field]) -> None:
        """What nobody reads, so that the engineer sees it."""
        inside = f"{path_text(self.scope.each)}[]." if self.scope.each is not None else ""
        for each in rest:
            if identity_words(each) is not None:
                continue
            shown = ", ".join(dict.fromkeys(str(value)[:20] for value in each.values[:6]))
            flag = is_status(each) and each.numeric
            hint = " <- status? 'status: {from: ..., bits: {0: battery_low}}'" if flag else ""
            self.common.unread.setdefault(f"{inside}{each.shown}", f"{shown[:60]}{hint}")


def _is_words(each: Field) -> bool:
    listed = isinstance(each.path[-1], int)
    return not listed and all(isinstance(value, str) for value in each.values)


def _among(each: Field, fields: Sequence[Field | None]) -> bool:
    return any(each is other for other in fields)


def _status_of(value: str) -> str | None:
    if value.strip().lower() in vocabulary().well:
        return None
    return status_word(value)


def as_list_item(lines: Sequence[str]) -> list[str]:
    """The lines of a block as an item of a list: the first begins with a dash."""
    return ["  - " + lines[0].removeprefix("    "), *lines[1:]] if lines else []


def as_single(lines: Sequence[str]) -> list[str]:
    """The lines of the only block, without the dash's indentation."""
    return [line.removeprefix("  ") for line in lines]


def unread_lines(unread: Mapping[str, str]) -> list[str]:
    """Comments that name the places that nothing reads."""
    if not unread:
        return []
    lines = ["# Not read:"]
    lines += [f"#   {place}: {values}" for place, values in list(unread.items())[:_SHOWN]]
    if len(unread) > _SHOWN:
        lines.append(f"#   and {len(unread) - _SHOWN} more")
    # Nothing of a message can end a comment's line.
    return ["".join(sign if sign.isprintable() else "?" for sign in line) for line in lines]
