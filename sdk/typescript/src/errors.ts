/** What keeps a call from its result. Every error of this package is an {@link OctopoidError}. */

/** The base of every error that this package throws; on its own, a mistake in how it was called or set up. */
export class OctopoidError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** No node answered, or its answer broke off. What the call asked for may have happened. */
export class OctopoidConnectionError extends OctopoidError {}

/** No whole answer arrived in time. What the call asked for may have happened. */
export class OctopoidTimeoutError extends OctopoidConnectionError {}

/** What a node says besides the error's text. */
export interface Refusal {
  /** The HTTP status. */
  statusCode: number
  /** The call, for example `POST /api/v1/tasks`. */
  request: string
  /** Each reason for which a transition was refused. */
  details: string[]
  /** The answer's body, where it was JSON. */
  body: unknown
}

/** The node answered, and refused. */
export class OctopoidAPIError extends OctopoidError implements Refusal {
  readonly statusCode: number
  readonly request: string
  readonly details: string[]
  readonly body: unknown

  constructor(message: string, refusal: Refusal) {
    super(message)
    this.statusCode = refusal.statusCode
    this.request = refusal.request
    this.details = refusal.details
    this.body = refusal.body
  }
}

/** 404: what the call speaks of is not there. */
export class OctopoidNotFoundError extends OctopoidAPIError {}

/** 401 or 403: the key is missing, unknown, or of another scope. */
export class OctopoidAuthenticationError extends OctopoidAPIError {}

/** 409 or 412: the state forbids it, for example an id that is taken or a task that another agent holds. */
export class OctopoidConflictError extends OctopoidAPIError {}
