"""A first profile from real messages, with open questions as comments (``gateway profile new``)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from gateway.capture import CaptureError, CaptureReader
from gateway.decode.compile import compile_parser
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.pipeline import Decided, Decider, Plan
from gateway.profiles import ProfileSet, guess, load_profiles
from gateway.profiles.guess import Field
from gateway.profiles.models import FORMATS
from gateway.profiles.schema import MODELINE
from gateway.profiles.topics import topic_levels
from gateway.quantities import BY_NAME
from gateway.records import Batch, RawMessage, Reading
from gateway.times import rfc3339

MOST_MESSAGES: Final = 500
"""More tell nothing new, and are not looked at."""
_TRIED: Final = ("json", "cbor", "msgpack")
_FEWEST: Final = 0.8
_NOWHERE: Final = Path()
_CASES: Final = 2
_SAFE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Draft:
    """A profile's text and what remains to be asked.

    Attributes:
        text: YAML.
        questions: what only a person knows, as sentences.
        reader: the profile that reads the messages already, where there is one.
    """

    text: str
    questions: list[str] = field(default_factory=list)
    reader: str | None = None


def captured(path: Path) -> list[RawMessage]:
    """The first messages of a capture file; ``-`` is standard input.

    Raises:
        CaptureError: it cannot be read, or holds no message.
    """
    found: list[RawMessage] = []
    for batch in CaptureReader(path).batches():
        columns = zip(batch.topics, batch.payloads, batch.received_at, strict=True)
        found += [RawMessage(i, at, topic, raw) for i, (topic, raw, at) in enumerate(columns)]
        if len(found) >= MOST_MESSAGES:
            break
    if not found:
        raise CaptureError(f"{path}: no message in it; `gateway capture TOPIC -o FILE` makes one")
    return found[:MOST_MESSAGES]


def readers(profiles: ProfileSet, messages: Sequence[RawMessage]) -> list[str]:
    """Profiles that read most of the messages already, whatever the topic."""
    found = []
    for name, profile in profiles.profiles.items():
        plans = Decider(ProfileSet({name: profile}, profiles.bases), {}, {}).plans
        read = sum(_reads(plan, message) for plan in plans for message in messages[:20])
        if read >= _FEWEST * len(messages[:20]):
            found.append(name)
    return found


def _reads(plan: Plan, message: RawMessage) -> bool:
    levels = dict.fromkeys(topic_levels(plan.profile.model), "x")
    try:
        document = plan.document(message.topic, message.payload, levels, message.received_at)
        if document is None or not plan.normaliser.accepts(document):
            return False
        out: list[Any] = []
        plan.read(document, levels, message.received_at, 0, out)
    except DecodeError:
        return False
    return bool(out)


def format_of(messages: Sequence[RawMessage]) -> tuple[str, list[Any]]:
    """The format that most messages have, and the documents of those.

    Raises:
        DecodeError: none of the self-describing formats fits; what to do is in the detail.
    """
    refused: DecodeError | None = None
    for name in _TRIED:
        parse = compile_parser(FORMATS[name](format=name), _NOWHERE)  # type: ignore[call-arg]
        documents = []
        for message in messages:
            try:
                document = parse(message.payload, Context(message.topic, message.received_at))
            except DecodeError as error:
                refused = refused or error
                continue
            if isinstance(document, dict | list):
                documents.append(document)
        if len(documents) >= _FEWEST * len(messages):
            return name, documents
    first = messages[0].payload
    shown = first[:24].hex(" ")
    raise DecodeError(
        "unparseable",
        f"no self-describing format (JSON, CBOR, MessagePack) fits; the first message begins "
        f"{shown}; as JSON: {refused.detail if refused else 'no message'}. If the maker's manual "
        "names a protocol, say --format; for bytes of the maker's own, --format binary",
    )


@dataclass(frozen=True, slots=True)
class About:
    """What a person says of the instrument: the profile's name, kind (if known), maker, model."""

    name: str
    kind: str | None = None
    vendor: str = "ACME"
    model: str | None = None


def draft(about: About, messages: Sequence[RawMessage], kinds: Path) -> Draft:
    """A first profile for messages of an unknown device.

    Args:
        about: what a person says of the instrument.
        messages: as captured, in their order; at most `MOST_MESSAGES` are looked at.
        kinds: where the base profiles are; the draft is run over them to fill its cases.

    Raises:
        DecodeError: the format is none that can be guessed.
    """
    # One device after another, each in its order: what grows can be seen.
    messages = sorted(messages[:MOST_MESSAGES], key=lambda message: message.topic)
    form, documents = format_of(messages)
    return _Writer(about, messages, form, documents).draft(kinds)


