"""The shapes of the API. Written by scripts/generate_models.py from ../openapi.json: run it, do not edit."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

__all__ = [
    "AcceptRequest",
    "Action",
    "ActionList",
    "ActionPatch",
    "AdoptRequest",
    "AgentInstance",
    "AgentState",
    "AgentStatus",
    "ApproveRequest",
    "AttemptInfo",
    "Attempts",
    "AuthorityInfo",
    "AuthorityRequest",
    "AwaitingMerge",
    "CancelRequest",
    "ClaimRequest",
    "ClusterInfo",
    "ClusterName",
    "ClusterOffline",
    "CodeRequest",
    "Conflict",
    "ConflictList",
    "ConflictingCreation",
    "Deleted",
    "Doctor",
    "Draft",
    "DraftDeleted",
    "DraftList",
    "DraftPatch",
    "ErrorBody",
    "Event",
    "Export",
    "ExportSource",
    "Flow",
    "FlowDeleted",
    "FlowList",
    "FlowStates",
    "FlowTransition",
    "ForceQueueRequest",
    "GcItem",
    "GcReport",
    "GcRequest",
    "Health",
    "Heartbeat",
    "HeartbeatAnswer",
    "History",
    "HistoryEvent",
    "HookCompletion",
    "HookStatus",
    "ImportCounts",
    "ImportProgress",
    "ImportReport",
    "IntegratorRequest",
    "Invitation",
    "InviteRequest",
    "JoinKey",
    "JoinKeyRemoved",
    "MemberInfo",
    "MergeRequest",
    "Message",
    "Messages",
    "NewAction",
    "NewDraft",
    "NewMessage",
    "NewProject",
    "NewRole",
    "NewTask",
    "NoTasks",
    "NodeInfo",
    "NodeStatus",
    "Orchestrator",
    "OrchestratorList",
    "OrchestratorPatch",
    "OverriddenChange",
    "Paused",
    "Peers",
    "PendingMember",
    "PollResponse",
    "PollTask",
    "Project",
    "ProjectList",
    "ProjectPatch",
    "ProjectTasks",
    "PutFlow",
    "RegisterAnswer",
    "RegisterOrchestrator",
    "RegisterRoles",
    "RegisteredRoles",
    "RejectRequest",
    "ReleaseRequest",
    "RemoveRequest",
    "RenewRequest",
    "RequeueRequest",
    "Resolved",
    "Retrying",
    "Role",
    "RoleList",
    "SkippedRow",
    "StopAnswer",
    "StopRequest",
    "StringList",
    "SubmitRequest",
    "Task",
    "TaskList",
    "TaskPatch",
]

AgentState = Literal["idle", "running", "paused", "waiting", "disabled"]

HookStatus = Literal["passed", "failed"]

StringList = Union[str, List[str]]


class _AcceptRequest(TypedDict):
    accepted_by: str
    """Who judged."""


class AcceptRequest(_AcceptRequest, total=False):
    """Judges that the work is good."""
    reason: Optional[str]
    """Why, for the history."""


class Action(TypedDict):
    """One action, every field always present."""
    action_data: Optional[str]
    """What whoever executes it needs, as JSON text."""
    action_type: str
    """What it is, `proposal` by default."""
    created_at: str
    """When it was proposed."""
    description: Optional[str]
    """More about it."""
    entity_id: str
    """Which one."""
    entity_type: str
    """What kind of thing it is about, for example `task`."""
    executed_at: Optional[str]
    """When its execution was asked for."""
    expires_at: Optional[str]
    """When it is no longer wanted, unless it was begun."""
    id: str
    """The action's id."""
    label: str
    """What people see."""
    metadata: Optional[str]
    """Anything, as JSON text."""
    proposed_by: str
    """Who proposed it."""
    result: Optional[str]
    """What it led to, as text."""
    scope: str
    """The tenant."""
    status: str
    """proposed, execute_requested, executing, completed or failed."""
    updated_at: str
    """When its status was last set."""


class ActionList(TypedDict):
    """One page of actions, newest first. What expired before anybody began it is left out."""
    actions: List[Action]
    """The actions of this page."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    total: int
    """How many match in all."""


class ActionPatch(TypedDict, total=False):
    """Tells how the execution of an action goes."""
    result: Any
    """What it led to: a text, or any JSON."""
    status: str
    """executing, completed or failed."""


class _AdoptRequest(TypedDict):
    attempt: str
    """The attempt's name, such as `2-3fa9c2d1`, or its number where only one attempt has it."""


class AdoptRequest(_AdoptRequest, total=False):
    """Takes an attempt up again that lost."""
    adopted_by: Optional[str]
    """Who adopts it."""


class AgentInstance(TypedDict):
    """One process of an agent."""
    attempt: str
    """The attempt."""
    cost_usd: Optional[float]
    """Cost so far in US dollars, where the agent's program says so."""
    pid: Optional[int]
    """The process."""
    since: str
    """When it started."""
    task_id: str
    """The task."""
    turns: Optional[int]
    """Turns so far, where the agent's program says so."""


class AgentStatus(TypedDict):
    """One agent of agents.yaml."""
    instances: List[AgentInstance]
    """What it works on."""
    name: str
    """Its name."""
    next_run_at: Optional[str]
    """When it may start next."""
    paused_until: Optional[str]
    """When a pause ends by itself."""
    reason: Optional[str]
    """Why it waits or is paused."""
    role: str
    """Its role."""
    state: AgentState
    """What it is about."""


class _ApproveRequest(TypedDict):
    code: str
    """The code that both sides show."""


class ApproveRequest(_ApproveRequest, total=False):
    """Lets a machine in."""
    access: Optional[str]
    """What it may do: admin, worker or reader; worker where none is given."""


