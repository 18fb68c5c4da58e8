"""Exports, written while they are read; and what happens now, as server-sent events."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Annotated, Final, cast

import structlog
from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from gateway.access.roles import AccessDenied
from gateway.access.sessions import NotKnown
from gateway.api.context import (
    Caller,
    Context,
    api_of,
    export_cost,
    identified,
    moment,
    seen_by,
)
from gateway.api.guard import Slots
from gateway.api.lists import Since, Until, Word
from gateway.api.live import Listener, Live, Told
from gateway.errors import GatewayError
from gateway.queries import exports
from gateway.queries.exports import ExportChoice, Format, What
from gateway.queries.privacy import privacy_of
from gateway.queries.seen import Seen

log = structlog.get_logger(__name__)

router: Final = APIRouter()

_TYPES: Final = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_CHUNKS: Final = 8
_PATIENCE_S: Final = 60.0


class _Abandoned(Exception):
    """Nobody reads any more."""


class _Chunks:
    """A file to write to, whose content another thread reads piece by piece; bounded."""

    def __init__(self) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_CHUNKS)
        self._abandoned = threading.Event()
        self.fault: BaseException | None = None
        self.closed = False
        self._written = 0

    def write(self, content: bytes) -> int:
        """Waits until there is room.

        Raises:
            _Abandoned: nobody reads any more.
        """
        self._put(bytes(content))
        self._written += len(content)
        return len(content)

    def _put(self, content: bytes | None) -> None:
        waited = 0.0
        while not self._abandoned.is_set() and waited < _PATIENCE_S:
            try:
                self._chunks.put(content, timeout=0.25)
            except queue.Full:
                waited += 0.25
                continue
            return
        raise _Abandoned

    def tell(self) -> int:
        """How much was written."""
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing: the end is told by `end`."""

    def readable(self) -> bool:
        """Not here."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Never."""
        return False

    def end(self, fault: BaseException | None) -> None:
        """Says that no more comes."""
        self.fault = fault
        try:
            self._put(None)
        except _Abandoned:
            return

    def read(self) -> Iterator[bytes]:
        """What is written, as it comes.

        Raises:
            BaseException: what ended the writing too early; the connection then breaks off, so that
                half an export is not taken for a whole one.
        """
        try:
            while (chunk := self._chunks.get()) is not None:
                yield chunk
            if self.fault is not None:
                raise self.fault
        finally:
            self._abandoned.set()


@router.get(
    "/export/{what}",
    tags=["export"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The export, with the keys of `gateway export`",
            "content": {
                media.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                for media in _TYPES.values()
            },
        }
    },
)
def export(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    what: Annotated[What, Path()],
    file_format: Annotated[Format, Query(alias="format")] = "jsonl",
    kind: Word = None,
    code: Word = None,
    device: Word = None,
    region: Word = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Readings, flags, quarantine or devices as a stream.

    For roles without need of names, devices have pseudonyms. Every export is in the audit.
    """
    caller.need("export")
    seen = seen_by(api, caller, what)
    export_cost(api, caller)
    choice = ExportChoice(
        kind=kind, code=code, device_id=device, region=region,
        since=moment(since, "since"), until=moment(until, "until"),
    ).checked(what)  # fmt: skip
    seen.narrowed(region)
    if device is not None:
        seen.need(device)
    running: Slots = request.app.state.exports
    running.take(caller.name)
    try:
        api.looked(
            caller, f"export.{what}", device or "export", device_id=device, kind=kind, code=code,
            region=region, since=since, until=until, format=file_format,
            pseudonyms=not seen.privacy.exact,
        )  # fmt: skip
        chunks = _Chunks()
        done = partial(running.give_back, caller.name)
        arguments = (seen, what, choice, file_format, chunks, done)
        threading.Thread(target=_write, args=(api, *arguments), daemon=True).start()
    except BaseException:
        running.give_back(caller.name)
        raise
    name = f"{what}.{file_format}"
    return StreamingResponse(
        chunks.read(),
        media_type=_TYPES[file_format],
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _write(  # noqa: PLR0917 - the target of a thread
    api: Context,
    seen: Seen,
    what: What,
    choice: ExportChoice,
    file_format: Format,
    chunks: _Chunks,
    done: Callable[[], None],
) -> None:
    fault: BaseException | None = None
    try:
        exports.write(
            seen, what, choice, format_=file_format, names=api.names,
            out=cast("IO[bytes]", chunks),
        )  # fmt: skip
    except _Abandoned:
        log.info("export abandoned", what=what)
    except GatewayError as error:
        fault = error
        log.warning("export broke off", what=what, error=str(error))
    except Exception as error:
        fault = error
        log.exception("export failed", what=what)
    finally:
        done()
        chunks.end(fault)


def permitted(request: Request) -> Told | None:
    """What a listener may be told now; None: nothing any more.

    It hangs neither on how often he asks nor on the store: neither keeps an old right alive.
    """
    try:
        caller = identified(request)
        caller.need("flags")
    except (NotKnown, AccessDenied):
        return None
    seen = Seen(api_of(request).world, caller.scope, privacy_of(caller.permissions))
    return None if caller.must_change else Told(seen, caller.may("ingest"))


@router.get(
    "/live",
    tags=["live"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `flag` (as in the list), `status` and `reset` (ask again)",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def live(request: Request, api: Context, caller: Caller) -> Response:
    """New and changed flags, and the gateway's state, as server-sent events."""
    caller.need("flags")
    hub: Live = request.app.state.live
    hub.admit(caller.name)
    seen = await to_thread.run_sync(seen_by, api, caller, "flags")
    listener = Listener(Told(seen, caller.may("ingest")), lambda: permitted(request))
    return StreamingResponse(
        hub.stream(listener, caller.name),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
