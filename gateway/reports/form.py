"""In which form a report is wanted, and making it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from gateway.errors import ConfigError
from gateway.reports.html import html
from gateway.reports.pdf import pdf

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.reports.paper import Paper

Form = Literal["pdf", "html"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
MEDIA: Final[dict[Form, str]] = {"pdf": "application/pdf", "html": "text/html; charset=utf-8"}


def made(paper: Paper, form: Form) -> bytes:
    """The report in a form."""
    return pdf(paper) if form == "pdf" else html(paper)


def form_of(path: Path) -> Form:
    """The form that a file's name asks for.

    Raises:
        ConfigError: it is neither.
    """
    for form in FORMS:
        if path.suffix.lower() == f".{form}":
            return form
    raise ConfigError(f"{path}: a report is .pdf or .html")


def accepted(accept: str) -> Form:
    """The form that an HTTP header ``Accept`` asks for; HTML where it takes both."""
    found: dict[Form, float] = {}
    for part in accept.split(","):
        media, *parameters = (each.strip() for each in part.split(";"))
        weight = 1.0
        for each in parameters:
            if each.startswith("q="):
                try:
                    weight = float(each[2:])
                except ValueError:
                    weight = 0.0
        for form in FORMS:
            if media == MEDIA[form].partition(";")[0]:
                found[form] = weight
    return "pdf" if found.get("pdf", 0.0) > found.get("html", 0.0) else "html"
