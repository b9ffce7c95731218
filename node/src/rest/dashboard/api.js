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

/** Why an answer did not come, or not whole: the node or the way to it. What else is thrown is the page's own fault. */
export class Unreached extends Error {}

/** A token that is tried while another one is kept: one that is refused must not cost the reader the one that works. */
let tried

const kept = () => tried ?? sessionStorage.getItem(KEPT)

/** Takes a token out of the address, where it must not stay: an address is kept in histories and shown on screens. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token === null) return false
  history.replaceState(null, '', location.pathname + location.search)
  if (sessionStorage.getItem(KEPT) === null) setToken(token)
  else tried = token.trim()
  return true
}

export const hasToken = () => kept() !== null

export function setToken(token) {
  tried = undefined
  sessionStorage.setItem(KEPT, token.trim())
}

/** Keeps the token that was tried: the node knows it. */
export function keepToken() {
  if (tried !== undefined) setToken(tried)
}

/** Goes back to the token from before; tells whether there is one. */
export function dropTriedToken() {
  const dropped = tried !== undefined
  tried = undefined
  return dropped
}

export function forgetToken() {
  tried = undefined
  sessionStorage.removeItem(KEPT)
}

/** Tells why a text cannot be a token; nothing when it may be one. */
export function faultOf(token) {
  return /^oct_[\x21-\x7e]+$/.test(token.trim()) ? undefined : 'a token begins with oct_ and has no blanks'
}

async function ask(path, { method = 'GET', body, match, signal } = {}) {
  const token = kept()
  const fault = token === null ? undefined : faultOf(token)
  if (fault !== undefined) throw new Refused(401, { error: fault })
  // Whatever `api.compat` says, the page reads today's contract.
  const headers = { 'octopoid-compat': 'seed' }
  if (token !== null) headers.authorization = `Bearer ${token}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (match !== undefined) headers['if-match'] = match
  const request = { method, headers, body: body && JSON.stringify(body), signal, cache: 'no-store', redirect: 'error' }
  const answer = await reached(fetch(path, request))
  if (answer.ok) return answer
  const text = await reached(answer.text())
  let told
  try {
    told = JSON.parse(text)
  } catch {
    told = {}
  }
  throw new Refused(answer.status, told)
}

/** Waits for something that comes from the node. */
async function reached(coming) {
  try {
    return await coming
  } catch (error) {
    throw new Unreached(error.message, { cause: error })
  }
}

/** Asks for JSON, below `/api/v1` unless the path says where. With `signal` the question is given up with who asked. */
export const call = async (path, options) => (await callTagged(path, options)).body

/** Asks for JSON and for its ETag, which names what exactly is shown. */
export async function callTagged(path, { signal, ...options } = {}) {
  const patience = AbortSignal.timeout(PATIENCE_MS)
  const ends = signal === undefined ? patience : AbortSignal.any([signal, patience])
  const answer = await ask(path.startsWith('/api/') ? path : `/api/v1${path}`, { ...options, signal: ends })
  return { body: await reached(answer.json()), tag: answer.headers.get('etag') ?? undefined }
}

/** Reads a text piece by piece. */
export async function read(path, signal, take) {
  const answer = await ask(`/api/v1${path}`, { signal })
  for await (const piece of pieces(answer)) take(piece)
}

async function* pieces(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { value, done } = await reached(reader.read())
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
