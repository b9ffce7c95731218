// What can be done to a task: the buttons, and the reason that most of them ask for.

import { call, Refused } from './api.js'
import { el, say, setText } from './dom.js'

/** Who is said to have judged; the page knows no names of people. */
const ME = 'dashboard'

/** What can be done, from which queues, and what the node is sent. A flow's own states allow all that the node does not refuse. */
const ACTS = {
  accept: { label: 'Accept', done: 'accepted', from: ['provisional', 'claimed'], body: () => ({ accepted_by: ME }) },
  reject: {
    label: 'Reject…',
    done: 'rejected',
    from: ['provisional', 'claimed'],
    why: 'What is missing? The next attempt reads it.',
    must: true,
    body: (reason) => ({ rejected_by: ME, reason }),
  },
  requeue: {
    label: 'Requeue…',
    done: 'requeued',
    from: ['provisional', 'claimed', 'failed', 'needs_continuation'],
    why: 'Why again? (optional)',
    body: (reason) => ({ requeued_by: ME, from_any: true, ...(reason && { reason }) }),
  },
  cancel: {
    label: 'Cancel task…',
    done: 'cancelled',
    from: ['incoming', 'claimed', 'provisional', 'needs_continuation', 'blocked', 'failed', 'backlog'],
    why: 'Why give it up? (optional)',
    body: (reason) => ({ cancelled_by: ME, ...(reason && { reason }) }),
  },
}
const BUILT_IN = new Set([...ACTS.cancel.from, 'done', 'cancelled'])

/** The buttons of a task, and the reason that most of them ask for. */
export class Acts {
  /** `changed` is called when something was done, or was not. */
  constructor(changed) {
    this.changed = changed
    this.error = el('p', { class: 'error', role: 'alert' })
    this.buttons = Object.entries(ACTS).map(([name, { label }]) =>
      el('button', {
        type: 'button',
        class: name === 'accept' ? 'primary' : '',
        data: { act: name },
        text: label,
        onclick: () => this.begin(name),
      }),
    )
    this.label = el('label', { htmlFor: 'reason' })
    this.reason = el('textarea', { id: 'reason', rows: 3 })
    this.send = el('button', { type: 'submit', class: 'primary' })
    const back = el('button', { type: 'button', class: 'plain', text: 'Back', onclick: () => this.end() })
    this.form = el(
      'form',
      {
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault()
          this.do(this.name, this.reason.value.trim())
        },
      },
      this.label,
      this.reason,
      el('div', { class: 'line' }, this.send, back),
    )
    this.element = el('div', { class: 'acts' }, el('div', { class: 'line' }, this.buttons), this.form, this.error)
  }

  show(one, task) {
    Object.assign(this, { one, task })
    const may = ([, { from }]) => from.includes(task.queue) || !BUILT_IN.has(task.queue)
    Object.entries(ACTS).forEach((act, at) => {
      this.buttons[at].hidden = !may(act)
    })
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
      this.changed()
    }
  }
}
