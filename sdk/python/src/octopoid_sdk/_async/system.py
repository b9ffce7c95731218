"""A node, and what waits there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Optional, cast

from .._answer import parsed, refusal
from .._call import UNSENT, given, path, read
from .transport import AsyncTransport

if TYPE_CHECKING:
    from ..models import ClusterInfo, Health, NodeStatus, PollResponse


class AsyncSystem:
    """A node, and what waits there."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def health_check(self) -> Health:
        """Tells whether the node works; ``status`` is ``unhealthy`` when it does not. Needs no key."""
        call = replace(read("/api/health"), open=True, repeat=UNSENT)
        answer = await self._transport.answer(call)
        health = parsed(answer.content)
        if not (isinstance(health, dict) and "status" in health):
            raise refusal(answer, call.name)
        return cast("Health", health)

    async def poll(self, orchestrator_id: Optional[str] = None, scope: Optional[str] = None) -> PollResponse:
        """Tells what a scheduler asks: how many tasks wait in each queue, and which of them for a verdict."""
        call = read(path("scheduler", "poll"), given(orchestrator_id=orchestrator_id, scope=scope))
        return cast("PollResponse", await self._transport.json(call))

    async def node_status(self) -> NodeStatus:
        """Shows the node's agents and attempts; needs the node's own key."""
        return cast("NodeStatus", await self._transport.json(read(path("node", "status"))))

    async def cluster(self) -> ClusterInfo:
        """Shows the cluster as the node sees it; needs the node's own key."""
        return cast("ClusterInfo", await self._transport.json(read(path("cluster"))))
