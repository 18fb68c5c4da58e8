"""From a document to readings: each profile compiled once into one plain function.

The function is written as Python source and compiled when the profile is loaded, so that nothing
interprets YAML per message.  Only names that this package makes up stand in that source; every
text and number of the profile comes in by the function's namespace.  ``Normaliser.source`` shows
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from gateway.normalise.circumstances import told_channel
from gateway.normalise.parts import MAX_SEQUENCE_MODULUS, PartsText
from gateway.profiles.layout import Layout
from gateway.profiles.models import Block, Path, ProfileModel, Quantity
from gateway.profiles.notation import levels_of
from gateway.profiles.paths import message_conditions
from gateway.profiles.shape import Node
from gateway.records import Device, Reading

__all__ = ["MAX_SEQUENCE_MODULUS", "Emitted", "Normaliser", "Read", "compile_normaliser"]


Emitted = tuple[int, Reading]
Read = Callable[[Any, Mapping[str, str], int, int, list[Emitted]], bool]


class Normaliser(NamedTuple):
    """A compiled profile.

    Attributes:
        accepts: whether the document is this profile's by ``match.when``.
        read: ``read(document, levels, received_at, ledger_offset, out)`` appends
            ``(index of layout, reading)`` pairs and returns whether the message belongs to a block
            (False: it is named by ``ignore``).  Raises DecodeError with reason ``no_reading``,
            ``missing_field``, ``wrong_type``, ``absurd_number``, ``bad_time``, ``unknown_word`` or
            ``bad_device_id``.
        layouts: what readings of each index look like.
        source: the generated Python source.
    """

    accepts: Callable[[Any], bool]
    read: Read
    layouts: tuple[Layout, ...]
    source: str


def compile_normaliser(
    model: ProfileModel, root: Node, levels: set[str], devices: Mapping[str, Device]
) -> Normaliser:
    """Compiles ``read`` and ``match.when`` of a profile against its shape."""
    writer = _ProfileText(model, root, levels, devices)
    writer.accepts()
    writer.read()
    source = "\n".join(writer.lines) + "\n"
    # See the module's docstring: the source holds only names made here.
    exec(compile(source, f"<{model.profile}>", "exec"), writer.namespace)  # noqa: S102
    return Normaliser(
        writer.namespace["accepts"], writer.namespace["read"], tuple(writer.layouts), source
    )


class _ProfileText(PartsText):
    """Writes the two functions of a profile: block by block, item by item."""

    def accepts(self) -> None:
        self.line("def accepts(d):")
        self.depth = 1
        when = message_conditions(self.model)
        self.line(f"return {self.condition(when, ('d', self.root))}")
        self.depth = 0
        self.seen.clear()

    def read(self) -> None:
        self.line("def read(d, levels, received, offset, out):")
        self.depth = 1
        self.line("matched = ignored = False")
        each: dict[Path, list[Block]] = {}
        for block in self.model.read:
            if block.each is not None:
                each.setdefault(block.each, []).append(block)
        for block in self.model.read:
            if block.each is None:
                self.guarded(block, ("d", self.root), "matched")
            elif each.get(block.each):
                self.items(block.each, each.pop(block.each))
        self.ignored()
        self.depth = 0

    def ignored(self) -> None:
        """What becomes of a message without a reading: left out on purpose, or refused."""
        self.line("if out: return True")
        self.line("if not matched:")
        self.depth += 1
        for ignore in self.model.ignore:
            if ignore.each is None:
                before = dict(self.seen)
                self.line(f"if {self.condition(ignore.when, ('d', self.root))}: return False")
                self.seen = before
        self.line("if ignored: return False")
        self.depth -= 1
        no_value, no_reading = self.constant(_NO_VALUE), self.constant(_NO_READING)
        self.line(f"raise FAIL('no_reading', {no_value} if matched else {no_reading})")

    def items(self, path: Path, blocks: list[Block]) -> None:
        self.loop(levels_of(path), ("d", self.root), path, blocks)

    def loop(
        self,
        levels: list[tuple[Path, bool]],
        scope: tuple[str, Node],
        path: Path,
        blocks: list[Block],
    ) -> None:
        """A loop over an array or mapping, and those in it; the blocks are in the innermost."""
        (segment, mapping), *rest = levels
        array = self.place(segment, scope)
        node = self.node(segment, scope).items()
        item = self.fresh("item")
        if mapping:
            self.keys[item] = self.fresh("key")
            self.line(f"for {self.keys[item]}, {item} in ({array} or EMPTY).items():")
        else:
            self.line(f"for {item} in {array} or ():")
        self.parents[item] = scope
        self.depth += 1
        no_item = self.constant(_NO_ITEM)
        self.line(f"if {item} is None: raise FAIL('no_reading', {no_item})")
        before = dict(self.seen)
        if rest:
            self.loop(rest, (item, node), path, blocks)
        else:
            self.item(path, (item, node), blocks)
        self.seen = before
        self.depth -= 1

    def item(self, path: Path, scope: tuple[str, Node], blocks: list[Block]) -> None:
        """What becomes of one item: a block reads it, it is ignored, or it is refused."""
        hit, length = self.fresh("hit"), self.fresh("length")
        self.line(f"{hit} = False; {length} = len(out)")
        for block in blocks:
            self.guarded(block, scope, hit)
        self.line(f"if len(out) == {length}:")
        self.depth += 1
        for ignore in self.model.ignore:
            if ignore.each == path:
                test = self.condition(ignore.when, scope)
                self.line(f"if not {hit} and {test}: ignored = True; continue")
        no_item = self.constant(_NO_ITEM)
        self.line(f"raise FAIL('no_reading', {self.constant(_NO_VALUE)} if {hit} else {no_item})")
        self.depth -= 1

    def guarded(self, block: Block, scope: tuple[str, Node], hit: str) -> None:
        before = dict(self.seen)
        if block.when:
            self.line(f"if {self.condition(block.when, scope)}:")
            self.depth += 1
        self.line(f"{hit} = True")
        inner = dict(self.seen)
        self.block(block, scope)
        self.seen = before if block.when else inner
        if block.when:
            self.depth -= 1

    def block(self, block: Block, scope: tuple[str, Node]) -> None:
        device = self.device(block, scope)
        at, quality = self.measured(block, scope, device)
        self.measured_at = at
        sequence = "None"
        if block.sequence is not None:
            sequence = self.fresh("s")
            optional = block.sequence.optional
            self.value(sequence, block.sequence.from_, scope, optional=optional)
            node = self.node(block.sequence.from_, scope)
            text = block.sequence.text
            self.narrow(sequence, "text" if text else "integer", node, optional=optional)
            if text:
                self.whole(sequence, text, optional=optional)
        status = self.status(block, scope)
        channel = self.channel(block, scope)
        # Quantities without a channel of their own share a reading with those that name it.
        own = None if told_channel(block) else self.default_channel(block)
        groups: dict[str | None, list[tuple[str, str, Quantity]]] = {}
        for name, quantity in block.quantities.items():
            for word, variable in self.quantity(name, quantity, scope, device):
                groups.setdefault(word or own, []).append((name, variable, quantity))
        if not groups:
            groups[None] = []
        for word, members in groups.items():
            self.emit(
                block, members, device=device, at=at, quality=quality, sequence=sequence,
                status=status, channel=self.constant(word) if word is not None else channel,
            )  # fmt: skip

    def emit(
        self, block: Block, members: list[tuple[str, str, Quantity]], *, device: str, at: str,
        quality: str, sequence: str, status: str, channel: str,
    ) -> None:  # fmt: skip
        layout = self.layout(block, members)
        values = "".join(f"{variable}, " for _, variable, _ in members)
        money = any(self.known[name].type == "money" for name, _, _ in members)
        currency = "None"
        if money:
            currency = self.constant(self.model.currency)
            if self.currencies.changing:
                currency = f"CURRENCY_AT({device}, {at}, {currency})"
            elif self.currencies.plain:
                currency = f"CURRENCY({device}, {currency})"
        constants = [self.constant(self.model.kind), self.constant(block.event)]
        reading = (
            f"R({device}, {constants[0]}, {constants[1]}, {channel}, {at}, received, {sequence}, "
            f"{quality}, {status}, {currency}, {self.constant(self.id)}, offset, "
            f"{self.constant(layout.names)}, ({values}))"
        )
        text = f"out.append(({len(self.layouts)}, {reading}))"
        self.layouts.append(layout)
        certain = not members or any(
            not q.optional and not q.absent and q.channels is None for _, _, q in members
        )
        if certain:
            self.line(text)
        else:
            present = " or ".join(f"{variable} is not None" for _, variable, _ in members)
            self.line(f"if {present}:")
            self.line(f"    {text}")


_NO_READING: Final = (
    "the message fits no block of the profile: add a block, or name it under 'ignore'"
)
_NO_VALUE: Final = "a block of the profile fits, but none of its quantities is there"
_NO_ITEM: Final = (
    "an item of the array fits no block of the profile: add a block, or name it under 'ignore'"
)
