// The dashboard in a real browser, before a real node.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { launch, Watched } from './support/browser.js'
import { RunningNode, until } from './support/node.js'

const REFUSED = /status of (401|403|400|404|409|412)/
const AWAY = /ERR_(CONNECTION|EMPTY|INCOMPLETE|NETWORK|ABORTED)/

let node
let browser

before(async () => {
  node = await RunningNode.start()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await node?.stop()
})

/** Opens the dashboard as `octopoid dashboard` says, and waits until it is live. */
async function board(t, options) {
  const watched = await Watched.open(t, browser, options)
  await watched.page.goto(node.octopoid('dashboard').trim())
  await live(watched.page)
  return watched
}

const live = (page) => page.locator('#connection[data-state=live]').waitFor()
const rows = (page) => page.locator('#tasks tbody tr')
const row = (page, id) => page.locator(`#tasks tr[data-open="${id}"]`)
const chip = (page, queue) => page.locator(`#queues button[data-queue="${queue}"]`)
const panel = (page) => page.locator('#panel[open]')
const text = (locator) => locator.innerText()

async function openTask(page, id) {
  await row(page, id).getByRole('button').click()
  await panel(page).locator('.below .id', { hasText: id }).waitFor()
}

/** Narrows the list to the end of it that a test looks at. */
async function only(page, queue) {
  await chip(page, queue).click()
  await until(async () => (await rows(page).locator('.queue').allInnerTexts()).every((shown) => shown === queue))
}

describe('the token', () => {
  it('is asked for where there is none, and the page says where it lies', async (t) => {
    const { page } = await Watched.open(t, browser, { expected: [REFUSED] })
    await page.goto(node.url)
    const form = page.locator('#sign-in')
    await form.waitFor()
    const said = await text(form)
    assert.match(said, /octopoid dashboard/)
    assert.match(said, /\.octopoid\/runtime\/api\.token/)
    assert.ok(await page.locator('#board').isHidden())
    await page.getByLabel('Token').fill(node.token)
    await page.keyboard.press('Enter')
    await live(page)
    await page.reload()
    await live(page)
    await page.getByRole('button', { name: 'Forget token' }).click()
    await form.waitFor()
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length + document.cookie.length), 0)
  })

  it('is told to be wrong in the node\'s words', async (t) => {
    const { page } = await Watched.open(t, browser, { expected: [REFUSED] })
    await page.goto(`${node.url}/#token=oct_wrong`)
    await page.getByRole('alert').filter({ hasText: 'the token is unknown' }).waitFor()
    await page.getByLabel('Token').fill('secret')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByRole('alert').filter({ hasText: 'begins with oct_' }).waitFor()
    assert.ok(await page.locator('#board').isHidden())
  })

  it('leaves the address at once, and is not behind it either', async (t) => {
    const { page } = await board(t)
    assert.equal(page.url(), `${node.url}/`)
    await page.goto('about:blank')
    await page.goBack()
    await live(page)
    assert.equal(page.url(), `${node.url}/`)
  })

  it('of one scope shows that scope\'s tasks, and says what it does not show', async (t) => {
    const registered = { cluster: 'c', machine_id: 'm', repo_url: 'r', scope: 'other' }
    const { api_key: key } = await node.post('/orchestrators/register', registered)
    await node.task('theirs', { scope: 'other' })
    await node.task('not-theirs')
    const { page } = await Watched.open(t, browser, { expected: [REFUSED] })
    await page.goto(`${node.url}/#token=${key}`)
    await row(page, 'theirs').waitFor()
    assert.equal(await rows(page).count(), 1)
    assert.match(await text(page.locator('#overview')), /needs the node's own token/)
  })
})

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
    await page.clock.runFor(1_100)
    await row(page, 'storm-19').waitFor()
    assert.ok(reads() - before <= 3, `${reads() - before} reads for 20 events`)
  })

  it('keeps no connection while nobody looks', async (t) => {
    const { page, asked } = await board(t).then((watched) => ({ page: watched.page, asked: () => watched.asked('/api/v1/events') }))
    const hide = (hidden) => page.evaluate((value) => {
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
        return [backgroundColor, color].map((value) => value.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))
      })
      assert.ok(colorScheme === 'light' ? back - front > 450 : front - back > 450, `${colorScheme}: ${front} on ${back}`)
    }
  })

  it('says when the node is not reached, and finds it again', async (t) => {
    const { page } = await board(t, { expected: [AWAY] })
    await node.halt()
    await page.locator('#connection[data-state=away]').waitFor()
    assert.match(await text(page.locator('#connection')), /^Node not reached – trying again in \d+ s$/)
    assert.equal(await page.locator('#connection').getAttribute('role'), 'status')
    assert.ok(await page.locator('#board').isVisible(), 'what was known stays in sight')
    await node.resume()
    await live(page)
    await node.task('after-the-break')
    await row(page, 'after-the-break').waitFor()
  })
})

