/** Makes calls: one request, its time-out, its retries. */

import { type Answer, LARGEST, refusal, succeeded, tooLarge, value } from './answer.js'
import { type Call, search } from './call.js'
import type { Connection, Target } from './connection.js'
import { OctopoidConnectionError, OctopoidError, OctopoidTimeoutError } from './errors.js'
import { type Failure, idempotencyKey, mayRepeat, pauseMs, sleep } from './retry.js'
import type { CallSettings } from './settings.js'

/** What a request is made of besides its address. */
interface Head {
  accept: string
  lastEventId?: string | undefined
}

interface Outcome {
  /** The answer; undefined when there was none. */
  answer?: Answer
  error: OctopoidError | undefined
  failure: Failure
}

export class Transport {
  constructor(
    readonly connection: Connection,
    readonly settings: CallSettings,
  ) {}

  /** Makes a call whose answer is JSON. The caller says what its description says it is. */
  async json<T>(call: Call): Promise<T> {
    return value(await this.#successful(call), `${call.method} ${call.path}`) as T
  }

  /** Makes a call whose answer is text. */
  async text(call: Call): Promise<string> {
    return (await this.#successful(call)).text
  }

  /** Makes a call, tries again where that is safe, and returns what came last, success or not. */
  async answer(call: Call): Promise<Answer> {
    const key = call.method === 'POST' ? (this.settings.idempotencyKey ?? idempotencyKey()) : undefined
    let lost = false
    for (let retries = 0; ; retries += 1) {
      const outcome = await this.#try(call, key)
      // What an earlier try deleted is not there any more.
      if (lost && outcome.answer?.status === 404 && call.gone !== undefined) return { status: 200, text: JSON.stringify(call.gone) }
      lost ||= outcome.answer === undefined && outcome.failure.unsent !== true
      const again = retries < this.settings.maxRetries && mayRepeat(outcome.failure, call.repeat)
      if (outcome.answer !== undefined && (succeeded(outcome.answer) || !again)) return outcome.answer
      if (outcome.error !== undefined && !again) throw outcome.error
      await sleep(pauseMs(retries + 1, outcome.failure, Math.random()), this.settings.signal)
    }
  }

  /** Opens a stream; `signal` ends it. */
  async open(call: Call, head: Head, signal: AbortSignal): Promise<Response> {
    const target = await this.connection.target()
    const request = `${call.method} ${call.path}`
    let response: Response
    try {
      response = await this.#fetch(target, call, head, undefined, signal)
    } catch (cause) {
      this.connection.forget()
      throw unreachable(target, cause)
    }
    if (response.ok) return response
    throw refusal({ status: response.status, text: await bounded(response, request) }, request)
  }

  async #successful(call: Call): Promise<Answer> {
    const answer = await this.answer(call)
    if (!succeeded(answer)) throw refusal(answer, `${call.method} ${call.path}`)
    return answer
  }

  /** Makes one request, and tells how it ended. */
  async #try(call: Call, key: string | undefined): Promise<Outcome> {
    const { signal, timeoutMs } = this.settings
    signal?.throwIfAborted()
    const limit = new AbortController()
    const end = () => limit.abort(signal?.reason)
    signal?.addEventListener('abort', end, { once: true })
    const timer = setTimeout(() => limit.abort(), timeoutMs)
    let target: Target | undefined
    try {
      target = await this.connection.target()
      const response = await this.#fetch(target, call, { accept: 'application/json' }, key, limit.signal)
      const answer = { status: response.status, text: await bounded(response, `${call.method} ${call.path}`) }
      return { answer, error: undefined, failure: { status: answer.status, retryAfter: response.headers.get('retry-after') } }
    } catch (cause) {
      signal?.throwIfAborted()
      this.connection.forget()
      if (cause instanceof OctopoidConnectionError) return { error: cause, failure: { unsent: true } }
      if (cause instanceof OctopoidError) throw cause
      const place = target?.url ?? 'the node'
      const error = limit.signal.aborted
        ? new OctopoidTimeoutError(`${place} did not answer ${call.method} ${call.path} within ${timeoutMs} ms`, { cause })
        : unreachable(target, cause)
      return { error, failure: { unsent: !limit.signal.aborted && neverSent(cause) } }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
    }
  }

  #fetch(target: Target, call: Call, head: Head, key: string | undefined, signal: AbortSignal): Promise<Response> {
    // A node that answers as an old server did answers the SDK by today's contract.
    const headers: Record<string, string> = { accept: head.accept, 'octopoid-compat': 'seed' }
    if (call.body !== undefined) headers['content-type'] = 'application/json'
    if (target.apiKey !== undefined && !call.open) headers['authorization'] = `Bearer ${target.apiKey}`
    if (key !== undefined) headers['idempotency-key'] = key
    if (head.lastEventId !== undefined) headers['last-event-id'] = head.lastEventId
    return this.connection.fetch(`${target.url}${call.path}${search(this.#scoped(call))}`, {
      method: call.method,
      headers,
      signal,
      // A key must not follow to another place.
      redirect: 'manual',
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    })
  }

  /** Adds the client's scope to what a call asks, unless the call names one. */
  #scoped(call: Call): Call['query'] & object {
    const { scope } = this.settings
    const named = call.open || call.query?.['scope'] != null || (call.body !== undefined && 'scope' in call.body)
    return scope === undefined || named ? { ...call.query } : { ...call.query, scope }
  }
}

/** Reads an answer's text, as far as an answer may be long. */
async function bounded(response: Response, request: string): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let text = ''
  for (let size = 0; ; ) {
    const { done, value: bytes } = await reader.read()
    if (done) return text + decoder.decode()
    size += bytes.byteLength
    if (size > LARGEST) {
      await reader.cancel()
      throw tooLarge(request)
    }
    text += decoder.decode(bytes, { stream: true })
  }
}

function unreachable(target: Target | undefined, cause: unknown): OctopoidConnectionError {
  return new OctopoidConnectionError(`${target?.url ?? 'the node'} cannot be reached: ${reason(cause)}`, { cause })
}

/** Returns the innermost reason: fetch itself says no more than that it failed. */
function reason(error: unknown): string {
  const { message = String(error), cause } = error instanceof Error ? error : {}
  return cause instanceof Error && cause.message !== '' ? reason(cause) : message
}

/** Tells whether a request failed before it was sent; where a platform does not say, it may have been. */
function neverSent(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(String(code))
}
