//! REST types and client for an Octopoid node.
//!
//! The types are the contract of `/api/v1`: the node answers with them and [`Client`] reads them. They carry text
//! where the contract carries text; what a text means is decided by the node, never here.
//!
//! **Invariants**: a type of an answer always writes every field, null where it is unset. A type of a request tells
//! a field that was left out from one that is null. A client never waits or reads without a bound.

mod action;
mod client;
mod cluster;
mod conflict;
mod draft;
mod error;
mod event;
mod flow;
mod health;
mod history;
mod local;
mod message;
mod node;
mod orchestrator;
mod project;
mod role;
mod scheduler;
mod task;
mod tls;
mod transfer;
mod transition;
mod transport;
mod wire;

pub use action::{Action, ActionList, ActionPatch, NewAction};
pub use client::{
    ActionFilter, CallOptions, Client, ConnectOptions, DiffQuery, DraftFilter, EventQuery, EventStream, Events, ImportQuery, LogQuery,
    MessageFilter, OrchestratorFilter, ProjectFilter, TaskFilter, Tasks, TextStream, Token, WaitError,
};
pub use cluster::{
    ApproveRequest, AuthorityInfo, AuthorityRequest, ClusterInfo, ClusterName, ClusterOffline, CodeRequest, IntegratorRequest, Invitation,
    InviteRequest, JoinKey, JoinKeyRemoved, MemberInfo, Peers, PendingMember, RemoveRequest,
};
pub use conflict::{AdoptRequest, Conflict, ConflictList, ConflictingCreation, OverriddenChange};
pub use draft::{Draft, DraftDeleted, DraftList, DraftPatch, NewDraft};
pub use error::{ClientError, ErrorBody, ErrorKind};
pub use event::Event;
pub use flow::{Flow, FlowDeleted, FlowList, FlowTransition, PutFlow};
pub use health::Health;
pub use history::{AttemptInfo, Attempts, History, HistoryEvent};
pub use message::{Message, Messages, NewMessage};
pub use node::{
    AgentInstance, AgentState, AgentStatus, AwaitingMerge, Doctor, GcItem, GcReport, GcRequest, NodeInfo, NodeStatus, Paused, Resolved,
    Retrying, StopAnswer, StopRequest,
};
pub use orchestrator::{
    Heartbeat, HeartbeatAnswer, Orchestrator, OrchestratorList, OrchestratorPatch, RegisterAnswer, RegisterOrchestrator, ScopeKey,
};
pub use project::{NewProject, Project, ProjectList, ProjectPatch, ProjectTasks};
pub use role::{NewRole, RegisterRoles, RegisteredRoles, Role, RoleList};
pub use scheduler::{FlowStates, PollResponse, PollTask};
pub use task::{Deleted, NewTask, Task, TaskList, TaskPatch};
pub use tls::{Authorities, AuthoritiesError, BadFingerprint, Fingerprint, Trust};
pub use transfer::{Export, ExportSource, ImportCounts, ImportProgress, ImportReport, SkippedRow};
pub use transition::{
    AcceptRequest, CancelRequest, ClaimRequest, ForceQueueRequest, HookCompletion, HookStatus, MergeRequest, RejectRequest, ReleaseRequest,
    RenewRequest, RequeueRequest, SubmitRequest,
};
pub use transport::{BoxFuture, ByteStream, Http, InProcess, Transport, TransportError};
pub use wire::StringList;

/// Compiles the README's programs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
