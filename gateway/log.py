"""Logs: console on a terminal, JSON otherwise, always on standard error, secrets masked.

A line is written for a fault or a change of state, never for a message.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final, Literal, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

MASK: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"password|passwd|passphrase|secret|token|authori[sz]ation|api_?key|private_?key",
    re.IGNORECASE,
)
_USERINFO: Final = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*(?=@)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_VALUE: Final = 2_000
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class MaskSecrets:
    """A structlog processor that hides secrets, wherever they turn up.

    Hidden are: values under keys that name a secret, ``user:password@`` in addresses, and every
    literal in ``secrets``.  Strings from devices and brokers are bounded in length, and their
    control characters escaped, so that nobody can write a line of the log but the gateway.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 4)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Gives the event with secrets masked."""
        for key, value in event.items():
            if key == "exception":  # a traceback of ours keeps its lines, not its secrets
                event[key] = self._without_secrets(str(value))
            elif _SECRET_KEY.search(key) and not isinstance(value, bool):
                event[key] = MASK
            else:
                event[key] = self._clean(value)
        return event

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            text = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], self._without_secrets(value))
            return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
        if isinstance(value, dict):
            return {
                key: MASK if _SECRET_KEY.search(str(key)) else self._clean(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._clean(item) for item in value]
        if isinstance(value, (int, float, bool)) or value is None:
            return value
        return self._clean(str(value))

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return without_userinfo(text)


def _in_reading_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """When, how grave and what come first in a line."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def without_userinfo(text: str) -> str:
    """``text`` with the ``user:password`` of every address in it masked."""
    return _USERINFO.sub(MASK, text)


def configure(
    level: Level = "info",
    format_: Format = "auto",
    *,
    stream: TextIO | None = None,
    secrets: Sequence[str] = (),
) -> None:
    """Sets up the logs of this process; to be called once, before the first line.

    Args:
        level: the lowest level that is written.
        format_: ``auto`` is ``console`` where ``stream`` is a terminal and ``json`` elsewhere.
        stream: standard error, when not given.
        secrets: literals that must never be written.
    """
    out = stream if stream is not None else sys.stderr
    console = format_ == "console" or (format_ == "auto" and out.isatty())
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if console:  # plain: a rich traceback prints local variables, and secrets with them
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            MaskSecrets(secrets),
            _in_reading_order,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
