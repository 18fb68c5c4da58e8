"""Loading profiles: files to models, inheritance, and every fault at once.

A directory is read whole.  ``kinds/*.yaml`` and ``families/*.yaml`` are the base profiles (named
``kinds/<file>``, ``families/<file>``); any other file is a profile named as the file.  A profile is
its bases with its own keys laid over them: mappings merge key by key, everything else replaces.

A file ``NAME@VERSION.yaml`` keeps an older version of a profile alive beside the present one while
a fleet is upgraded: it reads only devices whose registry entry names ``NAME@VERSION``, or, where it
says when it is ``valid``, all messages received then.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.errors import ProfileError
from gateway.profiles.explain import explain, hint
from gateway.profiles.formats import Ts013
from gateway.profiles.meaning import check_meaning
from gateway.profiles.models import ProfileModel
from gateway.profiles.source import Fault, Key, Source

_ROUNDS: Final = 4
_BASES: Final = ("kinds", "families")
CASE_FOLDER: Final = ".tests"
"""End of the name of a folder that holds a profile's cases: no profiles stand in it."""
_NOT_INHERITED: Final = ("profile", "abstract", "tests", "extends", "caveats", "title")
# What stands in for a faulty part that a profile must have, so that the rest can be looked at.
_STAND_INS: Final[dict[Key, Any]] = {
    ("version",): "0.0.0",
    ("title",): {"en": "", "zh": ""},
    ("match",): {"topic": "{device_id}"},
}


@dataclass(frozen=True, slots=True)
class Profile:
    """A loaded profile.

    Attributes:
        name: what the registry calls it: the profile's name, or ``name@version`` of a file that
            keeps an older version.
        digest: SHA-256 of its content after inheritance, with the codec it names.
    """

    name: str
    model: ProfileModel
    file: Path
    digest: str

    @property
    def id(self) -> str:
        """What readings carry: ``name@version``."""
        return f"{self.model.profile}@{self.model.version}"

    @property
    def pinned(self) -> bool:
        """Whether only devices that the registry pins to this version are read by it."""
        return "@" in self.name and self.model.valid is None

    def answers_to(self, name: str) -> bool:
        """Whether a registry that names this profile of a device means this one.

        Versions that share a name and part their messages by ``valid`` all are meant by it.
        """
        own = self.model.profile if self.model.valid is not None else self.name
        return name in (self.name, own)

    def located(self, faults: str) -> str:
        """Faults of later stages (``FILE: key.path: message``) with the line of their key."""
        source = Source(self.file)
        return "\n".join(_located(source, line) for line in faults.splitlines())

    @property
    def kind(self) -> str:
        """The instrument kind of :mod:`gateway.quantities`."""
        return str(self.model.kind)


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """Profiles by name; ``bases`` are the abstract ones, which match no message."""

    profiles: dict[str, Profile]
    bases: dict[str, Profile] = field(default_factory=dict)


def load_profiles(directories: Sequence[Path], bases: Sequence[Path] = ()) -> ProfileSet:
    """Loads every profile below the directories.

    Args:
        directories: where the profiles are; a file is a profile of its own.
        bases: directories whose profiles can be extended, but are not in the set themselves; one
            of the same name in ``directories`` comes first.

    Raises:
        ProfileError: one or more files are wrong; the message has one line a fault, each with
            file, line, column, key path, the rule and what was got.
    """
    own, faults = _read(directories)
    sources = _Sources(own, [base for base in bases if base not in directories])
    found = ProfileSet({})
    for name, source in own.items():
        if source.faults:
            continue
        chain = _chain(name, sources, faults)
        if chain is None:
            continue
        if _is_family(chain, sources):
            continue  # a family is judged in the profiles that extend it
        data = _merged([sources[link].data for link in chain])
        model = _validate(data, [sources[link] for link in chain], faults)
        if model is None:
            continue
        codec = _codec(model, source, faults)
        digest = hashlib.sha256(_canonical(data).encode() + codec).hexdigest()
        profile = Profile(name, model, source.file, digest)
        (found.bases if model.abstract else found.profiles)[name] = profile
    if faults:
        faults.sort(key=lambda fault: (str(fault.file), fault.line, fault.column))
        raise ProfileError("\n".join(dict.fromkeys(str(fault) for fault in faults)))
    return found


