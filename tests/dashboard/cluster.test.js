// What the dashboard shows of a cluster: two real nodes that meet, part and meet again.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { launch, Watched } from './support/browser.js'
import { RunningNode } from './support/node.js'

let office
let laptop
let browser

before(async () => {
  office = await RunningNode.start({ name: 'office' })
  office.octopoid('cluster', 'name', 'home')
  await office.halt()
  await office.resume()
  laptop = await RunningNode.start({ name: 'laptop', joins: office })
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await laptop?.stop()
  await office?.stop()
})

describe('a cluster', () => {
  it('shows who is there, what waits for them, and what lost when they meet again', async (t) => {
    const { page } = await Watched.open(t, browser)
    await page.goto(office.octopoid('dashboard').trim())
    const overview = page.locator('#overview')
    const notices = page.locator('#notices')
    await overview.getByRole('listitem').filter({ hasText: 'laptop' }).filter({ hasText: 'connected' }).waitFor()
    const { mode } = JSON.parse(office.octopoid('status', '--json'))
    assert.ok((await page.locator('#node').innerText()).startsWith(`office · cluster home · ${mode} mode`))

    laptop.octopoid('cluster', 'offline')
    await notices.getByText('Working offline').waitFor()
    await overview.getByRole('listitem').filter({ hasText: 'laptop' }).filter({ hasText: 'offline' }).waitFor()
    await office.task('twin', { title: 'Of the office' })
    await laptop.task('twin', { title: 'Of the laptop' })
    await notices.getByText(/Pending sync: \d+ operations?/).waitFor()

    laptop.octopoid('cluster', 'online')
    await overview.getByRole('listitem').filter({ hasText: 'the creation by' }).waitFor()
    await notices.getByText('Working offline').waitFor({ state: 'detached' })
    await overview.locator('.card', { hasText: 'Conflicts' }).getByRole('button', { name: 'twin' }).click()
    assert.equal(await page.locator('#overview [data-open="twin"]').getAttribute('data-scope'), (await office.get('/tasks/twin')).scope)
    await page.locator('#panel[open] .below .id', { hasText: 'twin' }).waitFor()
    await page.keyboard.press('Escape')

    await laptop.task('from-afar', { title: 'From afar' })
    await page.locator('#tasks tr[data-open="from-afar"]').waitFor()
  })
})
