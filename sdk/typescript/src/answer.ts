/** What a node's answer means. */

import {
  OctopoidAPIError,
  OctopoidAuthenticationError,
  OctopoidConflictError,
  OctopoidError,
  OctopoidNotFoundError,
} from './errors.js'

/** The most that is read of one answer. */
export const LARGEST = 64 * 1024 * 1024

export interface Answer {
  status: number
  text: string
}

/** Returns an answer's JSON, or throws what the node refused. */
export function value(answer: Answer, request: string): unknown {
  if (!succeeded(answer)) throw refusal(answer, request)
  const json = parse(answer.text)
  if (json === undefined) {
    const { status: statusCode } = answer
    throw new OctopoidAPIError(`${request} was answered with no JSON: is this an Octopoid node?`, {
      statusCode, request, details: [], body: undefined,
    })
  }
  return json
}

export function succeeded({ status }: Answer): boolean {
  return status >= 200 && status < 300
}

/** Turns an answer that is no success into the error that tells of it. */
export function refusal({ status: statusCode, text }: Answer, request: string): OctopoidAPIError {
  const body = parse(text)
  const fields: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {}
  const { error, message, details } = fields
  const reasons = Array.isArray(details) ? details.map(String) : []
  // Of a route that is not there the second text tells more.
  const texts = isRoute(message) ? [message] : [error, message]
  const said = texts.find((part): part is string => typeof part === 'string' && part !== '')
  const about = { statusCode, request, details: reasons, body }
  const tail = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`
  return new (kind(statusCode))(`${said ?? `${request} was answered with status ${statusCode}`}${tail}`, about)
}

function kind(status: number): typeof OctopoidAPIError {
  switch (status) {
    case 401:
    case 403:
      return OctopoidAuthenticationError
    case 404:
      return OctopoidNotFoundError
    case 409:
    case 412:
      return OctopoidConflictError
    default:
      return OctopoidAPIError
  }
}

/** Tells whether a 404 speaks of a thing, and not of a route that this node does not have. */
export function isAbsence(error: unknown): error is OctopoidNotFoundError {
  if (!(error instanceof OctopoidNotFoundError)) return false
  const { body } = error
  if (typeof body !== 'object' || body === null) return false
  return !('message' in body && isRoute(body.message))
}

function isRoute(message: unknown): boolean {
  return typeof message === 'string' && message.startsWith('Endpoint ')
}

/** Tells whether a 404 says that nothing waits, which is no error: it names none. */
export function isEmptyQueue(error: unknown): boolean {
  return error instanceof OctopoidNotFoundError && isAbsence(error) && !('error' in (error.body as object))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function tooLarge(request: string): OctopoidError {
  return new OctopoidError(`the answer to ${request} exceeds ${LARGEST} bytes`)
}
