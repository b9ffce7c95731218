// One task: what it says, what was tried, what happened, and the verdicts on it.

import { Acts } from './acts.js'
import { call, callTagged, Refused, Unreached } from './api.js'
import { byId, count, el, facts, show, time } from './dom.js'
import { Diff, Log } from './output.js'
import { badge } from './tasks.js'

/** How many events of a long history are shown. */
const EVENTS = 200
/** How many messages are shown: the latest. */
const MESSAGES = 50

let open
let page

/**
 * Makes everything that names a task open it. `opened` is called when one is to be read, `changed` when something was done to one, and
 * `failed` with what neither the node nor the network is to blame for.
 */
export function startPanel(callbacks) {
  page = callbacks
  document.addEventListener('click', (event) => {
    const named = event.target.closest('[data-open]')
    const selects = named?.tagName === 'TR' && getSelection().toString() !== ''
    if (named !== null && !selects) openTask(named.dataset.open, named.dataset.scope)
  })
  const panel = byId('panel')
  // A click beside the panel closes it. One that begins or ends in it, as where somebody selects a text, does not.
  const beside = ({ clientX, clientY }) => {
    const { left, right, top, bottom } = panel.getBoundingClientRect()
    return clientX < left || clientX > right || clientY < top || clientY > bottom
  }
  let began = false
  panel.addEventListener('pointerdown', (event) => {
    began = beside(event)
  })
  panel.addEventListener('click', (event) => {
    if (began && beside(event) && mayClose()) panel.close()
    began = false
  })
  panel.addEventListener('cancel', (event) => mayClose() || event.preventDefault())
  panel.addEventListener('close', () => panel.open || drop())
}

/** Tells whether nothing would be lost, and says so where something would. */
function mayClose() {
  if (!open?.acts.typed) return true
  open.acts.keep()
  return false
}

function drop() {
  hushPanel()
  open = undefined
  byId('panel-task').replaceChildren()
}

/** Closes the panel, whatever was typed, and drops what it has shown. */
export function closePanel() {
  byId('panel').close()
  drop()
  byId('panel-said').replaceChildren()
}

/** Outputs end while nobody looks: a browser has few connections to one node. */
export function hushPanel() {
  open?.outputs.forEach((output) => output.stop())
}

/** Tells whether an event is about the task that is open. */
export const concerns = ({ task_id, scope }) =>
  open !== undefined && task_id === open.id && (!scope || !open.scope || scope === open.scope)

function openTask(id, scope) {
  const slots = Object.fromEntries(
    ['head', 'facts', 'content', 'attempts', 'history', 'messages'].map((name) => [name, el('div', { class: name })]),
  )
  const path = (rest = '', more = {}) =>
    `/tasks/${encodeURIComponent(id)}${rest}?${new URLSearchParams({ ...(scope && { scope }), ...more })}`
  const outputs = [new Diff((more) => path('/diff', more), page.failed), new Log((more) => path('/log', more), page.failed)]
  hushPanel()
  open = { id, scope, path, slots, outputs, acts: new Acts(page.changed, page.failed), shown: false, earlier: 0 }
  const panel = byId('panel')
  const close = el('button', { type: 'button', class: 'plain close', text: 'Close', onclick: () => panel.close() })
  byId('panel-said').replaceChildren()
  byId('panel-task').replaceChildren(
    el('header', {}, slots.head, close),
    slots.facts,
    open.acts.element,
    slots.content,
    slots.attempts,
    ...outputs.map((output) => output.element),
    slots.messages,
    slots.history,
  )
  panel.scrollTop = 0
  if (!panel.open) panel.showModal()
  page.opened()
}

/** Reads the open task anew, unless `signal` says that nobody waits for it any more. */
export async function refreshTask(signal) {
  const one = open
  if (one === undefined) return
  try {
    const read = (part) => call(one.path(part), { signal })
    const parts = [callTagged(one.path(), { signal }), read('/attempts'), read('/history'), latestMessages(one, signal)]
    const [{ body: task, tag }, { attempts }, { history }, messages] = await Promise.all(parts)
    signal?.throwIfAborted()
    if (open === one) showTask(one, task, tag, attempts, history, messages)
  } catch (error) {
    const refused = error instanceof Refused
    if (open === one && (refused || (error instanceof Unreached && !one.shown))) {
      const said = refused ? error.message : 'The node is not reached.'
      show(one.slots.head, [el('h2', { id: 'panel-title', text: one.id }), el('p', { class: 'error', text: said })])
    }
    if (!refused || error.status === 401) throw error
  }
}

/** Reads the last page of a task's messages. Where it begins is known from the time before, or by how many there are. */
async function latestMessages(one, signal) {
  const read = (offset) => call(one.path('/messages', { limit: MESSAGES, offset }), { signal })
  const found = await read(one.earlier)
  const earlier = Math.max(0, found.total - MESSAGES)
  if (earlier === one.earlier) return found
  one.earlier = earlier
  return read(earlier)
}

