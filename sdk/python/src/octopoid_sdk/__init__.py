"""Client of an Octopoid node: a queue of tasks for autonomous coding agents."""

from ._async.client import AsyncOctopoidSDK
from ._errors import (
    OctopoidAPIError,
    OctopoidAuthenticationError,
    OctopoidConflictError,
    OctopoidConnectionError,
    OctopoidError,
    OctopoidNotFoundError,
    OctopoidTimeoutError,
)
from ._sync.client import OctopoidSDK

__all__ = [
    "AsyncOctopoidSDK",
    "OctopoidAPIError",
    "OctopoidAuthenticationError",
    "OctopoidConflictError",
    "OctopoidConnectionError",
    "OctopoidError",
    "OctopoidNotFoundError",
    "OctopoidSDK",
    "OctopoidTimeoutError",
]
