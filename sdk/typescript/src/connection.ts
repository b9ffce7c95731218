/**
 * Which node is meant, and with which key.
 *
 * A project's node moves when it is started anew, so it is looked up again after a call that did not reach it. Its key is sent
 * only after a greeting without a key showed that this project's machine answers there.
 */

import { OctopoidConnectionError, OctopoidError } from './errors.js'
import type { LocalNode, Platform } from './project.js'
import { address, key, type OctopoidOptions } from './settings.js'

/** Where calls go. */
export interface Target {
  url: string
  apiKey: string | undefined
}

/** How long a node may take to say that it is there. */
const GREETING_MS = 2_000

export class Connection {
  readonly fetch: typeof globalThis.fetch
  readonly #platform: Platform
  readonly #projectDir: string | undefined
  readonly #url: string | undefined
  readonly #apiKey: string | undefined
  #found: Promise<Target> | undefined

  constructor(options: OctopoidOptions, platform: Platform) {
    this.#platform = platform
    this.#projectDir = options.projectDir
    // A folder that is named is meant, whatever the environment says.
    const env = (name: string) => (options.projectDir === undefined ? platform.env(name) : undefined)
    const url = options.serverUrl ?? env('OCTOPOID_SERVER_URL')
    const apiKey = options.apiKey || env('OCTOPOID_API_KEY')
    this.#url = url === undefined ? undefined : address(url)
    this.#apiKey = apiKey === undefined ? undefined : key(apiKey)
    const { fetch } = options
    // The global one is looked up at each call, and must be called without an object before it.
    this.fetch = fetch ?? ((input, init) => globalThis.fetch(input, init))
  }

  /** Returns where calls go. */
  async target(): Promise<Target> {
    if (this.#url !== undefined && this.#apiKey !== undefined) return { url: this.#url, apiKey: this.#apiKey }
    this.#found ??= this.#find()
    try {
      return await this.#found
    } catch (error) {
      this.#found = undefined
      throw error
    }
  }

  /** Forgets where a project's node was. */
  forget(): void {
    this.#found = undefined
  }

  async #find(): Promise<Target> {
    const node = this.#platform.localNode(this.#projectDir)
    if (this.#url !== undefined) {
      // A key of this machine's node belongs to no other address.
      const own = node !== undefined && address(node.url) === this.#url
      return { url: this.#url, apiKey: own ? await this.#greeted(node) : undefined }
    }
    if (node === undefined) {
      throw new OctopoidError(
        'no node is known: give serverUrl, set OCTOPOID_SERVER_URL, or run in a project whose node runs (octopoid start)',
      )
    }
    return { url: address(node.url), apiKey: this.#apiKey ?? (await this.#greeted(node)) }
  }

  /** Returns a node's own key once the node answers as itself. */
  async #greeted(node: LocalNode): Promise<string> {
    const url = `${address(node.url)}/api/health`
    let health: unknown
    try {
      const answer = await this.fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(GREETING_MS) })
      health = await answer.json()
    } catch (cause) {
      throw new OctopoidConnectionError(`the project's node does not answer at ${node.url}`, { cause })
    }
    const name = typeof health === 'object' && health !== null && 'node' in health ? health.node : undefined
    if (node.machineId !== '' && name !== node.machineId) {
      throw new OctopoidConnectionError(`what answers at ${node.url} is not the project's node`)
    }
    return key(node.apiKey)
  }
}
