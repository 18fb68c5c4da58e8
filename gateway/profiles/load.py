"""Loading profiles: files to models, inheritance, and every fault at once.

A directory is read whole.  ``kinds/*.yaml`` are the base profiles (named ``kinds/<file>``); any
other file is a profile named as the file.  A profile is its base with its own keys laid over it:
mappings merge key by key, everything else replaces.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.errors import ProfileError
from gateway.profiles.explain import explain, hint
from gateway.profiles.meaning import check_meaning
from gateway.profiles.models import ProfileModel
from gateway.profiles.source import Fault, Key, Source

_ROUNDS: Final = 4
_NOT_INHERITED: Final = ("profile", "abstract", "tests", "extends", "caveats", "title")
# What stands in for a faulty part that a profile must have, so that the rest can be looked at.
_STAND_INS: Final[dict[Key, Any]] = {
    ("version",): "0.0.0",
    ("title",): {"en": "", "zh": ""},
    ("match",): {"topic": "{device_id}"},
}


@dataclass(frozen=True, slots=True)
class Profile:
    """A loaded profile. ``digest`` is the SHA-256 of its content after inheritance."""

    name: str
    model: ProfileModel
    file: Path
    digest: str

    @property
    def id(self) -> str:
        """What readings carry: ``name@version``."""
        return f"{self.name}@{self.model.version}"

    @property
    def kind(self) -> str:
        """The instrument kind of :mod:`gateway.quantities`."""
        return str(self.model.kind)


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """Profiles by name; ``bases`` are the abstract ones, which match no message."""

    profiles: dict[str, Profile]
    bases: dict[str, Profile] = field(default_factory=dict)


def load_profiles(directories: Sequence[Path]) -> ProfileSet:
    """Loads every profile below the directories.

    Raises:
        ProfileError: one or more files are wrong; the message has one line a fault, each with
            file, line, column, key path, the rule and what was got.
    """
    sources, faults = _read(directories)
    found = ProfileSet({})
    for name, source in sources.items():
        if source.faults:
            continue
        chain = _chain(name, sources, faults)
        if chain is None:
            continue
        data = _merged([sources[link].data for link in chain])
        model = _validate(data, [sources[link] for link in chain], faults)
        if model is None:
            continue
        digest = hashlib.sha256(_canonical(data).encode()).hexdigest()
        profile = Profile(name, model, source.file, digest)
        (found.bases if model.abstract else found.profiles)[name] = profile
    if faults:
        faults.sort(key=lambda fault: (str(fault.file), fault.line, fault.column))
        raise ProfileError("\n".join(dict.fromkeys(str(fault) for fault in faults)))
    return found


def _read(directories: Sequence[Path]) -> tuple[dict[str, Source], list[Fault]]:
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    seen: set[Path] = set()
    for directory in directories:
        if not directory.exists():
            faults.append(Fault(directory, 0, 0, (), "no such file or directory"))
            continue
        files = [directory] if directory.is_file() else sorted(directory.rglob("*.y*ml"))
        for file in files:
            if "reference" in file.relative_to(directory).parts[:-1] or file.resolve() in seen:
                continue
            seen.add(file.resolve())
            _take(Source(file), sources, faults)
    return sources, faults


def _take(source: Source, sources: dict[str, Source], faults: list[Fault]) -> None:
    file = source.file
    faults += source.faults
    if file.suffix != ".yaml":
        faults.append(source.fault((), "a profile's file ends in .yaml: rename it"))
    name = f"kinds/{file.stem}" if file.parent.name == "kinds" else file.stem
    if name in sources:
        faults.append(source.fault((), f"profile {name!r} stands already in {sources[name].file}"))
        return
    said = source.data.get("profile")
    if not source.faults and said != name:
        faults.append(source.fault(("profile",), f"must be the file's name {name!r}, got {said!r}"))
        source.data["profile"] = name
    sources[name] = source


def _chain(name: str, sources: Mapping[str, Source], faults: list[Fault]) -> list[str] | None:
    """The profile and its bases, the profile last; None after a fault."""
    chain = [name]
    while (base := sources[chain[0]].data.get("extends")) is not None:
        source = sources[chain[0]]
        if not isinstance(base, str):
            faults.append(source.fault(("extends",), f"expected a profile's name, got {base!r}"))
            return None
        if base in chain:
            faults.append(source.fault(("extends",), f"circle: {' -> '.join([base, *chain])}"))
            return None
        if base not in sources:
            choices = [n for n in sources if n.startswith("kinds/")]
            faults.append(source.fault(("extends",), f"no profile {base!r}{hint(base, choices)}"))
            return None
        if sources[base].faults:
            return None
        chain.insert(0, base)
    return chain


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
            place = _key(key, data)
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
    for _ in range(_ROUNDS):
        try:
            return ProfileModel.model_validate(remaining)
        except ValidationError as error:
            found = [(_key(e["loc"], remaining), e) for e in error.errors(include_url=False)]
        for key, message in explain(found, data):
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


def _key(loc: Sequence[str | float], data: Mapping[str, Any]) -> Key:
    """Pydantic's location as a key path of the file (a single block is written without a list)."""
    key: list[str | float] = []
    here: Any = data
    for part in loc:
        if isinstance(part, int) and isinstance(here, dict) and part not in here:
            continue  # a mapping that stands for a list of one
        if isinstance(here, dict) and part not in here:
            continue  # the name of a form that was tried, or a key that is missing
        if not isinstance(here, dict | list) or (
            isinstance(here, list) and part not in range(len(here))
        ):
            break
        key.append(part)
        here = here[part] if isinstance(here, dict) else here[int(part)]
    return tuple(key)
