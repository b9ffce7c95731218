# Written by scripts/generate_sync.py from ../_async/messages.py: run it, do not edit.
"""What is said about tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, cast

from .._call import given, path, post, read
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import Message, NewMessage


class Messages:
    """What is said about tasks; nothing is ever taken back."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, **fields: Unpack[NewMessage]) -> Message:
        """Says something about a task."""
        return cast("Message", self._transport.json(post(path("messages"), fields)))

    def list(
        self,
        task_id: Optional[str] = None,
        to_actor: Optional[str] = None,
        from_actor: Optional[str] = None,
        type: Optional[str] = None,
        thread_id: Optional[str] = None,
        unreplied: Optional[bool] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Message]:
        """Lists messages, oldest first; ``thread_id`` is a first message, which is listed with what answers it."""
        filters = given(
            task_id=task_id,
            to_actor=to_actor,
            from_actor=from_actor,
            type=type,
            thread_id=thread_id,
            unreplied=unreplied,
            scope=scope,
            limit=limit,
            offset=offset,
        )
        return cast("List[Message]", (self._transport.json(read(path("messages"), filters)))["messages"])
