"""Alerts beside processing: what fails in one stops neither the others nor the store."""

from __future__ import annotations

import time

from structlog.testing import capture_logs

from gateway.alerts.outbox import FILE_NAME
from gateway.alerts.running import AlertThread
from gateway.alerts.spec import AlertSpec, MailSpec
from tests.alerts.conftest import TITLES
from tests.store.made import flag


def waited(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_alert_that_fails_for_a_fault_of_ours_fails_no_other(bench, receiver, hook):
    mail = MailSpec(
        host="127.0.0.1", port=1, sender="g@b.example", recipients=("d@b.example",),
        zone="Not/AZone",
    )  # fmt: skip
    broken = AlertSpec(name="broken", target=mail)
    with capture_logs() as logs:
        thread = AlertThread([broken, hook()], bench.store, bench.data, TITLES)
        bench.commit(flag(1))
        waited(lambda: receiver.taken)
        waited(lambda: thread.states[0].error)
        began = time.monotonic()
        thread.stop()
        assert time.monotonic() - began < 2
    assert "Not/AZone" in str(thread.states[0].error)
    assert thread.states[1].error is None
    assert "alert failed, it begins anew" in [line["event"] for line in logs]


def test_what_is_found_right_after_the_first_start_is_told(bench, receiver, hook):
    bench.commit(flag(1))
    thread = AlertThread([hook()], bench.store, bench.data, TITLES)
    bench.commit(flag(2))  # before the thread has looked at anything
    waited(lambda: receiver.taken)
    thread.stop()
    assert [told[1] for told in receiver.told] == ["flag-2"]


def test_a_damaged_memory_is_told_and_stops_nothing_else(bench, hook):
    (bench.data / FILE_NAME).write_bytes(b"no database" * 100)
    with capture_logs() as logs:
        thread = AlertThread([hook()], bench.store, bench.data, TITLES)
        waited(lambda: thread.states[0].error)
        bench.commit(flag(1))
        thread.stop()
    assert "not a database" in str(thread.states[0].error)
    assert thread.states[0].lag == 1
    assert "alerts do not work" in [line["event"] for line in logs]
