"""How long to wait for a task, and when waiting is of no use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Optional, Sequence, Union

from ._errors import OctopoidError, OctopoidTimeoutError

if TYPE_CHECKING:
    from .models import Task

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
ENDS = ("done", "cancelled", "failed")
"""Only a person takes a task out of these queues."""


class Wait:
    """One wait for one task."""

    def __init__(self, task_id: str, queue: Union[str, Sequence[str]], timeout: Optional[float]) -> None:
        self._id = task_id
        self._queues = [queue] if isinstance(queue, str) else list(queue)
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._pause = FIRST_PAUSE

    def look(self, task: Optional[Task]) -> Optional[Task]:
        """Returns the task when it is where it should be, None when it may still come there; raises when it will not."""
        if task is None:
            raise OctopoidError(f"task {self._id} is not there")
        queue = task["queue"]
        if queue in self._queues:
            return task
        if queue in ENDS:
            raise OctopoidError(f"task {self._id} is in {queue} and will not be in {' or '.join(self._queues)}")
        if self._left() <= 0:
            raise OctopoidTimeoutError(f"task {self._id} is still in {queue} after {self._timeout} s")
        return None

    def pause(self) -> float:
        """Returns how many seconds to wait before the next look."""
        now, self._pause = self._pause, min(self._pause * 1.5, LONGEST_PAUSE)
        return min(now, max(self._left(), 0.0))

    def _left(self) -> float:
        return float("inf") if self._end is None else self._end - time.monotonic()
