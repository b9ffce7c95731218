# Written by scripts/generate_sync.py from ../_async/orchestrators.py: run it, do not edit.
"""Whoever claims tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Union, cast

from .._call import given, patch, path, post, post_once, read
from .transport import Transport

if TYPE_CHECKING:
    from ..models import HeartbeatAnswer, Orchestrator, RegisterAnswer, RotatedKey


class Orchestrators:
    """Whoever claims tasks; every node is listed as one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(
        self,
        cluster: str,
        machine_id: str,
        repo_url: str,
        scope: Optional[str] = None,
        hostname: Optional[str] = None,
        version: Optional[str] = None,
        capabilities: Any = None,
    ) -> RegisterAnswer:
        """Makes an orchestrator known. The scope's key is told once, at its first registration: keep it."""
        request = given(
            cluster=cluster,
            machine_id=machine_id,
            repo_url=repo_url,
            scope=scope,
            hostname=hostname,
            version=version,
            capabilities=capabilities,
        )
        return cast("RegisterAnswer", self._transport.json(post_once(path("orchestrators", "register"), request)))

    def heartbeat(self, orchestrator_id: str) -> HeartbeatAnswer:
        """Shows that an orchestrator lives; after 120 s without it is offline."""
        call = post(path("orchestrators", orchestrator_id, "heartbeat"), {})
        return cast("HeartbeatAnswer", self._transport.json(call))

    def get(self, orchestrator_id: str) -> Optional[Orchestrator]:
        """Shows an orchestrator; None when there is none of that id."""
        return cast("Optional[Orchestrator]", self._transport.json_or_none(read(path("orchestrators", orchestrator_id))))

    def list(
        self,
        cluster: Optional[str] = None,
        status: Optional[Union[str, Sequence[str]]] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Orchestrator]:
        """Lists orchestrators; a status is active, offline or maintenance."""
        call = read(path("orchestrators"), given(cluster=cluster, status=status, scope=scope, limit=limit, offset=offset))
        return cast("List[Orchestrator]", (self._transport.json(call))["orchestrators"])

    def update(self, orchestrator_id: str, status: str) -> Orchestrator:
        """Changes an orchestrator's status."""
        return cast("Orchestrator", self._transport.json(patch(path("orchestrators", orchestrator_id), {"status": status})))

    def rotate_key(self, scope: str) -> RotatedKey:
        """Replaces a scope's key; the old one is void at once."""
        return cast("RotatedKey", self._transport.json(post_once(path("orchestrators", "scopes", scope, "rotate-key"), {})))
