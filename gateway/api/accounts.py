"""Sessions, accounts and tokens."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
import hmac
import html
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import HTMLResponse

from gateway.access import sessions, throttle
from gateway.access.people import People, Person, set_own_password
from gateway.access.roles import AccessDenied
from gateway.access.sessions import LoginRefused, Principal, csrf_of
from gateway.access.single_sign_on import LASTS_S, SingleSignOn
from gateway.access.tables import PERSON
from gateway.api import models
from gateway.api.context import (
    Api,
    Caller,
    Context,
    address_of,
    answer,
    authenticated,
    same_site,
)
from gateway.queries.seen import NotFound
from gateway.times import rfc3339

router: Final = APIRouter(tags=["access"])
_STATE: Final = "gateway-oidc"
_GO_ON: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>…</title>'
    '<meta http-equiv="refresh" content="0;url={target}"></head></html>'
)


@router.post("/session", status_code=201, response_model=models.Account)
def log_in(request: Request, api: Context, body: models.Login) -> Response:
    """Begins a session: a cookie, and the token that each change has to bring in `X-CSRF-Token`."""
    same_site(request)
    address = address_of(request)
    api.logins.take(f"address {address}")
    begun = sessions.log_in(api.casebook, api.hasher, body.name, body.password, address=address)
    told = _account(begun.principal) | {"csrf": begun.csrf, "expires_at": rfc3339(begun.expires_at)}
    response = answer(request, told, status=201, headers={"Cache-Control": "no-store"})
    return _with_cookie(api, response, begun)


@router.get("/session/oidc", status_code=303, response_class=Response)
def begin_single_sign_on(
    api: Context,
    back_to: Annotated[
        str, Query(max_length=512, pattern=r"^/([A-Za-z0-9_.~?=&%:,+-][A-Za-z0-9/_.~?=&%:,+-]*)?$")
    ] = "/",
) -> Response:
    """Sends a browser to the provider of single sign-on, where there is one (`[api.oidc]`)."""
    url, state = _single_sign_on(api).begin(back_to)
    response = Response(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})
    response.set_cookie(
        _STATE, state, max_age=round(LASTS_S), path="/api/v1/session/oidc", secure=api.secure,
        httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@router.get("/session/oidc/callback", response_class=HTMLResponse)
def finish_single_sign_on(
    request: Request,
    api: Context,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=256)] = "",
) -> Response:
    """Where the provider sends the browser back to: begins a session and goes on."""
    provider, address = _single_sign_on(api), address_of(request)
    api.logins.take(f"address {address}")
    held = request.cookies.get(_STATE, "")
    if not state or not hmac.compare_digest(held.encode(), state.encode()):
        raise LoginRefused("this login was begun by another browser: begin again")
    name, back_to = provider.finish(code, state)
    begun = sessions.log_in_as(api.casebook, name, address=address, by="oidc")
    # Browsers send no strict cookie on a way that another site began: this page begins a new one.
    page = _GO_ON.format(target=html.escape(back_to, quote=True))
    response = HTMLResponse(page, headers={"Cache-Control": "no-store"})
    response.delete_cookie(_STATE, path="/api/v1/session/oidc")
    return _with_cookie(api, response, begun)


def _single_sign_on(api: Api) -> SingleSignOn:
    if api.single_sign_on is None:
        raise NotFound("single sign-on is not set up here")
    return api.single_sign_on


def _with_cookie(api: Api, response: Response, begun: sessions.Session) -> Response:
    response.set_cookie(
        api.cookie, begun.key, max_age=sessions.LONGEST_S, path="/", secure=api.secure,
        httponly=True, samesite="strict",
    )  # fmt: skip
    return response


@router.get("/session", response_model=models.Account)
def who_am_i(request: Request, api: Context) -> Response:
    """Who is logged in, what he may and sees."""
    caller = authenticated(request)
    told = _account(caller)
    if caller.via == "session":
        told["csrf"] = csrf_of(request.cookies[api.cookie])
    return answer(request, told, headers={"Cache-Control": "no-store"})


@router.delete("/session", status_code=204)
def log_out(request: Request, api: Context) -> Response:
    """Ends the session."""
    sessions.log_out(api.casebook, _by_session(authenticated(request)))
    response = Response(status_code=204)
    response.delete_cookie(
        api.cookie, path="/", secure=api.secure, httponly=True, samesite="strict"
    )
    return response


@router.put("/session/password", status_code=204)
def set_password(request: Request, api: Context, body: models.NewPassword) -> Response:
    """Sets a password of one's own; all other sessions end."""
    caller = _by_session(authenticated(request))
    address = address_of(request)
    throttle.attempt(api.casebook, caller.name, address)
    with api.casebook.transaction(reading=True) as connection:
        kept = connection.scalar(PERSON.select().with_only_columns(PERSON.c.password).where(
            PERSON.c.id == caller.person.id
        ))  # fmt: skip
    if not api.hasher.verify(kept, body.old):
        raise LoginRefused("the old password is wrong")
    set_own_password(api.casebook, api.hasher, caller.person, body.new, session=str(caller.key))
    with api.casebook.transaction() as connection:
        throttle.succeeded(connection, caller.name, address)
    return Response(status_code=204)


