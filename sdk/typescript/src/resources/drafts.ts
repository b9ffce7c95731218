import { patch, path, post, read, remove } from '../call.js'
import type { Draft, DraftDeleted, DraftPatch, NewDraft } from '../models.js'
import type { Transport } from '../transport.js'
import { nullIfAbsent } from './tasks.js'

/** Which drafts a list holds. */
export interface DraftFilter {
  status?: string | readonly string[] | undefined
  author?: string | undefined
  domain?: string | undefined
  linked_task_id?: string | undefined
  linked_project_id?: string | undefined
  scope?: string | undefined
  limit?: number | undefined
  offset?: number | undefined
}

/** What is not a task yet. Their ids are numbers, which a node gives. */
export class Drafts {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Makes a draft. */
  create(draft: NewDraft): Promise<Draft> {
    return this.#transport.json(post(path('drafts'), draft))
  }

  /** Shows a draft; null when there is none of that id. */
  async get(id: number): Promise<Draft | null> {
    return this.#transport.json<Draft>(read(path('drafts', id))).catch(nullIfAbsent)
  }

  /** Lists drafts. */
  async list(filter: DraftFilter = {}): Promise<Draft[]> {
    return (await this.#transport.json<{ drafts: Draft[] }>(read(path('drafts'), { ...filter }))).drafts
  }

  /** Changes the fields that it is given. */
  update(id: number, fields: DraftPatch): Promise<Draft> {
    return this.#transport.json(patch(path('drafts', id), fields))
  }

  /** Deletes a draft. */
  delete(id: number): Promise<DraftDeleted> {
    return this.#transport.json(remove(path('drafts', id), { message: 'Draft deleted', draft_id: id }))
  }
}
