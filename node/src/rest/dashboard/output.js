// What an attempt changed, and what its agent wrote: read when somebody opens it, and of a long text the end.

import { read, Refused } from './api.js'
import { clean, el, setText } from './dom.js'

const LINES = 500

export class Output {
  #path
  #follows
  #text = el('pre', { class: 'output', tabIndex: 0 })
  #state = el('span', { class: 'quiet' })
  #reading
  #shown

  constructor(name, path) {
    this.#path = path
    this.element = el(
      'details',
      { class: 'out', hidden: true, ontoggle: () => this.#toggle() },
      el('summary', {}, name, ' ', this.#state),
      this.#text,
    )
    this.#follows = name === 'Log'
    this.#text.setAttribute('aria-label', name)
  }

  /** Tells which attempt is looked at, what it came to, and whether it goes on. */
  of(attempt, state, running) {
    this.element.hidden = attempt === undefined
    this.attempt = attempt
    this.running = running && this.#follows
    const wanted = `${attempt} ${state} ${running}`
    if (this.#shown === wanted) return
    this.#shown = wanted
    if (this.element.open) this.#read()
  }

  stop() {
    this.#reading?.abort()
    this.#shown = undefined
  }

  #toggle() {
    if (this.element.open) this.#read()
    else this.#reading?.abort()
  }

  async #read() {
    this.#reading?.abort()
    const reading = (this.#reading = new AbortController())
    const tail = new Tail(this.#text)
    setText(this.#state, 'reading…')
    const options = { attempt: this.attempt, ...(this.running && { follow: true }) }
    try {
      await read(this.#path(options), reading.signal, (piece) => {
        setText(this.#state, this.running ? 'live' : '')
        tail.push(piece)
      })
      tail.end()
      setText(this.#state, '')
    } catch (error) {
      if (reading.signal.aborted) return
      setText(this.#state, '')
      tail.end()
      if (!tail.any) setText(this.#text, error instanceof Refused ? error.message : 'The node was not reached.')
    }
  }
}

/** Shows the last lines of a text that arrives in pieces. */
class Tail {
  any = false
  #element
  #left = el('span', { class: 'left quiet' })
  #lines = []
  #count = 0
  #rest = ''

  constructor(element) {
    this.#element = element
    element.replaceChildren(this.#left)
  }

  push(piece) {
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop()
    this.#add(lines)
  }

  end() {
    if (this.#rest !== '') this.#add([this.#rest])
    this.#rest = ''
  }

  #add(lines) {
    if (lines.length === 0) return
    this.any = true
    const element = this.#element
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 8
    const added = lines.slice(-LINES).map((line) => el('span', { class: kind(line), text: `${line}\n` }))
    element.append(...added)
    this.#lines.push(...added)
    this.#count += lines.length
    for (const old of this.#lines.splice(0, Math.max(0, this.#lines.length - LINES))) old.remove()
    const earlier = this.#count - this.#lines.length
    if (earlier > 0) setText(this.#left, `… ${earlier} earlier lines\n`)
    if (atEnd) element.scrollTop = element.scrollHeight
  }
}

/** Tells what a line of a patch is. */
function kind(line) {
  if (/^(diff |index |--- |\+\+\+ |@@ )/.test(line)) return 'where'
  return { '+': 'added', '-': 'removed' }[clean(line)[0]] ?? ''
}
