"""The console over a large district while messages come in: each page in Chromium, and intake.

``python -m tests.benchmarks.console [--visits N] [--rate N] [--json FILE] [--small]``.  The
gateway, its API, the broker, the publisher and the browser share the machine's cores.  A page is
there when its heading is and nothing on it waits any more; each visit loads the page anew, as a
link from an e-mail would.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from gateway.sources.embedded import free_port
from tests.benchmarks import district, proc, publisher
from tests.benchmarks.broker import Broker
from tests.benchmarks.gateway_process import CLIENT_ID, Gateway, decided
from tests.benchmarks.load import fleet
from tests.benchmarks.report import Result, show, target, write_json
from tests.benchmarks.wire import make_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, Page

RATE = 5_000
ALONE_S = 20.0
PAGE_MS, PLOT_MS = 1_000, 500
SLOWER = 0.10
LONGEST_S = 60.0
SMALL = district.Size(devices=2_000, readings=500_000, flags=500, year_long=10)
PAGES = {
    "overview": "/",
    "flags": "/flags",
    "flags, all, of a code": "/flags?status=all&code=register_decrease",
    "flag": "/flags/flag-77",
    "devices": "/devices",
    "devices, searched": "/devices?text=d-0012",
    "device": "/devices/d-000000",
    "sites": "/sites",
    "site": "/sites/site 91",
    "station": f"/sites/{district.SITE}",
    "feeder": f"/devices/{district.device_id(district.FEEDER)}",
    "quarantine": "/quarantine",
    "quality": "/quality",
    "reports": "/reports",
    "profiles": "/profiles",
    "profile": "/profiles/electricity-meter-reference",
    "ingest": "/ingest",
    "audit": "/audit",
    "users": "/users",
    "account": "/account",
}
# When the heading is there and no part waits; it may wait again, so the last time counts.
WATCH = """
new MutationObserver(() => {
  const there = document.querySelector('main h1') && !document.querySelector('.skeleton');
  if (!there) window.whole = null;
  else window.whole ??= performance.now();
}).observe(document, { childList: true, subtree: true });
"""
ZOOM = """async (span) => {
  const begin = performance.now();
  document.querySelector(`[data-span="${span}"]`).click();
  await new Promise((done) => {
    const look = () =>
      document.querySelector('.plot canvas') && !document.querySelector('.skeleton')
        ? requestAnimationFrame(done) : setTimeout(look, 4);
    setTimeout(look, 4);
  });
  return performance.now() - begin;
}"""


@dataclass
class Seen:
    """Milliseconds of each visit, by page; of each plot of a year; and the rates in msg/s."""

    pages: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    plots: list[float] = field(default_factory=list)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)


class Rates:
    """Received and decided messages a second between two looks at the metrics."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._at, self._counts = self._look()

    def _look(self) -> tuple[float, dict[str, float]]:
        found = self._gateway.metrics()
        received = sum(v for k, v in found.items() if k.startswith("gateway_received_total"))
        return time.monotonic(), {"received": received, "decided": decided(found)}

    def turn(self) -> dict[str, float]:
        """The rates since the last turn."""
        before_at, before = self._at, self._counts
        self._at, self._counts = self._look()
        return {
            name: (count - before[name]) / (self._at - before_at)
            for name, count in self._counts.items()
        }


def run(folder: Path, size: district.Size, visits: int, rate: int) -> Seen:
    """Makes the district, starts everything, and looks at each page ``visits`` times.

    Without a ``rate`` some messages come in, which the flags are about, and no more.
    """
    live = fleet(publisher.DEVICES, publisher.SEED)
    data, port = folder / "data", free_port()
    _say("making the district")
    district.make(data, size, time.time_ns(), live)
    seen = Seen()
    with Broker(folder / "broker") as broker:
        make_session(broker.host, broker.port, CLIENT_ID)
        api = f"[api]\nport = {port}\nrequests_per_second = 500\n"
        with Gateway(folder, broker, extra=api) as gateway:
            gateway.start().wait_online(120)
            out = folder / "published.json"
            lasts = 3600 if rate else 1
            words = (
                "tests.benchmarks.publisher", broker.host, broker.port, rate or RATE, lasts, out,
            )  # fmt: skip
            fleet_process = subprocess.Popen(proc.module(*words))
            try:
                time.sleep(5)
                rates = Rates(gateway)
                time.sleep(ALONE_S)
                seen.rates["alone"] = rates.turn()
                _look(f"http://127.0.0.1:{port}", seen, visits)
                seen.rates["looked at"] = rates.turn()
                seen.rates["api"] = {"rss_mib": _api_rss(gateway) / 1_048_576}
            finally:
                fleet_process.terminate()
                fleet_process.wait(60)
            published = json.loads(out.read_text())
            gateway.wait_decided(published["acknowledged"], 120)
            gateway.stop()
    return seen


