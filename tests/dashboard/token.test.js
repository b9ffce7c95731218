// Who gets in, and what the page lets happen to itself.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { REFUSED, board, browser, live, node, row, rows, text } from './support/board.js'
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

describe('the page', () => {
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
