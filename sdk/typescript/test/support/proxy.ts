/** What can go wrong between a client and a real node. */

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What happens to one request; `sdk/README.md` tells what each of them means. */
export type Fault = 'lose' | 'drop' | 'busy' | 'stall' | 'drip' | 'cut' | 'garbage' | 'stranger' | 'redirect'

export class Proxy {
  /** What happens to the next requests, one each. */
  faults: Fault[] = []
  /** How many requests came. */
  requests = 0
  readonly #target: () => string
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response))

  constructor(target: () => string) {
    this.#target = target
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1
    const fault = this.faults.shift()
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    switch (fault) {
      case undefined:
      case 'lose':
      case 'cut':
        return this.#forward(incoming, Buffer.concat(chunks), response, fault)
      case 'drop':
        incoming.socket.destroy()
        return
      case 'stall':
        return
      case 'drip': {
        response.writeHead(200, { 'content-type': 'application/json' })
        const timer = setInterval(() => response.write(' '), 50)
        response.once('close', () => clearInterval(timer))
        return
      }
      case 'busy':
        response.writeHead(503, { 'retry-after': '0', 'content-type': 'application/json' }).end('{"error":"busy"}')
        return
      case 'garbage':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello</html>')
        return
      case 'stranger':
        response.writeHead(404, { 'content-type': 'text/html' }).end('<html>not here</html>')
        return
      case 'redirect':
        response.writeHead(302, { location: `${this.#target()}/api/v1/tasks` }).end()
        return
    }
  }

  #forward(incoming: IncomingMessage, body: Buffer, response: ServerResponse, fault: 'lose' | 'cut' | undefined): void {
    const { host: _, ...headers } = incoming.headers
    const onward = request(`${this.#target()}${incoming.url}`, { method: incoming.method, headers }, (answer) => {
      if (fault === 'lose') {
        answer.once('data', () => response.destroy())
        answer.once('end', () => response.destroy())
        answer.resume()
        return
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.once('close', () => answer.destroy())
      if (fault === undefined) {
        answer.pipe(response)
        return
      }
      let text = ''
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        // The first event passes whole, the next one up to the middle of its data.
        const middle = text.split('data:', 3).slice(0, 2).join('data:').length + 12
        if (text.length < middle || text.indexOf('data:', text.indexOf('data:') + 1) < 0) return
        answer.removeAllListeners('data').destroy()
        response.write(text.slice(0, middle), () => response.destroy())
      })
    })
    onward.once('error', () => response.destroy())
    onward.end(body)
  }
}
