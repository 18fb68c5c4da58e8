"""The whole text of a first profile: its head, its blocks, its cases, its questions."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.deciding import Decided, Decider
from gateway.decode.document import Context
from gateway.drafting import layout
from gateway.drafting.block import Block, Common, as_list_item, as_single, unread_lines
from gateway.drafting.choice import kind_of
from gateway.drafting.fields import Field, fields_of
from gateway.drafting.formats import FEWEST, Sniffed, sniff
from gateway.drafting.groups import Group, Message, groups_of
from gateway.drafting.guess import identity_words
from gateway.drafting.messages import MOST_MESSAGES, UNTOLD
from gateway.drafting.questions import Questions, mark
from gateway.drafting.scopes import scopes_of
from gateway.drafting.text import entry, flow, quoted
from gateway.drafting.topics import Topics, patterns_of
from gateway.errors import DecodeError, ProfileError
from gateway.plans import Plan
from gateway.profiles import Profile, ProfileSet, load_profiles
from gateway.profiles.schema import MODELINE
from gateway.profiles.topics import topic_levels, topic_pattern
from gateway.quantities import BY_NAME
from gateway.records import Batch, Quarantined, RawMessage, Reading
from gateway.times import rfc3339

_CASES: Final = 6
_IGNORED: Final = ("ignored",)
_PLAIN: Final = frozenset(("json", "cbor", "msgpack", "csv", "senml"))


@dataclass
class Draft:
    """A profile's text and what remains to be asked.

    Attributes:
        text: YAML.
        questions: what only a person knows, as sentences.
        decided: what the draft makes of all messages of the capture, by outcome.
    """

    text: str
    questions: list[str] = field(default_factory=list)
    decided: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class About:
    """What a person says of the instrument: the profile's name, kind (if known), maker, model."""

    name: str
    kind: str | None = None
    vendor: str | None = None
    model: str | None = None


def readers(profiles: ProfileSet, messages: Sequence[RawMessage]) -> list[str]:
    """Profiles that read most of the messages already, whatever the topic."""
    looked = messages[:20]
    plans = Decider(profiles, {}, {}).plans
    return [
        plan.profile.name
        for plan in plans
        if sum(_reads(plan, message) for message in looked) >= FEWEST * len(looked)
    ]


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


def draft(about: About, messages: Sequence[RawMessage], profiles: Path) -> Draft:
    """A first profile for messages of an unknown device.

    Args:
        about: what a person says of the instrument.
        messages: as captured, in their order; at most `MOST_MESSAGES` are looked at.
        profiles: the packaged profiles, which the draft may extend; its cases are run over them.
    """
    return _Writer(about, messages[:MOST_MESSAGES], profiles).draft()


