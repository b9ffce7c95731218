/** Finds the node of the nearest `.octopoid` folder, where there is a file system. */

import { readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import process from 'node:process'

import type { LocalNode, Platform } from './project.js'

/** node.json holds four short fields, api.token one. */
const LARGEST = 64 * 1024

export const files: Platform = {
  env(name) {
    // Deno asks for a permission, and may be told no.
    return quietly(() => process.env[name]) || undefined
  },
  localNode(folder) {
    const start = folder ?? quietly(() => process.cwd())
    if (start === undefined) return undefined
    const runtime = findRuntime(start, folder === undefined ? this.env('OCTOPOID_DIR') : undefined)
    return runtime === undefined ? undefined : readNode(runtime)
  },
}

/** Finds the `runtime` folder of the project that a folder belongs to, as the commands do. */
function findRuntime(start: string, named: string | undefined): string | undefined {
  if (named !== undefined) {
    const folder = resolve(start, named)
    const candidates = basename(folder) === '.octopoid' ? [folder] : []
    return [...candidates, join(folder, '.octopoid')].map((dir) => join(dir, 'runtime')).find(isFolder)
  }
  let at = quietly(() => realpathSync(start))
  while (at !== undefined) {
    const runtime = join(at, '.octopoid', 'runtime')
    if (isFolder(runtime)) return runtime
    const above = dirname(at)
    at = above === at ? undefined : above
  }
  return undefined
}

function readNode(runtime: string): LocalNode | undefined {
  const text = readSmall(join(runtime, 'node.json'))
  const apiKey = readSmall(join(runtime, 'api.token'))?.trim()
  const node = text === undefined ? undefined : quietly(() => JSON.parse(text) as Record<string, unknown>)
  if (!apiKey || typeof node !== 'object' || node === null) return undefined
  const { api_url: url, pid, machine_id: machineId } = node
  if (typeof url !== 'string' || typeof pid !== 'number' || !lives(pid)) return undefined
  return { url, apiKey, machineId: typeof machineId === 'string' ? machineId : '' }
}

/** Tells whether a process is there: a file left by a killed node may name a port that is now another's. */
function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function isFolder(path: string): boolean {
  return quietly(() => statSync(path).isDirectory()) ?? false
}

function readSmall(path: string): string | undefined {
  return quietly(() => (statSync(path).size > LARGEST ? undefined : readFileSync(path, 'utf8')))
}

function quietly<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
