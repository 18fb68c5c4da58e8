"""Passwords: what many at once cost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from gateway.access.passwords import Hasher

MANY = 8


class _Counting:
    """In place of Argon2: says how many work at once, each of which would take 64 MB."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = self.most = 0

    def _work(self):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.01)
        with self._lock:
            self._now -= 1

    def hash(self, _password):
        self._work()
        return "hash"

    def verify(self, _kept, _password):
        self._work()


def test_strangers_who_log_in_at_once_cost_the_memory_of_one():
    hasher = Hasher()
    hasher._hasher = counting = _Counting()
    with ThreadPoolExecutor(MANY) as threads:
        tried = [threads.submit(hasher.verify, kept, "a guess") for kept in ("x", None) * MANY]
        made = threads.submit(hasher.hash, "a password")
        assert [each.result() for each in tried] == [True, False] * MANY
    assert made.result() == "hash"
    assert counting.most == 1
