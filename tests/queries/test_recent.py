"""Answers that stand for some seconds, each for who may see it."""

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
