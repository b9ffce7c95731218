/** A real node in a scratch folder. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RunningNode {
  url: string
  apiKey: string
  /** The project's folder. */
  folder: string
  /** Ends the node and starts it anew, at another port. */
  restart(): Promise<void>
  /** Ends the node without a word, so that its files stay. */
  kill(): Promise<void>
  stop(): Promise<void>
}

const PATIENCE_MS = 30_000

/** Makes a project, with a line for the section `api` of its settings, and starts its node. */
export async function startNode(api?: string): Promise<RunningNode> {
  const binary = process.env['OCTOPOID_BIN']
  if (binary === undefined) throw new Error('OCTOPOID_BIN must name the octopoid program')
  const scratch = mkdtempSync(join(tmpdir(), 'octopoid-sdk-'))
  const folder = join(scratch, 'project')
  const home = join(scratch, 'home')
  mkdirSync(folder)
  mkdirSync(home)
  const env = { PATH: process.env['PATH'], HOME: home, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', LANG: 'C.UTF-8' }
  const run = (program: string, ...args: string[]) => {
    const { status, stderr, error } = spawnSync(program, args, { cwd: folder, env, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`)
  }
  run('git', 'init', '--quiet', '--initial-branch=main')
  run('git', '-c', 'user.name=Test', '-c', 'user.email=test@example.com', 'commit', '--quiet', '--allow-empty', '-m', 'first')
  run(binary, 'init', '--api-port', '0')
  if (api !== undefined) appendFileSync(join(folder, '.octopoid/config.yaml'), `api:\n  ${api}\n`)

  let child: ChildProcess | undefined
  const node: RunningNode = { url: '', apiKey: '', folder, restart, kill: () => end('SIGKILL'), stop }
  async function start(): Promise<void> {
    const file = join(folder, '.octopoid/runtime/node.json')
    rmSync(file, { force: true })
    child = spawn(binary as string, ['start', '--no-agents'], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
    await until(() => {
      if (child?.exitCode != null) throw new Error(`the node ended: ${said}`)
      return existsSync(file)
    })
    node.url = (JSON.parse(readFileSync(file, 'utf8')) as { api_url: string }).api_url
    node.apiKey = readFileSync(join(folder, '.octopoid/runtime/api.token'), 'utf8').trim()
  }
  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ended = child
    child = undefined
    if (ended === undefined || ended.exitCode !== null) return
    const gone = new Promise((resolve) => ended.once('exit', resolve))
    ended.kill(signal)
    await gone
  }
  async function restart(): Promise<void> {
    await end('SIGTERM')
    await start()
  }
  async function stop(): Promise<void> {
    await end('SIGTERM')
    rmSync(scratch, { recursive: true, force: true })
  }
  await start()
  return node
}

/** Waits for a condition. */
export async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !condition(); ) {
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${condition}`)
    await sleep(20)
  }
}