describe('a task', () => {
  it('shows what it says, what was tried and what happened', async (t) => {
    await node.submitted('told', { title: 'Told', content: 'First line\n  second line' })
    const { attempts: [{ attempt }] } = await node.get('/tasks/told/attempts')
    const lines = Array.from({ length: 700 }, (_, at) => `line ${at}`)
    node.log('told', attempt, `${lines.join('\n')}\n`)
    await node.post('/messages', { task_id: 'told', from_actor: 'ada', type: 'comment', content: 'Looks fine' })
    const { page } = await board(t)
    await openTask(page, 'told')
    assert.equal(await panel(page).locator('.body').textContent(), 'First line\n  second line')
    const said = await text(panel(page))
    for (const part of [attempt, 'worker', '2 commits', '7 turns', 'submitted', 'Looks fine', 'ada', 'created', 'claimed']) assert.ok(said.includes(part), `${part} is not in ${said}`)
    await panel(page).getByText('Log', { exact: true }).click()
    const log = panel(page).getByLabel('Log')
    await log.getByText('line 699').waitFor()
    const shown = await log.textContent()
    assert.ok(shown.startsWith('… 200 earlier lines\nline 200\n') && shown.endsWith('line 699\n'), shown.slice(0, 60))
  })

  it('is accepted, as everybody sees', async (t) => {
    await node.submitted('good')
    const { page } = await board(t)
    await openTask(page, 'good')
    await panel(page).getByRole('button', { name: 'Accept' }).click()
    await panel(page).locator('.below .queue[data-queue=done]').waitFor()
    assert.equal((await node.get('/tasks/good')).queue, 'done')
    assert.ok(await panel(page).getByRole('button', { name: 'Accept' }).isHidden(), 'nothing more is to be judged')
    assert.equal(await page.locator('#said').textContent(), 'good: accepted')
  })

  it('is rejected with a reason, and not without one', async (t) => {
    await node.submitted('poor')
    const { page } = await board(t)
    await openTask(page, 'poor')
    await panel(page).getByRole('button', { name: 'Reject…' }).click()
    const send = panel(page).getByRole('button', { name: 'Reject', exact: true })
    await send.click()
    assert.equal((await node.get('/tasks/poor')).rejection_count, 0, 'a reason is required')
    await panel(page).getByLabel('What is missing?').fill('The tests are missing.')
    await send.click()
    await panel(page).locator('.below .queue[data-queue=incoming]').waitFor()
    const task = await node.get('/tasks/poor')
    assert.deepEqual([task.queue, task.rejection_count], ['incoming', 1])
    const { messages } = await node.get('/tasks/poor/messages')
    assert.ok(messages.some(({ content }) => content.includes('The tests are missing.')), JSON.stringify(messages))
  })

  it('is requeued and cancelled', async (t) => {
    await node.submitted('again')
    const { page } = await board(t)
    await openTask(page, 'again')
    await panel(page).getByRole('button', { name: 'Requeue…' }).click()
    await panel(page).getByRole('button', { name: 'Requeue', exact: true }).click()
    await panel(page).locator('.below .queue[data-queue=incoming]').waitFor()
    await panel(page).getByRole('button', { name: 'Cancel task…' }).click()
    await panel(page).getByLabel('Why give it up?').fill('Not wanted.')
    await panel(page).getByRole('button', { name: 'Cancel task', exact: true }).click()
    await panel(page).locator('.below .queue[data-queue=cancelled]').waitFor()
    assert.equal((await node.get('/tasks/again')).attempt_count, 1)
  })

  it('shows a refusal in the node\'s words, and what was typed stays', async (t) => {
    await node.submitted('refused')
    const { page } = await board(t, { expected: [REFUSED] })
    await openTask(page, 'refused')
    await panel(page).getByRole('button', { name: 'Reject…' }).click()
    const reason = 'x'.repeat(200_000)
    await panel(page).getByLabel('What is missing?').fill(reason)
    await panel(page).getByRole('button', { name: 'Reject', exact: true }).click()
    const said = panel(page).getByRole('alert')
    await said.filter({ hasText: 'reason' }).waitFor()
    const refusal = await node.post('/tasks/refused/reject', { rejected_by: 'x', reason }).catch((error) => error.message)
    assert.ok(refusal.includes(await said.textContent()), `${await said.textContent()} is not ${refusal}`)
    assert.equal((await panel(page).getByLabel('What is missing?').inputValue()).length, reason.length)
    assert.equal((await node.get('/tasks/refused')).queue, 'provisional')
  })

  it('is judged as it is shown, and not as somebody has changed it meanwhile', async (t) => {
    await node.submitted('moving')
    const { page } = await board(t, { expected: [REFUSED, AWAY, /ERR_FAILED/] })
    await openTask(page, 'moving')
    await page.route('**/api/v1/tasks/moving?*', (route) => (route.request().method() === 'GET' ? route.abort() : route.continue()))
    await node.call('PATCH', '/tasks/moving', { title: 'Something else' }, 200)
    await panel(page).getByRole('button', { name: 'Accept' }).click()
    await panel(page).getByRole('alert').filter({ hasText: 'read the task again' }).waitFor()
    assert.equal((await node.get('/tasks/moving')).queue, 'provisional')
  })

  it('cannot bring markup or scripts into the page', async (t) => {
    const evil = (mark) => `<img src=x onerror="window.hit='${mark}'"><script>window.hit='${mark}'</script>`
    await node.submitted('hostile', { title: evil('title'), content: evil('content'), project_id: null })
    const { attempts: [{ attempt }] } = await node.get('/tasks/hostile/attempts')
    node.log('hostile', attempt, `${evil('log')}\n\u001b[31mred\u202egnp\n`)
    await node.post('/messages', { task_id: 'hostile', from_actor: evil('actor').slice(0, 100), type: 'comment', content: evil('message') })
    await node.post('/tasks/hostile/reject', { rejected_by: evil('judge').slice(0, 100), reason: evil('reason') })
    await node.call('PATCH', '/tasks/hostile', { pr_url: 'https://example.com/"onmouseover="window.hit=1', execution_notes: evil('notes') }, 200)
    const { page } = await board(t)
    assert.equal(await row(page, 'hostile').getByRole('button').textContent(), evil('title'))
    await openTask(page, 'hostile')
    await panel(page).getByText('Log', { exact: true }).click()
    await panel(page).getByLabel('Log').getByText("window.hit='log'").waitFor()
    const said = await panel(page).textContent()
    for (const mark of ['title', 'content', 'message', 'reason', 'log', 'notes']) assert.ok(said.includes(evil(mark)), `${mark} is not shown as it is`)
    assert.ok(!/[\u001b\u202e]/.test(said), 'what steers a text is left out')
    const counts = await page.evaluate(() => [document.querySelectorAll('img').length, document.scripts.length, document.querySelectorAll('[onerror],[onmouseover],[style]').length, window.hit])
    assert.deepEqual(counts, [1, 1, 0, undefined], 'the page has its own image and its own script')
  })

  it('opens by the keyboard, closes by it, and gives the focus back', async (t) => {
    await node.task('lower')
    await node.task('upper')
    const { page } = await board(t)
    await row(page, 'upper').waitFor()
    for (let tabs = 0; !(await page.evaluate(() => document.activeElement?.closest('#tasks tbody') !== null)); tabs++) {
      assert.ok(tabs < 40, 'no task is reached by Tab')
      await page.keyboard.press('Tab')
    }
    const focused = () => page.evaluate(() => document.activeElement?.closest('tr')?.dataset.open)
    const first = await focused()
    await page.keyboard.press('ArrowDown')
    const second = await focused()
    assert.deepEqual([first, second], ['upper', 'lower'])
    await page.keyboard.press('Enter')
    await panel(page).locator('.below .id', { hasText: second }).waitFor()
    assert.ok(await page.evaluate(() => document.activeElement?.closest('#panel') !== null), 'the focus is in the panel')
    await page.keyboard.press('Escape')
    await panel(page).waitFor({ state: 'detached' })
    assert.equal(await focused(), second)
    await node.task('while-focused')
    await row(page, 'while-focused').waitFor()
    assert.equal(await focused(), second, 'news do not take the focus')
  })

  it('that is deleted is said to be gone', async (t) => {
    await node.task('fleeting')
    const { page } = await board(t, { expected: [REFUSED] })
    await openTask(page, 'fleeting')
    await node.call('DELETE', '/tasks/fleeting', undefined, 200)
    await panel(page).locator('.head .error', { hasText: "'fleeting' not found" }).waitFor()
  })
})

