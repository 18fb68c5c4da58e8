"""What a report consists of, before it is HTML or PDF: a short list of kinds of blocks.

Both forms are made from the same blocks, so what one says the other says.  Every text is plain:
nothing in it is ever taken for markup.
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal

import msgspec

from gateway.messages import Language

WIDTH: Final = 104
"""Characters that a line of a listing has room for."""

Tone = Literal["note", "good", "bad"]


class Heading(msgspec.Struct, frozen=True, tag="heading"):
    """The beginning of a section."""

    text: str


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A paragraph."""

    text: str


class Notice(msgspec.Struct, frozen=True, tag="notice"):
    """A paragraph that must not be overlooked."""

    text: str
    tone: Tone = "note"


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """Names with their values."""

    rows: list[tuple[str, str]]


class Tile(msgspec.Struct, frozen=True):
    """A figure that stands for itself, and what it is held against."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "note"


class Tiles(msgspec.Struct, frozen=True, tag="tiles"):
    """The figures that matter most, side by side."""

    items: list[Tile]


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Rows under columns; ``numeric`` are the columns that stand to the right.

    ``widths`` are parts of the whole by column, ``marked`` the row that all the others are about.
    """

    columns: list[str]
    rows: list[list[str]]
    numeric: list[int] = []
    widths: list[int] = []
    marked: int | None = None


class Figure(msgspec.Struct, frozen=True, tag="figure"):
    """A drawing; the caption says in words what it shows."""

    svg: str
    caption: str


class Listing(msgspec.Struct, frozen=True, tag="listing"):
    """Lines as they are, in a fixed pitch; none is longer than `WIDTH` (see `wrapped`)."""

    text: str


def wrapped(text: str) -> Listing:
    """A listing whose long lines go on in the next line; wide characters count twice."""
    lines = []
    for line in text.splitlines():
        room, part = WIDTH, ""
        for char in line.expandtabs():
            wide = 1 + (unicodedata.east_asian_width(char) in "WF")
            if wide > room:
                lines.append(part)
                room, part = WIDTH, ""
            part, room = part + char, room - wide
        lines.append(part)
    return Listing("\n".join(lines))


Block = Heading | Text | Notice | Facts | Tiles | Table | Figure | Listing


class Paper(msgspec.Struct, frozen=True):
    """A whole report.

    ``running`` stands on each page, ``made`` says who made it and
    when, ``made_at`` in ns, ``page`` how pages are
    counted, with ``{page}`` and ``{pages}`` in it.
    """

    language: Language
    title: str
    subtitle: str
    running: str
    made: str
    made_at: int
    page: str
    blocks: list[Block]
