// When the page reads: soon after something happened, at once when its reader asks, and never more than once at a time.

/** However much happens, the page reads no more often than this. */
const BREATH_MS = 1_000
/** What no event tells, such as turns and lag, is read so often. */
const GLANCE_MS = 10_000
/** So long it waits at least, since little happens alone. */
const PAUSE_MS = 50

/** Reads soon, and once for all that happens until then. One reading follows another. Time is measured by a clock that nobody sets. */
export class Refresher {
  #read
  #failed
  #timer
  #later
  #glance
  #last = -BREATH_MS
  #busy = false
  #again = false
  #now = false
  #over = false
  #wanted = {}

  /** `read` is told what is wanted besides the list: the open `task`, and the `status` even if it was read just now. */
  constructor(read, failed) {
    this.#read = read
    this.#failed = failed
    this.#glance = setInterval(() => this.soon({ task: true }), GLANCE_MS)
  }

  soon(wanted = {}) {
    if (this.#over) return
    this.#want(wanted)
    if (this.#busy) this.#again = true
    else this.#timer ??= setTimeout(() => this.#start(), Math.max(PAUSE_MS, this.#last + BREATH_MS - performance.now()))
  }

  /** Reads all, as somebody waits for it. */
  now() {
    this.#want({ task: true, status: true })
    this.#now = this.#busy
    if (!this.#busy) this.#start()
  }

  /** Reads when some time has passed, for what was left out until then. */
  after(wait) {
    this.#later ??= setTimeout(() => {
      this.#later = undefined
      this.soon()
    }, wait)
  }

  stop() {
    this.#over = true
    clearInterval(this.#glance)
    clearTimeout(this.#timer)
    clearTimeout(this.#later)
  }

  #want({ task, status }) {
    this.#wanted = { task: this.#wanted.task || task, status: this.#wanted.status || status }
  }

  async #start() {
    if (this.#over) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    const wanted = this.#wanted
    this.#wanted = {}
    this.#busy = true
    this.#again = this.#now = false
    try {
      await this.#read(wanted)
    } catch (error) {
      this.#failed(error)
    }
    this.#busy = false
    this.#last = performance.now()
    if (this.#now) this.#start()
    else if (this.#again) this.soon()
  }
}