@router.get("/users", response_model=models.Records)
def list_users(request: Request, api: Context, caller: Caller) -> Response:
    """The accounts within one's own scope."""
    return answer(request, {"items": [_user(each) for each in _people(api, caller).list()]})


@router.post("/users", status_code=201, response_model=models.OneTime)
def add_user(request: Request, api: Context, caller: Caller, body: models.NewUser) -> Response:
    """Makes an account; its one-time password is told this once."""
    changes = _people(api, _by_session(caller))
    password = changes.add(
        body.name, body.role, region=body.region, vendor=body.vendor,
        single_sign_on=body.single_sign_on,
    )  # fmt: skip
    told = {"name": body.name.strip().lower()}
    if password:
        told["one_time_password"] = password
    return answer(request, told, status=201, headers={"Cache-Control": "no-store"})


@router.patch("/users/{name}", response_model=models.Anything)
def change_user(
    request: Request, api: Context, caller: Caller, name: str, body: models.UserChange
) -> Response:
    """Changes role, scope or state of an account; its sessions hold the new at once."""
    changed = _people(api, _by_session(caller)).change(name, **body.model_dump())
    return answer(request, _user(changed))


@router.post("/users/{name}/password", response_model=models.OneTime)
def reset_password(request: Request, api: Context, caller: Caller, name: str) -> Response:
    """Gives an account a new one-time password and ends its sessions."""
    password = _people(api, _by_session(caller)).reset(name)
    told = {"name": name, "one_time_password": password}
    return answer(request, told, headers={"Cache-Control": "no-store"})


@router.get("/tokens", response_model=models.Records)
def list_tokens(request: Request, api: Context, caller: Caller) -> Response:
    """One's own tokens; an administrator's list has those of the accounts within his scope."""
    if not caller.may("users"):
        return answer(request, {"items": [_token(api, each) for each in _own(api, caller)]})
    names = {each.name for each in _people(api, caller).list()}
    held = [token for token in sessions.tokens(api.casebook) if token.owner in names]
    return answer(request, {"items": [_token(api, token) for token in held]})


@router.post("/tokens", status_code=201, response_model=models.Anything)
def add_token(request: Request, api: Context, caller: Caller, body: models.NewToken) -> Response:
    """Makes a token for a program; its text is told this once."""
    made, text = sessions.make_token(
        api.casebook, _by_session(caller).person, title=body.title, permissions=body.permissions,
        days=body.days, actor=caller.name,
    )  # fmt: skip
    told = _token(api, made) | {"token": text}
    return answer(request, told, status=201, headers={"Cache-Control": "no-store"})


@router.delete("/tokens/{number}", status_code=204)
def revoke_token(
    api: Context, caller: Caller, number: Annotated[int, Path(ge=0, le=2**62)]
) -> Response:
    """Ends a token of one's own, or, as an administrator, of an account within one's scope."""
    owner = _by_session(caller).person
    if caller.may("users"):
        held = next((t for t in sessions.tokens(api.casebook) if t.id == number), None)
        names = {each.name: each for each in _people(api, caller).list()}
        if held is not None and held.owner in names:
            owner = names[held.owner]
    sessions.revoke(api.casebook, number, owner=owner, actor=caller.name)
    return Response(status_code=204)


def _by_session(caller: Principal) -> Principal:
    """Who asks, where he is a person: a token must not make itself more than it is."""
    if caller.via != "session":
        raise AccessDenied("this is done by a person who has logged in, not by a token")
    return caller


def _people(api: Api, caller: Principal) -> People:
    caller.need("users")
    return People(api.casebook, api.hasher, actor=caller.name, scope=caller.scope)


def _own(api: Api, caller: Principal) -> list[sessions.Token]:
    return sessions.tokens(api.casebook, caller.person)


def _account(caller: Principal) -> dict[str, Any]:
    return {
        "name": caller.name,
        "role": caller.role,
        "region": caller.scope.region,
        "vendor": caller.scope.vendor,
        "permissions": sorted(caller.permissions),
        "must_change": caller.must_change,
        "via": caller.via,
    }


def _user(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "role": person.role,
        "region": person.scope.region,
        "vendor": person.scope.vendor,
        "must_change": person.must_change,
        "disabled": person.disabled,
        "made_at": rfc3339(person.made_at),
        "seen_at": None if person.seen_at is None else rfc3339(person.seen_at),
    }


def _token(api: Api, token: sessions.Token) -> dict[str, Any]:
    over = "expired" if token.expires_at <= api.casebook.now() else "standing"
    told = {
        "id": token.id,
        "owner": token.owner,
        "title": token.title,
        "permissions": list(token.permissions),
        "state": over if token.revoked_at is None else "revoked",
    }
    times = ("made_at", "expires_at", "used_at", "revoked_at")
    given = {name: getattr(token, name) for name in times}
    return told | {name: rfc3339(at) for name, at in given.items() if at is not None}
