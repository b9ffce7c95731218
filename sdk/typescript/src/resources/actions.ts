import { patch, path, post, read } from '../call.js'
import type { Action, ActionPatch, NewAction } from '../models.js'
import type { Transport } from '../transport.js'
import { nullIfAbsent } from './tasks.js'

/** Which actions a list holds; expired ones are never listed. */
export interface ActionFilter {
  entity_type?: string | undefined
  entity_id?: string | undefined
  action_type?: string | undefined
  status?: string | readonly string[] | undefined
  scope?: string | undefined
  limit?: number | undefined
  offset?: number | undefined
}

/** What agents propose and people decide. */
export class Actions {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Proposes an action. */
  create(action: NewAction): Promise<Action> {
    return this.#transport.json(post(path('actions'), action))
  }

  /** Shows an action; null when there is none of that id. */
  async get(id: string): Promise<Action | null> {
    return this.#transport.json<Action>(read(path('actions', id))).catch(nullIfAbsent)
  }

  /** Lists actions. */
  async list(filter: ActionFilter = {}): Promise<Action[]> {
    return (await this.#transport.json<{ actions: Action[] }>(read(path('actions'), { ...filter }))).actions
  }

  /** Asks for a proposed action to be done. */
  execute(id: string): Promise<Action> {
    return this.#transport.json(post(path('actions', id, 'execute'), {}))
  }

  /** Tells how an action goes. */
  update(id: string, fields: ActionPatch): Promise<Action> {
    return this.#transport.json(patch(path('actions', id), fields))
  }
}
