// The page: takes the token, reads what is shown, listens for what changes, and says when the node is not reached.

import { call, faultOf, forgetToken, hasToken, listen, Refused, setToken, takeToken } from './api.js'
import { byId, setText } from './dom.js'
import { showHealth, showOverview } from './overview.js'
import { hushPanel, refreshTask, startPanel } from './task.js'
import { readTasks, showTasks, startTasks } from './tasks.js'

/** However much happens, the page reads no more often than this. */
const BREATH_MS = 1_000
/** What no event tells, such as turns and lag, is read so often. */
const GLANCE_MS = 10_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15_000
const CONFLICTS = 20

let session
let tries = 0

const state = (name, text) => {
  byId('connection').dataset.state = name
  setText(byId('connection'), text)
}

/** Reads all that is shown. */
async function refresh() {
  const [tasks, status] = await Promise.all([readTasks(), call('/node/status').catch(notTheNodes)])
  if (status instanceof Refused) {
    showHealth(await call('/api/health'), status.message)
  } else {
    const conflicts = status.conflicts > 0 ? await call(`/cluster/conflicts?limit=${CONFLICTS}`) : undefined
    showOverview(status, conflicts)
  }
  showTasks(tasks, status.queues)
  await refreshTask()
  byId('sign-in').hidden = true
  byId('board').hidden = false
  byId('forget').hidden = !hasToken()
}

/** A key of one scope sees tasks, and not the node. */
function notTheNodes(error) {
  if (error instanceof Refused && error.status === 403) return error
  throw error
}

/** Reads soon, and once for all that happens until then. One reading follows another. */
class Refresher {
  #failed
  #timer
  #last = 0
  #busy = false
  #again = false
  #now = false

  constructor(failed) {
    this.#failed = failed
    this.glance = setInterval(() => this.soon(), GLANCE_MS)
  }

  soon() {
    if (this.#busy) this.#again = true
    else this.#timer ??= setTimeout(() => this.now(), Math.max(50, this.#last + BREATH_MS - Date.now()))
  }

  async now() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#now = this.#busy
    if (this.#busy) return
    this.#busy = true
    this.#again = false
    try {
      await refresh()
    } catch (error) {
      this.#failed(error)
    }
    this.#busy = false
    this.#last = Date.now()
    if (this.#now) this.now()
    else if (this.#again) this.soon()
  }

  stop() {
    clearInterval(this.glance)
    clearTimeout(this.#timer)
    this.soon = this.now = () => {}
  }
}

/** Connects, and stays connected until it fails or is ended. */
function connect() {
  end()
  const control = new AbortController()
  const own = (session = { control })
  const failed = (error) => {
    if (session !== own) return
    end()
    lost(error)
  }
  own.refresher = new Refresher(failed)
  const opened = () => {
    tries = 0
    state('live', 'Live')
    own.refresher.now()
  }
  // The stream is open before anything is read, so that nothing falls between.
  listen(control.signal, opened, () => own.refresher.soon()).then(() => failed(new Error('the stream ended')), failed)
}

function end() {
  clearTimeout(session?.retry)
  session?.refresher?.stop()
  session?.control?.abort()
  hushPanel()
  session = undefined
}

/** Asks for another token, or waits and tries again. */
function lost(error) {
  if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
    askForToken(hasToken() ? `The node says: ${error.message}` : '')
    return
  }
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries)
  tries += 1
  const why = error instanceof Refused ? `Node: ${error.message}` : 'Node not reached'
  state('away', `${why} – trying again in ${Math.round(wait / 1000)} s`)
  session = { retry: setTimeout(connect, wait) }
}

function askForToken(why) {
  state('closed', 'No token')
  setText(byId('token-error'), why)
  byId('board').hidden = true
  byId('forget').hidden = true
  byId('panel').close()
  byId('sign-in').hidden = false
  byId('token').focus()
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault()
  const { value } = byId('token')
  const fault = faultOf(value)
  setText(byId('token-error'), fault ?? '')
  if (fault !== undefined) return
  byId('token').value = ''
  setToken(value)
  connect()
})
byId('forget').addEventListener('click', () => {
  end()
  forgetToken()
  askForToken('')
})
// An address with a token that is opened in this tab changes the fragment alone.
addEventListener('hashchange', () => takeToken() && connect())
// A browser opens six connections to a node, for all of its tabs: those that nobody looks at keep none.
document.addEventListener('visibilitychange', () => {
  if (!byId('sign-in').hidden) return
  if (document.hidden) end()
  else connect()
})
addEventListener('online', () => byId('connection').dataset.state === 'away' && connect())

const changed = () => session?.refresher?.now()
startTasks(changed)
startPanel(changed)
takeToken()
connect()
