/** Plays ../../../cases.json, the table that every SDK plays, against a real node. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

import * as sdk from 'octopoid-sdk'
import { filled, isObject, matches, type Values } from './match.js'
import type { Fault, Proxy } from './proxy.js'

interface Step {
  call: string
  ids?: unknown[]
  with?: Record<string, unknown>
  as?: string
  options?: { timeout?: number; max_retries?: number; scope?: string; idempotency_key?: string }
  faults?: Fault[]
  take?: number
  requests?: number
  expect?: unknown
  error?: { class: string; status?: number; message?: string; details?: string[] }
  save?: Record<string, string>
}

export interface Case {
  name: string
  steps: Step[]
}

interface Table {
  surface: Record<string, string[]>
  cases: Case[]
}

export const table = JSON.parse(readFileSync(new URL('../../../../cases.json', import.meta.url), 'utf8')) as Table

/** The cases that need no proxy between the client and its node. */
export const plain = table.cases.filter(({ steps }) => !steps.some((step) => step.faults !== undefined || step.requests !== undefined))

/** Where the table is played; faults happen in a proxy. */
export interface Place {
  url: string
  apiKey: string
  proxy?: Proxy
}

export const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

/** Plays a case in a scope of its own. */
export async function play(one: Case, place: Place): Promise<void> {
  const values: Values = new Map([['scope', `case-${table.cases.indexOf(one)}`]])
  for (const [at, step] of one.steps.entries()) await playStep(step, values, place, `step ${at + 1}, ${step.call}`)
}

async function playStep(step: Step, values: Values, place: Place, where: string): Promise<void> {
  const { proxy } = place
  if (proxy !== undefined) {
    proxy.faults = [...(step.faults ?? [])]
    proxy.requests = 0
  }
  let result: unknown
  let thrown: unknown
  try {
    result = await called(client(step, values, place), step, values)
  } catch (error) {
    thrown = error
  }
  if (step.error === undefined) assert.equal(thrown, undefined, `${where} threw ${String(thrown)}`)
  else refused(thrown, step.error, where)
  if ('expect' in step) matches(result, filled(step.expect, values), where)
  if (step.requests !== undefined && proxy !== undefined) assert.equal(proxy.requests, step.requests, `requests of ${where}`)
  for (const [name, path] of Object.entries(step.save ?? {})) values.set(name, at(result, path))
}

/** A client of the step's own; what it is told wrongly is refused here. */
function client(step: Step, values: Values, place: Place): () => sdk.Client {
  const apiKey = step.as === undefined ? place.apiKey : (filled(step.as, values) as string)
  const { timeout, max_retries: maxRetries, scope, idempotency_key: idempotencyKey } = step.options ?? {}
  const told = {
    ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(scope === undefined ? {} : { scope: filled(scope, values) as string }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey: filled(idempotencyKey, values) as string }),
  }
  return () => new sdk.OctopoidSDK({ serverUrl: place.url, apiKey, scope: values.get('scope') as string }).withOptions(told)
}

async function called(make: () => sdk.Client, step: Step, values: Values): Promise<unknown> {
  const ids = filled(step.ids ?? [], values) as unknown[]
  const fields = filled(step.with, values) as Record<string, unknown> | undefined
  const client = make()
  if (step.call === 'events') return taken(client, fields ?? {}, step.take ?? 1)
  if (step.call === 'wait_for') {
    const timeout = fields?.['timeout'] as number | undefined
    return client.waitFor(ids[0] as string, ids[1] as string, timeout === undefined ? {} : { timeoutMs: timeout * 1000 })
  }
  const [resource = '', method = ''] = step.call.split('.')
  const target = (client as unknown as Record<string, Record<string, (...args: unknown[]) => unknown>>)[resource]
  const call = target?.[camel(method)]
  assert.ok(target !== undefined && call !== undefined, `there is no ${step.call}`)
  // What the table leaves out is an empty object where a method wants one.
  const needed = fields ?? (step.error === undefined ? undefined : {})
  const result = call.call(target, ...ids, ...(needed === undefined ? [] : [needed]))
  return isIterable(result) ? collected(result) : result
}

async function taken(client: sdk.Client, fields: Record<string, unknown>, count: number): Promise<sdk.Event[]> {
  const { last_event_id: lastEventId, scope } = fields as { last_event_id?: string; scope?: string }
  const events: sdk.Event[] = []
  for await (const event of client.events({ lastEventId, scope })) {
    events.push(event)
    if (events.length === count) break
  }
  return events
}

function refused(thrown: unknown, expected: NonNullable<Step['error']>, where: string): void {
  assert.ok(thrown instanceof sdk.OctopoidError, `${where} did not throw one of ours: ${String(thrown)}`)
  assert.equal(thrown.constructor.name, expected.class, `${where}: ${thrown.message}`)
  assert.equal(thrown.name, expected.class, where)
  assert.ok(thrown.message.includes(expected.message ?? ''), `${where} says "${thrown.message}"`)
  if (expected.status === undefined) return
  assert.ok(thrown instanceof sdk.OctopoidAPIError, where)
  assert.equal(thrown.statusCode, expected.status, where)
  if (expected.details !== undefined) assert.deepEqual(thrown.details, expected.details, where)
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((part, name) => {
    if (Array.isArray(part)) return part[Number(name)]
    assert.ok(isObject(part) && name in part, `there is no ${path} in ${JSON.stringify(value)}`)
    return part[name]
  }, value)
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

async function collected(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const item of items) all.push(item)
  return all
}
