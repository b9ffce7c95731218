import { path, post, read } from '../call.js'
import type { Message, NewMessage } from '../models.js'
import type { Transport } from '../transport.js'

/** Which messages a list holds. */
export interface MessageFilter {
  task_id?: string | undefined
  from_actor?: string | undefined
  to_actor?: string | undefined
  type?: string | undefined
  /** The first message of a thread: it and what answers it. */
  thread_id?: string | undefined
  /** Only messages that nobody answered. */
  unreplied?: boolean | undefined
  scope?: string | undefined
  limit?: number | undefined
  offset?: number | undefined
}

/** What is said about tasks; nothing is ever taken back. */
export class Messages {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Says something about a task. */
  create(message: NewMessage): Promise<Message> {
    return this.#transport.json(post(path('messages'), message))
  }

  /** Lists messages, oldest first. */
  async list(filter: MessageFilter = {}): Promise<Message[]> {
    return (await this.#transport.json<{ messages: Message[] }>(read(path('messages'), { ...filter }))).messages
  }
}
