"""Logging in, staying in and getting out over HTTP; what a stranger's page or script cannot do."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from gateway.access.sessions import IDLE_S
from gateway.access.throttle import FREE
from gateway.api.app import make_app
from gateway.api.guard import LARGEST_BODY, Rates
from tests.api.world import Bureau, status

V1 = "/api/v1"
OWN = "a sentence of my own"


@pytest.fixture
def fresh(own):
    """A bureau of its own, for what changes accounts or waits."""
    made = Bureau(own)
    made.one_time = made.people.add("zhang", "inspector", region="3301")
    yield made
    made.close()


def _log_in(bureau, password=None, name="zhang"):
    browser = bureau.browser()
    given = {"name": name, "password": password or bureau.one_time}
    response = browser.post(f"{V1}/session", json=given)
    browser.headers["X-CSRF-Token"] = response.json().get("csrf", "")
    return browser, response


def _own_password(bureau):
    browser, _ = _log_in(bureau)
    given = {"old": bureau.one_time, "new": OWN}
    assert browser.put(f"{V1}/session/password", json=given).status_code == 204
    return browser


def test_a_cookie_is_for_this_site_alone_and_for_no_script(fresh):
    _, response = _log_in(fresh)
    assert response.status_code == 201
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert response.headers["cache-control"] == "no-store"


def test_over_tls_the_cookie_is_sent_over_nothing_else(fresh):
    fresh.api.secure = True
    _, response = _log_in(fresh)
    assert response.headers["set-cookie"].startswith("__Host-gateway=")
    assert "; secure" in response.headers["set-cookie"].lower()


def test_with_a_one_time_password_nothing_can_be_done_but_to_change_it(fresh):
    browser, response = _log_in(fresh)
    assert response.json()["must_change"]
    for path in ("devices", "flags", "users", "export/flags", "live", "ingest"):
        told = browser.get(f"{V1}/{path}")
        assert told.status_code == 403
        assert told.json()["type"].endswith("password-change-needed")
    weak = {"old": fresh.one_time, "new": "zhang zhang zhang"}
    assert browser.put(f"{V1}/session/password", json=weak).status_code == 400
    wrong = {"old": "not the password", "new": OWN}
    assert browser.put(f"{V1}/session/password", json=wrong).status_code == 401
    given = {"old": fresh.one_time, "new": OWN}
    assert browser.put(f"{V1}/session/password", json=given).status_code == 204
    assert browser.get(f"{V1}/devices").status_code == 200
    assert _log_in(fresh)[1].status_code == 401


def test_a_change_needs_the_token_of_its_page(fresh):
    browser = _own_password(fresh)
    body = {"action": "acknowledge"}
    address = f"{V1}/flags/flag-w-330106-acme/events"
    for csrf in ("", "x" * 64):
        told = browser.post(address, json=body, headers={"X-CSRF-Token": csrf})
        assert told.status_code == 403
        assert told.json()["type"].endswith("cross-site")
    assert browser.post(address, json=body).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
    ],
)
def test_another_sites_page_can_change_nothing_nor_log_in(fresh, headers):
    browser = _own_password(fresh)
    body = {"action": "acknowledge"}
    address = f"{V1}/flags/flag-w-330106-acme/events"
    assert browser.post(address, json=body, headers=headers).status_code == 403
    given = {"name": "zhang", "password": OWN}
    assert browser.post(f"{V1}/session", json=given, headers=headers).status_code == 403


def test_a_session_ends_by_logging_out_and_by_itself(fresh):
    browser = _own_password(fresh)
    assert browser.delete(f"{V1}/session").status_code == 204
    assert browser.get(f"{V1}/session").status_code == 401
    browser, _ = _log_in(fresh, OWN)
    fresh.clock.advance(IDLE_S + 1)
    told = browser.get(f"{V1}/devices")
    assert told.status_code == 401
    assert "log in" in told.json()["detail"]


def test_guessing_is_slowed_down_and_says_until_when(fresh):
    for _ in range(FREE):
        assert _log_in(fresh, "wrong password")[1].status_code == 401
    told = _log_in(fresh)[1]
    assert told.status_code == 429
    assert int(told.headers["retry-after"]) >= 1
    assert told.json()["type"].endswith("throttled")
    fresh.clock.advance(60)
    assert _log_in(fresh)[1].status_code == 201


def test_a_script_that_asks_too_often_has_to_wait(own):
    ticks = [0.0]
    made = Bureau(own, rates=Rates(2.0, 5, clock=lambda: ticks[0]))
    made.add_people()
    client = made.client("zhang")
    codes = [client.get(f"{V1}/session").status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]
    assert made.client("wang").get(f"{V1}/session").status_code == 200, "only this one"
    ticks[0] += 0.5
    assert client.get(f"{V1}/session").status_code == 200
    assert client.get(f"{V1}/export/flags").status_code == 429, "an export costs more"
    stranger = [made.client().get(f"{V1}/session").status_code for _ in range(6)]
    assert stranger[-1] == 429
    made.close()


def test_an_administrator_makes_changes_and_disables_accounts(bureau):
    password = bureau.people.add("boss", "administrator")
    browser, _ = _log_in(bureau, password, "boss")
    browser.put(f"{V1}/session/password", json={"old": password, "new": OWN})
    made = browser.post(f"{V1}/users", json={"name": "New", "role": "viewer", "region": "33"})
    assert made.status_code == 201
    other, told = _log_in(bureau, made.json()["one_time_password"], "new")
    assert told.json()["region"] == "33"
    changed = browser.patch(f"{V1}/users/new", json={"disabled": True})
    assert changed.json()["disabled"]
    assert other.get(f"{V1}/session").status_code == 401
    assert browser.patch(f"{V1}/users/new", json={"role": "god"}).status_code == 422
    assert browser.post(f"{V1}/users", json={"name": "x y", "role": "viewer"}).status_code == 400
    listed = {each["name"] for each in browser.get(f"{V1}/users").json()["items"]}
    assert {"new", "boss", "root"} <= listed


def test_an_administrator_of_a_district_sees_and_makes_no_other_accounts(bureau):
    client = bureau.client("chief")
    listed = {each["name"] for each in client.get(f"{V1}/users").json()["items"]}
    assert listed == {"chief", "zhang", "viewer", "auditor"}
    owners = {each["owner"] for each in client.get(f"{V1}/tokens").json()["items"]}
    assert owners == listed


def test_a_token_makes_no_accounts_tokens_or_passwords(bureau):
    client = bureau.client("root")
    for method, path, body in (
        ("POST", "users", {"name": "x", "role": "viewer"}),
        ("PATCH", "users/zhang", {"role": "viewer"}),
        ("POST", "users/zhang/password", None),
        ("POST", "tokens", {"title": "more"}),
        ("DELETE", "tokens/1", None),
        ("PUT", "session/password", {"old": "x", "new": OWN}),
        ("DELETE", "session", None),
    ):
        assert client.request(method, f"{V1}/{path}", json=body).status_code == 403, path


def test_a_person_makes_tokens_of_what_he_may_and_ends_them(fresh):
    browser = _own_password(fresh)
    body = {"title": "nightly", "permissions": ["flags"], "days": 1}
    made = browser.post(f"{V1}/tokens", json=body).json()
    header = {"Authorization": f"Bearer {made['token']}"}
    program = fresh.browser()
    assert program.get(f"{V1}/flags", headers=header).status_code == 200
    assert program.get(f"{V1}/devices", headers=header).status_code == 403
    beyond = {"title": "more", "permissions": ["users"]}
    assert browser.post(f"{V1}/tokens", json=beyond).status_code == 403
    listed = browser.get(f"{V1}/tokens").json()["items"]
    assert made["token"] not in str(listed)
    assert [each["state"] for each in listed] == ["standing"]
    assert browser.delete(f"{V1}/tokens/{made['id']}").status_code == 204
    assert browser.get(f"{V1}/tokens").json()["items"][0]["state"] == "revoked"
    assert program.get(f"{V1}/flags", headers=header).status_code == 401
    for number in (made["id"] + 1, 2**63, 10**30, -1):
        assert browser.delete(f"{V1}/tokens/{number}").status_code in {400, 422}, number


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer", "Bearer x", "Bearer mgw_1_x"])
def test_what_is_no_token_is_refused(bureau, header):
    told = bureau.client().get(f"{V1}/devices", headers={"Authorization": header})
    assert told.status_code == 401
    assert told.headers["www-authenticate"].startswith("Bearer")


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(bureau):
    large = b"x" * (LARGEST_BODY + 1)
    told = bureau.client().post(f"{V1}/session", content=large)
    assert told.status_code == 413
    told = bureau.client().post(f"{V1}/session", content=iter([large]))
    assert told.status_code in {400, 413, 422}


def test_every_answer_has_headers_of_safety(bureau):
    for path in ("/healthz", f"{V1}/devices", "/nowhere", "/api/docs"):
        headers = bureau.client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "code"),
    [("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:8080", 200), ("evil.example", 421),
     ("", 421), ("localhost.evil.example", 421)],
)  # fmt: skip
def test_it_answers_only_by_its_own_names(bureau, host, code):
    hosts = ("127.0.0.1", "::1", "localhost")
    app = make_app(bureau.api, recent=bureau.flag_log.since, hosts=hosts)
    answer = TestClient(app).get("/healthz", headers={"Host": host})
    assert answer.status_code == code


def test_problems_have_one_shape(bureau):
    client = bureau.client("zhang")
    for path, code in (
        ("devices/none", 404), ("nothing", 404), ("devices?limit=0", 422), ("audit", 403),
        ("devices?cursor=xx", 400), ("flags?code=none", 400), ("flags?since=yesterday", 400),
        ("flags?status=none", 400), ("devices?region=31", 403),
        ("quality?since=2023-01-01&zone=x", 400),
        ("quality?since=2023-01-01&until=2024-01-01", 400), ("evidence/99999999", 404),
    ):  # fmt: skip
        told = client.get(f"{V1}/{path}")
        assert told.status_code == code, path
        assert told.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status"} <= set(told.json())
        assert told.json()["status"] == code


def test_what_has_not_changed_is_not_sent_again(bureau):
    client = bureau.client("zhang")
    first = client.get(f"{V1}/devices")
    again = client.get(f"{V1}/devices", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = bureau.client("wang").get(
        f"{V1}/devices", headers={"If-None-Match": first.headers["etag"]}
    )
    assert other.status_code == 200


def test_of_two_who_decide_at_once_one_is_told(fresh):
    browser = _own_password(fresh)
    address = f"{V1}/flags/flag-w-330106-acme/events"
    assert browser.post(address, json={"action": "acknowledge", "version": 0}).status_code == 201
    late = browser.post(address, json={"action": "acknowledge", "version": 0})
    assert late.status_code == 412
    by_header = browser.post(address, json={"action": "confirm"}, headers={"If-Match": '"0"'})
    assert by_header.status_code == 412
    wrong = browser.post(address, json={"action": "close"})
    assert wrong.status_code == 409
    no_reason = browser.post(address, json={"action": "dismiss"})
    assert no_reason.status_code == 400
    told = browser.post(address, json={"action": "dismiss", "reason": "测试", "version": 1}).json()
    assert told["status"] == "dismissed"
    assert [each["action"] for each in told["history"]] == ["raised", "acknowledge", "dismiss"]
    assert fresh.casebook.audit(limit=1)[0].actor == "zhang"
    listed = browser.get(f"{V1}/flags?status=dismissed").json()["items"]
    assert [each["id"] for each in listed] == ["flag-w-330106-acme"]


def test_state_and_metrics_are_those_that_the_service_tells(bureau):
    stranger, client = bureau.client(), bureau.client("zhang")
    assert stranger.get("/healthz").text == "ok\n"
    assert stranger.get("/readyz").status_code == 503
    bureau.status = status(received=7)
    try:
        assert stranger.get("/readyz").text == "ready\n"
        assert stranger.get("/metrics").status_code == 401
        assert "gateway_received_total 7.0" in client.get("/metrics").text
        assert client.get(f"{V1}/ingest").json()["messages"]["received"] == 7
        assert bureau.client("acme").get(f"{V1}/ingest").status_code == 403
        bureau.status = status(received=7, connected=False)
        assert "source main" in stranger.get("/readyz").text
    finally:
        bureau.status = None


def test_the_description_needs_no_network(bureau):
    page = bureau.client().get("/api/docs").text
    assert "http" not in page.replace("<!doctype html>", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert bureau.client().get(f"/api/docs/{name}").status_code == 200
    assert bureau.client().get("/api/docs/../app.py").status_code == 404
    document = bureau.client().get("/api/openapi.json").json()
    assert document["components"]["schemas"]["Problem"]
    assert document["paths"][f"{V1}/flags"]["get"]["security"]
