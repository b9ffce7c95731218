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

/**
 * Shows children in an element. What is there already becomes what it should be, by its `data-key` or its place, and is not made anew: so
 * the focus, what is selected, and a click that is half done stay. Nothing that is shown so listens by itself.
 */
export function show(element, children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
  becomeChildren(element, el('div', {}, children))
  if (focused === undefined || element.contains(document.activeElement)) return
  const again = [...element.querySelectorAll('[data-key]')].find((one) => one.dataset.key === focused)
  again?.focus({ preventScroll: true })
}

const keyOf = (node) => node?.dataset?.key

function becomeChildren(element, wanted) {
  const keys = new Set([...wanted.children].map(keyOf))
  const known = new Map()
  for (const child of [...element.children]) {
    if (keyOf(child) === undefined) continue
    if (keys.has(keyOf(child))) known.set(keyOf(child), child)
    else child.remove()
  }
  let at = element.firstChild
  for (const node of [...wanted.childNodes]) {
    const inPlace = keyOf(at) === undefined ? at : undefined
    const old = keyOf(node) === undefined ? inPlace : known.get(keyOf(node))
    known.delete(keyOf(node))
    if (old?.nodeName !== node.nodeName) {
      element.insertBefore(node, at)
      continue
    }
    if (old === at) at = at.nextSibling
    else element.insertBefore(old, at)
    become(old, node)
  }
  while (at) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

function become(old, node) {
  if (old.isEqualNode(node)) return
  if (!(old instanceof Element)) {
    old.nodeValue = node.nodeValue
    return
  }
  for (const { name } of [...old.attributes]) if (!node.hasAttribute(name)) old.removeAttribute(name)
  for (const { name, value } of node.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  becomeChildren(old, node)
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

/** Tells those who do not see the page what came of what they did. While a task is open nothing outside of its panel is heard. */
export function say(text) {
  setText(byId('said'), text)
  setText(byId('panel-said'), text)
}
