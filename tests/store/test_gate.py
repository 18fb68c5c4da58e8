"""Questions of other processes: the same answers as from the file, and never more than allowed."""

from __future__ import annotations

import socket
import stat
import struct
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.errors import StoreError, StoreUnavailable
from gateway.store import wire
from gateway.store.asked import AskedStore, open_store
from gateway.store.duckdb import DuckDBStore
from gateway.store.gate import FlagLog, Limits, StoreGate
from gateway.store.wire import QuestionTooLarge, StoreBusy
from tests.store.made import flag, mixed, quarantined, results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDLESS = "SELECT count(*) FROM range(10_000_000_000) a, range(10_000_000_000) b WHERE a <> b"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "store.duckdb")
    opened.commit(
        results(
            readings=mixed(1, 300),
            flags=[flag(number) for number in range(20)],
            quarantine=[quarantined(number) for number in range(5)],
            next_offset=400,
        )
    )
    yield opened
    opened.close()


@pytest.fixture
def gate(store: DuckDBStore, tmp_path: Path) -> Iterator[StoreGate]:
    opened = StoreGate(store, tmp_path / wire.SOCKET)
    yield opened
    opened.close()


@pytest.fixture
def asked(gate: StoreGate, tmp_path: Path) -> AskedStore:
    del gate
    return AskedStore(tmp_path / wire.SOCKET)


def test_every_question_has_the_answer_of_the_file(store, asked):
    assert list(asked.readings()) == list(store.readings())
    assert list(asked.readings(kind="water_meter")) == list(store.readings(kind="water_meter"))
    assert list(asked.flags(newest_first=True)) == list(store.flags(newest_first=True))
    assert list(asked.quarantine()) == list(store.quarantine())
    assert list(asked.devices()) == list(store.devices())
    assert asked.counters() == store.counters()
    assert asked.currencies() == store.currencies()
    assert asked.position == store.position


def test_sums_of_whole_numbers_are_whole_numbers(store, asked):
    sql = "SELECT sum(position), count_if(position > 3) FROM readings_water_meter"
    assert asked.ask(sql) == store.ask(sql)
    assert all(type(value) is int for value in asked.ask(sql)[0])


def test_many_texts_are_a_table_of_the_question(store, asked):
    ids = [found.id for found in store.flags()][:7]
    sql = "SELECT id FROM flags WHERE id IN (SELECT value FROM chosen) ORDER BY id"
    assert [row[0] for row in asked.ask(sql, chosen=ids)] == sorted(ids)
    assert asked.ask(sql, chosen=ids) == store.ask(sql, chosen=ids)
    with pytest.raises(StoreError, match="chosen"):
        asked.ask(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM flags",
        "SELECT 1; SELECT 2",
        "COPY flags TO '/tmp/flags.csv'",
        "SET threads = 8",
        "ATTACH ':memory:' AS other",
        "PRAGMA version",
        "CREATE TABLE more (x INTEGER)",
        "",
    ],
)
def test_only_one_select_is_answered(asked, store, sql):
    with pytest.raises(StoreError, match="one SELECT"):
        asked.ask(sql)
    assert len(list(store.flags())) == 20


def test_a_question_that_takes_too_long_is_interrupted(gate, tmp_path):
    del gate
    impatient = AskedStore(tmp_path / wire.SOCKET, seconds=0.2)
    began = time.monotonic()
    with pytest.raises(QuestionTooLarge, match=r"took more than 0\.2 s"):
        impatient.ask(ENDLESS)
    assert time.monotonic() - began < 2
    assert impatient.ask("SELECT 7") == [(7,)]


def test_a_question_nobody_waits_for_is_interrupted(store, tmp_path):
    path = tmp_path / wire.SOCKET
    gate = StoreGate(store, path, limits=Limits(at_once=1))
    try:
        asker = socket.socket(socket.AF_UNIX)
        asker.connect(str(path))
        question = msgspec.msgpack.encode(wire.Question(ENDLESS, seconds=50.0))
        wire.send(asker, wire.ASK, question)
        time.sleep(0.2)
        asker.close()
        assert AskedStore(path, seconds=5).ask("SELECT 7") == [(7,)]
    finally:
        gate.close()


def test_rows_and_bytes_are_bounded(store, tmp_path):
    path = tmp_path / wire.SOCKET
    gate = StoreGate(store, path, limits=Limits(rows=1_000, bytes=100_000))
    try:
        asked = AskedStore(path)
        assert len(asked.ask("SELECT * FROM range(1000)")) == 1000
        with pytest.raises(QuestionTooLarge, match="rows"):
            asked.ask("SELECT * FROM range(10000)")
        with pytest.raises(QuestionTooLarge, match="too large"):
            asked.ask("SELECT repeat('x', 1000) FROM range(1000)")
    finally:
        gate.close()


