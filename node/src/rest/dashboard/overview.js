// The node and its cluster: what `octopoid status` shows.

import { byId, clean, count, el, facts, setText, show, time } from './dom.js'

/** Shows a status, and the conflicts that it counts. */
export function showOverview(status, conflicts) {
  const { node, cluster, mode } = status
  setText(byId('node'), [node.machine_id, cluster ? `cluster ${cluster}` : null, `${mode} mode`, node.version].filter(Boolean).join(' · '))
  document.title = clean(`${node.machine_id} – Octopoid`)
  show(byId('notices'), notices(status))
  show(byId('overview'), [agents(status), members(status), lost(status, conflicts), about(status)])
}

/** Shows what a key of one scope may know. */
export function showHealth(health, why) {
  setText(
    byId('node'),
    [health.node, health.cluster ? `cluster ${health.cluster}` : null, `${health.mode} mode`].filter(Boolean).join(' · '),
  )
  show(byId('notices'), [])
  show(byId('overview'), [card('The node', el('p', { class: 'quiet', text: `Agents, members and warnings are not shown: ${why}` }))])
}

/** Opens a task; of the node's own scope unless another is named. */
const opener = (id, scope = '') =>
  el('button', { type: 'button', class: 'link', data: { open: id, scope, key: `about ${scope}/${id}` }, text: id })
const notice = (tone, ...parts) => el('p', { class: `notice ${tone}` }, parts)
const command = (text) => el('code', { text })

/** Names tasks, the first few of many. */
function named(ids) {
  const shown = ids.slice(0, 5).flatMap((id, at) => [at > 0 ? ', ' : '', opener(id)])
  return ids.length > 5 ? [...shown, ` and ${ids.length - 5} more`] : shown
}

function notices(status) {
  const told = []
  if (status.offline) {
    told.push(
      notice(
        'warn',
        'Working offline',
        status.kept_offline ? [', as it was told to: ', command('octopoid cluster online')] : null,
        waiting(status),
      ),
    )
  } else if (status.pending_sync > 0 && status.members.length > 0) {
    told.push(notice('', 'Pending sync: ', count(status.pending_sync, 'operation', 'operations')))
  }
  if (status.paused) told.push(notice('warn', 'Paused: no new work is started. ', command('octopoid resume')))
  if (status.join_requests > 0)
    told.push(notice('warn', count(status.join_requests, 'machine asks', 'machines ask'), ' to join: ', command('octopoid peers')))
  if (status.needs_intervention.length > 0) told.push(notice('warn', 'Needs you: ', named(status.needs_intervention)))
  if (status.waiting_for_review.length > 0) told.push(notice('', 'Waits for your review: ', named(status.waiting_for_review)))
  for (const { task_id, reason } of status.awaiting_merge.slice(0, 5)) told.push(notice('', opener(task_id), ` awaits merging: ${reason}`))
  for (const warning of status.warnings) told.push(notice('warn', warning))
  return told
}

const waiting = ({ pending_sync }) => (pending_sync > 0 ? `. Pending sync: ${count(pending_sync, 'operation', 'operations')}` : '')

const card = (title, ...children) => el('section', { class: 'card' }, el('h2', { text: title }), children)

function agents({ agents }) {
  if (agents.length === 0) return card('Agents', el('p', { class: 'quiet' }, 'None yet: add some to ', command('.octopoid/agents.yaml')))
  return card('Agents', el('ul', { class: 'rows' }, agents.map(agent)))
}

function agent({ name, role, state, instances, next_run_at, paused_until, reason }) {
  const until = paused_until ?? (state === 'waiting' ? next_run_at : null)
  return el(
    'li',
    {},
    el('span', { class: 'dot', data: { state }, aria: { hidden: 'true' } }),
    el(
      'span',
      { class: 'main' },
      el('strong', { text: name }),
      ' ',
      el('span', { class: 'quiet', text: role === name ? '' : role }),
      instances.map(({ task_id, since, turns, cost_usd }) =>
        el(
          'span',
          { class: 'sub' },
          opener(task_id),
          ' started ',
          time(since),
          turns ? `, ${count(turns, 'turn', 'turns')}` : null,
          cost_usd ? `, ${dollars(cost_usd)}` : null,
        ),
      ),
      reason ? el('span', { class: 'sub quiet', text: reason }) : null,
    ),
    el('span', { class: 'state' }, state, until ? [' · ', time(until)] : null),
  )
}

const dollars = (amount) => `$${amount.toFixed(2)}`

function members({ cluster, members, authority }) {
  if (!cluster && members.length === 0) return null
  const list = members.map((member) =>
    el(
      'li',
      { title: member.last_failure ?? '' },
      el('span', { class: 'dot', data: { state: member.state }, aria: { hidden: 'true' } }),
      el(
        'span',
        { class: 'main' },
        el('strong', { text: member.name }),
        ' ',
        el('span', { class: 'quiet', text: [member.access, member.name === authority ? 'authority' : null].filter(Boolean).join(', ') }),
        member.idle ? el('span', { class: 'sub quiet', text: `claims nothing: ${member.idle}` }) : null,
      ),
      el(
        'span',
        { class: 'state' },
        member.state === 'connected' || !member.last_seen ? member.state : [member.state, ' · ', time(member.last_seen)],
        member.lag > 0 ? el('span', { class: 'sub', text: `lag ${member.lag}` }) : null,
      ),
    ),
  )
  return card('Members', list.length > 0 ? el('ul', { class: 'rows' }, list) : el('p', { class: 'quiet', text: 'No other machine yet.' }))
}

function lost({ conflicts: total }, list) {
  if (total === 0 || list === undefined) return null
  const items = list.conflicts.map((conflict) =>
    el(
      'li',
      {},
      el(
        'span',
        { class: 'main' },
        conflict.collection ? el('strong', { text: `${conflict.collection} ${conflict.task_id}` }) : opener(conflict.task_id, conflict.scope),
        el('span', { class: 'sub quiet', text: whatLost(conflict) }),
      ),
    ),
  )
  const more = list.total > list.conflicts.length ? el('p', { class: 'quiet', text: `${list.total - list.conflicts.length} more` }) : null
  return card(
    'Conflicts',
    el('ul', { class: 'rows' }, items),
    more,
    el('p', { class: 'quiet' }, 'What to do about one: ', command('octopoid conflicts show TASK')),
  )
}

function whatLost({ attempts, creations, merges, cut_blockers, overridden }) {
  return [
    ...attempts.map(({ attempt }) => `attempt ${attempt}`),
    ...creations.map(({ node }) => `the creation by ${node}`),
    ...merges.map((commit) => `merge ${commit.slice(0, 10)}`),
    ...cut_blockers.map((blocker) => `waiting for ${blocker}`),
    ...overridden.map(({ what, node }) => `${what} of ${node}`),
  ].join(', ')
}

function about({ node, authority, cost_usd, retrying }) {
  return card(
    'The node',
    facts([
      ['Version', node.version],
      ['Started', node.started_at ? time(node.started_at) : null],
      ['Address', node.api_url],
      ['Authority', authority],
      ['Cost so far', cost_usd > 0 ? dollars(cost_usd) : null],
      ['Trying again', retrying.length > 0 ? [named(retrying.map(({ task_id }) => task_id)), ' ', time(retrying[0].retry_at)] : null],
    ]),
  )
}
