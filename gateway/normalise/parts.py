"""The quantities of a reading: from their places to canonical numbers, and their registers."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from gateway.normalise.circumstances import CircumstancesText
from gateway.profiles import scalars
from gateway.profiles.layout import Layout
from gateway.profiles.layout import Register as RegisterFace
from gateway.profiles.models import (
    Block,
    MeasuredAt,
    Quantity,
    ScaleFrom,
    TextForm,
    UnitFrom,
)
from gateway.profiles.models import Register as RegisterModel
from gateway.profiles.paths import quantity_leaf
from gateway.profiles.shape import Node
from gateway.units import Conversion, conversion

MAX_SEQUENCE_MODULUS: Final = 2**63


class PartsText(CircumstancesText):
    """Writes the lines that take the quantities of one reading from the document."""

    def quantity(
        self, name: str, quantity: Quantity, scope: tuple[str, Node], device: str
    ) -> list[tuple[str | None, str]]:
        """Assigns the quantity's value or values; pairs of channel (None: the block's) and name."""
        if isinstance(quantity.channels, dict):
            named: list[tuple[str | None, str]] = []
            for channel, path in quantity.channels.items():
                variable = self.fresh("v")
                self.value(variable, path, scope, optional=True)
                node = self.node(path, scope)
                self.convert(
                    variable, name, quantity, device, node=node, optional=True, scope=scope
                )
                named.append((channel, variable))
            places = [self.node(path, scope).path for path in quantity.channels.values()]
            self.any_of(named, quantity, "`, `$.".join(places))
            return named
        if quantity.each is not None and isinstance(quantity.channels, list):
            return self.array(name, quantity, scope, device)
        if quantity.derived is not None:
            return [(None, self.derived(name, quantity, scope, device))]
        variable = self.fresh("v")
        optional = quantity.optional or bool(quantity.absent)
        path = quantity.from_ or ()
        self.moment_value(variable, path, quantity.then, scope, optional=optional)
        node = self.node(path, scope)
        self.convert(variable, name, quantity, device, node=node, optional=optional, scope=scope)
        return [(None, variable)]

    def derived(self, name: str, quantity: Quantity, scope: tuple[str, Node], device: str) -> str:
        """Assigns a number derived from several places; None where one of them is absent."""
        operation, paths = quantity.derived or ("sum", [])
        optional = quantity.optional or bool(quantity.absent)
        terms = []
        plain = quantity.model_copy(update={"unit": None, "scale": None})
        for path in paths:
            term = self.fresh("v")
            self.value(term, path, scope, optional=optional)
            node = self.node(path, scope)
            self.convert(
                term, name, plain, device, node=node, optional=optional, scope=scope, bare=True
            )
            terms.append(term)
        variable = self.fresh("v")
        text = _SIGNS[operation].join(terms)
        if operation == "quotient":
            text = f"({text}) if {' and '.join(terms[1:])} else None"
        if optional:
            text = f"None if {' is None or '.join(terms)} is None else {text}"
        self.line(f"{variable} = {text}")
        if optional or operation == "quotient":
            self.line(f"if {variable} is not None:")
            self.depth += 1
            before = len(self.lines)
            self.arithmetic(variable, name, quantity, device, scope)
            if len(self.lines) == before:
                self.line("pass")
            self.depth -= 1
        else:
            self.arithmetic(variable, name, quantity, device, scope)
        return variable

    def any_of(self, named: list[tuple[str | None, str]], quantity: Quantity, shown: str) -> None:
        """Some channel must be there, unless all of them are optional."""
        if not quantity.optional and not quantity.absent and len(named) > 1:
            none = " is ".join(variable for _, variable in named)
            self.line(f"if {none} is None: raise MISSING({self.constant(shown)})")

    def array(
        self, name: str, quantity: Quantity, scope: tuple[str, Node], device: str
    ) -> list[tuple[str | None, str]]:
        """Assigns the items of an array to their channels."""
        items = self.fresh("a")
        channels = quantity.channels or []
        self.value(items, quantity.each or (), scope, optional=quantity.optional)
        if quantity.optional:
            self.line(f"if {items} is None: {items} = ()")
        node = self.node(quantity.each or (), scope)
        shown = self.constant(node.path)
        fewest = 0 if quantity.optional else 1
        self.line(
            f"if not {fewest} <= len({items}) <= {len(channels)}: "
            f"raise CLASS({shown}, len({items}), {len(channels)})"
        )
        found: list[tuple[str | None, str]] = []
        for i, channel in enumerate(channels):
            variable = self.fresh("v")
            self.line(f"{variable} = {items}[{i}] if len({items}) > {i} else None")
            self.convert(
                variable, name, quantity, device, node=node.items(), optional=True, scope=scope
            )
            found.append((channel, variable))
        self.any_of(found, quantity, node.path)
        return found

    def convert(
        self, variable: str, name: str, quantity: Quantity, device: str, *, node: Node,
        optional: bool, scope: tuple[str, Node], bare: bool = False,
    ) -> None:  # fmt: skip
        """Turns the raw value into the canonical one, in place; ``bare`` only into a number."""
        self.absent(variable, quantity)
        start = len(self.lines)
        if optional:
            self.line(f"if {variable} is not None:")
            self.depth += 1
        known = self.known[name]
        kind = quantity_leaf(known, quantity)
        if kind != "any" and not quantity.text and quantity.then is None:
            self.narrow(variable, kind, node)
        if quantity.map is not None:
            word = self.worded(variable, scalars.Words(quantity.map, name))
            self.line(f"{variable} = {word}")
        if known.type == "time":
            zone = quantity.zone or self.model.zone or "UTC"
            self.time(variable, quantity.time or "iso", zone, device, text=bool(quantity.text))
        elif bare:
            if quantity.text:
                self.number(variable, quantity.text, self.constant(name))
        elif known.type in {"number", "money"}:
            before = dict(self.seen)
            self.arithmetic(variable, name, quantity, device, scope)
            self.seen = before
        if optional:
            self.depth -= 1
            if len(self.lines) == start + 1:
                self.lines.pop()

    def absent(self, variable: str, quantity: Quantity) -> None:
        """Takes away what the profile calls no value."""
        if quantity.absent:
            among = self.constant(scalars.Among([*quantity.absent, None]))
            self.line(f"if {among}({variable}): {variable} = None")

    def number(self, variable: str, text: TextForm, shown: str) -> None:
        """Reads a number that came as text, in place."""
        function = "HEX" if text == "hex" else "NUMBER"
        self.line(f"{variable} = {function}({variable}, {shown})")

    def arithmetic(
        self, variable: str, name: str, quantity: Quantity, device: str, scope: tuple[str, Node]
    ) -> None:
        """Brings a number into the canonical unit, in place."""
        shown = self.constant(name)
        money = self.known[name].type == "money"
        if quantity.text and quantity.derived is None:
            self.number(variable, quantity.text, shown)
        if isinstance(quantity.scale, ScaleFrom):
            factor = self.constant(
                scalars.DeviceFactor(self.devices, quantity.scale.parameter, quantity.scale.default)
            )
            self.line(f"{variable} = {factor}({device}, {variable}, {self.measured_at})")
        if isinstance(quantity.unit, UnitFrom):
            place = self.place(quantity.unit.from_, scope)
            self.line(
                f"{variable} = {self.constant(self.told_unit(name, quantity))}({place}, {variable})"
            )
        elif quantity.map is None:
            convert = self.conversion(name, quantity)
            exact = money or self.is_register(name, quantity) or convert.numerator != 1
            as_sent = quantity.derived is None and quantity.scale.__class__ is not ScaleFrom
            self.converted(variable, convert, exact=exact, as_sent=as_sent)
        if money:
            self.line(f"if not -MONEY < {variable} < MONEY: raise ABSURD({shown}, {variable})")

    def converted(self, variable: str, convert: Conversion, *, exact: bool, as_sent: bool) -> None:
        """Converts a number in place; ``exact``: to what an instrument shows.

        131881.85 Wh is 131.88185 kWh to an instrument, not 131.88185000000001: fifteen digits are
        what a double carries through a conversion, and more than a register shows.  A whole number
        as it was sent, divided by a power of ten, comes out so by itself.
        """
        divisor = convert.denominator
        shift = convert.numerator == 1 and divisor != 1 and str(divisor).strip("0") == "1"
        if exact and as_sent and shift and not convert.offset:
            quotient = f"{variable} / {divisor}"
            rounded = f"float('%.15g' % ({quotient}))"
            self.line(f"{variable} = {rounded} if {variable} % 1 else {quotient}")
            return
        if convert.numerator != 1:
            self.line(f"{variable} *= {convert.numerator}")
        if divisor != 1:
            self.line(f"{variable} /= {divisor}")
        if convert.offset:
            self.line(f"{variable} += {float(convert.offset)!r}")
        if exact and not convert.identity:
            self.line(f"{variable} = float('%.15g' % {variable})")

    @property
    def id(self) -> str:
        """What readings carry: name@version."""
        if "PROFILE" not in self.namespace:
            self.namespace["PROFILE"] = f"{self.model.profile}@{self.model.version}"
        return str(self.namespace["PROFILE"])

    def layout(self, block: Block, members: list[tuple[str, str, Quantity]]) -> Layout:
        """What readings with these quantities look like."""
        sequence = block.sequence
        return Layout(
            kind=self.model.kind,
            event=block.event,
            profile=f"{self.model.profile}@{self.model.version}",
            names=tuple(name for name, _, _ in members),
            registers={
                name: self.face(name, quantity)
                for name, _, quantity in members
                if self.is_register(name, quantity)
            },
            sequence_modulus=(sequence.modulus or MAX_SEQUENCE_MODULUS) if sequence else None,
            sequence_per_channel=bool(sequence and sequence.scope == "channel"),
            measured=isinstance(block.measured_at, MeasuredAt),
        )

    def is_register(self, name: str, quantity: Quantity) -> bool:
        """Whether the quantity only grows."""
        said = quantity.register_
        return name in self.model.registers if said is None else said is not False

    def face(self, name: str, quantity: Quantity) -> RegisterFace:
        """The register as the instrument shows it, in the canonical unit."""
        model = quantity.register_
        if not isinstance(model, RegisterModel):
            return RegisterFace()
        convert = self.conversion(name, quantity)
        full = model.full_scale or (10.0**model.digits if model.digits is not None else None)
        step = 10.0**-model.decimals if model.decimals is not None else None
        return RegisterFace(
            full_scale=convert.apply(full) if full is not None else None,
            resolution=convert.apply(step) if step is not None else None,
        )

    def conversion(self, name: str, quantity: Quantity) -> Conversion:
        """How the raw number becomes the canonical one."""
        known = self.known[name]
        unit = quantity.unit
        if isinstance(unit, UnitFrom):
            unit = unit.default
        return conversion(unit or known.unit, known.unit, _factor(quantity))

    def told_unit(self, name: str, quantity: Quantity) -> scalars.ToldUnit:
        """The conversions by the unit that the message tells."""
        spec = quantity.unit
        if not isinstance(spec, UnitFrom):
            raise TypeError(name)
        return scalars.ToldUnit(
            name, self.known[name].unit, _factor(quantity), spec.units, spec.default
        )


def _factor(quantity: Quantity) -> str:
    """The scale as a decimal text; one that the registry knows is applied apart."""
    return str(quantity.scale) if isinstance(quantity.scale, Decimal) else "1"


_SIGNS: Final = {"sum": " + ", "difference": " - ", "product": " * ", "quotient": " / "}
