"""The obvious gateway in Starlette and httpx.

Streams are passed on as they come, and kept in passing to find the usage at their end.
"""

import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

UPSTREAM = os.environ["BENCH_UPSTREAM"]
_OF_ONE_CONNECTION = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
    trust = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    async with httpx.AsyncClient(limits=limits, timeout=None, verify=trust) as client:
        app.state.client = client
        yield


async def tee(response: httpx.Response, account: bool) -> AsyncIterator[bytes]:
    """Pass an answer on; keep it until its end if its usage is to be found."""
    kept = []
    try:
        async for chunk in response.aiter_raw():
            if account:
                kept.append(chunk)
            yield chunk
    finally:
        await response.aclose()
    usage(b"".join(kept))


def usage(text: bytes) -> Any:
    """The usage that an answer tells, if it does."""
    at = text.rfind(b'"usage":{')
    if at < 0:
        return None
    return json.JSONDecoder().raw_decode(text[at + len(b'"usage":') :].decode(errors="replace"))[0]


async def forward(request: Request) -> StreamingResponse:
    client: httpx.AsyncClient = request.app.state.client
    headers = [
        (name, value) for name, value in request.headers.items() if name not in _OF_ONE_CONNECTION
    ]
    asked = client.build_request(
        request.method,
        UPSTREAM + request.url.path,
        headers=headers,
        content=await request.body(),
    )
    response = await client.send(asked, stream=True)
    answer = {
        name: value
        for name, value in response.headers.items()
        if name not in _OF_ONE_CONNECTION - {"content-length"}
    }
    kind = response.headers.get("content-type", "")
    account = kind.startswith(("text/event-stream", "application/json"))
    return StreamingResponse(tee(response, account), response.status_code, answer)


app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])], lifespan=lifespan)
