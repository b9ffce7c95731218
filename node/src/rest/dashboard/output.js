// What an attempt changed, and what its agent wrote: read when somebody opens it. Of a patch the beginning is shown, of a log the end.

import { read, Refused, Unreached } from './api.js'
import { clean, count, el, setText } from './dom.js'

/** How many lines are shown: of a log the last ones, of a patch so many more each time. */
const LINES = 500

/** A text that is read when it is opened. How it is shown is told by `start`, `push` and `end` of those that extend it. */
class Output {
  text = el('pre', { class: 'output', tabIndex: 0 })
  #path
  #failed
  #state = el('span', { class: 'quiet' })
  #again = el('button', { type: 'button', text: 'Read again', hidden: true, onclick: () => this.#read() })
  #reading
  #shown
  #running

  constructor(name, path, failed, ...more) {
    this.#path = path
    this.#failed = failed
    this.text.setAttribute('aria-label', name)
    this.element = el(
      'details',
      { class: 'out', hidden: true, ontoggle: () => this.#toggle() },
      el('summary', {}, name, ' ', this.#state),
      this.text,
      el('div', { class: 'line' }, this.#again, more),
    )
  }

  /** Tells which attempt is looked at, what it came to, and whether it goes on. */
  of(attempt, state, running) {
    this.element.hidden = attempt === undefined
    this.attempt = attempt
    this.#running = running && this.follows
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
    this.#again.hidden = true
    this.start()
    setText(this.#state, 'reading…')
    const follows = this.#running
    let any = false
    try {
      await read(this.#path({ attempt: this.attempt, ...(follows && { follow: true }) }), reading.signal, (piece) => {
        setText(this.#state, follows ? 'live' : '')
        any = true
        this.push(piece)
      })
      if (reading.signal.aborted) return
      this.end()
      setText(this.#state, any ? '' : 'nothing')
    } catch (error) {
      if (reading.signal.aborted) return
      this.end()
      if (!(error instanceof Refused || error instanceof Unreached)) return this.#failed(error)
      // What was read stays, and nobody takes it for all that there is.
      setText(this.#state, any ? 'broke off' : '')
      this.#again.hidden = error instanceof Refused
      if (!any) setText(this.text, error instanceof Refused ? error.message : 'The node was not reached.')
    }
  }
}

/** Cuts a text that arrives in pieces into its lines. */
class Lines {
  #rest = ''

  push(piece) {
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop()
    return lines
  }

  end() {
    const last = this.#rest === '' ? [] : [this.#rest]
    this.#rest = ''
    return last
  }
}

/** What an attempt changed, from the beginning. The node sends no patch that is larger than a page can hold. */
export class Diff extends Output {
  follows = false
  #lines
  #unseen
  #most
  #more

  constructor(path, failed) {
    const more = el('button', { type: 'button', hidden: true, onclick: () => this.#show(LINES) })
    super('Changes', path, failed, more)
    this.#more = more
  }

  start() {
    this.#lines = new Lines()
    this.#unseen = []
    this.#most = LINES
    this.#more.hidden = true
    this.text.replaceChildren()
  }

  push(piece) {
    this.#add(this.#lines.push(piece))
  }

  end() {
    this.#add(this.#lines.end())
  }

  #add(lines) {
    for (const line of lines) this.#unseen.push(line)
    this.#show(0)
  }

  /** Shows what there is room for, and how much is left. */
  #show(more) {
    this.#most += more
    const shown = this.#unseen.splice(0, Math.max(0, this.#most - this.text.childElementCount))
    this.text.append(...shown.map((line) => el('span', { class: kind(line), text: `${line}\n` })))
    this.#more.hidden = this.#unseen.length === 0
    setText(this.#more, `Show more: ${count(this.#unseen.length, 'line is', 'lines are')} left`)
  }
}

/** What an agent wrote: the last lines, and more as they come. */
export class Log extends Output {
  follows = true
  #lines
  #shown
  #count
  #left

  constructor(path, failed) {
    super('Log', path, failed)
  }

  start() {
    this.#lines = new Lines()
    this.#shown = []
    this.#count = 0
    this.#left = el('span', { class: 'left quiet' })
    this.text.replaceChildren(this.#left)
  }

  push(piece) {
    this.#add(this.#lines.push(piece))
  }

  end() {
    this.#add(this.#lines.end())
  }

  #add(lines) {
    if (lines.length === 0) return
    const atEnd = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 8
    const added = lines.slice(-LINES).map((line) => el('span', { text: `${line}\n` }))
    this.text.append(...added)
    this.#shown.push(...added)
    this.#count += lines.length
    for (const old of this.#shown.splice(0, Math.max(0, this.#shown.length - LINES))) old.remove()
    const earlier = this.#count - this.#shown.length
    if (earlier > 0) setText(this.#left, `… ${count(earlier, 'earlier line', 'earlier lines')}\n`)
    if (atEnd) this.text.scrollTop = this.text.scrollHeight
  }
}

/** Tells what a line of a patch is. */
function kind(line) {
  if (/^(diff |index |--- |\+\+\+ |@@ )/.test(line)) return 'where'
  return { '+': 'added', '-': 'removed' }[clean(line)[0]] ?? ''
}
