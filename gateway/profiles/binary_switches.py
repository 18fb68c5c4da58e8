"""The cases of a switch: whole numbers, ranges of them, or texts; the first that fits is taken."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from gateway.profiles.binary_documents import either
from gateway.profiles.binary_repeats import Repeats
from gateway.profiles.binary_text import Fault, Path
from gateway.profiles.expression_text import Value

if TYPE_CHECKING:
    from gateway.profiles.binary import Binary, BinaryField, Structure, Switch
    from gateway.profiles.shape import Node

    Kind: TypeAlias = str | tuple[BinaryField, ...] | Structure | Switch | None

FEW_CASES: Final = 16
"""So many are tried one after the other; more are looked up in a table first."""
_BRANCHES: Final = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One case: the key it has in the file, what it is for, and what is read then."""

    key: str | int
    first: int | str
    last: int | str
    body: Kind

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


class Switches(Repeats):
    """Writes the choice between the types of a switch."""

    def __init__(self, layout: Binary, root: Node | None = None) -> None:
        super().__init__(layout, root)
        self.inside: list[str] = []

    @abstractmethod
    def inner(self, kind: Kind, path: Path, name: str | None, *, joins: bool) -> Value | None:
        """A structure or switch in place of its field."""

    def attempt(self, path: Path, body: Callable[[], None]) -> bool:
        """Writes something; after a fault all is as it was before, but for the lines."""
        state = dict(self.__dict__)
        inside, run, bits = list(self.inside), list(self.run), list(self.bits)
        try:
            body()
        except Fault as fault:
            self.fault(fault, path)
            # Fields that were lined up before are still to be read, unless they have been.
            if self.run is not state["run"]:
                run, state["run_order"] = [], ""
            if self.bits is not state["bits"]:
                bits = []
            kept = {"count": self.count, "visited": self.visited}
            self.__dict__.update({**state, **kept, "inside": inside, "run": run, "bits": bits})
            return False
        return True

    def switch(self, kind: Switch, path: Path, name: str | None, *, joins: bool) -> Value | None:
        """One of several types by a value; what a case reads is not known outside of it."""
        on = self.chooser(kind, path)
        target, label = self.fresh(), self.label(name)
        chosen = self.once(on, label)
        start, known = (self.base, self.offset), dict(self.scope.values)
        elsewhere = self.scope.elsewhere
        values: list[Value] = []

        def write(case: str | int, body: Kind) -> None:
            self.base, self.offset = start
            if body is None:
                self.line(f"raise CASE({self.constant(label)}, {chosen}, {self.at()})")
                return
            at = (*path, "cases", case)
            self.attempt(at, lambda: take(body, at))
            self.settle()
            elsewhere.update(self.scope.values.keys() - known.keys())
            self.scope.values = dict(known)

        def take(body: Kind, at: Path) -> None:
            value = self.case(body, at, name, joins=joins)
            if value is not None:
                self.line(f"{target} = {value.code}")
                values.append(value)

        cases = cases_of(kind, path, self.fault, text=on.kind == "text")
        if len(cases) > FEW_CASES:
            number = self.looked_up(cases, chosen, on)
            self.line(f"if {number} >= 0:")
            with self.indented():
                self.branches(cases, number, 0, write)
        else:
            word = "if"
            for case in cases:
                self.line(f"{word} {self.fits(case, chosen, on)}:")
                word = "elif"
                with self.indented():
                    write(case.key, case.body)
        self.line("else:")
        with self.indented():
            write("_", kind.cases.get("_"))
        self.base, self.offset = "p", 0
        if joins:
            return None
        joint = either(values)
        sort = "any" if joint.kind in {"map", "list"} else joint.kind
        return replace(joint, code=target, kind=sort)

    def chooser(self, kind: Switch, path: Path) -> Value:
        """The value that chooses a case; after a fault the cases are still looked at."""
        found: list[Value] = []

        def look() -> None:
            found.append(self.value(kind.switch_on, "switch-on", at=path))
            if found[0].kind in {"list", "map"}:
                problem = "a case is chosen by a number or text"
                raise Fault(problem, *path, "switch-on", absolute=True)

        whole = self.attempt(path, look)
        return found[0] if whole else Value("None", "any", nullable=True)

    def fits(self, case: Case, chosen: str, on: Value) -> str:
        """The condition of a case."""
        if case.single:
            return f"{chosen} == {self.constant(case.first)}"
        maybe = f"{chosen} is not None and " if on.nullable else ""
        return f"{maybe}{self.constant(case.first)} <= {chosen} <= {self.constant(case.last)}"

    def looked_up(self, cases: list[Case], chosen: str, on: Value) -> str:
        """A variable with the position of the case that fits, or -1."""
        number = self.fresh("s")
        table = {case.first: place for place, case in enumerate(cases) if case.single}
        self.line(f"{number} = {self.constant(table)}.get({chosen}, -1)")
        ranges = [(place, case) for place, case in enumerate(cases) if not case.single]
        if ranges:
            self.line(f"if {number} < 0:")
            with self.indented():
                word = "if"
                for place, case in ranges:
                    self.line(f"{word} {self.fits(case, chosen, on)}: {number} = {place}")
                    word = "elif"
        return number

    def branches(
        self,
        cases: list[Case],
        number: str,
        first: int,
        write: Callable[[str | int, Kind], None],
    ) -> None:
        """Finds the case at a position: a chain of hundreds would be slow and nest too deeply."""
        parts = groups(len(cases))
        for part in parts:
            word = "if" if part is parts[0] else "elif"
            last = part is parts[-1]
            self.line("else:" if last else f"{word} {number} < {first + part.stop}:")
            with self.indented():
                if len(part) == 1:
                    write(cases[part.start].key, cases[part.start].body)
                else:
                    self.branches(cases[part.start : part.stop], number, first + part.start, write)

    def case(self, body: Kind, path: Path, name: str | None, *, joins: bool) -> Value | None:
        """What a case reads."""
        from gateway.profiles.binary import BinaryField  # noqa: PLC0415 - it imports this module

        if not isinstance(body, str) or body in self.layout.types:
            return self.inner(body, path, name, joins=joins)
        if joins:
            raise Fault(
                f"{body!r} needs an id: write [{{id: ..., type: {body}}}]", *path, absolute=True
            )
        found: list[Value] = []
        at, self.path = self.path, path
        try:
            self.primitive(BinaryField(type=body), found.append)
        except Fault as fault:  # its type is the case itself
            raise Fault(fault.message, *path, absolute=True) from None
        self.flush()
        self.path = at
        return found[0] if found else None
