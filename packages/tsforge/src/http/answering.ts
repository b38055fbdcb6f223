import type { IncomingMessage } from 'node:http'
import { Head, headerText } from './head.ts'
import { http } from './node-http.ts'
import { Outgoing } from './outgoing.ts'

/** What Node keeps of an answer, as far as its head needs it. */
interface Inside {
  _header: string | null
  _keepAliveTimeout: number
  _maxRequestsPerSocket: number | undefined
  maxRequestsOnConnectionReached: boolean | undefined
}

/**
 * An answer whose head may be written as text: `writeHead` checks each header of each answer again, which is a tenth of what
 * a small one costs Node.
 */
export class Answering extends http.ServerResponse {
  /**
   * What `writeHead(out.status, out.list)` does, for an answer with a body and standing headers on a connection that stays.
   * `false` for any other: nothing has happened then. `now` in milliseconds since the epoch.
   */
  writeText(out: Outgoing, now: number): boolean {
    const { standing, status, body } = out
    if (
      standing === undefined ||
      body === undefined ||
      status === 304 ||
      !this.shouldKeepAlive ||
      (this as unknown as Inside).maxRequestsOnConnectionReached === true ||
      this.req.method === 'HEAD' ||
      this.req.headers.expect !== undefined ||
      this.getHeaderNames().length > 0 ||
      !(asNodeWrites ??= isAsNodeWrites())
    )
      return false
    this.#write(standing, out, now)
    return true
  }

  /** Whether both ways come to the same bytes. */
  static agree(out: Outgoing, now: number): boolean {
    const [node, text] = [0, 1].map(() => {
      const answer = new Answering(request)
      return Object.assign(answer as Answering & Inside, { _keepAliveTimeout: 5500, _maxRequestsPerSocket: 7 })
    }) as [Answering & Inside, Answering & Inside]
    node.writeHead(out.status, out.list as string[])
    text.#write(out.standing!, out, now)
    const undated = ({ _header }: Inside): string | undefined => _header?.replace(/^Date: .*$/m, '')
    return text.headersSent && undated(node) === undated(text)
  }

  #write(standing: string, { status, added }: Outgoing, now: number): void {
    const inside = this as unknown as Inside
    this.statusCode = status
    this.statusMessage = http.STATUS_CODES[status] ?? 'unknown'
    inside._header = `HTTP/1.1 ${status} ${this.statusMessage}\r\n${standing}${headerText(added)}${tail(inside, now)}`
  }
}

const request = { method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1, headers: {} } as IncomingMessage
let asNodeWrites: boolean | undefined

/** The insides of Node may change with any release. */
function isAsNodeWrites(): boolean {
  const out = new Outgoing(new Head(['x-first', 'a', 'vary', 'origin']), 200)
  out.added.push('content-length', '2')
  return Answering.agree(out, 0)
}

let second = 0
let lastTimeout = 0
let lastMax: number | undefined
let lastTail = ''

/** The headers that are Node's own. */
function tail({ _keepAliveTimeout: timeout, _maxRequestsPerSocket: max }: Inside, now: number): string {
  const at = Math.floor(now / 1000)
  if (at !== second || timeout !== lastTimeout || max !== lastMax) {
    second = at
    lastTimeout = timeout
    lastMax = max
    const most = max !== undefined && max > 0 ? `, max=${max}` : ''
    const keepAlive = timeout > 0 ? `Keep-Alive: timeout=${Math.floor(timeout / 1000)}${most}\r\n` : ''
    lastTail = `Date: ${new Date(now).toUTCString()}\r\nConnection: keep-alive\r\n${keepAlive}\r\n`
  }
  return lastTail
}
