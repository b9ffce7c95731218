"""Tasks that share a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Union, cast

from .._call import given, patch, path, post, read, remove
from .transport import AsyncTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import NewProject, Project, ProjectDeleted, ProjectPatch, Task


class AsyncProjects:
    """Tasks that share a branch."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(self, **fields: Unpack[NewProject]) -> Project:
        """Makes a project. ``name`` means the same as ``title``."""
        return cast("Project", await self._transport.json(post(path("projects"), fields)))

    async def get(self, project_id: str) -> Optional[Project]:
        """Shows a project; None when there is none of that id."""
        return cast("Optional[Project]", await self._transport.json_or_none(read(path("projects", project_id))))

    async def list(
        self,
        status: Optional[Union[str, Sequence[str]]] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Project]:
        """Lists projects."""
        call = read(path("projects"), given(status=status, scope=scope, limit=limit, offset=offset))
        return cast("List[Project]", (await self._transport.json(call))["projects"])

    async def tasks(self, project_id: str, limit: Optional[int] = None, offset: Optional[int] = None) -> List[Task]:
        """Lists a project's tasks."""
        call = read(path("projects", project_id, "tasks"), given(limit=limit, offset=offset))
        return cast("List[Task]", (await self._transport.json(call))["tasks"])

    async def update(self, project_id: str, **fields: Unpack[ProjectPatch]) -> Project:
        """Changes the fields that it is given."""
        return cast("Project", await self._transport.json(patch(path("projects", project_id), fields)))

    async def delete(self, project_id: str) -> ProjectDeleted:
        """Deletes a project that has no tasks; one that has is an OctopoidConflictError."""
        gone = {"message": "Project deleted", "project_id": project_id}
        return cast("ProjectDeleted", await self._transport.json(remove(path("projects", project_id), gone)))
