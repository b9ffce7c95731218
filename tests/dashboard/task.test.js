// One task: what is shown of it, and what is done to it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { AWAY, REFUSED, board, node, openTask, panel, row, text } from './support/board.js'
import { until } from './support/node.js'

describe('a task', () => {
  it('shows what it says, what was tried and what happened', async (t) => {
    await node.submitted('told', { title: 'Told', content: 'First line\n  second line' })
    const {
      attempts: [{ attempt }],
    } = await node.get('/tasks/told/attempts')
    const lines = Array.from({ length: 700 }, (_, at) => `line ${at}`)
    node.log('told', attempt, `${lines.join('\n')}\n`)
    await node.post('/messages', { task_id: 'told', from_actor: 'ada', type: 'comment', content: 'Looks fine' })
    const { page } = await board(t)
    await openTask(page, 'told')
    assert.equal(await panel(page).locator('.body').textContent(), 'First line\n  second line')
    const said = await text(panel(page))
    for (const part of [attempt, 'worker', '2 commits', '7 turns', 'submitted', 'Looks fine', 'ada', 'created', 'claimed'])
      assert.ok(said.includes(part), `${part} is not in ${said}`)
    await panel(page).getByText('Log', { exact: true }).click()
    const log = panel(page).getByLabel('Log')
    await log.getByText('line 699').waitFor()
    const shown = await log.textContent()
    assert.ok(shown.startsWith('… 200 earlier lines\nline 200\n') && shown.endsWith('line 699\n'), shown.slice(0, 60))
  })

  it('shows what its attempt changed', async (t) => {
    await node.submitted('changed')
    const {
      attempts: [{ branch }],
    } = await node.get('/tasks/changed/attempts')
    node.commit(branch, { 'greeting.txt': 'hello <b>you</b>\n' })
    const { page } = await board(t)
    await openTask(page, 'changed')
    await panel(page).getByText('Changes', { exact: true }).click()
    await panel(page).getByLabel('Changes').locator('.added', { hasText: '+hello <b>you</b>' }).waitFor()
  })

  it('shows a long patch from its beginning, and where the node has cut it', async (t) => {
    await node.submitted('vast')
    const {
      attempts: [{ branch }],
    } = await node.get('/tasks/vast/attempts')
    const lines = Array.from({ length: 700 }, (_, at) => `line ${at}`)
    const large = `${'x'.repeat(99_999)}\n`.repeat(9)
    const others = Array.from({ length: 6 }, (_, at) => [`large-${at}.txt`, large])
    node.commit(branch, Object.fromEntries([['a.txt', `${lines.join('\n')}\n`], ...others]))
    const { page } = await board(t)
    await openTask(page, 'vast')
    await panel(page).getByText('Changes', { exact: true }).click()
    const shown = panel(page).getByLabel('Changes').locator('span')
    const more = panel(page).getByRole('button', { name: /^Show more: \d+ lines are left$/ })
    await more.waitFor()
    assert.equal(await shown.count(), 500)
    assert.match(await shown.first().textContent(), /^diff --git/)
    await more.click()
    await until(async () => (await shown.count()) > 700)
    assert.match(await shown.last().textContent(), /^… cut after 4 MiB: git diff [0-9a-f]{40} [0-9a-f]{40} shows all\n$/)
    assert.ok(await more.isHidden())
  })

  it('shows the latest of many messages, and how many were before', async (t) => {
    await node.task('discussed')
    const say = (number) => node.post('/messages', { task_id: 'discussed', from_actor: 'ada', type: 'comment', content: `message ${number}.` })
    for (let number = 1; number <= 53; number++) await say(number)
    const { page } = await board(t)
    await openTask(page, 'discussed')
    await panel(page).getByText('message 53.').waitFor()
    const said = await text(panel(page).locator('.messages'))
    assert.ok(said.includes('… 3 earlier messages') && said.includes('message 4.') && !said.includes('message 3.'), said)
    await say(54)
    await panel(page).getByText('message 54.').waitFor()
    await panel(page).getByText('… 4 earlier messages').waitFor()
  })

  it('says that a log broke off, and reads it again', async (t) => {
    await node.claimed('breaking')
    const {
      attempts: [{ attempt }],
    } = await node.get('/tasks/breaking/attempts')
    node.log('breaking', attempt, 'first words\n')
    const { page } = await board(t)
    await page.evaluate(() => {
      const whole = window.fetch
      window.fetch = (path, request) => {
        if (!String(path).includes('/log')) return whole(path, request)
        window.fetch = whole
        const parts = [new TextEncoder().encode('half a log\n')]
        const pull = (stream) => (parts.length > 0 ? stream.enqueue(parts.pop()) : stream.error(new Error('cut off')))
        return Promise.resolve(new Response(new ReadableStream({ pull }, { highWaterMark: 0 })))
      }
    })
    await openTask(page, 'breaking')
    await panel(page).getByText('Log', { exact: true }).click()
    await panel(page).getByText('broke off').waitFor()
    assert.equal(await panel(page).getByLabel('Log').textContent(), 'half a log\n')
    await panel(page).getByRole('button', { name: 'Read again' }).click()
    await panel(page).getByLabel('Log').getByText('first words').waitFor()
    await panel(page).getByText('live', { exact: true }).waitFor()
  })

  it('shows what its agent writes, as it writes it', async (t) => {
    await node.claimed('writing')
    const {
      attempts: [{ attempt }],
    } = await node.get('/tasks/writing/attempts')
    node.log('writing', attempt, 'first words\n')
    const { page } = await board(t)
    await openTask(page, 'writing')
    await panel(page).getByText('Log', { exact: true }).click()
    const log = panel(page).getByLabel('Log')
    await log.getByText('first words').waitFor()
    node.log('writing', attempt, 'more words\n')
    await log.getByText('more words').waitFor()
    assert.equal(await log.textContent(), 'first words\nmore words\n')
  })

  it('is accepted, as everybody sees', async (t) => {
    await node.submitted('good')
    const { page, requests } = await board(t)
    await openTask(page, 'good')
    await panel(page).getByRole('button', { name: 'Accept' }).click()
    await panel(page).locator('.below .queue[data-queue=done]').waitFor()
    assert.equal((await node.get('/tasks/good')).queue, 'done')
    assert.ok(await panel(page).getByRole('button', { name: 'Accept' }).isHidden(), 'nothing more is to be judged')
    await page.locator('#panel-said', { hasText: 'good: accepted' }).waitFor({ state: 'attached' })
    await page.locator('#said', { hasText: 'good: accepted' }).waitFor({ state: 'attached' })
    assert.equal(await page.evaluate(() => document.activeElement.id), 'panel-title', 'the focus is not lost with the button')
    const sent = requests.find((request) => request.url().includes('/good/accept')).headers()
    assert.match(sent['if-match'], /^"\d+-[0-9a-f]{8}"$/, 'two nodes may count the same and know different things')
  })

  it('that is worked on is accepted when somebody is sure', async (t) => {
    await node.claimed('early')
    const { page } = await board(t)
    await openTask(page, 'early')
    await panel(page).getByRole('button', { name: 'Accept' }).click()
    await panel(page).getByText('worker still works on it. Accept it as it is now?').waitFor()
    assert.equal((await node.get('/tasks/early')).queue, 'claimed')
    await page.keyboard.press('Enter')
    await panel(page).locator('.below .queue[data-queue=done]').waitFor()
  })

  it('is not requeued past its flow', async (t) => {
    const transitions = [
      { from: 'incoming', to: 'claimed' },
      { from: 'claimed', to: 'provisional' },
      { from: 'provisional', to: 'done' },
    ]
    const states = ['incoming', 'claimed', 'provisional', 'done', 'failed']
    const { scope } = await node.task('guarded-first', { queue: 'backlog' })
    await node.call('PUT', '/flows/guarded', { scope, states, transitions }, 200)
    await node.submitted('guarded', { flow: 'guarded' })
    const { page } = await board(t, { expected: [REFUSED] })
    await openTask(page, 'guarded')
    await panel(page).getByRole('button', { name: 'Requeue…' }).click()
    await panel(page).getByRole('button', { name: 'Requeue', exact: true }).click()
    await panel(page).getByRole('alert').filter({ hasText: "Cannot requeue task 'guarded' from 'provisional'" }).waitFor()
    assert.equal((await node.get('/tasks/guarded')).queue, 'provisional')
  })

  it('is requeued from where the built-in rules lead nowhere', async (t) => {
    await node.task('stuck')
    await node.post('/tasks/stuck/force-queue', { queue: 'failed', reason: 'it broke' })
    const { page } = await board(t)
    await openTask(page, 'stuck')
    await panel(page).getByRole('button', { name: 'Requeue…' }).click()
    await panel(page).getByRole('button', { name: 'Requeue', exact: true }).click()
    await panel(page).locator('.below .queue[data-queue=incoming]').waitFor()
  })

  it('is judged as it was when somebody began, or looked at again', async (t) => {
    await node.submitted('reworded', { title: 'First title' })
    const { page } = await board(t)
    await openTask(page, 'reworded')
    await panel(page).getByRole('button', { name: 'Reject…' }).click()
    await panel(page).getByLabel('What is missing?').fill('The title is wrong.')
    await node.call('PATCH', '/tasks/reworded', { title: 'Second title' }, 200)
    const said = panel(page).getByRole('alert')
    await said.filter({ hasText: 'has changed since you began' }).waitFor()
    const send = panel(page).getByRole('button', { name: 'Reject', exact: true })
    await send.click()
    await said.filter({ hasText: 'press Reject once more' }).waitFor()
    assert.equal((await node.get('/tasks/reworded')).queue, 'provisional')
    await send.click()
    await panel(page).locator('.below .queue[data-queue=incoming]').waitFor()
  })

  it('stays open while a reason is typed, and where a click or a selection ends in its panel', async (t) => {
    await node.submitted('wordy')
    const { page } = await board(t)
    await openTask(page, 'wordy')
    const { x, y, height } = await page.locator('#panel').boundingBox()
    const heading = await panel(page).getByRole('heading', { level: 2 }).boundingBox()
    const isOpen = () => page.locator('#panel[open]').count()
    await page.mouse.click(x + 5, y + height / 2)
    assert.equal(await isOpen(), 1, 'its own edge is part of it')
    await page.mouse.move(heading.x + 20, heading.y + 10)
    await page.mouse.down()
    await page.mouse.move(x - 30, heading.y + 10)
    await page.mouse.up()
    assert.equal(await isOpen(), 1, 'a selection may end beside it')
    await panel(page).getByRole('button', { name: 'Reject…' }).click()
    await panel(page).getByLabel('What is missing?').fill('Many words')
    await page.mouse.click(x - 50, y + 50)
    await panel(page).getByRole('alert').filter({ hasText: 'Your reason is not sent yet' }).waitFor()
    await page.keyboard.press('Escape')
    assert.equal(await panel(page).getByLabel('What is missing?').inputValue(), 'Many words')
    assert.equal(await isOpen(), 1, 'what is typed is not lost')
    await panel(page).getByRole('button', { name: 'Back' }).click()
    await page.mouse.click(x - 50, y + 50)
    await panel(page).waitFor({ state: 'detached' })
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
    assert.ok(
      messages.some(({ content }) => content.includes('The tests are missing.')),
      JSON.stringify(messages),
    )
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

  it("shows a refusal in the node's words, and what was typed stays", async (t) => {
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
    const {
      attempts: [{ attempt }],
    } = await node.get('/tasks/hostile/attempts')
    node.log('hostile', attempt, `${evil('log')}\n\u001b[31mred\u202egnp\n`)
    await node.post('/messages', { task_id: 'hostile', from_actor: evil('actor').slice(0, 100), type: 'comment', content: evil('message') })
    await node.post('/tasks/hostile/reject', { rejected_by: evil('judge').slice(0, 100), reason: evil('reason') })
    await node.call(
      'PATCH',
      '/tasks/hostile',
      { pr_url: 'https://example.com/"onmouseover="window.hit=1', execution_notes: evil('notes') },
      200,
    )
    const { page } = await board(t)
    assert.equal(await row(page, 'hostile').getByRole('button').textContent(), evil('title'))
    await openTask(page, 'hostile')
    await panel(page).getByText('Log', { exact: true }).click()
    await panel(page).getByLabel('Log').getByText("window.hit='log'").waitFor()
    const said = await panel(page).textContent()
    for (const mark of ['title', 'content', 'message', 'reason', 'log', 'notes'])
      assert.ok(said.includes(evil(mark)), `${mark} is not shown as it is`)
    assert.ok(!/[\u001b\u202e]/.test(said), 'what steers a text is left out')
    const counts = await page.evaluate(() => [
      document.querySelectorAll('img').length,
      document.scripts.length,
      document.querySelectorAll('[onerror],[onmouseover],[style]').length,
      window.hit,
    ])
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
