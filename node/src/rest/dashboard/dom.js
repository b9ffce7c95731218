// Elements, texts and times. Everything that is shown passes through `clean` and is set as text: tasks are written by strangers.

// Control characters, and those that make the rest of a line read differently from what it is. The command line drops the same ones.
const STEERS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Drops what would steer how a text is shown. */
export const clean = (text) => String(text ?? '').replace(STEERS, '')

export const byId = (id) => document.getElementById(id)

/** Makes an element: properties (`class`, `data` and `aria` besides those of the DOM), then children, texts among them. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue
    if (key === 'class') element.className = value
    else if (key === 'data') for (const [field, text] of Object.entries(value)) element.dataset[field] = text
    else if (key === 'aria') for (const [field, text] of Object.entries(value)) element.setAttribute(`aria-${field}`, clean(text))
    else if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key === 'text') element.textContent = clean(value)
    else if (key === 'title') element.title = clean(value)
    else element[key] = value
  }
  const nodes = children.flat(2).filter((child) => child !== null && child !== undefined && child !== false)
  element.append(...nodes.map((child) => (child instanceof Node ? child : document.createTextNode(clean(child)))))
  return element
}

/** Sets a text where it differs, so that what somebody has selected stays selected. */
export function setText(element, text) {
  const shown = clean(text)
  if (element.textContent !== shown) element.textContent = shown
}

/** Shows children in an element. What looks the same already stays, and so do the focus and what is selected there. */
export function show(element, children) {
  const next = [...el('div', {}, children).childNodes]
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
  if (next.length === element.childNodes.length) {
    next.forEach((node, at) => element.childNodes[at].isEqualNode(node) || element.childNodes[at].replaceWith(node))
  } else {
    element.replaceChildren(...next)
  }
  if (focused === undefined || element.contains(document.activeElement)) return
  const again = [...element.querySelectorAll('[data-key]')].find((one) => one.dataset.key === focused)
  again?.focus({ preventScroll: true })
}

/** A list of facts, each a name and a value; those without a value are left out. */
export function facts(pairs) {
  const told = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
  return el(
    'dl',
    { class: 'facts' },
    told.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]),
  )
}

/** A time as its distance from now, with the whole time for who points at it. */
export const time = (text) => timed(text, (gap) => (gap === 'now' || gap.startsWith('in ') ? gap : `${gap} ago`))

/** How long ago a time is, in a column that says so. */
export const age = (text) => timed(text, (gap) => gap)

function timed(text, told) {
  if (!text) return '–'
  return el('time', { dateTime: text, title: new Date(text).toLocaleString(), text: told(distance(text)) })
}

/** Tells how far a time is: `5 min` back, or `in 2 h`. */
function distance(text) {
  const at = Date.parse(text)
  if (Number.isNaN(at)) return clean(text)
  const seconds = Math.round((Date.now() - at) / 1000)
  if (Math.abs(seconds) < 5) return 'now'
  return seconds > 0 ? span(seconds) : `in ${span(-seconds)}`
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

export const count = (number, one, many) => `${number} ${number === 1 ? one : many}`

/** Tells those who do not see the page what came of what they did. */
export const say = (text) => setText(byId('said'), text)
