"""Real servers that alerts are sent to: HTTP with any answer, SMTP, and one that talks nonsense."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from standardwebhooks import Webhook

from tests.databases import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session

    from tests.certificates import Certificates

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSwAAAA"
OTHER_SECRET = "whsec_" + "cm90YXRlZCBrZXkgb2YgMjQgYnl0ZXMhIQ=="


class Receiver:
    """A webhook's receiver, which verifies what comes by the scheme's own library.

    Attributes:
        answer: decides each request: a status, or a callable of the request's number and body.
        taken: bodies that were answered by a 2xx, in order.
        seen: keys of every request, in order.
        headers: of every request.
    """

    def __init__(self, port: int | None = None, secret: str = SECRET) -> None:
        self.answer: int | Callable[[int, dict[str, Any]], int] = 204
        self.taken: list[dict[str, Any]] = []
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.extra: dict[str, str] = {}
        self.text = b""
        self.verifies = True
        self.wait = threading.Event()
        self.wait.set()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook/s3cr3t-path?key=s3cr3t-query"
        self._webhook = Webhook(secret)
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self, body)

            def do_OPTIONS(self) -> None:
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_parts: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def take(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if self.verifies:
            self._webhook.verify(
                body, headers
            )  # raises, and so ends the connection, where it is wrong
        told = json.loads(body)
        self.headers.append(headers)
        self.seen.append(headers["webhook-id"])
        self.wait.wait(10)
        status = self.answer if isinstance(self.answer, int) else self.answer(len(self.seen), told)
        if 200 <= status < 300:
            self.taken.append(told)
        handler.send_response(status)
        for name, value in self.extra.items():
            handler.send_header(name, value)
        text = b"" if status == 204 else self.text
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """Event, flag and version of what was taken, in order."""
        return [(b["type"], b["data"]["id"], b["data"]["version"]) for b in self.taken]


class MailServer:
    """A real SMTP server that keeps what it is given.

    Attributes:
        mails: what was accepted, in order.
        data_answer: what is said to a mail; an SMTP answer with its code.
    """

    def __init__(
        self,
        *,
        certificates: Certificates | None = None,
        users: dict[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.data_answer = "250 OK"
        self.recipient_answer = "250 OK"
        self.port = port or free_port()
        more: dict[str, Any] = {}
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificates.issue("mail"))
            more |= {"tls_context": context, "require_starttls": True}
        if users is not None:

            def let_in(
                _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: object
            ) -> AuthResult:
                assert isinstance(data, LoginPassword)
                known = users.get(data.login.decode())
                return AuthResult(success=known == data.password.decode(), handled=False)

            more |= {
                "authenticator": let_in,
                "auth_required": True,
                "auth_require_tls": certificates is not None,
            }
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **more)

    def start(self) -> MailServer:
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop(no_assert=True)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.data_answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return self.data_answer


@contextmanager
def nonsense(
    says: bytes = b"\x00\xff nonsense\r\n\r\n" * 3, *, silent: bool = False
) -> Iterator[int]:
    """The port of a server that answers everybody with nonsense, or with nothing at all."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    ended = threading.Event()
    held: list[socket.socket] = []

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            held.append(connection)
            if not silent:
                connection.recv(10)
                connection.sendall(says)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join()
        for connection in held:
            connection.close()
        listener.close()


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits until something holds that another thread or process brings about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is another's doing
            await asyncio.sleep(0.01)


def text_of(mail: EmailMessage, subtype: str) -> str:
    """One part of a mail."""
    part = mail.get_body((subtype,))
    assert part is not None
    content: str = part.get_content()
    return content