def _api_rss(gateway: Gateway) -> int:
    others = [each for each in proc.children(gateway.pid) if each != gateway.worker]
    return max((proc.rss_bytes(each) for each in others), default=0)


def _look(url: str, seen: Seen, visits: int) -> None:
    browser_program = shutil.which("chromium")
    assert browser_program, "Chromium is missing: make servers"
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program, args=words)
        page = _logged_in(browser, url)
        for turn in range(visits + 1):
            for name, path in PAGES.items():
                taken = _visit(page, url + path)
                if turn == 0:
                    seen.first[name] = taken
                else:
                    seen.pages.setdefault(name, []).append(taken)
            _say(f"visit {turn} of {visits}")
        page.goto(f"{url}/devices/d-000001")
        page.locator(".plot canvas").first.wait_for()
        for _ in range(max(visits, 2)):
            page.wait_for_timeout(300)
            page.evaluate(ZOOM, "week")
            page.wait_for_timeout(300)
            seen.plots.append(page.evaluate(ZOOM, "year"))
        browser.close()


def _logged_in(browser: Browser, url: str) -> Page:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Account", exact=True).fill("administrator")
    page.get_by_label("Password", exact=True).fill(district.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.locator(".nav").wait_for()
    context.add_init_script(WATCH)
    return page


def _visit(page: Page, address: str) -> float:
    """Loads a page; milliseconds until it is whole and stays so for a quarter of a second."""
    page.goto(address)
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        page.wait_for_timeout(100)
        whole, now = page.evaluate("[window.whole ?? null, performance.now()]")
        if whole is not None and now - whole > 250:
            return float(whole)
    raise RuntimeError(f"{address} is not whole in {LONGEST_S:.0f} s")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figures(seen: Seen) -> list[Result]:
    """What was seen, held to what was set."""
    worst = {name: percentile(taken, 0.95) for name, taken in seen.pages.items()}
    slowest = max(worst.values())
    plot = percentile(seen.plots, 0.95)
    alone, looked = seen.rates["alone"], seen.rates["looked at"]
    late = [name for name, taken in worst.items() if taken > PAGE_MS]
    made = [
        Result(
            "console_page_p95",
            slowest,
            "ms",
            targets=[target(f"{PAGE_MS} ms, every page", not late)],
            detail={
                name: f"p50 {percentile(taken, 0.5):.0f}, p95 {worst[name]:.0f}, "
                f"first {seen.first[name]:.0f}"
                for name, taken in seen.pages.items()
            },
        ),
        Result(
            "console_year_plot_p95", plot, "ms", targets=[target(f"{PLOT_MS} ms", plot <= PLOT_MS)],
            detail={"p50": round(percentile(seen.plots, 0.5))},
        ),
    ]  # fmt: skip
    if alone["received"] < 1:
        return made  # nothing came in that could be slowed
    return [
        *made,
        Result(
            "intake_looked_at",
            looked["received"],
            "msg/s",
            ("alone", alone["received"]),
            [target("not 10 % slower", looked["received"] >= (1 - SLOWER) * alone["received"])],
            {
                "decided": round(looked["decided"]),
                "decided_alone": round(alone["decided"]),
                "api_rss_mib": round(seen.rates["api"]["rss_mib"]),
            },
        ),
    ]  # fmt: skip


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints, writes down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--visits", type=int, default=20, help="of each page")
    parser.add_argument("--rate", type=int, default=RATE, help="messages a second that come in")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--small", action="store_true", help="a small district, to try it out")
    options: Any = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
        size = SMALL if options.small else district.Size()
        seen = run(Path(folder), size, options.visits, options.rate)
    results = figures(seen)
    show(results, None, f"{options.rate:,} msg/s coming in, {options.visits} visits of each page")
    if options.json:
        write_json(options.json, results, None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
