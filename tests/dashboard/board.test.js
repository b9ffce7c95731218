// The node and its tasks, as they change.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { AWAY, board, browser, chip, live, node, only, openTask, panel, row, rows, text } from './support/board.js'
import { Watched } from './support/browser.js'
import { until } from './support/node.js'

describe('the board', () => {
  it('shows the node and its tasks as the command line does', async (t) => {
    await node.task('shown', { title: 'Show me', role: 'docs', priority: 'P1' })
    const { page } = await board(t)
    assert.match(await text(page.locator('#node')), /desk · local mode · \d/)
    const cells = await row(page, 'shown').locator('td').allInnerTexts()
    assert.deepEqual(cells.slice(1, 5), ['incoming', 'P1', 'docs', '–'])
    assert.match(cells[0], /^Show me\s+shown$/)
    const agents = JSON.parse(node.octopoid('agents', '--json')).map(({ name }) => name)
    const told = await text(page.locator('#overview'))
    assert.ok(agents.length > 0 && agents.every((name) => told.includes(name)), told)
  })

  it('shows what happens by itself, without being loaded again', async (t) => {
    const { page, requests } = await board(t)
    const loads = () => requests.filter((request) => request.isNavigationRequest()).length
    const before = loads()
    await node.task('sudden')
    await row(page, 'sudden').waitFor()
    await node.post('/tasks/sudden/cancel', { reason: 'not needed' })
    await row(page, 'sudden').locator('.queue[data-queue=cancelled]').waitFor()
    assert.equal(loads(), before)
  })

  it('narrows the list to queues by their counts', async (t) => {
    await node.task('at-rest', { queue: 'backlog' })
    await node.task('waiting')
    await node.claimed('held', { title: 'Held' })
    const { page } = await board(t)
    await only(page, 'backlog')
    assert.equal(await chip(page, 'backlog').getAttribute('aria-pressed'), 'true')
    const { total } = await node.get('/tasks?queue=backlog')
    assert.equal(await rows(page).count(), total)
    assert.equal(await text(chip(page, 'backlog').locator('.number')), String(total))
    await chip(page, 'claimed').click()
    await row(page, 'held').waitFor()
    assert.match(await text(row(page, 'held')), /worker/)
    await chip(page, '').click()
    await row(page, 'waiting').waitFor()
  })

  it('turns pages', async (t) => {
    for (let number = 0; number < 60; number++) await node.task(`page-${number}`, { queue: 'backlog' })
    const { page } = await board(t)
    await only(page, 'backlog')
    await until(async () => (await rows(page).count()) === 50)
    const { total } = await node.get('/tasks?queue=backlog&limit=1')
    await page.getByRole('button', { name: 'Older' }).click()
    await until(async () => (await rows(page).count()) === total - 50)
    assert.equal(await text(page.locator('#range')), `51–${total} of ${total}`)
    assert.ok(await page.getByRole('button', { name: 'Older' }).isDisabled())
    await page.getByRole('button', { name: 'Newer' }).click()
    await row(page, 'page-59').waitFor()
  })

  it('reads no more often than it must, whatever happens', async (t) => {
    await node.task('calm')
    const watched = await Watched.open(t, browser)
    const { page } = watched
    await page.clock.install()
    await page.goto(node.octopoid('dashboard').trim())
    await live(page)
    const reads = () => watched.asked('/api/v1/tasks').length
    await row(page, 'calm').waitFor()
    // From here on time passes as the test says, and not besides.
    await page.clock.pauseAt(new Date(Date.now() + 1_000))
    await watched.settled()
    const first = reads()
    // Nothing happens, and half a minute passes.
    for (let second = 0; second < 30; second++) {
      await page.clock.runFor(1_000)
      await watched.settled()
    }
    const quiet = reads() - first
    assert.ok(quiet >= 1 && quiet <= 6, `${quiet} reads in 30 s of silence`)
    const before = reads()
    for (let number = 0; number < 20; number++) await node.task(`storm-${number}`, { queue: 'backlog' })
    await until(async () => {
      await page.clock.runFor(200)
      return (await row(page, 'storm-19').count()) > 0
    })
    assert.ok(reads() - before <= 3, `${reads() - before} reads for 20 events`)
  })

  it('counts and reads an open task no more often than what happens asks for', async (t) => {
    await node.task('looked-at')
    const watched = await Watched.open(t, browser)
    const { page } = watched
    await page.clock.install()
    await page.goto(node.octopoid('dashboard').trim())
    await live(page)
    await openTask(page, 'looked-at')
    await page.clock.pauseAt(new Date(Date.now() + 1_000))
    await watched.settled()
    const asked = (path) => watched.asked(`/api/v1${path}`).length
    const [status, task] = [asked('/node/status'), asked('/tasks/looked-at')]
    let number = 0
    // Eight seconds, in each of which something happens elsewhere; one glance may fall among them.
    for (; number < 8; number++) {
      await node.task(`elsewhere-${number}`, { queue: 'backlog' })
      await page.clock.runFor(1_000)
      await watched.settled()
    }
    assert.ok(asked('/node/status') - status <= 4, `${asked('/node/status') - status} reads of the status in 8 s`)
    assert.ok(asked('/tasks/looked-at') - task <= 1, `${asked('/tasks/looked-at') - task} reads of a task to which nothing happened`)
    await node.call('PATCH', '/tasks/looked-at', { title: 'Looked at again' }, 200)
    await until(async () => {
      await page.clock.runFor(200)
      return (await panel(page).getByRole('heading', { name: 'Looked at again' }).count()) > 0
    })
  })

  it('asks less and less often what is refused for long', async (t) => {
    const watched = await Watched.open(t, browser, { expected: [/status of 500/] })
    const { page } = watched
    await page.route('**/api/v1/tasks?*', (route) => route.fulfill({ status: 500, json: { error: 'the store is ill' } }))
    await page.goto(node.octopoid('dashboard').trim())
    await page.locator('#connection', { hasText: 'Node: the store is ill – trying again in 4 s' }).waitFor()
    assert.equal(watched.asked('/api/v1/events').length, 3)
    await page.unroute('**/api/v1/tasks?*')
    await live(page)
  })

  it('says that it has failed itself where neither the node nor the network is to blame', async (t) => {
    const { page } = await Watched.open(t, browser, { expected: [/TypeError/] })
    await page.route('**/api/v1/node/status', (route) => route.fulfill({ json: { conflicts: 0 } }))
    await page.goto(node.octopoid('dashboard').trim())
    await page.locator('#connection[data-state=failed]', { hasText: 'The page failed: reload it' }).waitFor()
  })

  it('keeps its rows while the list changes, so that a click that has begun ends in the same one', async (t) => {
    await node.task('pressed', { title: 'Pressed' })
    const { page } = await board(t)
    const pressed = row(page, 'pressed').getByRole('button')
    const element = await pressed.elementHandle()
    await pressed.focus()
    const { x, y } = await pressed.boundingBox()
    await page.mouse.move(x + 5, y + 5)
    await page.mouse.down()
    await node.call('PATCH', '/tasks/pressed', { title: 'Pressed hard' }, 200)
    await row(page, 'pressed').getByRole('button', { name: 'Pressed hard' }).waitFor()
    await page.mouse.up()
    await panel(page).locator('.below .id', { hasText: 'pressed' }).waitFor()
    await page.keyboard.press('Escape')
    await node.task('above')
    await row(page, 'above').waitFor()
    await node.post('/tasks/above/cancel', {})
    await row(page, 'above').locator('.queue[data-queue=cancelled]').waitFor()
    assert.ok(await element.evaluate((one) => one.isConnected && one === document.activeElement))
  })

  it('keeps no connection while nobody looks', async (t) => {
    const { page, asked } = await board(t).then((watched) => ({ page: watched.page, asked: () => watched.asked('/api/v1/events') }))
    const hide = (hidden) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }, hidden)
    const ended = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/api/v1/events'))
    await hide(true)
    await ended
    await node.task('unseen')
    await hide(false)
    await row(page, 'unseen').waitFor()
    assert.equal(asked().length, 2)
  })

  it('fits a narrow screen, in the light and in the dark', async (t) => {
    await node.task('long', { title: 'word'.repeat(60), queue: 'backlog' })
    for (const colorScheme of ['light', 'dark']) {
      const { page } = await board(t, { colorScheme, viewport: { width: 400, height: 800 } })
      await row(page, 'long').waitFor()
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 400)
      const [back, front] = await page.evaluate(() => {
        const { backgroundColor, color } = getComputedStyle(document.body)
        return [backgroundColor, color].map((value) =>
          value
            .match(/\d+/g)
            .slice(0, 3)
            .reduce((sum, part) => sum + Number(part), 0),
        )
      })
      assert.ok(colorScheme === 'light' ? back - front > 450 : front - back > 450, `${colorScheme}: ${front} on ${back}`)
    }
  })

  it('says when the node is not reached, and finds it again', async (t) => {
    await node.task('before-the-break', { title: 'Known before' })
    const { page } = await board(t, { expected: [AWAY] })
    await node.halt()
    await page.locator('#connection[data-state=away]').waitFor()
    assert.match(await text(page.locator('#connection')), /^Node not reached – trying again in \d+ s$/)
    assert.equal(await page.locator('#connection').getAttribute('role'), 'status')
    assert.ok(await page.locator('#board').isVisible(), 'what was known stays in sight')
    await row(page, 'before-the-break').getByRole('button').click()
    await panel(page).getByText('The node is not reached.').waitFor()
    await node.resume()
    await live(page)
    await panel(page).getByRole('heading', { name: 'Known before' }).waitFor()
    await page.keyboard.press('Escape')
    await node.task('after-the-break')
    await row(page, 'after-the-break').waitFor()
  })
})