class _Writer:
    """Writes the draft part by part, collecting questions on the way."""

    def __init__(
        self, about: About, messages: Sequence[RawMessage], form: str, documents: list[Any]
    ) -> None:
        self.about = about
        self.messages = messages
        self.topics = list(dict.fromkeys(message.topic for message in messages))
        self.form = form
        self.documents = documents
        self.questions: list[str] = []
        self.lines: list[str] = []
        self.each = guess.array_of_readings(documents)
        items = [item for document in documents for item in _items(document, self.each)]
        self.fields = guess.fields_of(items if self.each else documents, len(self.topics))
        self.outer = guess.fields_of(documents) if self.each not in (None, ("$",)) else []
        self.kind, self.why = (
            (about.kind, "said") if about.kind else guess.kind_of(self.fields, self.topics)
        )
        self.count = len(items) if self.each else len(documents)

    def draft(self, kinds: Path) -> Draft:
        """The whole text; its cases say what it gives now."""
        self.head()
        self.read()
        self.leftovers()
        body = "\n".join(self.lines) + "\n"
        text = body + "\n".join(["tests:", *self.cases(body, kinds)]) + "\n"
        asked = [f"#  {i}. {question}" for i, question in enumerate(self.questions, 1)]
        if asked:
            asked = ["# Open questions; delete each, and its mark, when it is answered:", *asked]
        opening = "\n".join([MODELINE.format(schema="profile.schema.json"), *asked])
        return Draft(f"{opening}\n{text}", self.questions)

    def ask(self, question: str) -> str:
        """Notes a question; returns the mark that stands beside the line."""
        self.questions.append(question)
        return f"  # ? {len(self.questions)}"

    def head(self) -> None:
        base = self.kind.replace("_", "-")
        model = _quoted(self.about.model or self.about.name)
        title = _quoted(f"{self.about.vendor} {self.about.model or self.about.name}")
        mark = ""
        if self.why != "said":
            mark = self.ask(f"The kind is a guess ({self.why}). Is it a {base}?")
        self.lines += [
            f"profile: {self.about.name}",
            "version: 1.0.0",
            f"extends: kinds/{base}{mark}",
            f"title: {{en: {title}, zh: {title}}}",
            f"instrument: {{vendor: {_quoted(self.about.vendor)}, model: {model}}}",
        ]
        topic, from_topic = topic_of(self.topics)
        mark = ""
        if not from_topic and not self.identity():
            mark = self.ask(
                "Which level of the topic, or which field, identifies the device? "
                "Write {device_id} in its place, or 'device_id: {from: field}' in a block."
            )
        elif len(self.topics) == 1 and from_topic:
            mark = self.ask("Only one topic was seen: is {device_id} the level that differs?")
        self.lines.append(f"match: {{topic: {_quoted(topic)}}}{mark}")
        if self.form != "json":
            self.lines.append(f"decode: {{format: {self.form}}}")

    def identity(self) -> Field | None:
        """A field that identifies the device, where the topic does not."""
        for each in (*self.fields, *self.outer):
            if guess.is_identity(each):
                return each
        return None

    def read(self) -> None:
        """The block, or two where quantities fit more than once."""
        self.lines.append("read:")
        if self.each is not None:
            self.lines.append(f"  each: {_path(self.each)}")
        _, from_topic = topic_of(self.topics)
        identity = self.identity()
        if not from_topic and identity is not None:
            self.lines.append(f"  device_id: {{from: {self.where(identity)}}}")
        if self.kind in {"fuel_dispenser", "taximeter", "ev_charger"}:
            event = {"fuel_dispenser": "transaction", "taximeter": "trip"}.get(self.kind, "session")
            mark = self.ask(f"Is a message one {event}, or a periodic state (event: periodic)?")
            self.lines.append(f"  event: {event}{mark}")
        self.time()
        self.sequence()
        for name, found in self.chosen().items():
            self.quantity(name, found)

    def time(self) -> None:
        times = [each for each in (*self.fields, *self.outer) if guess.is_time(each)]
        if not times:
            self.questions.append(
                "No field looks like the instrument's clock: readings take the time of receipt and "
                "are marked questionable. Is there one?"
            )
            return
        form = guess.time_form(times[0]) or "iso"
        mark = zone = ""
        if form == "iso" or "%" in form:
            shown = str(times[0].values[0])
            if not re.search(r"(Z|[+-]\d\d:?\d\d)$", shown):
                zone = ", zone: Asia/Shanghai"
                mark = self.ask(f"{shown!r} tells no zone: which one does the clock show?")
        word = "" if form == "iso" else f", time: {_quoted(form)}"
        self.lines.append(f"  measured_at: {{from: {self.where(times[0])}{word}{zone}}}{mark}")

    def sequence(self) -> None:
        for each in self.fields:
            if guess.is_sequence(each):
                mark = self.ask(
                    f"After which number does {_shown(each)} begin anew? (65535: modulus: 65536)"
                )
                self.lines.append(f"  sequence: {{from: {self.where(each)}}}{mark}")
                return

    def chosen(self) -> dict[str, list[tuple[Field, str | None]]]:
        """Fields by quantity, each the best of its phase."""
        best: dict[tuple[str, str | None], tuple[int, Field]] = {}
        for each in self.fields:
            taken = guess.is_time(each) or guess.is_sequence(each)
            name, score = guess.quantity_of(each, self.kind)
            if taken or name is None or score < _SURE or not self.fits(each, name):
                continue
            phase = guess.phase_of(each) if name in _PHASED else None
            if score > best.get((name, phase), (0, each))[0]:
                best[name, phase] = score, each
        found: dict[str, list[tuple[Field, str | None]]] = {}
        for (name, phase), (_, each) in best.items():
            found.setdefault(name, []).append((each, phase))
        self.taken = {each.path for pairs in found.values() for each, _ in pairs}
        return {name: found[name] for name in BY_NAME[self.kind] if name in found}

    def fits(self, each: Field, name: str) -> bool:
        """Whether the values are of the quantity's type."""
        kind = BY_NAME[self.kind][name].type
        if kind in {"number", "money"}:
            return each.numeric
        if kind == "time":
            return guess.time_form(each) is not None
        if kind == "flag":
            return all(isinstance(value, bool) for value in each.values)
        return all(isinstance(value, str) for value in each.values)

    def quantity(self, name: str, found: list[tuple[Field, str | None]]) -> None:
        known = BY_NAME[self.kind][name]
        phases = {phase: each for each, phase in found if phase is not None}
        if phases:
            places = ", ".join(
                f"{phase}: {self.where(each)}" for phase, each in sorted(phases.items())
            )
            parts = [f"channels: {{{places}}}"]
            first = next(iter(phases.values()))
        else:
            first = found[0][0]
            parts = [f"from: {self.where(first)}"]
        marks = []
        if known.type == "number" and known.unit != "1":
            size = max((abs(n) for n in first.numbers), default=0.0)
            unit, told = guess.unit_of(first, known.unit, size)
            parts.append(f"unit: {_quoted(unit)}")
            if not told:
                marks.append(f"{_shown(first)} shows {first.values[-1]}: is that in {unit}?")
        if known.type == "time":
            parts.append(f"time: {_quoted(guess.time_form(first) or 'iso')}")
        if known.type == "money":
            marks.append(
                f"Is {_shown(first)} ({first.values[-1]}) in whole money, or 'scale: 0.01'?"
            )
        if first.text and known.type in {"number", "money"}:
            parts.append("text: true")
        if len(first.values) < self.count and not phases:
            parts.append("optional: true")
        if first.grows and name in _REGISTERS:
            decimals = max((len(str(v).partition(".")[2]) for v in first.values), default=0)
            parts.append(f"register: {{digits: 8, decimals: {min(decimals, 9)}}}")
            marks.append(
                f"{_shown(first)} grows: how many digits has the register before the point?"
            )
        mark = "".join(self.ask(question) for question in marks)
        self.lines.append(f"  {name}: {{{', '.join(parts)}}}{mark}")

    def leftovers(self) -> None:
        """Fields that nobody reads, so that the engineer sees them."""
        left = [
            each
            for each in self.fields
            if each.path not in self.taken
            and not guess.is_time(each)
            and not guess.is_sequence(each)
        ]
        if left:
            self.lines.append("# Not read:")
        for each in left[:40]:
            name, _ = guess.quantity_of(each, self.kind)
            hint = f" ({name}?)" if name else ""
            shown = ", ".join(dict.fromkeys(str(value)[:20] for value in each.values[:3]))
            self.lines.append(f"#   {_shown(each)}: {shown}{hint}")

    def cases(self, body: str, kinds: Path) -> list[str]:
        """The first messages as cases, with what the draft makes of them."""
        profile = load_text(self.about.name, body, kinds)
        lines = []
        for message in self.messages[:_CASES]:
            lines += [f"  - topic: {_quoted(message.topic)}"]
            lines += [f"    received_at: {rfc3339(message.received_at)}"]
            if self.form == "json":
                lines += [f"    payload: {_quoted(message.payload.decode('utf-8', 'replace'))}"]
            else:
                lines += [f"    payload_hex: {_quoted(message.payload.hex())}"]
            lines += _outcome(profile, message)
        if lines:
            self.questions.append(
                "The cases say what the draft gives now: compare each number with the instrument's "
                "display or its manual."
            )
        return lines

    def where(self, each: Field) -> str:
        """The path as YAML; from the root where it stands outside of the array."""
        outside = self.each not in (None, ("$",)) and each in self.outer
        return _path((("$",) if outside else ()) + each.path)


