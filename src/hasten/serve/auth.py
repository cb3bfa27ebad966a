"""Who calls: from a bearer key to a ``Caller``.

Owns reading the credential. As long as no key was made everyone is ``local``,
which is safe because the server then binds loopback only
(``admission.refuse_open_bind``).
Leaves keys to ``store``. Every route that shows or starts anything asks here.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotation

from hasten.caller import LOCAL, Caller, set_caller
from hasten.errors import Forbidden, Unauthenticated
from hasten.wire import Runtime


async def runtime_of(connection: HTTPConnection) -> Runtime:
    """Return the server's runtime.

    Async, like all that routes depend on: FastAPI calls a plain function in another thread.
    """
    runtime: Runtime = connection.app.state.runtime
    return runtime


async def caller_of(connection: HTTPConnection) -> Caller:
    """Return who sent the request or opened the socket. Raises ``Unauthenticated``."""
    keys = (await runtime_of(connection)).keys
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    if secret and scheme.lower() == "bearer":
        key = await keys.find(secret.strip())
        if key is not None:
            return key.caller
        message = "this key is unknown or was revoked"
        raise Unauthenticated(message)
    if await keys.any():
        message = "send a key: Authorization: Bearer hst_…"
        raise Unauthenticated(message)
    return LOCAL


CallerOf = Annotated[Caller, Depends(caller_of)]


async def acting_of(caller: CallerOf) -> Caller:
    """Return the caller, in whose name the request works from here on."""
    set_caller(caller)
    return caller


async def admin_of(caller: Annotated[Caller, Depends(acting_of)]) -> Caller:
    """Return the caller if they are an admin of their tenant. Raises ``Forbidden``."""
    if caller.role != "admin":
        message = "this needs a key with the role admin"
        raise Forbidden(message)
    return caller


ActingOf = Annotated[Caller, Depends(acting_of)]
AdminOf = Annotated[Caller, Depends(admin_of)]
RuntimeOf = Annotated[Runtime, Depends(runtime_of)]
