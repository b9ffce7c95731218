import assert from 'node:assert/strict'
import { it } from 'node:test'

// The decoder is no part of what the package offers.
const { Decoder } = (await import(new URL('../../dist/esm/sse.js', import.meta.url).href)) as { Decoder: new (lastId?: string) => { lastId: string; restart(): void; feed(piece: string): Iterable<string> } }

const STREAM = ': hello\n\nid: 7\nevent: task.created\ndata: {"a":\ndata: 1}\n\nid: 8\r\ndata: x\r\n\r\nevent: nothing\n\nid:9\n\ndata: y\n\nid: 10\ndata: half'

it('events are the same however the stream is cut', () => {
  for (let length = 1; length <= STREAM.length; length += 1) {
    const decoder = new Decoder()
    const events: string[] = []
    for (let from = 0; from < STREAM.length; from += length) events.push(...decoder.feed(STREAM.slice(from, from + length)))
    assert.deepEqual(events, ['{"a":\n1}', 'x', 'y'], `in pieces of ${length}`)
    assert.equal(decoder.lastId, '9', 'an event that is not whole does not count')
  }
})

it('what the last connection left half is forgotten', () => {
  const decoder = new Decoder('6')
  assert.deepEqual([...decoder.feed('id: 7\ndata: {"half"')], [])
  decoder.restart()
  assert.equal(decoder.lastId, '6')
  assert.deepEqual([...decoder.feed('data: whole\n\n')], ['whole'])
  assert.equal(decoder.lastId, '6')
})

it('an event without end is refused', () => {
  const piece = 'x'.repeat(64 * 1024)
  for (const line of [piece, `data: ${piece}\n`]) {
    const decoder = new Decoder()
    assert.throws(() => {
      for (let count = 0; count < 20; count += 1) Array.from(decoder.feed(line))
    }, /exceeds/)
  }
})
