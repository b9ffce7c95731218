import { Connection } from './connection.js'
import { type EventOptions, events } from './events.js'
import type { Event, Task } from './models.js'
import type { Platform } from './project.js'
import { Actions } from './resources/actions.js'
import { Drafts } from './resources/drafts.js'
import { Flows } from './resources/flows.js'
import { Messages } from './resources/messages.js'
import { Orchestrators } from './resources/orchestrators.js'
import { Projects } from './resources/projects.js'
import { Roles } from './resources/roles.js'
import { System } from './resources/system.js'
import { Tasks } from './resources/tasks.js'
import { type CallOptions, callSettings, type OctopoidOptions } from './settings.js'
import { Transport } from './transport.js'
import { waitFor, type WaitOptions } from './wait.js'

/** Every call of a node's API. It holds no connection that would have to be closed. */
export class Client {
  readonly tasks: Tasks
  readonly projects: Projects
  readonly drafts: Drafts
  readonly messages: Messages
  readonly actions: Actions
  readonly flows: Flows
  readonly roles: Roles
  readonly orchestrators: Orchestrators
  readonly system: System
  readonly #connection: Connection
  readonly #options: CallOptions
  readonly #transport: Transport

  constructor(options: OctopoidOptions, from: Platform | Client) {
    this.#connection = from instanceof Client ? from.#connection : new Connection(options, from)
    this.#options = from instanceof Client ? { ...from.#options, ...options } : options
    this.#transport = new Transport(this.#connection, callSettings(this.#options))
    this.tasks = new Tasks(this.#transport)
    this.projects = new Projects(this.#transport)
    this.drafts = new Drafts(this.#transport)
    this.messages = new Messages(this.#transport)
    this.actions = new Actions(this.#transport)
    this.flows = new Flows(this.#transport)
    this.roles = new Roles(this.#transport)
    this.orchestrators = new Orchestrators(this.#transport)
    this.system = new System(this.#transport)
  }

  /** Returns a client of the same node whose calls are told differently. */
  withOptions(options: CallOptions): Client {
    return new Client(options, this)
  }

  /** Iterates over what happens, from now on or after an event seen before, across broken connections. */
  events(options: EventOptions = {}): AsyncGenerator<Event, never, void> {
    return events(this.#transport, options)
  }

  /**
   * Waits until a task is in a queue, or in one of several, and returns it.
   *
   * It throws an `OctopoidTimeoutError` when the time is over, and an `OctopoidError` at once when the task is gone, or in done,
   * cancelled or failed while another queue is waited for.
   */
  waitFor(taskId: string, queue: string | readonly string[], options: WaitOptions = {}): Promise<Task> {
    const queues = typeof queue === 'string' ? [queue] : queue
    const { signal = this.#options.signal } = options
    return waitFor((id) => this.tasks.get(id), taskId, queues, { ...options, signal })
  }
}
