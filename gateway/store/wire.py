"""How a process asks the one that has the store: frames over a Unix socket.

The asker connects, sends one frame with a `Question` or `Recent` (MessagePack), and is answered
with frames until one of kind ``END`` or ``FAILED``; then the connection is closed.  A frame is a
byte that says its kind, its length (4 bytes, big-endian), and as many bytes.  Frames of kind
``ROWS`` are, in their order, one Arrow IPC stream; one of kind ``WORD`` holds MessagePack.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.errors import StoreError, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOCKET: Final = "store.sock"
"""Name of the socket in the data directory."""

ASK: Final = 0
ROWS: Final = 1
WORD: Final = 2
END: Final = 3
FAILED: Final = 4

LONGEST_QUESTION: Final = 32 * 1024 * 1024
LONGEST_FRAME: Final = 8 * 1024 * 1024
_HEAD: Final = struct.Struct(">BI")
_PATH_LIMIT: Final = 100  # sockaddr_un has 108 bytes


class StoreBusy(StoreUnavailable):
    """Too many questions at once; ask again in a moment."""


class QuestionTooLarge(StoreError):
    """The question takes longer, or gives more, than it may."""


class Question(msgspec.Struct, frozen=True, tag="question"):
    """One SELECT with its parameters, and how much it may take at most.

    ``chosen`` is as in `StoreReader.ask`.  ``seconds`` and ``rows`` are bounded again by who
    answers.
    """

    sql: str
    parameters: list[Any] = []
    chosen: list[str] | None = None
    seconds: float = 10.0
    rows: int = 200_000


class Recent(msgspec.Struct, frozen=True, tag="recent"):
    """Which flags were committed behind the number ``after``; see `RecentFlags`."""

    after: int | None


class RecentFlags(msgspec.Struct, frozen=True):
    """Ids of flags in the order of commit, and the number of the last one.

    ``begun`` tells one start of processing from another: the numbers begin anew with it.
    ``missed`` where more were committed since than are remembered.
    """

    begun: int
    number: int
    ids: list[str]
    missed: bool


class Failure(msgspec.Struct, frozen=True):
    """Why a question was not answered: the name of an error, and its message."""

    kind: str
    message: str


ERRORS: Final[dict[str, type[StoreError]]] = {
    error.__name__: error
    for error in (StoreError, StoreUnavailable, StoreRefused, StoreBusy, QuestionTooLarge)
}

Asked = Question | Recent


@contextmanager
def address(path: Path) -> Iterator[str]:
    """What a socket is bound or connected to; a path that is too long goes by its directory."""
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def send(to: socket.socket, kind: int, content: bytes | memoryview = b"") -> None:
    """Sends a frame."""
    to.sendall(_HEAD.pack(kind, len(content)))
    if len(content):
        to.sendall(content)


def receive(of: socket.socket, longest: int) -> tuple[int, bytes]:
    """The next frame.

    Raises:
        StoreUnavailable: the other side is gone, or says what is no frame.
    """
    kind, length = _HEAD.unpack(_exactly(of, _HEAD.size))
    if length > longest:
        raise StoreUnavailable(f"store: a frame of {length:,} bytes, at most {longest:,} are taken")
    return kind, _exactly(of, length)


def _exactly(of: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = of.recv(min(count, 1 << 20))
        if not part:
            raise StoreUnavailable("store: the connection ended in the middle of an answer")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
