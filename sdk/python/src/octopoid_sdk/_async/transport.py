"""Makes calls: one request, its time-out, its retries."""

from __future__ import annotations

import json
import time
from typing import Any, AsyncGenerator, Dict, Optional

import httpx

from .._answer import LARGEST, Answer, is_absence, refusal, too_large, value
from .._call import Call, search
from .._errors import OctopoidConnectionError, OctopoidError, OctopoidNotFoundError, OctopoidTimeoutError
from .._pause import async_sleep
from .._project import LocalNode, Place, Target
from .._retry import Outcome, idempotency_key, may_repeat, pause
from .._settings import CallSettings, is_loopback

GREETING = 2.0
"""How many seconds a node may take to say that it is there."""


class AsyncConnection:
    """Which node is meant, and the open connections to it.

    A project's node moves when it is started anew, so it is looked up again after a call that did not reach it. Its key is sent
    only after a greeting without a key showed that this project's machine answers there.
    """

    def __init__(self, place: Place, http: Optional[httpx.AsyncClient]) -> None:
        self._place = place
        self._own = http is None
        self._http = http
        self._target: Optional[Target] = None

    async def target(self) -> Target:
        """Returns where calls go."""
        target = self._target
        if target is None:
            target = self._place.look_up()
            if target.greet is not None:
                await self._greet(target, target.greet)
            self._target = target
        return target

    def forget(self) -> None:
        """Forgets where a project's node was."""
        self._target = None

    def http(self, target: Target) -> httpx.AsyncClient:
        if self._http is None:
            # A proxy leads to no node of this machine.
            self._http = httpx.AsyncClient(trust_env=not is_loopback(target.url), verify=httpx.create_ssl_context())
        return self._http

    async def close(self) -> None:
        if self._own and self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _greet(self, target: Target, node: LocalNode) -> None:
        try:
            answer = await self.http(target).get(f"{target.url}/api/health", timeout=GREETING)
            health = answer.json()
        except (httpx.HTTPError, ValueError) as cause:
            raise OctopoidConnectionError(f"the project's node does not answer at {node.url}") from cause
        node.check(health)


class AsyncTransport:
    """Makes calls in one way of making them."""

    def __init__(self, connection: AsyncConnection, settings: CallSettings) -> None:
        self.connection = connection
        self.settings = settings

    async def json(self, call: Call) -> Any:
        """Makes a call whose answer is JSON. The caller says what its description says it is."""
        return value(await self.answer(call), call.name)

    async def json_or_none(self, call: Call) -> Any:
        """Makes a call whose answer is JSON, or None when what it speaks of is not there."""
        try:
            return await self.json(call)
        except OctopoidNotFoundError as error:
            if is_absence(error):
                return None
            raise

    async def text(self, call: Call) -> str:
        """Makes a call whose answer is text."""
        answer = await self.answer(call)
        if not answer.succeeded:
            raise refusal(answer, call.name)
        return answer.text

    async def answer(self, call: Call) -> Answer:
        """Makes a call, tries again where that is safe, and returns what came last, success or not."""
        key = (self.settings.idempotency_key or idempotency_key()) if call.method == "POST" else None
        lost = False
        for retries in range(self.settings.max_retries + 1):
            outcome = await self._try(call, key)
            # What an earlier try deleted is not there any more.
            if lost and call.gone is not None and outcome.answer is not None and outcome.answer.status == 404:
                return Answer(200, json.dumps(call.gone).encode())
            if not may_repeat(outcome, call) or retries == self.settings.max_retries:
                break
            lost = lost or outcome.lost
            await async_sleep(pause(retries + 1, outcome))
        if outcome.answer is None:
            raise outcome.error or OctopoidError("a call ended without an answer")
        return outcome.answer

    async def stream(self, call: Call, last_event_id: str, silence: float) -> AsyncGenerator[bytes, None]:
        """Opens a stream, and iterates over its pieces; an empty one first, once it is open."""
        target = await self.connection.target()
        headers = {**self._headers(target, call), "accept": "text/event-stream"}
        if last_event_id:
            headers["last-event-id"] = last_event_id
        limits = httpx.Timeout(self.settings.timeout, read=silence)
        try:
            async with self.connection.http(target).stream(
                call.method, target.url + call.path, params=self._query(call), headers=headers, timeout=limits
            ) as response:
                if not response.is_success:
                    answer = await self._whole(response, call, time.monotonic() + self.settings.timeout)
                    raise refusal(answer, call.name)
                yield b""
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.HTTPError as cause:
            self.connection.forget()
            raise OctopoidConnectionError(f"the stream from {target.url} broke off: {_reason(cause)}") from cause

    async def _try(self, call: Call, key: Optional[str]) -> Outcome:
        """Makes one request, and tells how it ended."""
        timeout = self.settings.timeout
        try:
            target = await self.connection.target()
        except OctopoidConnectionError as error:
            return Outcome(error=error, unsent=True)
        headers = self._headers(target, call)
        if key is not None:
            headers["idempotency-key"] = key
        content = None if call.body is None else json.dumps(call.body, allow_nan=False).encode()
        end = time.monotonic() + timeout
        try:
            async with self.connection.http(target).stream(
                call.method,
                target.url + call.path,
                params=self._query(call),
                headers=headers,
                content=content,
                timeout=timeout,
                # A key must not follow to another place.
                follow_redirects=False,
            ) as response:
                return Outcome(await self._whole(response, call, end))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as cause:
            self.connection.forget()
            return Outcome(error=_caused(OctopoidConnectionError(f"{target.url} cannot be reached: {_reason(cause)}"), cause), unsent=True)
        except (httpx.TimeoutException, TimeoutError) as cause:
            self.connection.forget()
            late = OctopoidTimeoutError(f"{target.url} did not answer {call.name} within {timeout} s")
            return Outcome(error=_caused(late, cause))
        except httpx.TransportError as cause:
            self.connection.forget()
            return Outcome(error=_caused(OctopoidConnectionError(f"{target.url} cannot be reached: {_reason(cause)}"), cause))
        except (httpx.HTTPError, httpx.InvalidURL) as cause:
            raise OctopoidError(f"{call.name} cannot be made: {_reason(cause)}") from cause

    async def _whole(self, response: httpx.Response, call: Call, end: float) -> Answer:
        """Reads an answer, as far as it may be long and as long as it may take."""
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > LARGEST:
                raise too_large(call.name)
            if time.monotonic() > end:
                raise TimeoutError
        return Answer(response.status_code, bytes(content), response.headers.get("retry-after"))

    def _headers(self, target: Target, call: Call) -> Dict[str, str]:
        # A node that answers as an old server did answers the SDK by today's contract.
        headers = {"accept": "application/json", "octopoid-compat": "seed"}
        if call.body is not None:
            headers["content-type"] = "application/json"
        if target.api_key is not None and not call.open:
            headers["authorization"] = f"Bearer {target.api_key}"
        return headers

    def _query(self, call: Call) -> Dict[str, str]:
        """Adds the client's scope to what a call asks, unless the call names one."""
        scope = self.settings.scope
        named = call.open or call.query.get("scope") is not None or (call.body is not None and "scope" in call.body)
        return search(call.query if scope is None or named else {**call.query, "scope": scope})


def _caused(error: OctopoidError, cause: BaseException) -> OctopoidError:
    error.__cause__ = cause
    return error


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
