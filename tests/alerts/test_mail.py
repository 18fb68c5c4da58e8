"""The digest by e-mail, to a real SMTP server: when it goes, what is in it, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from gateway.alerts import Later, Refused
from gateway.alerts.digest import SHOWN, digest, entries
from gateway.alerts.events import Told
from gateway.alerts.mail import Digests, MailTarget, last_due
from gateway.alerts.outbox import Draft, Letter
from gateway.alerts.spec import AlertSpec, MailSpec
from gateway.testing import ManualClock
from gateway.times import SECOND, nanoseconds
from tests.alerts.conftest import later
from tests.alerts.servers import MailServer, nonsense, text_of, until
from tests.databases import free_port
from tests.store.made import flag

HOUR = 3600 * SECOND
NOON = nanoseconds("2026-03-01T12:00:00+08:00")


def mail(port, **fields):
    return MailSpec(
        **{
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "Gateway <gateway@bureau.example>",
            "recipients": ("duty@bureau.example", "chief@bureau.example"),
            "gather": 0.0,
            "timeout": 1.0,
        }
        | fields
    )


def letter(n, severity="major", event="raised", **record):
    body = {
        "event": event,
        "id": f"flag-{n}",
        "device_id": f"w-{n}",
        "kind": "water_meter",
        "code": "leak_suspected",
        "severity": severity,
        "from": "2026-03-01T00:00:00.000Z",
        "to": "2026-03-01T01:00:00.000Z",
        "evidence": {"observed": 3, "expected": 0, "tolerance": 0.5, "unit": "m3/h"},
        "title": {"en": "Leak suspected", "zh": "疑似漏水"},
        "status": "open",
    } | record
    key = f"flag-{n}-{event}"
    return Letter(n, key, f"flag-{n}", event, severity, 0, json.dumps(body).encode())


def sent(spec, *letters, clock=lambda: NOON):
    asyncio.run(MailTarget(spec, "north", clock).send(letters))


# When


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-01T08:00:00+08:00", "2026-03-01T08:00:00+08:00"),
        ("2026-03-01T07:59:59+08:00", "2026-02-28T08:00:00+08:00"),
        ("2026-02-28T23:30:00Z", "2026-02-28T00:00:00Z"),
    ],
)
def test_the_latest_time_of_the_digest(now, due):
    assert last_due(nanoseconds(now), 8 * 60, "Asia/Shanghai") == nanoseconds(due)


def test_where_clocks_are_set_forward_the_digest_still_comes_once_a_day():
    found = {
        last_due(nanoseconds(f"2026-03-{day:02d}T{hour:02d}:00:00Z"), 150, "Europe/Berlin")
        for day in range(28, 32)
        for hour in range(24)
    }
    days = [datetime.fromtimestamp(at // SECOND, ZoneInfo("Europe/Berlin")).day for at in found]
    assert sorted(days) == [27, 28, 29, 30, 31] or sorted(days) == [28, 29, 30, 31]


def test_the_grave_goes_at_once_and_the_rest_at_its_time(bench, mail_server):
    clock = ManualClock(NOON)
    spec = AlertSpec(name="duty", gateway="north", target=mail(mail_server.port))

    async def story():
        async with bench.running(spec, clock=clock):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1), flag(2, severity="critical"), flag(3, severity="minor"))
            await until(lambda: len(mail_server.mails) == 1)
            bench.commit(later(flag(1), until=flag(1).until + HOUR))  # it goes on: no news
            clock.advance(19 * 3600)
            await asyncio.sleep(0.3)
            assert len(mail_server.mails) == 1
        # The gateway is away at eight.
        clock.advance(2 * 3600)
        async with bench.running(spec, clock=clock):
            await until(lambda: len(mail_server.mails) == 2)
            await until(bench.idle)
            clock.advance(3600)
            bench.commit(flag(4))
            await asyncio.sleep(0.3)
            assert len(mail_server.mails) == 2

    asyncio.run(story())
    grave, daily = mail_server.mails
    assert "flag-2" in text_of(grave, "plain")
    assert "flag-1" not in text_of(grave, "plain")
    told = text_of(daily, "plain")
    assert "flag-1" in told
    assert "flag-3" in told
    assert "flag-2" not in told


def test_many_grave_flags_make_one_mail(bench, mail_server):
    clock = ManualClock(NOON)
    spec = AlertSpec(name="duty", target=mail(mail_server.port, gather=30.0))

    async def story():
        async with bench.running(spec, clock=clock):
            await until(lambda: bench.store.sink_position("alert:duty"))
            for n in range(1, 6):
                bench.commit(flag(n, severity="critical"))
            outbox = bench.outbox()
            await until(lambda: outbox.waiting("duty") == 5)
            outbox.close()
            clock.advance(31)
            await until(bench.idle)

    asyncio.run(story())
    (one,) = mail_server.mails
    assert all(f"flag-{n}" in text_of(one, "plain") for n in range(1, 6))


def test_a_full_queue_goes_before_its_time(bench, mail_server):
    spec = AlertSpec(name="duty", queue=5, target=mail(mail_server.port))

    async def story():
        async with bench.running(spec, clock=ManualClock(NOON)):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(*(flag(n) for n in range(1, 9)))
            await until(lambda: mail_server.mails)
            outbox = bench.outbox()
            await until(lambda: outbox.waiting("duty") == 3)
            outbox.close()

    asyncio.run(story())
    assert len(mail_server.mails) == 1


def test_a_mail_that_is_sent_again_is_the_same_mail(bench):
    server = MailServer(port=free_port())
    clock = ManualClock(NOON)
    spec = AlertSpec(name="duty", target=mail(server.port))

    async def story():
        async with bench.running(spec, clock=clock) as (alert,):
            await until(lambda: bench.store.sink_position("alert:duty"))
            bench.commit(flag(1, severity="critical"))
            await until(lambda: alert.state.error)
            bench.commit(flag(2, severity="critical"))  # comes into a mail of its own
            outbox = bench.outbox()
            await until(lambda: outbox.waiting("duty") == 2)
            parcels = [each[0].parcel for each in outbox.packed("duty", clock() + HOUR)]
            outbox.close()
            server.start()
            clock.advance(120)
            await until(bench.idle)
            return parcels

    parcels = asyncio.run(story())
    server.stop()
    ids = [each["Message-ID"] for each in server.mails]
    assert f"<{parcels[0]}@bureau.example>" in ids  # as it was at the first attempt
    assert len(set(ids)) == len(ids) == 2


# What goes wrong


def test_a_mail_that_is_refused_is_dead_and_an_overloaded_server_gets_it_later(mail_server):
    mail_server.data_answer = "554 5.7.1 looks like spam"
    with pytest.raises(Refused, match=r"answers 554: .*looks like spam"):
        sent(mail(mail_server.port), letter(1))
    mail_server.data_answer = "451 try later"
    with pytest.raises(Later, match="answers 451"):
        sent(mail(mail_server.port), letter(1))
    mail_server.recipient_answer = "550 no such user"
    with pytest.raises(Later, match="refuses every recipient: 550 no such user"):
        sent(mail(mail_server.port), letter(1))
    assert mail_server.mails == []


def test_what_is_no_mail_server_is_told_as_such():
    with nonsense() as mad, nonsense(silent=True) as slow:
        for port in (1, mad, slow):
            with pytest.raises(Later, match=rf"127\.0\.0\.1:{port}"):
                sent(mail(port, timeout=0.3), letter(1))


def test_starttls_and_a_login_are_used_and_a_wrong_password_is_not_shown(certificates):
    server = MailServer(certificates=certificates, users={"gw": "correct horse"}).start()
    secure = {"security": "starttls", "ca_file": certificates.ca, "timeout": 5.0}
    try:
        right = mail(server.port, username="gw", password="correct horse", **secure)
        sent(right, letter(1))
        assert asyncio.run(MailTarget(right, "north", lambda: NOON).probe()).endswith(
            "lets us in as gw (starttls)"
        )
        with pytest.raises(Later, match="answers 535") as told:
            sent(mail(server.port, username="gw", password="hunter22", **secure), letter(1))
        assert "hunter22" not in str(told.value)
        with pytest.raises(Later, match=r"(?i)certificate"):
            sent(mail(server.port, security="starttls", timeout=5.0), letter(1))
    finally:
        server.stop()
    assert len(server.mails) == 1
    assert "correct horse" not in repr(right)


# What is in it


class Text(HTMLParser):
    """The text and the tags of a page."""

    def __init__(self):
        super().__init__()
        self.words, self.tags = [], []

    def handle_data(self, data):
        self.words.append(data)

    def handle_starttag(self, tag, _attrs):
        self.tags.append(tag)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Leak suspected", "water meter", "observed: 3 m3/h", "critical 1, major 1"]),
        ("zh", ["疑似漏水", "水表", "实测: 3 m3/h", "严重 1，重要 1"]),
    ],
)
def test_text_and_html_say_the_same_in_both_languages(mail_server, language, words):
    letters = [letter(1, region="110105", site="pump house"), letter(2, severity="critical")]
    sent(mail(mail_server.port, language=language), *letters)
    (got,) = mail_server.mails
    text = text_of(got, "plain")
    page = Text()
    page.feed(text_of(got, "html"))
    shown = " ".join(page.words)
    for word in [*words, "flag-1", "w-2", "2026-03-01 08:00 – 2026-03-01 09:00", "pump house"]:
        assert word in text, word
        assert word in shown, word
    assert text.index("flag-2") < text.index("flag-1")  # the gravest first
    assert got["To"] == "duty@bureau.example, chief@bureau.example"
    assert "north" in got["Subject"]
    assert got["Auto-Submitted"] == "auto-generated"


def test_text_of_devices_makes_no_markup_and_no_header():
    evil = '<script>alert(1)</script>"\r\nBcc: x@y'
    made = digest(
        [letter(1, device_id=evil, site=evil, evidence={"observed": evil})],
        language="en", zone="Asia/Shanghai", gateway="north",
    )  # fmt: skip
    page = Text()
    page.feed(made.html)
    assert "script" not in page.tags
    assert "\r" not in made.text
    assert "\nBcc" not in made.text
    message = EmailMessage()
    message["Subject"] = made.subject


def test_a_storm_is_counted_and_the_gravest_are_shown():
    letters = [letter(n, severity="minor") for n in range(SHOWN + 50)] + [letter(999)]
    made = digest(letters, language="en", zone="UTC", gateway="north")
    assert "251 flags: major 1, minor 250" in made.subject
    assert "and 51 more flags" in made.text
    assert made.text.count("  flag: ") == SHOWN
    assert "flag-999" in made.text


def test_a_flag_that_is_raised_and_ends_before_the_digest_is_one_entry():
    story = [letter(1), letter(1, event="prolonged"), letter(1, event="ended", status="ended")]
    (one,) = entries(story)
    assert (one.event, one.record["status"]) == ("raised", "ended")
    (other,) = entries([letter(1), letter(1, event="withdrawn", status="withdrawn")])
    assert other.event == "withdrawn"


def test_a_parcel_stays_as_it_is_while_more_comes(bench):
    outbox = bench.outbox()
    outbox.begin("duty", at=NOON, offset=0, flags=())
    spec = AlertSpec(name="duty", queue=2, target=mail(1, at_once=None, daily_at=None))
    digests = Digests(spec, spec.target, outbox)

    def queued(*numbers):
        told = [Told(f"f{n}", 1, f"f{n}-abc", "major", "open") for n in numbers]
        outbox.take("duty", [Draft(each, "raised", b"{}") for each in told], at=NOON)

    queued(1)
    assert digests.due(NOON, 9) == []
    queued(2)  # full
    (first,) = digests.due(NOON, 9)
    outbox.settle("duty", postponed=[(first, NOON + HOUR, "away")])
    queued(3)
    (second,) = digests.due(NOON, 9)
    assert [letter.key for letter in second] == ["f3-abc"]
    again, _ = digests.due(NOON + HOUR, 9)
    assert [(each.key, each.parcel) for each in again] == [(e.key, e.parcel) for e in first]
    outbox.close()
