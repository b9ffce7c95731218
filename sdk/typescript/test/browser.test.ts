/** The package without a file system, a process or an environment, as browsers have it. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'

import { build } from 'esbuild'
import { type RunningNode, startNode } from './support/node.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('in a browser', () => {
  let node: RunningNode
  before(async () => (node = await startNode()))
  after(() => node.stop())

  it('the package needs nothing but what a page has', async () => {
    const entry = join(root, 'test/build/page.js')
    writeFileSync(entry, `
      import { OctopoidSDK } from 'octopoid-sdk'
      globalThis.result = (async () => {
        const none = await new OctopoidSDK().tasks.list().catch((error) => error.message)
        const sdk = new OctopoidSDK({ serverUrl, apiKey })
        await sdk.tasks.create({ id: 'page', file_path: 'page.md' })
        for await (const event of sdk.events({ lastEventId: '0' })) return [none, event.task_id, (await sdk.tasks.list()).length]
      })()
    `)
    const { outputFiles, warnings } = await build({ entryPoints: [entry], bundle: true, platform: 'browser', format: 'iife', write: false })
    assert.deepEqual(warnings, [])
    const [bundle] = outputFiles
    assert.ok(bundle !== undefined && bundle.contents.length < 64 * 1024, `the bundle has ${bundle?.contents.length} bytes`)
    assert.ok(!bundle.text.includes('node:'), 'the bundle speaks of Node')

    const { fetch, URL, URLSearchParams, AbortController, AbortSignal, TextDecoder, crypto, setTimeout, clearTimeout } = globalThis
    const page = { fetch, URL, URLSearchParams, AbortController, AbortSignal, TextDecoder, crypto, setTimeout, clearTimeout }
    const context = createContext({ ...page, serverUrl: node.url, apiKey: node.apiKey })
    runInContext(bundle.text, context)
    const [none, task, count] = (await context['result']) as [string, string, number]
    assert.match(none, /no node is known/)
    assert.deepEqual([task, count], ['page', 1])
  })
})
