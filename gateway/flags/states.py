"""What people may decide about a flag, and which status comes of it and of what processing knows.

    open ──acknowledge──▶ acknowledged ──confirm──▶ confirmed ──close──▶ closed
                                 │                                          ▲
                                 └──dismiss (reason)──▶ dismissed ──close───┘
    reopen: from each of them back to open

Processing knows on its own whether the condition of a flag stands (``open``), is over (``ended``),
or never was (``withdrawn``, when late messages show it).  Neither changes the other.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import ConfigError, GatewayError


class DecisionRefused(GatewayError):
    """A decision that the state of a flag does not allow."""


class DecisionConflict(DecisionRefused):
    """Somebody else has decided about the flag since it was looked at."""


class Action(msgspec.Struct, frozen=True):
    """One decision: from which states it may be taken, and the state that it leads to."""

    name: str
    before: tuple[str, ...]
    after: str
    past: str
    needs_reason: bool = False


STATES: Final = ("open", "acknowledged", "dismissed", "confirmed", "closed")
"""What people have said of a flag; ``open`` also where nobody has said anything."""

CONDITIONS: Final = ("open", "ended", "withdrawn")
"""What processing knows of a flag."""

STATUSES: Final = (*STATES, "ended", "suppressed", "withdrawn")
"""What a list or an export shows of a flag; see `merged`."""

ACTIONS: Final = {
    action.name: action
    for action in (
        Action("acknowledge", ("open",), "acknowledged", "acknowledged"),
        Action("dismiss", ("acknowledged",), "dismissed", "dismissed", needs_reason=True),
        Action("confirm", ("acknowledged",), "confirmed", "confirmed"),
        Action("close", ("dismissed", "confirmed"), "closed", "closed"),
        Action("reopen", ("acknowledged", "dismissed", "confirmed", "closed"), "open", "reopened"),
    )
}


def allowed(state: str) -> tuple[str, ...]:
    """The decisions that can be taken in a state."""
    return tuple(action.name for action in ACTIONS.values() if state in action.before)


def decided(name: str, state: str) -> str:
    """The state after a decision.

    Raises:
        DecisionRefused: it cannot be taken in this state; the message names those that can.
    """
    action = ACTIONS[name]
    if state not in action.before:
        raise DecisionRefused(
            f"cannot {name} a flag that is {state}: allowed are {', '.join(allowed(state))}"
        )
    return action.after


def merged(state: str | None, condition: str, *, suppressed: bool = False) -> str:
    """The status to show: what people decided, else a suppression, else what processing knows.

    Args:
        state: the state by people's decisions; None where nobody has decided anything.  A flag that
            was reopened is ``open``, whatever its condition and whatever window it lies in.
        condition: the flag's own status.
        suppressed: whether it lies in a window of known maintenance.
    """
    if state is not None:
        return state
    if suppressed and condition != "withdrawn":
        return "suppressed"
    return condition


_LONGEST: Final = 2_000
_CONTROL: Final = frozenset(map(chr, (*range(10), *range(11, 32), 127)))


def checked_reason(reason: str | None, *, needed: bool, what: str) -> str | None:
    """A reason without blanks around it; None where there is none and none is needed.

    Raises:
        ConfigError: it is needed and missing, too long, or has control characters.
    """
    text = (reason or "").strip()
    if not text:
        if needed:
            raise ConfigError(f"{what} needs a reason: why, in a sentence (--reason)")
        return None
    if len(text) > _LONGEST:
        raise ConfigError(f"a reason has at most {_LONGEST:,} characters, this one {len(text):,}")
    if not _CONTROL.isdisjoint(text):
        raise ConfigError("a reason is text without control characters")
    return text


def checked_actor(actor: str) -> str:
    """Who decides, as text of one line.

    Raises:
        ConfigError: it is empty, too long, or has control characters.
    """
    text = actor.strip()
    if not text or len(text) > 128 or not (_CONTROL | {"\n"}).isdisjoint(text):
        raise ConfigError(f"--actor: a name of 1 to 128 characters in one line, got {actor!r:.60}")
    return text