class AttemptInfo(TypedDict):
    """One try at a task: from a claim to its end."""
    agent: Optional[str]
    """The agent that claimed it."""
    attempt: str
    """The name, `<epoch>-<8 hex>`."""
    base: Optional[str]
    """The commit that the work starts from."""
    branch: Optional[str]
    """The branch that holds the work."""
    claimed_at: str
    """When it was claimed."""
    commits_count: Optional[int]
    """Commits of its submit."""
    cost_usd: Optional[float]
    """What it cost, in US dollars, where the agent's program says so."""
    current: bool
    """Whether the task's state rests on this attempt."""
    ended_at: Optional[str]
    """When it ended."""
    epoch: int
    """The claim's epoch."""
    head: Optional[str]
    """The submitted commit."""
    node: Optional[str]
    """The name of the node that claimed it."""
    notes: Optional[str]
    """What its agent wrote about the work."""
    orchestrator_id: Optional[str]
    """The orchestrator that claimed it."""
    reason: Optional[str]
    """Why it ended, or what a review said."""
    state: str
    """claimed, submitted, accepted, rejected, failed, released, expired, moved or superseded."""
    submitted_at: Optional[str]
    """When it was submitted."""
    turns_used: Optional[int]
    """Turns of its submit."""


class Attempts(TypedDict):
    """Every try at a task, oldest first."""
    attempts: List[AttemptInfo]
    """The attempts."""


class AuthorityInfo(TypedDict):
    """Who grants claims and judges work."""
    authority: Optional[str]
    """The name of the node whose grants and verdicts alone count; null outside server-wins mode."""
    mode: str
    """local, mesh or server-wins."""
    own: bool
    """Whether it is this node."""
    peer_id: Optional[str]
    """That node's id in the network."""
    policy: int
    """How often the cluster has set its policy; every move of the authority is one more."""
    reachable: bool
    """Whether it can be reached now: it is this node, or connected."""


class _AuthorityRequest(TypedDict):
    node: Optional[str]
    """The node's name or peer id; null for none, which makes the cluster one of equals. To leave it out is an error."""


class AuthorityRequest(_AuthorityRequest, total=False):
    """Sets who grants claims and judges work."""
    force: bool
    """Takes the authority from a node that cannot be asked; what it grants after that does not count."""


class AwaitingMerge(TypedDict):
    """Accepted work that is not merged."""
    reason: str
    """Why."""
    task_id: str
    """The task."""


class CancelRequest(TypedDict, total=False):
    """Gives a task up."""
    cancelled_by: Optional[str]
    """Who gave it up."""
    reason: Optional[str]
    """Why, for the history."""


class _ClaimRequest(TypedDict):
    agent_name: str
    """The agent that will hold the task."""
    orchestrator_id: str
    """The orchestrator that the agent belongs to; one that never registered is accepted and listed."""


class ClaimRequest(_ClaimRequest, total=False):
    """Asks for the next task that an agent may work on."""
    lease_duration_seconds: Optional[int]
    """Seconds until the claim ends unless renewed: 1 to 3,600, default 300."""
    queue: Optional[str]
    """Defaults to `incoming`, or to what the first role claims from."""
    role_filter: Optional[StringList]
    scope: Optional[str]
    """Defaults to the node's own scope."""
    type_filter: Optional[StringList]


class ClusterInfo(TypedDict):
    """The cluster as one node sees it."""
    addresses: List[str]
    """Where this node can be reached, each with its peer id."""
    authority: Optional[str]
    """The name of the node that grants claims in server-wins mode."""
    cluster_id: str
    """The cluster's id."""
    integrator: Optional[str]
    """The name of the node that merges where there is no remote."""
    kept_offline: bool
    """Whether this node was told to keep to itself."""
    members: List[MemberInfo]
    """Every member, this node among them."""
    mode: str
    """local, mesh or server-wins."""
    name: Optional[str]
    """The cluster's name; null for a project of its own."""
    offline: bool
    """Whether there are other members and none is connected; in server-wins mode, whether the authority is not."""
    pending_sync: int
    """How many records of this node no other member holds yet; in server-wins mode, the authority."""


class ClusterName(TypedDict):
    """Names the cluster."""
    name: str
    """The name."""


class ClusterOffline(TypedDict):
    """Cuts a node off from all members, or lets it connect again."""
    offline: bool
    """Whether it keeps to itself."""


class CodeRequest(TypedDict):
    """Names a request to join."""
    code: str
    """The code that both sides show."""


class Conflict(TypedDict):
    """What lost about one task, or about a document of another collection."""
    attempts: List[AttemptInfo]
    """Attempts that lost to another one, or were accepted besides it. Their branches are kept."""
    collection: Optional[str]
    """The collection of what is no task: `project` or `draft`; null for a task."""
    creations: List[ConflictingCreation]
    """Creations of the same id by nodes that knew nothing of each other: they are one task now."""
    cut_blockers: List[str]
    """Blockers that are not waited for, because each closes a circle of tasks that wait for each other."""
    dismissed: bool
    """Whether somebody has dismissed all of it."""
    merges: List[str]
    """Commits of merges besides the one that counts."""
    overridden: List[OverriddenChange]
    """What was done without reaching the authority, and what stands instead; the latest 64."""
    queue: str
    """Its queue."""
    scope: str
    """Its tenant."""
    task_id: str
    """The task, or the document's id in its collection."""
    title: str
    """Its title; empty for what is no task, as its queue is."""
    winner: Optional[str]
    """The attempt that the task rests on; null while none does."""


