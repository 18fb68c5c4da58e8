"""The text of a function being written: lines, constants, and places of a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import moments
from gateway.errors import DecodeError
from gateway.normalise.registered import registered
from gateway.profiles import scalars
from gateway.profiles.layout import Layout
from gateway.profiles.models import Path, ProfileModel, Scalar, When
from gateway.profiles.notation import ABOVE, VALUES, Select, parse_path, topic_level
from gateway.profiles.scalars import MAX_MONEY
from gateway.profiles.shape import Node
from gateway.quantities import BY_NAME
from gateway.records import Device, Reading


class FunctionText:
    """Lines of Python and the namespace they run in; knows where places of the document are.

    Only names made here stand in the lines.  Texts and numbers of a profile are constants of the
    namespace, so nothing that a profile says can become code.
    """

    def __init__(
        self, model: ProfileModel, root: Node, levels: set[str], devices: Mapping[str, Device]
    ) -> None:
        self.model = model
        self.root = root
        self.levels = levels
        self.known = BY_NAME[model.kind]
        self.layouts: list[Layout] = []
        self.lines: list[str] = []
        self.depth = 0
        self.scopes: dict[int, tuple[str, Node]] = {}
        self.seen: dict[tuple[str, str], str] = {}
        # The item around an item, and its key, by the variables that hold them.
        self.parents: dict[str, tuple[str, Node]] = {}
        self.keys: dict[str, str] = {}
        self.count = 0
        self.devices = devices
        self.currencies, zones = registered(devices)
        self.measured_at = "received"
        self.namespace: dict[str, Any] = {
            "R": Reading, "float": float, "round": round, "len": len, "str": str,
            "IDENT": moments.Identities(), "CHANNEL": moments.Identities("channel"),
            "MISSING": scalars.missing, "FAIL": DecodeError,
            "CURRENCY": self.currencies.plain.get, "CURRENCY_AT": self.currencies.at,
            "ZONE": zones.find, "MOMENT": moments.moment,
            "PATTERN": moments.from_pattern, "NUMBER": scalars.number_text,
            "ABSURD": scalars.absurd, "REQUIRE": scalars.require, "MONEY": MAX_MONEY,
            "LOW": moments.EARLIEST, "HIGH": moments.LATEST, "BADTIME": moments.bad_time,
            "CLASS": scalars.wrong_length,
            "UNIQUE": scalars.unique, "HEX": scalars.hex_text, "WHOLE": scalars.whole_text,
            "EPOCH": scalars.epoch_text, "EMPTY": {},
        }  # fmt: skip

    def line(self, text: str) -> None:
        """Writes one line at the present depth."""
        self.lines.append("    " * self.depth + text)

    def constant(self, value: object) -> str:
        """The name under which a value stands in the namespace."""
        for name, known in self.namespace.items():
            if name[0] == "K" and known is value:
                return name
        name = f"K{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def fresh(self, stem: str) -> str:
        """A variable name that is not taken."""
        self.count += 1
        return f"{stem}{self.count}"

    def place(self, path: Path, scope: tuple[str, Node]) -> str:
        """An expression for the value at a path; None where it is absent."""
        variable, node = scope
        if path[:1] == ("$",):
            variable, node, path = "d", self.root, path[1:]
        while path[:1] == (ABOVE,):
            variable, node = self.parents.get(variable, ("d", self.root))
            path = path[1:]
        if path == (VALUES,):
            return self.keys.get(variable, "None")
        for i, part in enumerate(path):
            last = i == len(path) - 1
            if isinstance(part, Select):
                variable = self.selected(variable, node, part)
                node = node.items()
                continue
            if isinstance(part, int):
                inner = self.fresh("i")
                node = node.items()
                self.line(
                    f"{inner} = {variable}[{part}] "
                    f"if {variable} is not None and len({variable}) > {part} else None"
                )
                if node.children:
                    self.line(f"if {inner} is None: {inner} = {self.constant(node.empty)}")
                variable = inner
                continue
            node = node.child(part)
            attribute = f"{variable}.{node.attribute}"
            if last:
                return attribute
            variable = self.container(variable, node)
        return variable

    def selected(self, array: str, node: Node, select: Select) -> str:
        """The variable that holds the first item of an array with these values."""
        key = (array, f"{node.path}{select.wanted}")
        if key not in self.seen:
            item = node.items()
            tests = [
                self.among(f"x.{item.child(name).attribute}", list(choices))
                for name, choices in select.wanted
            ]
            name = self.fresh("x")
            test = " and ".join(["x is not None", *tests])
            self.line(f"{name} = next((x for x in {array} or () if {test}), None)")
            self.line(f"if {name} is None: {name} = {self.constant(item.empty)}")
            self.seen[key] = name
        return self.seen[key]

    def container(self, variable: str, node: Node) -> str:
        """The variable that holds a nested object, assigned once a scope."""
        key = (variable, node.path)
        if key not in self.seen:
            name = self.fresh("n")
            text = f"{name} = {variable}.{node.attribute}"
            if node.children and not node.required:
                text += f" or {self.constant(node.empty)}"
            self.line(text)
            self.seen[key] = name
        return self.seen[key]

    def node(self, path: Path, scope: tuple[str, Node]) -> Node:
        """The place in the shape that a path leads to."""
        variable, node = scope
        if path[:1] == ("$",):
            node, path = self.root, path[1:]
        while path[:1] == (ABOVE,):
            variable, node = self.parents.get(variable, ("d", self.root))
            path = path[1:]
        if path == (VALUES,):
            return node.key if node.key is not None else node
        for part in path:
            node = node.child(part)
        return node

    def condition(self, when: When, scope: tuple[str, Node]) -> str:
        """An expression that is true where the message is as ``when`` says."""
        tests = []
        for path, condition in when.items():
            if (level := topic_level(path)) is not None:
                tests.append(self.among(f"levels[{self.constant(level)}]", condition.in_ or []))
                continue
            parts = parse_path(path)
            place = self.place(parts, scope)
            node = self.node(parts, scope)
            if condition.is_ is not None:
                test = f"{place} is not None"
                if node.children:
                    test += f" and {place} is not {self.constant(node.empty)}"
                tests.append(f"({test})" if condition.is_ == "present" else f"not ({test})")
            else:
                tests.append(self.among(place, condition.in_ or []))
        return " and ".join(tests) or "True"

    def among(self, place: str, values: list[Scalar]) -> str:
        """An expression that is true where the place holds one of the values."""
        if all(isinstance(value, str) for value in values):
            # Equality with a text is safe for any value, so no call is needed.
            if len(values) == 1:
                return f"{place} == {self.constant(values[0])}"
            return f"{place} in {self.constant(tuple(values))}"
        return f"{self.constant(scalars.Among(values))}({place})"

    def value(self, name: str, path: Path, scope: tuple[str, Node], *, optional: bool) -> None:
        """Assigns the raw value at a path; None where it is absent and may be."""
        place = self.place(path, scope)
        self.line(f"{name} = {place}")
        node = self.node(path, scope)
        if not optional and not node.required:
            self.line(f"if {name} is None: raise MISSING({self.constant(node.path)})")

    def narrow(self, name: str, kind: str, node: Node, *, optional: bool = False) -> None:
        """Sees to the kind of a value where other parts of the profile let others through."""
        if not node.plain(kind):
            shown = self.constant(f"`$.{node.path}`")
            text = f"{name} = REQUIRE({self.constant(kind)}, {name}, {shown})"
            self.line(f"if {name} is not None: {text}" if optional else text)
