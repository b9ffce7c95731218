"""What is generated is what it is generated from, and what is written by hand names the same fields."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Set

import pytest

from octopoid_sdk._async.actions import AsyncActions
from octopoid_sdk._async.drafts import AsyncDrafts
from octopoid_sdk._async.flows import AsyncFlows
from octopoid_sdk._async.messages import AsyncMessages
from octopoid_sdk._async.orchestrators import AsyncOrchestrators
from octopoid_sdk._async.projects import AsyncProjects
from octopoid_sdk._async.roles import AsyncRoles
from octopoid_sdk._async.tasks import AsyncTasks

ROOT = Path(__file__).resolve().parent.parent
API: Dict[str, Any] = json.loads((ROOT / "../openapi.json").read_text(encoding="utf-8"))

BODIES = [
    (AsyncTasks.claim, "ClaimRequest"),
    (AsyncTasks.renew, "RenewRequest"),
    (AsyncTasks.submit, "SubmitRequest"),
    (AsyncTasks.accept, "AcceptRequest"),
    (AsyncTasks.reject, "RejectRequest"),
    (AsyncTasks.requeue, "RequeueRequest"),
    (AsyncTasks.release, "ReleaseRequest"),
    (AsyncTasks.cancel, "CancelRequest"),
    (AsyncTasks.force_queue, "ForceQueueRequest"),
    (AsyncTasks.merge, "MergeRequest"),
    (AsyncTasks.complete_hook, "HookCompletion"),
    (AsyncFlows.put, "PutFlow"),
    (AsyncRoles.register, "RegisterRoles"),
    (AsyncActions.update, "ActionPatch"),
    (AsyncOrchestrators.register, "RegisterOrchestrator"),
    (AsyncOrchestrators.update, "OrchestratorPatch"),
]
QUERIES = [
    (AsyncTasks.list, "/api/v1/tasks"),
    (AsyncTasks.messages, "/api/v1/tasks/{id}/messages"),
    (AsyncTasks.log, "/api/v1/tasks/{id}/log"),
    (AsyncTasks.diff, "/api/v1/tasks/{id}/diff"),
    (AsyncProjects.list, "/api/v1/projects"),
    (AsyncProjects.tasks, "/api/v1/projects/{id}/tasks"),
    (AsyncDrafts.list, "/api/v1/drafts"),
    (AsyncMessages.list, "/api/v1/messages"),
    (AsyncActions.list, "/api/v1/actions"),
    (AsyncFlows.list, "/api/v1/flows"),
    (AsyncRoles.list, "/api/v1/roles"),
    (AsyncOrchestrators.list, "/api/v1/orchestrators"),
]


def _arguments(method: Callable[..., Any], path: str = "") -> Set[str]:
    names = [name for name in inspect.signature(method).parameters if name != "self"]
    return set(names[path.count("{") :])


@pytest.mark.parametrize("script", ["scripts/generate_models.py", "scripts/generate_sync.py"])
def test_what_is_generated_is_up_to_date(script: str) -> None:
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("method", "schema"), BODIES, ids=[schema for _, schema in BODIES])
def test_a_call_takes_every_field_of_its_request(method: Callable[..., Any], schema: str) -> None:
    fields = set(API["components"]["schemas"][schema]["properties"])
    ids = {"task_id", "name", "orchestrator_id", "action_id"} - fields
    assert _arguments(method) - ids == fields


@pytest.mark.parametrize(("method", "path"), QUERIES, ids=[path for _, path in QUERIES])
def test_a_list_takes_every_filter_of_its_query(method: Callable[..., Any], path: str) -> None:
    # A log that is followed has no end; events tell what happens.
    # A call about one thing looks it up in every scope, or in the client's own one.
    left_out = {"follow", "scope"} if "{id}" in path else {"follow"}
    filters = {param["name"] for param in API["paths"][path]["get"]["parameters"] if param["in"] == "query"} - left_out
    assert _arguments(method, path) == filters
