"""What a node's answer means."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional, Type

from ._errors import (
    OctopoidAPIError,
    OctopoidAuthenticationError,
    OctopoidConflictError,
    OctopoidError,
    OctopoidNotFoundError,
)

LARGEST = 64 * 1024 * 1024
"""The most that is read of one answer."""


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes
    retry_after: Optional[str] = None

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


def value(answer: Answer, request: str) -> Any:
    """Returns an answer's JSON, or raises what the node refused."""
    if not answer.succeeded:
        raise refusal(answer, request)
    try:
        return json.loads(answer.content)
    except ValueError:
        raise OctopoidAPIError(f"{request} was answered with no JSON: is this an Octopoid node?", answer.status, request) from None


def refusal(answer: Answer, request: str) -> OctopoidAPIError:
    """Turns an answer that is no success into the error that tells of it."""
    body = parsed(answer.content)
    fields = body if isinstance(body, dict) else {}
    details = fields.get("details")
    reasons = [str(reason) for reason in details] if isinstance(details, list) else []
    error, message = fields.get("error"), fields.get("message")
    # Of a route that is not there the second text tells more.
    texts = [message] if _is_route(message) else [error, message]
    said = next((text for text in texts if isinstance(text, str) and text), f"{request} was answered with status {answer.status}")
    tail = f": {'; '.join(reasons)}" if reasons else ""
    return _kind(answer.status)(said + tail, answer.status, request, reasons, body)


def _kind(status: int) -> Type[OctopoidAPIError]:
    if status in (401, 403):
        return OctopoidAuthenticationError
    if status == 404:
        return OctopoidNotFoundError
    if status in (409, 412):
        return OctopoidConflictError
    return OctopoidAPIError


def is_absence(error: OctopoidNotFoundError) -> bool:
    """Tells whether a 404 speaks of a thing, and not of a route that this node does not have."""
    return isinstance(error.body, dict) and not _is_route(error.body.get("message"))


def is_empty_queue(error: OctopoidNotFoundError) -> bool:
    """Tells whether a 404 says that nothing waits, which is no error: it names none."""
    return is_absence(error) and "error" not in error.body


def _is_route(message: Any) -> bool:
    return isinstance(message, str) and message.startswith("Endpoint ")


def parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def too_large(request: str) -> OctopoidError:
    return OctopoidError(f"the answer to {request} exceeds {LARGEST} bytes")