class _Writer:
    """Writes the draft part by part, collecting questions on the way."""

    def __init__(self, about: About, messages: Sequence[RawMessage], profiles: Path) -> None:
        self.about = about
        self.messages = messages
        self.profiles = profiles
        self.questions = Questions()
        self.sniffed: Sniffed = sniff(messages)
        self.topics: Topics = self._topics()
        self.read = self._messages()
        self.lines: list[str] = []
        self.behind = False
        # What a draft of documents or bytes extends; all others are read only where they must be.
        self.bases = [profiles / "kinds", profiles / "families"]

    def draft(self) -> Draft:
        """The whole text; its cases say what it gives now."""
        if self.sniffed.format == "binary":
            self.own_bytes()
        else:
            base = None
            if self.sniffed.format not in _PLAIN:
                base = best_reader(self.sniffed, self.messages, self.profiles)
            if base is not None:
                self.extended(base)
            else:
                self.documents()
        body = "\n".join(self.lines) + "\n"
        cases, decided = self.cases(body)
        text = body + "\n".join(cases) + "\n" if cases else body
        asked = [f"#  {i}. {question}" for i, question in enumerate(self.questions.asked, 1)]
        opening = [MODELINE.format(schema="profile.schema.json")]
        if asked:
            opening += ["# Open questions; delete each, and its mark, when it is answered:", *asked]
        return Draft("\n".join(opening) + f"\n{text}", self.questions.asked, decided)

    # -- what the messages are

    def _topics(self) -> Topics:
        identities: dict[str, set[str]] = {}
        for i, message in enumerate(self.messages):
            document = self.sniffed.documents.get(i)
            found = fields_of([(0, 0, document)]) if isinstance(document, dict) else []
            told = {str(f.values[0]) for f in found if identity_words(f) is not None}
            if self.sniffed.lorawan:
                told |= {part for part in message.topic.split("/") if len(part) == 16}
            known = identities.setdefault(message.topic, told)
            known &= told
        told_by_fields: dict[str, set[str]] = {m.topic: set() for m in self.messages}
        for i, document in self.sniffed.documents.items():
            who = None if self.sniffed.lorawan else _identity(document)
            if who is not None:
                told_by_fields[self.messages[i].topic].add(who)
        # One topic for several devices: then no level of it is the device.
        several = any(len(who) > 1 for who in told_by_fields.values())
        return patterns_of(list(identities), identities, no_device=several)

    def _messages(self) -> list[Message]:
        owners: dict[str, int] = {}
        found = []
        for i, document in self.sniffed.documents.items():
            message = self.messages[i]
            levels = self.topics.levels.get(message.topic, {})
            owner = levels.get("device_id") if self.topics.device else _identity(document)
            number = owners.setdefault(owner or "", len(owners))
            found.append(Message(i, number, message.received_at, document, levels))
        return found

    # -- a document format

    def documents(self) -> None:
        """A profile that reads the documents by their paths."""
        groups = groups_of(self.read, by_level=self.topics.sort)
        below = self.sniffed.below
        fields = [each for group in groups for scope in scopes_of(group, below)
                  for each in scope.fields]  # fmt: skip
        kind, why = self._kind(fields)
        common = Common(kind, self.questions, self.topics.device)
        self.behind = self.topics.device and self._all_name_devices(groups, kind)
        self.head(kind, why, [f"kinds/{kind.replace('_', '-')}"])
        self.currency(fields)
        self.decode()
        blocks: list[list[str]] = []
        ignored: list[Group] = []
        for group in groups:
            tried = [Block(scope, group, common) for scope in scopes_of(group, below)]
            written = [lines for lines in (block.write() for block in tried) if lines]
            blocks += written
            if not written and group.when:
                ignored.append(group)
            elif not written:
                for block in tried:
                    block.note_all()
        self.blocks(kind, blocks)
        if ignored:
            number = self.questions.ask(
                "These messages carry no quantity that is known: is it right to leave them out?"
            )
            self.lines.append(f"ignore:{mark(number)}")
            self.lines += [f"  - when: {flow(group.when)}" for group in ignored]
        self.lines += unread_lines(common.unread)

    def _all_name_devices(self, groups: Sequence[Group], kind: str) -> bool:
        """Whether every block names its devices, by a trial that asks nothing."""
        trial = Common(kind, Questions(), self.topics.device)
        for group in groups:
            for scope in scopes_of(group, self.sniffed.below):
                Block(scope, group, trial).write()
        return bool(trial.own_devices) and all(trial.own_devices)

    def currency(self, fields: Sequence[Field]) -> None:
        """The currency, where all messages tell the same."""
        told = [each for each in fields if each.name.lower() in {"currency", "cur", "ccy"}]
        codes = {value for each in told for value in each.values}
        if len(codes) == 1 and re.fullmatch("[A-Z]{3}", str(next(iter(codes)))):
            self.lines.append(f"currency: {codes.pop()}")

    def blocks(self, kind: str, blocks: Sequence[Sequence[str]]) -> None:
        """``read``: one block, or a list of them."""
        if not blocks:
            self.nothing_found(kind)
        elif len(blocks) == 1:
            self.lines += ["read:", *as_single(blocks[0])]
        else:
            self.lines += ["read:", *(line for block in blocks for line in as_list_item(block))]

    def nothing_found(self, kind: str) -> None:
        name = next(iter(BY_NAME[kind]))
        number = self.questions.ask(
            f"No field looks like a quantity of a {kind}. Which one is it? Write it below 'read', "
            f"as in '{name}: {{from: path.to.it, unit: {BY_NAME[kind][name].unit}}}'."
        )
        self.lines.append(f"read: {{}}{mark(number)}")

    def _kind(self, fields: Sequence[Field]) -> tuple[str, str]:
        if self.about.kind is not None:
            return self.about.kind, ""
        return kind_of(fields, list({message.topic for message in self.messages}))

    # -- a format of the catalogue

    def extended(self, base: Profile) -> None:
        """A profile that lays its own topic over one of the catalogue."""
        self.bases = [self.profiles]
        self.behind = all(block.device_id is not None for block in base.model.read)
        self.head(base.kind, "", [base.name])
        said = {key: value for key, value in self.sniffed.decode.items() if key == "envelope"}
        if said:
            self.lines += entry("decode", said, 0)

    # -- bytes of the maker's own

    def own_bytes(self) -> None:
        """A profile with a layout of what can be told of the bytes."""
        topics = [message.topic for message in self.messages]
        kind, why = self.about.kind, ""
        if kind is None:
            models = layout.models_of([message.payload for message in self.messages])
            kind, words = kind_of([], [*topics, *models])
            if words == "nothing":
                kind = "water_meter"
            why = f"{words}: bytes tell no kind"
        bases = [f"kinds/{kind.replace('_', '-')}"]
        if self.sniffed.lorawan:
            bases.append("families/lorawan")
        self.head(kind, why, bases)
        payloads = [
            layout.Payload(
                self.sniffed.inner[i],
                self.messages[i].received_at,
                self.messages[i].topic,
                layout.port_of(self.messages[i].payload) if self.sniffed.lorawan else None,
            )
            for i in self.sniffed.inner
        ]
        self.lines += layout.write(payloads, self.sniffed.decode, kind, self.questions)

    # -- head

    def head(self, kind: str, why: str, bases: list[str]) -> None:
        """Name, version, bases, title, instrument, topics."""
        maker, model = self.about.vendor or "ACME", self.about.model or self.about.name
        title = f"{maker} {model}"
        asked = []
        if why:
            asked.append(self.questions.ask(f"Is the kind {kind}? It is a guess by {why}."))
        extends = bases[0] if len(bases) == 1 else bases
        self.lines += [
            f"profile: {self.about.name}",
            "version: 1.0.0",
            f"extends: {flow(extends)}{mark(*asked)}",
            f"title: {{en: {quoted(title)}, zh: {quoted(title)}}}",
            f"instrument: {{vendor: {quoted(maker)}, model: {quoted(model)}}}",
        ]
        self.match()

    def match(self) -> None:
        said: dict[str, Any] = {}
        if not self._family_topics():
            patterns = [self._pattern(pattern) for pattern in self.topics.patterns]
            said["topic"] = patterns[0] if len(patterns) == 1 else patterns
        if self.sniffed.lorawan:
            models = sorted(layout.models_of([message.payload for message in self.messages]))
            if models:
                said["when"] = {"envelope.model": models if len(models) > 1 else models[0]}
        asked = []
        if not self.topics.device and not self._identified():
            asked = [
                self.questions.ask(
                    "Which level of the topic, or which field, identifies the device? Write "
                    "{device_id} in its place, or 'device_id: {from: field}' in each block."
                )
            ]
        elif self.topics.device and not (self.topics.sure or self.behind) and "topic" in said:
            question = "Only one topic was seen: is {device_id} the level that differs?"
            asked = [self.questions.ask(question)]
        if said:
            self.lines += entry("match", said, 0, mark(*asked))

    def _pattern(self, pattern: str) -> str:
        """The topic; where messages name their devices themselves, its level is of a gateway."""
        return pattern.replace("{device_id}", "{gateway}") if self.behind else pattern

    def _family_topics(self) -> bool:
        """Whether the topics are those of the LoRaWAN family's base."""
        family = ("application/{a}/device/{b}/event/up", "v3/{a}/devices/{b}/up")
        patterns = [topic_pattern(topic) for topic in family]
        topics = {message.topic for message in self.messages}
        return self.sniffed.format == "binary" and self.sniffed.lorawan and all(
            any(pattern.fullmatch(topic) for pattern in patterns) for topic in topics
        )  # fmt: skip

    def _identified(self) -> bool:
        return any(_identity(message.document) is not None for message in self.read)

    def decode(self) -> None:
        if self.sniffed.decode:
            self.lines += entry("decode", self.sniffed.decode, 0)
        if self.sniffed.below:
            self.questions.ask(
                "The values are those that the network server's own codec decoded, below "
                f"{'.'.join(self.sniffed.below)}. Is that codec yours to keep? If not, read the "
                "bytes: 'decode: {format: binary, envelope: lorawan, ...}'."
            )

    # -- cases

    def cases(self, body: str) -> tuple[list[str], Counter[str]]:
        """Messages of each sort as cases, with what the draft makes of them."""
        decided: Counter[str] = Counter()
        try:
            profile = load_text(self.about.name, body, self.bases)
        except ProfileError as error:
            self.questions.ask(
                "The profile cannot be loaded yet, so it has no cases: "
                + "; ".join(_short(line) for line in str(error).splitlines()[:3])
            )
            return [], decided
        shown: dict[tuple[Any, ...], tuple[RawMessage, list[str]]] = {}
        for message in self.messages:
            outcome, lines, signature = _outcome(profile, message)
            decided[outcome] += 1
            shown.setdefault(signature, (message, lines))
        lines = []
        ignored = shown.pop(_IGNORED, None)
        chosen = [*list(shown.values())[:_CASES], *([ignored] if ignored else [])]
        for message, outcome_lines in chosen:
            lines += [f"  - topic: {quoted(message.topic)}"]
            if message.received_at != UNTOLD:
                lines += [f"    received_at: {rfc3339(message.received_at)}"]
            lines += [self._payload(message), *outcome_lines]
        if lines:
            self.questions.ask(
                "The cases say what the draft gives now: compare each number with the instrument's "
                "display or its manual."
            )
        return ["tests:", *lines] if lines else [], decided

    def _payload(self, message: RawMessage) -> str:
        try:
            text = message.payload.decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        if all(sign.isprintable() or sign in "\r\n\t" for sign in text):
            return f"    payload: {quoted(text) if text.isprintable() else _escaped(text)}"
        return f"    payload_hex: {quoted(message.payload.hex())}"


