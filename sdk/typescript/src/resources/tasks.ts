import { isAbsence, isEmptyQueue } from '../answer.js'
import { patch, path, post, read, remove } from '../call.js'
import type {
  AcceptRequest, AttemptInfo, CancelRequest, ClaimRequest, Deleted, ForceQueueRequest, HistoryEvent, HookCompletion, MergeRequest,
  Message, NewTask, RejectRequest, ReleaseRequest, RenewRequest, RequeueRequest, SubmitRequest, Task, TaskList, TaskPatch,
} from '../models.js'
import type { Transport } from '../transport.js'

/** Which tasks a list holds. Several values of one field mean any of them. */
export interface TaskFilter {
  queue?: string | readonly string[] | undefined
  priority?: string | readonly string[] | undefined
  role?: string | readonly string[] | undefined
  claimed_by?: string | readonly string[] | undefined
  project_id?: string | readonly string[] | undefined
  needs_intervention?: boolean | undefined
  scope?: string | undefined
  /** `priority` gives priority first, then oldest first; the default is newest first. */
  sort?: 'priority' | undefined
  /** How many at most: 50 by default, 500 at most. */
  limit?: number | undefined
  /** How many to skip. */
  offset?: number | undefined
}

/** Which attempt's log is wanted. */
export interface LogFilter {
  /** The attempt's name; the current one by default. */
  attempt?: string | undefined
  /** What the agent's program printed, instead of a line per step. */
  raw?: boolean | undefined
}

/** Which attempt's changes are wanted. */
export interface DiffFilter {
  /** The attempt's name; the current one by default. */
  attempt?: string | undefined
  /** A summary per file instead of the lines. */
  stat?: boolean | undefined
}

const PAGE = 500

/** The queue of tasks. */
export class Tasks {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Makes a task; an id that is taken is an `OctopoidConflictError`. */
  create(task: NewTask): Promise<Task> {
    return this.#transport.json(post(path('tasks'), task))
  }

  /** Shows a task; null when there is none of that id. */
  async get(id: string): Promise<Task | null> {
    return this.#transport.json<Task>(read(path('tasks', id))).catch(nullIfAbsent)
  }

  /** Lists tasks, newest first. */
  async list(filter: TaskFilter = {}): Promise<Task[]> {
    return (await this.page(filter)).tasks
  }

  /** Lists tasks, and tells how many match in all. */
  page(filter: TaskFilter = {}): Promise<TaskList> {
    return this.#transport.json(read(path('tasks'), { ...filter }))
  }

  /** Iterates over all tasks that match, page by page. Tasks that come or go meanwhile may be told twice or not at all. */
  async *iterate(filter: Omit<TaskFilter, 'limit' | 'offset'> = {}): AsyncGenerator<Task, void, void> {
    for (let offset = 0; ; ) {
      const { tasks, total } = await this.page({ ...filter, limit: PAGE, offset })
      yield* tasks
      offset += tasks.length
      if (tasks.length === 0 || offset >= total) return
    }
  }

  /** Changes the fields that it is given. A `version` makes it an `OctopoidConflictError` when the task has changed since. */
  update(id: string, fields: TaskPatch): Promise<Task> {
    return this.#transport.json(patch(path('tasks', id), fields))
  }

  /** Deletes a task; what waited for it waits no more. */
  delete(id: string): Promise<Deleted> {
    return this.#transport.json(remove(path('tasks', id), { message: 'Task deleted', task_id: id }))
  }

  /** Claims the next task that an agent may work on; null when none waits. */
  async claim(request: ClaimRequest): Promise<Task | null> {
    return this.#transport.json<Task>(post(path('tasks', 'claim'), request)).catch((error: unknown) => {
      if (isEmptyQueue(error)) return null
      throw error
    })
  }

  /** Keeps a claim alive. */
  renew(id: string, request: RenewRequest): Promise<Task> {
    return this.#act(id, 'renew', request)
  }

  /** Hands in finished work. */
  submit(id: string, request: Partial<SubmitRequest> = {}): Promise<Task> {
    return this.#act(id, 'submit', { commits_count: 0, turns_used: 0, ...request })
  }

  /** Judges that the work is good. */
  accept(id: string, request: AcceptRequest): Promise<Task> {
    return this.#act(id, 'accept', request)
  }

  /** Judges that the work is not good; the next attempt reads why. */
  reject(id: string, request: RejectRequest): Promise<Task> {
    return this.#act(id, 'reject', request)
  }

  /** Sends a task back to be tried again. */
  requeue(id: string, request: RequeueRequest = {}): Promise<Task> {
    return this.#act(id, 'requeue', request)
  }

  /** Gives a claimed task back. */
  release(id: string, request: ReleaseRequest = {}): Promise<Task> {
    return this.#act(id, 'release', request)
  }

  /** Gives a task up. */
  cancel(id: string, request: CancelRequest = {}): Promise<Task> {
    return this.#act(id, 'cancel', request)
  }

  /** Moves a task past its flow. */
  forceQueue(id: string, request: ForceQueueRequest): Promise<Task> {
    return this.#act(id, 'force-queue', request)
  }

  /** Merges accepted work that awaits it. */
  merge(id: string, request: MergeRequest = {}): Promise<Task> {
    return this.#act(id, 'merge', request)
  }

  /** Reports the end of one of a task's hooks. */
  completeHook(id: string, name: string, request: HookCompletion): Promise<Task> {
    return this.#transport.json(post(path('tasks', id, 'hooks', name, 'complete'), request))
  }

  /** Shows what happened to a task, oldest first. */
  async history(id: string): Promise<HistoryEvent[]> {
    return (await this.#transport.json<{ history: HistoryEvent[] }>(read(path('tasks', id, 'history')))).history
  }

  /** Shows every try at a task. */
  async attempts(id: string): Promise<AttemptInfo[]> {
    return (await this.#transport.json<{ attempts: AttemptInfo[] }>(read(path('tasks', id, 'attempts')))).attempts
  }

  /** Shows what was written about a task, oldest first. */
  async messages(id: string, filter: { type?: string; limit?: number; offset?: number } = {}): Promise<Message[]> {
    return (await this.#transport.json<{ messages: Message[] }>(read(path('tasks', id, 'messages'), filter))).messages
  }

  /** Shows what an attempt's agent did. */
  log(id: string, filter: LogFilter = {}): Promise<string> {
    return this.#transport.text(read(path('tasks', id, 'log'), { ...filter }))
  }

  /** Shows what an attempt changed. */
  diff(id: string, filter: DiffFilter = {}): Promise<string> {
    return this.#transport.text(read(path('tasks', id, 'diff'), { ...filter }))
  }

  #act(id: string, verb: string, request: object): Promise<Task> {
    return this.#transport.json(post(path('tasks', id, verb), request))
  }
}

/** Turns the error that tells of an absence into null. */
export function nullIfAbsent(error: unknown): null {
  if (isAbsence(error)) return null
  throw error
}