class ConflictList(TypedDict):
    """Tasks about which something lost that nobody has dismissed, the newest first; before them projects and drafts of
    which something was overridden."""
    conflicts: List[Conflict]
    """The page."""
    limit: int
    """The page's size."""
    offset: int
    """How many were skipped."""
    total: int
    """How many there are."""


class ConflictingCreation(TypedDict):
    """A creation of a task that another node had made too."""
    created_at: str
    """When, by that node's clock."""
    node: str
    """The name of the node that made it."""
    record_id: str
    """The record, as hex."""


class Deleted(TypedDict):
    """The answer to a deletion."""
    message: str
    """`Task deleted`."""
    task_id: str
    """The id that is gone."""


class Doctor(TypedDict):
    """What a look through the store found."""
    backup: Optional[str]
    """The store as it was before they were; null when they were not."""
    ok: bool
    """Whether nothing is wrong."""
    problems: List[str]
    """What is wrong, one line each."""
    rebuilt: bool
    """Whether the views were rebuilt."""
    records: int
    """Records in the store."""
    tasks: int
    """Tasks in the views."""


class Draft(TypedDict):
    """One draft, every field always present."""
    author: Optional[str]
    """Who had the idea."""
    created_at: str
    """When it was made."""
    domain: Optional[str]
    """What it is about."""
    file_path: Optional[str]
    """The file that holds the text."""
    id: int
    """The id, unique in its scope; below 2^53."""
    linked_project_id: Optional[str]
    """The project that it became, or belongs to."""
    linked_task_id: Optional[str]
    """The task that it became, or belongs to."""
    scope: str
    """The tenant."""
    status: str
    """idea, draft, review, approved, implemented or archived."""
    tags: Optional[str]
    """Words to find it by, as JSON text: a list of texts."""
    title: str
    """One line for people."""
    updated_at: str
    """When it was last changed."""


class DraftDeleted(TypedDict):
    """Tells that a draft is gone."""
    draft_id: int
    """The id that it had."""
    message: str
    """`Draft deleted`."""


class DraftList(TypedDict):
    """One page of drafts."""
    drafts: List[Draft]
    """The drafts of this page."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    total: int
    """How many match in all."""


class DraftPatch(TypedDict, total=False):
    """Changes the fields of a draft that it names and leaves the others."""
    author: Optional[str]
    domain: Optional[str]
    file_path: Optional[str]
    linked_project_id: Optional[str]
    linked_task_id: Optional[str]
    status: str
    """idea, draft, review, approved, implemented or archived."""
    tags: Optional[List[str]]
    """All tags, instead of those before."""
    title: str


class _ErrorBody(TypedDict):
    error: str
    """What was wrong."""


class ErrorBody(_ErrorBody, total=False):
    """The body of every answer that is an error."""
    candidates: List[Resolved]
    """The tasks that an id, or its beginning, could mean."""
    details: List[str]
    """Each guard that a refused transition failed."""
    message: Optional[str]
    """More about it, on unknown routes and empty queues."""
    task_id: Optional[str]
    """The task that was not found."""
    timestamp: Optional[str]
    """When it was answered, on unknown routes."""


class Event(TypedDict):
    """One server-sent event. Its `data` line is this as JSON; `id` and `event` lines repeat the id and the kind."""
    entity_id: Optional[str]
    """What it is about besides tasks: the id or name of the project, draft, message, action, flow or role."""
    id: str
    """What `Last-Event-ID` takes to go on after this event."""
    peer: Optional[str]
    """The peer that it is about."""
    queue: Optional[str]
    """Where that task now waits."""
    scope: Optional[str]
    """The tenant of what it is about."""
    task_id: Optional[str]
    """The task that it is about; of a message, its task."""
    timestamp: str
    """When the node saw it."""
    type: str
    """task.created, task.updated, task.claimed and so on; project and draft with created, updated, deleted;
    message.created; action.created, action.updated; flow.updated, flow.deleted; role.registered; peer.up or peer.down."""
    version: Optional[int]
    """That task's version."""


class Export(TypedDict):
    """Everything that a node knows and another can take in. Rows are objects by column name."""
    actions: List[Dict[str, Any]]
    """Actions, oldest first."""
    agents: List[Dict[str, Any]]
    """Agents of another system, as they were imported."""
    config: Any
    """Null: settings are files of the repository."""
    drafts: List[Dict[str, Any]]
    """Drafts."""
    exported_at: str
    """When it was made."""
    files: Dict[str, str]
    """Empty: bodies are in `tasks`."""
    flows: List[Dict[str, Any]]
    """Flows."""
    format: str
    """`octopoid-export`."""
    messages: List[Dict[str, Any]]
    """Messages, oldest first."""
    orchestrators: List[Dict[str, Any]]
    """Orchestrators; keys are not exported."""
    projects: List[Dict[str, Any]]
    """Projects."""
    roles: List[Dict[str, Any]]
    """Roles."""
    source: ExportSource
    """Which system made it."""
    task_history: List[Dict[str, Any]]
    """What happened to tasks, by `task_id`."""
    tasks: List[Dict[str, Any]]
    """Tasks with their bodies as `content`."""
    version: int
    """1."""


class ExportSource(TypedDict):
    """Where an export comes from."""
    kind: str
    """`octopoid`."""
    schema_version: int
    """The version of the rows."""
    tz_offset: str
    """How far times without a zone are from UTC; there are none here."""


class Flow(TypedDict):
    """One flow, every field always present."""
    created_at: str
    """When it was first registered."""
    name: str
    """The name, unique in its scope; tasks name it in `flow`."""
    scope: str
    """The tenant."""
    states: str
    """The states, as JSON text: a list of names."""
    transitions: str
    """The steps, as JSON text: a list of `{"from", "to"}`."""
    updated_at: str
    """When it was last changed."""


