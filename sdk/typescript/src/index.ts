/** The package where there is a file system: Node, Deno, Bun. */

import { Client } from './client.js'
import { files } from './files.js'
import type { OctopoidOptions } from './settings.js'

export * from './exports.js'

/** A client of an Octopoid node; without options of the one that the environment or the nearest `.octopoid` folder names. */
export class OctopoidSDK extends Client {
  constructor(options: OctopoidOptions = {}) {
    super(options, files)
  }
}
