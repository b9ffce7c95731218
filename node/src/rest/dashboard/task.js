// One task: what it says, what was tried, what happened, and the verdicts on it.

import { call, Refused } from './api.js'
import { byId, count, el, facts, say, setText, show, time } from './dom.js'
import { Output } from './output.js'
import { badge } from './tasks.js'

/** Who is said to have judged; the page knows no names of people. */
const ME = 'dashboard'
const EVENTS = 200

/** What can be done, from which queues, and what the node is sent. A flow's own states allow all that the node does not refuse. */
const ACTS = {
  accept: { label: 'Accept', done: 'accepted', from: ['provisional', 'claimed'], body: () => ({ accepted_by: ME }) },
  reject: { label: 'Reject…', done: 'rejected', from: ['provisional', 'claimed'], why: 'What is missing? The next attempt reads it.', must: true,
    body: (reason) => ({ rejected_by: ME, reason }) },
  requeue: { label: 'Requeue…', done: 'requeued', from: ['provisional', 'claimed', 'failed', 'needs_continuation'], why: 'Why again? (optional)',
    body: (reason) => ({ requeued_by: ME, from_any: true, ...(reason && { reason }) }) },
  cancel: { label: 'Cancel task…', done: 'cancelled', from: ['incoming', 'claimed', 'provisional', 'needs_continuation', 'blocked', 'failed', 'backlog'],
    why: 'Why give it up? (optional)', body: (reason) => ({ cancelled_by: ME, ...(reason && { reason }) }) },
}
const BUILT_IN = new Set([...ACTS.cancel.from, 'done', 'cancelled'])

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

export const isOpen = () => open !== undefined

/** Outputs end while nobody looks: a browser has few connections to one node. */
export function hushPanel() {
  open?.outputs.forEach((output) => output.stop())
}

function openTask(id, scope) {
  const slots = Object.fromEntries(['head', 'facts', 'content', 'attempts', 'history', 'messages'].map((name) => [name, el('div', { class: name })]))
  const path = (rest = '', more = {}) => `/tasks/${encodeURIComponent(id)}${rest}?${new URLSearchParams({ ...(scope && { scope }), ...more })}`
  const outputs = [new Output('Changes', (more) => path('/diff', more)), new Output('Log', (more) => path('/log', more))]
  open?.outputs.forEach((output) => output.stop())
  open = { id, path, slots, outputs, acts: new Acts() }
  const panel = byId('panel')
  const close = el('button', { type: 'button', class: 'plain close', text: 'Close', onclick: () => panel.close() })
  panel.replaceChildren(el('header', {}, slots.head, close), slots.facts, open.acts.element, slots.content, slots.attempts,
    ...outputs.map((output) => output.element), slots.messages, slots.history)
  panel.scrollTop = 0
  if (!panel.open) panel.showModal()
  return refreshTask()
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
    if (!(error instanceof Refused) || error.status === 401) throw error
    if (open === one) show(one.slots.head, [el('h2', { id: 'panel-title', text: one.id }), el('p', { class: 'error', text: error.message })])
  }
}

