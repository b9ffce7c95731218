// Creates tasks from a file of issues, each of them once however often it runs: node from-external-source.mjs issues.json
// The file is a list such as `gh issue list --json number,title,body,labels` prints.
import { readFile } from 'node:fs/promises'

import { OctopoidConflictError, OctopoidSDK } from 'octopoid-sdk'

const file = process.argv[2] ?? new URL('issues.json', import.meta.url)
/** @type {{ number: number, title: string, body: string, labels: { name: string }[] }[]} */
const issues = JSON.parse(await readFile(file, 'utf8'))

const sdk = new OctopoidSDK()
for (const { number, title, body, labels } of issues) {
  const id = `issue-${number}`
  const names = labels.map(({ name }) => name)
  try {
    await sdk.tasks.create({
      id,
      file_path: `tasks/incoming/TASK-${id}.md`,
      title,
      content: body,
      role: names.includes('documentation') ? 'docs' : 'implement',
      priority: names.includes('urgent') ? 'P0' : 'P2',
    })
    console.log(`created ${id}`)
  } catch (error) {
    if (!(error instanceof OctopoidConflictError)) throw error
    console.log(`kept ${id}`)
  }
}
