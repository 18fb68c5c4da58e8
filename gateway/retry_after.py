"""How long a server over HTTP asks to be left alone."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime


def asked_wait(header: str | None, now: float) -> float:
    """Seconds of a Retry-After, a number or a date (RFC 9110, 10.2.3); 0 where it says nothing.

    Args:
        header: as the server sent it.
        now: seconds since 1970.
    """
    if not header:
        return 0.0
    try:
        wait = float(header)
    except ValueError:
        try:
            wait = parsedate_to_datetime(header).timestamp() - now
        except ValueError:
            return 0.0
    return max(wait, 0.0) if math.isfinite(wait) else 0.0
