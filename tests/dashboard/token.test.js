// Who gets in, and what the page lets happen to itself.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { AWAY, REFUSED, board, browser, live, node, openTask, panel, row, rows, text } from './support/board.js'
import { Watched } from './support/browser.js'
import { RunningNode, until } from './support/node.js'

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

  it("is told to be wrong in the node's words", async (t) => {
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

  it('that is forgotten while something is read leaves nothing behind', async (t) => {
    await node.task('secret-plan', { title: 'Secret plan' })
    const { page } = await board(t, { expected: [AWAY] })
    await openTask(page, 'secret-plan')
    await page.keyboard.press('Escape')
    const held = holdBack(page, '**/api/v1/tasks?*')
    await node.task('another')
    const letGo = await held
    await page.getByRole('button', { name: 'Forget token' }).click()
    await page.locator('#sign-in').waitFor()
    await letGo()
    // What was read meanwhile has had the time to be shown when another question is answered.
    await page.evaluate(() => fetch('/api/health').then((answer) => answer.text()))
    assert.ok(await page.locator('#board').isHidden(), 'the board is back')
    const left = await page.evaluate(() => document.documentElement.textContent)
    assert.ok(!/Secret plan|secret-plan|another|desk/.test(left), left)
    assert.equal(await page.title(), 'Octopoid')
  })

  it('of another reader is not overtaken by what the one before has asked for', async (t) => {
    const registered = { cluster: 'c', machine_id: 'm', repo_url: 'r', scope: 'elsewhere' }
    const { api_key: key } = await node.post('/orchestrators/register', registered)
    await node.task('of-elsewhere', { scope: 'elsewhere' })
    const { page } = await board(t, { expected: [AWAY, REFUSED] })
    const held = holdBack(page, '**/api/v1/tasks?*')
    await node.task('of-the-node')
    const letGo = await held
    await page.evaluate((token) => {
      location.hash = `token=${token}`
    }, key)
    await row(page, 'of-elsewhere').waitFor()
    await letGo()
    await page.evaluate(() => fetch('/api/health').then((answer) => answer.text()))
    assert.deepEqual(await rows(page).evaluateAll((all) => all.map(({ dataset }) => dataset.open)), ['of-elsewhere'])
  })

  it('that is wrong does not replace one that is right', async (t) => {
    await node.task('still-there')
    const { page } = await board(t, { expected: [REFUSED] })
    await page.evaluate(() => {
      location.hash = 'token=oct_wrong'
    })
    await page.locator('#connection', { hasText: "the address's token is not taken: the token is unknown" }).waitFor()
    assert.equal(page.url(), `${node.url}/`)
    await page.reload()
    await row(page, 'still-there').waitFor()
  })

  it('is not asked for where the API asks for none', async (t) => {
    const open = await RunningNode.start({ config: 'api:\n  auth: none\n' })
    t.after(() => open.stop())
    await open.task('for-all')
    const { page } = await Watched.open(t, browser)
    await page.goto(open.url)
    await row(page, 'for-all').waitFor()
    assert.ok(await page.locator('#sign-in').isHidden())
    assert.ok(await page.getByRole('button', { name: 'Forget token' }).isHidden())
  })

  it("of one scope shows that scope's tasks, and says what it does not show", async (t) => {
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

/** Keeps the next answer for an address until it is let go; what is asked after it is answered at once. */
async function holdBack(page, address) {
  let told
  const held = new Promise((resolve) => {
    told = resolve
  })
  await page.route(
    address,
    async (route) => {
      const response = await route.fetch()
      told(() => route.fulfill({ response }).catch(() => {}))
    },
    { times: 1 },
  )
  return held
}

describe('the page', () => {
  it('works where the node answers as the last server did', async (t) => {
    const head = await RunningNode.start({ config: 'api:\n  compat: head\n' })
    t.after(() => head.stop())
    const { scope } = await head.call('POST', '/tasks', { id: 'old-ways', file_path: 'a.md', scope: 'default', branch: 'main' })
    assert.equal(scope, 'default')
    const { page } = await Watched.open(t, browser)
    await page.goto(head.octopoid('dashboard').trim())
    await openTask(page, 'old-ways')
    await panel(page).getByRole('button', { name: 'Cancel task…' }).click()
    await panel(page).getByRole('button', { name: 'Cancel task', exact: true }).click()
    await panel(page).locator('.below .queue[data-queue=cancelled]').waitFor()
  })

  it('lets nothing write markup, even if it tried', async (t) => {
    const { page } = await board(t, {
      expected: [/policy: require-trusted-types-for/, /Trusted(HTML|Script)/, /policy: script-src/, /Content Security Policy/],
    })
    const tried = await page.evaluate(() => {
      const outcome = (attempt) => {
        try {
          attempt()
          return 'done'
        } catch (error) {
          return error.name
        }
      }
      const inline = document.createElement('script')
      return [
        outcome(() => {
          document.body.innerHTML = '<b>x</b>'
        }),
        outcome(() => {
          inline.textContent = 'window.hit = 1'
          document.body.append(inline)
        }),
        window.hit,
      ]
    })
    assert.deepEqual([tried[0], tried[2]], ['TypeError', undefined])
  })

  it("stands in no other page's frame", async (t) => {
    const watched = await Watched.open(t, browser, { expected: [/frame-ancestors|Framing|policy: frame/i, REFUSED, /ERR_BLOCKED/] })
    const { page } = watched
    await page.route(`${node.url}/frame`, (route) =>
      route.fulfill({ contentType: 'text/html', body: `<iframe src="${node.url}/"></iframe>` }),
    )
    await page.goto(`${node.url}/frame`)
    await until(() => page.frames().length === 2)
    await until(() => watched.complaints.some((text) => /frame-ancestors|Framing/i.test(text)))
    assert.equal(
      await page
        .frames()[1]
        .locator('#sign-in')
        .count()
        .catch(() => 0),
      0,
    )
  })
})
