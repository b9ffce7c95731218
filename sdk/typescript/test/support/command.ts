/** Runs programs, and shows what they said when they fail. */

import { spawn } from 'node:child_process'

export interface Options {
  cwd: string
  env?: Record<string, string>
}

/** Runs a program, and returns what it printed. The tests' own servers go on meanwhile. */
export function run(program: string, args: string[], { cwd, env = {} }: Options): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { PATH: process.env['PATH'], HOME: cwd, ...env } })
    let printed = ''
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(printed)
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}:\n${printed}\n${said}`))
    })
  })
}
