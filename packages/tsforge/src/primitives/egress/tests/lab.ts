import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import type { Dial, Resolve } from '../dial.ts'

/** A server on loopback that plays the one of a public address. */
export interface Stage extends AsyncDisposable {
  readonly port: number
}

export async function stage(listener: RequestListener, tls?: TlsOptions): Promise<Stage> {
  const server: Server = tls === undefined ? createServer(listener) : createSecure(tls, listener)
  // It hangs up on nobody who is slow.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Names and where they lead, and what was dialled. No call leaves loopback. */
export interface Net {
  readonly resolve: Resolve
  readonly dial: Dial
  readonly dialled: { readonly addresses: readonly string[]; readonly port: number }[]
  readonly asked: string[]
}

/** `landsOn`: what a socket says of its other end; default the first address that was dialled. */
export function net(
  names: Readonly<Record<string, readonly string[] | (() => readonly string[])>>,
  port: number,
  landsOn?: string,
): Net {
  const dialled: Net['dialled'] = []
  const asked: string[] = []
  return {
    dialled,
    asked,
    resolve: async (host) => {
      asked.push(host)
      const found = names[host]
      if (found === undefined) throw new Error(`ENOTFOUND ${host}`)
      return typeof found === 'function' ? found() : found
    },
    dial: (addresses, wanted) => {
      dialled.push({ addresses, port: wanted })
      const socket: Socket = connect({ host: '127.0.0.1', port })
      Object.defineProperty(socket, 'remoteAddress', { value: landsOn ?? addresses[0] })
      return socket
    },
  }
}