function showTask(one, task, attempts, history, messages) {
  const { slots, acts, outputs } = one
  show(slots.head, [
    el('h2', { id: 'panel-title', text: task.title || task.id }),
    el('p', { class: 'below' }, el('span', { class: 'id', text: task.id }), badge(task.queue), el('span', { class: 'priority', data: { priority: task.priority }, text: task.priority })),
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
  const held = task.claimed_by && [task.claimed_by, task.holder ? ` on ${task.holder}` : null, task.lease_expires_at ? [', lease ends ', time(task.lease_expires_at)] : null]
  const request = task.pr_url && (/^https:\/\//i.test(task.pr_url) ? el('a', { href: task.pr_url, rel: 'noopener noreferrer', target: '_blank', text: task.pr_url }) : task.pr_url)
  return facts([
    ['Held by', held], ['Role', task.role], ['Type', task.type], ['Complexity', task.complexity], ['Project', task.project_id], ['Branch', task.branch],
    ['Waits for', task.blocked_by?.replaceAll(',', ', ')], ['Attention', task.needs_intervention ? 'a person is asked for' : null],
    ['Contested', task.contested ? 'more than one attempt was accepted' : null], ['Next try', task.retry_at && time(task.retry_at)],
    ['Failed or requeued', task.attempt_count || null], ['Rejected', task.rejection_count || null], ['Pull request', request],
    ['Merged as', task.merged_commit], ['Not merged', task.awaiting_merge], ['Created', time(task.created_at)],
    ['Submitted', task.submitted_at && time(task.submitted_at)], ['Completed', task.completed_at && time(task.completed_at)], ['Notes', task.execution_notes],
  ])
}

function attemptOf({ attempt, state, agent, node, claimed_at, commits_count, turns_used, cost_usd, reason, notes }) {
  const work = [commits_count === null ? null : count(commits_count, 'commit', 'commits'), turns_used === null ? null : count(turns_used, 'turn', 'turns'), cost_usd === null ? null : `$${cost_usd.toFixed(2)}`]
  return el('li', {}, el('span', { class: 'main' },
    el('span', { class: 'id', text: attempt }), ' ', agent ?? 'somebody', node ? ` on ${node}` : null,
    el('span', { class: 'sub quiet' }, 'claimed ', time(claimed_at), work.filter(Boolean).map((part) => `, ${part}`)),
    [reason, notes].filter(Boolean).map((text) => el('span', { class: 'sub said', text }))), el('span', { class: 'state', text: state }))
}

const messageOf = ({ from_actor, to_actor, type, content, created_at }) => el('li', {}, el('span', { class: 'main' },
  el('strong', { text: from_actor }), to_actor ? ` to ${to_actor}` : null, ' ', el('span', { class: 'quiet', text: type }), el('span', { class: 'sub said', text: content })),
  el('span', { class: 'state' }, time(created_at)))

const eventOf = ({ event, agent, details, node, timestamp }) => el('li', {}, el('span', { class: 'main' },
  el('strong', { text: event.replaceAll('_', ' ') }), agent ? ` by ${agent}` : null, node ? el('span', { class: 'quiet', text: ` on ${node}` }) : null, details ? el('span', { class: 'sub quiet said', text: details }) : null),
  el('span', { class: 'state' }, time(timestamp)))

/** The buttons of a task, and the reason that most of them ask for. */
class Acts {
  constructor() {
    this.error = el('p', { class: 'error', role: 'alert' })
    this.buttons = Object.entries(ACTS).map(([name, { label }]) =>
      el('button', { type: 'button', class: name === 'accept' ? 'primary' : '', data: { act: name }, text: label, onclick: () => this.begin(name) }))
    this.label = el('label', { htmlFor: 'reason' })
    this.reason = el('textarea', { id: 'reason', rows: 3 })
    this.send = el('button', { type: 'submit', class: 'primary' })
    const back = el('button', { type: 'button', class: 'plain', text: 'Back', onclick: () => this.end() })
    this.form = el('form', { hidden: true, onsubmit: (event) => { event.preventDefault(); this.do(this.name, this.reason.value.trim()) } },
      this.label, this.reason, el('div', { class: 'line' }, this.send, back))
    this.element = el('div', { class: 'acts' }, el('div', { class: 'line' }, this.buttons), this.form, this.error)
  }

  show(one, task) {
    Object.assign(this, { one, task })
    const may = ([, { from }]) => from.includes(task.queue) || !BUILT_IN.has(task.queue)
    Object.entries(ACTS).forEach((act, at) => { this.buttons[at].hidden = !may(act) })
    if (this.name && !may([this.name, ACTS[this.name]])) this.end()
  }

  begin(name) {
    const act = ACTS[name]
    setText(this.error, '')
    if (act.why === undefined) return this.do(name)
    this.name = name
    setText(this.label, act.why)
    setText(this.send, act.label.replace('…', ''))
    this.reason.required = act.must === true
    this.form.hidden = false
    this.reason.focus()
  }

  end() {
    this.name = undefined
    this.form.hidden = true
    this.reason.value = ''
  }

  /** Sends an act for the version that is looked at: what somebody else changed meanwhile is looked at first. */
  async do(name, reason) {
    const { path, id } = this.one
    for (const button of [...this.buttons, this.send]) button.disabled = true
    try {
      await call(path(`/${name}`), { method: 'POST', body: ACTS[name].body(reason), match: this.task.version })
      setText(this.error, '')
      this.end()
      say(`${id}: ${ACTS[name].done}`)
    } catch (error) {
      setText(this.error, error instanceof Refused ? error.message : 'The node was not reached: nothing is known to be changed.')
    } finally {
      for (const button of [...this.buttons, this.send]) button.disabled = false
      changed()
    }
  }
}
