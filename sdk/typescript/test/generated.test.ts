/** What is generated is what the API's description says. */

import { it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { run } from './support/command.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('the shapes are those of openapi.json', () => run(process.execPath, ['scripts/generate.mjs', '--check'], { cwd: root }))