class FlowDeleted(TypedDict):
    """Tells that a flow is gone."""
    message: str
    """`Flow deleted`."""
    name: str
    """The name that it had."""


class FlowList(TypedDict):
    """One page of flows, in the order of their names."""
    flows: List[Flow]
    """The flows of this page."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    total: int
    """How many there are in all."""


class FlowStates(TypedDict):
    """The states of one flow."""
    states: List[str]
    """The names of the states."""


FlowTransition = TypedDict('FlowTransition', {'from': str, 'to': str})


class _ForceQueueRequest(TypedDict):
    queue: str
    """Where it should wait."""
    reason: str
    """Why, for the history and as a message."""


class ForceQueueRequest(_ForceQueueRequest, total=False):
    """Moves a task past its flow."""
    forced_by: Optional[str]
    """Who asked."""


class GcItem(TypedDict):
    """One thing that was, or would be, removed; or that stays."""
    kept: bool
    """Whether it stays all the same, since something could get lost or it could not be removed."""
    kind: str
    """worktree, log or branch."""
    path: str
    """Where it is."""
    reason: str
    """Why it may go, or why it stays."""


class GcReport(TypedDict):
    """What was, or would be, removed."""
    items: List[GcItem]
    """One entry for each thing."""


class GcRequest(TypedDict, total=False):
    """Asks for what finished attempts left behind to be removed."""
    dry_run: bool
    """Whether nothing is removed and everything told."""


class Health(TypedDict):
    """A node's state of health."""
    cluster: Optional[str]
    """The cluster's name; null for a lone node."""
    database: str
    """connected, or why not."""
    mode: Optional[str]
    """local, peers or server-wins."""
    node: Optional[str]
    """The node's name."""
    status: str
    """healthy or unhealthy."""
    timestamp: str
    """When this was answered."""
    version: str
    """The version of the API, `2.0.0`."""


class Heartbeat(TypedDict, total=False):
    """A sign of life. Its body is optional, and so is everything in it."""
    timestamp: Optional[str]
    """The sender's time; the node keeps its own."""


class HeartbeatAnswer(TypedDict):
    """The answer to a sign of life."""
    last_heartbeat: str
    """When it was heard."""
    success: bool
    """Always true."""


class History(TypedDict):
    """A task's audit trail, oldest first."""
    history: List[HistoryEvent]
    """The events."""


class HistoryEvent(TypedDict):
    """One line of the audit trail."""
    agent: Optional[str]
    """Who did it."""
    details: Optional[str]
    """More about it, for people."""
    event: str
    """What happened: created, claimed, review_claimed, submitted, accepted, rejected, requeued, blocked, unblocked,
    lease_expired, burnout_detected, force_queue, superseded, conflict or archived. A task that came from another system has
    what happened there before these, by that system's names, then how its queue was read, and imported."""
    node: Optional[str]
    """The name of the node that wrote it."""
    record_id: Optional[str]
    """The record that says so, as hex; null for what follows from several."""
    timestamp: str
    """When, by the clock of the node that wrote it."""


class _HookCompletion(TypedDict):
    status: HookStatus
    """How it ended."""


class HookCompletion(_HookCompletion, total=False):
    """Reports the end of one hook of a task."""
    evidence: Any
    """What shows it: any JSON."""


class ImportCounts(TypedDict):
    """How many rows of a table went where."""
    imported: int
    """Rows that were written."""
    skipped: int
    """Rows that were left out."""
    source: int
    """Rows of the source."""
    unchanged: int
    """Rows that were there already."""


class ImportProgress(TypedDict):
    """How far an import is."""
    done: int
    """Steps that are done."""
    running: bool
    """An import runs."""
    total: int
    """All steps."""


class ImportReport(TypedDict):
    """What an import did, or would do."""
    dry_run: bool
    """Nothing was written: it was only tried."""
    skipped: List[SkippedRow]
    """Every row that was left out."""
    source: str
    """Which system the rows come from."""
    tables: Dict[str, ImportCounts]
    """How many rows went where, by table; `source` is the sum of the others."""
    warnings: List[str]
    """What is worth telling, one sentence each."""


class IntegratorRequest(TypedDict):
    """Sets which node merges where there is no remote."""
    node: str
    """The node's name or peer id."""


class Invitation(TypedDict):
    """An invitation for one machine."""
    access: str
    """What the new member may do."""
    expires_at: str
    """When it ends."""
    ticket: str
    """The text for `octopoid init --join`. Whoever has it can join once."""


class InviteRequest(TypedDict, total=False):
    """Asks for an invitation."""
    access: Optional[str]
    """admin, worker or reader; worker where none is given."""
    expires_seconds: Optional[int]
    """How long it is valid, in seconds; an hour where none is given, 30 days at most."""


class JoinKey(TypedDict):
    """The key with which machines join by a node's API; it is told once."""
    api_key: str
    """The key, for `octopoid init --server URL --api-key KEY`. It opens nothing else."""


class JoinKeyRemoved(TypedDict):
    """What became of a join key."""
    removed: bool
    """Whether there was one."""


class MemberInfo(TypedDict):
    """A member of the cluster."""
    access: str
    """admin, worker or reader."""
    addresses: List[str]
    """Where it is connected or may be reached."""
    agents: Optional[int]
    """How many agents work there."""
    idle: Optional[str]
    """Why it claims nothing, where it says so."""
    lag: int
    """How many records it is known to lack or has not acknowledged; during a long catch-up at most so many."""
    last_failure: Optional[str]
    """Why it could not be reached last."""
    last_seen: Optional[str]
    """Since when it is connected or is not; null when this node never was connected to it. After a crash of this node the
    time may be five minutes early."""
    last_strike: Optional[str]
    """What of that it did last."""
    name: str
    """What people call it."""
    peer_id: str
    """Its id in the network."""
    state: str
    """this node, connected, offline or unseen."""
    strikes: int
    """How often it did what no correct node does, since this node's start."""
    version: Optional[str]
    """The version of its program."""


