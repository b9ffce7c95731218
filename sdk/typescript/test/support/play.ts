/** Plays the cases that need no proxy at a node, and prints how each ended: for a process of its own. Its arguments: address, key, folder. */

import { OctopoidSDK } from 'octopoid-sdk'
import { plain, play } from './table.js'

// Not by the environment, nor by the folder that this runs in: a client that is given no key would take one from there.
const [url = '', apiKey = '', projectDir = ''] = process.argv.slice(2)
const failed: Record<string, string> = {}
for (const one of plain) await play(one, { url, apiKey }).catch((error: unknown) => (failed[one.name] = String(error)))
await new OctopoidSDK({ projectDir }).tasks.list().catch((error: unknown) => (failed['by the folder'] = String(error)))
console.log(JSON.stringify({ played: plain.length, failed }))
