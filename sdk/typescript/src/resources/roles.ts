import { path, post, read } from '../call.js'
import type { RegisterRoles, Role } from '../models.js'
import type { Transport } from '../transport.js'
import { nullIfAbsent } from './tasks.js'

/** The jobs that agents have. */
export class Roles {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Tells which roles an orchestrator has agents for; harmless when repeated. */
  async register(request: RegisterRoles): Promise<Role[]> {
    return (await this.#transport.json<{ roles: Role[] }>(post(path('roles', 'register'), request))).roles
  }

  /** Shows a role; null when there is none of that name. */
  async get(name: string): Promise<Role | null> {
    return this.#transport.json<Role>(read(path('roles', name))).catch(nullIfAbsent)
  }

  /** Lists roles. */
  async list(filter: { scope?: string; limit?: number; offset?: number } = {}): Promise<Role[]> {
    return (await this.#transport.json<{ roles: Role[] }>(read(path('roles'), filter))).roles
  }
}
