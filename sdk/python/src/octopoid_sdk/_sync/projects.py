# Written by scripts/generate_sync.py from ../_async/projects.py: run it, do not edit.
"""Tasks that share a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Union, cast

from .._call import given, patch, path, post, read, remove
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import NewProject, Project, ProjectDeleted, ProjectPatch, Task


class Projects:
    """Tasks that share a branch."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, **fields: Unpack[NewProject]) -> Project:
        """Makes a project. ``name`` means the same as ``title``."""
        return cast("Project", self._transport.json(post(path("projects"), fields)))

    def get(self, project_id: str) -> Optional[Project]:
        """Shows a project; None when there is none of that id."""
        return cast("Optional[Project]", self._transport.json_or_none(read(path("projects", project_id))))

    def list(
        self,
        status: Optional[Union[str, Sequence[str]]] = None,
        scope: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Project]:
        """Lists projects."""
        call = read(path("projects"), given(status=status, scope=scope, limit=limit, offset=offset))
        return cast("List[Project]", (self._transport.json(call))["projects"])

    def tasks(self, project_id: str, limit: Optional[int] = None, offset: Optional[int] = None) -> List[Task]:
        """Lists a project's tasks."""
        call = read(path("projects", project_id, "tasks"), given(limit=limit, offset=offset))
        return cast("List[Task]", (self._transport.json(call))["tasks"])

    def update(self, project_id: str, **fields: Unpack[ProjectPatch]) -> Project:
        """Changes the fields that it is given."""
        return cast("Project", self._transport.json(patch(path("projects", project_id), fields)))

    def delete(self, project_id: str) -> ProjectDeleted:
        """Deletes a project that has no tasks; one that has is an OctopoidConflictError."""
        gone = {"message": "Project deleted", "project_id": project_id}
        return cast("ProjectDeleted", self._transport.json(remove(path("projects", project_id), gone)))
