import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'

/** What the network does between two programs. `open`: passes everything on. */
export type Weather =
  | { readonly kind: 'open' }
  /** Existing connections are reset, new ones are refused by a reset. */
  | { readonly kind: 'cut' }
  /** Connections are accepted and stay open; nothing arrives any more, in either direction. */
  | { readonly kind: 'blackhole' }
  /** Every chunk arrives later. */
  | { readonly kind: 'slow'; readonly delayMs: number }

/** A TCP proxy on loopback that disturbs what passes through it. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Connections at this moment. */
  readonly connections: number
  set(weather: Weather): void
}

/** Stands in front of `port` (looked up at each connection) of 127.0.0.1. */
export async function startTcpProxy(port: number | (() => number)): Promise<TcpProxy> {
  let weather: Weather = { kind: 'open' }
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer({ noDelay: true }, (near) => {
    if (weather.kind === 'cut') return void near.resetAndDestroy()
    const far = connect({ host: '127.0.0.1', port: typeof port === 'number' ? port : port(), noDelay: true })
    const pair = [near, far] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    pass(near, far, () => weather)
    pass(far, near, () => weather)
    for (const socket of pair) socket.on('error', end).on('close', end)
  })
  await listening(server)
  return {
    port: (server.address() as { port: number }).port,
    get connections() {
      return pairs.size
    },
    set(next) {
      weather = next
      if (next.kind === 'cut') for (const [near, far] of pairs) void (near.resetAndDestroy(), far.destroy())
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done))
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      await closed
    },
  }
}

function pass(from: Socket, to: Socket, weather: () => Weather): void {
  from.on('data', (chunk: Buffer) => {
    const now = weather()
    if (now.kind === 'slow') setTimeout(() => to.write(chunk), now.delayMs)
    else if (now.kind === 'open') to.write(chunk)
  })
}

function listening(server: Server): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail)
    server.listen(0, '127.0.0.1', done)
  })
}
