"""Records of people's work on flags: cases, events, windows of suppression.  Times are ns UTC."""

from __future__ import annotations

import msgspec

from gateway.records import Device, Flag


class Case(msgspec.Struct, frozen=True):
    """What people have said of one flag so far.

    ``version`` counts the decisions: who decides by what he has seen names the version that he saw.
    ``flag`` is the flag as it was at the last decision, kept because another profile or late data
    may take it out of the store.
    """

    flag_id: str
    state: str
    version: int
    at: int
    actor: str
    reason: str | None
    flag: Flag


class Event(msgspec.Struct, frozen=True):
    """One decision about one flag; ``number`` is the version of the case that it made.

    ``condition``, ``severity`` and ``until`` are of the flag as it was decided upon.
    """

    flag_id: str
    number: int
    at: int
    actor: str
    action: str
    before: str
    after: str
    reason: str | None
    condition: str
    severity: str
    until: int


class Occurrence(msgspec.Struct, frozen=True):
    """One thing that happened to a flag, done by people or told by processing.

    ``kind`` is ``decision``, or ``automatic``; then ``action`` is ``raised``, ``severity_raised``,
    ``condition_ended``, ``withdrawn`` or ``gone`` (the store does not have the flag any more), and
    ``at`` is None where the data do not tell when.
    """

    at: int | None
    kind: str
    action: str
    actor: str | None = None
    before: str | None = None
    after: str | None = None
    reason: str | None = None
    number: int | None = None


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """A window of known maintenance; it holds in [``since``, the earlier of the two ends).

    What is None does not narrow; ``codes`` empty is every code.  ``region`` is a beginning of a
    GB/T 2260 code.  ``lifted_from`` is from when on it does not hold after all.
    """

    id: int = 0
    device_id: str | None = None
    site: str | None = None
    region: str | None = None
    kind: str | None = None
    codes: tuple[str, ...] = ()
    since: int
    until: int
    reason: str
    at: int
    actor: str
    lifted_from: int | None = None
    lifted_at: int | None = None
    lifted_by: str | None = None
    lifted_reason: str | None = None

    @property
    def end(self) -> int:
        """When it ends."""
        return self.until if self.lifted_from is None else min(self.until, self.lifted_from)


class FlagView(msgspec.Struct, frozen=True):
    """A flag with what people have said of it.

    ``status`` is `states.merged`; ``version`` 0 where nobody has decided anything; ``suppression``
    is the number of the window that it lies in; ``device`` what was registered of its device when
    it began, or is now; ``gone`` where the store does not have the flag any more.
    """

    flag: Flag
    status: str
    version: int = 0
    case: Case | None = None
    suppression: int | None = None
    device: Device | None = None
    gone: bool = False