describe('the page', () => {
  it('lets nothing write markup, even if it tried', async (t) => {
    const { page } = await board(t, { expected: [/policy: require-trusted-types-for/, /Trusted(HTML|Script)/, /policy: script-src/, /Content Security Policy/] })
    const tried = await page.evaluate(() => {
      const outcome = (attempt) => { try { attempt(); return 'done' } catch (error) { return error.name } }
      const inline = document.createElement('script')
      return [outcome(() => { document.body.innerHTML = '<b>x</b>' }), outcome(() => { inline.textContent = 'window.hit = 1'; document.body.append(inline) }), window.hit]
    })
    assert.deepEqual([tried[0], tried[2]], ['TypeError', undefined])
  })

  it('stands in no other page\'s frame', async (t) => {
    const watched = await Watched.open(t, browser, { expected: [/frame-ancestors|Framing|policy: frame/i, REFUSED, /ERR_BLOCKED/] })
    const { page } = watched
    await page.route(`${node.url}/frame`, (route) => route.fulfill({ contentType: 'text/html', body: `<iframe src="${node.url}/"></iframe>` }))
    await page.goto(`${node.url}/frame`)
    await until(() => page.frames().length === 2)
    await until(() => watched.complaints.some((text) => /frame-ancestors|Framing/i.test(text)))
    assert.equal(await page.frames()[1].locator('#sign-in').count().catch(() => 0), 0)
  })
})
