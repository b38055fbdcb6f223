import type { BlockList, Socket } from 'node:net'
import { connect as secure } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import type { Clock } from '../../kernel/clock.ts'
import { plainAddress } from './addresses.ts'
import { addressesOf, isWelcome } from './dial.ts'
import type { Dial, Resolve } from './dial.ts'
import { egressErrors } from './errors.ts'
import type { ClientCertificate } from './egress.ts'

/** Longest wait for a connection, TLS included. */
const connectMs = 10_000

export interface ConnectorSettings {
  readonly clock: Clock
  readonly resolve: Resolve
  readonly dial: Dial
  readonly allowed: BlockList
  readonly certificate: ClientCertificate | undefined
  /** Told the address that a connection really has. */
  connected(address: string): void
}

/**
 * Opens guarded connections for undici: resolves, looks at every address, dials what was looked at, and looks again
 * at the other end of the socket before a byte is written to it.
 */
export function guardedConnector(settings: ConnectorSettings): buildConnector.connector {
  return ({ hostname, host, protocol, port, servername }, done) => {
    const tls = protocol === 'https:'
    const name = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
    const connect = async (): Promise<Socket> => {
      const addresses = await addressesOf(name, settings.resolve, settings.allowed)
      const socket = settings.dial(addresses, Number(port) || (tls ? 443 : 80))
      // The call gives up by itself; this ends the attempt that it leaves behind.
      const patience = settings.clock.after(connectMs, () => socket.destroy())
      try {
        await arrived(socket, settings)
        return tls ? await encrypt(socket, servername ?? host ?? name, name, settings.certificate) : socket
      } catch (error) {
        socket.destroy()
        throw error
      } finally {
        patience.cancel()
      }
    }
    const succeed = (socket: Socket): void => done(null, socket)
    const fail = (error: unknown): void => done(error as Error, null)
    connect().then(succeed, fail)
  }
}

/** Looks at where it has come to. */
async function arrived(socket: Socket, { allowed, connected }: ConnectorSettings): Promise<void> {
  await ready(socket, 'connect', 'egress.connection_failed')
  const address = plainAddress(socket.remoteAddress ?? '')
  if (!isWelcome(address, allowed)) throw egressErrors.error('egress.address_refused')
  connected(address)
}

async function encrypt(
  socket: Socket,
  servername: string,
  host: string,
  certificate: ClientCertificate | undefined,
): Promise<TLSSocket> {
  const wrapped = begun({
    socket,
    // A literal address is no server name (RFC 6066 section 3); the certificate is still checked against it.
    ...(/[a-z]/i.test(servername) && !servername.includes(':') ? { servername } : { host }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    ...certificate,
  })
  await ready(wrapped, 'secureConnect', 'egress.tls_failed')
  return wrapped
}

/** A certificate that cannot be read is told at once. */
function begun(options: ConnectionOptions): TLSSocket {
  try {
    return secure(options)
  } catch (cause) {
    throw egressErrors.error('egress.tls_failed', { cause })
  }
}

function ready(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  code: 'egress.connection_failed' | 'egress.tls_failed',
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error?: Error): void => {
      settle()
      socket.destroy()
      reject(egressErrors.error(code, error === undefined ? {} : { cause: error }))
    }
    const succeed = (): void => {
      settle()
      resolve()
    }
    const onClose = (): void => fail()
    const settle = (): void => {
      socket.off(event, succeed).off('error', fail).off('close', onClose)
    }
    socket.once(event, succeed).once('error', fail).once('close', onClose)
  })
}
