// Prints what the last 24 hours brought, as Markdown.
import { OctopoidSDK } from 'octopoid-sdk'

const sdk = new OctopoidSDK()
const since = new Date(Date.now() - 24 * 60 * 60 * 1000).toISOString()

/** @type {Map<string, string[]>} */
const done = new Map()
let turns = 0
for await (const { id, title, role, completed_at, turns_used } of sdk.tasks.iterate({ queue: 'done' })) {
  if (completed_at === null || completed_at < since) continue
  const name = role ?? 'any role'
  done.set(name, [...(done.get(name) ?? []), `- ${title} (\`${id}\`)`])
  turns += turns_used ?? 0
}
const stuck = await sdk.tasks.list({ queue: ['failed', 'needs_continuation'], limit: 500 })

console.log(`# ${new Date().toISOString().slice(0, 10)}`)
for (const [role, lines] of done) console.log(`\n## Done: ${role}\n\n${lines.join('\n')}`)
if (stuck.length > 0) console.log(`\n## Stuck\n\n${stuck.map(({ id, title, queue }) => `- ${title} (\`${id}\`, ${queue})`).join('\n')}`)
console.log(`\n${[...done.values()].flat().length} tasks done in ${turns} turns, ${stuck.length} stuck.`)