class MergeRequest(TypedDict, total=False):
    """Asks for the merge of accepted work that awaits it."""
    merged_by: Optional[str]
    """Who asked."""


class Message(TypedDict):
    """One message."""
    content: str
    """The text."""
    created_at: str
    """When it was written."""
    from_actor: str
    """Who wrote it."""
    id: str
    """The message's id."""
    parent_message_id: Optional[str]
    """The message that it answers."""
    scope: str
    """The tenant."""
    task_id: str
    """The task that it is about."""
    thread_id: Optional[str]
    """The first message of its thread; its own id where it is that."""
    to_actor: Optional[str]
    """Who should read it."""
    type: str
    """What it is, for example `rejection` or `force_queue`."""


class Messages(TypedDict):
    """One page of messages, oldest first."""
    limit: int
    """How many a page holds."""
    messages: List[Message]
    """The messages of this page."""
    offset: int
    """How many were skipped."""
    total: int
    """How many match in all."""


class _NewAction(TypedDict):
    entity_id: str
    """Which one."""
    entity_type: str
    """What kind of thing it is about."""
    label: str
    """What people see."""


class NewAction(_NewAction, total=False):
    """Proposes an action."""
    action_data: Any
    """Any JSON."""
    action_type: Optional[str]
    """Defaults to `proposal`."""
    description: Optional[str]
    """More about it."""
    expires_at: Optional[str]
    """When it is no longer wanted."""
    metadata: Any
    """Any JSON."""
    proposed_by: Optional[str]
    """Who proposes it."""
    scope: Optional[str]
    """Defaults to the node's own scope."""


class _NewDraft(TypedDict):
    title: str
    """One line for people."""


class NewDraft(_NewDraft, total=False):
    """Asks for a new draft; its node gives the id."""
    author: Optional[str]
    """Who had the idea."""
    domain: Optional[str]
    """What it is about."""
    file_path: Optional[str]
    """The file that holds the text."""
    linked_project_id: Optional[str]
    """The project that it belongs to."""
    linked_task_id: Optional[str]
    """The task that it belongs to."""
    scope: Optional[str]
    """Defaults to the node's own scope."""
    status: Optional[str]
    """Defaults to `idea`."""
    tags: Optional[List[str]]
    """Words to find it by."""


class _NewMessage(TypedDict):
    content: str
    """The text."""
    from_actor: str
    """Who writes it."""
    task_id: str
    """The task that it is about."""
    type: str
    """What it is."""


class NewMessage(_NewMessage, total=False):
    """Writes a message."""
    parent_message_id: Optional[str]
    """The message of the same task that it answers."""
    scope: Optional[str]
    """Defaults to the node's own scope."""
    to_actor: Optional[str]
    """Who should read it."""


class _NewProject(TypedDict):
    id: str
    """The id."""


class NewProject(_NewProject, total=False):
    """Asks for a new project."""
    auto_accept: Optional[bool]
    """Whether its tasks' submits need no review."""
    base_branch: Optional[str]
    """Defaults to `main`."""
    branch: Optional[str]
    """Defaults to `project/<id>`."""
    created_by: Optional[str]
    """Who makes it."""
    description: Optional[str]
    """What it is for."""
    name: Optional[str]
    """What the first SDKs call the title; the title wins where both are given."""
    scope: Optional[str]
    """Defaults to the node's own scope."""
    status: Optional[str]
    """Defaults to `draft`."""
    title: Optional[str]
    """One line for people; `name` means the same."""


class _NewRole(TypedDict):
    name: str
    """Its name."""


class NewRole(_NewRole, total=False):
    """A role to be registered."""
    claims_from: Optional[str]
    """The queue that its agents claim from; `incoming` when left out."""
    description: Optional[str]
    """What it is for."""


class _NewTask(TypedDict):
    file_path: str
    """Where scripts keep the task's text."""
    id: str
    """The id, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`."""


class NewTask(_NewTask, total=False):
    """Asks for a new task; a field left out or null takes its default."""
    auto_accept: Optional[bool]
    """Whether a submit needs no review."""
    blocked_by: Optional[str]
    """Ids of tasks that must be done first, comma separated."""
    branch: Optional[str]
    """Defaults to `main`; a project's branch overrides it."""
    checks: Optional[str]
    """Names of checks, comma separated."""
    complexity: Optional[str]
    """`XS` to `XL`."""
    content: Optional[str]
    """What is to be done."""
    execution_notes: Optional[str]
    """Notes for whoever works on it."""
    flow: Optional[str]
    """Defaults to `default`."""
    flow_overrides: Any
    """Changes to the flow for this task alone: JSON, or JSON text."""
    has_plan: Optional[bool]
    """Whether a plan exists."""
    hooks: Any
    """Steps around the task's life: JSON, or JSON text."""
    needs_breakdown: Optional[bool]
    """Whether it is too large for one attempt."""
    needs_intervention: Optional[bool]
    """Whether a person is asked for."""
    plan_id: Optional[str]
    """The plan's id."""
    pr_number: Optional[int]
    """The pull request's number."""
    pr_url: Optional[str]
    """The pull request's address."""
    priority: Optional[str]
    """`P0` to `P3`; defaults to `P2`."""
    project_id: Optional[str]
    """The project that the task belongs to."""
    queue: Optional[str]
    """Any queue but claimed; defaults to `incoming`."""
    role: Optional[str]
    """The agents' role that should work on it."""
    scope: Optional[str]
    """Defaults to the node's own scope."""
    staging_url: Optional[str]
    """Where the work can be seen."""
    title: Optional[str]
    """Defaults to the id."""
    type: Optional[str]
    """A kind of one's own."""


