"""Reports while another process has the store: the same paper as from the files."""

import re
import shutil

import pytest

from gateway.store import wire
from gateway.store.duckdb import DuckDBStore
from gateway.store.gate import StoreGate
from tests.reports.conftest import PROFILE_OPTIONS
from tests.reports.reading_back import html_text

pytestmark = pytest.mark.xdist_group("reports")


@pytest.fixture
def live(made, tmp_path):
    """A copy of the data whose store is asked over its socket."""
    data = shutil.copytree(made.data, tmp_path / "data")
    store = DuckDBStore(data / "store.duckdb")
    gate = StoreGate(store, data / wire.SOCKET)
    yield data
    gate.close()
    store.close()


def test_a_report_says_the_same_with_the_gateway_running_or_not(made, live, tmp_path):
    flag = made.flag("register_decrease")["id"]
    for words in (("flag", "report", flag), ("report", "--region", "31", "--week", "2026-W03")):
        said = []
        for data in (made.data, live):
            file = tmp_path / "report.html"
            done = made.run(*words, "--data", data, "-o", file, "--actor", "li", *PROFILE_OPTIONS)
            assert done.exit_code == 0, done.stderr
            text = html_text(file.read_bytes())
            said.append(re.sub(r"\d{4}-\d\d-\d\d\d\d:\d\d:\d\d\+08:00bythemetering.*", "", text))
        times = [re.sub(r"Madeat\S{25}", "", text) for text in said]
        assert times[0] == times[1]
        assert "310101000001" in times[0]
