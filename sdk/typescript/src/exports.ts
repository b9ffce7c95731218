/** What both forms of the package offer besides the client itself. */

export { Client } from './client.js'
export * from './errors.js'
export type { EventOptions } from './events.js'
export type * from './models.js'
export type { ActionFilter } from './resources/actions.js'
export type { DraftFilter } from './resources/drafts.js'
export type { MessageFilter } from './resources/messages.js'
export type { OrchestratorFilter } from './resources/orchestrators.js'
export type { ProjectFilter } from './resources/projects.js'
export type { DiffFilter, LogFilter, TaskFilter } from './resources/tasks.js'
export type { CallOptions, OctopoidOptions } from './settings.js'
export type { WaitOptions } from './wait.js'
