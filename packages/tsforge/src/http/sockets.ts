import type { Socket } from 'node:net'

/** A request that has not been answered, as its connection sees it. */
export interface Unanswered {
  readonly hasBody: boolean
  /** We read the body, and not the handler. */
  receiving: boolean
  bodyRead: boolean
  closing: boolean
  fail(error: Error): void
  abandon(): void
}

const pending = Symbol('requests in flight')
const last = Symbol('last answer sent')
type Tracked = Socket & { [pending]?: Unanswered[]; [last]?: true }

/** Notes that `exchange` is in flight on its connection (several at once only when the caller pipelines). */
export function track(socket: Socket, exchange: Unanswered): void {
  const tracked = socket as Tracked
  const list = tracked[pending]
  if (list === undefined) tracked[pending] = [exchange]
  else list.push(exchange)
}

export function settle(socket: Socket, exchange: Unanswered): void {
  const list = (socket as Tracked)[pending]
  if (list === undefined) return
  if (list.length === 1 && list[0] === exchange) list.pop()
  else {
    const at = list.indexOf(exchange)
    if (at !== -1) list.splice(at, 1)
  }
}

/** Unanswered requests of a connection, oldest first. */
export function inFlight(socket: Socket): readonly Unanswered[] {
  return (socket as Tracked)[pending] ?? []
}

/** The connection is gone: what has not arrived never will. Handlers that are at work end their work. */
export function abandonReceiving(socket: Socket): void {
  for (const exchange of [...inFlight(socket)]) if (exchange.receiving && !exchange.bodyRead) exchange.abandon()
}

/** Notes that the answer which closes the connection is on its way. */
export function endAfterThis(socket: Socket): void {
  ;(socket as Tracked)[last] = true
}

/**
 * Whether bytes behind a closing answer try to be a request. They must not run: nobody will be told how it went,
 * and behind a framing error they may be what an attacker smuggled.
 */
export function isBeyondLast(socket: Socket): boolean {
  return (socket as Tracked)[last] === true
}

/**
 * Cuts the connection when no byte moves on it for `ms`, until its next request. For answers that the kernel has not
 * taken whole: a timer for each of the others would cost a fiftieth of the throughput.
 */
export function expectReader(socket: Socket, ms: number): void {
  // A request of a test has no real one.
  if ('setTimeout' in socket) socket.setTimeout(ms)
}