class _Sources(Mapping[str, Source]):
    """The files to load, and those below them, which are read when one is extended."""

    def __init__(self, own: Mapping[str, Source], bases: Sequence[Path]) -> None:
        self._read = dict(own)
        self._files = {_name_of(file): file for base in bases for file in _files(base)}

    def __getitem__(self, name: str) -> Source:
        if name not in self._read:
            self._read[name] = Source(self._files[name])
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._read or name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter({**self._read, **self._files})

    def __len__(self) -> int:
        return len({**self._read, **self._files})


def _files(directory: Path) -> list[Path]:
    if directory.is_file():
        return [directory]
    files = sorted(directory.rglob("*.y*ml"))
    return [file for file in files if not _no_profile(file.relative_to(directory))]


def _read(directories: Sequence[Path]) -> tuple[dict[str, Source], list[Fault]]:
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    seen: set[Path] = set()
    for directory in directories:
        if not directory.exists():
            faults.append(Fault(directory, 0, 0, (), "no such file or directory"))
            continue
        for file in _files(directory):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                _take(Source(file), sources, faults)
    return sources, faults


def _name_of(file: Path) -> str:
    folder = file.parent.name
    return f"{folder}/{file.stem}" if folder in _BASES else file.stem


def _located(source: Source, fault: str) -> str:
    prefix = f"{source.file}: "
    key, _, message = fault.removeprefix(prefix).partition(": ")
    if not fault.startswith(prefix) or not message:
        return fault
    return str(source.fault(tuple(key.split(".")), message))


def _no_profile(file: Path) -> bool:
    """Whether the file stands in a folder of something else."""
    return any(part == "reference" or part.endswith(CASE_FOLDER) for part in file.parts[:-1])


def _take(source: Source, sources: dict[str, Source], faults: list[Fault]) -> None:
    file = source.file
    faults += source.faults
    if file.suffix != ".yaml":
        faults.append(source.fault((), "a profile's file ends in .yaml: rename it"))
    name = _name_of(file)
    if name in sources:
        faults.append(source.fault((), f"profile {name!r} stands already in {sources[name].file}"))
        return
    said = source.data.get("profile")
    own, _, version = name.partition("@")
    if not source.faults and said != own:
        faults.append(source.fault(("profile",), f"must be the file's name {own!r}, got {said!r}"))
        source.data["profile"] = own
    if version and not source.faults and source.data.get("version") != version:
        got = source.data.get("version")
        faults.append(
            source.fault(("version",), f"must be the file's version {version!r}, got {got!r}")
        )
    sources[name] = source


def _chain(name: str, sources: Mapping[str, Source], faults: list[Fault]) -> list[str] | None:
    """The profile after all its bases, each once; None after a fault."""
    chain: list[str] = []
    return chain if _lay(name, [], chain, sources, faults) else None


def _lay(
    name: str,
    above: list[str],
    chain: list[str],
    sources: Mapping[str, Source],
    faults: list[Fault],
) -> bool:
    """Adds a profile to the chain behind its bases; False after a fault."""
    source = sources[name]
    if source.faults:
        return False
    said = source.data.get("extends")
    bases = said if isinstance(said, list) else [] if said is None else [said]
    for base in bases:
        if not isinstance(base, str):
            faults.append(source.fault(("extends",), f"expected a profile's name, got {base!r}"))
            return False
        if base in (*above, name):
            circle = " -> ".join([base, *_tail([*above, name], base)])
            faults.append(source.fault(("extends",), f"circle: {circle}"))
            return False
        if base not in sources:
            choices = [n for n in sources if n.startswith(tuple(f"{b}/" for b in _BASES))]
            way = hint(base, choices) or " in the files given nor among the gateway's own"
            faults.append(source.fault(("extends",), f"no profile {base!r}{way}"))
            return False
        if base not in chain and not _lay(base, [*above, name], chain, sources, faults):
            return False
    chain.append(name)
    return True


def _tail(names: list[str], start: str) -> list[str]:
    """From the name before ``start`` is met again, backwards: who extends whom."""
    return list(reversed(names[names.index(start) :]))


def _is_family(chain: Sequence[str], sources: Mapping[str, Source]) -> bool:
    """Whether it is a base without a kind of its own, which cannot stand alone."""
    said = [sources[link].data for link in chain]
    return bool(said[-1].get("abstract")) and not any("kind" in data for data in said)


