// Accepts what agents with the role docs submitted, as long as they committed something.
import { OctopoidConflictError, OctopoidSDK } from 'octopoid-sdk'

const sdk = new OctopoidSDK()
for (const task of await sdk.tasks.list({ queue: 'provisional', role: 'docs', limit: 500 })) {
  if (task.commits_count === 0) continue
  try {
    await sdk.tasks.accept(task.id, { accepted_by: 'auto-approve' })
    console.log(`accepted ${task.id}`)
  } catch (error) {
    // Somebody was faster, or rejected it.
    if (!(error instanceof OctopoidConflictError)) throw error
    console.log(`left ${task.id}: ${error.message}`)
  }
}
