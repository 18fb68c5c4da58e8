"""The application: routes, guards, and what they share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from fastapi import FastAPI

from gateway import __version__
from gateway.api import (
    accounts,
    evidence,
    lists,
    pages,
    problems,
    reports,
    reprocessing,
    streams,
    system,
)
from gateway.api.guard import Guard, Slots
from gateway.api.live import Live
from gateway.console import site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from gateway.api.context import Api
    from gateway.store.wire import RecentFlags

PREFIX: Final = "/api/v1"
_THREADS: Final = 24
_EXPORTS: Final = 4
_EXPORTS_EACH: Final = 2
_DESCRIPTION: Final = """
Supervision of measuring instruments: devices, readings, flags, and the evidence behind them.

* **Who asks**: a session (`POST /api/v1/session`; changes bring its token in `X-CSRF-Token`) or a
  bearer token (`POST /api/v1/tokens`, `gateway user token`).
* **What is seen** hangs on the account: its role, its district (GB/T 2260) or its vendor. What lies
  outside is not there: 404, as if it did not exist.
* **Pages** go by cursor: give `next_cursor` of one as `cursor` of the next.
* **Times** are RFC 3339 UTC; absent values are left out, never 0.
* **Errors** are problem details (RFC 9457). 429 and 503 say when to try again.
"""


def make_app(
    api: Api,
    *,
    recent: Callable[[int | None], RecentFlags],
    hosts: Collection[str] = (),
) -> FastAPI:
    """The application.

    Args:
        api: what handlers share.
        recent: the flags committed behind a number.
        hosts: names that it may be called by; empty for any.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A handler waits for the store or the casebook most of its time, of which few can be
        # asked at once: more threads would only wait more.
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        yield
        await app.state.live.close()

    app = FastAPI(
        title="Metering gateway",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.api = api
    app.state.live = Live(api.world, recent, api.status)
    app.state.exports = Slots(_EXPORTS, _EXPORTS_EACH)
    for router in (
        accounts.router,
        lists.router,
        evidence.router,
        pages.router,
        reports.router,
        reprocessing.router,
        streams.router,
        system.router,
    ):
        app.include_router(router, prefix=PREFIX, responses=problems.RESPONSES)
    app.include_router(system.health)
    app.include_router(site.router)
    problems.install(app)
    app.add_middleware(Guard, hosts=hosts, secure=api.secure)
    app.openapi = _Described(app)  # type: ignore[method-assign]
    return app


class _Described:
    """The OpenAPI document of an application, made once."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._document: dict[str, Any] | None = None

    def __call__(self) -> dict[str, Any]:
        if self._document is None:
            self._document = system.described(self._app)
        return self._document
