/** The shapes of the API under their own names, generated from its description where it holds them. */

import type { components } from './schema.js'

type Schemas = components['schemas']

export type Task = Schemas['Task']
export type NewTask = Schemas['NewTask']
/** The fields to change; null clears one, and `claimed_by: null` releases the task. */
export type TaskPatch = Schemas['TaskPatch']
export type TaskList = Schemas['TaskList']
export type Deleted = Schemas['Deleted']
export type ProjectDeleted = { message: string; project_id: string }
export type ClaimRequest = Schemas['ClaimRequest']
export type RenewRequest = Schemas['RenewRequest']
export type SubmitRequest = Schemas['SubmitRequest']
export type AcceptRequest = Schemas['AcceptRequest']
export type RejectRequest = Schemas['RejectRequest']
export type RequeueRequest = Partial<Schemas['RequeueRequest']>
export type ReleaseRequest = Schemas['ReleaseRequest']
export type CancelRequest = Schemas['CancelRequest']
export type ForceQueueRequest = Schemas['ForceQueueRequest']
export type MergeRequest = Schemas['MergeRequest']
export type HookCompletion = Schemas['HookCompletion']
export type HistoryEvent = Schemas['HistoryEvent']
export type AttemptInfo = Schemas['AttemptInfo']
export type Project = Schemas['Project']
export type NewProject = Schemas['NewProject']
export type ProjectPatch = Schemas['ProjectPatch']
export type Message = Schemas['Message']
export type Orchestrator = Schemas['Orchestrator']
export type RegisterOrchestrator = Schemas['RegisterOrchestrator']
/** `api_key` is told once, at a scope's first registration. */
export type RegisterAnswer = Schemas['RegisterAnswer']
export type OrchestratorPatch = Schemas['OrchestratorPatch']
export type HeartbeatAnswer = Schemas['HeartbeatAnswer']
export type PollResponse = Schemas['PollResponse']
export type Health = Schemas['Health']
export type NodeStatus = Schemas['NodeStatus']
export type ClusterInfo = Schemas['ClusterInfo']
/** What a node tells as it happens. */
export type Event = Schemas['Event']
export type NewMessage = Schemas['NewMessage']
export type Draft = Schemas['Draft']
export type NewDraft = Schemas['NewDraft']
export type DraftPatch = Schemas['DraftPatch']
export type DraftDeleted = Schemas['DraftDeleted']
/** `metadata`, `action_data` and `result` are JSON text. */
export type Action = Schemas['Action']
export type NewAction = Schemas['NewAction']
export type ActionPatch = Schemas['ActionPatch']
/** `states` and `transitions` are JSON text. */
export type Flow = Schemas['Flow']
export type PutFlow = Schemas['PutFlow']
export type FlowDeleted = Schemas['FlowDeleted']
export type Role = Schemas['Role']
export type RegisterRoles = Schemas['RegisterRoles']
export type NewRole = Schemas['NewRole']
