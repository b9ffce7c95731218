"""What is not a task yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Union, cast

from .._call import given, patch, path, post, read, remove
from .transport import AsyncTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import Draft, DraftDeleted, DraftPatch, NewDraft


class AsyncDrafts:
    """What is not a task yet. Their ids are numbers, which a node gives."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(self, **fields: Unpack[NewDraft]) -> Draft:
        """Makes a draft."""
        return cast("Draft", await self._transport.json(post(path("drafts"), fields)))

    async def get(self, draft_id: int) -> Optional[Draft]:
        """Shows a draft; None when there is none of that id."""
        return cast("Optional[Draft]", await self._transport.json_or_none(read(path("drafts", draft_id))))

    async def list(
        self,
        status: Optional[Union[str, Sequence[str]]] = None,
        author: Optional[str] = None,
        domain: Optional[str] = None,
        linked_task_id: Optional[str] = None,
        linked_project_id: Optional[str] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Draft]:
        """Lists drafts."""
        filters = given(
            status=status,
            author=author,
            domain=domain,
            linked_task_id=linked_task_id,
            linked_project_id=linked_project_id,
            scope=scope,
            limit=limit,
            offset=offset,
        )
        return cast("List[Draft]", (await self._transport.json(read(path("drafts"), filters)))["drafts"])

    async def update(self, draft_id: int, **fields: Unpack[DraftPatch]) -> Draft:
        """Changes the fields that it is given."""
        return cast("Draft", await self._transport.json(patch(path("drafts", draft_id), fields)))

    async def delete(self, draft_id: int) -> DraftDeleted:
        """Deletes a draft."""
        gone = {"message": "Draft deleted", "draft_id": draft_id}
        return cast("DraftDeleted", await self._transport.json(remove(path("drafts", draft_id), gone)))
