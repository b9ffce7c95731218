// The table of tasks: a page of the list, and the queues that it is narrowed to.

import { call } from './api.js'
import { age, byId, count, el, setText, show } from './dom.js'

const PAGE = 50
/** The order in which a task goes through them; a flow's own states stand before those at rest. */
const MOVING = ['incoming', 'claimed', 'provisional', 'needs_continuation', 'blocked', 'failed']
const RESTING = ['backlog', 'done', 'cancelled']

const chosen = new Set()
let offset = 0
let total = 0

/** Makes the filters and the pages work; `changed` asks for the list anew. */
export function startTasks(changed) {
  byId('queues').addEventListener('click', (event) => {
    const chip = event.target.closest('button')
    if (chip === null) return
    const { queue } = chip.dataset
    if (queue === '') chosen.clear()
    else if (!chosen.delete(queue)) chosen.add(queue)
    offset = 0
    changed()
  })
  const turn = (by) => () => {
    offset = Math.max(0, offset + by)
    changed()
  }
  byId('newer').addEventListener('click', turn(-PAGE))
  byId('older').addEventListener('click', turn(PAGE))
  byId('tasks').tBodies[0].addEventListener('keydown', moveBetweenRows)
}

function moveBetweenRows(event) {
  const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key]
  const row = step && event.target.closest('tr')?.[step]
  if (!row) return
  event.preventDefault()
  row.querySelector('button').focus()
}

/** Drops what is shown and chosen, as for another reader. */
export function forgetTasks() {
  chosen.clear()
  offset = 0
  for (const element of [byId('queues'), byId('tasks').tBodies[0], byId('range')]) element.replaceChildren()
}

/** Reads the page that is looked at. */
export async function readTasks(signal) {
  const query = new URLSearchParams({ limit: PAGE, offset })
  if (chosen.size > 0) query.set('queue', [...chosen].join(','))
  const list = await call(`/tasks?${query}`, { signal })
  // What was on the last page may be gone by now.
  if (list.tasks.length === 0 && list.total > 0 && offset > 0) {
    offset = Math.floor((list.total - 1) / PAGE) * PAGE
    return readTasks(signal)
  }
  return list
}

export function showTasks(list, counts) {
  total = list.total
  showQueues(counts)
  show(byId('tasks').tBodies[0], list.tasks.map(row))
  byId('tasks').hidden = list.tasks.length === 0
  byId('no-tasks').hidden = list.tasks.length > 0
  const narrowed = chosen.size > 0
  setText(
    byId('no-tasks'),
    narrowed ? `No task is ${[...chosen].join(' or ')}.` : 'No tasks yet: octopoid enqueue "Add user authentication"',
  )
  byId('pages').hidden = total <= PAGE
  byId('newer').disabled = offset === 0
  byId('older').disabled = offset + list.tasks.length >= total
  setText(byId('range'), `${offset + 1}–${offset + list.tasks.length} of ${total}`)
}

/** Shows the queues with how many tasks each holds; without counts, as for a key of one scope, those that there always are. */
function showQueues(counts) {
  const known = counts ?? Object.fromEntries([...MOVING, ...RESTING].map((queue) => [queue, undefined]))
  const names = new Set([...Object.keys(known), ...chosen])
  const own = [...names].filter((name) => !MOVING.includes(name) && !RESTING.includes(name)).sort()
  const ordered = [...MOVING, ...own, ...RESTING].filter((name) => names.has(name))
  const all = counts && Object.values(counts).reduce((sum, number) => sum + number, 0)
  const amount = (name) => counts && (counts[name] ?? 0)
  show(byId('queues'), [
    chip('', 'all', all, chosen.size === 0),
    ...ordered.map((name) => chip(name, name, amount(name), chosen.has(name))),
  ])
}

function chip(queue, name, amount, pressed) {
  const label = amount === undefined ? name : `${name}, ${count(amount, 'task', 'tasks')}`
  return el(
    'button',
    { type: 'button', class: 'chip', data: { queue, key: `queue ${queue}` }, aria: { pressed, label } },
    el('span', { class: 'name', text: name }),
    amount === undefined ? null : el('span', { class: 'number', text: amount }),
  )
}

function row(task) {
  const { id, scope } = task
  return el(
    'tr',
    { data: { open: id, scope, key: `row ${scope}/${id}` } },
    el(
      'td',
      { class: 'title' },
      el('button', { type: 'button', class: 'link', data: { open: id, scope, key: `task ${scope}/${id}` }, text: task.title || id }),
      el('span', { class: 'below' }, el('span', { class: 'id', text: id }), marks(task)),
    ),
    el('td', {}, badge(task.queue)),
    el('td', { class: 'priority', data: { priority: task.priority }, text: task.priority }),
    el('td', { class: 'role', text: task.role ?? '–' }),
    el('td', { class: 'holder', text: task.claimed_by ?? '–', title: task.holder ? `on ${task.holder}` : '' }),
    el('td', { class: 'age' }, age(task.created_at)),
  )
}

export const badge = (queue) => el('span', { class: 'queue', data: { queue }, text: queue })

/** What a person should know of a task besides its queue. */
function marks(task) {
  const told = [
    [task.needs_intervention, 'warn', 'needs you'],
    [task.contested, 'warn', 'contested'],
    [task.blocked_by && task.queue === 'incoming', '', `waits for ${task.blocked_by?.replaceAll(',', ', ')}`],
    [task.awaiting_merge, '', 'not merged'],
    [task.retry_at, '', 'tries again later'],
  ]
  return told.filter(([is]) => is).map(([, tone, text]) => el('span', { class: `mark-of ${tone}`.trim(), text }))
}
