"""Loading profiles: files to models, inheritance, and every fault at once.

A directory is read whole.  ``kinds/*.yaml`` are the base profiles (named ``kinds/<file>``); any
other file is a profile named as the file.  A profile is its base with its own keys laid over it:
mappings merge key by key, everything else replaces.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from gateway.errors import ProfileError
from gateway.profiles import models
from gateway.profiles.meaning import check_meaning
from gateway.profiles.models import ProfileModel
from gateway.profiles.source import Fault, Key, Source
from gateway.quantities import KINDS

_NOT_INHERITED: Final = ("profile", "abstract", "tests", "extends", "caveats")


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
        digest = hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()
        profile = Profile(name, model, source.file, digest)
        (found.bases if model.abstract else found.profiles)[name] = profile
    if faults:
        raise ProfileError("\n".join(str(fault) for fault in faults))
    return found


def _read(directories: Sequence[Path]) -> tuple[dict[str, Source], list[Fault]]:
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for directory in directories:
        if not directory.exists():
            faults.append(Fault(directory, 1, 1, (), "no such file or directory"))
            continue
        files = [directory] if directory.is_file() else sorted(directory.rglob("*.yaml"))
        for file in files:
            if "reference" in file.relative_to(directory).parts[:-1]:
                continue
            source = Source(file)
            faults += source.faults
            name = f"kinds/{file.stem}" if file.parent.name == "kinds" else file.stem
            if name in sources:
                other = sources[name].file
                faults.append(source.fault((), f"profile {name!r} stands already in {other}"))
                continue
            said = source.data.get("profile")
            if not source.faults and said != name:
                faults.append(
                    source.fault(("profile",), f"must be the file's name {name!r}, got {said!r}")
                )
            sources[name] = source
    return sources, faults


def _chain(name: str, sources: Mapping[str, Source], faults: list[Fault]) -> list[str] | None:
    """The profile and its bases, the profile last; None after a fault."""
    chain = [name]
    while (base := sources[chain[0]].data.get("extends")) is not None:
        source = sources[chain[0]]
        if base in chain:
            faults.append(source.fault(("extends",), f"circle: {' -> '.join([base, *chain])}"))
            return None
        if base not in sources:
            choices = [n for n in sources if n.startswith("kinds/")]
            faults.append(
                source.fault(("extends",), f"no profile {base!r}{_hint(str(base), choices)}")
            )
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


def _validate(
    data: dict[str, Any], sources: Sequence[Source], faults: list[Fault]
) -> ProfileModel | None:
    try:
        model = ProfileModel.model_validate(data)
    except ValidationError as error:
        seen = set()
        for each in error.errors(include_url=False):
            key = _key(each["loc"], data)
            message = _message(each, data)
            if (key, message) not in seen:
                seen.add((key, message))
                faults.append(_at(key, sources, message))
        return None
    wrong = [_at(_key(key, data), sources, message) for key, message in check_meaning(model)]
    faults += wrong
    return None if wrong else model


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


def _key(loc: Sequence[str | int], data: Mapping[str, Any]) -> Key:
    """Pydantic's location as a key path of the file (a single block is written without a list)."""
    key: list[str | int] = []
    here: Any = data
    for part in loc:
        if isinstance(part, int) and isinstance(here, dict) and part not in here:
            continue  # a mapping that stands for a list of one
        if isinstance(here, dict) and part not in here:
            break
        if not isinstance(here, dict | list):
            break
        key.append(part)
        if isinstance(here, dict):
            here = here[part]
        else:
            here = here[part] if isinstance(part, int) and part < len(here) else None
    return tuple(key)


def _message(error: Any, data: Mapping[str, Any]) -> str:  # noqa: ANN401 - pydantic's own record
    kind, loc = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}{_hint(str(loc[-1]), _known_keys())}"
    if kind == "missing":
        return f"key {loc[-1]!r} is missing"
    text = str(error["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return text
    got = error.get("input")
    shown = repr(got) if len(repr(got)) < 80 else f"{type(got).__name__} of {len(repr(got))} signs"
    if loc[0] == "kind" and "kind" in data:
        return f"no kind {data['kind']!r}{_hint(str(data['kind']), list(KINDS))}"
    return f"{text[0].lower()}{text[1:]}, got {shown}"


def _known_keys() -> list[str]:
    keys = set()
    for value in vars(models).values():
        if isinstance(value, type) and issubclass(value, BaseModel):
            keys |= {f.alias or name for name, f in value.model_fields.items()}
    return sorted(keys)


def _hint(word: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; one of {', '.join(sorted(choices))}" if len(choices) <= 20 else ""
