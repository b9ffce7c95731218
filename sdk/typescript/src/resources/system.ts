import { refusal } from '../answer.js'
import { path, read } from '../call.js'
import type { ClusterInfo, Health, NodeStatus, PollResponse } from '../models.js'
import type { Transport } from '../transport.js'

/** A node, and what waits there. */
export class System {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Tells whether the node works; `status` is `unhealthy` when it does not. Needs no key. */
  async healthCheck(): Promise<Health> {
    const call = { ...read('/api/health'), open: true, repeat: 'unsent' as const }
    const answer = await this.#transport.answer(call)
    const health = healthOf(answer.text)
    if (health === undefined) throw refusal(answer, 'GET /api/health')
    return health
  }

  /** Tells what a scheduler asks: how many tasks wait in each queue, and which of them for a verdict. */
  poll(query: { orchestrator_id?: string; scope?: string } = {}): Promise<PollResponse> {
    return this.#transport.json(read(path('scheduler', 'poll'), query))
  }

  /** Shows the node's agents and attempts; needs the node's own key. */
  nodeStatus(): Promise<NodeStatus> {
    return this.#transport.json(read(path('node', 'status')))
  }

  /** Shows the cluster as the node sees it; needs the node's own key. */
  cluster(): Promise<ClusterInfo> {
    return this.#transport.json(read(path('cluster')))
  }
}

function healthOf(text: string): Health | undefined {
  try {
    const health: unknown = JSON.parse(text)
    return typeof health === 'object' && health !== null && 'status' in health ? (health as Health) : undefined
  } catch {
    return undefined
  }
}
