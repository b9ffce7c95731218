"""Which states tasks go through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, cast

from .._call import given, path, put, read, remove
from .transport import AsyncTransport

if TYPE_CHECKING:
    from ..models import Flow, Transition


class AsyncFlows:
    """Which states tasks go through."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def put(self, name: str, states: Sequence[str], transitions: Sequence[Transition], scope: Optional[str] = None) -> Flow:
        """Makes a flow, or replaces it. Its states hold at least incoming, claimed, done and failed."""
        flow = given(states=[*states], transitions=[*transitions], scope=scope)
        return cast("Flow", await self._transport.json(put(path("flows", name), flow)))

    async def get(self, name: str) -> Optional[Flow]:
        """Shows a flow; None when there is none of that name."""
        return cast("Optional[Flow]", await self._transport.json_or_none(read(path("flows", name))))

    async def list(self, scope: Optional[str] = None) -> List[Flow]:
        """Lists flows."""
        return cast("List[Flow]", (await self._transport.json(read(path("flows"), given(scope=scope))))["flows"])

    async def delete(self, name: str) -> Dict[str, str]:
        """Deletes a flow."""
        gone = {"message": "Flow deleted", "name": name}
        return cast("Dict[str, str]", await self._transport.json(remove(path("flows", name), gone)))
