/** The package where there is only fetch: browsers and edge workers. */

import { Client } from './client.js'
import { nothing } from './project.js'
import type { OctopoidOptions } from './settings.js'

export * from './exports.js'

/** A client of an Octopoid node, whose address must be given. */
export class OctopoidSDK extends Client {
  constructor(options: OctopoidOptions = {}) {
    super(options, nothing)
  }
}
