"""Fixtures shared by all tests: real brokers and databases on free ports."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.corpora import corpora

pytest_plugins = ["tests.brokers", "tests.databases"]

# The same examples in each run: a change is judged by what it changes.  How fast they come is a
# matter of what else the machine does.  Many more, and new ones, are the business of `make fuzz`.
settings.register_profile(
    "ours",
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")

collect_ignore = [] if corpora() else ["test_corpora.py"]


def pytest_report_header() -> str:
    """Says in one line whether the payloads of real devices are tested."""
    found = corpora()
    if found is None:
        return "corpora: not here, their tests are left out (CORPORA=DIR or ../shared/corpora)"
    return f"corpora: {found}"


@pytest.fixture(autouse=True)
def _width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test workers have a width of their own in the environment, which no reader of a pipe has."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs in this process sets up logs, to a stream that ends with its test."""
    yield
    structlog.reset_defaults()
