"""A report as PDF/A-2b, by Typst: vector drawings, embedded fonts, text that can be read back.

The template ``paper.typ`` is constant; what a report says reaches it as data (`sys.inputs`), so no
text of a device can become markup.  Nothing is read but the template and the fonts of this folder.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.times import SECOND

if TYPE_CHECKING:
    import typst

    from gateway.reports.paper import Paper

STANDARD: Final = "a-2b"
"""PDF/A-2b, ISO 19005-2: readable in decades, fonts within."""

_LOCK: Final = threading.Lock()
_KEPT_WHITE: Final = frozenset("\n")


def pdf(paper: Paper) -> bytes:
    """The report as PDF.

    A character that the fonts do not have, or that cannot be printed, stands as ``[U+1F600]``: a
    paper must not show an empty box where a name was.
    """
    import typst  # noqa: PLC0415 - 80 MB that only who prints should load

    told = msgspec.to_builtins(paper)
    data = msgspec.json.encode(_printable(told)).decode()
    # One at a time: a report takes a whole core and up to 100 MB while it is set.
    with _LOCK:
        compiler = typst.Compiler(
            input=_template(),
            font_paths=_fonts(),
            ignore_system_fonts=True,
            sys_inputs={"paper": data},
        )
        made = compiler.compile(
            format="pdf", pdf_standards=[STANDARD], timestamp=paper.made_at // SECOND
        )
    if not isinstance(made, bytes):
        raise TypeError("typst: one PDF was expected")
    return made


@cache
def _template() -> bytes:
    return files(__package__).joinpath("paper.typ").read_bytes()


@cache
def _fonts() -> typst.Fonts:
    import typst  # noqa: PLC0415 - see `pdf`

    with as_file(files(__package__).joinpath("fonts")) as folder:
        return typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(folder)]
        )


@cache
def covered() -> frozenset[int]:
    """The code points that the text font has."""
    lines = files(__package__).joinpath("fonts", "coverage.txt").read_text("ascii").split()
    found: set[int] = set()
    for line in lines:
        first, _, last = line.partition("-")
        found.update(range(int(first, 16), int(last, 16) + 1))
    return frozenset(found)


def _printable(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else _shown(value)
    if isinstance(value, dict):
        return {key: _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return value


def _shown(text: str) -> str:
    known = covered()
    return "".join(c if ord(c) in known or c in _KEPT_WHITE else f"[U+{ord(c):04X}]" for c in text)