def load_text(name: str, text: str, kinds: Path) -> ProfileSet:
    """The profile of a text, over the base profiles.

    Raises:
        ProfileError: every fault of the text.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        return load_profiles([kinds, file])


def _outcome(profile: ProfileSet, message: RawMessage) -> list[str]:
    decided = Decided()
    batch = Batch([message.topic], [message.payload], [message.received_at], 0)
    Decider(profile, {}, {}, registry_known=False).decide(batch, decided)
    if decided.quarantined:
        return [f"    quarantine: {decided.quarantined[0].reason}"]
    return ["    expect:", *(f"      - {_expected(reading)}" for reading in decided.readings)]


def _expected(reading: Reading) -> str:
    """A reading as a case says it: numbers with their unit."""
    parts = [f"device_id: {_quoted(reading.device_id)}"]
    if reading.channel is not None:
        parts.append(f"channel: {_quoted(reading.channel)}")
    for name, value in reading.quantities.items():
        known = BY_NAME[reading.kind][name]
        if known.type == "time":
            parts.append(f"{name}: {_quoted(rfc3339(int(str(value))))}")
        elif known.type == "number" and known.unit != "1":
            parts.append(f"{name}: {_quoted(f'{value!r} {known.unit}')}")
        else:
            parts.append(
                f"{name}: {_quoted(value) if isinstance(value, str) else str(value).lower()}"
            )
    return "{" + ", ".join(parts) + "}"


_SURE: Final = 20
_PHASED: Final = frozenset({"voltage", "amperage", "power_active", "power_factor"})
_REGISTERS: Final = frozenset(
    {"energy_import", "energy_export", "volume", "energy", "totaliser_volume", "total_distance"}
)


def _items(document: Any, path: tuple[str, ...] | None) -> list[Any]:  # noqa: ANN401 - any JSON
    if path is None:
        return [document]
    for part in path if path != ("$",) else ():
        document = document.get(part) if isinstance(document, Mapping) else None
    return document if isinstance(document, list) else []


def topic_of(topics: Sequence[str]) -> tuple[str, bool]:
    """A pattern of topics that fits all of them, and whether a level names the device."""
    split = [topic.split("/") for topic in topics]
    if len({len(levels) for levels in split}) > 1:
        return _common(split), False
    pattern = list(split[0])
    differs = [i for i in range(len(pattern)) if len({levels[i] for levels in split}) > 1]
    if not differs:
        marked = [i for i, level in enumerate(pattern) if re.search(r"\d", level)]
        if not marked:
            return "/".join(pattern), False
        differs = [max(marked, key=lambda i: len(pattern[i]))]
    device = max(differs, key=lambda i: len({levels[i] for levels in split}))
    for i in differs:
        pattern[i] = "{device_id}" if i == device else f"{{level_{_LETTERS[i % 26]}}}"
    return "/".join(pattern), True


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def _common(split: Sequence[Sequence[str]]) -> str:
    levels = []
    for column in zip(*split, strict=False):
        if len(set(column)) > 1:
            break
        levels.append(column[0])
    return "/".join([*levels, "#"])


def _path(path: tuple[str | int, ...]) -> str:
    """A path as YAML: dotted where that can be read, else a list."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SAFE.fullmatch(part) or part == "$":
            text += f".{part}" if text else part
        else:
            return "[" + ", ".join(_quoted(p) if isinstance(p, str) else str(p) for p in path) + "]"
    return _quoted(text) if "[" in text else text


def _shown(each: Field) -> str:
    return ".".join(str(part) for part in each.path)


def _quoted(text: str) -> str:
    """A text as a YAML scalar on one line."""
    shown = yaml.safe_dump(text, width=10**9, allow_unicode=True, default_flow_style=True)
    plain = shown.removesuffix("\n").removesuffix("\n...")
    risky = any(sign in plain for sign in "{}[],:#") and not plain.startswith(("'", '"'))
    return "'" + text.replace("'", "''") + "'" if risky else plain
