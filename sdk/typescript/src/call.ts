/** One call of the API, before it is made. */

import { OctopoidError } from './errors.js'

export type Query = Record<string, QueryValue>
type QueryValue = string | number | boolean | readonly string[] | null | undefined

/** Whether a call may be made again when nobody knows whether its first try arrived. */
export type Repeat =
  /** It may: it changes nothing, or the same thing, or carries a key under which the node knows it again. */
  | 'always'
  /** Only when the first try surely did not arrive. */
  | 'unsent'

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  query?: Query
  body?: object
  /** Whether the node's own greeting is asked for, which needs no key. */
  open?: boolean
  repeat: Repeat
  /** What a deletion answers whose first answer was lost. */
  gone?: object
}

/** Builds a path of the API; every segment but the first names something and is encoded. */
export function path(collection: string, ...segments: (string | number)[]): string {
  return ['/api/v1', collection, ...segments.map(segment)].join('/')
}

function segment(value: string | number): string {
  const text = String(value)
  // An address drops such segments, and the call would be another one.
  if (text === '' || text === '.' || text === '..') throw new OctopoidError(`'${text}' cannot be an id`)
  try {
    return encodeURIComponent(text)
  } catch (cause) {
    throw new OctopoidError('an id holds half a character', { cause })
  }
}

export function read(path: string, query: Query = {}): Call {
  return { method: 'GET', path, query, repeat: 'always' }
}

/** Posts with a key under which the node knows a repeated call again. */
export function post(path: string, body: object): Call {
  return { method: 'POST', path, body, repeat: 'always' }
}

/** Posts what the node does not keep: its answer holds a secret. */
export function postOnce(path: string, body: object): Call {
  return { method: 'POST', path, body, repeat: 'unsent' }
}

export function put(path: string, body: object): Call {
  return { method: 'PUT', path, body, repeat: 'always' }
}

/** Patches; a second patch may undo what happened between the two. */
export function patch(path: string, body: object): Call {
  return { method: 'PATCH', path, body, repeat: 'unsent' }
}

export function remove(path: string, gone: object): Call {
  return { method: 'DELETE', path, repeat: 'always', gone }
}

/** Writes the part of an address behind the path: unset values are left out, several are separated by commas. */
export function search(query: Query): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue
    params.set(name, Array.isArray(value) ? value.join(',') : String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}
