"""What the commands that write reports share."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import progress_console
from gateway.errors import ConfigError
from gateway.messages import Texts
from gateway.reports.form import Form, form_of, made
from gateway.reports.paper import Paper

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="The file, .pdf or .html; - is standard output, as HTML.",
        show_default=False,
    ),
]  # fmt: skip


def checked_form(out: Path | None) -> Form:
    """The form of a file, known before the work begins.

    Raises:
        ConfigError: its name is neither .pdf nor .html.
    """
    return "html" if out is not None and str(out) == "-" else "pdf" if out is None else form_of(out)


def write(paper: Paper, out: Path, texts: Texts) -> None:
    """Writes a report and says so on standard error.

    Raises:
        ConfigError: the file cannot be written.
    """
    content = made(paper, checked_form(out))
    if str(out) == "-":
        typer.get_binary_stream("stdout").write(content)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from None
    progress_console().print(texts("report.written", file=out))
