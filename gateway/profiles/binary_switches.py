"""The cases of a switch: whole numbers, ranges of them, or texts; the first that fits is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway.profiles.binary_text import Fault, Path

if TYPE_CHECKING:
    from gateway.profiles.binary import Switch

FEW_CASES: Final = 16
"""So many are tried one after the other; more are looked up in a table first."""
_BRANCHES: Final = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One case: the key it has in the file, what it is for, and what is read then."""

    key: str | int
    first: int | str
    last: int | str
    body: Any

    @property
    def single(self) -> bool:
        """Whether it is for one value."""
        return self.first == self.last

    def holds(self, other: Case) -> bool:
        """Whether another case, where it fits, is never reached behind this one."""
        return self.first <= other.first and other.last <= self.last  # type: ignore[operator]


def cases_of(
    switch: Switch, path: Path, report: Callable[[Fault, Path], None], *, text: bool
) -> list[Case]:
    """The cases besides ``_``, in their order.

    Args:
        switch: as the layout says it.
        path: its key path.
        report: takes a fault, and the path that it is of.
        text: it is a text that chooses.
    """
    found: list[Case] = []
    singles: dict[int | str, Case] = {}
    ranges: list[Case] = []
    for key, body in switch.cases.items():
        if key == "_":
            continue
        at = (*path, "cases", key)
        try:
            first, last = (str(key), str(key)) if text else _numbers(key)
        except Fault as fault:
            report(fault, at)
            continue
        case = Case(key, first, last, body)
        before = singles.get(first) if case.single else None
        before = before or next((one for one in ranges if one.holds(case)), None)
        if before is not None and before.single:
            report(Fault(f"two cases are {key!r}"), at)
        elif before is not None:
            report(Fault(f"never reached: the case {before.key!r} above is for this too"), at)
        found.append(case)
        if case.single:
            singles[first] = case
        else:
            ranges.append(case)
    if set(switch.cases) == {"_"}:
        report(Fault("a switch has a case besides '_'"), (*path, "cases"))
    return found


def _numbers(key: str | int) -> tuple[int, int]:
    low, dots, high = str(key).partition("..")
    try:
        first, last = int(low, 0), int(high if dots else low, 0)
    except ValueError:
        what = "a case is a whole number (0x10), a range (1..5), or _"
        raise Fault(f"{key!r} is none: {what}") from None
    if first > last:
        raise Fault(f"{key!r} is empty: the lower number comes first")
    return first, last


def groups(count: int) -> list[range]:
    """Positions of cases, parted so that a few comparisons find one; never more than 16 parts."""
    size = -(-count // _BRANCHES) if count > FEW_CASES else 1
    return [range(at, min(at + size, count)) for at in range(0, count, size)]
