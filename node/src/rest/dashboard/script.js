// The page: takes the token, reads what is shown, listens for what changes, and says when the node is not reached.

import {
  call,
  dropTriedToken,
  faultOf,
  forgetToken,
  hasToken,
  keepToken,
  listen,
  Refused,
  setToken,
  takeToken,
  Unreached,
} from './api.js'
import { byId, setText } from './dom.js'
import { showHealth, showOverview } from './overview.js'
import { Refresher } from './refresher.js'
import { closePanel, concerns, hushPanel, refreshTask, startPanel } from './task.js'
import { forgetTasks, readTasks, showTasks, startTasks } from './tasks.js'

/** The node counts much for its status: what happens meanwhile waits for the next one. */
const STATUS_MS = 3_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15_000
const CONFLICTS = 20

let session
let tries = 0
/** Whether the reader is asked for a token: then nothing is tried without one. */
let asking = false
/** Whether the page itself has failed: only another page mends that. */
let broken = false

/** Shows how the node is reached; above an open task, too, which covers the page and keeps it from being heard. */
const state = (name, text) => {
  byId('connection').dataset.state = name
  setText(byId('connection'), text)
  setText(byId('panel-connection'), name === 'live' ? '' : text)
}

/** Reads what the node says of itself: its status and conflicts, or what a key of one scope may know. */
async function readNode(signal) {
  try {
    const status = await call('/node/status', { signal })
    const conflicts = status.conflicts > 0 ? await call(`/cluster/conflicts?limit=${CONFLICTS}`, { signal }) : undefined
    return { status, conflicts }
  } catch (error) {
    if (!(error instanceof Refused && error.status === 403)) throw error
    return { health: await call('/api/health', { signal }), why: error.message }
  }
}

/** Reads what is shown, for a session and no longer than it lasts; of what costs more only what is wanted. */
async function refresh(own, wanted) {
  const { signal } = own.control
  const early = own.status && own.statusAt + STATUS_MS - performance.now()
  const readsStatus = wanted.status || !(early > 0)
  if (!readsStatus) own.refresher.after(early)
  const [tasks, status] = await Promise.all([readTasks(signal), readsStatus ? readNode(signal) : own.status])
  signal.throwIfAborted()
  if (readsStatus) Object.assign(own, { status, statusAt: performance.now() })
  if (status.status) showOverview(status.status, status.conflicts)
  else showHealth(status.health, status.why)
  showTasks(tasks, status.status?.queues)
  if (wanted.task) await refreshTask(signal)
  signal.throwIfAborted()
  byId('sign-in').hidden = true
  byId('board').hidden = false
  byId('forget').hidden = !hasToken()
  tries = 0
  state('live', own.note ? `Live – ${own.note}` : 'Live')
}

/** Connects, and stays connected until it fails or is ended. `note` is what the reader should know of it. */
function connect(note) {
  end()
  asking = false
  // A browser opens six connections to a node, for all of its tabs: those that nobody looks at keep none.
  if (document.hidden || broken) return
  const control = new AbortController()
  const own = (session = { control, note })
  own.failed = (error) => {
    if (session !== own) return
    end()
    lost(error)
  }
  own.refresher = new Refresher((wanted) => refresh(own, wanted), own.failed)
  const opened = () => {
    keepToken()
    own.refresher.now()
  }
  const happened = (event) => own.refresher.soon({ task: concerns(event) })
  // The stream is open before anything is read, so that nothing falls between.
  listen(control.signal, opened, happened).then(() => own.failed(new Unreached('the stream ended')), own.failed)
}

function end() {
  clearTimeout(session?.retry)
  session?.refresher?.stop()
  session?.control?.abort()
  hushPanel()
  session = undefined
}

/** Asks for another token, or waits and tries again. What is neither the node's nor the network's is said to be the page's. */
function lost(error) {
  const refused = error instanceof Refused
  if (refused && (error.status === 401 || error.status === 403)) {
    if (dropTriedToken()) connect(`the address's token is not taken: ${error.message}`)
    else askForToken(hasToken() ? `The node says: ${error.message}` : '')
    return
  }
  if (!refused && !(error instanceof Unreached)) {
    broken = true
    console.error(error)
    state('failed', 'The page failed: reload it')
    return
  }
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries)
  tries += 1
  const why = refused ? `Node: ${error.message}` : 'Node not reached'
  state('away', `${why} – trying again in ${Math.round(wait / 1000)} s`)
  session = { retry: setTimeout(connect, wait) }
}

/** Asks for a token. Nothing stays of what the one before has shown. */
function askForToken(why) {
  asking = true
  closePanel()
  forgetTasks()
  for (const id of ['node', 'notices', 'overview', 'said']) byId(id).replaceChildren()
  document.title = 'Octopoid'
  state('closed', 'No token')
  setText(byId('token-error'), why)
  byId('board').hidden = true
  byId('forget').hidden = true
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
document.addEventListener('visibilitychange', () => {
  if (asking) return
  if (document.hidden) end()
  else connect()
})
addEventListener('online', () => byId('connection').dataset.state === 'away' && connect())

/** Reads the task that was just opened. What is wrong with the node the connection says; the task is read again when the node is back. */
function readOpened() {
  const own = session
  const ours = (error) => !(error instanceof Refused || error instanceof Unreached)
  refreshTask(own?.control?.signal).catch((error) => ours(error) && own?.failed?.(error))
}

const now = () => session?.refresher?.now()
startTasks(now)
startPanel({
  changed: now,
  opened: readOpened,
  failed: (error) => session?.failed?.(error),
})
takeToken()
connect()