class NoTasks(TypedDict):
    """The body that answers a claim when no task waits: no error."""
    message: str
    """No tasks available."""


class NodeInfo(TypedDict):
    """One node's process."""
    api_url: Optional[str]
    """Where the REST API listens; null when it does not."""
    machine_id: str
    """The machine's name."""
    peer_id: str
    """The node's id in the network."""
    pid: Optional[int]
    """The process; null when the store was opened without a node."""
    started_at: Optional[str]
    """When the process started."""
    version: str
    """The program's version."""


class NodeStatus(TypedDict):
    """Everything that `octopoid status` shows."""
    agents: List[AgentStatus]
    """The agents of agents.yaml, in its order."""
    authority: Optional[str]
    """The name of the node whose grants and verdicts alone count, in server-wins mode."""
    awaiting_merge: List[AwaitingMerge]
    """Accepted work that is not merged."""
    cluster: Optional[str]
    """The cluster's name; null for a project of its own."""
    conflicts: int
    """How many tasks of the cluster something lost about that nobody has dismissed."""
    cost_usd: float
    """What all attempts on this node cost so far, in US dollars."""
    join_requests: int
    """Machines that ask to join."""
    kept_offline: bool
    """Whether the node was told to keep to itself."""
    members: List[MemberInfo]
    """The other members of the cluster."""
    mode: str
    """local, peers or server-wins."""
    namesakes: List[str]
    """Where other clusters of this one's name answer on the local network, each with its peer id."""
    needs_intervention: List[str]
    """Ids of tasks that ask for a person."""
    node: NodeInfo
    """The node that answers."""
    offline: bool
    """Whether there are other members and none is connected; in server-wins mode, whether the authority is not."""
    paused: bool
    """Whether no new work is started."""
    pending_sync: int
    """How many records of this node no other member holds yet; in server-wins mode, the authority."""
    queues: Dict[str, int]
    """How many tasks each queue holds."""
    retrying: List[Retrying]
    """Tasks that wait after a failed attempt, the next one to start first."""
    waiting_for_review: List[str]
    """Ids of submitted tasks that no agent will review."""
    warnings: List[str]
    """What a person should look at, one line each."""


class Orchestrator(TypedDict):
    """One orchestrator."""
    capabilities: Optional[str]
    """What it can do, as JSON text."""
    cluster: str
    """The cluster's name."""
    hostname: Optional[str]
    """The host's name."""
    id: str
    """`<cluster>-<machine_id>`."""
    last_heartbeat: Optional[str]
    """When it was last heard; null when not since this node started."""
    machine_id: str
    """The machine's name."""
    registered_at: str
    """When it first registered."""
    repo_url: Optional[str]
    """The repository that it works on."""
    scope: str
    """The tenant."""
    status: str
    """active, offline or maintenance."""
    version: Optional[str]
    """Its program's version."""


class OrchestratorList(TypedDict):
    """One page of orchestrators."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    orchestrators: List[Orchestrator]
    """The orchestrators of this page."""
    total: int
    """How many match in all."""


class OrchestratorPatch(TypedDict):
    """Changes an orchestrator's status."""
    status: str
    """active, offline or maintenance."""


class OverriddenChange(TypedDict):
    """A change that was made without reaching the authority, whose own goes before it."""
    at: str
    """When, by that node's clock."""
    kept: Optional[str]
    """What stands; null for nothing, and for a body."""
    lost: Optional[str]
    """What was wanted; null for nothing, and for a body."""
    node: str
    """The name of the node that wanted it."""
    record_id: str
    """The record, as hex."""
    what: str
    """The field, `queue`, or `content`: a body's lines are merged."""


class Paused(TypedDict):
    """The answer to pause and resume: who starts nothing now."""
    agent: Optional[str]
    """The agent; null for the whole node."""
    paused: bool
    """Whether it is paused now."""
    paused_in_file: List[str]
    """Agents that agents.yaml itself pauses, among those that were asked to go on: they stay paused until it says
    otherwise."""


class Peers(TypedDict):
    """Members, and those who ask to be."""
    members: List[MemberInfo]
    """The members."""
    pending: List[PendingMember]
    """Who asks to join."""


class PendingMember(TypedDict):
    """A machine that asks to join."""
    approved: bool
    """Whether it was approved here and waits for its own side."""
    code: str
    """The code that both sides show."""
    name: str
    """What the machine calls itself."""
    peer_id: str
    """Its id in the network."""


class PollResponse(TypedDict):
    """What waits in a scope."""
    flows: Dict[str, FlowStates]
    """The flows of that scope, by name."""
    orchestrator_registered: bool
    """Whether the asking orchestrator is registered."""
    provisional_tasks: List[PollTask]
    """The tasks that wait for a verdict."""
    queue_counts: Dict[str, int]
    """How many tasks each queue holds."""
    scope: Optional[str]
    """The scope that is spoken of."""


class PollTask(TypedDict):
    """A task that waits for a verdict."""
    claimed_by: Optional[str]
    """Who reviews it."""
    hooks: Optional[str]
    """Its hooks, as JSON text."""
    id: str
    """The task's id."""
    pr_number: Optional[int]
    """The pull request's number."""


