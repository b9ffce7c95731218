// Calls of the node's REST API with the reader's token, and the stream of its events.

const KEPT = 'octopoid.token'
/** The node shows every 15 s that a quiet stream lives. */
const SILENCE_MS = 40_000
const PATIENCE_MS = 15_000

/** What the node refused, with its own words. */
export class Refused extends Error {
  constructor(status, body) {
    const details = Array.isArray(body.details) ? body.details : []
    super([body.error ?? body.message ?? `the node answered ${status}`, ...details].join(': '))
    this.status = status
  }
}

/** Takes a token out of the address, where it must not stay: an address is kept in histories and shown on screens. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token === null) return false
  history.replaceState(null, '', location.pathname + location.search)
  setToken(token)
  return true
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null

export function setToken(token) {
  sessionStorage.setItem(KEPT, token.trim())
}

export function forgetToken() {
  sessionStorage.removeItem(KEPT)
}

/** Tells why a text cannot be a token; nothing when it may be one. */
export function faultOf(token) {
  return /^oct_[\x21-\x7e]+$/.test(token.trim()) ? undefined : 'a token begins with oct_ and has no blanks'
}

function headers(more) {
  const token = sessionStorage.getItem(KEPT)
  return token === null ? more : { ...more, authorization: `Bearer ${token}` }
}

async function ask(path, { method = 'GET', body, match, signal } = {}) {
  const fault = hasToken() ? faultOf(sessionStorage.getItem(KEPT)) : undefined
  if (fault !== undefined) throw new Refused(401, { error: fault })
  const sent = headers(body === undefined ? {} : { 'content-type': 'application/json' })
  if (match !== undefined) sent['if-match'] = `"${match}"`
  const answer = await fetch(path, {
    method,
    headers: sent,
    body: body && JSON.stringify(body),
    signal,
    cache: 'no-store',
    redirect: 'error',
  })
  if (answer.ok) return answer
  const text = await answer.text()
  let told
  try {
    told = JSON.parse(text)
  } catch {
    told = {}
  }
  throw new Refused(answer.status, told)
}

/** Asks for JSON, below `/api/v1` unless the path says where. */
export async function call(path, options = {}) {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  return (await ask(path.startsWith('/api/') ? path : `/api/v1${path}`, { signal, ...options })).json()
}

/** Reads a text piece by piece. */
export async function read(path, signal, take) {
  const answer = await ask(`/api/v1${path}`, { signal })
  for await (const piece of pieces(answer)) take(piece)
}

async function* pieces(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    yield value
  }
}

/**
 * Listens to what happens until the stream ends or falls silent. `opened` is called once it is open: what is read after that misses
 * nothing. EventSource would do the same, but sends no token.
 */
export async function listen(signal, opened, happened) {
  const silent = new AbortController()
  const watch = () => setTimeout(() => silent.abort(), SILENCE_MS)
  let timer = watch()
  try {
    const answer = await ask('/api/v1/events', { signal: AbortSignal.any([signal, silent.signal]) })
    opened()
    let rest = ''
    for await (const piece of pieces(answer)) {
      clearTimeout(timer)
      timer = watch()
      const blocks = (rest + piece).split('\n\n')
      rest = blocks.pop()
      for (const block of blocks) {
        const data = block
          .split('\n')
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).trimStart())
        if (data.length > 0) happened(JSON.parse(data.join('\n')))
      }
    }
  } finally {
    clearTimeout(timer)
  }
}
