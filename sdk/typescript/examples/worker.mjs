// Works on one task with a program of yours: node worker.mjs ROLE PROGRAM [ARGUMENT…]
// The program gets the task's text as its input; when it fails, the task is given back.
import { spawn } from 'node:child_process'
import { hostname } from 'node:os'

import { OctopoidSDK } from 'octopoid-sdk'

const [role_filter, program, ...args] = process.argv.slice(2)
if (role_filter === undefined || program === undefined) throw new Error('usage: node worker.mjs ROLE PROGRAM [ARGUMENT…]')

const sdk = new OctopoidSDK()
const agent_name = `worker-${process.pid}`
const lease_duration_seconds = 300
const task = await sdk.tasks.claim({ orchestrator_id: `scripts-${hostname()}`, agent_name, role_filter, lease_duration_seconds })
if (task === null) {
  console.log('nothing waits')
} else {
  const holder = { agent_name, epoch: task.epoch }
  const renewal = setInterval(() => {
    sdk.tasks.renew(task.id, { ...holder, lease_duration_seconds }).catch((error) => console.error(`not renewed: ${error.message}`))
  }, (lease_duration_seconds * 1000) / 5)
  const child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'] })
  // A program that does not read its task may end before all of it is written.
  child.stdin.on('error', () => {})
  child.stdin.end(`${task.title}\n\n${task.content ?? ''}\n`)
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve))
  clearInterval(renewal)
  if (code === 0) {
    await sdk.tasks.submit(task.id, { ...holder, commits_count: 0, turns_used: 1 })
    console.log(`submitted ${task.id}`)
  } else {
    await sdk.tasks.release(task.id, { ...holder, reason: `${program} ended with ${code}` })
    console.log(`gave ${task.id} back`)
  }
}
