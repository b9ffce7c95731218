/** Reads server-sent events out of text, however it is cut. */

import { OctopoidError } from './errors.js'

/** One event as the stream holds it. */
export interface Frame {
  /** The id of this event, or of the last one that had any. */
  id: string
  data: string
}

/** The longest event that is read, in characters: far above what a node sends. */
const LONGEST = 1024 * 1024

/** Collects lines until an empty one ends an event. */
export class Decoder {
  /** The id to go on after; an event without data may bring it. */
  lastId: string
  #rest = ''
  #data: string[] = []
  #size = 0

  constructor(lastId = '') {
    this.lastId = lastId
  }

  /** Takes the next piece of the stream, and returns the events that it completes. */
  feed(piece: string): Frame[] {
    const frames: Frame[] = []
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const frame = this.#take(line.endsWith('\r') ? line.slice(0, -1) : line)
      if (frame !== undefined) frames.push(frame)
    }
    if (this.#rest.length + this.#size > LONGEST) throw new OctopoidError(`an event exceeds ${LONGEST} characters`)
    return frames
  }

  #take(line: string): Frame | undefined {
    if (line === '') return this.#end()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') {
      this.#data.push(value)
      this.#size += value.length
    } else if (field === 'id' && !value.includes('\0')) {
      this.lastId = value
    }
    return undefined
  }

  #end(): Frame | undefined {
    const data = this.#data.join('\n')
    this.#data = []
    this.#size = 0
    // An event without data is none, says the standard.
    return data === '' ? undefined : { id: this.lastId, data }
  }
}
