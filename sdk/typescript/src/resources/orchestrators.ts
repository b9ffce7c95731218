import { patch, path, post, postOnce, read } from '../call.js'
import type { HeartbeatAnswer, Orchestrator, OrchestratorPatch, RegisterAnswer, RegisterOrchestrator } from '../models.js'
import type { Transport } from '../transport.js'
import { nullIfAbsent } from './tasks.js'

/** Which orchestrators a list holds. */
export interface OrchestratorFilter {
  cluster?: string | undefined
  /** active, offline or maintenance. */
  status?: string | readonly string[] | undefined
  scope?: string | undefined
  limit?: number | undefined
  offset?: number | undefined
}

/** Whoever claims tasks; every node is listed as one. */
export class Orchestrators {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Makes an orchestrator known. The scope's key is told once, at its first registration: keep it. */
  register(request: RegisterOrchestrator): Promise<RegisterAnswer> {
    return this.#transport.json(postOnce(path('orchestrators', 'register'), request))
  }

  /** Shows that an orchestrator lives; after 120 s without it is offline. */
  heartbeat(id: string): Promise<HeartbeatAnswer> {
    return this.#transport.json(post(path('orchestrators', id, 'heartbeat'), {}))
  }

  /** Shows an orchestrator; null when there is none of that id. */
  async get(id: string): Promise<Orchestrator | null> {
    return this.#transport.json<Orchestrator>(read(path('orchestrators', id))).catch(nullIfAbsent)
  }

  /** Lists orchestrators. */
  async list(filter: OrchestratorFilter = {}): Promise<Orchestrator[]> {
    return (await this.#transport.json<{ orchestrators: Orchestrator[] }>(read(path('orchestrators'), { ...filter }))).orchestrators
  }

  /** Changes an orchestrator's status. */
  update(id: string, fields: OrchestratorPatch): Promise<Orchestrator> {
    return this.#transport.json(patch(path('orchestrators', id), fields))
  }

  /** Replaces a scope's key; the old one is void at once. */
  rotateKey(scope: string): Promise<{ api_key: string; scope: string }> {
    return this.#transport.json(postOnce(path('orchestrators', 'scopes', scope, 'rotate-key'), {}))
  }
}
