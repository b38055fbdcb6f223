import { createHash } from 'node:crypto'
import type { BlockList } from 'node:net'
import type * as undici from 'undici'
import type { Dispatcher } from 'undici'
import { BoundedMap } from '../../kernel/bounded-map.ts'
import { guardedConnector } from './connector.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Dial, Resolve } from './dial.ts'
import type { ClientCertificate } from './egress.ts'
import type { Target } from './target.ts'

/** The connections to one origin with one certificate. */
interface Line {
  readonly dispatcher: Dispatcher
  /** Where the last connection went; `undefined` behind a proxy. */
  address(): string | undefined
}

export interface Lines {
  open(target: Target, certificate: ClientCertificate | undefined): Promise<Line>
  close(): Promise<void>
}

export interface LineSettings {
  readonly clock: Clock
  readonly proxy: string | undefined
  readonly resolve: Resolve
  readonly dial: Dial
  readonly allowed: BlockList
}

/** Origins whose connections are kept; beyond them the least asked for are closed. */
const maxOrigins = 1_000
const connectionsPerOrigin = 16
const idleMs = 10_000

/** Keeps connections by origin. undici is loaded at the first call, which costs 30 ms that many apps never need. */
export function createLines(settings: LineSettings): Lines {
  const closing = new Set<Promise<void>>()
  const retire = (line: Line): void => {
    const closed = line.dispatcher.close().catch(() => {})
    closing.add(closed)
    void closed.then(() => closing.delete(closed))
  }
  const keys = new Set<string>()
  const kept = new BoundedMap<Line>({
    entries: maxOrigins,
    onRemove: (key, line) => {
      keys.delete(key)
      retire(line)
    },
  })
  let proxied: Dispatcher | undefined
  let closed = false

  return {
    async open({ url }, certificate) {
      if (closed) throw new Error('egress is closed')
      const { Pool, ProxyAgent } = await import('undici')
      if (settings.proxy !== undefined && certificate === undefined) {
        proxied ??= proxyAgent(ProxyAgent, settings.proxy)
        return { dispatcher: proxied, address: () => undefined }
      }
      const key = `${url.origin} ${certificate === undefined ? '' : fingerprint(certificate)}`
      const known = kept.get(key)
      if (known !== undefined) return known
      const line =
        settings.proxy === undefined
          ? directLine(Pool, url.origin, settings, certificate)
          : tunnelLine(ProxyAgent, settings.proxy, certificate)
      keys.add(key)
      kept.set(key, line)
      return line
    },
    async close() {
      closed = true
      for (const key of [...keys]) kept.delete(key)
      if (proxied !== undefined) await proxied.close()
      await Promise.all(closing)
    },
  }
}

function directLine(
  Pool: typeof undici.Pool,
  origin: string,
  { clock, resolve, dial, allowed }: LineSettings,
  certificate: ClientCertificate | undefined,
): Line {
  let address: string | undefined
  const connect = guardedConnector({
    clock,
    resolve,
    dial,
    allowed,
    certificate,
    connected: (found) => (address = found),
  })
  const dispatcher = new Pool(origin, {
    connect,
    connections: connectionsPerOrigin,
    keepAliveTimeout: idleMs,
    allowH2: false,
  })
  return { dispatcher, address: () => address }
}

function tunnelLine(Agent: typeof undici.ProxyAgent, proxy: string, certificate: ClientCertificate | undefined): Line {
  return { dispatcher: proxyAgent(Agent, proxy, certificate), address: () => undefined }
}

/** CONNECT also for plain http, so that the proxy treats both alike. */
function proxyAgent(Agent: typeof undici.ProxyAgent, proxy: string, certificate?: ClientCertificate): Dispatcher {
  const { username, password, href } = new URL(proxy)
  const token = `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
  return new Agent({
    uri: href,
    proxyTunnel: true,
    keepAliveTimeout: idleMs,
    connections: connectionsPerOrigin,
    ...(username !== '' && { token }),
    ...(certificate !== undefined && { requestTls: { ...certificate } }),
  })
}

function fingerprint({ cert, key, ca = '' }: ClientCertificate): string {
  return createHash('sha256').update(`${cert}\0${key}\0${ca}`).digest('base64url')
}
