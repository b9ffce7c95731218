/** Reads server-sent events out of text, however it is cut. */

import { OctopoidError } from './errors.js'

/** The longest event that is read, in characters: far above what a node sends. */
const LONGEST = 1024 * 1024

/** Collects lines until an empty one ends an event. */
export class Decoder {
  /** The id to go on after: that of the last whole event, with data or without. */
  lastId: string
  #id: string
  #rest = ''
  #data: string[] = []
  #size = 0

  constructor(lastId = '') {
    this.lastId = lastId
    this.#id = lastId
  }

  /** Begins with another connection: what the last one left half is sent again. */
  restart(): void {
    this.#id = this.lastId
    this.#rest = ''
    this.#data = []
    this.#size = 0
  }

  /** Takes the next piece of the stream, and iterates over the data of the events that it completes. */
  *feed(piece: string): Generator<string, void, void> {
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const data = this.#take(line.endsWith('\r') ? line.slice(0, -1) : line)
      if (data !== '') yield data
    }
    if (this.#rest.length + this.#size > LONGEST) throw new OctopoidError(`an event exceeds ${LONGEST} characters`)
  }

  #take(line: string): string {
    if (line === '') return this.#end()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') {
      this.#data.push(value)
      this.#size += value.length
    } else if (field === 'id' && !value.includes('\0')) {
      this.#id = value
    }
    return ''
  }

  /** Ends an event, and returns its data; an event without data is none, but its id counts. */
  #end(): string {
    const data = this.#data.join('\n')
    this.lastId = this.#id
    this.#data = []
    this.#size = 0
    return data
  }
}
