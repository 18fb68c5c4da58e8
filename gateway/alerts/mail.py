"""Flags by e-mail: a digest once a day, and at once what is grave."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import aiosmtplib
import structlog

from gateway.alerts import Later, Refused
from gateway.alerts.digest import Digest, digest
from gateway.alerts.events import SEVERITIES
from gateway.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.alerts.outbox import Letter, Outbox
    from gateway.alerts.spec import AlertSpec, MailSpec

log = structlog.get_logger(__name__)

_WHOLE: Final = 3
"""A mail may take so many times what a single answer may."""


def last_due(now: int, daily_at: int, zone: str) -> int:
    """The latest time of the digest that is not in the future; ns UTC.

    Args:
        now: ns UTC.
        daily_at: minutes after midnight.
        zone: IANA name of the time zone.
    """
    local = datetime.fromtimestamp(now // SECOND, ZoneInfo(zone))
    due = local.replace(hour=daily_at // 60, minute=daily_at % 60, second=0, microsecond=0)
    if due > local:
        due -= timedelta(days=1)
    return int(due.timestamp()) * SECOND


class Digests:
    """Gathers letters into parcels: at the time of the day, or after a moment where it is grave.

    A parcel stays as it is until the mail server has taken it, so that the same mail, with the same
    Message-ID, is what is sent again.  When as many letters wait as may, they go before their time.

    Args:
        spec: of an alert by e-mail.
        mail: its target.
        outbox: where letters are.
    """

    def __init__(self, spec: AlertSpec, mail: MailSpec, outbox: Outbox) -> None:
        self._name = spec.name
        self._queue = spec.queue
        self._mail = mail
        self._outbox = outbox
        self._grave = () if mail.at_once is None else SEVERITIES[SEVERITIES.index(mail.at_once) :]

    def due(self, now: int, limit: int) -> list[list[Letter]]:
        """Parcels to be sent now; what is due is put into one."""
        if self._grave:
            grave = self._outbox.unpacked(self._name, self._grave)
            if grave and now - grave[0].queued_at >= self._mail.gather * SECOND:
                self._pack(grave, 0)
        known = self._outbox.known(self._name)
        if known is not None and self._mail.daily_at is not None:
            due = last_due(now, self._mail.daily_at, self._mail.zone)
            if known.digest_at < due:
                self._pack(self._outbox.unpacked(self._name, SEVERITIES), due)
        if self._outbox.waiting(self._name) >= self._queue:
            self._pack(self._outbox.unpacked(self._name, SEVERITIES), 0)
        return self._outbox.packed(self._name, now)[:limit]

    def _pack(self, letters: Sequence[Letter], digest_at: int) -> None:
        keys = "\n".join(letter.key for letter in letters)
        parcel = sha256(keys.encode()).hexdigest()[:24]
        self._outbox.pack(self._name, letters, parcel, digest_at=digest_at)


class MailTarget:
    """Sends parcels as mails, text and HTML.

    Args:
        spec: the mail server, sender and recipients.
        gateway: name of this gateway, for the subject.
        clock: ns UTC.
    """

    def __init__(self, spec: MailSpec, gateway: str, clock: Callable[[], int]) -> None:
        self._spec = spec
        self._gateway = gateway
        self._clock = clock

    async def send(self, parcel: Sequence[Letter]) -> None:
        """Hands one mail to the server; returns when it has accepted it.

        Raises:
            Later: the server is away or busy, or refuses us or every recipient.
            Refused: it refuses this mail for what is in it.
        """
        made = digest(
            parcel, language=self._spec.language, zone=self._spec.zone, gateway=self._gateway
        )
        message = self._message(parcel, made)
        try:
            async with asyncio.timeout(self._spec.timeout * _WHOLE), self._server() as server:
                refused, _ = await server.send_message(message)
        except aiosmtplib.SMTPDataError as fault:
            said = f"{self._spec.place} answers {fault.code}: {fault.message}"
            if 500 <= fault.code < 600:
                raise Refused(said) from fault
            raise Later(said) from fault
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as fault:
            raise Later(self._said(fault)) from fault
        if refused:
            log.warning("some recipients were refused", recipients=sorted(refused))

    def _server(self) -> aiosmtplib.SMTP:
        """A session; its beginning connects, encrypts and logs in."""
        spec = self._spec
        context = None
        if spec.security != "none":
            try:
                context = ssl.create_default_context(cafile=spec.ca_file)
            except (OSError, ssl.SSLError) as fault:
                raise Later(f"ca_file {spec.ca_file}: {fault}") from fault
        return aiosmtplib.SMTP(
            hostname=spec.host,
            port=spec.port,
            username=spec.username,
            password=spec.password,
            timeout=spec.timeout,
            use_tls=spec.security == "tls",
            start_tls=spec.security == "starttls",
            tls_context=context,
        )

    def _message(self, parcel: Sequence[Letter], made: Digest) -> EmailMessage:
        message = EmailMessage()
        domain = parseaddr(self._spec.sender)[1].rpartition("@")[2]
        mark = parcel[0].parcel or sha256(parcel[0].key.encode()).hexdigest()[:24]
        now = datetime.fromtimestamp(self._clock() // SECOND, UTC)
        message["Subject"] = made.subject
        message["From"] = self._spec.sender
        message["To"] = ", ".join(self._spec.recipients)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{mark}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(made.text)
        message.add_alternative(made.html, subtype="html")
        return message

    def _said(self, fault: BaseException) -> str:
        if isinstance(fault, aiosmtplib.SMTPResponseException):
            return f"{self._spec.place} answers {fault.code}: {fault.message}"
        if isinstance(fault, aiosmtplib.SMTPRecipientsRefused):
            first = fault.recipients[0]
            return f"{self._spec.place} refuses every recipient: {first.code} {first.message}"
        if isinstance(fault, TimeoutError):
            return f"{self._spec.place}: no answer within {self._spec.timeout:g} s"
        return f"{self._spec.place}: {fault or type(fault).__name__}"

    async def probe(self) -> str:
        """Connects, encrypts, logs in, and sends nothing.

        Raises:
            Later: the server is away, or does not let us in.
        """
        try:
            async with asyncio.timeout(self._spec.timeout * _WHOLE), self._server() as server:
                await server.noop()
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as fault:
            raise Later(self._said(fault)) from fault
        as_whom = f" as {self._spec.username}" if self._spec.username else ""
        return f"{self._spec.place} lets us in{as_whom} ({self._spec.security})"

    async def close(self) -> None:
        """Nothing is kept open."""
