"""Errors as problem details (RFC 9457), of one shape whatever went wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.access.roles import AccessDenied
from gateway.access.sessions import LoginRefused, NotKnown
from gateway.access.single_sign_on import ProviderUnavailable
from gateway.access.throttle import Throttled
from gateway.errors import ConfigError, GatewayError, StoreUnavailable
from gateway.flags.states import DecisionConflict, DecisionRefused
from gateway.orders import OrderRefused
from gateway.queries.seen import NotFound
from gateway.store.wire import QuestionTooLarge, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

log = structlog.get_logger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:gateway:problem:"
_RETRY_S: Final = 2
_SHOWN: Final = 20


class TooManyRequests(GatewayError):
    """More requests than one caller may make; ``wait`` seconds until the next."""

    retry = True

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many requests: wait {wait} s")
        self.wait = wait


class Busy(GatewayError):
    """Too much of one thing is going on; ``wait`` seconds until it is worth another try."""

    retry = True

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class CrossSite(GatewayError):
    """A change that does not come from a page of ours."""


class MustChangePassword(GatewayError):
    """The one-time password has to be changed first."""


_STATUS: Final[tuple[tuple[type[GatewayError], int, str], ...]] = (
    (NotFound, 404, "not-found"),
    (MustChangePassword, 403, "password-change-needed"),
    (CrossSite, 403, "cross-site"),
    (AccessDenied, 403, "denied"),
    (LoginRefused, 401, "login-refused"),
    (NotKnown, 401, "not-authenticated"),
    (Throttled, 429, "throttled"),
    (TooManyRequests, 429, "too-many-requests"),
    (DecisionConflict, 412, "conflict"),
    (DecisionRefused, 409, "refused"),
    (OrderRefused, 409, "refused"),
    (QuestionTooLarge, 400, "question-too-large"),
    (StoreBusy, 503, "busy"),
    (Busy, 503, "busy"),
    (ProviderUnavailable, 503, "provider-unavailable"),
    (StoreUnavailable, 503, "unavailable"),
    (ConfigError, 400, "bad-request"),
)
"""What each of our errors is in HTTP: the first that fits."""

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "which problem, as a URN"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "where, which rule, what was got"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "example": {
        "type": f"{_PREFIX}not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "no device 'em-1'",
    },
}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": description,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, description in (
        ("4XX", "What is wrong with the request (RFC 9457)"),
        ("5XX", "What is wrong here, and whether to try again (RFC 9457)"),
    )
}


def problem(
    status: int,
    kind: str,
    detail: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """A response with problem details."""
    told: dict[str, Any] = {
        "type": f"{_PREFIX}{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
    }
    if detail:
        told["detail"] = detail
    return Response(
        msgspec.json.encode(told | more),
        status,
        media_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def of_error(error: GatewayError) -> Response:
    """The response for one of our errors."""
    for type_, status, kind in _STATUS:
        if isinstance(error, type_):
            wait = getattr(error, "wait", _RETRY_S if status == 503 else None)
            headers = {} if wait is None else {"Retry-After": str(wait)}
            if status == 401:
                headers["WWW-Authenticate"] = 'Bearer realm="gateway"'
            return problem(status, kind, str(error), headers=headers)
    log.error("request failed", error=str(error))
    return problem(500, "internal", "something went wrong here; the log says what")


def install(app: FastAPI) -> None:
    """Has an application answer with problem details."""

    @app.exception_handler(GatewayError)
    async def _ours(_request: Request, error: Exception) -> Response:
        return of_error(error) if isinstance(error, GatewayError) else problem(500, "internal")

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            return problem(500, "internal")
        errors = [
            {"place": ".".join(map(str, each["loc"])), "message": str(each["msg"])}
            for each in error.errors()[:_SHOWN]
        ]
        return problem(422, "invalid", "the request is not what the API describes", errors=errors)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return problem(500, "internal")
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return problem(error.status_code, kind, headers=error.headers)

    @app.exception_handler(Exception)
    async def _bug(_request: Request, _error: Exception) -> Response:
        return problem(500, "internal", "something went wrong here; the log says what")
