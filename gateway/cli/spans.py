"""The bytes of a payload on a terminal, with what each is for."""

from collections.abc import Collection, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from gateway.spans import Span


def plain_span(span: Span) -> dict[str, object]:
    """A span for machines: offsets from and to (included), in hexadecimal, what for."""
    return {
        "from": span.start,
        "to": span.start + len(span.data) - 1,
        "hex": span.data.hex(),
        "what": span.what,
        "places": list(span.places),
    }


def offsets(span: Span) -> str:
    """``4-7``, or ``4`` of a single byte."""
    last = span.start + len(span.data) - 1
    return str(span.start) if last == span.start else f"{span.start}-{last}"


_STYLES: Final = {"value": "green", "structure": "cyan", "checksum": "dim", "unread": "yellow"}
_WIDEST: Final = 16
_FEW: Final = 4


def show_spans(spans: Sequence[Span], unread: Collection[str], to: Console | None = None) -> None:
    """Every byte of a payload, with what it is for; ``unread`` are places that no rule reads."""
    out = to or Console(highlight=False, soft_wrap=True)
    lost = sum(len(span.data) for span in spans if span.what == "unread")
    total = sum(len(span.data) for span in spans)
    told = f"{lost} of them nothing reads" if lost else "each of them is read"
    out.print(Text(f"{total} bytes, {told}", style="bold"))
    for span in spans:
        shown = span.data[:_WIDEST].hex(" ") + (" …" if len(span.data) > _WIDEST else "")
        line = Text(f"  {offsets(span):>9}  {shown:<24}  ")
        used = span.what != "value" or any(place not in unread for place in span.places)
        line.append(_purpose(span), style=_STYLES[span.what] if used else "yellow")
        if not used:
            line.append("  decoded, the profile has no rule for it", style="yellow")
        out.print(line)


def _purpose(span: Span) -> str:
    places = ", ".join(span.places[:_FEW])
    more = f" and {len(span.places) - _FEW} more" if len(span.places) > _FEW else ""
    if span.what == "value":
        return places + more
    if span.what == "unread":
        return "nothing reads it"
    return f"{span.what} of {places}{more}" if places else span.what