function showTask(one, task, tag, attempts, history, { messages, total }) {
  const { slots, acts, outputs } = one
  one.shown = true
  show(slots.head, [
    el('h2', { id: 'panel-title', tabIndex: -1, data: { key: 'panel-title' }, text: task.title || task.id }),
    el(
      'p',
      { class: 'below' },
      el('span', { class: 'id', text: task.id }),
      badge(task.queue),
      el('span', { class: 'priority', data: { priority: task.priority }, text: task.priority }),
    ),
  ])
  acts.show(one, task, tag)
  show(slots.facts, factsOf(task))
  show(slots.content, task.content?.trim() ? [el('pre', { class: 'body', text: task.content })] : [])
  show(slots.attempts, attempts.length > 0 ? [el('h3', { text: 'Attempts' }), el('ol', { class: 'rows' }, attempts.map(attemptOf))] : [])
  const before = (number, one, many) => (number > 0 ? el('p', { class: 'quiet', text: `… ${count(number, one, many)}` }) : null)
  const unread = before(total - messages.length, 'earlier message', 'earlier messages')
  const listed = [el('h3', { text: 'Messages' }), unread, el('ul', { class: 'rows' }, messages.map(messageOf))]
  show(slots.messages, messages.length > 0 ? listed : [])
  const earlier = before(history.length - EVENTS, 'earlier event', 'earlier events')
  show(slots.history, [el('h3', { text: 'History' }), earlier, el('ul', { class: 'rows' }, history.slice(-EVENTS).map(eventOf))])
  const current = attempts.find(({ current }) => current) ?? attempts.at(-1)
  for (const output of outputs) output.of(current?.attempt, `${current?.state} ${current?.head}`, task.queue === 'claimed')
}

function factsOf(task) {
  const held = task.claimed_by && [
    task.claimed_by,
    task.holder ? ` on ${task.holder}` : null,
    task.lease_expires_at ? [', lease ends ', time(task.lease_expires_at)] : null,
  ]
  const request =
    task.pr_url &&
    (/^https:\/\//i.test(task.pr_url)
      ? el('a', { href: task.pr_url, rel: 'noopener noreferrer', target: '_blank', text: task.pr_url })
      : task.pr_url)
  return facts([
    ['Held by', held],
    ['Role', task.role],
    ['Type', task.type],
    ['Complexity', task.complexity],
    ['Project', task.project_id],
    ['Branch', task.branch],
    ['Waits for', task.blocked_by?.replaceAll(',', ', ')],
    ['Attention', task.needs_intervention ? 'a person is asked for' : null],
    ['Contested', task.contested ? 'more than one attempt was accepted' : null],
    ['Next try', task.retry_at && time(task.retry_at)],
    ['Failed or requeued', task.attempt_count || null],
    ['Rejected', task.rejection_count || null],
    ['Pull request', request],
    ['Merged as', task.merged_commit],
    ['Not merged', task.awaiting_merge],
    ['Created', time(task.created_at)],
    ['Submitted', task.submitted_at && time(task.submitted_at)],
    ['Completed', task.completed_at && time(task.completed_at)],
    ['Notes', task.execution_notes],
  ])
}

function attemptOf({ attempt, state, agent, node, claimed_at, commits_count, turns_used, cost_usd, reason, notes }) {
  const work = [
    commits_count === null ? null : count(commits_count, 'commit', 'commits'),
    turns_used === null ? null : count(turns_used, 'turn', 'turns'),
    cost_usd === null ? null : `$${cost_usd.toFixed(2)}`,
  ]
  return el(
    'li',
    {},
    el(
      'span',
      { class: 'main' },
      el('span', { class: 'id', text: attempt }),
      ' ',
      agent ?? 'somebody',
      node ? ` on ${node}` : null,
      el(
        'span',
        { class: 'sub quiet' },
        'claimed ',
        time(claimed_at),
        work.filter(Boolean).map((part) => `, ${part}`),
      ),
      [reason, notes].filter(Boolean).map((text) => el('span', { class: 'sub said', text })),
    ),
    el('span', { class: 'state', text: state }),
  )
}

const messageOf = ({ from_actor, to_actor, type, content, created_at }) =>
  el(
    'li',
    {},
    el(
      'span',
      { class: 'main' },
      el('strong', { text: from_actor }),
      to_actor ? ` to ${to_actor}` : null,
      ' ',
      el('span', { class: 'quiet', text: type }),
      el('span', { class: 'sub said', text: content }),
    ),
    el('span', { class: 'state' }, time(created_at)),
  )

const eventOf = ({ event, agent, details, node, timestamp }) =>
  el(
    'li',
    {},
    el(
      'span',
      { class: 'main' },
      el('strong', { text: event.replaceAll('_', ' ') }),
      agent ? ` by ${agent}` : null,
      node ? el('span', { class: 'quiet', text: ` on ${node}` }) : null,
      details ? el('span', { class: 'sub quiet said', text: details }) : null,
    ),
    el('span', { class: 'state' }, time(timestamp)),
  )
