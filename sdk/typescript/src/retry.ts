/** When a call is tried again, and after how long. */

import type { Repeat } from './call.js'

/** How one try of a call failed. */
export interface Failure {
  /** The status, when the node answered. */
  status?: number
  /** Whether the request surely did not arrive. */
  unsent?: boolean
  /** The seconds that the answer asks to wait. */
  retryAfter?: string | null
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/** Statuses that pass: too busy, or whoever must answer cannot be reached. */
const PASSING = [429, 502, 503, 504]

/** Tells whether a failed try may be followed by another one. */
export function mayRepeat(failure: Failure, repeat: Repeat): boolean {
  if (failure.unsent) return true
  return repeat === 'always' && (failure.status === undefined || PASSING.includes(failure.status))
}

/** Returns how long to wait before try `next` (from 1), with a part by chance so that callers spread. */
export function pauseMs(next: number, failure: Failure, chance: number): number {
  const asked = Number(failure.retryAfter ?? undefined) * 1000
  if (asked >= 0) return Math.min(asked, LONGEST_PAUSE_MS)
  return Math.min(FIRST_PAUSE_MS * 2 ** (next - 1), LONGEST_PAUSE_MS) * (0.5 + chance / 2)
}

/** Waits; ends at once, with the signal's reason, when the signal is given. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end)
      resolve()
    }, ms)
    signal?.addEventListener('abort', end, { once: true })
  })
}

/** Makes up a key under which a node knows a repeated call again. It need not be hard to guess. */
export function idempotencyKey(): string {
  const bytes = new Uint8Array(16)
  // Node 18 has no global crypto.
  const { crypto } = globalThis
  if (crypto === undefined) bytes.forEach((_, at) => (bytes[at] = Math.floor(Math.random() * 256)))
  else crypto.getRandomValues(bytes)
  return `sdk-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
