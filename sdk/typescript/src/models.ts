/** The shapes of the API under their own names, generated from its description where it holds them. */

import type { components } from './schema.js'

type Schemas = components['schemas']

// A node writes every field of an answer, null where it is unset; the description tells only that null is possible.
type Whole<T> = Required<T>

export type Task = Whole<Schemas['Task']>
export type NewTask = Schemas['NewTask']
/** The fields to change; null clears one, and `claimed_by: null` releases the task. */
export type TaskPatch = Omit<Schemas['TaskPatch'], 'kind'> & { type?: string | null }
export type TaskList = { tasks: Task[]; total: number; offset: number; limit: number }
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
export type HistoryEvent = Whole<Schemas['HistoryEvent']>
export type AttemptInfo = Whole<Schemas['AttemptInfo']>
export type Project = Whole<Schemas['Project']>
export type NewProject = Schemas['NewProject']
export type ProjectPatch = Schemas['ProjectPatch']
export type Message = Whole<Schemas['Message']>
export type Orchestrator = Whole<Schemas['Orchestrator']>
export type RegisterOrchestrator = Schemas['RegisterOrchestrator']
/** `api_key` is told once, at a scope's first registration. */
export type RegisterAnswer = Schemas['RegisterAnswer']
export type OrchestratorPatch = Schemas['OrchestratorPatch']
export type HeartbeatAnswer = Schemas['HeartbeatAnswer']
export type PollResponse = Whole<Schemas['PollResponse']>
export type Health = Schemas['Health']
export type NodeStatus = Schemas['NodeStatus']
export type ClusterInfo = Schemas['ClusterInfo']
/** What a node tells as it happens. */
export type Event = Schemas['Event']
export type NewMessage = Schemas['NewMessage']
export type Draft = Whole<Schemas['Draft']>
export type NewDraft = Schemas['NewDraft']
export type DraftPatch = Schemas['DraftPatch']
export type DraftDeleted = Schemas['DraftDeleted']
/** `metadata`, `action_data` and `result` are JSON text. */
export type Action = Whole<Schemas['Action']>
export type NewAction = Schemas['NewAction']
export type ActionPatch = Schemas['ActionPatch']
/** `states` and `transitions` are JSON text. */
export type Flow = Whole<Schemas['Flow']>
export type PutFlow = Schemas['PutFlow']
export type FlowDeleted = Schemas['FlowDeleted']
export type Role = Whole<Schemas['Role']>
export type RegisterRoles = Schemas['RegisterRoles']
export type NewRole = Schemas['NewRole']
