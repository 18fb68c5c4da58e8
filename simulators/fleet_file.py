"""A fleet described in one YAML file: how many of what, where, who cheats, and what goes wrong.

Read with positions, checked by pydantic models and then against the catalogue of instruments, and
turned into an ``Order``.  All faults are told at once, each with file, line, column and key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from simulators.catalogue import KINDS
from simulators.clock import parse_duration, parse_time
from simulators.fleet import FIRST_OF_SITES, Choice, Group, Order
from simulators.fleet_yaml import Places
from simulators.line import NO_TROUBLES, Troubles
from simulators.options import when_cheats_begin
from simulators.protocols.catalogue import PROTOCOLS, shows

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from simulators.fleet_yaml import Key
    from simulators.options import Where
    from simulators.texts import Texts

MOST_DEVICES: Final = 1_000_000
_DEFAULT: Final = Troubles()


class FleetFaults(ValueError):
    """What is wrong with a fleet's file, one fault a line."""


def _custom(key: str, **facts: object) -> PydanticCustomError:
    """A fault whose words stand in the catalogue of texts under ``fleet.fault.KEY``."""
    return PydanticCustomError("fleet", "{key}", {"key": key, **facts})


def _parsed(key: str, parse: Callable[[str], int]) -> BeforeValidator:
    def read(given: object) -> int:
        if isinstance(given, (str, int, float)) and not isinstance(given, bool):
            try:
                return parse(str(given))
            except ValueError:
                pass
        raise _custom(key, got=str(given))

    return BeforeValidator(read)


def _region(given: object) -> str:
    text = str(given)
    if isinstance(given, bool) or not re.fullmatch(r"[0-9]{6}", text, re.ASCII):
        raise _custom("region", got=text)
    return text


def _cheat(given: object) -> object:
    """A number alone is a share."""
    alone = isinstance(given, (int, float)) and not isinstance(given, bool)
    return {"share": given} if alone else {} if given is None else given


def _troubles(given: object) -> object:
    """``true`` are the usual rates, ``false`` none."""
    if given is False:
        return dict.fromkeys(TroublesOf.model_fields, 0.0)
    return {} if given is True else given


