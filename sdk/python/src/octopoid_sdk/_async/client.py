"""The client."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncGenerator, Optional, Sequence, Type, Union

import httpx

from .._pause import async_sleep
from .._project import Folder, Place
from .._settings import CallSettings
from .._wait import Wait
from .actions import AsyncActions
from .drafts import AsyncDrafts
from .events import events
from .flows import AsyncFlows
from .messages import AsyncMessages
from .orchestrators import AsyncOrchestrators
from .projects import AsyncProjects
from .roles import AsyncRoles
from .system import AsyncSystem
from .tasks import AsyncTasks
from .transport import AsyncConnection, AsyncTransport

if TYPE_CHECKING:
    from ..models import Event, Task


class AsyncOctopoidSDK:
    """A client of an Octopoid node; without arguments of the one that the environment or the nearest ``.octopoid`` folder names.

    ``server_url`` is the address of a node (else the variable OCTOPOID_SERVER_URL), ``api_key`` a key, ``oct_…`` (else
    OCTOPOID_API_KEY), ``timeout`` how many seconds one try of a call may take, ``max_retries`` how often a call that failed for a
    passing reason is tried again, ``scope`` the tenant that calls speak of, ``project_dir`` where to look for the project whose
    node is meant, and ``http_client`` an httpx client of your own, which you close.
    """

    def __init__(
        self,
        server_url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        timeout: float = 30.0,
        max_retries: int = 2,
        scope: Optional[str] = None,
        project_dir: Optional[Folder] = None,
        http_client: Optional[httpx.AsyncClient] = None,
    ) -> None:
        connection = AsyncConnection(Place(server_url, api_key, project_dir), http_client)
        self._attach(AsyncTransport(connection, CallSettings(timeout, max_retries, scope)))

    def _attach(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.tasks = AsyncTasks(transport)
        self.projects = AsyncProjects(transport)
        self.drafts = AsyncDrafts(transport)
        self.messages = AsyncMessages(transport)
        self.actions = AsyncActions(transport)
        self.flows = AsyncFlows(transport)
        self.roles = AsyncRoles(transport)
        self.orchestrators = AsyncOrchestrators(transport)
        self.system = AsyncSystem(transport)

    def with_options(
        self,
        *,
        timeout: Optional[float] = None,
        max_retries: Optional[int] = None,
        scope: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> AsyncOctopoidSDK:
        """Returns a client of the same node whose calls are told differently; it shares the connections of this one.

        A node recognises a repeated POST by its ``idempotency_key`` for 24 hours. Each call has one of its own by default; give
        one to make a call that a later run of your script repeats.
        """
        changes: dict[str, Any] = {
            "timeout": timeout,
            "max_retries": max_retries,
            "scope": scope,
            "idempotency_key": idempotency_key,
        }
        told = {name: value for name, value in changes.items() if value is not None}
        client = type(self).__new__(type(self))
        client._attach(AsyncTransport(self._transport.connection, replace(self._transport.settings, **told)))
        return client

    def events(
        self, last_event_id: Optional[str] = None, scope: Optional[str] = None, reconnect: float = 300.0
    ) -> AsyncGenerator[Event, None]:
        """Iterates over what happens, from now on or after an event seen before, across broken connections.

        It raises when the node refuses, or cannot be reached for ``reconnect`` seconds.
        """
        return events(self._transport, last_event_id, scope, reconnect)

    async def wait_for(self, task_id: str, queue: Union[str, Sequence[str]], timeout: Optional[float] = None) -> Task:
        """Waits until a task is in a queue, or in one of several, and returns it; for ever without a ``timeout`` in seconds.

        It raises an OctopoidTimeoutError when the time is over, and an OctopoidError at once when the task is gone, or in done,
        cancelled or failed while another queue is waited for. A queue that the task leaves within the two seconds between looks
        may be missed.
        """
        wait = Wait(task_id, queue, timeout)
        while True:
            task = wait.look(await self.tasks.get(task_id))
            if task is not None:
                return task
            await async_sleep(wait.pause())

    async def close(self) -> None:
        """Closes the connections, those of clients made by ``with_options`` too."""
        await self._transport.connection.close()

    async def __aenter__(self) -> AsyncOctopoidSDK:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()
