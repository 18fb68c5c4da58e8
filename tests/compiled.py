"""A profile written in a test, loaded and compiled as in service."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.decode.json import compile_json
from gateway.errors import DecodeError
from gateway.normalise import Emitted, compile_normaliser
from gateway.profiles import Profile, load_profiles
from gateway.profiles.paths import build_shape
from gateway.profiles.topics import topic_levels
from gateway.records import Device, Reading

ROOT = Path(__file__).parents[1]
PROFILES = ROOT / "device_profiles"
KINDS = PROFILES / "kinds"
RECEIVED = 1_767_225_600_000_000_000
TS = 1_767_225_600_000

HEAD = """\
profile: under-test
version: 1.0.0
extends: kinds/{kind}
title: {{en: Under test, zh: 受测}}
match: {{topic: "t/{{device_id}}"}}
"""


class Compiled:
    """One profile's decoder and normaliser."""

    def __init__(self, profile: Profile, devices: Mapping[str, Device] | None = None) -> None:
        self.profile = profile
        self.levels = levels = topic_levels(profile.model)
        self.shape = build_shape(profile.model, levels)
        self.decode = compile_json(self.shape, profile.model.decode.max_bytes)
        self.normaliser = compile_normaliser(profile.model, self.shape, levels, devices or {})

    def read(self, payload: bytes | str, **levels: str) -> list[Reading] | None:
        """The readings of a message; None when it is ignored on purpose."""
        out: list[Emitted] = []
        named = {"device_id": "m1", **levels}
        raw = payload.encode() if isinstance(payload, str) else payload
        document = self.decode(raw)
        belongs = self.normaliser.read(document, named, RECEIVED, 7, out)
        return [reading for _, reading in out] if belongs else None

    def refusal(self, payload: bytes | str, **levels: str) -> DecodeError:
        """The error that a message gives."""
        try:
            got = self.read(payload, **levels)
        except DecodeError as error:
            return error
        raise AssertionError(f"read as {got}")

    def one(self, payload: bytes | str, **levels: str) -> dict[str, Any]:
        """The quantities of the only reading of a message."""
        readings = self.read(payload, **levels)
        assert readings is not None
        (reading,) = readings
        return reading.quantities


def compiled(
    text: str, kind: str = "electricity-meter", devices: Mapping[str, Device] | None = None
) -> Compiled:
    """The profile of this text below a head that extends the kind's base profile."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "under-test.yaml"
        file.write_text(text if text.startswith("profile:") else HEAD.format(kind=kind) + text)
        found = load_profiles([KINDS, file])
    return Compiled(found.profiles["under-test"], devices)
