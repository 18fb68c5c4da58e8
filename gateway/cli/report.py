"""``gateway report``: a district's week or month on paper."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from gateway.access.roles import checked_region
from gateway.cli.flag_options import ReportLanguage, texts_in
from gateway.cli.output import Data, Profiles, examples, existing
from gateway.cli.report_file import Out, checked_form, write
from gateway.flags.states import checked_actor
from gateway.reports.district_paper import district_report
from gateway.reports.offline import request_of
from gateway.reports.periods import checked

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(
    epilog=examples(
        "gateway report --data data --region 3301 --month 2026-11",
        "gateway report --data data --week 2026-W47 --language zh -o week.html",
    ),
)
def report(  # noqa: PLR0917 - typer takes its options so
    data: Data = Path("data"),
    region: Annotated[
        str, typer.Option(help="District, a beginning of a GB/T 2260 code. Default: all.")
    ] = "",
    month: Annotated[str | None, typer.Option(help="The month, as 2026-11.")] = None,
    week: Annotated[str | None, typer.Option(help="The week (ISO 8601), as 2026-W47.")] = None,
    out: Out = None,
    lang: ReportLanguage = None,
    actor: Annotated[
        str | None, typer.Option("--actor", help="Who makes it; default: the login.")
    ] = None,
    profiles: Profiles = None,
) -> None:
    """Writes the report of a district's week or month as PDF or HTML.

    Instruments alive, flags by code, severity and outcome against the period before, data quality
    by vendor and model, verifications falling due, instruments to look at first. The gateway may
    run or not. Default: report-REGION-PERIOD.pdf.
    """
    period = checked(month, week)
    checked_form(out)
    checked_region(region)
    texts = texts_in(lang)
    existing(data, "store.duckdb")
    by = checked_actor(getpass.getuser() if actor is None else actor)
    with request_of(data, by=by, profiles=profiles or (), region=region) as request:
        paper = district_report(request, None, None, period, texts)
    name = f"report-{region or 'all'}-{period.name}.pdf"
    write(paper, out or Path(name), texts)