class Project(TypedDict):
    """One project, every field always present."""
    auto_accept: bool
    """Whether its tasks' submits need no review."""
    base_branch: Optional[str]
    """The branch that it is meant for."""
    branch: Optional[str]
    """The branch of its tasks; `project/<id>` by default."""
    completed_at: Optional[str]
    """When it was completed."""
    created_at: str
    """When it was made."""
    created_by: Optional[str]
    """Who made it."""
    description: Optional[str]
    """What it is for."""
    id: str
    """The id, unique in its scope."""
    scope: str
    """The tenant."""
    status: str
    """draft, active, completed or archived."""
    title: str
    """One line for people."""


class ProjectList(TypedDict):
    """One page of projects."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    projects: List[Project]
    """The projects of this page."""
    total: int
    """How many match in all."""


class ProjectPatch(TypedDict, total=False):
    """Changes the fields of a project that it names and leaves the others."""
    auto_accept: bool
    base_branch: Optional[str]
    branch: Optional[str]
    description: Optional[str]
    name: str
    """What the first SDKs call the title."""
    status: str
    """`completed` sets `completed_at`."""
    title: str


class ProjectTasks(TypedDict):
    """A project's tasks."""
    project_id: str
    """The project."""
    tasks: List[Task]
    """Its tasks."""
    total: int
    """How many there are."""


class _PutFlow(TypedDict):
    states: List[str]
    """The states: incoming, claimed, done and failed at least."""


class PutFlow(_PutFlow, total=False):
    """Registers a flow, or replaces it; the path names it."""
    scope: Optional[str]
    """Defaults to the node's own scope."""
    transitions: List[FlowTransition]
    """The steps; without any the built-in rules hold."""


class _RegisterAnswer(TypedDict):
    orchestrator_id: str
    """`<cluster>-<machine_id>`."""
    registered_at: str
    """When it first registered."""
    status: str
    """active, offline or maintenance."""


class RegisterAnswer(_RegisterAnswer, total=False):
    """The answer to a registration."""
    api_key: Optional[str]
    """The scope's key, told once: at the scope's first registration."""


class _RegisterOrchestrator(TypedDict):
    cluster: str
    """The cluster's name, the first half of the id."""
    machine_id: str
    """The machine's name, the second half."""
    repo_url: str
    """The repository that it works on."""


class RegisterOrchestrator(_RegisterOrchestrator, total=False):
    """Makes an orchestrator known; harmless when repeated."""
    capabilities: Any
    """What it can do: any JSON."""
    hostname: Optional[str]
    """The host's name."""
    scope: Optional[str]
    """Defaults to the node's own scope."""
    version: Optional[str]
    """Its program's version."""


class _RegisterRoles(TypedDict):
    orchestrator_id: str
    """Who registers them."""
    roles: List[NewRole]
    """The roles."""


class RegisterRoles(_RegisterRoles, total=False):
    """Registers roles in an orchestrator's scope; harmless when repeated."""
    scope: Optional[str]
    """The orchestrator's scope; needed only where its id is in several."""


class RegisteredRoles(TypedDict):
    """The roles as they are registered now."""
    roles: List[Role]
    """The roles, in the order of the request."""


class RejectRequest(TypedDict):
    """Judges that the work is not good."""
    reason: str
    """What is missing; the next attempt reads it."""
    rejected_by: str
    """Who judged."""


class ReleaseRequest(TypedDict, total=False):
    """Gives a claimed task back."""
    agent_name: Optional[str]
    """The holder; another one is refused with 409."""
    epoch: Optional[int]
    """The claim's epoch; an older one is refused with 409."""
    reason: Optional[str]
    """Why, for the history."""


class RemoveRequest(TypedDict, total=False):
    """Removes a member."""
    reason: Optional[str]
    """Why, for people."""


class _RenewRequest(TypedDict):
    agent_name: str
    """The holder; another one is refused with 409."""


class RenewRequest(_RenewRequest, total=False):
    """Keeps a claim alive."""
    epoch: Optional[int]
    """The claim's epoch, when the caller knows it."""
    lease_duration_seconds: Optional[int]
    """Seconds from now: 1 to 3,600, default 300."""


class RequeueRequest(TypedDict, total=False):
    """Sends a task back to be tried again."""
    from_any: bool
    """Whether queues other than claimed and provisional are meant too, done excepted."""
    reason: Optional[str]
    """Why, for the history."""
    reopen: bool
    """Whether a task that is done or cancelled may be opened again; implies `from_any`."""
    requeued_by: Optional[str]
    """Who asked."""


class Resolved(TypedDict):
    """The one task that an id or its beginning means."""
    id: str
    """The whole id."""
    scope: str
    """Its tenant."""


class Retrying(TypedDict):
    """A task that waits after a failed attempt."""
    retry_at: str
    """When the next attempt may start."""
    task_id: str
    """The task."""


class Role(TypedDict):
    """A job that agents have."""
    claims_from: Optional[str]
    """The queue that its agents claim from."""
    created_at: str
    """When it was first registered."""
    description: Optional[str]
    """What it is for."""
    name: str
    """Its name; tasks name it in `role`."""
    orchestrator_id: Optional[str]
    """Who registered it as it is now."""
    scope: str
    """The tenant."""


