"""A picture of each page of the console, in both languages, from a demo of half a minute.

``python -m tests.console.screenshots [FOLDER]``; they are to be looked at, not compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from playwright.sync_api import sync_playwright

from gateway.access.passwords import Hasher
from gateway.access.people import People, first_administrator, people, set_own_password
from gateway.access.roles import EVERYTHING
from gateway.api.app import make_app
from gateway.api.context import Api
from gateway.api.guard import Rates
from gateway.assembly import read_profiles
from gateway.casebook import Casebook
from gateway.queries.directory import Directory
from gateway.queries.seen import World
from gateway.sources.embedded import free_port
from gateway.store.duckdb import DuckDBStore
from gateway.store.gate import FlagLog
from gateway.times import rfc3339
from tests.api.world import status

if TYPE_CHECKING:
    from playwright.sync_api import Page

SECONDS = 30
DEVICES = 120
PASSWORD = "a sentence of my own"
SIZES = {"": (1440, 900), "-phone": (390, 844)}
PAGES: dict[str, str] = {
    "overview": "/",
    "flags": "/flags",
    "flag": "/flags/{flag}",
    "devices": "/devices",
    "meter": "/devices/{meter}",
    "dispenser": "/devices/{dispenser}",
    "sites": "/sites",
    "site": "/sites/{site}",
    "station": "/sites/{station}",
    "quarantine": "/quarantine",
    "quality": "/quality",
    "reports": "/reports",
    "profiles": "/profiles",
    "profile": "/profiles/electricity-meter-reference",
    "ingest": "/ingest",
    "message": "/ingest/0",
    "audit": "/audit",
    "users": "/users",
    "account": "/account",
}
VENDOR = "Reference"
VENDORS_PAGES: dict[str, str] = {"vendor": "/", "vendor-quality": "/quality"}
"""What the maker of the demo's instruments sees first."""


class Served:
    """What a demo has left, behind a server; its state is made up so that something moves."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        self._began = time.time()
        self._casebook = Casebook(data)
        self._store = DuckDBStore(data / "store.duckdb", memory_limit="512MB")
        directory = Directory(self._store, self._casebook)
        world = World(self._store, self._casebook, directory, read_profiles(()), data / "ledger")
        hasher = Hasher(cost=(1, 64))
        api = Api(world, status=self._status, hasher=hasher, rates=Rates(1000, 10_000))
        if first_administrator(self._casebook, hasher) is None:
            raise SystemExit("the demo's API has made the first account: begin with no data")
        (person,) = people(self._casebook)
        set_own_password(self._casebook, hasher, person, PASSWORD, session="")
        made = People(self._casebook, hasher, actor=person.name, scope=EVERYTHING)
        made.add("maker", "vendor", vendor=VENDOR)
        (maker,) = (each for each in people(self._casebook) if each.name == "maker")
        set_own_password(self._casebook, hasher, maker, PASSWORD, session="")
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(api, recent=FlagLog().since), port=self.port, log_config=None,
                timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.05)

    def _status(self) -> Any:
        received = int((time.time() - self._began) * 840)
        made = status(received=received)
        return msgspec.structs.replace(made, at=rfc3339(time.time_ns()))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._store.close()
        self._casebook.close()


def main(folder: Path) -> None:
    """Runs a demo, serves what it left, and takes the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        data = Path(scratch) / "data"
        command = [sys.executable, "-m", "gateway", "demo", "--seconds", str(SECONDS)]
        subprocess.run(
            [*command, "--devices", str(DEVICES), "--data", str(data), "--json"],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180,
        )  # fmt: skip
        # Its first account had a password that nobody has read: the people are made anew.
        _forget_people(data)
        served = Served(data)
        try:
            count = _pictures(f"http://127.0.0.1:{served.port}", folder)
        finally:
            served.close()
    print(f"{count} pictures in {folder}")


def _forget_people(data: Path) -> None:
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(data / "casebook.sqlite") as casebook:
        for table in ("session", "token", "person"):
            names = casebook.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ?",
                [f"%{table}"],
            ).fetchall()
            for (name,) in names:
                casebook.execute(f"DELETE FROM {name}")
    casebook.close()


def _pictures(base: str, folder: Path) -> int:
    program = shutil.which("chromium")
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=words)
        for language in ("en", "zh"):
            for suffix, (width, height) in SIZES.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height}, timezone_id="Asia/Shanghai",
                    color_scheme="dark" if suffix else "light",
                )  # fmt: skip
                page = context.new_page()
                page.goto(f"{base}/?lang={language}")
                page.evaluate("name => localStorage.setItem('language', name)", language)
                page.locator("input[type=password]").wait_for()
                page.screenshot(path=folder / f"login-{language}{suffix}.png")
                _log_in(page, "administrator")
                names = _names(page)
                pages = {name: to.format(**names) for name, to in PAGES.items()}
                _of_each(page, base, folder, pages, f"{language}{suffix}")
                context.clear_cookies()
                page.goto(base)
                _log_in(page, "maker")
                _of_each(page, base, folder, VENDORS_PAGES, f"{language}{suffix}")
                count += 1 + len(pages) + len(VENDORS_PAGES)
                context.close()
        browser.close()
    return count


def _log_in(page: Page, name: str) -> None:
    page.locator("input[autocomplete=username]").fill(name)
    page.locator("input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator(".nav").wait_for()


def _of_each(page: Page, base: str, folder: Path, pages: dict[str, str], suffix: str) -> None:
    for name, address in pages.items():
        page.goto(base + address)
        page.locator("h1").first.wait_for()
        page.wait_for_timeout(300)
        page.locator(".skeleton").first.wait_for(state="detached")
        page.wait_for_timeout(700)
        page.screenshot(path=folder / f"{name}-{suffix}.png", full_page=True)


def _names(page: Page) -> dict[str, str]:
    def first(path: str) -> dict[str, Any]:
        told = page.evaluate("p => fetch('/api/v1/' + p).then((r) => r.json())", path)
        return dict(told["items"][0])

    flag = first("flags?limit=1&code=amount_mismatch")
    sites = page.evaluate("fetch('/api/v1/sites').then((r) => r.json())")["items"]
    station = next(each["site"] for each in sites if "station" in each["heads"])
    return {
        "flag": flag["id"],
        "dispenser": flag["device_id"],
        "meter": first("devices?limit=1&kind=electricity_meter")["device_id"],
        "site": first("sites")["site"],
        "station": station,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
