# Written by scripts/generate_sync.py from ../_async/tasks.py: run it, do not edit.
"""The queue of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, Optional, Sequence, Union, cast

from .._answer import is_empty_queue
from .._call import given, patch, path, post, read, remove
from .._errors import OctopoidNotFoundError
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import AttemptInfo, Deleted, HistoryEvent, Message, NewTask, Task, TaskList, TaskPatch

Several = Union[str, Sequence[str]]
"""One value, or several of which any will do."""

PAGE = 500


class Tasks:
    """The queue of tasks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, **fields: Unpack[NewTask]) -> Task:
        """Makes a task; an id that is taken is an OctopoidConflictError."""
        return cast("Task", self._transport.json(post(path("tasks"), fields)))

    def get(self, task_id: str) -> Optional[Task]:
        """Shows a task; None when there is none of that id."""
        return cast("Optional[Task]", self._transport.json_or_none(read(path("tasks", task_id))))

    def list(
        self,
        queue: Optional[Several] = None,
        priority: Optional[Several] = None,
        role: Optional[Several] = None,
        claimed_by: Optional[Several] = None,
        project_id: Optional[Several] = None,
        needs_intervention: Optional[bool] = None,
        scope: Optional[str] = None,
        sort: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
    ) -> List[Task]:
        """Lists tasks: 50 by default, 500 at most, newest first; ``sort="priority"`` gives priority first, then oldest first."""
        filters = given(
            queue=queue,
            priority=priority,
            role=role,
            claimed_by=claimed_by,
            project_id=project_id,
            needs_intervention=needs_intervention,
            scope=scope,
            sort=sort,
            limit=limit,
            offset=offset,
        )
        return (self.page(**filters))["tasks"]

    def page(self, **filters: Any) -> TaskList:
        """Lists tasks as ``list`` does, and tells how many match in all."""
        return cast("TaskList", self._transport.json(read(path("tasks"), filters)))

    def iterate(self, **filters: Any) -> Iterator[Task]:
        """Iterates over all tasks that match, page by page. Tasks that come or go meanwhile may be told twice or not at all."""
        offset = 0
        while True:
            page = self.page(**{**filters, "limit": PAGE, "offset": offset})
            for task in page["tasks"]:
                yield task
            offset += len(page["tasks"])
            if not page["tasks"] or offset >= page["total"]:
                return

    def update(self, task_id: str, **fields: Unpack[TaskPatch]) -> Task:
        """Changes the fields that it is given, None included: ``claimed_by=None`` releases the task.

        A ``version`` makes it an OctopoidConflictError when the task has changed since.
        """
        return cast("Task", self._transport.json(patch(path("tasks", task_id), fields)))

    def delete(self, task_id: str) -> Deleted:
        """Deletes a task; what waited for it waits no more."""
        gone = {"message": "Task deleted", "task_id": task_id}
        return cast("Deleted", self._transport.json(remove(path("tasks", task_id), gone)))

    def claim(
        self,
        orchestrator_id: str,
        agent_name: str,
        role_filter: Optional[Several] = None,
        type_filter: Optional[Several] = None,
        queue: Optional[str] = None,
        lease_duration_seconds: Optional[int] = None,
        scope: Optional[str] = None,
    ) -> Optional[Task]:
        """Claims the next task that an agent may work on; None when none waits."""
        request = given(
            orchestrator_id=orchestrator_id,
            agent_name=agent_name,
            role_filter=_sent(role_filter),
            type_filter=_sent(type_filter),
            queue=queue,
            lease_duration_seconds=lease_duration_seconds,
            scope=scope,
        )
        try:
            return cast("Task", self._transport.json(post(path("tasks", "claim"), request)))
        except OctopoidNotFoundError as error:
            if is_empty_queue(error):
                return None
            raise

    def renew(
        self, task_id: str, agent_name: str, epoch: Optional[int] = None, lease_duration_seconds: Optional[int] = None
    ) -> Task:
        """Keeps a claim alive."""
        return self._act(
            task_id, "renew", given(agent_name=agent_name, epoch=epoch, lease_duration_seconds=lease_duration_seconds)
        )

    def submit(
        self,
        task_id: str,
        pr_url: Optional[str] = None,
        commits_count: int = 0,
        turns_used: int = 0,
        check_results: Any = None,
        execution_notes: Optional[str] = None,
        epoch: Optional[int] = None,
        agent_name: Optional[str] = None,
        version: Optional[int] = None,
    ) -> Task:
        """Hands in finished work."""
        request = given(
            commits_count=commits_count,
            turns_used=turns_used,
            pr_url=pr_url,
            check_results=check_results,
            execution_notes=execution_notes,
            epoch=epoch,
            agent_name=agent_name,
            version=version,
        )
        return self._act(task_id, "submit", request)

    def accept(self, task_id: str, accepted_by: str, reason: Optional[str] = None) -> Task:
        """Judges that the work is good."""
        return self._act(task_id, "accept", given(accepted_by=accepted_by, reason=reason))

    def reject(self, task_id: str, reason: str, rejected_by: str) -> Task:
        """Judges that the work is not good; the next attempt reads why."""
        return self._act(task_id, "reject", given(reason=reason, rejected_by=rejected_by))

    def requeue(
        self,
        task_id: str,
        reason: Optional[str] = None,
        requeued_by: Optional[str] = None,
        from_any: Optional[bool] = None,
        reopen: Optional[bool] = None,
    ) -> Task:
        """Sends a task back to be tried again."""
        return self._act(
            task_id, "requeue", given(reason=reason, requeued_by=requeued_by, from_any=from_any, reopen=reopen)
        )

    def release(
        self, task_id: str, agent_name: Optional[str] = None, epoch: Optional[int] = None, reason: Optional[str] = None
    ) -> Task:
        """Gives a claimed task back."""
        return self._act(task_id, "release", given(agent_name=agent_name, epoch=epoch, reason=reason))

    def cancel(self, task_id: str, reason: Optional[str] = None, cancelled_by: Optional[str] = None) -> Task:
        """Gives a task up."""
        return self._act(task_id, "cancel", given(reason=reason, cancelled_by=cancelled_by))

    def force_queue(self, task_id: str, queue: str, reason: str, forced_by: Optional[str] = None) -> Task:
        """Moves a task past its flow."""
        return self._act(task_id, "force-queue", given(queue=queue, reason=reason, forced_by=forced_by))

    def merge(self, task_id: str, merged_by: Optional[str] = None) -> Task:
        """Merges accepted work that awaits it."""
        return self._act(task_id, "merge", given(merged_by=merged_by))

    def complete_hook(self, task_id: str, name: str, status: str, evidence: Any = None) -> Task:
        """Reports the end of one of a task's hooks: passed or failed."""
        request = post(path("tasks", task_id, "hooks", name, "complete"), given(status=status, evidence=evidence))
        return cast("Task", self._transport.json(request))

    def history(self, task_id: str) -> List[HistoryEvent]:
        """Shows what happened to a task, oldest first."""
        return cast("List[HistoryEvent]", (self._transport.json(read(path("tasks", task_id, "history"))))["history"])

    def attempts(self, task_id: str) -> List[AttemptInfo]:
        """Shows every try at a task."""
        return cast("List[AttemptInfo]", (self._transport.json(read(path("tasks", task_id, "attempts"))))["attempts"])

    def messages(
        self, task_id: str, type: Optional[str] = None, limit: Optional[int] = None, offset: Optional[int] = None
    ) -> List[Message]:
        """Shows what was written about a task, oldest first."""
        call = read(path("tasks", task_id, "messages"), given(type=type, limit=limit, offset=offset))
        return cast("List[Message]", (self._transport.json(call))["messages"])

    def log(self, task_id: str, attempt: Optional[str] = None, raw: Optional[bool] = None) -> str:
        """Shows what an attempt's agent did."""
        return self._transport.text(read(path("tasks", task_id, "log"), given(attempt=attempt, raw=raw)))

    def diff(self, task_id: str, attempt: Optional[str] = None, stat: Optional[bool] = None) -> str:
        """Shows what an attempt changed."""
        return self._transport.text(read(path("tasks", task_id, "diff"), given(attempt=attempt, stat=stat)))

    def _act(self, task_id: str, verb: str, request: Mapping[str, Any]) -> Task:
        return cast("Task", self._transport.json(post(path("tasks", task_id, verb), request)))


def _sent(names: Optional[Several]) -> Any:
    return names if names is None or isinstance(names, str) else [*names]
