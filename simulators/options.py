"""What a person asks of ``simulate run`` and ``fleet``, checked and turned into a request."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from simulators.catalogue import KINDS, MIXTURE
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


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run goes to and how fast, as it was typed: a broker or a capture, files beside it."""

    speed: str | None = None
    broker: str | None = None
    username: str | None = None
    password_env: str | None = None
    ca_file: str | None = None
    output: str | None = None
    truth: str | None = None
    registry: str | None = None

    @property
    def factor(self) -> float:
        """The speed towards a broker.

        Raises:
            Refused: it is none.
        """
        return _factor(self.speed or "real")

    def check(self) -> None:
        """Refuses what does not go together.

        Raises:
            Refused: neither or both of broker and capture, or a speed for a capture.
        """
        if (self.broker is None) == (self.output is None):
            raise Refused("destination")
        if self.broker is None and self.speed not in (None, "max"):
            raise Refused("capture_speed")

    def span(self, span: int, start: int | None, now: int) -> tuple[int, int | None]:
        """First moment and end; a run towards a broker never reaches beyond the present.

        Args:
            span: how long, ms; 0 when it was not told.
            start: the first moment that was asked for, ms.
            now: the wall clock, ms.

        Raises:
            Refused: a run towards a broker would start in the future.
        """
        live, factor = self.broker is not None, self.factor
        if not span and (not live or math.isinf(factor)):
            span = DAY
        if start is None:
            if not live:
                start = DEFAULT_START
            elif factor == 1.0:
                start = now
            else:
                start = now - (span or _ENDLESS_PAST)
        if live and start > now:
            raise Refused("future", got=rfc3339(start))
        return start, start + span if span else None

    def lag(self, start: int, now: int) -> int:
        """How far the run's clock is behind the receiver's (ms)."""
        return 0 if self.broker is None else max(0, now - start)

    def request(self, order: Order, environment: Mapping[str, str]) -> Request:
        """The request to run an order.

        Raises:
            Refused: the environment has no such password.
            ValueError: the address is none.
        """
        return Request(
            order=order,
            output=self.output,
            broker=self._broker(environment),
            factor=self.factor,
            truth=self.truth,
            registry=self.registry,
        )

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


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of ``simulate run`` as they were typed."""

    kind: str
    devices: int = 10
    cheats: tuple[str, ...] = ()
    cheats_after: str | None = None
    cheats_spread: str | None = None
    seed: int = 1
    start: str | None = None
    days: float = 0.0
    hours: float = 0.0
    interval: str | None = None
    region: str = "110000"
    troubles: Troubles = Troubles()
    where: Where

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
        self.where.check()
        if not re.fullmatch(r"[0-9]{6}", self.region):
            raise Refused("region", got=self.region)
        span = round(self.days * DAY + self.hours * HOUR)
        asked = None if self.start is None else parse_time(self.start)
        start, until = self.where.span(span, asked, now)
        try:
            choices = choose(kinds, [_cheat(each) for each in self.cheats])
        except UnknownCheat as error:
            raise Refused("unknown_cheat", got=error.name, known=", ".join(error.known)) from error
        except TooManyCheats as error:
            raise Refused("too_many", kind=error.kind, share=f"{error.share:g}") from error
        told = parse_duration(self.cheats_after) if self.cheats_after else None
        within = parse_duration(self.cheats_spread) if self.cheats_spread else None
        begin, spread = when_cheats_begin(start, until, told, within)
        order = Order(
            kinds=kinds,
            devices=self.devices,
            seed=self.seed,
            start=start,
            until=until,
            cheats_from=start + begin,
            cheats_spread=spread,
            region=self.region,
            interval=parse_duration(self.interval) if self.interval else None,
            lag=self.where.lag(start, now),
            choices=choices,
            troubles=self.troubles,
        )
        return self.where.request(order, environment)

    def _kinds(self) -> tuple[str, ...]:
        if self.kind == "all":
            return MIXTURE
        if self.kind not in KINDS:
            raise Refused("kind", got=self.kind, known=", ".join([*KINDS, "all"]))
        return (self.kind,)


def when_cheats_begin(
    start: int, until: int | None, after: int | None, spread: int | None
) -> tuple[int, int]:
    """How long after the start the first cheats begin, and within what span all do, ms.

    Unless told: after a quarter of the run, or 5 min in one without end; within another quarter
    where that is a run of a week or more, at once in others.
    """
    quarter = None if until is None else (until - start) // 4
    if spread is None:
        long = after is None and quarter is not None and 4 * quarter >= 7 * DAY
        spread = quarter if long and quarter is not None else 0
    if after is None:
        after = 5 * MINUTE if quarter is None else quarter
    return after, spread


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
