"""A profile compiled: decode and normalise of its messages, and the checks of its readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.checks import Judge
from gateway.decode.compile import Documents, compile_documents, compile_parser
from gateway.decode.document import Context, Parse
from gateway.decode.json import compile_json
from gateway.devices import valid_at
from gateway.normalise import Normaliser, compile_normaliser
from gateway.profiles import Profile
from gateway.profiles.formats import Json
from gateway.profiles.meaning import limits_in_canonical_units
from gateway.profiles.models import Condition
from gateway.profiles.notation import topic_level
from gateway.profiles.paths import build_shape, envelope_conditions, plain_conditions
from gateway.profiles.topics import topic_levels
from gateway.records import (
    Device,
)


class Plan:
    """A profile compiled: its decoder, its normaliser, and the checks of each layout."""

    __slots__ = (
        "accepts",
        "decode",
        "devices",
        "documents",
        "kind",
        "normaliser",
        "parse",
        "plain",
        "profile",
        "read",
        "runs",
        "span",
    )

    def __init__(self, profile: Profile, devices: Mapping[str, Device], judge: Judge) -> None:
        model = profile.model
        levels = topic_levels(model)
        shape = build_shape(model, levels)
        self.profile = profile
        self.devices = devices
        self.kind = shape.type
        # One of the two: JSON bytes go straight into the struct, by a call without a context.
        self.decode: Callable[[bytes], Any] | None = None
        self.plain: Callable[[bytes], Any] | None = None
        self.documents: Documents | None = None
        self.parse: Parse | None = None
        outside = {}
        if isinstance(model.decode, Json) and model.decode.envelope is None:
            self.decode = self.plain = compile_json(shape, model.decode.max_bytes)
        else:
            outside = envelope_conditions(model)
            self.parse = compile_parser(model.decode, profile.file)
            self.documents = compile_documents(
                self.parse, model.decode, shape, outside, plain_conditions(model)
            )
        self.normaliser: Normaliser = compile_normaliser(model, shape, levels, devices)
        # None where the profile takes whatever comes on its topic.
        told = model.match is not None and len(model.match.when) > len(outside)
        self.accepts = self.normaliser.accepts if told else None
        self.read = self.normaliser.read
        settings: dict[str, Mapping[str, Any] | bool] = dict(model.checks)
        if "value_out_of_range" in settings:
            settings["value_out_of_range"] = limits_in_canonical_units(model)
        self.span = model.valid.span if model.valid is not None else None
        if self.span is not None:
            self.decode = None  # so that each message is asked when it was received
        self.runs = [
            judge.bind(layout, settings, where=str(profile.file)).run
            for layout in self.normaliser.layouts
        ]

    def holds(self, received_at: int) -> bool:
        """Whether the profile is for messages that were received then."""
        return self.span is None or self.span[0] <= received_at < self.span[1]

    def leaves_out(self, levels: Mapping[str, str]) -> bool:
        """Whether ``ignore`` names the topic by its levels: its payload is not even decoded."""
        ignored = (ignore.when for ignore in self.profile.model.ignore if ignore.each is None)
        return (
            self.accepts is None
            and self.span is None
            and any(
                when and all(_is_level(levels, path, condition) for path, condition in when.items())
                for when in ignored
            )
        )

    def document(
        self,
        topic: str,
        payload: bytes,
        levels: Mapping[str, str],
        received_at: int,
        offset: int = 0,
    ) -> Any:  # noqa: ANN401 - a struct made at run time
        """The message as the profile's struct; None where it is another profile's.

        Raises:
            DecodeError: the payload is not what the profile says.
        """
        if self.span is not None and not self.holds(received_at):
            return None
        if self.plain is not None:
            return self.plain(payload)
        device = self.devices.get(levels.get("device_id", ""))
        if device is not None and device.valid_from is not None:
            device = valid_at(self.devices, device.device_id, received_at)
        registered = device is not None and device.profile == self.profile.name
        context = Context(topic, received_at, levels, self.devices, registered, None, offset)
        return self.documents(payload, context) if self.documents is not None else None


class Planned:
    """A profile that is compiled when it is first asked for its plan.

    Args:
        profile: of which.
        compile_plan: makes its plan.
    """

    __slots__ = ("_compile", "_plan", "profile")

    def __init__(self, profile: Profile, compile_plan: Callable[[Profile], Plan]) -> None:
        self.profile = profile
        self._compile = compile_plan
        self._plan: Plan | None = None

    def plan(self) -> Plan:
        """The plan, the same one each time.

        Raises:
            ProfileError: the profile cannot be compiled.
        """
        if self._plan is None:
            self._plan = self._compile(self.profile)
        return self._plan


def _is_level(levels: Mapping[str, str], path: str, condition: Condition) -> bool:
    """Whether a condition is on a level of the topic, and holds."""
    name = topic_level(path)
    return name is not None and levels.get(name) in (condition.in_ or ())
