"""What a person asks of ``simulate run``, checked and turned into a request."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from simulators.catalogue import KINDS
from simulators.clock import DAY, DEFAULT_START, HOUR, MINUTE, parse_duration, parse_time, rfc3339
from simulators.fleet import Order, TooManyCheats, UnknownCheat, choose
from simulators.line import Troubles
from simulators.publish import Broker
from simulators.run import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

_USUAL_SHARE = 0.1
_ENDLESS_PAST = 7 * DAY
"""An accelerated run without end begins this long ago and may go on until it is now."""


class Refused(Exception):
    """Used wrongly: ``key`` names the text under ``error.`` that says so, ``facts`` fill it."""

    def __init__(self, key: str, **facts: object) -> None:
        super().__init__(key)
        self.key = key
        self.facts = facts


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of ``simulate run`` as they were typed."""

    kind: str
    devices: int = 10
    cheats: tuple[str, ...] = ()
    cheats_after: str | None = None
    seed: int = 1
    start: str | None = None
    days: float = 0.0
    hours: float = 0.0
    interval: str | None = None
    speed: str | None = None
    region: str = "110000"
    broker: str | None = None
    username: str | None = None
    password_env: str | None = None
    ca_file: str | None = None
    output: str | None = None
    truth: str | None = None
    registry: str | None = None
    troubles: Troubles = Troubles()

    def request(self, now: int, environment: Mapping[str, str]) -> Request:
        """The request behind the options.

        Args:
            now: the wall clock, ms.
            environment: where the password is looked up.

        Raises:
            Refused: an option is wrong, or two don't go together.
            ValueError: a duration, a time or an address is not what it should be.
        """
        kinds = self._kinds()
        if (self.broker is None) == (self.output is None):
            raise Refused("destination")
        if not re.fullmatch(r"[0-9]{6}", self.region):
            raise Refused("region", got=self.region)
        if self.broker is None and self.speed not in (None, "max"):
            raise Refused("capture_speed")
        factor = _factor(self.speed or "real")
        start, until = self._span(factor, now)
        if self.broker is not None and start > now:
            raise Refused("future", got=rfc3339(start))
        try:
            choices = choose(kinds, [_cheat(each) for each in self.cheats])
        except UnknownCheat as error:
            raise Refused("unknown_cheat", got=error.name, known=", ".join(error.known)) from error
        except TooManyCheats as error:
            raise Refused("too_many", kind=error.kind, share=f"{error.share:g}") from error
        after = 5 * MINUTE if until is None else (until - start) // 4
        order = Order(
            kinds=kinds,
            devices=self.devices,
            seed=self.seed,
            start=start,
            until=until,
            cheats_from=start + (parse_duration(self.cheats_after) if self.cheats_after else after),
            region=self.region,
            interval=parse_duration(self.interval) if self.interval else None,
            lag=max(0, now - start) if self.broker is not None else 0,
            choices=choices,
            troubles=self.troubles,
        )
        return Request(
            order=order,
            output=self.output,
            broker=self._broker(environment),
            factor=factor,
            truth=self.truth,
            registry=self.registry,
        )

    def _kinds(self) -> tuple[str, ...]:
        if self.kind == "all":
            return tuple(KINDS)
        if self.kind not in KINDS:
            raise Refused("kind", got=self.kind, known=", ".join([*KINDS, "all"]))
        return (self.kind,)

    def _span(self, factor: float, now: int) -> tuple[int, int | None]:
        """First moment and end; a run towards a broker never reaches beyond the present."""
        span = round(self.days * DAY + self.hours * HOUR)
        live = self.broker is not None
        if not span and (not live or math.isinf(factor)):
            span = DAY
        if self.start is not None:
            start = parse_time(self.start)
        elif not live:
            start = DEFAULT_START
        elif factor == 1.0:
            start = now
        else:
            start = now - (span or _ENDLESS_PAST)
        return start, start + span if span else None

    def _broker(self, environment: Mapping[str, str]) -> Broker | None:
        if self.broker is None:
            return None
        password = None
        if self.password_env is not None:
            if self.password_env not in environment:
                raise Refused("password_env", got=self.password_env)
            password = environment[self.password_env]
        return Broker.parse(
            self.broker, username=self.username, password=password, ca_file=self.ca_file
        )


def _factor(speed: str) -> float:
    if speed == "real":
        return 1.0
    if speed == "max":
        return math.inf
    if match := re.fullmatch(r"x([0-9]+(?:\.[0-9]+)?)", speed):
        factor = float(match[1])
        if factor >= 1:
            return factor
    raise Refused("speed", got=speed)


def _cheat(text: str) -> tuple[str, float]:
    name, _, share = text.partition(":")
    try:
        number = float(share) if share else _USUAL_SHARE
    except ValueError as error:
        raise Refused("cheat_form", got=text) from error
    if not name or not 0 <= number <= 1:
        raise Refused("cheat_form", got=text)
    return name, number
