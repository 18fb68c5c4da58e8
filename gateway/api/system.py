"""The gateway's own state: ingest, health, readiness, metrics; and the description of the API."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import HTMLResponse, PlainTextResponse

from gateway.api import models
from gateway.api.context import Caller, Context, answer
from gateway.api.problems import SCHEMA, problem
from gateway.metrics import StatusCollector, readiness

router: Final = APIRouter(tags=["system"])
health: Final = APIRouter(include_in_schema=False)

_RESOURCES: Final = "fastapi_swagger.resources"
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Gateway API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script>
</body></html>
"""
_START: Final = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, '
    "presets: [SwaggerUIBundle.presets.apis]});\n"
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


@router.get("/ingest", response_model=models.Anything)
def ingest(request: Request, api: Context, caller: Caller) -> Response:
    """Intake, ledger, processing, sinks: counters that balance, and how far behind each is."""
    caller.need("ingest")
    status = api.status()
    if status is None:
        return problem(503, "unavailable", "the gateway has not told its state yet")
    return answer(request, status)


@health.get("/healthz")
async def healthz() -> Response:
    """Answers while this process lives."""
    return PlainTextResponse("ok\n")


@health.get("/readyz")
def readyz(api: Context) -> Response:
    """Whether messages are taken and decided."""
    status = api.status()
    if status is None:
        return PlainTextResponse("starting\n", 503)
    code, _, body = readiness(status)
    return Response(body, code, media_type="text/plain")


@health.get("/metrics")
def metrics(api: Context, caller: Caller) -> Response:
    """Prometheus metrics, as the listener of `[metrics]` has them, for a token with `ingest`."""
    caller.need("ingest")
    status = api.status()
    if status is None:
        return problem(503, "unavailable", "the gateway has not told its state yet")
    registry = CollectorRegistry()
    registry.register(StatusCollector(lambda: status))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


@health.get("/api/docs")
async def docs() -> Response:
    """The description of the API, to be read and tried."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@health.get("/api/docs/{name}")
def asset(name: str) -> Response:
    """What the page of the description is made of."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    if name not in _ASSETS:
        return problem(404, "not-found")
    return Response(
        files(_RESOURCES).joinpath(name).read_bytes(),
        media_type=_ASSETS[name],
        headers={"Cache-Control": "public, max-age=86400"},
    )


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with problem details and the two ways to show who one is."""
    if app.openapi_schema:
        return app.openapi_schema
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = SCHEMA
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "an API token"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": app.state.api.cookie,
            "description": "a session; changes need its token in X-CSRF-Token, too",
        },
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            becoming = "/session/oidc" in path or (path.endswith("/session") and method == "post")
            if not becoming:
                operation["security"] = [{"token": []}, {"session": []}]
    return document
