"""What keeps a call from its result. Every error of this package is an OctopoidError."""

from __future__ import annotations

from typing import Any, List, Sequence


class OctopoidError(Exception):
    """The base of every error of this package; on its own, a mistake in how it was called or set up."""


class OctopoidConnectionError(OctopoidError):
    """No node answered, or its answer broke off. What the call asked for may have happened."""


class OctopoidTimeoutError(OctopoidConnectionError):
    """No whole answer arrived in time. What the call asked for may have happened."""


class OctopoidAPIError(OctopoidError):
    """The node answered, and refused."""

    status_code: int
    """The HTTP status."""
    request: str
    """The call, for example ``POST /api/v1/tasks``."""
    details: List[str]
    """Each reason for which a transition was refused."""
    body: Any
    """The answer's body, where it was JSON."""

    def __init__(self, message: str, status_code: int, request: str = "", details: Sequence[str] = (), body: Any = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.request = request
        self.details = list(details)
        self.body = body

    def __reduce__(self) -> Any:
        return type(self), (str(self), self.status_code, self.request, self.details, self.body)


class OctopoidNotFoundError(OctopoidAPIError):
    """404: what the call speaks of is not there."""


class OctopoidAuthenticationError(OctopoidAPIError):
    """401 or 403: the key is missing, unknown, or of another scope."""


class OctopoidConflictError(OctopoidAPIError):
    """409 or 412: the state forbids it, for example an id that is taken or a task that another agent holds."""
