"""The shapes of the API for type checkers; at run time they are plain dicts."""

from __future__ import annotations

from typing import TypedDict

from ._schema import *  # noqa: F403


class RotatedKey(TypedDict):
    """The answer to a rotation of a scope's key."""
    api_key: str
    scope: str


class ProjectDeleted(TypedDict):
    """Tells that a project is gone."""
    message: str
    project_id: str
