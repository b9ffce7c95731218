/** How a client finds its node: by options, by the environment, by the folder. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'

import { OctopoidAuthenticationError, OctopoidConnectionError, OctopoidError, OctopoidSDK } from 'octopoid-sdk'
import { type RunningNode, startNode } from './support/node.js'

const variables = ['OCTOPOID_SERVER_URL', 'OCTOPOID_API_KEY', 'OCTOPOID_DIR'] as const

describe('a client finds its node', () => {
  let node: RunningNode
  before(async () => (node = await startNode()))
  after(() => node.stop())
  afterEach(() => variables.forEach((name) => delete process.env[name]))

  it('by the folder, from any depth of it', async () => {
    const deep = join(node.folder, 'a/b/c')
    mkdirSync(deep, { recursive: true })
    assert.deepEqual(await new OctopoidSDK({ projectDir: deep }).tasks.list({ queue: 'backlog' }), [])
  })

  it('by the folder that OCTOPOID_DIR names', async () => {
    for (const folder of [node.folder, join(node.folder, '.octopoid')]) {
      process.env['OCTOPOID_DIR'] = folder
      assert.deepEqual(await new OctopoidSDK().tasks.list({ queue: 'backlog' }), [], folder)
    }
  })

  it('by the environment', async () => {
    process.env['OCTOPOID_SERVER_URL'] = `${node.url}/`
    process.env['OCTOPOID_API_KEY'] = ` ${node.apiKey}\n`
    assert.deepEqual(await new OctopoidSDK().tasks.list({ queue: 'backlog' }), [])
  })

  it('by its address alone, where the folder tells the key', async () => {
    assert.deepEqual(await new OctopoidSDK({ serverUrl: node.url, projectDir: node.folder }).tasks.list({ queue: 'backlog' }), [])
  })

  it('again after it moved to another port', async () => {
    const sdk = new OctopoidSDK({ projectDir: node.folder })
    await sdk.tasks.create({ id: 'kept', file_path: 'kept.md' })
    const before = node.url
    await node.restart()
    assert.notEqual(node.url, before)
    assert.equal((await sdk.tasks.get('kept'))?.id, 'kept')
  })

  it('and follows its events to the other port', async () => {
    const sdk = new OctopoidSDK({ projectDir: node.folder })
    await sdk.tasks.create({ id: 'followed', file_path: 'followed.md' })
    const events = sdk.events({ lastEventId: '0' })
    while ((await events.next()).value.task_id !== 'followed');
    const next = events.next()
    await node.restart()
    await sdk.tasks.create({ id: 'later', file_path: 'later.md' })
    assert.equal((await next).value.task_id, 'later')
    await events.return(undefined as never)
  })

  it('only for its own address: a key goes nowhere else', async () => {
    const heard: IncomingHttpHeaders[] = []
    const stranger = createServer(({ headers }, response) => {
      heard.push(headers)
      response.setHeader('content-type', 'application/json').end('{"status":"healthy","node":"somebody-else","tasks":[]}')
    })
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    const folder = mkdtempSync(join(tmpdir(), 'octopoid-sdk-stranger-'))
    try {
      await new OctopoidSDK({ serverUrl: url, projectDir: node.folder }).tasks.list()
      writeProject(folder, { pid: process.pid, api_url: url, machine_id: 'this-machine' })
      const sdk = new OctopoidSDK({ projectDir: folder, maxRetries: 0 })
      await assert.rejects(sdk.tasks.list(), { name: 'OctopoidConnectionError', message: /not the project's node/ })
      assert.equal(heard.length, 2)
      assert.ok(heard.every(({ authorization }) => authorization === undefined))
    } finally {
      stranger.close()
      rmSync(folder, { recursive: true })
    }
  })

  it('and says what to do when there is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octopoid-sdk-none-'))
    try {
      const missing = { name: 'OctopoidError', message: /give serverUrl, set OCTOPOID_SERVER_URL, or run in a project/ }
      await assert.rejects(new OctopoidSDK({ projectDir: folder }).tasks.list(), missing)
      // What a killed node left behind names a process that is gone.
      writeProject(folder, { pid: 2 ** 22 + 1, api_url: node.url, machine_id: '' })
      await assert.rejects(new OctopoidSDK({ projectDir: folder }).tasks.list(), missing)
      writeFileSync(join(folder, '.octopoid/runtime/node.json'), '{"pid":')
      await assert.rejects(new OctopoidSDK({ projectDir: folder }).tasks.list(), missing)
      // A folder that leads to itself is no reason to fail otherwise.
      symlinkSync(folder, join(folder, 'self'))
      await assert.rejects(new OctopoidSDK({ projectDir: join(folder, 'self/self') }).tasks.list(), missing)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('and tells a call that is not there from a thing that is not there', async () => {
    const sdk = new OctopoidSDK({ serverUrl: `${node.url}/elsewhere`, apiKey: node.apiKey })
    await assert.rejects(sdk.tasks.get('a'), { name: 'OctopoidNotFoundError', message: /^Endpoint \/elsewhere\/api/ })
    await assert.rejects(sdk.tasks.claim({ orchestrator_id: 'o', agent_name: 'a' }), { name: 'OctopoidNotFoundError' })
  })

  it('and refuses what is no address or key', () => {
    for (const serverUrl of ['', 'octopoid', 'ftp://example.com', 'http://user:secret@example.com', 'http://example.com/?key=secret']) {
      assert.throws(() => new OctopoidSDK({ serverUrl }), (error: Error) => error instanceof OctopoidError && !error.message.includes('secret@'))
    }
    assert.throws(() => new OctopoidSDK({ apiKey: 'oct_secret\nx' }), (error: Error) => !error.message.includes('secret'))
  })

  it('and tries anew what was surely never sent, an edit too', async () => {
    const closed = createServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
    await new Promise((resolve) => closed.close(resolve))
    let tries = 0
    const fetch: typeof globalThis.fetch = (input, init) => {
      tries += 1
      return globalThis.fetch(input, init)
    }
    const sdk = new OctopoidSDK({ serverUrl: url, apiKey: 'oct_x', fetch, maxRetries: 1 })
    await assert.rejects(sdk.tasks.update('a', { title: 'x' }), OctopoidConnectionError)
    assert.equal(tries, 2)
  })

  it('and ends at once when it is told to', async () => {
    const sdk = new OctopoidSDK({ serverUrl: node.url, apiKey: node.apiKey })
    const reason = new Error('enough')
    const told = AbortSignal.abort(reason)
    const { id } = await sdk.tasks.create({ id: 'open', file_path: 'open.md' })
    await assert.rejects(sdk.withOptions({ signal: told }).tasks.list(), reason)
    await assert.rejects(sdk.waitFor(id, 'done', { signal: told }), reason)
    await assert.rejects(sdk.events({ signal: told }).next(), reason)
    const later = new AbortController()
    const waiting = sdk.waitFor(id, 'done', { signal: later.signal })
    const listening = sdk.events({ signal: later.signal }).next()
    setTimeout(() => later.abort(reason), 50)
    await assert.rejects(waiting, reason)
    await assert.rejects(listening, reason)
  })

  it('and shows its key to nobody', async () => {
    const { inspect } = await import('node:util')
    const sdk = new OctopoidSDK({ serverUrl: node.url, apiKey: node.apiKey })
    assert.ok(!inspect(sdk, { depth: 9, showHidden: true }).includes(node.apiKey))
    assert.ok(!JSON.stringify(sdk).includes(node.apiKey))
    const error = await new OctopoidSDK({ serverUrl: node.url, apiKey: 'oct_wrong' }).tasks.list().catch((error: unknown) => error)
    assert.ok(error instanceof OctopoidAuthenticationError)
    assert.ok(!inspect(error, { depth: 9 }).includes('oct_wrong'))
  })
})

function writeProject(folder: string, node: { pid: number; api_url: string; machine_id: string }): void {
  const runtime = join(folder, '.octopoid/runtime')
  mkdirSync(runtime, { recursive: true })
  writeFileSync(join(runtime, 'node.json'), JSON.stringify(node))
  writeFileSync(join(runtime, 'api.token'), 'oct_secret\n')
}