def _codec(model: ProfileModel, source: Source, faults: list[Fault]) -> bytes:
    """The content of the codec that stands beside the profile; empty where there is none."""
    if not isinstance(model.decode, Ts013):
        return b""
    file = source.file.parent / model.decode.codec
    if not file.resolve().is_relative_to(source.file.parent.resolve()):
        faults.append(source.fault(("decode", "codec"), "the codec must stand beside the profile"))
        return b""
    try:
        return file.read_bytes()
    except OSError as error:
        faults.append(source.fault(("decode", "codec"), f"cannot be read: {error.strerror}"))
        return b""


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for i, layer in enumerate(layers):
        last = i == len(layers) - 1
        own = {k: v for k, v in layer.items() if last or k not in _NOT_INHERITED}
        result = _overlay(result, own)
    return result


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = _overlay(below, value)
        else:
            merged[key] = value
    return merged


def _canonical(data: object) -> str:
    """One text for one content, whatever the order of keys (which may be of several types)."""
    if isinstance(data, dict):
        items = sorted((_canonical(key), _canonical(value)) for key, value in data.items())
        return "{" + ",".join(f"{key}:{value}" for key, value in items) + "}"
    if isinstance(data, list):
        return "[" + ",".join(map(_canonical, data)) + "]"
    return json.dumps(data)


def _validate(
    data: dict[str, Any], sources: Sequence[Source], faults: list[Fault]
) -> ProfileModel | None:
    wrong: dict[tuple[Key, str], None] = {}
    pruned: list[Key] = []
    model = _well_formed(data, wrong, pruned)
    if model is not None:
        for key, message in check_meaning(model):
            place = key_of(key, data)
            # What was taken out above is not missed here a second time.
            if not any(place == gone[: len(place)] for gone in pruned):
                wrong[place, message] = None
    faults += [_at(key, sources, message) for key, message in wrong]
    return None if wrong else model


def _well_formed(
    data: dict[str, Any], wrong: dict[tuple[Key, str], None], pruned: list[Key]
) -> ProfileModel | None:
    """The model of what is well-formed; the rest is taken out, and its faults go to ``wrong``.

    So the meaning of the sound parts is checked in the same run.
    """
    remaining = copy.deepcopy(data)
    laid_out = False
    for _ in range(_ROUNDS):
        try:
            return ProfileModel.model_validate(remaining)
        except ValidationError as error:
            found = [(key_of(e["loc"], remaining), e) for e in error.errors(include_url=False)]
        # A layout tells all its faults at once: what it lacks afterwards was taken out here.
        told = [(key, e) for key, e in found if e["type"] != "layout" or not laid_out]
        laid_out = laid_out or any(e["type"] == "layout" for _, e in found)
        for key, message in explain(told, data):
            if not any(key == gone[: len(key)] for gone in pruned):
                wrong[key, message] = None
        before = len(pruned)
        deepest_first = sorted({key for key, _ in found}, key=len, reverse=True)
        pruned += [key for key in deepest_first if _prune(remaining, key)]
        if len(pruned) == before:
            return None
    return None


def _prune(data: Any, key: Key) -> bool:  # noqa: ANN401 - YAML is any data
    """Takes a mapping's key out; an item of a list goes with the mapping's key above it."""
    top, mapping = data, None
    last: str | float = ""
    for part in key:
        if isinstance(data, dict) and part in data:
            mapping, last, data = data, part, data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return False
    if mapping is None:
        return False
    del mapping[last]
    if top is mapping and (last,) in _STAND_INS:
        mapping[last] = _STAND_INS[last,]
    return True


def _at(key: Key, sources: Sequence[Source], message: str) -> Fault:
    """The fault in the file that says the key: the profile itself before its bases."""
    for source in reversed(sources):
        data: Any = source.data
        for part in key:
            inside = part in data if isinstance(data, dict) else part in range(len(data or ()))
            if not inside:
                break
            data = data[part]
        else:
            return source.fault(key, message)
    return sources[-1].fault(key, message)


def key_of(loc: Sequence[str | float], data: Mapping[str, Any]) -> Key:
    """Pydantic's location as a key path of the file (a single block is written without a list)."""
    key: list[str | float] = []
    here: Any = data
    for part in loc:
        if isinstance(part, int) and isinstance(here, dict) and part not in here:
            continue  # a mapping that stands for a list of one
        if isinstance(here, dict) and part not in here:
            continue  # the name of a form that was tried, or a key that is missing
        if isinstance(here, list) and isinstance(part, str):
            continue  # the name of a form that is a list
        if not isinstance(here, dict | list) or (
            isinstance(here, list) and part not in range(len(here))
        ):
            break
        key.append(part)
        here = here[part] if isinstance(here, dict) else here[int(part)]
    return tuple(key)
