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
export type Deleted = { message: string; [id: string]: string }
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
export type NewMessage = {
  task_id: string
  from_actor: string
  type: string
  content: string
  to_actor?: string | null
  /** The message of the same task that this one answers. */
  parent_message_id?: string | null
  scope?: string | null
}
export type Draft = {
  id: number
  title: string
  /** idea, draft, review, approved, implemented or archived. */
  status: string
  author: string | null
  domain: string | null
  file_path: string | null
  linked_task_id: string | null
  linked_project_id: string | null
  /** A list as JSON text. */
  tags: string | null
  scope: string
  created_at: string
  updated_at: string
}
export type NewDraft = {
  title: string
  status?: string | null
  author?: string | null
  domain?: string | null
  file_path?: string | null
  linked_task_id?: string | null
  linked_project_id?: string | null
  tags?: string[] | null
  scope?: string | null
}
export type DraftPatch = Partial<Omit<NewDraft, 'scope'>>
export type Action = {
  id: string
  entity_type: string
  entity_id: string
  action_type: string
  label: string
  description: string | null
  /** proposed, execute_requested, executing, completed or failed. */
  status: string
  proposed_by: string
  expires_at: string | null
  metadata: unknown
  action_data: unknown
  result: unknown
  scope: string
  created_at: string
}
export type NewAction = {
  entity_type: string
  entity_id: string
  action_type: string
  label: string
  proposed_by: string
  description?: string | null
  expires_at?: string | null
  metadata?: unknown
  action_data?: unknown
  scope?: string | null
}
export type ActionPatch = { status: string; result?: unknown }
export type Flow = {
  name: string
  /** A list of names as JSON text. */
  states: string
  /** A list of `{from, to}` as JSON text. */
  transitions: string
  scope: string
}
export type NewFlow = {
  /** Holds at least incoming, claimed, done and failed. */
  states: string[]
  transitions: { from: string; to: string }[]
  scope?: string | null
}
export type Role = { name: string; claims_from: string | null; description: string | null }
export type NewRole = { name: string; claims_from?: string | null; description?: string | null }
