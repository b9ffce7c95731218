"""Which states tasks go through."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, cast

from .._call import given, path, put, read, remove
from .transport import AsyncTransport

if TYPE_CHECKING:
    from ..models import Flow, FlowDeleted, FlowTransition


class AsyncFlows:
    """Which states tasks go through."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def put(
        self, name: str, states: Sequence[str], transitions: Sequence[FlowTransition] = (), scope: Optional[str] = None
    ) -> Flow:
        """Makes a flow, or replaces it. Its states hold at least incoming, claimed, done and failed."""
        flow = given(states=[*states], transitions=[*transitions], scope=scope)
        return cast("Flow", await self._transport.json(put(path("flows", name), flow)))

    async def get(self, name: str) -> Optional[Flow]:
        """Shows a flow; None when there is none of that name."""
        return cast("Optional[Flow]", await self._transport.json_or_none(read(path("flows", name))))

    async def list(self, scope: Optional[str] = None, limit: Optional[int] = None, offset: Optional[int] = None) -> List[Flow]:
        """Lists flows."""
        call = read(path("flows"), given(scope=scope, limit=limit, offset=offset))
        return cast("List[Flow]", (await self._transport.json(call))["flows"])

    async def delete(self, name: str) -> FlowDeleted:
        """Deletes a flow."""
        gone = {"message": "Flow deleted", "name": name}
        return cast("FlowDeleted", await self._transport.json(remove(path("flows", name), gone)))
