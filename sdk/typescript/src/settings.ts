/** What a client is told, and what follows from it. */

import { OctopoidError } from './errors.js'

/** What calls may be told differently by {@link OctopoidSDK.withOptions}. */
export interface CallOptions {
  /** How long one try of a call may take, in milliseconds; 30,000 by default. */
  timeoutMs?: number | undefined
  /** How often a call that failed for a passing reason is tried again; 2 by default. */
  maxRetries?: number | undefined
  /** The tenant that calls speak of; the key's or the node's own by default. */
  scope?: string | undefined
  /** Ends waiting calls, streams and waits. */
  signal?: AbortSignal | undefined
  /**
   * The key under which a node recognises a repeated POST, for 24 hours. Each call gets one of its own by default; give one
   * to make a call that a later run of your script repeats.
   */
  idempotencyKey?: string | undefined
}

/** How to reach a node. What is left out comes from the environment, then from the nearest `.octopoid` folder. */
export interface OctopoidOptions extends CallOptions {
  /** The address of a node, for example `http://127.0.0.1:8787`; else the variable OCTOPOID_SERVER_URL. */
  serverUrl?: string | undefined
  /** A key, `oct_…`; else the variable OCTOPOID_API_KEY. */
  apiKey?: string | undefined
  /** Where to look for the project whose node is meant; the current folder by default. */
  projectDir?: string | undefined
  /** Makes the requests; the global `fetch` by default. */
  fetch?: typeof globalThis.fetch | undefined
}

const TIMEOUT_MS = 30_000
/** The longest time-out that every platform's timers hold. */
const LONGEST_MS = 2 ** 31 - 1
const RETRIES = 2
const MOST_RETRIES = 10

/** How a call is made. */
export interface CallSettings {
  timeoutMs: number
  maxRetries: number
  scope: string | undefined
  signal: AbortSignal | undefined
  idempotencyKey: string | undefined
}

/** Fills in and checks what calls are told. */
export function callSettings(options: CallOptions): CallSettings {
  const { timeoutMs = TIMEOUT_MS, maxRetries = RETRIES, scope, signal, idempotencyKey } = options
  if (!(timeoutMs > 0 && timeoutMs <= LONGEST_MS)) {
    throw new OctopoidError(`timeoutMs must be above 0 and at most ${LONGEST_MS}, not ${timeoutMs}`)
  }
  if (!(Number.isInteger(maxRetries) && maxRetries >= 0 && maxRetries <= MOST_RETRIES)) {
    throw new OctopoidError(`maxRetries must be a whole number from 0 to ${MOST_RETRIES}, not ${maxRetries}`)
  }
  if (idempotencyKey !== undefined && !/^[!-~]{1,255}$/.test(idempotencyKey)) {
    throw new OctopoidError('idempotencyKey must be 1 to 255 visible ASCII characters')
  }
  return { timeoutMs, maxRetries, scope, signal, idempotencyKey }
}

/** Checks an address, and returns it without a slash at its end. */
export function address(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new OctopoidError(`serverUrl '${text}' is no address: give one such as http://127.0.0.1:8787`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new OctopoidError(`serverUrl '${text}' must begin with http:// or https://`)
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new OctopoidError('serverUrl must hold no user, query or fragment: give the key as apiKey')
  }
  return (url.origin + url.pathname).replace(/\/+$/, '')
}

/** Checks a key, and returns it without blanks around it. Its text is never part of an error. */
export function key(text: string): string {
  const trimmed = text.trim()
  if (!/^[!-~]+$/.test(trimmed)) throw new OctopoidError('apiKey holds characters that no key has')
  return trimmed
}
