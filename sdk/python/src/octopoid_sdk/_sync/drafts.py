# Written by scripts/generate_sync.py from ../_async/drafts.py: run it, do not edit.
"""What is not a task yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Union, cast

from .._call import given, patch, path, post, read, remove
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import Draft, DraftPatch, NewDraft


class Drafts:
    """What is not a task yet. Their ids are numbers, which a node gives."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, **fields: Unpack[NewDraft]) -> Draft:
        """Makes a draft."""
        return cast("Draft", self._transport.json(post(path("drafts"), fields)))

    def get(self, draft_id: int) -> Optional[Draft]:
        """Shows a draft; None when there is none of that id."""
        return cast("Optional[Draft]", self._transport.json_or_none(read(path("drafts", draft_id))))

    def list(
        self,
        status: Optional[Union[str, Sequence[str]]] = None,
        author: Optional[str] = None,
        domain: Optional[str] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Draft]:
        """Lists drafts."""
        call = read(path("drafts"), given(status=status, author=author, domain=domain, scope=scope, limit=limit, offset=offset))
        return cast("List[Draft]", (self._transport.json(call))["drafts"])

    def update(self, draft_id: int, **fields: Unpack[DraftPatch]) -> Draft:
        """Changes the fields that it is given."""
        return cast("Draft", self._transport.json(patch(path("drafts", draft_id), fields)))

    def delete(self, draft_id: int) -> Dict[str, str]:
        """Deletes a draft."""
        gone = {"message": "Draft deleted", "draft_id": str(draft_id)}
        return cast("Dict[str, str]", self._transport.json(remove(path("drafts", draft_id), gone)))
