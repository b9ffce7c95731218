/** Plays the table of cases through a proxy, so that what goes wrong between a client and its node happens, too. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import * as sdk from 'octopoid-sdk'
import { type RunningNode, startNode } from './support/node.js'
import { Proxy } from './support/proxy.js'
import { camel, play, table } from './support/table.js'

describe('the table of cases', () => {
  let node: RunningNode
  let proxy: Proxy
  before(async () => {
    node = await startNode()
    proxy = new Proxy(() => node.url)
    await proxy.listen()
  })
  after(async () => {
    proxy.close()
    await node.stop()
  })

  it('names every method that there is', () => {
    const client = new sdk.OctopoidSDK({ serverUrl: 'http://127.0.0.1', apiKey: 'oct_x' })
    const found = Object.fromEntries(Object.entries(client).map(([name, resource]) => [name, methods(resource)]))
    const expected = Object.fromEntries(Object.entries(table.surface).map(([name, calls]) => [name, calls.map(camel).sort()]))
    assert.deepEqual(found, expected)
  })

  for (const one of table.cases) it(one.name, () => play(one, { url: proxy.url, apiKey: node.apiKey, proxy }))
})

function methods(resource: unknown): string[] {
  return Object.getOwnPropertyNames(Object.getPrototypeOf(resource))
    .filter((name) => name !== 'constructor')
    .sort()
}
