// A real browser that watches itself: whatever it complains of, and whatever leaves for another host, fails the test.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

import { until } from './node.js'

// `.ci/dashboard` looks at the same ones.
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export function launch() {
  const executablePath = process.env.CHROMIUM_BIN ?? PATHS.find((path) => existsSync(path))
  assert.ok(executablePath, 'no Chromium is installed: apt-get install chromium, or set CHROMIUM_BIN')
  // Its own sandbox needs rights that a container's root has not; the pages are the project's own.
  return chromium.launch({ executablePath, chromiumSandbox: process.getuid() !== 0 })
}

/** A page that must have nothing to complain of but what is expected. */
export class Watched {
  complaints = []
  requests = []
  #answered = new Set()

  /** Opens a page that ends with its test. `expected` are complaints that belong to the test, such as a refused call. */
  static async open(t, browser, { expected = [], ...options } = {}) {
    const watched = new Watched()
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options })
    context.setDefaultTimeout(30_000)
    const page = (watched.page = await context.newPage())
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && watched.complaints.push(message.text()))
    page.on('pageerror', (error) => watched.complaints.push(`uncaught: ${error.message}`))
    page.on('request', (request) => watched.requests.push(request))
    for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => watched.#answered.add(request))
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))
    })
    t.after(async () => {
      await context.close()
      const unexpected = watched.complaints.filter((text) => !expected.some((pattern) => pattern.test(text)))
      assert.deepEqual(unexpected, [], 'the browser complained')
      const hosts = new Set(watched.requests.map((request) => new URL(request.url()).origin))
      assert.ok(hosts.size <= 1, `requests went to ${[...hosts].join(', ')}`)
      for (const request of watched.requests) assert.ok(!request.url().includes('oct_'), `a token was sent in ${request.url()}`)
    })
    return watched
  }

  /** Waits until every call is answered; the stream of events goes on. */
  settled() {
    return until(() => this.requests.every((request) => this.#answered.has(request) || request.url().endsWith('/api/v1/events')))
  }

  /** The requests for a path such as `/api/v1/tasks`. */
  asked(path) {
    return this.requests.filter((request) => new URL(request.url()).pathname === path)
  }
}
