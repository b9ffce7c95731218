// What can be done to a task: the buttons, and the reason that most of them ask for.

import { call, Refused, Unreached } from './api.js'
import { byId, el, say, setText } from './dom.js'

/** Who is said to have judged; the page knows no names of people. */
const ME = 'dashboard'
/** From where the built-in rules requeue nothing. Everywhere else a flow may have its say. */
const PAST_RULES = new Set(['failed', 'needs_continuation'])

/** What can be done, from which queues, and what the node is sent. A flow's own states allow all that the node does not refuse. */
const ACTS = {
  accept: {
    label: 'Accept',
    done: 'accepted',
    from: ['provisional', 'claimed'],
    asks: ({ queue, claimed_by }) =>
      queue === 'claimed' ? `${claimed_by ?? 'Somebody'} still works on it. Accept it as it is now?` : undefined,
    body: () => ({ accepted_by: ME }),
  },
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
    body: (reason, { queue }) => ({ requeued_by: ME, ...(PAST_RULES.has(queue) && { from_any: true }), ...(reason && { reason }) }),
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
  /** `changed` is called when something was done, or was not; `failed` when the page itself is at fault. */
  constructor(changed, failed) {
    Object.assign(this, { changed, failed })
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
    const back = el('button', { type: 'button', class: 'plain', text: 'Back', onclick: () => this.back() })
    this.form = el(
      'form',
      {
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault()
          this.submit()
        },
      },
      this.label,
      this.reason,
      el('div', { class: 'line' }, this.send, back),
    )
    this.element = el('div', { class: 'acts' }, el('div', { class: 'line' }, this.buttons), this.form, this.error)
  }

  /** Shows what can be done to a task as it is now; `tag` names exactly that, with all that led to it. */
  show(one, task, tag) {
    Object.assign(this, { one, now: { task, tag } })
    const may = ([, { from }]) => from.includes(task.queue) || !BUILT_IN.has(task.queue)
    Object.entries(ACTS).forEach((act, at) => {
      this.buttons[at].hidden = !may(act)
    })
    if (this.name === undefined) return
    if (!may([this.name, ACTS[this.name]]) && !this.typed) this.end()
    else if (this.hasChanged()) setText(this.error, 'The task has changed since you began: look at it again.')
  }

  /** Whether somebody has typed what a closed panel would lose. */
  get typed() {
    return this.name !== undefined && this.reason.value.trim() !== ''
  }

  /** Says why the panel stays. */
  keep() {
    setText(this.error, `Your reason is not sent yet: press ${this.send.textContent}, or Back.`)
  }

  hasChanged() {
    return this.seen.tag !== this.now.tag
  }

  begin(name) {
    const act = ACTS[name]
    // What somebody judges is what they saw when they began.
    this.seen = this.now
    setText(this.error, '')
    const asked = act.asks?.(this.seen.task)
    if (act.why === undefined && asked === undefined) return this.do(name, '')
    this.name = name
    setText(this.label, act.why ?? asked)
    setText(this.send, act.label.replace('…', ''))
    this.reason.hidden = act.why === undefined
    this.reason.required = act.must === true
    this.form.hidden = false
    if (this.reason.hidden) this.send.focus()
    else this.reason.focus()
  }

  back() {
    this.end()
    setText(this.error, '')
  }

  end() {
    this.name = undefined
    this.form.hidden = true
    this.reason.value = ''
  }

  submit() {
    if (this.hasChanged()) {
      this.seen = this.now
      setText(this.error, `The task has changed since you began: look at it again, then press ${this.send.textContent} once more.`)
      return
    }
    this.do(this.name, this.reason.value.trim())
  }

  /** Sends an act for exactly what was seen: what somebody else changed meanwhile is looked at first. */
  async do(name, reason) {
    const { path, id } = this.one
    const { task, tag } = this.seen
    const controls = [...this.buttons, this.send]
    for (const button of controls) button.disabled = true
    try {
      await call(path(`/${name}`), { method: 'POST', body: ACTS[name].body(reason, task), match: tag })
      setText(this.error, '')
      this.end()
      say(`${id}: ${ACTS[name].done}`)
      // The button that was pressed is about to go.
      if (this.element.isConnected) byId('panel-title')?.focus()
    } catch (error) {
      if (error instanceof Refused) setText(this.error, error.message)
      else setText(this.error, 'The node was not reached: nothing is known to be changed.')
      if (!(error instanceof Refused || error instanceof Unreached)) this.failed(error)
    } finally {
      for (const button of controls) button.disabled = false
      this.changed()
    }
  }
}
