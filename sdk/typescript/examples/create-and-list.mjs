// Creates a task and lists what waits: node create-and-list.mjs "Add user authentication"
import { OctopoidSDK } from 'octopoid-sdk'

const title = process.argv[2] ?? 'Add user authentication'
const id = `${title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 40)}-${Date.now().toString(36)}`

const sdk = new OctopoidSDK()
const task = await sdk.tasks.create({ id, file_path: `tasks/incoming/TASK-${id}.md`, title, priority: 'P1' })
console.log(`created ${task.id}`)

for (const { id, priority, title } of await sdk.tasks.list({ queue: 'incoming', sort: 'priority' })) {
  console.log(`${priority}  ${id}  ${title}`)
}
