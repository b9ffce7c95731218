/** What a node tells as it happens, across broken connections and restarts. */

import { read } from './call.js'
import { OctopoidAPIError, OctopoidConnectionError, OctopoidError, OctopoidTimeoutError } from './errors.js'
import type { Event } from './models.js'
import { sleep } from './retry.js'
import { Decoder } from './sse.js'
import type { Transport } from './transport.js'

/** Which events are wanted. */
export interface EventOptions {
  /** Goes on after this event; by default it starts from now. */
  lastEventId?: string | undefined
  /** The tenant whose tasks are told of. */
  scope?: string | undefined
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal | undefined
  /** How long a node that went away is looked for, in milliseconds; 300,000 by default. */
  reconnectMs?: number | undefined
}

/** A quiet node sends a comment every 15 s: after three that are missing the connection is dead. */
const SILENCE_MS = 45_000
const RECONNECT_MS = 300_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/**
 * Iterates over events for ever.
 *
 * A broken connection is made anew and goes on after the last event, so none is lost. It throws when the node refuses, or cannot
 * be reached for `reconnectMs`.
 */
export async function* events(transport: Transport, options: EventOptions = {}): AsyncGenerator<Event, never, void> {
  const { signal = transport.settings.signal, reconnectMs = RECONNECT_MS } = options
  const decoder = new Decoder(options.lastEventId)
  let alive = Date.now()
  let pause = FIRST_PAUSE_MS
  for (;;) {
    try {
      for await (const event of connected(transport, options, decoder, signal)) {
        alive = Date.now()
        pause = FIRST_PAUSE_MS
        if (event !== undefined) yield event
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (!passing(error) || Date.now() - alive >= reconnectMs) throw error
    }
    await sleep(pause, signal)
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
  }
}

/** Iterates over one connection's events; undefined tells that the connection lives. */
async function* connected(
  transport: Transport, options: EventOptions, decoder: Decoder, signal: AbortSignal | undefined,
): AsyncGenerator<Event | undefined, void, void> {
  signal?.throwIfAborted()
  const limit = new AbortController()
  const end = () => limit.abort(signal?.reason)
  signal?.addEventListener('abort', end, { once: true })
  let timer = setTimeout(() => limit.abort(), Math.min(SILENCE_MS, transport.settings.timeoutMs))
  try {
    decoder.restart()
    const call = read('/api/v1/events', { scope: options.scope })
    const head = { accept: 'text/event-stream', lastEventId: decoder.lastId || undefined }
    const response = await transport.open(call, head, limit.signal)
    const reader = response.body?.getReader()
    const text = new TextDecoder()
    for (;;) {
      clearTimeout(timer)
      timer = setTimeout(() => limit.abort(), SILENCE_MS)
      yield undefined
      const piece = await reader?.read()
      if (piece === undefined || piece.done) return
      for (const data of decoder.feed(text.decode(piece.value, { stream: true }))) yield event(data)
    }
  } catch (cause) {
    if (cause instanceof OctopoidError) throw cause
    if (limit.signal.aborted) throw new OctopoidTimeoutError('the node sends no more events', { cause })
    throw new OctopoidConnectionError('the stream of events broke off', { cause })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    limit.abort()
  }
}

function event(data: string): Event {
  try {
    return JSON.parse(data) as Event
  } catch (cause) {
    throw new OctopoidError('an event is no JSON', { cause })
  }
}

function passing(error: unknown): boolean {
  if (error instanceof OctopoidAPIError) return error.statusCode === 429 || error.statusCode >= 502
  return error instanceof OctopoidConnectionError
}
