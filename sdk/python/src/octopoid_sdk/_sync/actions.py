# Written by scripts/generate_sync.py from ../_async/actions.py: run it, do not edit.
"""What agents propose and people decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Union, cast

from .._call import given, patch, path, post, read
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import Action, NewAction


class Actions:
    """What agents propose and people decide."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, **fields: Unpack[NewAction]) -> Action:
        """Proposes an action."""
        return cast("Action", self._transport.json(post(path("actions"), fields)))

    def get(self, action_id: str) -> Optional[Action]:
        """Shows an action; None when there is none of that id."""
        return cast("Optional[Action]", self._transport.json_or_none(read(path("actions", action_id))))

    def list(
        self,
        entity_type: Optional[str] = None,
        entity_id: Optional[str] = None,
        action_type: Optional[str] = None,
        status: Optional[Union[str, Sequence[str]]] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Action]:
        """Lists actions; expired ones are never listed."""
        filters = given(
            entity_type=entity_type,
            entity_id=entity_id,
            action_type=action_type,
            status=status,
            scope=scope,
            limit=limit,
            offset=offset,
        )
        return cast("List[Action]", (self._transport.json(read(path("actions"), filters)))["actions"])

    def execute(self, action_id: str) -> Action:
        """Asks for a proposed action to be done."""
        return cast("Action", self._transport.json(post(path("actions", action_id, "execute"), {})))

    def update(self, action_id: str, status: Optional[str] = None, result: Any = None) -> Action:
        """Tells how an action goes."""
        return cast("Action", self._transport.json(patch(path("actions", action_id), given(status=status, result=result))))