Duration = Annotated[int, _parsed("duration", parse_duration)]
Moment = Annotated[int, _parsed("time", parse_time)]
Region = Annotated[str, BeforeValidator(_region)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MOST_DEVICES)]
Rate = Annotated[float, Field(ge=0, le=24)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TroublesOf(_Part):
    """Honest troubles: shares of messages, and counts a device and day."""

    duplicate: Share = _DEFAULT.duplicate
    late: Share = _DEFAULT.late
    restarts: Rate = _DEFAULT.restarts
    outages: Rate = _DEFAULT.outages


class CheatOf(_Part):
    """How many devices do it, as a share or as an exact count, and from when on."""

    share: Share | None = None
    count: Count | None = None
    after: Duration | None = None
    at: Moment | None = None


Cheats = dict[str, Annotated[CheatOf, BeforeValidator(_cheat)]]
TroublesOrNot = Annotated[TroublesOf, BeforeValidator(_troubles)]


class GroupOf(_Part):
    """Devices of one kind: so many, or so many whole sites of them."""

    kind: Name
    count: Count | None = None
    sites: Count | None = None
    region: Region | None = None
    interval: Duration | None = None
    vendor: Name = "Reference"
    models: dict[Name, Share] = Field(default_factory=dict)
    protocols: dict[Name, Share] = Field(default_factory=dict)
    cheats: Cheats = Field(default_factory=dict)
    troubles: TroublesOrNot | None = None

    @property
    def devices(self) -> int:
        """How many devices; sites of an unknown kind count as one each."""
        size = KINDS[self.kind].group if self.kind in KINDS else 1
        return -(-self.count // size) * size if self.count is not None else (self.sites or 0) * size


class FleetOf(_Part):
    """The whole file."""

    fleet: Name | None = None
    seed: int = 1
    start: Moment | None = None
    duration: Duration | None = None
    region: Region = "110000"
    interval: Duration | None = None
    cheats_after: Duration | None = None
    cheats_spread: Duration | None = None
    troubles: TroublesOrNot | None = None
    devices: Annotated[list[GroupOf], Field(min_length=1, max_length=10_000)]


_MODELS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    (r"", FleetOf),
    (r"(?:devices\.\d+\.)?troubles", TroublesOf),
    (r"devices\.\d+", GroupOf),
    (r"devices\.\d+\.cheats\.[^.]+", CheatOf),
)
"""Which keys a place of the file may have."""

_EXPECTED: Final = (
    ("missing", "missing"),
    ("int", "whole"),
    ("float", "number"),
    ("string", "text"),
    ("dict", "mapping"),
    ("model", "mapping"),
    ("list", "list"),
    ("too_short", "empty"),
    ("greater_than", "low"),
    ("less_than", "high"),
)
"""The key of the words for a fault of pydantic, by how its type begins."""


def read_fleet(file: str, say: Texts) -> FleetPlan:
    """Reads and checks a fleet's file.

    Args:
        file: the YAML file.
        say: the language of faults.

    Raises:
        FleetFaults: everything that is wrong.
        OSError: the file can't be read.
    """
    try:
        places = Places(file)
    except ValueError as fault:
        raise FleetFaults(str(fault)) from None
    try:
        found = FleetOf.model_validate(places.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise _all(_described(places, each, say) for each in details) from None
    plan = FleetPlan(places, found, say)
    if plan.faults:
        raise _all(plan.faults)
    return plan


Placed = tuple[tuple[int, int], str]
"""Line and column of a fault, and its words with them."""


def _all(faults: Iterable[Placed]) -> FleetFaults:
    return FleetFaults("\n".join(said for _, said in sorted(faults)))


def _described(places: Places, detail: ErrorDetails, say: Texts) -> Placed:
    key: Key = tuple(part for part in detail["loc"] if part != "[key]")
    kind, facts = detail["type"], dict(detail.get("ctx") or {})
    got = detail["input"]
    if kind == "fleet":
        said = say(f"fleet.fault.{facts.pop('key')}", **facts)
    elif kind == "extra_forbidden":
        said = say("fleet.fault.unknown_key", got=key[-1]) + _hint(key[-1], _keys(key[:-1]), say)
    else:
        word = next((word for begins, word in _EXPECTED if kind.startswith(begins)), "other")
        limit = facts.get("ge", facts.get("le", ""))
        got = type(got).__name__ if isinstance(got, (dict, list)) else got
        said = say(f"fleet.fault.{word}", got=got, limit=limit, rule=detail["msg"])
    return places.say(key, said)


def _keys(key: Key) -> list[str]:
    path = ".".join(str(part) for part in key)
    for pattern, model in _MODELS:
        if re.fullmatch(pattern, path):
            return list(model.model_fields)
    return []


def _hint(got: object, known: list[str], say: Texts) -> str:
    near = difflib.get_close_matches(str(got), known, 1)
    if near:
        return say("fleet.fault.meant", near=near[0])
    return say("fleet.fault.choices", known=", ".join(known)) if known else ""


class FleetPlan:
    """A fleet's file that was read, and what does not fit the catalogue in it.

    Attributes:
        faults: of names and sums, each with its place.
        file: what stands in the file.
    """

    def __init__(self, places: Places, file: FleetOf, say: Texts) -> None:
        self.faults: list[Placed] = []
        self.file = file
        self._places = places
        self._say = say
        for number, group in enumerate(file.devices):
            self._check(("devices", number), group)
        forced = any(
            name in PROTOCOLS and PROTOCOLS[name].identity
            for group in file.devices
            for name in group.protocols
        )
        most = FIRST_OF_SITES if forced else MOST_DEVICES
        if sum(group.devices for group in file.devices) > most:
            self._fault(("devices",), "too_many_devices", limit=most)

    def order(
        self,
        where: Where,
        now: int,
        *,
        seed: int | None = None,
        span: int = 0,
        start: int | None = None,
    ) -> Order:
        """The order that the file stands for.

        Args:
            where: where the run goes to, which decides when it may begin.
            now: the wall clock, ms.
            seed: in place of the file's.
            span: in place of the file's duration, ms; 0 takes that.
            start: in place of the file's, ms.

        Raises:
            Refused: a run towards a broker would start in the future.
        """
        file = self.file
        asked = file.start if start is None else start
        start, until = where.span(span or file.duration or 0, asked, now)
        after, spread = when_cheats_begin(start, until, file.cheats_after, file.cheats_spread)
        groups = tuple(self._group(group, start) for group in file.devices)
        return Order(
            kinds=tuple(dict.fromkeys(group.kind for group in groups)),
            devices=sum(group.devices for group in groups),
            seed=file.seed if seed is None else seed,
            start=start,
            until=until,
            cheats_from=start + after,
            cheats_spread=spread,
            region=file.region,
            interval=file.interval,
            lag=where.lag(start, now),
            choices=tuple(choice for group in groups for choice in group.choices),
            troubles=_troubles_of(file.troubles) or Troubles(),
            groups=groups,
        )

    def _group(self, group: GroupOf, start: int) -> Group:
        return Group(
            kind=group.kind,
            devices=group.devices,
            region=group.region or self.file.region,
            interval=group.interval,
            choices=_choices(group, start),
            troubles=_troubles_of(group.troubles),
            vendor=group.vendor,
            models=tuple(group.models.items()),
            protocols=tuple(group.protocols.items()),
        )

    def _fault(self, key: Key, name: str, **facts: object) -> None:
        self.faults.append(self._places.say(key, self._say(f"fleet.fault.{name}", **facts)))

    def _check(self, key: Key, group: GroupOf) -> None:
        if group.kind not in KINDS:
            self._unknown((*key, "kind"), "kind", group.kind, list(KINDS))
            return
        if (group.count is None) == (group.sites is None):
            self._fault(key, "count_or_sites")
        speaks = spoken_by(group.kind)
        for name in group.protocols:
            if name not in speaks:
                self._unknown((*key, "protocols", name), "protocol", name, speaks)
        for what in ("protocols", "models"):
            shares = getattr(group, what)
            if shares and not sum(shares.values()) > 0:
                self._fault((*key, what), "no_share")
        self._check_cheats((*key, "cheats"), group)

    def _check_cheats(self, key: Key, group: GroupOf) -> None:
        known = KINDS[group.kind].cheats
        for name, cheat in group.cheats.items():
            if name not in known and name not in _SORTS:
                self._unknown((*key, name), "cheat", name, [*known, *_SORTS])
                continue
            if cheat.share is not None and cheat.count is not None:
                self._fault((*key, name), "share_and_count")
            if cheat.after is not None and cheat.at is not None:
                self._fault((*key, name), "after_and_at")
            if name in known and not _seen(group, known[name].code):
                self._fault((*key, name), "unseen", cheat=name, code=known[name].code)
        if _named_share(group) > 1 + 1e-9:
            self._fault(key, "too_many_cheats", devices=group.devices)

    def _unknown(self, key: Key, what: str, got: str, known: list[str]) -> None:
        named = self._say(f"fleet.fault.unknown_{what}", got=got)
        self.faults.append(self._places.say(key, named + _hint(got, known, self._say)))


def spoken_by(kind: str) -> list[str]:
    """The protocols that instruments of a kind can speak."""
    registered = KINDS[kind].registered_as or kind
    return [name for name, each in PROTOCOLS.items() if registered in each.profiles]


_USUAL_SHARE: Final = 0.1
_SORTS: Final = ("all", "honest")
"""Every cheat and fault that is not named itself, and every honest trouble."""


def _seen(group: GroupOf, code: str | None) -> bool:
    """Whether one of the group's protocols could show it: the truth would else be unfair."""
    speak = [PROTOCOLS[each] for each in group.protocols or ("json",) if each in PROTOCOLS]
    return code is None or not speak or any(shows(each, code) for each in speak)


def _share(cheat: CheatOf) -> float:
    if cheat.count is not None:
        return 0.0
    return _USUAL_SHARE if cheat.share is None else cheat.share


def _named_share(group: GroupOf) -> float:
    """Which part of the group the cheats take that are named one by one."""
    named = [cheat for name, cheat in group.cheats.items() if name not in _SORTS]
    count = sum(cheat.count or 0 for cheat in named)
    return sum(map(_share, named)) + count / max(1, group.devices)


def _choices(group: GroupOf, start: int) -> tuple[Choice, ...]:
    """The cheats by name; the shares of ``all`` and ``honest`` shrink to what is left."""
    asked = {name: cheat for name, cheat in group.cheats.items() if name not in _SORTS}
    rest: dict[str, CheatOf] = {}
    for name, made in KINDS[group.kind].cheats.items():
        sort = group.cheats.get("all" if made.code else "honest")
        if sort is not None and name not in asked and _seen(group, made.code):
            rest[name] = sort
    whole = sum(map(_share, rest.values()))
    fit = min(1.0, max(0.0, 1 - _named_share(group)) / whole) if whole else 1.0
    return tuple(
        Choice(
            group.kind,
            name,
            _share(cheat) * (1.0 if name in asked else fit),
            cheat.count,
            cheat.at if cheat.after is None else start + cheat.after,
        )
        for name, cheat in (asked | rest).items()
    )


def _troubles_of(given: TroublesOf | None) -> Troubles | None:
    if given is None:
        return None
    made = Troubles(given.duplicate, given.late, given.restarts, given.outages)
    return NO_TROUBLES if made == NO_TROUBLES else made
