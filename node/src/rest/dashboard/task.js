// One task: what it says, what was tried, what happened, and the verdicts on it.

import { Acts } from './acts.js'
import { call, Refused } from './api.js'
import { byId, count, el, facts, show, time } from './dom.js'
import { Output } from './output.js'
import { badge } from './tasks.js'

/** How many events of a long history are shown. */
const EVENTS = 200

let open
let changed = () => {}

/** Makes everything that names a task open it; `afterAct` is called when something was done to one. */
export function startPanel(afterAct) {
  changed = afterAct
  document.addEventListener('click', (event) => {
    const named = event.target.closest('[data-open]')
    const selects = named?.tagName === 'TR' && getSelection().toString() !== ''
    if (named !== null && !selects) openTask(named.dataset.open, named.dataset.scope)
  })
  const panel = byId('panel')
  panel.addEventListener('click', (event) => event.target === panel && panel.close())
  panel.addEventListener('close', () => {
    open?.outputs.forEach((output) => output.stop())
    open = undefined
  })
}

/** Outputs end while nobody looks: a browser has few connections to one node. */
export function hushPanel() {
  open?.outputs.forEach((output) => output.stop())
}

function openTask(id, scope) {
  const slots = Object.fromEntries(
    ['head', 'facts', 'content', 'attempts', 'history', 'messages'].map((name) => [name, el('div', { class: name })]),
  )
  const path = (rest = '', more = {}) =>
    `/tasks/${encodeURIComponent(id)}${rest}?${new URLSearchParams({ ...(scope && { scope }), ...more })}`
  const outputs = [new Output('Changes', (more) => path('/diff', more)), new Output('Log', (more) => path('/log', more))]
  open?.outputs.forEach((output) => output.stop())
  open = { id, path, slots, outputs, acts: new Acts(changed), shown: false }
  const panel = byId('panel')
  const close = el('button', { type: 'button', class: 'plain close', text: 'Close', onclick: () => panel.close() })
  panel.replaceChildren(
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
  // The connection says what is wrong with the node, and reads the task again when it is back.
  refreshTask().catch(() => {})
}

/** Reads the open task anew. */
export async function refreshTask() {
  const one = open
  if (one === undefined) return
  try {
    const parts = ['', '/attempts', '/history', '/messages'].map((part) => call(one.path(part)))
    const [task, { attempts }, { history }, { messages }] = await Promise.all(parts)
    if (open === one) showTask(one, task, attempts, history, messages)
  } catch (error) {
    const refused = error instanceof Refused
    if (open === one && (refused || !one.shown)) {
      const said = refused ? error.message : 'The node is not reached.'
      show(one.slots.head, [el('h2', { id: 'panel-title', text: one.id }), el('p', { class: 'error', text: said })])
    }
    if (!refused || error.status === 401) throw error
  }
}

function showTask(one, task, attempts, history, messages) {
  const { slots, acts, outputs } = one
  one.shown = true
  show(slots.head, [
    el('h2', { id: 'panel-title', text: task.title || task.id }),
    el(
      'p',
      { class: 'below' },
      el('span', { class: 'id', text: task.id }),
      badge(task.queue),
      el('span', { class: 'priority', data: { priority: task.priority }, text: task.priority }),
    ),
  ])
  acts.show(one, task)
  show(slots.facts, factsOf(task))
  show(slots.content, task.content?.trim() ? [el('pre', { class: 'body', text: task.content })] : [])
  show(slots.attempts, attempts.length > 0 ? [el('h3', { text: 'Attempts' }), el('ol', { class: 'rows' }, attempts.map(attemptOf))] : [])
  show(slots.messages, messages.length > 0 ? [el('h3', { text: 'Messages' }), el('ul', { class: 'rows' }, messages.map(messageOf))] : [])
  const earlier = history.length > EVENTS ? el('p', { class: 'quiet', text: `… ${history.length - EVENTS} earlier events` }) : null
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
