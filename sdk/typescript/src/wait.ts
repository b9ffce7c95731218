/** Waits until a task is where it should be. */

import { OctopoidError, OctopoidTimeoutError } from './errors.js'
import type { Task } from './models.js'
import { sleep } from './retry.js'

/** How a wait ends without its result. */
export interface WaitOptions {
  /** How long to wait at most, in milliseconds; for ever by default. */
  timeoutMs?: number | undefined
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal | undefined
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000
/** Only a person takes a task out of these queues. */
const ENDS = ['done', 'cancelled', 'failed']

/** Looks at a task until its queue is one of those wanted. A queue that it leaves within the two seconds between looks may be missed. */
export async function waitFor(
  get: (id: string) => Promise<Task | null>, id: string, queues: readonly string[], options: WaitOptions,
): Promise<Task> {
  const end = options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    const task = await get(id)
    if (task === null) throw new OctopoidError(`task ${id} is not there`)
    if (queues.includes(task.queue)) return task
    const wanted = queues.join(' or ')
    if (ENDS.includes(task.queue)) throw new OctopoidError(`task ${id} is in ${task.queue} and will not be in ${wanted}`)
    const left = end - Date.now()
    if (left <= 0) throw new OctopoidTimeoutError(`task ${id} is still in ${task.queue} after ${options.timeoutMs} ms`)
    await sleep(Math.min(pause, left), options.signal)
  }
}
