"""A bureau behind a real server, and Debian's Chromium in front of it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from gateway.times import rfc3339
from tests.api.world import Bureau, status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


class Served:
    """A bureau that listens."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(bureau.app, log_config=None, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        arguments = {"sockets": [self._socket]}
        self._thread = threading.Thread(target=self._server.run, kwargs=arguments, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()
        self.bureau.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bureau = Bureau(tmp_path_factory.mktemp("bureau"))
    bureau.status = status(received=1234)
    made = Served(bureau)
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "Chromium is missing: make servers"
    # As root, in CI, Chromium has no sandbox to put itself into.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=words)
        yield opened
        opened.close()


def told(bureau: Bureau, received: int) -> None:
    """What the service tells next."""
    bureau.status = status(received=received)
    bureau.status = type(bureau.status)(
        **{name: getattr(bureau.status, name) for name in bureau.status.__struct_fields__}
        | {"at": rfc3339(time.time_ns())}
    )
