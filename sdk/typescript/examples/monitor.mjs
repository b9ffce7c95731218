// Tells how a node is and what happens there, until it is interrupted: node monitor.mjs, or once: node monitor.mjs --once
import { OctopoidSDK } from 'octopoid-sdk'

const sdk = new OctopoidSDK()
const { status, node, mode } = await sdk.system.healthCheck()
console.log(`${node} (${mode}) is ${status}`)

const { queue_counts } = await sdk.system.poll()
for (const [queue, count] of Object.entries(queue_counts)) console.log(`${String(count).padStart(5)}  ${queue}`)

const waiting = await sdk.tasks.list({ needs_intervention: true })
for (const { id, title } of waiting) console.log(`a person is asked for: ${id}  ${title}`)

if (!process.argv.includes('--once')) {
  for await (const { timestamp, type, task_id, queue } of sdk.events()) console.log(timestamp, type, task_id ?? '', queue ?? '')
}
