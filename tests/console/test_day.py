"""An inspector's day in a real browser, and every page held to WCAG by axe-core."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from gateway import orders
from gateway.access.roles import EVERYTHING
from gateway.store import Reprocessing
from tests.api.world import REGIONS
from tests.console.conftest import told
from tests.store.made import flag, results

pytestmark = pytest.mark.xdist_group("console-browser")
OWN = "a sentence of my own"
MINE = "w-330106-acme"
ELSEWHERE = "w-310101-acme"
RULES = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
}
expect.set_options(timeout=30_000)
SERIOUS = {"serious", "critical"}
BOTH = 3
PAGES = (
    "/", "/flags", f"/flags/flag-{MINE}", "/devices", f"/devices/{MINE}", "/sites",
    f"/sites/site {REGIONS[0]}", "/quarantine", "/quality?since=2023-11-14&until=2023-11-14",
    "/reports",
    "/profiles", "/profiles/water-meter-reference", "/ingest", "/ingest/0", "/audit", "/users",
    "/account",
)  # fmt: skip
VENDORS_PAGES = ("/", "/flags?status=all", f"/flags/flag-{MINE}", "/quarantine")


@pytest.fixture
def tab(browser, served):
    """A page of its own; what its script throws fails the test."""
    context = browser.new_context(
        base_url=served.url, locale="en-GB", viewport={"width": 1366, "height": 800}
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def _log_in(page, name, password):
    page.get_by_label("Account", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()


def _account(served, name, role, region="", vendor=None):
    """An account with its one-time password."""
    return served.bureau.people.add(name, role, region=region, vendor=vendor)


def _settled(page):
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)


def _commit(bureau, **more):
    """What processing does when it finds something."""
    made = [flag(1, device_id=MINE, kind="water_meter", ledger_offset=0, **more)]
    offset = bureau.store.checkpoint().next_offset + 1
    bureau.store.commit(results(flags=made, next_offset=offset))
    bureau.flag_log.add(made)


def test_an_inspectors_day(tab, served):
    password = _account(served, "li", "inspector", REGIONS[0])
    tab.goto("/flags")
    _log_in(tab, "li", "nonsense")
    expect(tab.get_by_role("alert")).to_have_text("Account or password is wrong.")
    _log_in(tab, "li", password)
    expect(tab.get_by_role("heading", name="Set a password of your own")).to_be_visible()
    tab.get_by_label("Present password").fill(password)
    tab.get_by_label("New password", exact=True).fill(OWN)
    tab.get_by_label("New password again").fill(OWN)
    tab.get_by_role("button", name="Set password").click()

    expect(tab.get_by_role("heading", name="Flags")).to_be_visible()
    expect(tab.locator(".live-mark")).to_have_attribute("data-on", "true")
    tab.get_by_label("Severity").select_option("critical")
    expect(tab).to_have_url(re.compile("severity=critical"))
    tab.wait_for_timeout(1200)  # the first look of the stream only finds where to begin
    evidence = {
        "quantity": "volume", "observed": 15.4, "expected": 12.0, "tolerance": 0.5, "unit": "m3",
        "formula": "volume = before x factor", "inputs": {"before": 4.0, "factor": 3.0},
    }  # fmt: skip
    _commit(served.bureau, id="new-1", severity="critical", evidence=evidence)
    tab.get_by_role("button", name="Show 1 new").click()
    tab.locator("tbody a.strong").first.click()

    expect(tab).to_have_url(re.compile("/flags/new-1$"))
    expect(tab.locator(".figure.bad strong")).to_have_text("15.4 m³")
    expect(tab.locator(".formula")).to_contain_text("= 4 × 3 = 12")
    expect(tab.locator(".formula .verdict")).to_have_class(re.compile("good"))
    expect(tab.locator(".ruler")).to_be_visible()
    expect(tab.locator(".plot canvas").first).to_be_visible()
    tab.get_by_role("button", name="Verify").click()
    expect(tab.locator(".proof-verdict .verdict")).to_contain_text("The proof holds")

    tab.get_by_role("button", name="Acknowledge").click()
    expect(tab.locator(".flag-marks")).to_contain_text("acknowledged")
    tab.get_by_role("button", name="Dismiss").click()
    expect(tab.get_by_role("dialog")).to_be_visible()
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_role("button", name="Confirm").click()
    expect(tab.locator(".flag-marks")).to_contain_text("confirmed")
    expect(tab.locator(".history")).to_contain_text("li")
    last = served.bureau.casebook.audit(limit=1)[0]
    assert (last.actor, last.action, last.subject) == ("li", "flag.confirm", "new-1")

    tab.goto(f"/sites/site {REGIONS[0]}")
    expect(tab.locator(".balance-head")).to_be_visible()
    expect(tab.locator(".main")).to_contain_text(f"Master meter {MINE}")
    expect(tab.locator(".main .plot canvas")).to_have_count(2)
    tab.go_back()

    with tab.expect_popup() as opened:
        tab.get_by_role("link", name="Web page").click()
    paper = opened.value
    expect(paper.locator("h1").first).to_contain_text("Evidence report")
    expect(paper.locator("body")).to_contain_text("new-1")
    to_print = tab.get_by_role("link", name="PDF").get_attribute("href")
    printed = tab.request.get(to_print)
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.body().startswith(b"%PDF-")
    _reprocess(tab, served)


def _reprocess(tab, served):
    """What cannot be read is decided again; processing is played by the test."""
    tab.goto("/quarantine")
    tab.get_by_role("button", name="Cannot be parsed").first.click()
    tab.get_by_role("button", name="Reprocess these").click()
    box = tab.get_by_role("dialog")
    expect(box).to_contain_text("Cannot be parsed · water-meter-reference@1.0.0 · 5 messages")
    box.get_by_role("button", name="Reprocess these").click()
    expect(box).to_have_count(0)
    expect(tab.locator(".order-waiting")).to_be_visible()
    book = served.bureau.casebook
    taken = orders.take_up(book, below=3000, latest=None)
    expect(tab.locator(".order-running")).to_be_visible()
    outcome = Reprocessing(taken.order.number, 1004, decided=5, stored=3, refused=2)
    orders.end(book, taken.order, outcome)
    expect(tab.locator(".order-done")).to_be_visible()
    expect(tab.locator(".order-result")).to_contain_text("5 decided")
    expect(tab.locator(".toast")).to_contain_text("3 read, 2 still refused")
    tab.get_by_role("button", name="Reprocess these").click()
    expect(box).to_be_visible()
    assert _faults(tab, "reprocessing") == []


def test_another_district_is_not_there_whatever_the_address(tab, served):
    password = _account(served, "wu", "inspector", REGIONS[0])
    tab.goto(f"/devices/{ELSEWHERE}")
    _enter(tab, "wu", password)
    expect(tab.get_by_role("alert")).to_contain_text("no such thing")
    for address in (f"/flags/flag-{ELSEWHERE}", f"/sites/site {REGIONS[2]}", "/users", "/audit"):
        tab.goto(address)
        expect(tab.locator("main")).not_to_have_text("")
        _settled(tab)
        assert ELSEWHERE not in tab.locator("main").inner_text()
    tab.goto("/devices")
    _settled(tab)
    shown = tab.locator("tbody a.strong").all_inner_texts()
    assert shown
    assert all(REGIONS[0] in each for each in shown)


def test_bulk_decisions_by_keyboard_alone(tab, served):
    password = _account(served, "ma", "inspector", REGIONS[1])
    tab.goto("/flags?status=all")
    _enter(tab, "ma", password)
    _settled(tab)
    for key in ("j", "x", "j", "x"):
        tab.keyboard.press(key)
    expect(tab.locator(".bulk")).to_contain_text("2 selected")
    tab.keyboard.press("a")
    tab.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(tab.locator(".toast")).to_contain_text("2 decided, 0 could not be")
    expect(tab.locator(".st-acknowledged")).to_have_count(2)
    tab.keyboard.press("Escape")
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog")).to_contain_text("Keyboard")


def test_a_vendor_sees_its_own_models_and_no_place(tab, served):
    password = _account(served, "maker", "vendor", vendor="ACME")
    tab.goto("/")
    _enter(tab, "maker", password)
    expect(tab.get_by_role("heading", name="ACME")).to_be_visible()
    _settled(tab)
    links = tab.locator(".nav-links a").all_inner_texts()
    assert links == ["Overview", "Flags", "Devices", "Quarantine", "Data quality", "Profiles"]
    expect(tab.locator("main")).to_contain_text("ACME-w")
    expect(tab.locator("main")).to_contain_text("program of acme")
    faults = _faults(tab, "/")
    hidden = [f"{what} {place}" for what in ("site", "owner of", "in") for place in REGIONS]
    hidden += ["borg", "Borg", "131.123456", "30.654321"]
    for address in VENDORS_PAGES:
        if address != "/":
            tab.goto(address)
        _settled(tab)
        shown = tab.locator("body").inner_text()
        assert not [each for each in hidden if each in shown], address
    tab.goto("/quality")
    tab.get_by_role("link", name="program of acme").first.click()
    expect(tab).to_have_url(re.compile("by=device&model=ACME-."))
    expect(tab.locator("tbody tr")).to_have_count(3)
    tab.goto("/sites")
    expect(tab.locator("h1")).to_have_text(re.compile("no such thing"))
    assert not faults, "\n".join(faults)


def test_a_token_is_made_shown_once_and_revoked(tab, served):
    password = _account(served, "quan", "inspector", REGIONS[0])
    tab.goto("/account")
    _enter(tab, "quan", password)
    card = tab.locator("#tokens")
    expect(card).to_contain_text("No token stands")
    card.get_by_role("button", name="New token").click()
    box = tab.get_by_role("dialog")
    box.get_by_label("What it is for").fill("nightly export")
    box.get_by_role("button", name="New token").click()
    expect(box.get_by_role("alert")).to_have_text("Choose what it may.")
    box.get_by_label("flags", exact=True).check()
    box.get_by_label("Stands for").select_option("7")
    faults = _faults(tab, "a new token")
    box.get_by_role("button", name="New token").click()
    expect(tab.get_by_role("dialog")).to_contain_text("The new token")
    text = tab.locator(".secret").inner_text()
    tab.get_by_role("button", name="Copy").click()
    expect(tab.get_by_role("dialog").get_by_role("status")).to_have_text(
        re.compile("Copied|Marked")
    )
    tab.get_by_role("button", name="Close").click()
    expect(card.locator("tbody tr")).to_have_count(1)
    expect(card).to_contain_text("never")
    assert text not in tab.locator("body").inner_text()
    api = tab.request
    bearer = {"Authorization": f"Bearer {text}"}
    assert api.get("/api/v1/flags?limit=1", headers=bearer).status == 200
    assert api.get("/api/v1/devices?limit=1", headers=bearer).status == 403
    card.get_by_role("button", name="Revoke").click()
    tab.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(card).to_contain_text("1 that have ended")
    assert api.get("/api/v1/flags?limit=1", headers=bearer).status == 401
    assert not faults, "\n".join(faults)


def _enter(page, name, password):
    _log_in(page, name, password)
    page.get_by_label("Present password").fill(password)
    page.get_by_label("New password", exact=True).fill(OWN)
    page.get_by_label("New password again").fill(OWN)
    page.get_by_role("button", name="Set password").click()
    expect(page.locator(".nav")).to_be_visible()


@pytest.mark.parametrize(("theme", "language"), [("light", "zh"), ("dark", "en")])
def test_axe_finds_no_serious_fault_and_nothing_jumps(browser, served, theme, language):
    name = f"boss-{theme}"
    password = _account(served, name, "administrator")
    context = browser.new_context(
        base_url=served.url, color_scheme=theme, locale="en-GB", reduced_motion="reduce",
        viewport={"width": 1366, "height": 800} if theme == "light" else
        {"width": 390, "height": 844},
    )  # fmt: skip
    page = context.new_page()
    page.goto("/?lang=en")
    faults = _faults(page, "login")
    _enter(page, name, password)
    order = orders.give(served.bureau.casebook, actor=name, scope=EVERYTHING, messages=9)
    orders.end(served.bureau.casebook, order, Reprocessing(order.number, 9, 9, 4, 2, 1, 2))
    page.evaluate("name => localStorage.setItem('language', name)", language)
    found = "No text of the language"
    for number, address in enumerate(PAGES):
        if number >= BOTH and number % 2 != (theme == "dark"):
            continue  # the other theme has it
        page.goto(address)
        _settled(page)
        found = page.evaluate("document.documentElement.lang")
        faults += _faults(page, address)
        told(served.bureau, 5000)
    context.close()
    assert found == language
    assert not faults, "\n".join(faults)


def _faults(page, address):
    answer = Axe().run(page, options=RULES)
    shifts = page.evaluate(
        "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => {"
        "list.getEntries().forEach((each) => { if (!each.hadRecentInput) sum += each.value; });"
        "}).observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 50); })"
    )
    found = [
        f"{address}: {each['id']}: {each['nodes'][0]['html'][:160]} {each['nodes'][0]['any'][:1]}"
        for each in answer.response["violations"]
        if each["impact"] in SERIOUS
    ]
    if shifts > 0.1:
        found.append(f"{address}: layout shift {shifts:.2f}")
    return found
