/** A node of this machine, as its project's folder tells of it. */

/** Where a project's node listens, and with which key. */
export interface LocalNode {
  /** The API's address. */
  url: string
  /** The node's own key. */
  apiKey: string
  /** The machine's name, which the node tells at `/api/health`. */
  machineId: string
}

/** What a platform offers besides fetch; browsers offer nothing. */
export interface Platform {
  /** Reads an environment variable; undefined when it is unset, empty or may not be read. */
  env(name: string): string | undefined
  /** Finds the running node of the project around a folder; the current folder by default. */
  localNode(folder?: string): LocalNode | undefined
}

export const nothing: Platform = { env: () => undefined, localNode: () => undefined }
