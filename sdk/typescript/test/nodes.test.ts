/** Plays the table of cases at nodes that are set up otherwise: one speaks TLS, one answers as the last TypeScript server did. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import { OctopoidSDK } from 'octopoid-sdk'
import { type Authority, makeAuthority } from './support/authority.js'
import { run } from './support/command.js'
import { type RunningNode, startNode } from './support/node.js'
import { plain, play, table } from './support/table.js'

it('most of the table needs no proxy', () => assert.ok(plain.length > 40 && plain.length < table.cases.length))

describe('over TLS', () => {
  let authority: Authority
  let node: RunningNode
  before(async () => {
    authority = makeAuthority()
    node = await startNode(`tls: {cert: ${authority.certificate}, key: ${authority.key}}`)
  })
  after(async () => {
    await node.stop()
    authority.remove()
  })

  it('an authority that Node does not know is trusted by nobody', async () => {
    assert.match(node.url, /^https:\/\/127\.0\.0\.1:/)
    for (const place of [{ serverUrl: node.url }, { projectDir: node.folder }]) {
      const sdk = new OctopoidSDK({ ...place, apiKey: node.apiKey, maxRetries: 0 })
      await assert.rejects(sdk.tasks.list(), { name: 'OctopoidConnectionError' })
    }
  })

  it('the table holds where NODE_EXTRA_CA_CERTS names it', { timeout: 300_000 }, async () => {
    // Node reads the variable when it starts.
    const program = fileURLToPath(new URL('support/play.js', import.meta.url))
    const options = { cwd: dirname(authority.root), env: { NODE_EXTRA_CA_CERTS: authority.root } }
    const said = await run(process.execPath, [program, node.url, node.apiKey, node.folder], options)
    assert.deepEqual(JSON.parse(said), { played: plain.length, failed: {} })
  })
})

describe('at a node that answers as an old server did', () => {
  let node: RunningNode
  before(async () => (node = await startNode('compat: head')))
  after(() => node.stop())

  it('who does not ask for today’s contract gets that of then', async () => {
    const answer = await fetch(`${node.url}/api/v1/tasks`, { headers: { authorization: `Bearer ${node.apiKey}` } })
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /api\.compat is head/)
  })

  for (const one of plain) it(one.name, () => play(one, { url: node.url, apiKey: node.apiKey }))
})
