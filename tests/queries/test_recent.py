"""Answers that stand for some seconds, each for who may see it."""

import threading
import time
from contextlib import nullcontext

import pytest

from gateway.errors import GatewayError
from gateway.queries.recent import Recent


def test_an_answer_stands_until_its_time_is_over():
    now = [0.0]
    made = []
    recent = Recent(lambda: now[0])

    def make():
        made.append(now[0])
        return len(made)

    assert [recent.get("a", 10, make), recent.get("a", 10, make)] == [1, 1]
    now[0] = 10.0
    assert recent.get("a", 10, make) == 2
    assert made == [0.0, 10.0]


def test_each_key_has_its_own_answer():
    recent = Recent(lambda: 0.0)
    assert recent.get(("map", "3301"), 10, lambda: "one") == "one"
    assert recent.get(("map", "31"), 10, lambda: "other") == "other"
    assert recent.get(("map", "3301"), 10, lambda: "none") == "one"


def test_so_many_are_kept_and_no_more():
    recent = Recent(lambda: 0.0)
    for number in range(1_000):
        recent.get(number, 10, lambda number=number: number)
    assert len(recent._kept) <= 200
    assert recent.get(999, 10, lambda: "new") == 999
    assert recent.get(0, 10, lambda: "new") == "new"


def test_what_fails_is_not_kept():
    recent = Recent(lambda: 0.0)

    def fail():
        raise OSError

    for _ in range(2):
        try:
            recent.get("a", 10, fail)
        except OSError:
            continue
        raise AssertionError
    assert recent.get("a", 10, lambda: 1) == 1


def test_beside_answers_an_old_one_is_given_while_a_new_one_is_made():
    now, waiting, made = [0.0], [], []
    recent = Recent(lambda: now[0], beside=waiting.append)

    def make():
        made.append(now[0])
        return len(made)

    assert recent.get("a", 10, make) == 1
    now[0] = 11.0
    assert [recent.get("a", 10, make), recent.get("a", 10, make)] == [1, 1]
    assert len(waiting) == 1
    waiting.pop()()
    assert recent.get("a", 10, make) == 2
    now[0] = 11.0 + 101.0
    assert recent.get("a", 10, make) == 3  # nobody looked for long: no old answer
    assert waiting == []


@pytest.mark.parametrize("fault", [GatewayError, ZeroDivisionError])
def test_what_fails_beside_is_told_to_who_asks_next(fault):
    now, waiting = [0.0], []
    recent = Recent(lambda: now[0], beside=waiting.append)
    recent.get("a", 10, lambda: "old")
    now[0] = 11.0

    def fail():
        raise fault("no answer")

    assert recent.get("a", 10, fail) == "old"
    # What the gateway knows of is logged; a fault of the program ends its thread, loudly.
    with nullcontext() if fault is GatewayError else pytest.raises(fault):
        waiting.pop()()
    with pytest.raises(fault):
        recent.get("a", 10, fail)
    assert recent.get("a", 10, lambda: "new") == "new"


def test_two_who_ask_at_once_make_it_once():
    recent, made, gate = Recent(), [], threading.Barrier(4)

    def make():
        made.append(1)
        time.sleep(0.05)
        return len(made)

    def ask():
        gate.wait()
        assert recent.get("a", 10, make) == 1

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert made == [1]


def test_large_answers_are_kept_up_to_their_sum():
    recent = Recent(lambda: 0.0, most=10, size=len)
    for name in "abc":
        recent.get(name, 10, lambda: "four")
    assert list(recent._kept) == ["b", "c"]
    recent.get("d", 10, lambda: "more than ten")
    assert list(recent._kept) == ["d"]


def test_empty_answers_are_not_kept_without_end():
    recent = Recent(lambda: 0.0, most=10, size=len)
    for number in range(100):
        recent.get(number, 10, dict)
    assert len(recent._kept) == 10


def test_an_answer_of_many_rows_counts_for_several():
    recent = Recent(lambda: 0.0)
    rows = [0] * 99_000
    for number in range(10):
        recent.get(number, 10, lambda: rows)
        recent.get(("map", number), 10, lambda: {"clusters": rows, "cell_deg": 0.01})
    assert len(recent._kept) == 2
    recent.get(("map", 9), 0, dict)
    assert recent._total == sum(each.size for each in recent._kept.values())
