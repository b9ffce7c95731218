// Writes src/schema.ts, the types of everything that goes over the wire, from ../openapi.json.
// `--check` writes nothing and fails when the file is not what the description says.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const target = join(root, 'src/schema.ts')

const description = JSON.parse(readFileSync(join(root, '../openapi.json'), 'utf8'))
// Calls are written by hand in src/resources; only the shapes are generated.
description.paths = {}
const types = astToString(await openapiTS(description))
const text = `// Written by scripts/generate.mjs from ../openapi.json: run \`npm run generate\`, do not edit.\n\n${types}`

if (!process.argv.includes('--check')) {
  writeFileSync(target, text)
} else if (readFileSync(target, 'utf8') !== text) {
  console.error('src/schema.ts is not what ../openapi.json says: run `npm run generate`')
  process.exit(1)
}
