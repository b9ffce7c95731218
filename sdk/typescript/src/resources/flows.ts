import { path, put, read, remove } from '../call.js'
import type { Flow, FlowDeleted, PutFlow } from '../models.js'
import type { Transport } from '../transport.js'
import { nullIfAbsent } from './tasks.js'

/** Which states tasks go through. */
export class Flows {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Makes a flow, or replaces it. */
  put(name: string, flow: PutFlow): Promise<Flow> {
    return this.#transport.json(put(path('flows', name), flow))
  }

  /** Shows a flow; null when there is none of that name. */
  async get(name: string): Promise<Flow | null> {
    return this.#transport.json<Flow>(read(path('flows', name))).catch(nullIfAbsent)
  }

  /** Lists flows. */
  async list(filter: { scope?: string; limit?: number; offset?: number } = {}): Promise<Flow[]> {
    return (await this.#transport.json<{ flows: Flow[] }>(read(path('flows'), filter))).flows
  }

  /** Deletes a flow. */
  delete(name: string): Promise<FlowDeleted> {
    return this.#transport.json(remove(path('flows', name), { message: 'Flow deleted', name }))
  }
}