def test_too_many_at_once_are_told_so(store, tmp_path):
    path = tmp_path / wire.SOCKET
    gate = StoreGate(store, path, limits=Limits(at_once=1, waiting=1))
    try:
        for _ in range(2):
            threading.Thread(target=_ask_endless, args=(path,), daemon=True).start()
        time.sleep(0.3)
        with pytest.raises(StoreBusy):
            AskedStore(path).ask("SELECT 1")
    finally:
        gate.close()


def _ask_endless(path: Path) -> None:
    with pytest.raises(StoreError):
        AskedStore(path, seconds=20).ask(ENDLESS)


def test_only_the_same_user_can_open_the_socket(gate, tmp_path):
    del gate
    assert stat.S_IMODE((tmp_path / wire.SOCKET).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x00", struct.pack(">BI", wire.ASK, 2**32 - 1), struct.pack(">BI", 0, 3) + b"abc",
     struct.pack(">BI", 9, 0), b"GET / HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_question_hurts_nobody(asked, tmp_path, sent):
    stranger = socket.socket(socket.AF_UNIX)
    stranger.connect(str(tmp_path / wire.SOCKET))
    stranger.sendall(sent)
    stranger.close()
    assert asked.ask("SELECT 7") == [(7,)]


def test_questions_do_not_hold_up_commits_nor_see_half_of_one(store, asked):
    before = asked.ask("SELECT count(*) FROM flags")
    asker = threading.Thread(target=_ask_endless_of, args=(asked,), daemon=True)
    asker.start()
    time.sleep(0.1)
    began = time.monotonic()
    store.commit(results(flags=[flag(99)], next_offset=500))
    assert time.monotonic() - began < 1
    assert asked.ask("SELECT count(*) FROM flags") == [(before[0][0] + 1,)]


def _ask_endless_of(asked: AskedStore) -> None:
    with pytest.raises(StoreError):
        asked.ask(ENDLESS)


def test_a_gateway_is_asked_else_the_file_is_opened(gate, tmp_path):
    asked = open_store(tmp_path)
    assert isinstance(asked, AskedStore)
    gate.close()
    with pytest.raises(StoreUnavailable, match="processing is not running"):
        asked.ask("SELECT 1")


def test_without_a_gateway_a_socket_left_behind_is_no_hindrance(tmp_path):
    DuckDBStore(tmp_path / "store.duckdb").close()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / wire.SOCKET))
    left.close()
    opened = open_store(tmp_path)
    assert isinstance(opened, DuckDBStore)
    opened.close()


def test_a_path_that_is_too_long_for_a_socket_works_all_the_same(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    store = DuckDBStore(folder / "store.duckdb")
    gate = StoreGate(store, folder / wire.SOCKET)
    try:
        assert AskedStore(folder / wire.SOCKET).ask("SELECT 7") == [(7,)]
    finally:
        gate.close()
        store.close()


def test_new_flags_are_told_in_the_order_of_commits():
    log = FlagLog()
    log.add([flag(1), flag(2)])
    begin = log.since(None)
    assert begin.ids == []
    log.add([flag(3), flag(2)])
    news = log.since(begin.number)
    assert news.ids == [flag(3).id, flag(2).id]
    assert not news.missed
    assert log.since(news.number).ids == []


def test_who_was_away_too_long_is_told_that_flags_are_missed():
    log = FlagLog()
    log.add(flag(number) for number in range(5000))
    news = log.since(0)
    assert news.missed
    assert news.ids[-1] == flag(4999).id
    assert log.since(6000).missed, "numbers of another process"


def test_who_does_not_read_his_answer_does_not_hold_up_the_end(store, tmp_path):
    path = tmp_path / wire.SOCKET
    gate = StoreGate(store, path)
    asker = socket.socket(socket.AF_UNIX)
    asker.connect(str(path))
    large = wire.Question("SELECT repeat('x', 1000) FROM range(100000)")
    wire.send(asker, wire.ASK, msgspec.msgpack.encode(large))
    time.sleep(0.3)
    began = time.monotonic()
    gate.close()
    assert time.monotonic() - began < 2
    asker.close()


def test_where_no_socket_can_be_this_is_told(store, tmp_path):
    with pytest.raises(StoreError, match="no socket there"):
        StoreGate(store, tmp_path / "nowhere" / wire.SOCKET)