class RoleList(TypedDict):
    """Registered roles, in the order of their names."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    roles: List[Role]
    """The roles of this page."""
    total: int
    """How many there are in all."""


class SkippedRow(TypedDict):
    """A row that was left out."""
    id: str
    """What names it there."""
    reason: str
    """Why it was left out."""
    table: str
    """Where it was."""


class StopAnswer(TypedDict):
    """The answer of a node that is about to end; it answers before it does."""
    pid: int
    """The process that will be gone."""
    running: int
    """How many agents still run."""
    stopping: bool
    """Always true."""


class StopRequest(TypedDict, total=False):
    """Tells a node to end."""
    drain: bool
    """Whether running agents finish first."""


class _SubmitRequest(TypedDict):
    commits_count: int
    """How many commits the attempt made."""
    turns_used: int
    """How many turns it took."""


class SubmitRequest(_SubmitRequest, total=False):
    """Hands in finished work."""
    agent_name: Optional[str]
    """The holder; another one is refused with 409."""
    check_results: Any
    """What the checks found: JSON, or JSON text."""
    epoch: Optional[int]
    """The claim's epoch; an older one is refused with 409."""
    execution_notes: Optional[str]
    """What the agent wants to say about its work."""
    pr_url: Optional[str]
    """The pull request's address; kept when left out."""
    version: Optional[int]
    """The version that the caller saw; another one is refused with 409."""


class Task(TypedDict):
    """One task, every field always present."""
    attempt: Optional[str]
    """The winning attempt, `<epoch>-<8 hex>`."""
    attempt_count: int
    """How often it was tried and given back."""
    auto_accept: bool
    """Whether a submit needs no review."""
    awaiting_merge: Optional[str]
    """Why accepted work is not merged yet."""
    blocked_by: Optional[str]
    """Ids of open blockers, comma separated."""
    branch: str
    """The branch that the work is meant for."""
    check_results: Optional[str]
    """What the checks found, as JSON text."""
    checks: Optional[str]
    """Names of checks, comma separated."""
    claimed_at: Optional[str]
    """When it was claimed."""
    claimed_by: Optional[str]
    """The agent that holds the task or reviews it."""
    commits_count: int
    """Commits of the last submit."""
    completed_at: Optional[str]
    """When it was done."""
    complexity: Optional[str]
    """`XS` to `XL`."""
    content: Optional[str]
    """What is to be done."""
    contested: bool
    """Whether more than one attempt was accepted."""
    created_at: str
    """When it was made."""
    epoch: int
    """The highest epoch that counts; 0 before the first claim."""
    execution_notes: Optional[str]
    """What the last attempt wrote about its work."""
    file_path: str
    """Where scripts keep the task's text; the node stores the path and never opens it."""
    flow: str
    """The flow whose transitions it follows."""
    flow_overrides: Optional[str]
    """Changes to that flow for this task alone, as JSON text."""
    has_plan: bool
    """Whether a plan exists."""
    holder: Optional[str]
    """The name of the node whose claim or review holds the task."""
    hooks: Optional[str]
    """Steps around the task's life, as JSON text."""
    id: str
    """The id, unique in its scope."""
    last_rebase_attempt_at: Optional[str]
    """When a rebase was last tried."""
    lease_expires_at: Optional[str]
    """When the claim ends if nobody renews it."""
    merged_commit: Optional[str]
    """The commit that brought the work to the integration branch."""
    needs_breakdown: bool
    """Whether it is too large for one attempt."""
    needs_intervention: bool
    """Whether a person is asked for."""
    needs_rebase: bool
    """Whether the branch must be rebased before it can be merged."""
    node: Optional[str]
    """The name of the node that created the task."""
    orchestrator_id: Optional[str]
    """The orchestrator that claimed it."""
    plan_id: Optional[str]
    """The plan's id."""
    pr_number: Optional[int]
    """The pull request's number."""
    pr_url: Optional[str]
    """The pull request's address."""
    priority: str
    """`P0` (first) to `P3`."""
    project_id: Optional[str]
    """The project that the task belongs to."""
    queue: str
    """Where the task waits, for example `incoming` or `done`."""
    rejection_count: int
    """How often a review rejected it."""
    retry_at: Optional[str]
    """When the next attempt may start, while the task waits after a failed one."""
    review_round: int
    """How many reviews have begun."""
    role: Optional[str]
    """The agents' role that works on it."""
    scope: str
    """The tenant."""
    staging_url: Optional[str]
    """Where the work can be seen."""
    submitted_at: Optional[str]
    """When it was last submitted."""
    title: str
    """One line for people."""
    turns_used: Optional[int]
    """Turns that the last submit took."""
    type: Optional[str]
    """A kind of one's own, which claims can filter by."""
    updated_at: str
    """When it last changed."""
    version: int
    """1 + the records applied to it after its creation."""


class TaskList(TypedDict):
    """One page of tasks."""
    limit: int
    """How many a page holds."""
    offset: int
    """How many were skipped."""
    tasks: List[Task]
    """The tasks of this page."""
    total: int
    """How many match in all."""


class TaskPatch(TypedDict, total=False):
    """Changes the fields that it names and leaves the others."""
    auto_accept: bool
    blocked_by: Optional[str]
    branch: str
    check_results: Any
    """JSON, or JSON text."""
    checks: Optional[str]
    claimed_by: Optional[str]
    """Null releases the task."""
    commits_count: int
    complexity: Optional[str]
    content: Optional[str]
    execution_notes: Optional[str]
    file_path: str
    flow: str
    flow_overrides: Any
    """JSON, or JSON text."""
    has_plan: bool
    hooks: Any
    """JSON, or JSON text."""
    last_rebase_attempt_at: Optional[str]
    lease_expires_at: Optional[str]
    """Null ends the lease, a time renews it."""
    needs_breakdown: bool
    needs_intervention: bool
    needs_rebase: bool
    orchestrator_id: Optional[str]
    plan_id: Optional[str]
    pr_number: Optional[int]
    pr_url: Optional[str]
    priority: str
    project_id: Optional[str]
    queue: str
    """Moves the task; `done` and `claimed` are refused."""
    review_round: int
    role: Optional[str]
    staging_url: Optional[str]
    title: str
    turns_used: Optional[int]
    type: Optional[str]
    version: int
    """The version that the caller saw; another one is refused with 409."""
