// A browser before a node, for all tests of a file, and where things are on the page.

import { after, before } from 'node:test'

import { launch, Watched } from './browser.js'
import { RunningNode, until } from './node.js'

/** What a browser says of a call that the node refuses, and of a node that is away. */
export const REFUSED = /status of (401|403|400|404|409|412)/
export const AWAY = /ERR_(CONNECTION|EMPTY|INCOMPLETE|NETWORK|ABORTED)/

export let node
export let browser

before(async () => {
  node = await RunningNode.start()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await node?.stop()
})

/** Opens the dashboard as `octopoid dashboard` says, and waits until it is live. */
export async function board(t, options) {
  const watched = await Watched.open(t, browser, options)
  await watched.page.goto(node.octopoid('dashboard').trim())
  await live(watched.page)
  return watched
}

export const live = (page) => page.locator('#connection[data-state=live]').waitFor()
export const rows = (page) => page.locator('#tasks tbody tr')
export const row = (page, id) => page.locator(`#tasks tr[data-open="${id}"]`)
export const chip = (page, queue) => page.locator(`#queues button[data-queue="${queue}"]`)
export const panel = (page) => page.locator('#panel[open]')
export const text = (locator) => locator.innerText()

export async function openTask(page, id) {
  await row(page, id).getByRole('button').click()
  await panel(page).locator('.below .id', { hasText: id }).waitFor()
}

/** Narrows the list to the end of it that a test looks at. */
export async function only(page, queue) {
  await chip(page, queue).click()
  await until(async () => (await rows(page).locator('.queue').allInnerTexts()).every((shown) => shown === queue))
}
