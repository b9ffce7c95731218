// A real node in a scratch repository, always at the same port, so that a page finds it again.

import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MS = 30_000
/** A node that has been told to end does so within this, or is ended. */
const FAREWELL_MS = 10_000

export class RunningNode {
  #binary = process.env.OCTOPOID_BIN
  #scratch = mkdtempSync(join(tmpdir(), 'octopoid-dashboard-'))
  #child

  /** Starts a node of a repository of its own, or of a clone of another node's, with which it shares a cluster. */
  static async start({ joins, name = 'desk', config = '' } = {}) {
    if (process.env.OCTOPOID_BIN === undefined) throw new Error('OCTOPOID_BIN must name the octopoid program')
    const node = new RunningNode()
    node.folder = join(node.#scratch, 'project')
    node.env = {
      PATH: process.env.PATH,
      HOME: join(node.#scratch, 'home'),
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_SYSTEM: '/dev/null',
      LANG: 'C.UTF-8',
    }
    try {
      await node.#begin(name, joins, config)
    } catch (error) {
      await node.stop()
      throw error
    }
    return node
  }

  async #begin(name, joins, config) {
    mkdirSync(this.folder)
    mkdirSync(this.env.HOME)
    const init = ['init', '--api-port', String(await freePort()), '--machine-id', name]
    if (joins === undefined) {
      this.run('git', ['init', '--quiet', '--initial-branch=main'])
      this.run('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', 'commit', '--quiet', '--allow-empty', '-m', 'first'])
      this.octopoid(...init)
    } else {
      this.run('git', ['clone', '--quiet', joins.folder, '.'])
      this.octopoid(...init, '--join', joins.octopoid('invite').trim())
    }
    // Nodes of other tests on this machine are nothing to it.
    appendFileSync(join(this.folder, '.octopoid/config.yaml'), '\nnetwork:\n  listen: [/ip4/127.0.0.1/tcp/0]\n  mdns: false\n' + config)
    await this.resume()
  }

  run(program, args, input = '') {
    const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: this.folder, env: this.env, encoding: 'utf8', input })
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`)
    return stdout
  }

  octopoid(...args) {
    return this.run(this.#binary, args)
  }

  get token() {
    return readFileSync(join(this.folder, '.octopoid/runtime/api.token'), 'utf8').trim()
  }

  /** Starts it, or starts it again. */
  async resume() {
    const file = join(this.folder, '.octopoid/runtime/node.json')
    rmSync(file, { force: true })
    this.#child = spawn(this.#binary, ['start', '--no-agents'], { cwd: this.folder, env: this.env, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (said += text))
    await until(() => {
      if (this.#ended) throw new Error(`the node ended: ${said}`)
      return existsSync(file)
    })
    this.url = JSON.parse(readFileSync(file, 'utf8')).api_url
  }

  get #ended() {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Ends it; its folder stays. */
  async halt() {
    if (this.#ended) return
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), FAREWELL_MS)
    await gone
    clearTimeout(late)
  }

  async stop() {
    await this.halt()
    rmSync(this.#scratch, { recursive: true, force: true })
  }

  /** Calls the API as a script does. */
  async call(method, path, body, status = { POST: undefined, GET: 200 }[method]) {
    const headers = { authorization: `Bearer ${this.token}`, ...(body && { 'content-type': 'application/json' }) }
    const answer = await fetch(`${this.url}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) })
    const text = await answer.text()
    if (status === undefined ? !answer.ok : answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return JSON.parse(text)
  }

  get = (path) => this.call('GET', path)
  post = (path, body) => this.call('POST', path, body)

  task(id, fields = {}) {
    return this.post('/tasks', { id, file_path: `${id}.md`, ...fields })
  }

  /** Makes a task that waits for a verdict. Whatever was claimable before must be gone by then. */
  async submitted(id, fields = {}) {
    await this.claimed(id, fields)
    return this.post(`/tasks/${id}/submit`, { commits_count: 2, turns_used: 7, agent_name: 'worker' })
  }

  /** Makes a task that an agent works on: a role of its own lets nobody take another one. */
  async claimed(id, fields = {}) {
    await this.task(id, { type: id, ...fields })
    const { id: got } = await this.post('/tasks/claim', {
      orchestrator_id: 'c-m',
      agent_name: 'worker',
      type_filter: id,
      lease_duration_seconds: 3600,
    })
    if (got !== id) throw new Error(`${got} was claimed instead of ${id}`)
  }

  /** Commits files, texts by their names, to a branch that begins at `main`, without a checkout. */
  commit(branch, files) {
    const git = (input, ...args) => this.run('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args], input).trim()
    const entry = ([file, text]) => `100644 blob ${git(text, 'hash-object', '-w', '--stdin')}\t${file}\n`
    const tree = git(Object.entries(files).map(entry).join(''), 'mktree')
    git('', 'update-ref', `refs/heads/${branch}`, git('work', 'commit-tree', tree, '-p', 'main'))
  }

  /** Writes on in what an agent prints. */
  log(id, attempt, text) {
    const folder = join(this.folder, '.octopoid/logs/tasks', id, attempt)
    mkdirSync(folder, { recursive: true })
    appendFileSync(join(folder, 'stdout.log'), text)
  }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Waits for a condition. */
export async function until(condition) {
  for (const end = Date.now() + PATIENCE_MS; !(await condition());) {
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${condition}`)
    await sleep(20)
  }
}
