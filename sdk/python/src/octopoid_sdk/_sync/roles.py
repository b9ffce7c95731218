# Written by scripts/generate_sync.py from ../_async/roles.py: run it, do not edit.
"""The jobs that agents have."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, cast

from .._call import given, path, post, read
from .transport import Transport

if TYPE_CHECKING:
    from ..models import NewRole, Role


class Roles:
    """The jobs that agents have."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, orchestrator_id: str, roles: Sequence[NewRole], scope: Optional[str] = None) -> List[Role]:
        """Tells which roles an orchestrator has agents for; harmless when repeated."""
        request = given(orchestrator_id=orchestrator_id, roles=[*roles], scope=scope)
        call = post(path("roles", "register"), request)
        return cast("List[Role]", (self._transport.json(call))["roles"])

    def get(self, name: str) -> Optional[Role]:
        """Shows a role; None when there is none of that name."""
        return cast("Optional[Role]", self._transport.json_or_none(read(path("roles", name))))

    def list(self, scope: Optional[str] = None, limit: Optional[int] = None, offset: Optional[int] = None) -> List[Role]:
        """Lists roles."""
        call = read(path("roles"), given(scope=scope, limit=limit, offset=offset))
        return cast("List[Role]", (self._transport.json(call))["roles"])
