"""The shapes of the API for type checkers; at run time they are plain dicts."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, TypedDict

from ._schema import *  # noqa: F403


class RotatedKey(TypedDict):
    """The answer to a rotation of a scope's key."""
    api_key: str
    scope: str


class Draft(TypedDict):
    """What is not a task yet."""
    id: int
    title: str
    status: str
    """idea, draft, review, approved, implemented or archived."""
    author: Optional[str]
    domain: Optional[str]
    file_path: Optional[str]
    linked_task_id: Optional[str]
    linked_project_id: Optional[str]
    tags: Optional[str]
    """A list as JSON text."""
    scope: str
    created_at: str
    updated_at: str


class DraftPatch(TypedDict, total=False):
    """The fields of a draft to change."""
    title: str
    status: Optional[str]
    author: Optional[str]
    domain: Optional[str]
    file_path: Optional[str]
    linked_task_id: Optional[str]
    linked_project_id: Optional[str]
    tags: Optional[List[str]]


class _NewDraft(TypedDict):
    title: str


class NewDraft(_NewDraft, total=False):
    """Asks for a new draft."""
    status: Optional[str]
    author: Optional[str]
    domain: Optional[str]
    file_path: Optional[str]
    linked_task_id: Optional[str]
    linked_project_id: Optional[str]
    tags: Optional[List[str]]
    scope: Optional[str]


class _NewMessage(TypedDict):
    task_id: str
    from_actor: str
    type: str
    content: str


class NewMessage(_NewMessage, total=False):
    """Says something about a task."""
    to_actor: Optional[str]
    parent_message_id: Optional[str]
    """The message of the same task that this one answers."""
    scope: Optional[str]


class Action(TypedDict):
    """What an agent proposes and a person decides."""
    id: str
    entity_type: str
    entity_id: str
    action_type: str
    label: str
    description: Optional[str]
    status: str
    """proposed, execute_requested, executing, completed or failed."""
    proposed_by: str
    expires_at: Optional[str]
    metadata: Any
    action_data: Any
    result: Any
    scope: str
    created_at: str


class _NewAction(TypedDict):
    entity_type: str
    entity_id: str
    action_type: str
    label: str
    proposed_by: str


class NewAction(_NewAction, total=False):
    """Proposes an action."""
    description: Optional[str]
    expires_at: Optional[str]
    metadata: Any
    action_data: Any
    scope: Optional[str]


class Flow(TypedDict):
    """Which states tasks go through."""
    name: str
    states: str
    """A list of names as JSON text."""
    transitions: str
    """A list of ``{from, to}`` as JSON text."""
    scope: str


Transition = Dict[str, str]
"""``{"from": state, "to": state}``"""


class Role(TypedDict):
    """A job that agents have."""
    name: str
    claims_from: Optional[str]
    description: Optional[str]


class _NewRole(TypedDict):
    name: str


class NewRole(_NewRole, total=False):
    """A role to register."""
    claims_from: Optional[str]
    description: Optional[str]
