"""Logs: nothing secret, nothing forged, in a form that machines read."""

import io
import json

import pytest
import structlog

from gateway import log as logs


def line(*, format_="json", secrets=(), **facts):
    out = io.StringIO()
    logs.configure("info", format_, stream=out, secrets=secrets)
    structlog.get_logger().info("something", **facts)
    return out.getvalue()


def test_a_line_is_json_where_there_is_no_terminal():
    told = json.loads(line(format_="auto", n=3))
    assert list(told)[:3] == ["timestamp", "level", "event"]
    assert told["n"] == 3


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize(
    "facts",
    [
        {"password": "hunter22"},
        {"api_key": "hunter22"},
        {"settings": {"token": "hunter22", "n": 1}},
        {"url": "mqtt://user:hunter22@host"},
        {"errors": ["refused: hunter22"]},
        {"error": ValueError("hunter22 is wrong")},
    ],
)
def test_no_secret_is_written(format_, facts):
    assert "hunter22" not in line(format_=format_, secrets=["hunter22"], **facts)


@pytest.mark.parametrize("facts", [{"password": "hunter22"}, {"url": "http://u:hunter22@h/x"}])
def test_a_secret_is_known_by_its_place_even_when_nobody_named_it(facts):
    assert "hunter22" not in line(**facts)


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_traceback_shows_a_secret(format_):
    out = io.StringIO()
    logs.configure("info", format_, stream=out, secrets=["hunter22"])
    try:
        int("hunter22")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError" in out.getvalue()
    assert "hunter22" not in out.getvalue()


def test_a_device_cannot_write_a_line_of_its_own():
    told = line(format_="console", topic="a\nlevel=error forged\x1b[31m\u2028x")
    assert told.count("\n") == 1
    assert "\x1b" not in told
    assert "\u2028" not in told


def test_a_long_text_of_a_device_is_cut():
    assert len(line(topic="x" * 100_000)) < 3_000


def test_what_is_below_the_level_is_not_written():
    out = io.StringIO()
    logs.configure("warning", "json", stream=out)
    structlog.get_logger().info("small")
    structlog.get_logger().warning("large")
    assert "small" not in out.getvalue()
    assert "large" in out.getvalue()
