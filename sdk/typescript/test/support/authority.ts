/** A certificate authority of the tests' own. */

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The PEM files of an authority that nobody knows, and of a certificate of it for a node on this machine. */
export interface Authority {
  root: string
  certificate: string
  key: string
  remove(): void
}

export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'octopoid-sdk-authority-'))
  const root = join(folder, 'root.crt')
  const rootKey = join(folder, 'root.key')
  const certificate = join(folder, 'node.crt')
  const key = join(folder, 'node.key')
  const make = (...args: string[]) => {
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2', ...args]
    const { status, stderr, error } = spawnSync('openssl', made, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl: ${error?.message ?? stderr}`)
  }
  make('-subj', '/CN=Authority of a test', '-keyout', rootKey, '-out', root)
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE']
  make('-CA', root, '-CAkey', rootKey, '-subj', '/CN=Node of a test', ...names, '-keyout', key, '-out', certificate)
  chmodSync(key, 0o600)
  return { root, certificate, key, remove: () => rmSync(folder, { recursive: true }) }
}