def _escaped(text: str) -> str:
    """A text of several lines as a YAML scalar in double quotation marks."""
    signs = {"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(signs.get(sign, sign) for sign in text) + '"'


def _short(line: str) -> str:
    """A fault without the name of the temporary file."""
    return line.rpartition(".yaml:")[2]


def _identity(document: Any) -> str | None:  # noqa: ANN401 - any document
    """Who a document says that it is of."""
    fields = fields_of([(0, 0, document)]) if isinstance(document, dict) else []
    ranked = [(rank, f) for f in fields if (rank := identity_words(f)) is not None]
    return str(min(ranked, key=lambda pair: pair[0])[1].values[0]) if ranked else None


def best_reader(sniffed: Sniffed, messages: Sequence[RawMessage], profiles: Path) -> Profile | None:
    """The packaged profile of this format that reads the most quantities of the payloads."""
    found = load_profiles([profiles])
    best: tuple[int, str] | None = None
    wanted = {key: value for key, value in sniffed.decode.items() if key != "envelope"}
    for name, profile in found.profiles.items():
        settings = profile.model.decode
        if any(getattr(settings, key, None) != value for key, value in wanted.items()):
            continue
        if settings.envelope is not None:
            continue
        plan = Decider(ProfileSet({name: profile}, found.bases), {}, {}).plans[0]
        values = sum(_values(plan, messages[i], raw) for i, raw in sniffed.inner.items())
        if values and (best is None or (values, name) > best):
            best = values, name
    return found.profiles[best[1]] if best is not None else None


def _values(plan: Plan, message: RawMessage, payload: bytes) -> int:
    """How many values a profile reads in a payload."""
    levels = dict.fromkeys(topic_levels(plan.profile.model), "x")
    out: list[Any] = []
    try:
        if plan.documents is None:
            return 0
        context = Context(message.topic, message.received_at, levels)
        document = plan.documents(payload, context)
        if document is None or not plan.normaliser.accepts(document):
            return 0
        plan.read(document, levels, message.received_at, 0, out)
    except DecodeError:
        return 0
    return sum(len(reading.quantities) for _, reading in out)


def load_text(name: str, text: str, bases: Sequence[Path]) -> ProfileSet:
    """The profile of a text, over the profiles of these directories.

    Raises:
        ProfileError: every fault of the text.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        return load_profiles([file], bases=bases)


def _outcome(profile: ProfileSet, message: RawMessage) -> tuple[str, list[str], tuple[Any, ...]]:
    """What the draft makes of a message: in a word, as a case says it, and what sort it is of."""
    decided = Decided()
    batch = Batch([message.topic], [message.payload], [message.received_at], 0)
    Decider(profile, {}, {}, registry_known=False).decide(batch, decided)
    if decided.counters.ignored:
        return "ignored", ["    expect: []"], _IGNORED
    if decided.quarantined:
        refused: Quarantined = decided.quarantined[0]
        why = f"{refused.reason}: {refused.detail}"
        return why, [f"    quarantine: {refused.reason}"], (refused.reason,)
    lines = ["    expect:", *(f"      - {_expected(r)}" for r in decided.readings)]
    signature = tuple(
        (r.event, r.names, tuple(r.quantities), r.status) for r in decided.readings[:8]
    )
    return "read", lines, signature


def _expected(reading: Reading) -> str:
    """A reading as a case says it: numbers with their unit."""
    said: dict[str, Any] = {"device_id": reading.device_id}
    if reading.event != "periodic":
        said["event"] = reading.event
    if reading.channel is not None:
        said["channel"] = reading.channel
    if reading.quality != "questionable":
        said["measured_at"] = rfc3339(reading.measured_at)
    if reading.sequence is not None:
        said["sequence"] = reading.sequence
    if reading.status:
        said["status"] = list(reading.status)
    for name, value in reading.quantities.items():
        known = BY_NAME[reading.kind][name]
        if known.type == "time":
            said[name] = rfc3339(int(str(value)))
        elif known.type == "number" and known.unit != "1":
            said[name] = f"{_number(value)} {known.unit}"
        else:
            said[name] = value
    return flow(said)


def _number(value: Any) -> str:  # noqa: ANN401 - a reading's value
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
