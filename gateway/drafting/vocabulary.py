"""The words that `gateway profile new` guesses by (``vocabulary.yaml``), ready for look-ups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names of the trade, in lower case.

    Attributes:
        sure: words by quantity that mean it wherever they stand.
        weak: words by quantity that mean it where nothing else fits better.
        kinds: words that speak for a kind.
        units: UCUM codes by a unit as part of a name.
        signs: UCUM codes by a unit as a text of its own.
        status: our status word by the maker's.
        well: words of a status that say nothing is wrong.
        times, identities, names, values: names of fields, the likely ones first.
        sequences, channels, unit_keys, status_keys, payload_keys, discriminators: names of fields.
        not_total: words beside a quantity's that say it is not the present value.
    """

    sure: dict[str, frozenset[str]]
    weak: dict[str, frozenset[str]]
    kinds: dict[str, frozenset[str]]
    units: dict[str, str]
    signs: dict[str, str]
    status: dict[str, str]
    well: frozenset[str]
    times: tuple[str, ...]
    identities: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[str, ...]
    sequences: frozenset[str]
    channels: frozenset[str]
    unit_keys: frozenset[str]
    status_keys: frozenset[str]
    payload_keys: frozenset[str]
    discriminators: frozenset[str]
    not_total: frozenset[str]


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary, read once."""
    text = Path(__file__).with_suffix(".yaml").read_text("utf-8")
    said = yaml.load(text, Loader=yaml.CSafeLoader)
    spoken = said["quantities"].items()
    return Vocabulary(
        sure={name: frozenset(words["sure"].split()) for name, words in spoken},
        weak={name: frozenset(words.get("weak", "").split()) for name, words in spoken},
        kinds={kind: frozenset(words.split()) for kind, words in said["kinds"].items()},
        units=_turned(said["units"]),
        signs=_turned(said["signs"]),
        status=_turned({word: names.split() for word, names in said["status"].items()}),
        well=frozenset(said["well"].split()),
        times=tuple(said["times"].split()),
        identities=tuple(said["identities"].split()),
        names=tuple(said["names"].split()),
        values=tuple(said["values"].split()),
        sequences=frozenset(said["sequences"].split()),
        channels=frozenset(said["channels"].split()),
        unit_keys=frozenset(said["unit_keys"].split()),
        status_keys=frozenset(said["status_keys"].split()),
        payload_keys=frozenset(said["payload_keys"].split()),
        discriminators=frozenset(said["discriminators"].split()),
        not_total=frozenset(said["not_total"].split()),
    )


def _turned(table: dict[str, list[str]]) -> dict[str, str]:
    return {name: word for word, names in table.items() for name in names}
